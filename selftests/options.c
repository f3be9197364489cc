// SPDX-License-Identifier: GPL-2.0
/* When a slot flushes itself, and the two formats of its CQEs. */
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

/*
 * Requests that fail count too, whichever of the three: they were attached. One
 * that was refused as it was prepared does not.
 */
TEST_F(options, contract_04_flush_after_failed_request)
{
	const struct io_uring_notification_slot slot = {
		.tag = TAG(0), .flush_after = 3,
	};
	unsigned int failing, i;

	ASSERT_EQ(0, register_slots_as(&self->ring, &slot, 1, 0));
	for (failing = 0; failing < 3; failing++) {
		prep_slot_send(&self->ring, self->net.tx, self->data, 100, 0,
			       0)->addr3 = 1;
		for (i = 0; i < 3; i++)
			prep_slot_send(&self->ring, self->net.tx, self->data,
				       i == failing ? 1 << 20 : 100, 0, 0);
		ASSERT_SUBMIT(&self->ring, 4);
		ASSERT_CQE(&self->ring, REQ(0), -EINVAL, 0);
		for (i = 0; i < 3; i++)
			ASSERT_CQE(&self->ring, REQ(0),
				   i == failing ? -EMSGSIZE : 100, 0);
		ASSERT_NOTIF(&self->ring, TAG(0), failing);
	}
	/* those of a chain count as it is prepared, and here three never run */
	for (i = 0; i < 4; i++) {
		prep_slot_send(&self->ring, i ? self->net.tx : -1, self->data,
			       100, 0, 0)->flags = i == 3 ? 0 : IOSQE_IO_LINK;
	}
	ASSERT_SUBMIT(&self->ring, 4);
	ASSERT_CQE(&self->ring, REQ(0), -EBADF, 0);
	for (i = 0; i < 3; i++)
		ASSERT_CQE(&self->ring, REQ(0), -ECANCELED, 0);
	ASSERT_NOTIF(&self->ring, TAG(0), 3);
	/* the fourth was the first of the next notifier */
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_NOTIF(&self->ring, TAG(0), 4);
}

/*
 * A flag before the Nth request flushes, and the count begins anew with the next
 * notifier; one on the Nth does nothing that the count doesn't do.
 */
TEST_F(options, contract_04_flush_after_and_flag)
{
	static const struct {
		unsigned int requests;	/* of a notifier */
		bool flag;		/* on its last */
	} notifiers[] = {
		{ 1, true }, { 3, false }, { 2, true }, { 3, true }, { 3, false },
	};
	const struct io_uring_notification_slot slot = {
		.tag = TAG(0), .flush_after = 3,
	};
	unsigned int seq, i;

	ASSERT_EQ(0, register_slots_as(&self->ring, &slot, 1, 0));
	for (seq = 0; seq < ARRAY_SIZE(notifiers); seq++) {
		const unsigned int last = notifiers[seq].requests - 1;

		for (i = 0; i <= last; i++) {
			ASSERT_QUIET(&self->ring);
			prep_slot_send(&self->ring, self->net.tx, self->data,
				       100, 0, notifiers[seq].flag && i == last ?
				       IORING_RECVSEND_NOTIF_FLUSH : 0);
			ASSERT_SUBMIT(&self->ring, 1);
			ASSERT_CQE(&self->ring, REQ(0), 100, 0);
		}
		ASSERT_NOTIF(&self->ring, TAG(0), seq);
	}
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_QUIET(&self->ring);
}

/* Three notifications of a slot that was registered with these flags. */
#define ASSERT_CQE_FLAGS(_reg_flags, _first, _second, _third) do {	\
	const struct io_uring_notification_slot slot = {		\
		.tag = TAG(0), .flush_after = 1,			\
	};								\
	const __u32 want[] = { _first, _second, _third };		\
	unsigned int i;							\
									\
	ASSERT_EQ(0, register_slots_as(&self->ring, &slot, 1, _reg_flags)); \
	for (i = 0; i < ARRAY_SIZE(want); i++) {			\
		prep_slot_send(&self->ring, self->net.tx, self->data,	\
			       100, 0, 0);				\
		ASSERT_SUBMIT(&self->ring, 1);				\
		ASSERT_CQE(&self->ring, REQ(0), 100, 0);		\
		ASSERT_CQE(&self->ring, TAG(0), 0, want[i]);		\
	}								\
} while (0)

TEST_F(options, abi_typed_cqe)
{
	ASSERT_CQE_FLAGS(0, 0x8, 0x10008, 0x20008);
}

TEST_F(options, abi_raw_seq)
{
	ASSERT_CQE_FLAGS(IORING_NOTIF_REG_RAW_SEQ, 0, 1, 2);
}

NOTIF_TEST_MAIN
