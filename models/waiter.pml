// SPDX-License-Identifier: GPL-2.0
/*
 * The lane of a ring with IORING_SETUP_DEFER_TASKRUN, and its submitter task that waits for CQEs: it
 * never sleeps as long as there are as many notifiers complete as it waits for CQEs. Each
 * notifier may complete never, or (AGAIN) be attached once more as soon as it was posted; a request
 * (REQUEST) completes meanwhile. What is complete and not waited for comes with a later wait.
 *
 * It stands for
 *   shim/lane.c	io_notif_queue(), io_notif_queue_local(), io_notif_lane_tw()
 *   tw.c		io_req_local_work_add(), io_local_work_wake(), __io_run_local_work() of the kernel
 *   wait.[ch]		io_cqring_wait(), io_cq_wait_arm(), io_cqring_wait_schedule() of the kernel
 * and for what is in ring.inc. The ring's own queue, which is like a lane, is as if a push were one
 * step: as long as it isn't, the submitter tries again.
 *
 * What a barrier forbids is a bug here that does things in the other order.
 *
 * run 3 notifiers: -DNODES=3 -DBATCH=2
 * run 2 notifiers and a request: -DNODES=2 -DBATCH=1 -DREQUEST
 * run 2 notifiers, one is attached twice: -DNODES=2 -DBATCH=2 -DAGAIN
 *
 * bug OPEN_WINDOW: the first doesn't look for those that came before the lane was queued
 * bug LAZY_WINDOW: it does, and counts them as one
 * bug EARLY_WINDOW: it does, but before it queues the lane
 * bug NO_COUNT: one that is not the first doesn't count down
 * bug LIST_IS_ONE: several that come at once are counted as one
 * bug NO_REQUEUE of run 2: a lane that is not empty after a batch isn't queued again
 * bug NULL_IS_EMPTY: a notifier that isn't linked yet is taken for the end
 * bug NO_BARRIER: the waiter looks for work before others see that it waits
 * bug COUNT_FIRST: others see how many the waiter waits for before they see it sleep
 */
#define LAZY	true
#define INIT	(-1)		/* IO_CQ_WAKE_INIT */

bool kiocb;			/* the lane is on ctx->work_list */
byte requests;			/* so are these */
short cq_wait_nr = INIT;
bool interruptible;		/* the state of the submitter: it sleeps, or is about to */
byte complete;			/* how many have been queued, and by whom is done with it */
byte wanted;			/* for so many CQEs in all the submitter waits */

#include "ring.inc"

#ifdef AGAIN
#define TOTAL	(NODES + 1)
#elif defined(REQUEST)
#define TOTAL	(NODES + 1)
#else
#define TOTAL	NODES
#endif

#define PENDING()	(kiocb || requests)

/* io_local_work_wake(). @nr_wait and @hit are locals. */
inline wake(is_lazy)
{
	nr_wait = cq_wait_nr;
	if
	:: nr_wait <= 0
	:: else ->
		d_step {
			if
			:: is_lazy -> cq_wait_nr--; hit = cq_wait_nr == 0
			:: else -> hit = cq_wait_nr > 0; cq_wait_nr = INIT
			fi;
			nr_wait = 0
		};
		if
		:: hit -> d_step { interruptible = false; hit = false }
		:: else
		fi
	fi
}

/* io_notif_queue() and io_notif_queue_local(). @prev and @lazy, too. */
inline notif_queue(first, last)
{
	mpscq_push_list(first, last, prev);
#ifdef LIST_IS_ONE
	lazy = true;
#else
	lazy = first == last;
#endif
	if
	:: prev != STUB
#ifndef NO_COUNT
		-> wake(lazy)
#endif
	:: else ->
#ifdef EARLY_WINDOW
		prev = tail;
#endif
		d_step { assert(!kiocb); kiocb = true };
		wake(lazy);
#ifndef OPEN_WINDOW
#ifndef EARLY_WINDOW
		prev = tail;
#endif
		if
#ifdef LAZY_WINDOW
		:: prev != last && prev != STUB -> wake(LAZY)
#else
		:: prev != last && prev != STUB -> wake(!LAZY)
#endif
		:: else
		fi
#endif
	fi;
	complete = complete + last - first + 1
}

proctype network(byte first, last)
{
	byte prev;
	short nr_wait;
	bool hit, lazy;

	IN_TURN(first);
	notif_queue(first, last)
}

#ifdef AGAIN
/* The notifier was settled, and is attached and complete once more. */
proctype again(byte node)
{
	byte prev;
	short nr_wait;
	bool hit, lazy;

end_never:
	d_step { posted & 1 << node ->
		posted = posted & ~(1 << node);
		if
		:: !in_flight -> refs++
		:: else
		fi;
		in_flight++
	};
	notif_queue(node, node)
}
#endif

#ifdef REQUEST
/* io_req_local_work_add() */
active proctype request()
{
	short nr_wait;
	bool hit;

	requests++;
	wake(LAZY);
	complete++
}
#endif

/* io_notif_lane_tw() */
inline lane_tw()
{
	lane_deliver();
	if
	:: more
#ifndef NO_REQUEUE
		-> d_step { assert(!kiocb); kiocb = true };
		wake(!LAZY)
#endif
	:: else
	fi
}

/* io_run_local_work(), of @max items at most. The one that wants the lock is the submitter. */
inline run_local_work(max)
{
	ran = 0;
	do
	:: ran < max && kiocb -> kiocb = false; lane_tw(); ran++
	:: ran < max && requests -> d_step { requests--; cqes++; ran++ }
	:: ran >= max || !PENDING() -> break
	od;
	flush_completions()
}

active proctype submitter()
{
	LANE_LOCALS;
	byte ran;
	bool hit, seen;
	short nr_wait;

	do
	:: cqes == TOTAL -> break
	:: else ->
		/* io_cqring_wait(), for any number */
		atomic { select (wanted : cqes + 1 .. TOTAL) };
		do
		:: cqes >= wanted -> break
		:: else ->
#ifdef NO_BARRIER
			seen = PENDING();
#endif
#ifdef COUNT_FIRST
			cq_wait_nr = wanted - cqes;
			interruptible = true;
#else
			interruptible = true;
			cq_wait_nr = wanted - cqes;
#endif
#ifndef NO_BARRIER
			seen = PENDING();
#endif
end_sleep:
			if
			:: seen
			:: !seen && !interruptible
			fi;
			interruptible = false;
			cq_wait_nr = INIT;
			if
			:: PENDING() -> run_local_work(wanted - cqes)
			:: else
			fi
		od
	od
}

init {
	byte i, nr;

	atomic {
		/* so many complete */
		select (nr : 1 .. NODES);
		run_networks(nr);
#ifdef AGAIN
		run again(1)
#endif
	};
	/* nothing else happens any more */
end_waits:
	timeout;
	assert(complete < wanted || cqes == TOTAL)
}
