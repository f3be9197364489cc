/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A fixture for data that the kernel cannot let go of yet: a TCP connection
 * whose receiver has not read, with more sent than its window takes. What is
 * beyond the window stays at the sender, with its notifier, until the test
 * reads: nothing here depends on time.
 */
#ifndef NOTIF_TEST_STREAM_H
#define NOTIF_TEST_STREAM_H

#include "fixture.h"

#define NR_SLOTS	4
#define DATA_LEN	(512 << 10)
#define DATA_SEED	3

FIXTURE(stream)
{
	struct io_uring ring;
	struct pair net;
	char *data;	/* DATA_LEN bytes of pages of their own */
	char *want;	/* a copy that is never sent */
};

FIXTURE_VARIANT(stream)
{
	unsigned int setup;
	enum net_link link;
	bool fixed;		/* data is registered buffer 0 */
};

#define STREAM_VARIANTS(name, ...)					\
	FIXTURE_VARIANT_ADD(stream, name##_plain) {			\
		.setup = 0, __VA_ARGS__					\
	};								\
	FIXTURE_VARIANT_ADD(stream, name##_defer) {			\
		.setup = RING_DEFER, __VA_ARGS__			\
	}

STREAM_VARIANTS(lo, .link = NET_LO);
STREAM_VARIANTS(lo_fixed, .link = NET_LO, .fixed = true);
STREAM_VARIANTS(nic, .link = NET_NIC);
STREAM_VARIANTS(nic_fixed, .link = NET_NIC, .fixed = true);

FIXTURE_SETUP(stream)
{
	struct iovec iov = { .iov_len = DATA_LEN };

	OPEN_PAIR(&self->net, variant->link, AF_INET, SOCK_STREAM,
		  .unread = true);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	self->data = mmap(NULL, DATA_LEN, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->data);
	self->want = malloc(DATA_LEN);
	fill_pattern(self->data, DATA_LEN, DATA_SEED);
	memcpy(self->want, self->data, DATA_LEN);
	iov.iov_base = self->data;
	if (variant->fixed)
		ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));
}

FIXTURE_TEARDOWN(stream)
{
	if (self->ring.ring_fd >= 0) {
		ring_wait(&self->ring, 0, 0);
		EXPECT_TRUE(ring_empty(&self->ring))
			TH_LOG("a CQE that the test did not expect");
		ring_exit(&self->ring);
	}
	pair_close(&self->net);
}

/* A part of the data through @slot, from the buffer as the variant has it. */
#define STREAM_SEND(_off, _len, _slot, _ioprio)				\
	prep_slot_send(&self->ring, self->net.tx, self->data + (_off), _len, \
		       _slot, (_ioprio) |				\
		       (variant->fixed ? IORING_RECVSEND_FIXED_BUF : 0))

/* All of the data in one request that has succeeded and is in flight. */
#define ASSERT_ALL_IN_FLIGHT(_slot, _ioprio) do {			\
	STREAM_SEND(0, DATA_LEN, _slot, _ioprio);			\
	ASSERT_SUBMIT(&self->ring, 1);					\
	ASSERT_CQE(&self->ring, REQ(0), DATA_LEN, 0);			\
	ASSERT_QUIET(&self->ring);					\
} while (0)

/* The data's pages go to somebody else, unless the kernel holds on to them. */
static inline void lose_data(char *data)
{
	lose_pages(data, DATA_LEN);
}

/* The test ends the ring itself. */
#define CLOSE_RING() do {						\
	ring_exit(&self->ring);				\
	self->ring.ring_fd = -1;					\
} while (0)

#endif
