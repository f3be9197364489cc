/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Notification slots: what io_uring sees of them.
 *
 * io_uring calls the functions of the first part. The module that implements
 * slots (../rust) provides struct io_notif_ops and calls those of the last.
 */
#ifndef IOU_NOTIF_SLOT_H
#define IOU_NOTIF_SLOT_H

#include <linux/err.h>
#include <linux/io_uring_types.h>
#include <linux/percpu.h>
#include <linux/skbuff.h>
#include <linux/static_call.h>
#include <linux/task_work.h>
#include <linux/workqueue.h>

#include "../../rsrc.h"

struct io_notif_ring;
struct module;
struct seq_file;

/**
 * struct io_notif_head - the part of a notifier that C reads
 * @ubuf:	what a request passes to the socket in msghdr.msg_ubuf
 * @id:		its number, of all notifiers of the ring
 * @copy_below:	sends of fewer bytes are copied, constant while attached
 * @copied:	bytes of a request were copied as it was sent; never reset while
 *		attached
 */
struct io_notif_head {
	struct ubuf_info	ubuf;
	u64			id;
	u32			copy_below;
	bool			copied;
};

/**
 * struct io_notif_lane - the way of notifiers to a task of a plain ring
 * @work:	task_work that drains @done
 * @fallback:	drains @done in its place once @task has exited or executed
 *		another program
 * @done:	released notifiers, by their io_kiocb's io_task_work.node
 * @task:	attaches requests to the notifiers; holds a reference
 * @ctx:	the ring
 * @exec_id:	of @task, which other programs than the one that attached requests
 *		are not to work for
 * @notifiers:	how many are to go this way, under ->uring_lock
 *
 * Whoever finds @done empty queues @work, and only @work (or @fallback) empties
 * it. So as long as one of them is queued there is a notifier in flight, which
 * keeps the ring and the lane.
 */
struct io_notif_lane {
	struct callback_head	work;
	struct work_struct	fallback;
	struct llist_head	done;
	struct task_struct	*task;
	struct io_ring_ctx	*ctx;
	u32			exec_id;
	unsigned int		notifiers;
};

/* What is counted of all rings, see Documentation/notification-slots.rst. */
enum io_notif_total {
	IO_NOTIF_CREATED,
	IO_NOTIF_REUSED,
	IO_NOTIF_COMPLETED_INLINE,
	IO_NOTIF_COMPLETED_TASK_WORK,
	IO_NOTIF_LINKED,
	IO_NOTIF_COPIED,
	IO_NOTIF_NR_TOTALS,
};

/**
 * struct io_notif_totals - what a CPU has counted
 * @n:	by enum io_notif_total
 */
struct io_notif_totals {
	u64	n[IO_NOTIF_NR_TOTALS];
};

DECLARE_PER_CPU(struct io_notif_totals, io_notif_totals);

/* flags of io_notif_ops::attach */
enum {
	/* the request asked for IORING_SEND_ZC_REPORT_USAGE */
	IO_NOTIF_REPORT		= 1,
	/* plain buffers: count their pages against RLIMIT_MEMLOCK */
	IO_NOTIF_ACCOUNT	= 2,
};

/* flags of io_notif_ops::detach and io_notif_ops::update */
enum {
	/* flush the slot if it still holds the request's notifier */
	IO_NOTIF_FLUSH		= 1,
	/* completions of this context aren't flushed: leave it to task_work */
	IO_NOTIF_REMOTE		= 2,
};

/**
 * struct io_notif_ops - what the module does for io_uring
 * @owner:	the module
 * @register_slots: IORING_REGISTER_NOTIFIERS; makes ctx->notif when there is none
 * @unregister_slots: IORING_UNREGISTER_NOTIFIERS. 1: done, release the ring
 * @exit:	the ring is closed: unregister what is there. True: release it
 * @update:	flush slots off to off + len, set their tags unless tag is 0
 * @attach:	attach a request of @len bytes to the slot's notifier. SIZE_MAX: not
 *		known, as it sends a vector of registered buffers
 * @pin:	keep the registered buffer @node until the notifier has
 *		completed, and put the notifier's number into it. Takes over a
 *		reference to it, also when it fails
 * @detach:	a request is over, whatever its result was
 * @flush:	flush the slot if it still holds the notifier
 * @ready:	task_work of a notifier, on rings with DEFER_TASKRUN
 * @drain:	task_work of a lane, on other rings
 * @post:	post the notifications that are ready. Under the ring's CQ lock.
 *		True: release the ring
 * @release:	no slots and nothing in flight: free ctx->notif
 * @show:	describe the slots, a part of the ring's fdinfo
 * @complete:	an skb is done with the notifier's pages, or they were copied
 *		unless @success
 *
 * All but @complete are called with ->uring_lock held, in task context.
 * @complete is called in any, with preemption disabled or as an RCU reader.
 */
struct io_notif_ops {
	struct module *owner;

	int (*register_slots)(struct io_ring_ctx *ctx, void __user *arg,
			      unsigned int size);
	int (*unregister_slots)(struct io_ring_ctx *ctx);
	bool (*exit)(struct io_ring_ctx *ctx);
	int (*update)(struct io_ring_ctx *ctx, u32 off, u32 len, u64 tag,
		      unsigned int flags);
	struct io_notif_head *(*attach)(struct io_ring_ctx *ctx,
					unsigned int idx, size_t len,
					unsigned int flags);
	int (*pin)(struct io_ring_ctx *ctx, struct io_notif_head *notif,
		   struct io_rsrc_node *node);
	void (*detach)(struct io_ring_ctx *ctx, struct io_notif_head *notif,
		       unsigned int flags);
	void (*flush)(struct io_ring_ctx *ctx, struct io_notif_head *notif);
	void (*ready)(struct io_kiocb *kiocb);
	void (*drain)(struct io_notif_lane *lane);
	bool (*post)(struct io_ring_ctx *ctx);
	void (*release)(struct io_ring_ctx *ctx);
	void (*show)(struct io_ring_ctx *ctx, struct seq_file *m);
	void (*complete)(struct ubuf_info *ubuf, bool success);
};

/* For the parts of the shim. */
const struct io_notif_ops *io_notif_ring_ops(struct io_ring_ctx *ctx);

#if IS_ENABLED(CONFIG_IO_URING_NOTIF)

bool io_notif_available(void);
void io_notif_show_fdinfo(struct io_ring_ctx *ctx, struct seq_file *m);
int io_notif_register(struct io_ring_ctx *ctx, void __user *arg,
		      unsigned int size);
int io_notif_unregister(struct io_ring_ctx *ctx);
void io_notif_ring_exit(struct io_ring_ctx *ctx);
int io_notif_update(struct io_kiocb *req, u32 off, u32 len, u64 tag,
		    unsigned int issue_flags);
void io_notif_flush_slot(struct io_ring_ctx *ctx, struct io_notif_head *notif);
void io_notif_ring_release(struct io_ring_ctx *ctx);
struct io_rsrc_node *io_notif_pin_node(struct io_kiocb *req,
				       struct io_notif_head *notif);

DECLARE_STATIC_CALL(io_notif_attach, *((struct io_notif_ops *)NULL)->attach);
DECLARE_STATIC_CALL(io_notif_pin, *((struct io_notif_ops *)NULL)->pin);
DECLARE_STATIC_CALL(io_notif_detach, *((struct io_notif_ops *)NULL)->detach);
DECLARE_STATIC_CALL(io_notif_post, *((struct io_notif_ops *)NULL)->post);

static inline struct io_notif_head *io_notif_attach(struct io_ring_ctx *ctx,
						    unsigned int idx,
						    size_t len,
						    unsigned int flags)
{
	if (unlikely(!ctx->notif))
		return ERR_PTR(-EINVAL);
	return static_call(io_notif_attach)(ctx, idx, len, flags);
}

/* Have @notif keep the registered buffer @node. Needs ->uring_lock. */
static inline int io_notif_pin(struct io_ring_ctx *ctx,
			       struct io_notif_head *notif,
			       struct io_rsrc_node *node)
{
	if (likely(node->notif_id == notif->id))
		return 0;
	node->refs++;
	return static_call(io_notif_pin)(ctx, notif, node);
}

/*
 * The registered buffer of a request that is attached to @notif, which keeps it
 * from then on: the request needs no reference of its own.
 */
static inline struct io_rsrc_node *
io_notif_buf_node(struct io_kiocb *req, struct io_notif_head *notif,
		  unsigned int issue_flags)
{
	struct io_rsrc_node *node;
	int ret;

	if (unlikely(issue_flags & IO_URING_F_UNLOCKED))
		return io_notif_pin_node(req, notif);
	node = io_rsrc_node_lookup(&req->ctx->buf_table, req->buf_index);
	if (unlikely(!node))
		return ERR_PTR(-EFAULT);
	ret = io_notif_pin(req->ctx, notif, node);
	return likely(!ret) ? node : ERR_PTR(ret);
}

static inline void io_notif_detach(struct io_ring_ctx *ctx,
				   struct io_notif_head *notif,
				   unsigned int flags)
{
	static_call(io_notif_detach)(ctx, notif, flags);
}

/* Bytes of a request that is attached to @notif were copied. */
static inline void io_notif_copied(struct io_notif_head *notif)
{
	WRITE_ONCE(notif->copied, true);
}

/* Under the CQ lock, after the requests' CQEs. True: release the ring. */
static inline bool io_notif_post(struct io_ring_ctx *ctx)
{
	return unlikely(ctx->notif) && static_call(io_notif_post)(ctx);
}

#else /* CONFIG_IO_URING_NOTIF */

static inline bool io_notif_available(void)
{
	return false;
}

static inline void io_notif_show_fdinfo(struct io_ring_ctx *ctx,
					struct seq_file *m)
{
}

static inline int io_notif_register(struct io_ring_ctx *ctx, void __user *arg,
				    unsigned int size)
{
	return -EOPNOTSUPP;
}

static inline int io_notif_unregister(struct io_ring_ctx *ctx)
{
	return -ENXIO;
}

static inline void io_notif_ring_exit(struct io_ring_ctx *ctx)
{
}

static inline int io_notif_update(struct io_kiocb *req, u32 off, u32 len,
				  u64 tag, unsigned int issue_flags)
{
	return -EINVAL;
}

static inline struct io_notif_head *io_notif_attach(struct io_ring_ctx *ctx,
						    unsigned int idx,
						    size_t len,
						    unsigned int flags)
{
	return ERR_PTR(-EINVAL);
}

static inline int io_notif_pin(struct io_ring_ctx *ctx,
			       struct io_notif_head *notif,
			       struct io_rsrc_node *node)
{
	return -EINVAL;
}

static inline struct io_rsrc_node *
io_notif_buf_node(struct io_kiocb *req, struct io_notif_head *notif,
		  unsigned int issue_flags)
{
	return ERR_PTR(-EINVAL);
}

static inline void io_notif_detach(struct io_ring_ctx *ctx,
				   struct io_notif_head *notif,
				   unsigned int flags)
{
}

static inline void io_notif_flush_slot(struct io_ring_ctx *ctx,
				       struct io_notif_head *notif)
{
}

static inline void io_notif_copied(struct io_notif_head *notif)
{
}

static inline bool io_notif_post(struct io_ring_ctx *ctx)
{
	return false;
}

static inline void io_notif_ring_release(struct io_ring_ctx *ctx)
{
}

#endif /* CONFIG_IO_URING_NOTIF */

/* Is @task, current or the lane's, in the program that it runs the lane's? */
static inline bool io_notif_lane_leads(const struct io_notif_lane *lane,
				       const struct task_struct *task)
{
	return lane->task == task &&
	       lane->exec_id == READ_ONCE(task->self_exec_id);
}

/* For the module. */
int io_notif_ops_register(const struct io_notif_ops *ops);
void io_notif_ops_unregister(const struct io_notif_ops *ops);
void io_notif_ubuf_complete(struct sk_buff *skb, struct ubuf_info *ubuf,
			    bool success);
void io_notif_kiocb_init(struct io_kiocb *kiocb, struct io_ring_ctx *ctx);
void io_notif_lane_init(struct io_notif_lane *lane, struct io_ring_ctx *ctx);
void io_notif_lane_exit(struct io_notif_lane *lane);
void io_notif_queue(struct io_kiocb *kiocb, struct io_notif_lane *lane);
void io_notif_fill_cqe(struct io_ring_ctx *ctx, u64 user_data, s32 res,
		       u32 cflags);
int io_notif_account(struct io_ring_ctx *ctx, unsigned long nr_pages);
void io_notif_unaccount(struct io_ring_ctx *ctx, unsigned long nr_pages);
void io_notif_free_node(struct io_ring_ctx *ctx, struct io_rsrc_node *node);

#endif
