// SPDX-License-Identifier: GPL-2.0
/* Flushing, by the flag of a request and by a request of its own. */
#include "answers.h"
#include "slots.h"

TEST_F(slots, contract_04_sequence_numbers)
{
	unsigned int i;

	for (i = 0; i < 10; i++) {
		prep_slot_send(&self->ring, self->net.tx, self->data, 100, 2,
			       IORING_RECVSEND_NOTIF_FLUSH);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), 100, 0);
		ASSERT_NOTIF(&self->ring, TAG(2), i);
	}
}

TEST_F(slots, contract_04_sequence_is_the_slots_own)
{
	unsigned int slot, seq;

	for (seq = 0; seq < 3; seq++) {
		for (slot = 0; slot < NR_SLOTS; slot++) {
			prep_slot_send(&self->ring, self->net.tx, self->data,
				       100, slot, IORING_RECVSEND_NOTIF_FLUSH);
			ASSERT_SUBMIT(&self->ring, 1);
			ASSERT_CQE(&self->ring, REQ(0), 100, 0);
			ASSERT_NOTIF(&self->ring, TAG(slot), seq);
		}
	}
}

TEST_F(slots, contract_03_one_cqe_for_64_requests)
{
	unsigned int i;

	for (i = 0; i < 64; i++) {
		struct io_uring_sqe *sqe;

		sqe = prep_slot_send(&self->ring, self->net.tx,
				     self->data + i * 100, 100, 0,
				     i == 63 ? IORING_RECVSEND_NOTIF_FLUSH : 0);
		sqe->user_data = REQ(i);
	}
	ASSERT_SUBMIT(&self->ring, 64);
	for (i = 0; i < 64; i++)
		ASSERT_CQE(&self->ring, REQ(i), 100, 0);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_RECEIVED(&self->net, self->data, 6400);
	ASSERT_QUIET(&self->ring);
}

/* One submission in which each request has a notifier of its own. */
TEST_F(slots, contract_01_attached_when_prepared)
{
	unsigned int seen_req = 0, seen_notif = 0, seq, i;
	struct io_uring_cqe cqe;

	for (i = 0; i < 8; i++)
		prep_slot_send(&self->ring, self->net.tx, self->data, 100, 0,
			       IORING_RECVSEND_NOTIF_FLUSH)->user_data = REQ(i);
	ASSERT_SUBMIT(&self->ring, 8);
	for (i = 0; i < 16; i++) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		if (cqe.user_data == TAG(0)) {
			seq = notif_seq(&cqe);
			ASSERT_LT(seq, 8);
			/* after the CQE of the request attached to it */
			ASSERT_TRUE(seen_req & 1U << seq);
			ASSERT_FALSE(seen_notif & 1U << seq);
			seen_notif |= 1U << seq;
		} else {
			ASSERT_EQ(100, cqe.res);
			seen_req |= 1U << (cqe.user_data - REQ(0));
		}
	}
	ASSERT_EQ(0xff, seen_req);
	ASSERT_EQ(0xff, seen_notif);
}

/* Failed or not, it was attached: its notifier answers, once. */
TEST_F(slots, contract_02_failed_request_is_attached)
{
	prep_slot_send(&self->ring, self->net.tx, self->data, 1 << 20, 0, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), -EMSGSIZE, 0);
	prep_slot_send(&self->ring, self->net.tx, self->data, 100, 0,
		       IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 100, 0);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_RECEIVED(&self->net, self->data, 100);

	prep_slot_send(&self->ring, self->net.tx, self->data, 1 << 20, 1, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), -EMSGSIZE, 0);
	ASSERT_FLUSH(&self->ring, 1, 1);
	ASSERT_NOTIF(&self->ring, TAG(1), 0);
}

/*
 * The result is how many notifiers were flushed, wherever in the range they are.
 * The flush's own CQE may come on either side of the notifications.
 */
TEST_F(slots, contract_04_explicit_result)
{
	/* a bit for each slot with a request, then the range that is flushed */
	static const struct {
		unsigned int attached, first, nr, flushed;
	} rounds[] = {
		{ 0x1, 0, 1, 0x1 },
		{ 0x0, 0, NR_SLOTS, 0x0 },
		{ 0xa, 0, NR_SLOTS, 0xa },
		{ 0x9, 1, 2, 0x0 },	/* these two are beside the range */
		{ 0x6, 0, 3, 0x7 },
		{ 0x0, 3, 1, 0x8 },
		{ 0xf, 0, NR_SLOTS, 0xf },
	};
	unsigned int seq[NR_SLOTS] = {}, i, slot;
	struct answers all;

	for (i = 0; i < ARRAY_SIZE(rounds); i++) {
		int nr = __builtin_popcount(rounds[i].flushed);

		for (slot = 0; slot < NR_SLOTS; slot++)
			if (rounds[i].attached & 1U << slot)
				ASSERT_SENT(slot, 0);
		prep_flush(&self->ring, rounds[i].first, rounds[i].nr, 0);
		ASSERT_SUBMIT(&self->ring, 1);
		TAKE(&all, nr + 1U);
		ASSERT_ANSWERED(&all, FLUSH_REQ, nr);
		for (slot = 0; slot < NR_SLOTS; slot++)
			if (rounds[i].flushed & 1U << slot)
				ASSERT_HAS_NOTIF(&all, TAG(slot), seq[slot]++);
	}
}

TEST_F(slots, contract_04_explicit_range)
{
	unsigned int slot;

	for (slot = 0; slot < NR_SLOTS; slot++)
		prep_slot_send(&self->ring, self->net.tx, self->data, 100, slot, 0);
	ASSERT_SUBMIT(&self->ring, NR_SLOTS);
	for (slot = 0; slot < NR_SLOTS; slot++)
		ASSERT_CQE(&self->ring, REQ(0), 100, 0);

	ASSERT_FLUSH(&self->ring, 1, 2);
	ASSERT_NOTIFS(&self->ring, 1, 2, 0);
	ASSERT_QUIET(&self->ring);
	/* those two are empty by now */
	ASSERT_FLUSH(&self->ring, 0, NR_SLOTS);
	for (slot = 0; slot < 2; slot++) {
		struct io_uring_cqe cqe = {};

		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		ASSERT_TRUE(cqe.user_data == TAG(0) || cqe.user_data == TAG(3));
		ASSERT_EQ(notif_flags(0), cqe.flags);
	}
}

TEST_F(slots, contract_04_empty_slots_pass_over)
{
	unsigned int i;

	for (i = 0; i < 3; i++)
		ASSERT_FLUSH(&self->ring, 0, NR_SLOTS);
	ASSERT_QUIET(&self->ring);

	/* and no sequence number was spent on them */
	prep_slot_send(&self->ring, self->net.tx, self->data, 100, 0,
		       IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 100, 0);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

/* A new tag counts from the next notifier on, of empty slots too. */
TEST_F(slots, contract_04_new_tag)
{
	const __u64 tag = 0xbeef00000000ULL;
	unsigned int slot;

	prep_slot_send(&self->ring, self->net.tx, self->data, 100, 0, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 100, 0);
	ASSERT_EQ(1, flush_slots(&self->ring, 0, 2, tag));
	ASSERT_NOTIF(&self->ring, TAG(0), 0);

	for (slot = 0; slot < 3; slot++) {
		prep_slot_send(&self->ring, self->net.tx, self->data, 100, slot,
			       IORING_RECVSEND_NOTIF_FLUSH);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), 100, 0);
		ASSERT_NOTIF(&self->ring, slot < 2 ? tag : TAG(slot), slot == 0);
	}

	/* tag 0 keeps the tag */
	prep_slot_send(&self->ring, self->net.tx, self->data, 100, 0, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 100, 0);
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_NOTIF(&self->ring, tag, 2);
	prep_slot_send(&self->ring, self->net.tx, self->data, 100, 0,
		       IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 100, 0);
	ASSERT_NOTIF(&self->ring, tag, 3);
}

/* IORING_OP_RSRC_UPDATE with ioprio 0 is what it was under its old name. */
TEST_F(slots, contract_11_files_update)
{
	int fds[2] = { -1, -1 };
	struct io_uring_sqe *sqe;

	ASSERT_EQ(0, ring_register(&self->ring, IORING_REGISTER_FILES, fds, 2));
	fds[1] = self->net.tx;
	sqe = prep_flush(&self->ring, 0, 2, (unsigned long)fds);
	sqe->ioprio = IORING_RSRC_UPDATE_FILES;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, FLUSH_REQ, 2, 0);

	/* the registered file can be sent through */
	sqe = prep_slot_send(&self->ring, 1, self->data, 100, 0,
			     IORING_RECVSEND_NOTIF_FLUSH);
	sqe->flags = IOSQE_FIXED_FILE;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 100, 0);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_RECEIVED(&self->net, self->data, 100);
}

/* All slots that there can be, in one request; few have something to tell. */
TEST_F(slots, contract_04_flush_of_32768_slots)
{
	static const unsigned int used[] = { 0, 1, 4095, 16384, 32767 };
	struct answers all;
	unsigned int i;

	ASSERT_EQ(0, unregister_slots(&self->ring));
	ASSERT_EQ(0, register_slots(&self->ring, IORING_MAX_NOTIF_SLOTS));
	for (i = 0; i < ARRAY_SIZE(used); i++)
		ASSERT_SENT(used[i], 0);
	/* the first time it is the old tags that answer */
	prep_flush(&self->ring, 0, IORING_MAX_NOTIF_SLOTS, TAG(77));
	ASSERT_SUBMIT(&self->ring, 1);
	TAKE(&all, ARRAY_SIZE(used) + 1);
	ASSERT_ANSWERED(&all, FLUSH_REQ, (int)ARRAY_SIZE(used));
	for (i = 0; i < ARRAY_SIZE(used); i++)
		ASSERT_HAS_NOTIF(&all, TAG(used[i]), 0);
	ASSERT_QUIET(&self->ring);
	/* all have the new one now, whether they were passed over or not */
	for (i = 0; i < IORING_MAX_NOTIF_SLOTS; i += 4095) {
		ASSERT_SENT(i, IORING_RECVSEND_NOTIF_FLUSH);
		ASSERT_NOTIF(&self->ring, TAG(77), i == 0 || i == 4095);
	}
	ASSERT_SENT(32767, 0);
	ASSERT_FLUSH(&self->ring, 32767, 1);
	ASSERT_NOTIF(&self->ring, TAG(77), 1);
}

/* A new tag is not for the notifier in flight, but for the next one. */
TEST_F(slots, contract_04_new_tag_in_flight)
{
	const size_t len = 1 << 20;
	char *data = calloc(1, len);
	struct pair tcp;

	OPEN_PAIR(&tcp, NET_LO, AF_INET, SOCK_STREAM, .unread = true);
	prep_slot_send(&self->ring, tcp.tx, data, len, 0, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), len, 0);
	ASSERT_EQ(1, flush_slots(&self->ring, 0, 1, TAG(77)));
	ASSERT_SENT(0, 0);
	ASSERT_EQ(1, flush_slots(&self->ring, 0, 1, TAG(78)));
	ASSERT_NOTIF(&self->ring, TAG(77), 1);
	ASSERT_EQ(0, drain_socket(tcp.rx, len));
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_SENT(0, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_NOTIF(&self->ring, TAG(78), 2);
	pair_close(&tcp);
	free(data);
}

NOTIF_TEST_MAIN
