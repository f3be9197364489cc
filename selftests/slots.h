/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fixture that most tests start from: a ring with four slots that have no
 * options, and two UDP sockets over the loopback device.
 */
#ifndef NOTIF_TEST_SLOTS_H
#define NOTIF_TEST_SLOTS_H

#include "fixture.h"

#define NR_SLOTS	4
#define DATA_LEN	16384

FIXTURE(slots)
{
	struct io_uring ring;
	struct pair net;
	char data[DATA_LEN];
};

RING_VARIANTS_SQPOLL(slots);

FIXTURE_SETUP(slots)
{
	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_DGRAM);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));
	fill_pattern(self->data, DATA_LEN, 1);
}

/* Whatever the test was about: nothing is posted twice or too much. */
FIXTURE_TEARDOWN(slots)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
	pair_close(&self->net);
}

/* A request that was sent through slot @_slot, and did what it should. */
#define ASSERT_SENT(_slot, _ioprio) do {				\
	prep_slot_send(&self->ring, self->net.tx, self->data, 100,	\
		       _slot, _ioprio);					\
	ASSERT_SUBMIT(&self->ring, 1);					\
	ASSERT_CQE(&self->ring, REQ(0), 100, 0);			\
	ASSERT_RECEIVED(&self->net, self->data, 100);			\
} while (0)

#endif
