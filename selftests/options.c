// SPDX-License-Identifier: GPL-2.0
/* What a slot can do by itself, and the two formats of its CQEs. */
#include "fixture.h"

#define DATA_LEN	16384

FIXTURE(options)
{
	struct io_uring ring;
	struct pair net;
	char data[DATA_LEN];
};

RING_VARIANTS_SQPOLL(options);

FIXTURE_SETUP(options)
{
	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_DGRAM);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	fill_pattern(self->data, DATA_LEN, 2);
}

FIXTURE_TEARDOWN(options)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
	pair_close(&self->net);
}

TEST_F(options, contract_04_flush_after_one)
{
	const struct io_uring_notification_slot slot = {
		.tag = TAG(0), .flush_after = 1,
	};
	unsigned int i;

	ASSERT_EQ(0, register_slots_as(&self->ring, &slot, 1, 0));
	for (i = 0; i < 5; i++) {
		prep_slot_send(&self->ring, self->net.tx, self->data, 100, 0, 0);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), 100, 0);
		ASSERT_NOTIF(&self->ring, TAG(0), i);
	}
}

TEST_F(options, contract_04_flush_after_three)
{
	const struct io_uring_notification_slot slots[2] = {
		{ .tag = TAG(0), .flush_after = 3 },
		{ .tag = TAG(1), },
	};
	unsigned int i;

	ASSERT_EQ(0, register_slots_as(&self->ring, slots, 2, 0));
	for (i = 0; i < 9; i++) {
		prep_slot_send(&self->ring, self->net.tx, self->data, 100, 0, 0);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), 100, 0);
		if (i % 3 == 2)
			ASSERT_NOTIF(&self->ring, TAG(0), i / 3);
		else
			ASSERT_QUIET(&self->ring);
		/* nothing of that reaches the slot next to it */
		prep_slot_send(&self->ring, self->net.tx, self->data, 100, 1, 0);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), 100, 0);
	}
	ASSERT_QUIET(&self->ring);
	ASSERT_FLUSH(&self->ring, 1, 1);
	ASSERT_NOTIF(&self->ring, TAG(1), 0);
}

/* The count begins anew with each notifier, however the last was flushed. */
TEST_F(options, contract_04_flush_after_counts_a_notifier)
{
	const struct io_uring_notification_slot slot = {
		.tag = TAG(0), .flush_after = 3,
	};
	unsigned int i;

	ASSERT_EQ(0, register_slots_as(&self->ring, &slot, 1, 0));
	for (i = 0; i < 2; i++)
		prep_slot_send(&self->ring, self->net.tx, self->data, 100, 0, 0);
	ASSERT_SUBMIT(&self->ring, 2);
	ASSERT_CQE(&self->ring, REQ(0), 100, 0);
	ASSERT_CQE(&self->ring, REQ(0), 100, 0);
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);

	for (i = 0; i < 2; i++)
		prep_slot_send(&self->ring, self->net.tx, self->data, 100, 0, 0);
	ASSERT_SUBMIT(&self->ring, 2);
	ASSERT_CQE(&self->ring, REQ(0), 100, 0);
	ASSERT_CQE(&self->ring, REQ(0), 100, 0);
	ASSERT_QUIET(&self->ring);
	prep_slot_send(&self->ring, self->net.tx, self->data, 100, 0, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 100, 0);
	ASSERT_NOTIF(&self->ring, TAG(0), 1);
}

/* The request that makes it full needs no success: it was attached. */
TEST_F(options, contract_04_flush_after_failed_request)
{
	const struct io_uring_notification_slot slot = {
		.tag = TAG(0), .flush_after = 2,
	};

	ASSERT_EQ(0, register_slots_as(&self->ring, &slot, 1, 0));
	prep_slot_send(&self->ring, self->net.tx, self->data, 100, 0, 0);
	prep_slot_send(&self->ring, self->net.tx, self->data, 1 << 20, 0, 0);
	ASSERT_SUBMIT(&self->ring, 2);
	ASSERT_CQE(&self->ring, REQ(0), 100, 0);
	ASSERT_CQE(&self->ring, REQ(0), -EMSGSIZE, 0);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

/* With flush_after 1 the flag finds a slot that holds another notifier. */
TEST_F(options, contract_04_flush_after_and_flag)
{
	const struct io_uring_notification_slot slot = {
		.tag = TAG(0), .flush_after = 1,
	};

	ASSERT_EQ(0, register_slots_as(&self->ring, &slot, 1, 0));
	prep_slot_send(&self->ring, self->net.tx, self->data, 100, 0,
		       IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 100, 0);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_QUIET(&self->ring);
}

/* Across a dummy device, where nothing but the threshold makes a copy. */
TEST_F(options, contract_07_copy_below)
{
	const struct io_uring_notification_slot slot = {
		.tag = TAG(0), .copy_below = 1000,
	};
	struct pair dummy;

	ASSERT_EQ(0, register_slots_as(&self->ring, &slot, 1, 0));
	OPEN_PAIR(&dummy, NET_DUMMY, AF_INET, SOCK_DGRAM);

	prep_slot_send(&self->ring, dummy.tx, self->data, 999, 0,
		       IORING_SEND_ZC_REPORT_USAGE | IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 999, 0);
	ASSERT_CQE(&self->ring, TAG(0), IORING_NOTIF_USAGE_ZC_COPIED, 0);

	prep_slot_send(&self->ring, dummy.tx, self->data, 1000, 0,
		       IORING_SEND_ZC_REPORT_USAGE | IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 1000, 0);
	ASSERT_NOTIF(&self->ring, TAG(0), 1);

	/* one that was copied among others that were not */
	prep_slot_send(&self->ring, dummy.tx, self->data, 1000, 0,
		       IORING_SEND_ZC_REPORT_USAGE);
	prep_slot_send(&self->ring, dummy.tx, self->data, 10, 0,
		       IORING_SEND_ZC_REPORT_USAGE);
	prep_slot_send(&self->ring, dummy.tx, self->data, 1000, 0,
		       IORING_SEND_ZC_REPORT_USAGE | IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 3);
	ASSERT_CQE(&self->ring, REQ(0), 1000, 0);
	ASSERT_CQE(&self->ring, REQ(0), 10, 0);
	ASSERT_CQE(&self->ring, REQ(0), 1000, 0);
	ASSERT_CQE(&self->ring, TAG(0), IORING_NOTIF_USAGE_ZC_COPIED, 2);
	pair_close(&dummy);
}

/* Nobody asked for the usage: the CQE says nothing of it. */
TEST_F(options, contract_07_copy_below_bytes)
{
	const struct io_uring_notification_slot slot = {
		.tag = TAG(0), .copy_below = 1000,
	};
	unsigned int lens[] = { 1, 999, 1000, 5000 }, done = 0, i;

	ASSERT_EQ(0, register_slots_as(&self->ring, &slot, 1, 0));
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		prep_slot_send(&self->ring, self->net.tx, self->data + done,
			       lens[i], 0, 0);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), lens[i], 0);
		done += lens[i];
	}
	ASSERT_RECEIVED(&self->net, self->data, done);
	ASSERT_QUIET(&self->ring);
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

TEST_F(options, abi_typed_cqe)
{
	const struct io_uring_notification_slot slot = {
		.tag = TAG(0), .flush_after = 1,
	};
	unsigned int i;

	ASSERT_EQ(0, register_slots_as(&self->ring, &slot, 1,
				       IORING_NOTIF_REG_TYPED_CQE));
	for (i = 0; i < 3; i++) {
		prep_slot_send(&self->ring, self->net.tx, self->data, 100, 0, 0);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), 100, 0);
		ASSERT_NOTIF(&self->ring, TAG(0), IORING_CQE_F_NOTIF |
			     i << IORING_CQE_BUFFER_SHIFT);
	}
}

/* Of the sequence number 16 bits are there, and they stay out of the flags. */
TEST(abi_typed_cqe_wraps)
{
	const struct io_uring_notification_slot slot = {
		.tag = TAG(0), .flush_after = 1,
	};
	struct io_uring ring;
	unsigned int i;

	ASSERT_EQ(0, ring_init(&ring, 0));
	ASSERT_EQ(0, register_slots_as(&ring, &slot, 1,
				       IORING_NOTIF_REG_TYPED_CQE));
	/* a bad descriptor: what counts is the notifier */
	for (i = 0; i < 0x10002; i++) {
		prep_slot_send(&ring, -1, NULL, 100, 0, 0);
		ASSERT_SUBMIT(&ring, 1);
		ASSERT_CQE(&ring, REQ(0), -EBADF, 0);
		ASSERT_NOTIF(&ring, TAG(0), IORING_CQE_F_NOTIF |
			     (i & 0xffff) << IORING_CQE_BUFFER_SHIFT);
	}
	ring_exit(&ring);
}

NOTIF_TEST_MAIN
