// SPDX-License-Identifier: GPL-2.0
/*
 * The lane of a ring with IORING_SETUP_DEFER_TASKRUN that is closed at any time: every notifier is
 * posted, and once, by the submitter, by the work that ends the ring or by a kworker, and nobody
 * touches the ring, the lane or a notifier after it may be gone. How the submitter waits is what
 * waiter.pml is about.
 *
 * It stands for
 *   shim/lane.c	io_notif_queue(), io_notif_queue_local(), io_notif_lane_tw(),
 *			io_notif_lane_fallback()
 *   shim/slot.c	io_notif_ring_exit()
 *   tw.c		io_req_local_work_add(), io_local_work_wake(), io_cancel_local_task_work(),
 *			io_run_local_work() of the kernel
 *   io_uring.c	io_ring_ctx_wait_and_kill(), io_ring_exit_work() of the kernel
 * and for what is in ring.inc. A push to the ring's own queue is one step, as in waiter.pml.
 *
 * run batches of 2: -DNODES=4 -DBATCH=2
 * run batches of 1: -DNODES=3 -DBATCH=1
 *
 * bug NO_READER: the one that has queued a notifier is no RCU reader
 * bug NO_GRACE: the lane is freed without a grace period
 * bug NO_RING_GRACE: the ring is freed without a grace period
 * bug CANCEL_ONCE: what was queued to the submitter late stays there
 * bug ALL_QUEUE: not only the first queues what empties the lane
 * bug GOES_ON: what empties the lane goes on after it was emptied
 * bug NO_REQUEUE: a lane that is not empty after a batch isn't queued again
 */
bool kiocb;			/* the lane is on ctx->work_list */
bool fallback;			/* lane->fallback is pending */
bool closing;
bool entered;			/* the submitter is in io_uring_enter(), with the ring's file */

#include "ring.inc"

/* io_req_local_work_add(&lane->kiocb); @who is an RCU reader, or has the lock */
#define add_local_work()	d_step { RING(); LANE(); assert(!kiocb && !fallback); kiocb = true }

/* io_notif_queue(), in any context. @prev is a local. */
inline notif_queue(first, last)
{
	rcu_read_lock(first);
	mpscq_push_list(first, last, prev);
	if
	:: d_step { !dying -> LANE(); RING() } ->
		if
#ifndef ALL_QUEUE
		:: prev != STUB
#endif
		:: else -> add_local_work(); LANE()	/* lane->done.tail */
		fi;
		RING()					/* io_local_work_wake() */
	:: d_step { dying -> LANE(); RING() } ->
		if
#ifndef ALL_QUEUE
		:: prev != STUB
#endif
		:: else -> d_step { LANE(); assert(!kiocb && !fallback); fallback = true }
		fi
	fi;
	rcu_read_unlock(first)
}

/* Somebody frees the last skb that has pages of a notifier. */
proctype network(byte first, last)
{
	byte prev;

	IN_TURN(first);
	notif_queue(first, last)
}

/* io_notif_lane_tw(), which was taken off ctx->work_list, with the lock */
inline lane_tw()
{
	lane_deliver();
	if
	:: more
#ifndef NO_REQUEUE
		-> add_local_work()
#endif
	:: else
	fi
}

active proctype submitter()
{
	LANE_LOCALS;

end_in_user_space:
	do
	:: atomic { kiocb && !closing -> entered = true };
		/* io_run_local_work(), of one item */
		uring_lock();
		if
		:: d_step { kiocb -> kiocb = false } -> lane_tw()
		:: else
		fi;
		flush_completions();
		uring_unlock();
		entered = false
	:: closing -> break
	od
}

active proctype kworker()
{
	LANE_LOCALS;

end_idle:
	do
	:: d_step { fallback -> fallback = false } -> lane_run()
	od
}

active proctype closer()
{
	byte prev, before;
	LANE_LOCALS;

	atomic { !entered -> closing = true };
	/* io_ring_ctx_wait_and_kill(): the slots are flushed, which completes a notifier */
	uring_lock();
	slots = false;
	notif_queue(NODES, NODES);
	dying = true;
	ref_put();
	uring_unlock();
	/* io_ring_exit_work() */
	do
	:: 	/* io_cancel_local_task_work() */
		uring_lock();
		do
		:: d_step { kiocb -> kiocb = false } -> lane_tw()
		:: else -> break
		od;
		flush_completions();
		uring_unlock();
		/* the rounds that follow, but for those that find nothing to do */
		if
		:: !refs -> break
#ifndef CANCEL_ONCE
		:: refs && kiocb
#endif
		fi
	od;
	uring_lock();
	uring_unlock();
#ifndef NO_RING_GRACE
	/* synchronize_rcu() */
	before = readers;
	!(before & readers);
#endif
	/* io_ring_ctx_free() */
	ring_mem = false
}

init {
	byte i;

	run_networks(NODES - 1);
	/* nothing else happens any more */
	timeout;
	assert(cqes == NODES && !in_flight && !busy && !kiocb && !fallback);
	assert(!ring_mem && !lane_mem)
}
