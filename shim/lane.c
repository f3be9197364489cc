// SPDX-License-Identifier: GPL-2.0
/*
 * How a notifier that the network has released gets to its ring: by the ring's
 * own task_work where only the submitter task completes requests, else by a
 * lane to the task that attached requests to it.
 */
#include <linux/io_uring.h>
#include <linux/llist.h>
#include <linux/sched/task.h>
#include <linux/task_work.h>
#include <linux/workqueue.h>

#include "../../io_uring.h"
#include "../../tw.h"
#include "slot.h"

static void io_notif_tw(struct io_tw_req tw_req, io_tw_token_t tw)
{
	struct io_kiocb *kiocb = tw_req.req;

	io_notif_ring_ops(kiocb->ctx)->ready(kiocb);
}

/**
 * io_notif_kiocb_init() - prepare a notifier's private io_kiocb
 * @kiocb:	zeroed; it is never a request
 * @ctx:	the ring that its task_work is to run for
 */
void io_notif_kiocb_init(struct io_kiocb *kiocb, struct io_ring_ctx *ctx)
{
	kiocb->opcode = IORING_OP_NOP;
	kiocb->ctx = ctx;
	kiocb->io_task_work.func = io_notif_tw;
}
EXPORT_SYMBOL_GPL(io_notif_kiocb_init);

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

/* The notifiers in @lane->done keep the ring, but the last of them may go. */
static void io_notif_lane_run(struct io_notif_lane *lane)
{
	struct io_ring_ctx *ctx = lane->ctx;

	mutex_lock(&ctx->uring_lock);
	percpu_ref_get(&ctx->refs);
	io_notif_clear_taskrun(ctx);
	io_notif_ring_ops(ctx)->drain(lane);
	io_submit_flush_completions(ctx);
	mutex_unlock(&ctx->uring_lock);
	percpu_ref_put(&ctx->refs);
}

static void io_notif_lane_tw(struct callback_head *work)
{
	struct io_notif_lane *lane = container_of(work, struct io_notif_lane,
						  work);

	/* another program doesn't wait for who has the ring's lock */
	if (unlikely(!io_notif_lane_leads(lane, current)))
		queue_work(system_dfl_wq, &lane->fallback);
	else
		io_notif_lane_run(lane);
}

static void io_notif_lane_fallback(struct work_struct *work)
{
	io_notif_lane_run(container_of(work, struct io_notif_lane, fallback));
}

/**
 * io_notif_lane_init() - make a lane to the current task
 * @lane:	what to initialise; must not move before io_notif_lane_exit()
 * @ctx:	the ring, made without IORING_SETUP_DEFER_TASKRUN
 */
void io_notif_lane_init(struct io_notif_lane *lane, struct io_ring_ctx *ctx)
{
	init_task_work(&lane->work, io_notif_lane_tw);
	INIT_WORK(&lane->fallback, io_notif_lane_fallback);
	init_llist_head(&lane->done);
	lane->task = get_task_struct(current);
	lane->ctx = ctx;
	lane->exec_id = current->self_exec_id;
	lane->notifiers = 0;
}
EXPORT_SYMBOL_GPL(io_notif_lane_init);

/**
 * io_notif_lane_exit() - let go of a lane's task
 * @lane:	has no notifier in flight
 */
void io_notif_lane_exit(struct io_notif_lane *lane)
{
	put_task_struct(lane->task);
}
EXPORT_SYMBOL_GPL(io_notif_lane_exit);

/**
 * io_notif_queue() - have a released notifier completed by its ring
 * @kiocb:	the notifier's
 * @lane:	the notifier's, NULL on rings with IORING_SETUP_DEFER_TASKRUN
 *
 * The caller gives up the notifier: it may be gone on return, and with it the
 * lane and the ring.
 *
 * Context: any that frees an skb, softirq included.
 */
void io_notif_queue(struct io_kiocb *kiocb, struct io_notif_lane *lane)
{
	struct io_ring_ctx *ctx = kiocb->ctx;

	if (!lane) {
		io_req_task_work_add_remote(kiocb, IOU_F_TWQ_LAZY_WAKE);
		return;
	}
	/*
	 * The task may run what we add, and exit, before task_work_add() is
	 * done, and the lane be gone.
	 */
	guard(rcu)();
	if (!llist_add(&kiocb->io_task_work.node, &lane->done))
		return;
	if (ctx->flags & IORING_SETUP_TASKRUN_FLAG)
		atomic_or(IORING_SQ_TASKRUN, &ctx->rings->sq_flags);
	if (unlikely(!io_notif_lane_leads(lane, lane->task) ||
		     task_work_add(lane->task, &lane->work, ctx->notify_method)))
		queue_work(system_dfl_wq, &lane->fallback);
}
EXPORT_SYMBOL_GPL(io_notif_queue);
