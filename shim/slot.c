// SPDX-License-Identifier: GPL-2.0
/*
 * Notification slots, the part that is built into io_uring: finds the module
 * that implements them, and calls it. It has no policy and no state of its own
 * but which module that is.
 *
 * A ring with ctx->notif holds a reference to the module from the moment that
 * it registers slots until the last of its notifiers has completed. Without
 * ctx->notif only registration calls into the module.
 */
#include <linux/errno.h>
#include <linux/io_uring.h>
#include <linux/kmod.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/nospec.h>
#include <linux/static_call.h>

#include <uapi/linux/io_uring.h>

#include "../../io_uring.h"
#include "../../rsrc.h"
#include "slot.h"

/* protects io_notif_ops */
static DEFINE_MUTEX(io_notif_mutex);
static const struct io_notif_ops *io_notif_ops;

DEFINE_STATIC_CALL_NULL(io_notif_attach, *((struct io_notif_ops *)NULL)->attach);
DEFINE_STATIC_CALL_NULL(io_notif_pin, *((struct io_notif_ops *)NULL)->pin);
DEFINE_STATIC_CALL_NULL(io_notif_detach, *((struct io_notif_ops *)NULL)->detach);
DEFINE_STATIC_CALL_NULL(io_notif_detach_bearer,
			*((struct io_notif_ops *)NULL)->detach_bearer);
DEFINE_STATIC_CALL_NULL(io_notif_post, *((struct io_notif_ops *)NULL)->post);
DEFINE_STATIC_CALL_NULL(io_notif_complete, *((struct io_notif_ops *)NULL)->complete);
DEFINE_STATIC_CALL_NULL(io_notif_complete_link, *((struct io_notif_ops *)NULL)->complete_link);

/**
 * io_notif_ops_register() - the module is ready to serve rings
 * @ops: what io_uring is to call; has to stay until it is unregistered
 *
 * Context: task, may sleep.
 * Return: 0, or -EBUSY when there is another one.
 */
int io_notif_ops_register(const struct io_notif_ops *ops)
{
	guard(mutex)(&io_notif_mutex);

	if (io_notif_ops)
		return -EBUSY;
	static_call_update(io_notif_attach, ops->attach);
	static_call_update(io_notif_pin, ops->pin);
	static_call_update(io_notif_detach, ops->detach);
	static_call_update(io_notif_detach_bearer, ops->detach_bearer);
	static_call_update(io_notif_post, ops->post);
	static_call_update(io_notif_complete, ops->complete);
	static_call_update(io_notif_complete_link, ops->complete_link);
	io_notif_ops = ops;
	return 0;
}
EXPORT_SYMBOL_GPL(io_notif_ops_register);

/**
 * io_notif_ops_unregister() - the module goes
 * @ops: what was registered; nobody calls it any more on return
 *
 * Nobody holds a reference to the module, so no ring has slots and no notifier
 * is in flight. What may be left is a CPU on its way out of
 * io_notif_ops::complete or ::complete_link, with preemption disabled, or in an
 * RCU reader.
 *
 * Context: task, sleeps.
 */
void io_notif_ops_unregister(const struct io_notif_ops *ops)
{
	scoped_guard(mutex, &io_notif_mutex) {
		io_notif_ops = NULL;
		static_call_update(io_notif_attach, NULL);
		static_call_update(io_notif_pin, NULL);
		static_call_update(io_notif_detach, NULL);
		static_call_update(io_notif_detach_bearer, NULL);
		static_call_update(io_notif_post, NULL);
		static_call_update(io_notif_complete, NULL);
		static_call_update(io_notif_complete_link, NULL);
	}
	synchronize_rcu();
}
EXPORT_SYMBOL_GPL(io_notif_ops_unregister);

/* The module, with a reference to it; NULL: there is none. Sleeps. */
const struct io_notif_ops *io_notif_ops_get(void)
{
	const struct io_notif_ops *ops = NULL;

	scoped_guard(mutex, &io_notif_mutex) {
		if (io_notif_ops && try_module_get(io_notif_ops->owner))
			ops = io_notif_ops;
	}
	return ops;
}

/**
 * io_notif_available() - can a ring register slots?
 * @load:	load the module if need be
 *
 * Context: task, sleeps.
 */
bool io_notif_available(bool load)
{
	if (!READ_ONCE(io_notif_ops) && load)
		request_module("io_uring_notif");
	return READ_ONCE(io_notif_ops);
}

/* The module, for who has what keeps it: it can't go, and no other can come. */
const struct io_notif_ops *io_notif_pinned_ops(void)
{
	return READ_ONCE(io_notif_ops);
}

/* As long as there is ctx->notif it keeps the module. */
const struct io_notif_ops *io_notif_ring_ops(struct io_ring_ctx *ctx)
{
	lockdep_assert_held(&ctx->uring_lock);
	return io_notif_pinned_ops();
}

/* Give the ring's state and its reference to the module back. */
static void io_notif_ring_free(struct io_ring_ctx *ctx)
{
	const struct io_notif_ops *ops = io_notif_ring_ops(ctx);

	ops->free(ctx);
	ctx->notif = NULL;
	module_put(ops->owner);
}

int io_notif_register(struct io_ring_ctx *ctx, void __user *arg,
		      unsigned int size)
	__must_hold(&ctx->uring_lock)
{
	const struct io_notif_ops *ops;
	int ret;

	if (!ctx->notif && !READ_ONCE(io_notif_ops)) {
		/* that may take its time, and others use the ring */
		mutex_unlock(&ctx->uring_lock);
		io_notif_available(true);
		mutex_lock(&ctx->uring_lock);
	}
	if (ctx->notif)
		return io_notif_ring_ops(ctx)->register_slots(ctx, arg, size);

	ops = io_notif_ops_get();
	if (!ops)
		return -EOPNOTSUPP;

	ret = ops->register_slots(ctx, arg, size);
	if (!ctx->notif)
		module_put(ops->owner);
	return ret;
}

int io_notif_unregister(struct io_ring_ctx *ctx)
{
	int ret;

	if (!ctx->notif)
		return -ENXIO;
	ret = io_notif_ring_ops(ctx)->unregister_slots(ctx);
	if (ret > 0)
		io_notif_ring_free(ctx);
	return min(ret, 0);
}

/* The ring is closed: nobody can flush its slots any more. */
void io_notif_ring_exit(struct io_ring_ctx *ctx)
{
	if (ctx->notif && io_notif_ring_ops(ctx)->exit(ctx))
		io_notif_ring_free(ctx);
}

/**
 * io_notif_ring_lingers() - is a closed ring kept by its notifiers alone?
 * @ctx:	the ring; nobody has its file any more
 *
 * Closes its registered files then, which no request can use any more: a socket
 * that is nowhere else has to be closed, or what it has not sent keeps the
 * notifiers, and these the ring and its files.
 *
 * Context: task, may sleep.
 */
bool io_notif_ring_lingers(struct io_ring_ctx *ctx)
{
	guard(mutex)(&ctx->uring_lock);

	if (!ctx->notif)
		return false;
	io_notif_ring_ops(ctx)->divert(ctx);
	if (ctx->nr_req_allocated)
		return false;
	io_sqe_files_unregister(ctx);
	return true;
}

int io_notif_update(struct io_kiocb *req, u32 off, u32 len, u64 tag,
		    unsigned int issue_flags)
{
	struct io_ring_ctx *ctx = req->ctx;
	int ret = -EINVAL;

	io_ring_submit_lock(ctx, issue_flags);
	/* completions of io-wq aren't flushed: its notifiers go by a lane */
	if (ctx->notif)
		ret = io_notif_ring_ops(ctx)->update(ctx, off, len, tag,
						     issue_flags &
						     IO_URING_F_UNLOCKED);
	io_ring_submit_unlock(ctx, issue_flags);
	return ret;
}

/* End what was posted. True: there is more to post. */
bool io_notif_settle(struct io_ring_ctx *ctx)
{
	unsigned int flags = io_notif_ring_ops(ctx)->settle(ctx);

	if (flags & IO_NOTIF_DONE)
		io_notif_ring_free(ctx);
	return flags & IO_NOTIF_MORE;
}

void io_notif_show_fdinfo(struct io_ring_ctx *ctx, struct seq_file *m)
{
	if (ctx->notif)
		io_notif_ring_ops(ctx)->show(ctx, m);
}

/* io_notif_buf_node() for io-wq */
struct io_rsrc_node *io_notif_pin_node(struct io_kiocb *req,
				       struct io_notif_head *notif)
{
	struct io_ring_ctx *ctx = req->ctx;

	guard(mutex)(&ctx->uring_lock);
	return io_notif_buf_node(req, notif, 0);
}

/*
 * With the last reference a notifier or a link may go, and the module with it.
 * What is called here stays, and io_notif_ops_unregister() waits for what it
 * calls. That can't be left to synchronize_rcu_tasks(): it would wait for every
 * busy SQPOLL thread.
 */
static __always_inline void io_notif_complete(struct ubuf_info *ubuf,
					      bool success, bool link)
{
	/* it wakes others up, on PREEMPT_RT with locks that may sleep */
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		rcu_read_lock();
	else
		preempt_disable();
	if (link)
		static_call(io_notif_complete_link)(ubuf, success);
	else
		static_call(io_notif_complete)(ubuf, success);
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		rcu_read_unlock();
	else
		preempt_enable();
}

/**
 * io_notif_ubuf_complete() - ubuf_info_ops::complete of a notifier
 * @skb:	not looked at
 * @ubuf:	the notifier's; the caller gives up a reference to it
 * @success:	the pages were not copied
 *
 * Context: any that frees an skb, softirq included.
 */
void io_notif_ubuf_complete(struct sk_buff *skb, struct ubuf_info *ubuf,
			    bool success)
{
	io_notif_complete(ubuf, success, false);
}
EXPORT_SYMBOL_GPL(io_notif_ubuf_complete);

/**
 * io_notif_link_complete() - ubuf_info_ops::complete of a link
 * @skb:	not looked at
 * @ubuf:	the link's; the caller gives up a reference to it
 * @success:	the pages were not copied
 *
 * Context: any that frees an skb, softirq included.
 */
void io_notif_link_complete(struct sk_buff *skb, struct ubuf_info *ubuf,
			    bool success)
{
	io_notif_complete(ubuf, success, true);
}
EXPORT_SYMBOL_GPL(io_notif_link_complete);

/**
 * io_notif_account() - count pages against the ring owner's RLIMIT_MEMLOCK
 * @ctx:	the ring
 * @nr_pages:	how many
 *
 * Return: 0, or -ENOMEM.
 */
int io_notif_account(struct io_ring_ctx *ctx, unsigned long nr_pages)
{
	return ctx->user ? __io_account_mem(ctx->user, nr_pages) : 0;
}
EXPORT_SYMBOL_GPL(io_notif_account);

/**
 * io_notif_unaccount() - take back io_notif_account()
 * @ctx:	the ring
 * @nr_pages:	how many
 */
void io_notif_unaccount(struct io_ring_ctx *ctx, unsigned long nr_pages)
{
	if (ctx->user)
		__io_unaccount_mem(ctx->user, nr_pages);
}
EXPORT_SYMBOL_GPL(io_notif_unaccount);

/**
 * io_notif_free_node() - unmap a registered buffer
 * @ctx:	the ring, with its ->uring_lock held
 * @node:	the buffer, which has no references any more
 */
void io_notif_free_node(struct io_ring_ctx *ctx, struct io_rsrc_node *node)
{
	io_free_rsrc_node(ctx, node);
}
EXPORT_SYMBOL_GPL(io_notif_free_node);
