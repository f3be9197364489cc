// SPDX-License-Identifier: GPL-2.0
/*
 * The queue that lanes are made of: mpscq_push_list(), mpscq_pop(), mpscq_pop_emptied() of
 * the kernel's io_uring/mpscq.h. A lane relies on this:
 * - what is pushed is popped, once, in the order of the pushes;
 * - a producer that finds the queue empty is the only one until the consumer has emptied it again,
 *   and a consumer that it has started finds something until then;
 * - a node may be used for anything else, or pushed again, as soon as it was popped.
 *
 * run 3 producers, one of them of lists: -DNODES=4 -DROUNDS=2
 *
 * bug TORN_XCHG: a push reads the tail and writes it in two steps
 * bug LINKS_LAST: all of a list but its last node is left behind
 * bug TORN_CMPXCHG: the last node is handed out though another one was just pushed
 * bug NULL_IS_EMPTY: the consumer takes a node that isn't linked yet for an empty queue
 * bug GOES_ON: the consumer goes on after it has emptied the queue
 */
bool started;			/* somebody found the queue empty, and the consumer is to run */
bool busy;			/* there's something in the queue */
bool out[NODES + 1] = true;	/* the node isn't in the queue */
byte number[NODES + 1];		/* which push it was */
byte pushes, pops;

#define PUSHED(first, last) \
	assert(busy == (prev != STUB)); \
	busy = true; \
	number[first] = pushes; \
	pushes = pushes + last - first; \
	number[last] = pushes; \
	pushes++;
#define LINKING(prev)	assert(prev == STUB || !out[prev]);
#define POPPING()
#define EMPTIED()	busy = false

#include "mpscq.inc"

proctype producer(byte first, last)
{
	byte prev, round;

	do
	:: round < ROUNDS ->
		d_step { out[first] && out[last] -> out[first] = false; out[last] = false };
		mpscq_push_list(first, last, prev);
		if
		:: d_step { prev == STUB -> assert(!started); started = true }
		:: else
		fi;
		round++
	:: else -> break
	od
}

active proctype consumer()
{
	byte node, h;

	do
	:: pops == NODES * ROUNDS -> break
	:: started ->
		started = false;
		do
		:: 	mpscq_pop(node, h);
			if
			:: d_step { node != NIL ->
				assert(number[node] == pops);
				pops++;
				out[node] = true
			   }
#ifndef GOES_ON
			   if
			   :: POP_EMPTIED() -> break
			   :: else
			   fi
#endif
			:: else ->
				/* or it would wait here for ever */
				assert(tail != STUB);
#ifdef NULL_IS_EMPTY
				break
#endif
			fi
		od
	od
}

init {
	atomic {
		run producer(1, 1);
		run producer(2, 2);
		run producer(3, 4)
	}
}
