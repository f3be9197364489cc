// SPDX-License-Identifier: GPL-2.0
/*
 * How a notifier that the network has completed gets to its ring: by a lane,
 * which task_work empties. That is the ring's own where only its submitter task
 * completes requests, else that of a task that attaches requests.
 */
#include <linux/io_uring.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/task_work.h>
#include <linux/workqueue.h>

#include "../../io_uring.h"
#include "../../mpscq.h"
#include "../../tw.h"
#include "slot.h"

static struct io_notif_link *io_notif_node_link(struct llist_node *node)
{
	struct io_notif_link *link = container_of(node, struct io_notif_link,
						  node);

	return link->ubuf.ops->complete == io_notif_link_complete ? link : NULL;
}

/*
 * Deliver what is on the lane, up to a batch of it. True: there is more. False:
 * the lane is empty, and may be gone with what was delivered.
 *
 * There is no more once the queue was emptied, not even if another notifier has
 * come since: who queued that has yet to queue what empties the lane.
 */
static bool io_notif_lane_deliver(struct io_notif_lane *lane)
	__must_hold(&lane->ctx->uring_lock)
{
	struct llist_node *first = NULL, *last = NULL, *node;
	struct io_ring_ctx *ctx = lane->ctx;
	struct io_notif_link *link = NULL;
	bool more = true;
	unsigned int i;

	/* one link at most, which may have more notifiers than a batch */
	for (i = 0; i < IO_NOTIF_BATCH && !link; i++) {
		node = mpscq_pop(&lane->done, &lane->next);
		/* not empty, but the next one has yet to be linked */
		if (!node)
			break;
		more = !mpscq_pop_emptied(&lane->done, lane->next);
		link = io_notif_node_link(node);
		if (!link) {
			if (first)
				last->next = node;
			else
				first = node;
			last = node;
		}
		if (!more)
			break;
	}
	if (first) {
		last->next = NULL;
		io_notif_ring_ops(ctx)->deliver(ctx, first, last);
	}
	if (link)
		io_notif_ring_ops(ctx)->deliver_link(ctx, link);
	return more;
}

/* What is pending otherwise may have set the flag just now: leave it that. */
static void io_notif_clear_taskrun(struct io_ring_ctx *ctx)
{
	struct io_uring_task *tctx = current->io_uring;

	if (!(ctx->flags & IORING_SETUP_TASKRUN_FLAG))
		return;
	atomic_andnot(IORING_SQ_TASKRUN, &ctx->rings->sq_flags);
	/* pairs with the xchg() in mpscq_push(), before the flag is set */
	smp_mb__after_atomic();
	if (tctx && !mpscq_empty(&tctx->task_list))
		atomic_or(IORING_SQ_TASKRUN, &ctx->rings->sq_flags);
}

/* The notifiers on @lane keep the ring, but the last of them may go. */
static void io_notif_lane_run(struct io_notif_lane *lane)
{
	struct io_ring_ctx *ctx = lane->ctx;
	bool more;

	do {
		mutex_lock(&ctx->uring_lock);
		percpu_ref_get(&ctx->refs);
		io_notif_clear_taskrun(ctx);
		more = io_notif_lane_deliver(lane);
		io_submit_flush_completions(ctx);
		mutex_unlock(&ctx->uring_lock);
		percpu_ref_put(&ctx->refs);
		cond_resched();
	} while (more);
}

static void io_notif_lane_work(struct callback_head *work)
{
	struct io_notif_lane *lane = container_of(work, struct io_notif_lane,
						  work);

	/* another program must not wait for whoever holds the ring's lock */
	if (unlikely(!io_notif_lane_leads(lane, current)))
		queue_work(system_dfl_wq, &lane->fallback);
	else
		io_notif_lane_run(lane);
}

static void io_notif_lane_tw(struct io_tw_req tw_req, io_tw_token_t tw)
{
	struct io_notif_lane *lane = container_of(tw_req.req,
						  struct io_notif_lane, kiocb);

	/* a batch at a time, as other task_work waits for its turn */
	if (io_notif_lane_deliver(lane)) {
		io_req_local_work_add(&lane->kiocb, 0);
		cond_resched();
	}
}

static void io_notif_lane_fallback(struct work_struct *work)
{
	io_notif_lane_run(container_of(work, struct io_notif_lane, fallback));
}

/**
 * io_notif_lane_alloc() - make a lane for requests of the current task
 * @ctx:	the ring; on one with IORING_SETUP_DEFER_TASKRUN the lane serves all
 *
 * Context: task, may sleep.
 * Return: a lane with one reference, or NULL when there is no memory.
 */
struct io_notif_lane *io_notif_lane_alloc(struct io_ring_ctx *ctx)
{
	struct io_notif_lane *lane = kzalloc_obj(*lane, GFP_KERNEL_ACCOUNT);

	if (!lane)
		return NULL;
	mpscq_init(&lane->done, &lane->next);
	lane->ctx = ctx;
	refcount_set(&lane->refs, 1);
	INIT_WORK(&lane->fallback, io_notif_lane_fallback);
	if (ctx->flags & IORING_SETUP_DEFER_TASKRUN) {
		lane->kiocb.opcode = IORING_OP_NOP;
		lane->kiocb.ctx = ctx;
		lane->kiocb.io_task_work.func = io_notif_lane_tw;
		return lane;
	}
	init_task_work(&lane->work, io_notif_lane_work);
	lane->task = get_task_struct(current);
	lane->exec_id = current->self_exec_id;
	return lane;
}
EXPORT_SYMBOL_GPL(io_notif_lane_alloc);

/**
 * io_notif_lane_free() - free a lane
 * @lane:	has no references
 *
 * Context: task or softirq.
 */
void io_notif_lane_free(struct io_notif_lane *lane)
{
	if (lane->task)
		put_task_struct(lane->task);
	kfree_rcu(lane, rcu);
}
EXPORT_SYMBOL_GPL(io_notif_lane_free);

/**
 * io_notif_lane_divert() - have a kworker do what is left to the lane's task
 * @lane:	of a ring that is closed: what comes later goes to a kworker anyway
 *
 * The task may be stopped, and the ring wait for it.
 *
 * Context: task, with the ring's ->uring_lock held.
 */
void io_notif_lane_divert(struct io_notif_lane *lane)
{
	if (lane->task && task_work_cancel(lane->task, &lane->work))
		queue_work(system_dfl_wq, &lane->fallback);
}
EXPORT_SYMBOL_GPL(io_notif_lane_divert);

/*
 * Have the submitter of a ring with IORING_SETUP_DEFER_TASKRUN empty the lane.
 * @last was added last. With @lazy it counts as one CQE for a task that waits for a
 * number of them, as if it had been queued itself.
 */
static void io_notif_queue_local(struct io_notif_lane *lane,
				 struct llist_node *last, bool was_empty,
				 bool lazy)
{
	unsigned int flags = lazy ? IOU_F_TWQ_LAZY_WAKE : 0;
	struct llist_node *tail;

	if (!was_empty) {
		io_local_work_wake(lane->ctx, flags);
		return;
	}
	io_req_local_work_add(&lane->kiocb, flags);
	/*
	 * Whoever added one in between may have found nobody waiting, and a task
	 * that has gone to sleep since then found nothing queued.
	 */
	tail = READ_ONCE(lane->done.tail);
	if (unlikely(tail != last && tail != &lane->done.stub))
		io_local_work_wake(lane->ctx, 0);
}

/**
 * io_notif_queue() - have completed notifiers posted by their ring
 * @lane:	their lane
 * @first:	the io_notif_head.node of the first one, or the io_notif_link.node of
 *		a link alone
 * @last:	that of the last one, linked by ->next
 *
 * The caller gives up the notifiers: they may be gone on return, and with them
 * the lane and the ring.
 *
 * Context: any that frees an skb, softirq included.
 */
void io_notif_queue(struct io_notif_lane *lane, struct llist_node *first,
		    struct llist_node *last)
{
	struct io_ring_ctx *ctx = lane->ctx;
	bool was_empty, lazy;

	/* keeps the lane and its task, and a ring with deferred task_work */
	guard(rcu)();
	/* a link may be many notifications */
	lazy = first == last && !io_notif_node_link(first);
	was_empty = mpscq_push_list(&lane->done, first, last);
	if (!lane->task && likely(!percpu_ref_is_dying(&ctx->refs))) {
		io_notif_queue_local(lane, last, was_empty, lazy);
		return;
	}
	if (!was_empty)
		return;
	/* nobody takes the first one off, nor frees the ring, before we are done */
	if (likely(!percpu_ref_is_dying(&ctx->refs) &&
		   io_notif_lane_leads(lane, lane->task))) {
		if (ctx->flags & IORING_SETUP_TASKRUN_FLAG)
			atomic_or(IORING_SQ_TASKRUN, &ctx->rings->sq_flags);
		if (likely(!task_work_add(lane->task, &lane->work,
					  ctx->notify_method)))
			return;
	}
	queue_work(system_dfl_wq, &lane->fallback);
}
EXPORT_SYMBOL_GPL(io_notif_queue);
