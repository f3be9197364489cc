// SPDX-License-Identifier: GPL-2.0
/*
 * Kernel-owned buffers: their life. A buffer is a struct io_mapped_ubuf that holds a
 * reference to the pages of each of its segments. It goes as any registered buffer,
 * once the table, all requests and all notifiers have let go of it.
 *
 * The pages count against RLIMIT_MEMLOCK, by the quota of the ring that took them.
 * The quota is kept by its ring and by each buffer, also by one that was cloned to
 * another ring; it holds a reference to the module.
 */
#include <linux/errno.h>
#include <linux/io_uring.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/sched/user.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>

#include <uapi/linux/io_uring.h>

#include "../../io_uring.h"
#include "../../rsrc.h"
#include "kbuf.h"
#include "slot.h"

/*
 * How many segments a buffer has room for at first: as many as io_uring keeps such
 * memory for, or as 64 KiB from a network whose packets have 1448 bytes.
 */
#define IO_KBUF_SEGS		32
#define IO_KBUF_SEGS_MANY	64
#define IO_KBUF_MANY_BYTES	SZ_64K

/* As many segments a buffer may have. */
#define IO_KBUF_SEGS_MAX	1024

static bool io_kbuf_is_taken(const struct io_rsrc_node *node)
{
	return node->buf->flags & IO_REGBUF_F_TAKEN;
}

/**
 * io_kbuf_check() - may a buffer be put into an entry of the table?
 * @ctx:	the ring, with its ->uring_lock held
 * @index:	the entry
 * @replace:	a buffer of IORING_OP_GET_BUF that is there is given up
 *
 * Makes the ring's quota if it has none.
 *
 * Return: 0, -EINVAL without such an entry, -EBUSY, -ENOMEM, or -EOPNOTSUPP without
 * the module.
 */
int io_kbuf_check(struct io_ring_ctx *ctx, unsigned int index, bool replace)
{
	enum io_kbuf_place place = IO_KBUF_PLACE_EMPTY;
	const struct io_notif_ops *ops;
	struct io_rsrc_node *node;

	if (index >= ctx->buf_table.nr)
		return -EINVAL;
	if (!ctx->kbuf_quota) {
		ops = io_notif_ops_get();
		if (!ops)
			return -EOPNOTSUPP;
		ctx->kbuf_quota = ops->kbuf_quota(ctx);
		if (!ctx->kbuf_quota) {
			module_put(ops->owner);
			return -ENOMEM;
		}
	}
	node = io_rsrc_node_lookup(&ctx->buf_table, index);
	if (node)
		place = io_kbuf_is_taken(node) ? IO_KBUF_PLACE_TAKEN :
						 IO_KBUF_PLACE_OTHER;
	return io_notif_pinned_ops()->kbuf_place(place, replace);
}

/**
 * io_kbuf_begin() - make an empty buffer
 * @ctx:	the ring, with its ->uring_lock held
 * @take:	what is to fill it
 * @len:	bytes that it may take
 *
 * Return: the buffer, for io_kbuf_install() or io_put_rsrc_node(). NULL: no memory.
 */
struct io_rsrc_node *io_kbuf_begin(struct io_ring_ctx *ctx,
				   struct io_kbuf_take *take, size_t len)
{
	take->node = io_taken_node_alloc(ctx, len < IO_KBUF_MANY_BYTES ?
					 IO_KBUF_SEGS : IO_KBUF_SEGS_MANY);
	take->nr = 0;
	take->left = len;
	take->filling = NULL;
	take->spare = 0;
	return take->node;
}

static void io_kbuf_put_pages(struct io_mapped_ubuf *imu, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		put_page(imu->bvec[i].bv_page);
		if (i % 64 == 63)
			cond_resched();
	}
}

/**
 * io_kbuf_fill() - fill a buffer
 * @ctx:	the ring, which io_kbuf_check() was called for
 * @take:	the buffer
 * @source:	what fills it
 * @from:	passed to @source
 *
 * Context: task; needs ->uring_lock only if @source does.
 * Return: what @source does. The buffer is empty unless that is above 0.
 */
ssize_t io_kbuf_fill(struct io_ring_ctx *ctx, struct io_kbuf_take *take,
		     io_kbuf_source *source, void *from)
{
	struct io_mapped_ubuf *imu;
	ssize_t ret;

	ret = io_notif_pinned_ops()->kbuf_fill(ctx->kbuf_quota, take, source,
					       from);
	imu = take->node->buf;
	if (ret > 0) {
		imu->len = ret;
		imu->nr_bvecs = take->nr;
		imu->nr_pages = take->nr_pages;
		/* from here on it has pages that count */
		imu->priv = ctx->kbuf_quota;
	} else {
		io_kbuf_put_pages(imu, take->nr);
	}
	return ret;
}

/**
 * io_kbuf_run() - call what fills a buffer, for io_notif_ops::kbuf_fill
 * @take:	the buffer
 * @source:	what fills it
 * @from:	passed to @source
 * @filling:	passed to io_notif_ops::kbuf_admit
 *
 * Return: what @source does.
 */
ssize_t io_kbuf_run(struct io_kbuf_take *take, io_kbuf_source *source,
		    void *from, struct io_kbuf_filling *filling)
{
	take->filling = filling;
	return source(take, from);
}
EXPORT_SYMBOL_GPL(io_kbuf_run);

/**
 * io_kbuf_make_room() - have room for one more segment
 * @take:	the buffer
 * @nr_pages:	how many pages it holds more with that segment
 *
 * Return: 0, or -ENOMEM if there's no room for it or RLIMIT_MEMLOCK is reached.
 */
int io_kbuf_make_room(struct io_kbuf_take *take, unsigned int nr_pages)
{
	int ret;

	if (take->nr == take->node->buf->nr_bvecs &&
	    (take->nr == IO_KBUF_SEGS_MAX || !io_taken_node_grow(take->node)))
		return -ENOMEM;
	if (nr_pages <= take->spare)
		return 0;
	ret = io_notif_pinned_ops()->kbuf_admit(take->filling,
						nr_pages - take->spare);
	if (ret < 0)
		return ret;
	take->spare += ret;
	return 0;
}

/**
 * io_kbuf_install() - put a buffer into the table
 * @ctx:	the ring, with its ->uring_lock held
 * @index:	the entry, which io_kbuf_check() was called for since the lock was taken
 * @node:	the buffer; what is in the entry is given up
 */
void io_kbuf_install(struct io_ring_ctx *ctx, unsigned int index,
		     struct io_rsrc_node *node)
{
	struct io_rsrc_node **entry, *old;

	entry = &ctx->buf_table.nodes[array_index_nospec(index,
							 ctx->buf_table.nr)];
	old = *entry;
	*entry = node;
	if (old)
		io_put_rsrc_node(ctx, old);
}

/* Nothing has the buffer any more. Under the ->uring_lock of a ring that had it. */
void io_kbuf_release(struct io_mapped_ubuf *imu)
{
	const struct io_notif_ops *ops;

	/* none was ever filled */
	if (!imu->priv)
		return;
	io_kbuf_put_pages(imu, imu->nr_bvecs);
	ops = io_notif_pinned_ops();
	if (ops->kbuf_release(imu->priv, imu->nr_pages))
		module_put(ops->owner);
}

/**
 * io_kbuf_update() - IORING_RSRC_UPDATE_BUF
 * @req:		the request
 * @off:		the first entry
 * @len:		how many entries
 * @arg:		has to be 0
 * @issue_flags:	IO_URING_F_*
 *
 * Return: how many buffers were given up, -EOVERFLOW when @off + @len passes 2^32,
 * or -EINVAL when the range ends past the table.
 */
int io_kbuf_update(struct io_kiocb *req, u32 off, u32 len, u64 arg,
		   unsigned int issue_flags)
{
	struct io_ring_ctx *ctx = req->ctx;
	struct io_rsrc_node *node;
	int nr = 0;
	u32 end, i;

	if (arg)
		return -EINVAL;
	if (check_add_overflow(off, len, &end))
		return -EOVERFLOW;
	io_ring_submit_lock(ctx, issue_flags);
	if (end > ctx->buf_table.nr) {
		io_ring_submit_unlock(ctx, issue_flags);
		return -EINVAL;
	}
	for (i = off; i < end; i++) {
		node = io_rsrc_node_lookup(&ctx->buf_table, i);
		if (node && io_kbuf_is_taken(node)) {
			io_reset_rsrc_node(ctx, &ctx->buf_table, i);
			nr++;
		}
		if (i % 64 == 63)
			cond_resched();
	}
	io_ring_submit_unlock(ctx, issue_flags);
	return nr;
}

/* The ring goes. Buffers that other rings have may outlive it. */
void io_kbuf_ring_exit(struct io_ring_ctx *ctx)
{
	const struct io_notif_ops *ops;

	if (!ctx->kbuf_quota)
		return;
	ops = io_notif_pinned_ops();
	if (ops->kbuf_put(ctx->kbuf_quota))
		module_put(ops->owner);
	ctx->kbuf_quota = NULL;
}

void io_kbuf_show_fdinfo(struct io_ring_ctx *ctx, struct seq_file *m)
{
	unsigned long buffers, pages;

	if (!ctx->kbuf_quota)
		return;
	io_notif_pinned_ops()->kbuf_count(ctx->kbuf_quota, &buffers, &pages);
	seq_printf(m, "KernelBufs:\t%lu\n", buffers);
	seq_printf(m, "KernelBufPages:\t%lu\n", pages);
}

/**
 * io_kbuf_owner_get() - whom the buffers of a ring count against
 * @ctx:	the ring
 *
 * Return: the user, with a reference; NULL: they don't count.
 */
struct user_struct *io_kbuf_owner_get(struct io_ring_ctx *ctx)
{
	return ctx->user ? get_uid(ctx->user) : NULL;
}
EXPORT_SYMBOL_GPL(io_kbuf_owner_get);

/* Give io_kbuf_owner_get()'s reference back. */
void io_kbuf_owner_put(struct user_struct *user)
{
	free_uid(user);
}
EXPORT_SYMBOL_GPL(io_kbuf_owner_put);

/**
 * io_kbuf_charge() - count pages against RLIMIT_MEMLOCK
 * @user:	of io_kbuf_owner_get()
 * @nr_pages:	how many
 *
 * Return: 0, or -ENOMEM.
 */
int io_kbuf_charge(struct user_struct *user, unsigned long nr_pages)
{
	return user ? __io_account_mem(user, nr_pages) : 0;
}
EXPORT_SYMBOL_GPL(io_kbuf_charge);

/* Take io_kbuf_charge() back. */
void io_kbuf_uncharge(struct user_struct *user, unsigned long nr_pages)
{
	if (user)
		__io_unaccount_mem(user, nr_pages);
}
EXPORT_SYMBOL_GPL(io_kbuf_uncharge);
