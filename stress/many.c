// SPDX-License-Identifier: GPL-2.0
/* Many datagrams in one request. */
#include "model.h"
#include "stream.h"

/* Of one of them; and how many segments the network may cut one into. */
#define MAX_LEN		9000U
#define MAX_SEGMENTS	20U

/* How long each is, and in which parts; how much that is in all. */
static unsigned int draw_lengths(struct request *req, const struct stream *s,
				 struct rnd *rnd, unsigned int max)
{
	unsigned int nr = rnd_size(rnd, MAX_MANY), total = 0, i;

	for (i = 0; i < nr; i++) {
		unsigned int part = rnd_between(rnd, MIN_RECORD, 1400);
		struct io_uring_dgram *one = &req->many[i];
		bool gso = rnd_one_in(rnd, 6) && !s->local;

		one->len = rnd_size(rnd, gso ? MAX_SEGMENTS * part : MAX_LEN);
		if (total + one->len > max)
			break;
		if (gso && one->len > part)
			one->gso_size = part;
		if (rnd_one_in(rnd, 4) && !s->local) {
			one->name = (unsigned long)&s->net.to;
			one->name_len = s->net.to_len;
		}
		req->segmented |= one->gso_size;
		total += one->len;
	}
	req->nr_many = i;
	return total;
}

char *many_data(struct ring *r, struct request *req, const struct stream *s,
		struct rnd *rnd, unsigned int max)
{
	unsigned int total = draw_lengths(req, s, rnd, max), i;
	char *buf = request_alloc(r, req, rnd, total), *to = buf;

	for (i = 0; buf && i < req->nr_many; i++) {
		struct io_uring_dgram *one = &req->many[i];

		one->addr = (unsigned long)to;
		datagram_fill(to, one->len, one->gso_size ?: one->len,
			      rnd_next(rnd));
		to += one->len;
	}
	return buf;
}

void many_prep(struct io_uring_sqe *sqe, const struct request *req)
{
	sqe->opcode = IORING_OP_SEND_ZC;
	sqe->ioprio = IORING_SEND_ZC_MANY;
	sqe->addr = (unsigned long)req->many;
	sqe->len = req->nr_many;
}
