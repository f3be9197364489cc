// SPDX-License-Identifier: GPL-2.0
/* Requests: sends of all kinds, flushes, and cancelling them. */
#include <netinet/udp.h>

#include "data.h"
#include "worker.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT	103
#endif

#define MAX_DATAGRAM	65507U
/* More takes long on a slow machine: only some are as large as can be. */
#define COMMON_SEND	32768U
#define MAX_SENDS	8U	/* in a batch, beside which there may be others */
#define BAD_FD		1000000

/* The batch that is being prepared. */
struct batch {
	struct worker *w;
	struct ring *r;
	struct stream *s;
	bool chain;			/* all of it is linked */
	unsigned int nr;
	struct io_uring_sqe *sqes[MAX_BATCH];
	struct request *reqs[MAX_BATCH];
	__u64 pos;			/* in a stream that goes by position */
};

/* A slot of which everybody knows what is in it; -1 without. */
static int pick_slot(const struct ring *r, struct rnd *rnd)
{
	unsigned int nr = rnd_below(rnd, r->nr_slots), i;

	for (i = 0; i < r->nr_slots; i++)
		if (!r->slots[(nr + i) % r->nr_slots].frozen)
			return (nr + i) % r->nr_slots;
	return -1;
}

static struct io_uring_sqe *prep(struct ring *r, struct request *req,
				 unsigned int opcode)
{
	struct io_uring_sqe *sqe = ring_sqe(&r->ring);

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = opcode;
	sqe->fd = -1;
	sqe->user_data = req->id;
	return sqe;
}

/* Link it to the one before it. */
static void add(struct batch *b, struct io_uring_sqe *sqe, struct request *req)
{
	struct request *prev = b->nr ? b->reqs[b->nr - 1] : NULL;

	if (b->chain && prev) {
		prev->linked = true;
		prev->hard = rnd_one_in(&b->w->rnd, 3) && !b->w->victim;
		prev->next = req;
		req->prev = prev;
		b->sqes[b->nr - 1]->flags |= prev->hard ? IOSQE_IO_HARDLINK :
							  IOSQE_IO_LINK;
	}
	b->sqes[b->nr] = sqe;
	b->reqs[b->nr++] = req;
}

/* Cut the data into pieces. */
static unsigned int cut(struct request *req, struct rnd *rnd, char *buf)
{
	unsigned int nr = rnd_between(rnd, 1, 4), left = req->len, i;

	for (i = 0; i < nr && left; i++) {
		unsigned int n = i == nr - 1 ? left : rnd_size(rnd, left);

		req->iov[i] = (struct iovec){ buf, n };
		buf += n;
		left -= n;
	}
	return i;
}

/* What and how it is sent: a buffer, a vector or a message. */
static void set_data(struct batch *b, struct io_uring_sqe *sqe,
		     struct request *req, char *buf, unsigned int segment)
{
	struct rnd *rnd = &b->w->rnd;
	unsigned int way = segment ? 1 : rnd_below(rnd, 8);
	bool named = b->s->type == SOCK_DGRAM && rnd_one_in(rnd, 4) &&
		     !b->s->local;

	if (req->nr_many) {
		many_prep(sqe, req);
		return;
	}
	sqe->opcode = way == 1 ? IORING_OP_SENDMSG_ZC : IORING_OP_SEND_ZC;
	sqe->addr = (unsigned long)buf;
	sqe->len = req->len;
	if (named && way != 1) {
		sqe->addr2 = (unsigned long)&b->s->net.to;
		sqe->addr_len = b->s->net.to_len;
	}
	if (way > 2)
		return;
	req->msg.msg_iov = req->iov;
	req->msg.msg_iovlen = cut(req, rnd, buf);
	sqe->addr = (unsigned long)req->iov;
	sqe->len = req->msg.msg_iovlen;
	if (way != 1) {
		sqe->ioprio |= IORING_SEND_VECTORIZED;
		return;
	}
	sqe->addr = (unsigned long)&req->msg;
	sqe->len = 1;
	if (named) {
		req->msg.msg_name = &b->s->net.to;
		req->msg.msg_namelen = b->s->net.to_len;
	}
	if (segment) {
		struct cmsghdr *cmsg = (void *)req->control;

		req->msg.msg_control = req->control;
		req->msg.msg_controllen = sizeof(req->control);
		cmsg->cmsg_level = IPPROTO_UDP;
		cmsg->cmsg_type = UDP_SEGMENT;
		cmsg->cmsg_len = CMSG_LEN(sizeof(__u16));
		*(__u16 *)CMSG_DATA(cmsg) = segment;
	}
}

/* Bytes of which the receiver sees that they are right. */
static char *new_data(struct batch *b, struct request *req,
		      unsigned int *segment)
{
	struct rnd *rnd = &b->w->rnd;
	bool gso = rnd_one_in(rnd, 6), many = rnd_one_in(rnd, 4);
	unsigned int part = rnd_between(rnd, MIN_RECORD, 1400);
	unsigned int max = rnd_one_in(rnd, 8) ? MAX_SEND : COMMON_SEND, len;
	char *buf;

	if (b->w->role == ROLE_LIMITED)
		max = COMMON_SEND;

	if (b->s->type == SOCK_STREAM) {
		len = rnd_size(rnd, max);
		buf = request_alloc(b->r, req, rnd, len);
		req->seed = b->s->by_position ? b->s->seed : rnd_next(rnd);
		req->pos = b->s->by_position ? b->pos : 0;
		if (buf)
			data_fill(buf, len, req->seed, req->pos);
		return buf;
	}
	/* what is corked would be one datagram */
	if (many && !b->s->corks)
		return many_data(b->r, req, b->s, rnd, max);
	len = rnd_size(rnd, MAX_DATAGRAM);
	gso = gso && !b->s->corks && len > part;
	if (gso && len > 60 * part)
		len = 60 * part;
	if (b->s->corks && len < MIN_RECORD)
		len = MIN_RECORD;
	buf = request_alloc(b->r, req, rnd, len);
	*segment = gso ? part : 0;
	req->segmented = gso;
	if (buf)
		datagram_fill(buf, len, gso ? part : len, rnd_next(rnd));
	return buf;
}

/* Make it one that can't be: it is refused, or fails as it runs. */
static void spoil(struct batch *b, struct io_uring_sqe *sqe, struct request *req)
{
	unsigned int how = rnd_below(&b->w->rnd, 4);

	req->want = -EINVAL;
	req->kind = KIND_REFUSED;
	switch (how) {
	case 0:
		sqe->notification_idx = MAX_SLOTS;
		break;
	case 1:
		sqe->addr3 = 1;
		break;
	case 2:
		sqe->ioprio &= ~IORING_SEND_ZC_NOTIF_SLOT;
		sqe->ioprio |= IORING_RECVSEND_NOTIF_FLUSH;
		break;
	case 3:
		/* that is looked at later: it attaches */
		req->want = -EBADF;
		req->kind = KIND_SEND;
		sqe->fd = BAD_FD;
		break;
	}
}

static void set_flags(struct batch *b, struct io_uring_sqe *sqe,
		      struct request *req)
{
	bool tcp = b->s->type == SOCK_STREAM;
	struct rnd *rnd = &b->w->rnd;
	bool poll_first = rnd_one_in(rnd, 8) && !b->w->victim;
	bool async = rnd_one_in(rnd, 6), waits;
	bool impatient = req->nr_many && rnd_one_in(rnd, 8);

	req->flush = rnd_one_in(rnd, 3);
	req->report = rnd_one_in(rnd, 4);
	req->fixed = b->r->has_bufs && rnd_one_in(rnd, 2);
	req->skip = !b->r->drains && rnd_one_in(rnd, 4);
	/* without a CQE nobody would know how much was sent */
	waits = rnd_one_in(rnd, 4) || b->w->victim || (tcp && req->skip);
	/* such a slot implies it */
	req->waitall = waits || b->r->slots[req->slot].merges;
	sqe->ioprio |= IORING_SEND_ZC_NOTIF_SLOT |
		       (req->flush ? IORING_RECVSEND_NOTIF_FLUSH : 0) |
		       (req->report ? IORING_SEND_ZC_REPORT_USAGE : 0) |
		       (req->fixed ? IORING_RECVSEND_FIXED_BUF : 0) |
		       (poll_first ? IORING_RECVSEND_POLL_FIRST : 0);
	if (req->fixed)
		sqe->buf_index = req->page / BUF_PAGES;
	sqe->msg_flags = (waits ? MSG_WAITALL : 0) |
			 (impatient ? MSG_DONTWAIT : 0);
	if (tcp ? rnd_one_in(rnd, 8) : b->s->corks && rnd_one_in(rnd, 3))
		sqe->msg_flags |= MSG_MORE;
	if (async)
		sqe->flags |= IOSQE_ASYNC;
	/* a drain makes all others asynchronous, and a chain what is behind */
	req->again = impatient ||
		     (poll_first && (async || b->chain || b->r->drains));
	if (b->r->drains && rnd_one_in(rnd, 10))
		sqe->flags |= IOSQE_IO_DRAIN;
	if (rnd_one_in(rnd, 50) && !b->w->victim)
		spoil(b, sqe, req);
}

static void drop(struct ring *r, struct request *req)
{
	r->nr_batch--;
	request_free(r, req);
}

static bool add_send(struct batch *b)
{
	struct request *req = request_new(b->r, KIND_SEND);
	int slot = pick_slot(b->r, &b->w->rnd);
	struct io_uring_sqe *sqe;
	unsigned int segment = 0;
	char *buf;

	if (!req)
		return false;
	buf = slot < 0 ? NULL : new_data(b, req, &segment);
	if (!buf) {
		drop(b->r, req);
		return false;
	}
	sqe = prep(b->r, req, IORING_OP_SEND_ZC);
	sqe->fd = b->s->net.tx;
	sqe->notification_idx = slot;
	req->slot = slot;
	req->fallback = b->r->slots[slot].copies;
	req->whole = req->nr_many ?: req->len;
	set_data(b, sqe, req, buf, segment);
	set_flags(b, sqe, req);
	req->stream = b->s;
	req->extent = stream_begin(b->s, req->seed);
	b->pos += req->len;
	add(b, sqe, req);
	return true;
}

/* A request that flushes slots; one at most in a batch. */
static void add_update(struct batch *b)
{
	unsigned int off = rnd_below(&b->w->rnd, b->r->nr_slots);
	unsigned int nr = rnd_between(&b->w->rnd, 1, b->r->nr_slots - off), i;
	bool async = rnd_one_in(&b->w->rnd, 6);
	bool skip = rnd_one_in(&b->w->rnd, 3);
	bool tag = rnd_one_in(&b->w->rnd, 4);
	struct io_uring_sqe *sqe;
	struct request *req;

	/* a tag is one slot's, so that its notifications are told apart */
	if (tag)
		nr = 1;
	for (i = off; i < off + nr; i++)
		if (b->r->slots[i].frozen)
			return;
	req = request_new(b->r, KIND_UPDATE);
	if (!req)
		return;
	req->off = off;
	req->nr = nr;
	req->tag = tag ? model_tag(b->r, off) : 0;
	req->later = b->chain || async || b->r->drains;
	req->skip = skip && !req->later;
	sqe = prep(b->r, req, IORING_OP_RSRC_UPDATE);
	sqe->ioprio = IORING_RSRC_UPDATE_NOTIF;
	sqe->off = off;
	sqe->len = nr;
	sqe->addr = req->tag;
	if (async)
		sqe->flags |= IOSQE_ASYNC;
	/* all of a chain attach before it runs, the others perhaps not */
	for (i = off; req->later && !b->chain && i < off + nr; i++)
		b->r->slots[i].frozen = true;
	add(b, sqe, req);
}

/* May a bearer skip its CQE, so that nobody knows what becomes of it? */
static bool may_be_mute(const struct batch *b, const struct request *req,
			unsigned int bears)
{
	return bears == 1 && !b->chain && req->pages <= MUTE_PAGES &&
	       b->r->muted + b->nr <= MAX_MUTED;
}

/* Which CQEs may be left out, and which chains break as they are submitted. */
static void finish(struct batch *b)
{
	bool doomed = false, others = false;
	unsigned int i;

	for (i = 0; i < b->nr; i++)
		doomed |= b->chain && b->reqs[i]->kind == KIND_REFUSED;
	for (i = b->nr; i--;) {
		struct request *req = b->reqs[i];
		unsigned int bears = model_bears(b->r, req);

		req->doomed = doomed;
		/* the end of a stream's chain is to be seen, if late */
		if (b->s->type == SOCK_STREAM && i == b->nr - 1 &&
		    req->kind != KIND_UPDATE)
			req->skip &= req->flush && !req->want;
		/* who fails, and skips, silences what bears for others behind it */
		req->skip &= !others && (!bears || may_be_mute(b, req, bears));
		others |= b->chain && bears > 1;
		req->mute = bears && req->skip;
		if (req->skip)
			b->sqes[i]->flags |= IOSQE_CQE_SKIP_SUCCESS;
	}
	ring_go(b->r);
}

/* A stream has one chain at a time, so that its order is known. */
static struct stream *pick_stream(struct worker *w)
{
	unsigned int nr = rnd_below(&w->rnd, NR_STREAMS), i;

	for (i = 0; i < NR_STREAMS; i++) {
		struct stream *s = &w->streams[(nr + i) % NR_STREAMS];

		if (s->open && s->net.tx >= 0 && !STREAM_IS_FULL(s) &&
		    (s->type == SOCK_DGRAM || !s->busy))
			return s;
	}
	return NULL;
}

void op_send(struct worker *w)
{
	struct batch b = { .w = w, .r = worker_ring(w), .s = pick_stream(w) };
	unsigned int nr = rnd_between(&w->rnd, 1, MAX_SENDS), i;
	bool large = rnd_one_in(&w->rnd, 4);
	unsigned int update = rnd_below(&w->rnd, 4 * MAX_SENDS);

	if (!b.r || !b.s)
		return;
	b.chain = rnd_one_in(&w->rnd, 3) || b.s->type == SOCK_STREAM;
	b.pos = b.s->sent;
	if (b.r->limited)
		nr = 1;
	else if (large)
		add_large(b.r);
	for (i = 0; i < nr; i++) {
		if (!add_send(&b))
			break;
		if (i == update && !b.r->limited)
			add_update(&b);
	}
	if (b.nr || b.r->nr_batch)
		finish(&b);
	if (i < nr)
		flush_all(b.r);
}
