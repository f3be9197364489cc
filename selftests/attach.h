/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A fixture for requests that take long and come back many times: a TCP
 * connection with small buffers for a big one, and a UDP socket on which small
 * ones come and go meanwhile.
 */
#ifndef NOTIF_TEST_ATTACH_H
#define NOTIF_TEST_ATTACH_H

#include "fixture.h"

#define NR_SLOTS	4
/* more than a connection with small buffers takes, several times */
#define BIG_LEN		(1024U << 10)
#define ROUND_LEN	(96U << 10)
#define BIG		REQ(1)
#define SMALL		REQ(0)
#define SMALL_LEN	300

FIXTURE(attach)
{
	struct io_uring ring;
	struct pair tcp;	/* where a big request waits */
	struct pair udp;	/* where a small one is over at once */
	char *data, *got;	/* BIG_LEN bytes */
	size_t received;	/* of the big request */
};

RING_VARIANTS_SQPOLL(attach);

FIXTURE_SETUP(attach)
{
	OPEN_PAIR(&self->tcp, NET_LO, AF_INET, SOCK_STREAM, .full = true);
	OPEN_PAIR(&self->udp, NET_LO, AF_INET, SOCK_DGRAM);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));
	self->data = malloc(BIG_LEN);
	self->got = malloc(BIG_LEN);
	fill_pattern(self->data, BIG_LEN, 9);
}

FIXTURE_TEARDOWN(attach)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
	pair_close(&self->tcp);
	pair_close(&self->udp);
}

static inline struct io_uring_sqe *prep_big(FIXTURE_DATA(attach) *self,
					    unsigned int slot,
					    unsigned int ioprio)
{
	struct io_uring_sqe *sqe;

	sqe = prep_slot_send(&self->ring, self->tcp.tx, self->data, BIG_LEN,
			     slot, ioprio);
	sqe->user_data = BIG;
	return sqe;
}

static inline struct io_uring_sqe *prep_small(FIXTURE_DATA(attach) *self,
					      unsigned int slot,
					      unsigned int ioprio)
{
	return prep_slot_send(&self->ring, self->udp.tx, self->data, SMALL_LEN,
			      slot, ioprio);
}

/*
 * Read the big request's data up to byte @end and have the ring go on with it:
 * 0, -ETIME, or -EILSEQ when other bytes come.
 */
static inline int read_to(FIXTURE_DATA(attach) *self, size_t end)
{
	unsigned int idle_ms = 0;

	while (self->received < end) {
		size_t from = self->received;
		ssize_t n = recv(self->tcp.rx, self->got + from, end - from,
				 MSG_DONTWAIT);

		if (n > 0) {
			if (memcmp(self->got + from, self->data + from, n))
				return -EILSEQ;
			self->received += n;
			idle_ms = 0;
			continue;
		}
		if (idle_ms++ > LOST_MS)
			return -ETIME;
		ring_wait(&self->ring, 0, 0);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	return 0;
}

/*
 * The big request has sent a part again and again, and waits for space once
 * more. A round flushes the slot, then has a small request come and go with a
 * notifier of its own, @_seq.
 */
#define ROUND(_slot, _seq) do {						\
	ASSERT_FLUSH(&self->ring, _slot, 1);				\
	prep_small(self, _slot, IORING_RECVSEND_NOTIF_FLUSH);		\
	ASSERT_SUBMIT(&self->ring, 1);					\
	ASSERT_CQE(&self->ring, SMALL, SMALL_LEN, 0);			\
	ASSERT_NOTIF(&self->ring, TAG(_slot), _seq);			\
	ASSERT_EQ(0, read_to(self, self->received + ROUND_LEN));	\
} while (0)

#endif
