/* SPDX-License-Identifier: GPL-2.0 */
/* A fixture for IORING_SEND_ZC_MANY: UDP, whose receiver has room for all. */
#ifndef NOTIF_TEST_MANY_H
#define NOTIF_TEST_MANY_H

#include "dgrams.h"

FIXTURE(many)
{
	struct io_uring ring;
	struct pair net;
	char *data;		/* ALL_LEN bytes, and registered buffer 0 */
	struct io_uring_dgram dgrams[MAX_MANY];
};

FIXTURE_VARIANT(many)
{
	unsigned int setup;
	int family;
	bool fixed;
};

FIXTURE_VARIANT_ADD(many, v4_plain) { .family = AF_INET };
FIXTURE_VARIANT_ADD(many, v6_plain_fixed) { .family = AF_INET6, .fixed = true };
FIXTURE_VARIANT_ADD(many, v6_defer) { .setup = RING_DEFER, .family = AF_INET6 };
FIXTURE_VARIANT_ADD(many, v4_defer_fixed) {
	.setup = RING_DEFER, .family = AF_INET, .fixed = true
};

FIXTURE_VARIANT_ADD(many, v4_sqpoll_fixed) {
	.setup = IORING_SETUP_SQPOLL, .family = AF_INET, .fixed = true
};

FIXTURE_SETUP(many)
{
	struct iovec iov = { .iov_len = ALL_LEN };

	OPEN_PAIR(&self->net, NET_LO, variant->family, SOCK_DGRAM);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	self->data = map_pages(ALL_LEN);
	ASSERT_NE(NULL, self->data);
	fill_pattern(self->data, ALL_LEN, 61);
	iov.iov_base = self->data;
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	ASSERT_EQ(0, register_slots_as(&self->ring, many_slots, NR_SLOTS, 0));
}

FIXTURE_TEARDOWN(many)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
	pair_close(&self->net);
}

#endif
