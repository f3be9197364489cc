// SPDX-License-Identifier: GPL-2.0
/*
 * The lane of a task, on a ring without IORING_SETUP_DEFER_TASKRUN: every notifier is posted, and
 * once, and nobody touches the ring, the lane, a notifier or the task after it may be gone. The
 * task executes another program, exits or is stopped for ever, and the ring is closed, at any time.
 *
 * It stands for
 *   shim/lane.c		io_notif_queue(), io_notif_lane_work(), io_notif_lane_fallback(),
 *			io_notif_lane_divert()
 *   shim/slot.c		io_notif_ring_exit(), io_notif_ring_lingers()
 *   rust/inflight.rs	InFlight::find_lane(), divert()
 *   io_uring.c		io_ring_ctx_wait_and_kill(), io_ring_exit_work() of the kernel
 *   task_work.c	task_work_add(), task_work_cancel(), task_work_run() of the kernel
 * and for what is in ring.inc.
 *
 * run a ring that stays open: -DNODES=3 -DBATCH=2 -DEXEC -DEXIT
 * run a ring that is closed: -DNODES=3 -DBATCH=2 -DEXEC -DEXIT -DCLOSE
 * run a ring that is closed, a task that is stopped: -DNODES=3 -DBATCH=2 -DSTOP -DCLOSE
 * run the same, and another task attaches before: -DNODES=2 -DBATCH=2 -DSTOP -DCLOSE -DANOTHER
 *
 * bug NO_READER of run 4: the one that has queued a notifier is no RCU reader
 * bug NO_GRACE of run 4: the lane is freed without a grace period
 * bug DROPS_USED of run 4: a lane is dropped as another task attaches, though it is used
 * bug TOUCHES_NOTIFIER: a notifier is looked at once it was queued
 * bug TOUCHES_RING of run 2: one that is not the first looks at the ring
 * bug LATE_FLAG of run 2: the ring's flag is set after the task_work was added
 * bug ALL_QUEUE: not only the first queues what empties the lane
 * bug GOES_ON: what empties the lane goes on after it was emptied
 * bug NULL_IS_EMPTY: a notifier that isn't linked yet is taken for the end
 * bug ONE_BATCH: what empties the lane stops after a batch
 * bug LATE_LOOK of run 2: the lane is looked at once its last notifier was settled
 * bug NO_RING_REF of run 2: who empties the lane has no reference to the ring
 * bug EXITED_DROPS: nothing is queued in place of the task_work of a task that has exited
 * bug EXECUTED_DROPS: nor in place of that of a task that executes another program
 * bug NEVER_DIVERT of run 3: what is queued to a task that is stopped stays there
 * bug DIVERT_ONCE of run 3: the same, if it was queued late
 * bug DIVERT_DROPS of run 3: what is taken from a task is not given to a kworker
 * bug DIVERT_BLINDLY of run 2: it is given to a kworker though it wasn't there
 */
bool work;			/* lane->work is on task->task_works */
bool fallback;			/* lane->fallback is pending */
bool executed;			/* task->self_exec_id isn't lane->exec_id any more */
bool exited;			/* task->task_works is work_exited */
bool closing;
byte file_users;		/* who uses the ring's file, which isn't closed as long */

/* The task's memory goes with the reference of the lane, and a grace period after its exit. */
bool task_mem = true;
bool task_put;
byte task_grace;
#define TASK()			assert(task_mem)
#define LANE_FREED()		task_free()
#define READER_LEFT(who)	task_grace = task_grace & ~(1 << who); task_free()

inline task_free()
{
	task_mem = !(task_put && !task_grace && lane_freed)
}

#include "ring.inc"

/* queue_work(system_dfl_wq, &lane->fallback) */
#define queue_fallback()	d_step { LANE(); assert(!work && !fallback); fallback = true }

/* task_work_add(lane->task, &lane->work, ...) */
inline add_task_work()
{
	if
	:: d_step { exited -> TASK() }
#ifndef EXITED_DROPS
		-> queue_fallback()
#endif
	:: d_step { else -> TASK(); LANE(); assert(!work && !fallback); work = true } ->
		/* set_notify_signal() */
		TASK();
#ifdef LATE_FLAG
		RING()
#endif
	fi
}

/* io_notif_queue(), in any context. @prev is a local. */
inline notif_queue(first, last)
{
	rcu_read_lock(first);
	mpscq_push_list(first, last, prev);
#ifdef TOUCHES_NOTIFIER
	NOTIFIER(first);
#endif
#ifdef TOUCHES_RING
	RING();
#endif
	LANE();				/* lane->task */
	if
#ifndef ALL_QUEUE
	:: prev != STUB
#endif
	:: else ->
		RING();			/* IORING_SQ_TASKRUN */
		if
		:: d_step { dying -> RING() } -> queue_fallback()
		:: d_step { else -> RING() } ->
			/* io_notif_lane_leads() */
			if
			:: d_step { executed -> LANE(); TASK() } -> queue_fallback()
			:: d_step { else -> LANE(); TASK() } -> add_task_work()
			fi
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

/* io_notif_lane_work() */
inline lane_work()
{
	if
	:: d_step { executed -> LANE() }
#ifndef EXECUTED_DROPS
		-> queue_fallback()
#endif
	:: d_step { else -> LANE() } -> lane_run()
	fi
}

active proctype task()
{
	LANE_LOCALS;

end_in_user_space:
	do
	/* task_work_run() */
	:: d_step { work -> work = false } -> lane_work()
#ifdef EXEC
	:: d_step { !executed -> executed = true }
#endif
#ifdef STOP
	:: goto stopped
#endif
#ifdef EXIT
	:: break
#endif
	od;
	/* exit_task_work() */
	do
	:: d_step { work -> work = false } -> lane_work()
	:: d_step { !work -> exited = true } -> break
	od;
	atomic { task_put = true; task_grace = readers; task_free() };
stopped:
	skip
}

active proctype kworker()
{
	LANE_LOCALS;

end_idle:
	do
	:: d_step { fallback -> fallback = false } -> lane_run()
	od
}

#ifdef ANOTHER
/* InFlight::find_lane(), for a request of another task, in io_uring_enter() */
active proctype another_task()
{
	if
	:: atomic { !closing -> file_users++ } ->
		uring_lock();
		/* idle notifiers go, and then lanes that nothing else keeps */
		d_step { lane_put(lane_refs - 1 - in_flight) };
		if
#ifdef DROPS_USED
		:: d_step { true -> listed = false; lane_put(1) }
#else
		:: d_step { lane_refs == 1 -> listed = false; lane_put(1) }
#endif
		:: else
		fi;
		uring_unlock();
		file_users--
	:: closing
	fi
}
#endif

/* io_notif_lane_divert() */
inline divert()
{
	if
#ifndef DIVERT_BLINDLY
	:: d_step { work -> LANE(); TASK(); work = false }
#else
	:: d_step { true -> LANE(); TASK(); work = false }
#endif
#ifndef DIVERT_DROPS
		-> queue_fallback()
#endif
	:: else
	fi
}

#ifdef CLOSE
active proctype closer()
{
	byte prev;

	atomic { !file_users -> closing = true };
	/* io_ring_ctx_wait_and_kill(): the slots are flushed, which completes a notifier */
	uring_lock();
	slots = false;
	notif_queue(NODES, NODES);
	dying = true;
	ref_put();
	uring_unlock();
	/* io_ring_exit_work() */
	do
	::
#ifndef NEVER_DIVERT
		uring_lock();
		if
		:: listed -> divert()
		:: else
		fi;
		uring_unlock();
#endif
		/* the rounds that follow, but for those that find nothing to do */
		if
		:: !refs -> break
#if !defined(NEVER_DIVERT) && !defined(DIVERT_ONCE)
		:: refs && work && listed
#endif
		fi
	od;
	uring_lock();
	uring_unlock();
	/* io_ring_ctx_free() */
	ring_mem = false
}
#define BY_NETWORK	(NODES - 1)
#else
#define BY_NETWORK	NODES
#endif

init {
	byte i;

	run_networks(BY_NETWORK);
	/* nothing else happens any more */
	timeout;
	assert(cqes == NODES && !in_flight && !busy && !work && !fallback);
#ifdef CLOSE
	assert(!ring_mem && !lane_mem)
#endif
}
