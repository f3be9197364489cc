/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A cell of the matrix of clause 12: a few requests through one notifier, on one
 * kind of ring, by one protocol, running in one way.
 */
#ifndef NOTIF_TEST_CELL_H
#define NOTIF_TEST_CELL_H

#include "rings.h"
#include "paths.h"

#define NR_SLOTS	3
#define NR_REQS		3
#define CHUNK_LEN	1203
#define SEGMENT		500

/* more than a connection takes whose receiver doesn't read */
#define BIG_LEN		(256 << 10)

/* How the requests of a cell run. */
enum run { INLINE, ASYNC, LINKED, DRAINED, POLLED, CANCELLED, NR_RUNS };
/* What holds their data together. */
enum framing { EACH, MORE, CORKED, NR_FRAMINGS };

static const char * const run_names[] = {
	"inline", "IOSQE_ASYNC", "linked", "drained", "poll-armed", "cancelled",
};

static const char * const framing_names[] = { "each", "MSG_MORE", "corked" };

struct cell {
	const struct path *path;
	enum run run;
	enum framing framing;
	bool sendmsg;	/* SENDMSG_ZC, else SEND_ZC */
	bool fixed;	/* registered buffer */
	bool flag;	/* the last request flushes, else a request of its own */
	unsigned int nr;
};

/* Cells that make no sense, each with the reason. */
static inline bool left_out(const struct cell *c)
{
	bool waits = c->run == POLLED || c->run == CANCELLED;

	/* datagrams don't wait for their receiver */
	if (waits && !path_is_stream(c->path))
		return true;
	/* those are about one request */
	if (waits && c->framing != EACH)
		return true;
	/* two that both find the datagram not begun: UDP refuses one of them */
	if (c->run == ASYNC && c->framing == CORKED && !path_is_stream(c->path))
		return true;
	/* vsock looks at neither */
	if (c->path->family == AF_VSOCK && c->framing != EACH)
		return true;
	/* io-wq keeps no order, so no request is the last that ends the packet */
	return c->run == ASYNC && c->framing == MORE;
}

FIXTURE(matrix)
{
	const struct ring_kind *kind;
	struct io_uring ring;
	struct pair net, full;
	char *data;		/* BIG_LEN bytes, and registered buffer 0 */
	char *got;
	unsigned int seq[NR_SLOTS];
	/* of the cell's requests */
	struct msghdr msg[NR_REQS];
	struct iovec iov[NR_REQS][2];
	char control[NR_REQS][CMSG_SPACE(sizeof(__u16))];
};

RING_KINDS(matrix);

FIXTURE_SETUP(matrix)
{
	struct iovec iov = { .iov_len = BIG_LEN };

	self->kind = &variant->kind;
	self->net = (struct pair){ .tx = -1, .rx = -1 };
	self->full = self->net;
	self->data = malloc(BIG_LEN);
	self->got = malloc(BIG_LEN);
	fill_pattern(self->data, BIG_LEN, 12);
	iov.iov_base = self->data;
	ASSERT_EQ(0, kind_init(&self->ring, &variant->kind, NR_SLOTS, &iov));
}

FIXTURE_TEARDOWN(matrix)
{
	ring_exit(&self->ring);
	pair_close(&self->net);
	pair_close(&self->full);
}

#define IN_CELL								\
	TH_LOG("in the cell: %s %s %s %s %s flushed by %s", c->path->name, \
	       run_names[c->run], framing_names[c->framing],		\
	       c->sendmsg ? "SENDMSG_ZC" : "SEND_ZC",			\
	       c->fixed ? "registered" : "plain",			\
	       c->flag ? "flag" : "update")

static inline unsigned int cell_slot(const struct cell *c)
{
	return c->nr % NR_SLOTS;
}

/* Bytes of their own for each cell, and across pages. */
static inline char *chunk(FIXTURE_DATA(matrix) *self, const struct cell *c,
			  unsigned int i)
{
	return self->data + 3500 + c->nr * 13 + i * CHUNK_LEN;
}

/* Request number @i of the cell, for all that has nothing to do with its run. */
static inline struct io_uring_sqe *
prep_part(FIXTURE_DATA(matrix) *self, const struct cell *c, unsigned int i,
	  int fd, char *buf, size_t len, bool last)
{
	unsigned int ioprio = (c->fixed ? IORING_RECVSEND_FIXED_BUF : 0) |
			      (c->flag && last ? IORING_RECVSEND_NOTIF_FLUSH : 0);
	struct msghdr *msg = &self->msg[i];
	struct io_uring_sqe *sqe;

	if (c->sendmsg) {
		self->iov[i][0] = (struct iovec){ buf, 700 };
		self->iov[i][1] = (struct iovec){ buf + 700, len - 700 };
		*msg = (struct msghdr){ .msg_iov = self->iov[i],
					.msg_iovlen = 2 };
		if (c->path->segment)
			msg_set_segment(msg, self->control[i], c->path->segment);
		sqe = prep_slot_sendmsg(&self->ring, fd, msg, cell_slot(c),
					ioprio);
	} else {
		sqe = prep_slot_send(&self->ring, fd, buf, len, cell_slot(c),
				     ioprio);
	}
	if (c->framing == MORE && !last)
		sqe->msg_flags |= MSG_MORE;
	sqe->user_data = REQ(i);
	return sqe;
}

/* The next CQE is this cell's notification. */
static inline void expect_notif(struct __test_metadata *_metadata,
				FIXTURE_DATA(matrix) *self, const struct cell *c,
				const struct io_uring_cqe *cqe)
{
	unsigned int slot = cell_slot(c);

	ASSERT_EQ(TAG(slot), cqe->user_data) IN_CELL;
	ASSERT_EQ(0, cqe->res) IN_CELL;
	ASSERT_EQ(kind_flags(self->kind, self->seq[slot]), cqe->flags) IN_CELL;
	self->seq[slot]++;
}

/*
 * The requests are over: flush unless one of them did. No IOSQE_CQE_SKIP_SUCCESS
 * here: the ring would refuse IOSQE_IO_DRAIN from then on.
 */
static inline void finish_notifier(struct __test_metadata *_metadata,
				   FIXTURE_DATA(matrix) *self, const struct cell *c,
				   bool flushed)
{
	struct io_uring_cqe cqe;

	if (!flushed) {
		prep_flush(&self->ring, cell_slot(c), 1, 0);
		ASSERT_EQ(1, ring_submit(&self->ring)) IN_CELL;
	}
	ASSERT_EQ(0, ring_next(&self->ring, &cqe)) IN_CELL;
	if (!flushed && cqe.user_data == FLUSH_REQ) {
		ASSERT_EQ(1, cqe.res) IN_CELL;
		ASSERT_EQ(0, ring_next(&self->ring, &cqe)) IN_CELL;
		flushed = true;
	}
	expect_notif(_metadata, self, c, &cqe);
	if (flushed)
		return;
	ASSERT_EQ(0, ring_next(&self->ring, &cqe)) IN_CELL;
	ASSERT_EQ(FLUSH_REQ, cqe.user_data) IN_CELL;
	ASSERT_EQ(1, cqe.res) IN_CELL;
}

#endif
