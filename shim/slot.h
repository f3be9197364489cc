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
#include <linux/refcount.h>
#include <linux/skbuff.h>
#include <linux/static_call.h>
#include <linux/task_work.h>
#include <linux/workqueue.h>

#include "../../rsrc.h"
#include "kbuf.h"
#include "ops.h"
#include "totals.h"

struct io_async_msghdr;
struct io_notif_ring;
struct module;
struct seq_file;

/**
 * struct io_notif_head - the part of a notifier that C knows
 * @ubuf:	what a request passes to the socket in msghdr.msg_ubuf
 * @node:	on the lane, once the notifier has completed
 * @lane:	its way to the ring, constant while attached; holds a reference
 * @id:		its number, of all notifiers of the ring
 * @copy_below:	sends of fewer bytes are copied, constant while attached
 * @flags:	IORING_NOTIF_SLOT_* of its slot, constant while attached
 * @copied:	bytes of a request were copied, as it was sent or later; never
 *		reset while attached
 * @bearer:	the last request that attached to it is the one whose CQE it is to
 *		post; under ->uring_lock
 */
struct io_notif_head {
	struct ubuf_info	ubuf;
	struct llist_node	node;
	struct io_notif_lane	*lane;
	u64			id;
	u32			copy_below;
	u8			flags;
	bool			copied;
	bool			bearer;
};

/**
 * struct io_notif_link - the part of a link that C knows
 * @ubuf:	what the skbs carry
 * @node:	on the lane, once no skb carries it
 * @lane:	of all its notifiers, which keep it; NULL if theirs differ
 * @nr:		how many notifiers it has, pointers to which follow
 * @room:	how many it has room for
 */
struct io_notif_link {
	struct ubuf_info	ubuf;
	struct llist_node	node;
	struct io_notif_lane	*lane;
	u32			nr;
	u32			room;
};

/* A node on a lane is that of a notifier or a link: @ubuf.ops tell. */
static_assert(offsetof(struct io_notif_link, node) ==
	      offsetof(struct io_notif_head, node));

/**
 * struct io_notif_lane - the way of completed notifiers to their ring
 * @done:	completed notifiers, oldest first, by their io_notif_head.node, and
 *		links that are over, by their io_notif_link.node
 * @next:	what is taken off @done next, under ->uring_lock
 * @ctx:	the ring
 * @refs:	one of the ring's, and one of each notifier that is to go this way, or
 *		went last
 * @task:	attaches requests to the notifiers; holds a reference. NULL on rings
 *		with IORING_SETUP_DEFER_TASKRUN
 * @exec_id:	of @task, which other programs than the one that attached requests
 *		are not to work for
 * @work:	task_work of @task that empties @done
 * @kiocb:	what empties it on rings with IORING_SETUP_DEFER_TASKRUN, where
 *		only the ring's submitter completes requests; never a request
 * @fallback:	empties it in their place once @task has exited or executed
 *		another program, and once the ring is closed
 * @rcu:	whoever has just queued a notifier may still look at the lane
 *
 * Whoever finds @done empty queues @work, @kiocb or @fallback, and what was
 * queued goes on until it has emptied @done. So as long as there's something in
 * @done one of them is queued or runs.
 */
struct io_notif_lane {
	struct mpscq		done;
	struct llist_node	*next;
	struct io_ring_ctx	*ctx;
	refcount_t		refs;
	u32			exec_id;
	struct task_struct	*task;
	struct callback_head	work;
	struct work_struct	fallback;
	struct io_kiocb		kiocb;
	struct rcu_head		rcu;
};

/* For the parts of the shim. */
const struct io_notif_ops *io_notif_ops_get(void);
const struct io_notif_ops *io_notif_pinned_ops(void);
const struct io_notif_ops *io_notif_ring_ops(struct io_ring_ctx *ctx);

#if IS_ENABLED(CONFIG_IO_URING_NOTIF)

bool io_notif_available(bool load);
void io_notif_show_fdinfo(struct io_ring_ctx *ctx, struct seq_file *m);
int io_notif_register(struct io_ring_ctx *ctx, void __user *arg,
		      unsigned int size);
int io_notif_unregister(struct io_ring_ctx *ctx);
void io_notif_ring_exit(struct io_ring_ctx *ctx);
bool io_notif_ring_lingers(struct io_ring_ctx *ctx);
int io_notif_update(struct io_kiocb *req, u32 off, u32 len, u64 tag,
		    unsigned int issue_flags);
bool io_notif_settle(struct io_ring_ctx *ctx);
struct io_rsrc_node *io_notif_pin_node(struct io_kiocb *req,
				       struct io_notif_head *notif);

/* send.c */
int io_slot_send_prep(struct io_kiocb *req, const struct io_uring_sqe *sqe);
int io_slot_send(struct io_kiocb *req, unsigned int issue_flags);
void io_slot_send_fail(struct io_kiocb *req);
void io_slot_send_cleanup(struct io_kiocb *req);

/* import.c */
int io_slot_import_vec(struct io_kiocb *req, struct io_async_msghdr *kmsg,
		       unsigned int issue_flags);
int io_slot_import_other(struct io_kiocb *req, struct iov_iter *iter,
			 struct io_mapped_ubuf *imu);

/* fill.c */
int io_slot_sg_from_iter(struct sk_buff *skb, struct iov_iter *from,
			 size_t length);
int io_slot_sg_from_iter_iovec(struct sk_buff *skb, struct iov_iter *from,
			       size_t length);
int io_slot_sg_from_segments(struct sk_buff *skb, struct iov_iter *from,
			     size_t length);

/* many.c */
int io_slot_many_prep(struct io_kiocb *req, const struct io_uring_sqe *sqe);
size_t io_slot_many_measure(struct io_kiocb *req, unsigned long *nr_pages);
int io_slot_many_send(struct io_kiocb *req, struct socket *sock,
		      unsigned int issue_flags);

DECLARE_STATIC_CALL(io_notif_attach, *((struct io_notif_ops *)NULL)->attach);
DECLARE_STATIC_CALL(io_notif_pin, *((struct io_notif_ops *)NULL)->pin);
DECLARE_STATIC_CALL(io_notif_detach, *((struct io_notif_ops *)NULL)->detach);
DECLARE_STATIC_CALL(io_notif_detach_bearer,
		    *((struct io_notif_ops *)NULL)->detach_bearer);
DECLARE_STATIC_CALL(io_notif_post, *((struct io_notif_ops *)NULL)->post);

static inline struct io_notif_head *io_notif_attach(struct io_ring_ctx *ctx,
						    unsigned int idx,
						    size_t len,
						    unsigned int flags,
						    unsigned long nr_pages)
{
	if (unlikely(!ctx->notif))
		return ERR_PTR(-EINVAL);
	return static_call(io_notif_attach)(ctx, idx, len, flags, nr_pages);
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
				   struct io_notif_head *notif, bool remote)
{
	static_call(io_notif_detach)(ctx, notif, remote);
}

static inline void io_notif_detach_bearer(struct io_ring_ctx *ctx,
					  struct io_notif_head *notif,
					  u64 user_data, s32 res, bool mute,
					  bool remote)
{
	static_call(io_notif_detach_bearer)(ctx, notif, user_data, res, mute,
					    remote);
}

/* Bytes of a request that is attached to @notif were copied. */
static inline void io_notif_copied(struct io_notif_head *notif)
{
	WRITE_ONCE(notif->copied, true);
}

/* Under the CQ lock, after the requests' CQEs. True: call io_notif_settle(). */
static inline bool io_notif_post(struct io_ring_ctx *ctx)
{
	return unlikely(ctx->notif) && static_call(io_notif_post)(ctx);
}

#else /* CONFIG_IO_URING_NOTIF */

static inline bool io_notif_available(bool load)
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

static inline bool io_notif_ring_lingers(struct io_ring_ctx *ctx)
{
	return false;
}

static inline int io_notif_update(struct io_kiocb *req, u32 off, u32 len,
				  u64 tag, unsigned int issue_flags)
{
	return -EINVAL;
}

static inline bool io_notif_settle(struct io_ring_ctx *ctx)
{
	return false;
}

static inline bool io_notif_post(struct io_ring_ctx *ctx)
{
	return false;
}

static inline int io_slot_send_prep(struct io_kiocb *req,
				    const struct io_uring_sqe *sqe)
{
	return -EINVAL;
}

static inline int io_slot_send(struct io_kiocb *req, unsigned int issue_flags)
{
	return -EINVAL;
}

static inline void io_slot_send_fail(struct io_kiocb *req)
{
}

static inline void io_slot_send_cleanup(struct io_kiocb *req)
{
}

#endif /* CONFIG_IO_URING_NOTIF */

/* Whether @lane leads to @task, in the program that it runs. */
static inline bool io_notif_lane_leads(const struct io_notif_lane *lane,
				       const struct task_struct *task)
{
	return !lane->task || (lane->task == task &&
			       lane->exec_id == READ_ONCE(task->self_exec_id));
}

/* For the module. */
int io_notif_ops_register(const struct io_notif_ops *ops);
void io_notif_ops_unregister(const struct io_notif_ops *ops);
void io_notif_ubuf_complete(struct sk_buff *skb, struct ubuf_info *ubuf,
			    bool success);
void io_notif_link_complete(struct sk_buff *skb, struct ubuf_info *ubuf,
			    bool success);
struct io_notif_lane *io_notif_lane_alloc(struct io_ring_ctx *ctx);
void io_notif_lane_free(struct io_notif_lane *lane);
void io_notif_lane_divert(struct io_notif_lane *lane);
void io_notif_queue(struct io_notif_lane *lane, struct llist_node *first,
		    struct llist_node *last);
void io_notif_fill_cqe(struct io_ring_ctx *ctx, u64 user_data, s32 res,
		       u32 cflags);
int io_notif_account(struct io_ring_ctx *ctx, unsigned long nr_pages);
void io_notif_unaccount(struct io_ring_ctx *ctx, unsigned long nr_pages);
void io_notif_free_node(struct io_ring_ctx *ctx, struct io_rsrc_node *node);

#endif
