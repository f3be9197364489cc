/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A fixture of slots that merge, of a socket whose data is free at once, and of one
 * whose data is not until the receiver reads.
 */
#ifndef NOTIF_TEST_MERGE_H
#define NOTIF_TEST_MERGE_H

#include "answers.h"
#include "mergeslots.h"

#define FLUSH		IORING_RECVSEND_NOTIF_FLUSH
#define NOP_DONE	0x3000ULL

/* more than a receiver takes that doesn't read */
#define BIG_LEN		(512U << 10)
#define SMALL_LEN	300

FIXTURE(merge)
{
	struct io_uring ring;
	struct pair udp;	/* its data is free at once */
	struct pair tcp;	/* its receiver doesn't read by itself */
	char *data;		/* BIG_LEN bytes, and registered buffer 0 */
};

FIXTURE_VARIANT(merge)
{
	unsigned int setup;
	bool fixed;
};

FIXTURE_VARIANT_ADD(merge, plain) { .setup = 0 };
FIXTURE_VARIANT_ADD(merge, defer) { .setup = RING_DEFER };
FIXTURE_VARIANT_ADD(merge, sqpoll) { .setup = IORING_SETUP_SQPOLL };
FIXTURE_VARIANT_ADD(merge, plain_fixed) { .setup = 0, .fixed = true };
FIXTURE_VARIANT_ADD(merge, defer_fixed) { .setup = RING_DEFER, .fixed = true };
FIXTURE_VARIANT_ADD(merge, sqpoll_fixed) {
	.setup = IORING_SETUP_SQPOLL, .fixed = true
};

FIXTURE_SETUP(merge)
{
	struct iovec iov = { .iov_len = BIG_LEN };

	OPEN_PAIR(&self->udp, NET_LO, AF_INET, SOCK_DGRAM);
	OPEN_PAIR(&self->tcp, NET_LO, AF_INET, SOCK_STREAM, .unread = true);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	self->data = map_pages(BIG_LEN);
	ASSERT_NE(NULL, self->data);
	fill_pattern(self->data, BIG_LEN, 41);
	iov.iov_base = self->data;
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	ASSERT_EQ(0, register_merge_slots(&self->ring, false));
}

/* Whatever the test was about: nothing is posted twice or too much. */
FIXTURE_TEARDOWN(merge)
{
	if (self->ring.ring_fd >= 0) {
		ring_wait(&self->ring, 0, 0);
		EXPECT_TRUE(ring_empty(&self->ring))
			TH_LOG("a CQE that the test did not expect");
		ring_exit(&self->ring);
	}
	pair_close(&self->udp);
	pair_close(&self->tcp);
}

/* A part of the data, in the buffer as the variant has it. */
#define SEND(_pair, _off, _len, _slot, _ioprio)				\
	prep_slot_send(&self->ring, (_pair)->tx, self->data + (_off), _len, \
		       _slot, (_ioprio) |				\
		       (variant->fixed ? IORING_RECVSEND_FIXED_BUF : 0))

/* A small request that is over at once, and its memory free. */
#define SEND_SMALL(_slot, _ioprio)	SEND(&self->udp, 0, SMALL_LEN, _slot, _ioprio)

/* One that is queued at once, and whose memory isn't free until all is read. */
#define SEND_BIG(_slot, _ioprio)	SEND(&self->tcp, 0, BIG_LEN, _slot, _ioprio)

/* The next CQE is the one of a bearer: of the request and the notification. */
#define ASSERT_MERGED(_user_data, _res)					\
	ASSERT_CQE(&self->ring, _user_data, _res, 0)

#define ASSERT_SMALL_RECEIVED()						\
	ASSERT_RECEIVED(&self->udp, self->data, SMALL_LEN)
#define ASSERT_BIG_RECEIVED()						\
	ASSERT_RECEIVED(&self->tcp, self->data, BIG_LEN)

/*
 * So many notifiers of @_slot have been flushed up to now: an explicit flush, which
 * no request bears, posts a notification with the next number.
 */
#define ASSERT_SLOT_FLUSHED(_slot, _nr) do {				\
	SEND_SMALL(_slot, 0)->user_data = REQ(77);			\
	ASSERT_SUBMIT(&self->ring, 1);					\
	ASSERT_CQE(&self->ring, REQ(77), SMALL_LEN, 0);			\
	ASSERT_FLUSH(&self->ring, _slot, 1);				\
	ASSERT_NOTIF(&self->ring, TAG(_slot), _nr);			\
	ASSERT_SMALL_RECEIVED();					\
} while (0)

/* A request that fails, or not, and has nothing to do with slots. */
static inline struct io_uring_sqe *prep_nop(struct io_uring *ring, int res)
{
	struct io_uring_sqe *sqe = ring_sqe(ring);

	*sqe = (struct io_uring_sqe){
		.opcode = IORING_OP_NOP,
		.fd = -1,
		.nop_flags = IORING_NOP_INJECT_RESULT,
		.len = res,
		.user_data = NOP_DONE,
	};
	return sqe;
}

#endif
