// SPDX-License-Identifier: GPL-2.0
/* Requests that are no sends: they flush, cancel, or take more room than others. */
#include "worker.h"

static struct io_uring_sqe *prep_update(struct ring *r, struct request *req,
					__u64 off, unsigned int nr, __u64 tag)
{
	struct io_uring_sqe *sqe = prep_flush(&r->ring, off, nr, tag);

	sqe->user_data = req->id;
	req->off = off;
	req->nr = nr;
	req->tag = tag;
	return sqe;
}

/* Slots from @first on that no update is about to flush. */
static unsigned int known_slots(const struct ring *r, unsigned int first)
{
	unsigned int nr = 0;

	while (first + nr < r->nr_slots && !r->slots[first + nr].frozen)
		nr++;
	return nr;
}

void flush_all(struct ring *r)
{
	unsigned int off = 0;

	while (off < r->nr_slots) {
		unsigned int nr = known_slots(r, off);
		struct request *req = nr ? request_new(r, KIND_UPDATE) : NULL;

		if (req) {
			req->later = r->drains;
			prep_update(r, req, off, nr, 0);
			ring_go(r);
		}
		off += nr + 1;
	}
	ring_wait(&r->ring, 1, 1);
	ring_reap(r);
}

/* Slots that aren't there. */
static void flush_badly(struct ring *r, struct rnd *rnd)
{
	struct request *req = request_new(r, KIND_UPDATE);
	unsigned int how = rnd_below(rnd, 3);

	if (!req)
		return;
	/* drained, it may find no slots at all while others are registered */
	if (r->drains && how == 2)
		how = 0;
	/* never there, also if others are registered before it is done */
	if (how == 0)
		prep_update(r, req, MAX_SLOTS, 1, 0);
	else if (how == 1)
		prep_update(r, req, 0, 0, 0);
	else
		prep_update(r, req, UINT32_MAX, 2, 0);
	req->want = how == 2 ? -EOVERFLOW : -EINVAL;
	ring_go(r);
}

void op_flush(struct worker *w)
{
	struct ring *r = worker_ring(w);
	struct rnd *rnd = &w->rnd;
	bool badly = rnd_one_in(rnd, 16), async = rnd_one_in(rnd, 6);
	bool skip = rnd_one_in(rnd, 3), tag = rnd_one_in(rnd, 4);
	struct io_uring_sqe *sqe;
	struct request *req;
	unsigned int off, nr;

	if (!r)
		return;
	if (badly) {
		flush_badly(r, rnd);
		return;
	}
	off = rnd_below(rnd, r->nr_slots);
	nr = known_slots(r, off);
	if (!nr)
		return;
	/* a tag is one slot's, so that its notifications are told apart */
	nr = tag ? 1 : rnd_between(rnd, 1, nr);
	req = request_new(r, KIND_UPDATE);
	if (!req)
		return;
	async &= !r->limited;
	req->later = async || r->drains;
	req->skip = skip && !req->later;
	sqe = prep_update(r, req, off, nr, tag ? model_tag(r, off) : 0);
	sqe->flags = (async ? IOSQE_ASYNC : 0) |
		     (req->skip ? IOSQE_CQE_SKIP_SUCCESS : 0);
	ring_go(r);
}

/* Cancel one request, all of a socket, or all there are. */
void op_cancel(struct worker *w)
{
	unsigned int first = rnd_below(&w->rnd, MAX_REQUESTS), i;
	unsigned int how = rnd_below(&w->rnd, 4);
	struct request *victim = NULL, *req;
	struct ring *r = worker_ring(w);
	struct io_uring_sqe *sqe;

	/* one that is drained would cancel what is yet to be sent, too */
	if (!r || r->drains)
		return;
	for (i = 0; i < MAX_REQUESTS && !victim; i++) {
		struct request *one = &r->requests[(first + i) % MAX_REQUESTS];

		if (one->id && !one->over && one->kind != KIND_CANCEL)
			victim = one;
	}
	if (!victim)
		return;
	req = request_new(r, KIND_CANCEL);
	if (!req)
		return;
	sqe = ring_sqe(&r->ring);
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_ASYNC_CANCEL;
	sqe->user_data = req->id;
	sqe->fd = -1;
	sqe->addr = victim->id;
	if (how == 0) {
		sqe->cancel_flags = IORING_ASYNC_CANCEL_ANY;
	} else if (how == 1 && victim->stream && victim->stream->net.tx >= 0) {
		sqe->fd = victim->stream->net.tx;
		sqe->cancel_flags = IORING_ASYNC_CANCEL_FD |
				    IORING_ASYNC_CANCEL_ALL;
	} else {
		victim->cancelled = true;
	}
	if (sqe->cancel_flags)
		model_cancelled(r);
	ring_go(r);
}

void add_large(struct ring *r)
{
	bool mixed = r->ring.flags & IORING_SETUP_SQE_MIXED, wraps;
	struct io_uring_sqe *sqe;
	struct request *req;

	if (!(r->ring.flags & IORING_SETUP_CQE_MIXED))
		return;
	req = request_new(r, KIND_NOP);
	if (!req)
		return;
	sqe = ring_sqe(&r->ring);
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_NOP;
	sqe->fd = -1;
	sqe->user_data = req->id;
	/* its halves may not be the last and the first of the queue */
	wraps = sqe == r->ring.sq.sqes + *r->ring.sq.kring_mask;
	sqe->nop_flags = IORING_NOP_CQE32;
	if (mixed && !wraps) {
		sqe->opcode = IORING_OP_NOP128;
		memset(ring_sqe(&r->ring), 0xff, sizeof(*sqe));
	}
}
