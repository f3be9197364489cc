// SPDX-License-Identifier: GPL-2.0 OR MIT
/* The sender's buffers and requests; see sender.h. */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "sender.h"

#define SLOT_TAG	(~0ULL)
#define FLUSH_TAG	(~0ULL - 1)

/*
 * The slot flushes itself: request n is attached to notifier n / per_notif,
 * whatever becomes of it, and there is nothing else to keep track of. With merge
 * each request is the one that flushes.
 */
static int register_slot(struct sender *s)
{
	struct io_uring_notif_slot slot = {
		.tag = SLOT_TAG,
		.flush_after = s->opt->per_notif,
	};
	struct io_uring_notif_caps caps;
	int ret = io_uring_notif_query(&caps);

	if (s->mode == MODE_MERGE) {
		slot.flags = IORING_NOTIF_SLOT_MERGE;
		slot.flush_after = 1;
	}
	if (!ret && slot.flags & ~caps.slot_flags)
		ret = -EOPNOTSUPP;
	return ret ?: io_uring_notif_register(&s->ring, &slot, 1, 0);
}

/* Buffers for several notifiers, so that the next one needs not wait. */
static int make_pool(struct sender *s)
{
	const struct options *opt = s->opt;
	unsigned int i;

	s->nr_bufs = 4 * (opt->batch > opt->per_notif ? opt->batch :
			  opt->per_notif);
	s->nr_reqs = 2 * s->nr_bufs;
	s->bufs = calloc(s->nr_bufs, sizeof(*s->bufs));
	s->reqs = calloc(s->nr_reqs, sizeof(*s->reqs));
	s->queue = calloc(s->nr_bufs, sizeof(*s->queue));
	s->pool = mmap(NULL, (size_t)s->nr_bufs * opt->bytes,
		       PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (!s->bufs || !s->reqs || !s->queue || s->pool == MAP_FAILED)
		return -ENOMEM;
	for (i = 0; i < s->nr_bufs; i++)
		s->bufs[i].data = s->pool + (size_t)i * opt->bytes;
	return 0;
}

static void free_pool(struct sender *s)
{
	if (s->pool != MAP_FAILED)
		munmap(s->pool, (size_t)s->nr_bufs * s->opt->bytes);
	free(s->bufs);
	free(s->reqs);
	free(s->queue);
}

static int make_ring(struct sender *s)
{
	struct iovec iov = { s->pool, (size_t)s->nr_bufs * s->opt->bytes };
	struct io_uring_params p = {
		.flags = IORING_SETUP_SINGLE_ISSUER |
			 IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
		.cq_entries = 2 * s->nr_reqs,
	};
	int ret = io_uring_queue_init_params(s->opt->batch + 1, &s->ring, &p);

	if (ret)
		return ret;
	if (!s->opt->plain && s->mode != MODE_COPY)
		ret = io_uring_register_buffers(&s->ring, &iov, 1);
	if (!ret && s->mode >= MODE_SLOT)
		ret = register_slot(s);
	if (ret)
		io_uring_queue_exit(&s->ring);
	return ret;
}

int sender_open(struct sender *s)
{
	int ret = make_pool(s) ?: make_ring(s);

	if (ret)
		free_pool(s);
	return ret;
}

void sender_close(struct sender *s)
{
	io_uring_queue_exit(&s->ring);
	free_pool(s);
}

/* A buffer to fill; the caller knows that there is one. */
struct buffer *get_buffer(struct sender *s)
{
	struct buffer *buf = s->bufs;

	while (buf->used)
		buf++;
	buf->used = true;
	buf->sent = 0;
	s->used_bufs++;
	return buf;
}

/* The kernel has let go of a request. */
static void put_request(struct sender *s, struct request *req)
{
	struct buffer *buf = req->buf;

	req->buf = NULL;
	s->used_reqs--;
	if (--buf->requests || buf->sent < buf->len)
		return;
	buf->used = false;
	s->used_bufs--;
}

static struct request *get_request(struct sender *s, struct buffer *buf)
{
	struct request *req = s->reqs;

	while (req->buf)
		req++;
	req->buf = buf;
	buf->requests++;
	s->used_reqs++;
	return req;
}

/* Send what is left of a buffer, the @first request of a chain or its @last. */
void prep_request(struct sender *s, struct buffer *buf, bool first, bool last)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&s->ring);
	struct request *req = get_request(s, buf);
	unsigned int zc_flags = IORING_SEND_ZC_REPORT_USAGE;
	char *data = buf->data + buf->sent;
	unsigned int len = buf->len - buf->sent;

	if (!s->opt->plain)
		zc_flags |= IORING_RECVSEND_FIXED_BUF;
	if (s->mode >= MODE_SLOT) {
		zc_flags |= IORING_SEND_ZC_NOTIF_SLOT;
		req->seq = s->attached++ / s->opt->per_notif;
	}
	if (s->mode == MODE_COPY)
		io_uring_prep_send(sqe, s->data, data, len, MSG_WAITALL);
	else
		io_uring_prep_send_zc(sqe, s->data, data, len, MSG_WAITALL,
				      zc_flags);
	if (!last)
		sqe->flags |= IOSQE_IO_LINK;
	sqe->user_data = req - s->reqs;
	s->out->requests++;
	if (s->mode != MODE_MERGE) {
		s->chain++;
		return;
	}
	/* it is on its way, and whole */
	buf->sent = buf->len;
	if (first)
		sqe->flags |= IOSQE_IO_DRAIN;
}

/* The last notifier has fewer requests than it waits for. */
void prep_last_flush(struct sender *s)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&s->ring);

	io_uring_notif_prep_flush(sqe, 0, 1, 0);
	sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
	sqe->user_data = FLUSH_TAG;
}

static void on_notification(struct sender *s, const struct io_uring_cqe *cqe)
{
	__u16 seq = cqe->flags >> IO_URING_NOTIF_SEQ_SHIFT;
	unsigned int i;

	s->out->notifications++;
	if (cqe->res & IORING_NOTIF_USAGE_ZC_COPIED)
		s->out->copied++;
	if (s->mode == MODE_SEND_ZC) {
		put_request(s, &s->reqs[cqe->user_data]);
		return;
	}
	for (i = 0; i < s->nr_reqs; i++)
		if (s->reqs[i].buf && s->reqs[i].seq == seq)
			put_request(s, &s->reqs[i]);
}

/* All that becomes of a request is in its one CQE. */
static void on_merged(struct sender *s, const struct io_uring_cqe *cqe)
{
	struct request *req = &s->reqs[cqe->user_data];

	s->out->notifications++;
	if (cqe->flags & IORING_CQE_F_ZC_COPIED)
		s->out->copied++;
	/* the rest of its chain is cancelled */
	if (!s->error && cqe->res != (int)req->buf->len)
		s->error = cqe->res < 0 ? cqe->res : -EIO;
	put_request(s, req);
}

static void on_cqe(struct sender *s, const struct io_uring_cqe *cqe)
{
	struct request *req;

	s->out->cqes++;
	if (cqe->flags & IORING_CQE_F_NOTIF) {
		on_notification(s, cqe);
		return;
	}
	if (s->mode == MODE_MERGE) {
		on_merged(s, cqe);
		return;
	}
	/* only one that failed has a CQE */
	if (cqe->user_data == FLUSH_TAG) {
		s->error = cqe->res;
		return;
	}
	req = &s->reqs[cqe->user_data];
	s->chain--;
	if (cqe->res >= 0)
		req->buf->sent += cqe->res;
	else if (cqe->res != -ECANCELED && cqe->res != -EINTR)
		s->error = cqe->res;
	/* a notification that was promised comes on its own */
	if (s->mode != MODE_SLOT && !(cqe->flags & IORING_CQE_F_MORE))
		put_request(s, req);
}

/* Submit what is prepared, wait for a CQE and take all that are there. */
int submit_and_reap(struct sender *s)
{
	struct io_uring_cqe *cqe;
	unsigned int head, nr = 0;
	int ret = io_uring_submit_and_wait(&s->ring, 1);

	if (ret < 0 && ret != -EINTR)
		return ret;
	io_uring_for_each_cqe(&s->ring, head, cqe) {
		on_cqe(s, cqe);
		nr++;
	}
	io_uring_cq_advance(&s->ring, nr);
	return s->error;
}
