// SPDX-License-Identifier: GPL-2.0
/*
 * What a merged CQE says: of a copied request at once, of a stream's request all
 * of it, of copies in its flags; and that it is a CQE of its ring's size.
 */
#include "cqe.h"
#include "merge.h"

#define REPORT	IORING_SEND_ZC_REPORT_USAGE

/* Nothing that is sent from here on is acknowledged before the receiver reads. */
static void fill_window(struct __test_metadata *_metadata, struct pair *tcp)
{
	char *zeroes = calloc(1, BIG_LEN);

	ASSERT_EQ(BIG_LEN, send(tcp->tx, zeroes, BIG_LEN, 0));
	free(zeroes);
}

#define ASSERT_WINDOW_OPENED()						\
	ASSERT_EQ(0, drain_socket(self->tcp.rx, BIG_LEN))

/* A copied request keeps nothing of the program's: it is over with the batch. */
TEST_F(merge, contract_13_copied_is_over_at_once)
{
	char *want = malloc(64 * SMALL_LEN);
	struct answers all;
	unsigned int i, j;

	fill_window(_metadata, &self->tcp);
	for (i = 0; i < 64; i += 8) {
		for (j = i; j < i + 8; j++) {
			fill_pattern(self->data + j * SMALL_LEN, SMALL_LEN, j);
			memcpy(want + j * SMALL_LEN, self->data + j * SMALL_LEN,
			       SMALL_LEN);
			SEND(&self->tcp, j * SMALL_LEN, SMALL_LEN, COPIED,
			     0)->user_data = REQ(j);
		}
		ASSERT_SUBMIT(&self->ring, 8);
		/* as what SEND posts: nobody has to wait for it */
		if (!(variant->setup & IORING_SETUP_SQPOLL))
			ASSERT_FALSE(ring_empty(&self->ring));
		TAKE(&all, 8);
		for (j = i; j < i + 8; j++)
			ASSERT_ANSWERED(&all, REQ(j), SMALL_LEN);
		/* and may be written to */
		memset(self->data + i * SMALL_LEN, 0xee, 8 * SMALL_LEN);
	}
	ASSERT_QUIET(&self->ring);
	ASSERT_WINDOW_OPENED();
	ASSERT_RECEIVED(&self->tcp, want, 64 * SMALL_LEN);
	free(want);
}

/* In a group, it is the memory of the others that counts. */
TEST_F(merge, contract_13_copied_bearer_waits_for_the_others)
{
	unsigned int i;

	/* all copied, in line or by io-wq: at once */
	fill_window(_metadata, &self->tcp);
	for (i = 0; i < 6; i++) {
		SEND(&self->tcp, 0, SMALL_LEN, SOME_COPIED, i % 3 == 2 ? FLUSH : 0)
			->flags = i / 3 ? IOSQE_ASYNC : 0;
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), SMALL_LEN, 0);
	}
	ASSERT_WINDOW_OPENED();
	for (i = 0; i < 6; i++)
		ASSERT_RECEIVED(&self->tcp, self->data, SMALL_LEN);

	/* one of them is not: the bearer's CQE waits for it */
	SEND_BIG(SOME_COPIED, 0);
	SEND(&self->tcp, 0, SMALL_LEN, SOME_COPIED, FLUSH)->user_data = REQ(1);
	ASSERT_SUBMIT(&self->ring, 2);
	ASSERT_CQE(&self->ring, REQ(0), BIG_LEN, 0);
	ASSERT_QUIET(&self->ring);
	ASSERT_BIG_RECEIVED();
	ASSERT_RECEIVED(&self->tcp, self->data, SMALL_LEN);
	ASSERT_MERGED(REQ(1), SMALL_LEN);
}

/*
 * Told in flags, if a request of the notifier asked and one was copied. Small ones
 * are; those behind a dummy device that are not small are not.
 */
TEST_F(merge, contract_13_copied_is_told_in_flags)
{
	struct pair dummy;
	unsigned int round, i;

	OPEN_PAIR(&dummy, NET_DUMMY, AF_INET, SOCK_DGRAM);
	/* bits: which of three are copied, and which of three ask */
	for (round = 0; round < 64; round++) {
		const bool told = round >> 3 && round & 7;

		for (i = 0; i < 3; i++)
			SEND(&dummy, 0, round >> i & 1 ? 100 : 1400, SOME_COPIED,
			     (round >> i & 8 ? REPORT : 0) |
			     (i == 2 ? FLUSH : 0))->user_data = REQ(i);
		ASSERT_SUBMIT(&self->ring, 3);
		for (i = 0; i < 3; i++)
			ASSERT_CQE(&self->ring, REQ(i),
				   round >> i & 1 ? 100 : 1400,
				   told && i == 2 ? IORING_CQE_F_ZC_COPIED : 0);
	}
	/* a request for itself, and what was copied as it was received */
	for (i = 0; i < 8; i++) {
		const unsigned int slot = i & 1 ? COPIED : EACH;
		const bool told = i & 2 && i & 5;

		SEND(i & 4 ? &self->udp : &dummy, 0, SMALL_LEN, slot,
		     i & 2 ? REPORT : 0);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), SMALL_LEN,
			   told ? IORING_CQE_F_ZC_COPIED : 0);
	}
	pair_close(&dummy);
}

/* The result is the result: an error, also where another request was copied. */
TEST_F(merge, contract_13_result_is_never_the_usage)
{
	SEND(&self->udp, 0, 100, SOME_COPIED, REPORT);
	prep_slot_send(&self->ring, -1, self->data, 100, SOME_COPIED,
		       REPORT | FLUSH)->user_data = REQ(1);
	ASSERT_SUBMIT(&self->ring, 2);
	ASSERT_CQE(&self->ring, REQ(0), 100, 0);
	ASSERT_CQE(&self->ring, REQ(1), -EBADF, IORING_CQE_F_ZC_COPIED);
	prep_slot_send(&self->ring, -1, self->data, 100, EACH, REPORT);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), -EBADF, 0);
	/* a notification that nobody bears tells as ever */
	SEND(&self->udp, 0, 100, SOME_COPIED, REPORT);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 100, 0);
	ASSERT_FLUSH(&self->ring, SOME_COPIED, 1);
	ASSERT_CQE(&self->ring, TAG(SOME_COPIED), IORING_NOTIF_USAGE_ZC_COPIED,
		   notif_flags(1));
}

/*
 * More than the connection takes, without MSG_WAITALL: bearers and other requests
 * are sent whole; through a slot that doesn't merge they would be cut short.
 */
TEST_F(merge, contract_13_whole_on_streams)
{
	static const unsigned int slots[] = { EACH, GROUP, BY_THREE, COPIED, PLAIN };
	struct io_uring_cqe cqe = {};
	unsigned int i, form;
	struct answers all;
	char *got = malloc(BIG_LEN);

	for (i = 0; i < 3 * ARRAY_SIZE(slots); i++) {
		const unsigned int slot = slots[i / 3];
		struct iovec iov[2] = { { self->data, 1000 },
					{ self->data + 1000, BIG_LEN - 1000 } };
		struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
		struct io_uring_sqe *sqe;
		struct pair full;

		OPEN_PAIR(&full, NET_LO, AF_INET, SOCK_STREAM, .full = true);
		form = i % 3;
		if (form == 1)
			sqe = prep_slot_sendmsg(&self->ring, full.tx, &msg, slot, 0);
		else if (form == 2)
			sqe = prep_slot_send(&self->ring, full.tx, iov, 2, slot,
					     IORING_SEND_VECTORIZED);
		else
			sqe = SEND(&full, 0, BIG_LEN, slot, 0);
		sqe->msg_flags = 0;
		ASSERT_SUBMIT(&self->ring, 1);
		if (slot == PLAIN) {
			ASSERT_EQ(0, ring_next(&self->ring, &cqe));
			ASSERT_GT((int)BIG_LEN, cqe.res);
			ASSERT_EQ(0, receive_with_ring(&self->ring, full.rx, got,
						       cqe.res));
			pair_close(&full);
			continue;
		}
		ASSERT_EQ(0, receive_with_ring(&self->ring, full.rx, got, BIG_LEN))
			TH_LOG("slot %u, form %u", slot, form);
		ASSERT_EQ(0, memcmp(got, self->data, BIG_LEN));
		ASSERT_CQE(&self->ring, REQ(0), BIG_LEN, 0);
		pair_close(&full);
	}
	ASSERT_FLUSH(&self->ring, 0, NR_SLOTS);
	TAKE(&all, 2);
	ASSERT_HAS_NOTIF(&all, TAG(GROUP), 0);
	ASSERT_HAS_NOTIF(&all, TAG(PLAIN), 0);
	free(got);
}

/* Who may not wait is short, and that is a failure: the chain breaks. */
TEST_F(merge, contract_13_short_is_a_failure)
{
	struct io_uring_cqe cqe = {};
	struct io_uring_sqe *sqe;
	struct pair full;
	int sent = -1;

	OPEN_PAIR(&full, NET_LO, AF_INET, SOCK_STREAM, .full = true);
	sqe = SEND(&full, 0, BIG_LEN, EACH, 0);
	sqe->msg_flags = MSG_DONTWAIT;
	sqe->flags = IOSQE_IO_LINK;
	prep_nop(&self->ring, 0);
	ASSERT_SUBMIT(&self->ring, 2);
	ASSERT_EQ(0, ring_next(&self->ring, &cqe));
	ASSERT_EQ(NOP_DONE, cqe.user_data);
	ASSERT_EQ(-ECANCELED, cqe.res);
	/* all that was queued, and its CQE once that is free */
	while (ring_next_ms(&self->ring, &cqe, 1)) {
		char got[4096];
		ssize_t n = recv(full.rx, got, sizeof(got), MSG_DONTWAIT);

		if (n <= 0)
			continue;
		sent = (sent < 0 ? 0 : sent) + n;
	}
	ASSERT_EQ(REQ(0), cqe.user_data);
	ASSERT_EQ(0, cqe.flags);
	ASSERT_LT(0, cqe.res);
	ASSERT_GT((int)BIG_LEN, cqe.res);
	ASSERT_LE(sent, cqe.res);
	pair_close(&full);
}

/* Among CQEs of the other size each time: it is one of the ring's usual size. */
static void among_others(struct __test_metadata *_metadata, unsigned int setup)
{
	const bool all_large = setup & IORING_SETUP_CQE32;
	static char data[100];
	struct io_uring ring;
	struct any_cq cq = {};
	struct pair udp;
	unsigned int i, j;

	OPEN_PAIR(&udp, NET_LO, AF_INET, SOCK_DGRAM);
	ASSERT_EQ(0, ring_init(&ring, setup));
	ASSERT_EQ(0, any_cq_map(&cq, &ring));
	ASSERT_EQ(0, register_merge_slots(&ring, false));
	for (i = 0; i <= *ring.cq.kring_mask; i++) {
		unsigned int seen = 0;

		prep_nop(&ring, i)->nop_flags |= IORING_NOP_CQE32;
		prep_slot_send(&ring, udp.tx, data, sizeof(data),
			       i & 1 ? COPIED : EACH, REPORT)->user_data = ~0ULL;
		ASSERT_EQ(2, ring_submit(&ring));
		ASSERT_RECEIVED(&udp, data, sizeof(data));
		for (j = 0; j < 2; j++) {
			struct any_cqe cqe = {};
			const bool is_nop = !any_cq_next(&cq, &cqe) &&
					    cqe.user_data == NOP_DONE;

			seen |= 1 << is_nop;
			if (is_nop) {
				ASSERT_TRUE(cqe.large);
				continue;
			}
			ASSERT_EQ(~0ULL, cqe.user_data);
			ASSERT_EQ(sizeof(data), cqe.res);
			ASSERT_EQ(IORING_CQE_F_ZC_COPIED, cqe.flags);
			ASSERT_EQ(all_large, cqe.large);
			ASSERT_EQ(0, cqe.extra[0]);
			ASSERT_EQ(0, cqe.extra[1]);
		}
		ASSERT_EQ(3, seen);
	}
	ASSERT_TRUE(any_cq_is_clean(&cq));
	any_cq_unmap(&cq);
	ring_exit(&ring);
	pair_close(&udp);
}

TEST(contract_13_among_cqes_of_both_sizes)
{
	among_others(_metadata, IORING_SETUP_CQE_MIXED);
	among_others(_metadata, IORING_SETUP_CQE_MIXED | RING_DEFER);
	among_others(_metadata, IORING_SETUP_CQE32);
	among_others(_metadata, IORING_SETUP_CQE32 | RING_DEFER);
}

NOTIF_TEST_MAIN
