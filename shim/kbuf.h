/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Kernel-owned buffers: IORING_OP_GET_BUF takes what a socket has received, or the
 * pages of a file, into the ring's buffer table.
 *
 * io_uring calls the functions of the first part. The module (../rust) counts what
 * such buffers hold, see the kbuf_* of struct io_notif_ops.
 */
#ifndef IOU_NOTIF_KBUF_H
#define IOU_NOTIF_KBUF_H

#include <linux/io_uring_types.h>
#include <linux/uio.h>

struct io_kbuf_filling;
struct io_kbuf_quota;
struct file;
struct io_mapped_ubuf;
struct io_rsrc_node;
struct page;
struct seq_file;
struct sock;
struct user_struct;

/* What is in the entry of the buffer table that a buffer is to go to. */
enum io_kbuf_place {
	IO_KBUF_PLACE_EMPTY,
	/* a buffer of IORING_OP_GET_BUF */
	IO_KBUF_PLACE_TAKEN,
	/* one of the program's own, or a driver's */
	IO_KBUF_PLACE_OTHER,
};

/**
 * struct io_kbuf_take - a buffer that is being filled
 * @node:	the buffer
 * @nr:		how many segments it has
 * @left:	bytes that it may still take
 * @head:	where the program wants a copy of the first bytes
 * @filling:	what the module counts its pages with
 * @spare:	pages that count already, and that the buffer does not hold yet
 * @nr_pages:	what the module counted, once the buffer is filled
 */
struct io_kbuf_take {
	struct io_rsrc_node	*node;
	unsigned int		nr;
	size_t			left;
	struct iov_iter		head;
	struct io_kbuf_filling	*filling;
	unsigned int		spare;
	unsigned int		nr_pages;
};

#if IS_ENABLED(CONFIG_IO_URING_NOTIF)

/* getbuf.c */
int io_get_buf_prep(struct io_kiocb *req, const struct io_uring_sqe *sqe);
int io_get_buf(struct io_kiocb *req, unsigned int issue_flags);

/* kbuf.c */
void io_kbuf_release(struct io_mapped_ubuf *imu);
int io_kbuf_update(struct io_kiocb *req, u32 off, u32 len, u64 arg,
		   unsigned int issue_flags);
void io_kbuf_ring_exit(struct io_ring_ctx *ctx);
void io_kbuf_show_fdinfo(struct io_ring_ctx *ctx, struct seq_file *m);

#else /* CONFIG_IO_URING_NOTIF */

static inline void io_kbuf_release(struct io_mapped_ubuf *imu)
{
}

static inline int io_kbuf_update(struct io_kiocb *req, u32 off, u32 len,
				 u64 arg, unsigned int issue_flags)
{
	return -EINVAL;
}

static inline void io_kbuf_ring_exit(struct io_ring_ctx *ctx)
{
}

static inline void io_kbuf_show_fdinfo(struct io_ring_ctx *ctx,
				       struct seq_file *m)
{
}

#endif /* CONFIG_IO_URING_NOTIF */

/* For the parts of the shim. */

/* Fills a buffer; returns how many bytes it took, 0 at the end, or why none. */
typedef ssize_t (io_kbuf_source)(struct io_kbuf_take *take, void *from);

/* kbuf.c */
int io_kbuf_check(struct io_ring_ctx *ctx, unsigned int index, bool replace);
struct io_rsrc_node *io_kbuf_begin(struct io_ring_ctx *ctx,
				   struct io_kbuf_take *take, size_t len);
ssize_t io_kbuf_fill(struct io_ring_ctx *ctx, struct io_kbuf_take *take,
		     io_kbuf_source *source, void *from);
void io_kbuf_install(struct io_ring_ctx *ctx, unsigned int index,
		     struct io_rsrc_node *node);
int io_kbuf_make_room(struct io_kbuf_take *take, unsigned int nr_pages);

/* For the module. */
ssize_t io_kbuf_run(struct io_kbuf_take *take, io_kbuf_source *source,
		    void *from, struct io_kbuf_filling *filling);
struct user_struct *io_kbuf_owner_get(struct io_ring_ctx *ctx);
void io_kbuf_owner_put(struct user_struct *user);
int io_kbuf_charge(struct user_struct *user, unsigned long nr_pages);
void io_kbuf_uncharge(struct user_struct *user, unsigned long nr_pages);

#endif
