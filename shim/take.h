/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Kernel-owned buffers: what fills them. Walks the skbs of a socket, the page cache of
 * a file, and the buffers of a pipe, and takes references to their pages.
 */
#ifndef IOU_NOTIF_TAKE_H
#define IOU_NOTIF_TAKE_H

#include <linux/bvec.h>
#include <linux/minmax.h>
#include <linux/mm.h>

#include "../../rsrc.h"
#include "kbuf.h"

struct file;
struct sock;

/* take_tcp.c */
struct io_take_tcp {
	struct sock		*sk;
	/* there was more than was taken */
	bool			more;

	/* for take_tcp.c only */
	struct io_kbuf_take	*take;
	bool			full;
};

ssize_t io_take_from_tcp(struct io_kbuf_take *take, void *from);
int io_take_wait_tcp(struct sock *sk, bool nonblock);

/* take_file.c */
struct io_take_file {
	struct file		*file;
	/* where to begin, and then where to go on */
	loff_t			pos;
};

ssize_t io_take_from_cache(struct io_kbuf_take *take, void *from);
ssize_t io_take_from_file(struct io_kbuf_take *take, void *from);

/*
 * Add a part of a compound page, without a reference to it. It needs one if this is 0;
 * 1: it goes on where the last segment ends, which has one. -ENOMEM if there's no room
 * for it or RLIMIT_MEMLOCK is reached.
 */
static inline int io_take_add(struct io_kbuf_take *take, struct page *page,
			      unsigned int offset, unsigned int len)
{
	struct io_mapped_ubuf *imu = take->node->buf;
	struct page *head = compound_head(page);
	unsigned int nr_pages = compound_nr(head);
	struct bio_vec *last;
	int ret;

	offset += (page - head) << PAGE_SHIFT;
	if (take->nr) {
		last = &imu->bvec[take->nr - 1];
		/* what the buffer holds in whole counts once */
		if (last->bv_page == head)
			nr_pages = 0;
		if (last->bv_page == head &&
		    last->bv_offset + last->bv_len == offset) {
			last->bv_len += len;
			take->left -= len;
			return 1;
		}
	}
	if (unlikely(take->nr == imu->nr_bvecs || nr_pages > take->spare)) {
		ret = io_kbuf_make_room(take, nr_pages);
		if (ret)
			return ret;
		imu = take->node->buf;
	}
	take->spare -= nr_pages;
	bvec_set_page(&imu->bvec[take->nr++], head, len, offset);
	take->left -= len;
	return 0;
}

/* The same, with a reference. 0 or -ENOMEM. */
static inline int io_take_page(struct io_kbuf_take *take, struct page *page,
			       unsigned int offset, unsigned int len)
{
	int ret = io_take_add(take, page, offset, len);

	if (!ret)
		get_page(page);
	return min(ret, 0);
}

#endif
