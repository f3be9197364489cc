// SPDX-License-Identifier: GPL-2.0
/*
 * Notifiers that meet in the skbs of a stream are linked there. Each waits for the
 * skbs that hold its pages and for nothing else: it doesn't matter whether another
 * one is flushed, nor what that one waits for.
 */
#include "fixture.h"

#define NR_SLOTS	3
#define BIG_LEN		(512 << 10)
#define SMALL_LEN	50
#define NR_SMALL	24
#define DATA_LEN	(BIG_LEN + NR_SMALL * SMALL_LEN)

FIXTURE(link)
{
	struct io_uring ring;
	struct pair net;
	char *data;
	unsigned int done;		/* bytes of data that were sent */
	unsigned int seq[NR_SLOTS];
};

RING_VARIANTS_SQPOLL(link);

FIXTURE_SETUP(link)
{
	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_STREAM, .unread = true);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));
	self->data = malloc(DATA_LEN);
	fill_pattern(self->data, DATA_LEN, 14);
}

FIXTURE_TEARDOWN(link)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
	pair_close(&self->net);
}

/* The next @len bytes go through @slot. */
#define ASSERT_SENT(_len, _slot, _ioprio) do {				\
	prep_slot_send(&self->ring, self->net.tx,			\
		       self->data + self->done, _len, _slot, _ioprio);	\
	ASSERT_SUBMIT(&self->ring, 1);					\
	ASSERT_CQE(&self->ring, REQ(0), _len, 0);			\
	self->done += _len;						\
} while (0)

/* The next @nr CQEs are notifications of flushed notifiers, in any order. */
#define ASSERT_ANY_NOTIFS(_nr)						\
	assert_any_notifs(_metadata, self, _nr)

static void assert_any_notifs(struct __test_metadata *_metadata,
			      FIXTURE_DATA(link) *self, unsigned int nr)
{
	unsigned int seen[NR_SLOTS] = {}, place, i;
	struct io_uring_cqe cqe;

	for (i = 0; i < nr; i++) {
		__u64 slot;

		ASSERT_EQ(0, ring_next(&self->ring, &cqe))
			TH_LOG("%u notifications of %u", i, nr);
		slot = cqe.user_data - TAG(0);
		ASSERT_LT(slot, NR_SLOTS);
		ASSERT_EQ(0, cqe.res);
		ASSERT_GE(notif_seq(&cqe), self->seq[slot]);
		place = notif_seq(&cqe) - self->seq[slot];
		ASSERT_LT(place, 32);
		ASSERT_EQ(0, seen[slot] & 1U << place);
		seen[slot] |= 1U << place;
	}
	for (i = 0; i < NR_SLOTS; i++) {
		/* no number is missing */
		ASSERT_EQ(0, seen[i] & (seen[i] + 1));
		self->seq[i] += __builtin_popcount(seen[i]);
	}
}

/* All that was sent is read: the kernel may let go of all of it. */
#define ASSERT_ALL_READ()						\
	ASSERT_RECEIVED(&self->net, self->data, self->done)

/* Behind more than the receiver takes, in the skb that is last in the queue. */
TEST_F(link, contract_12_older_one_flushed)
{
	unsigned int i;

	ASSERT_SENT(BIG_LEN, 0, IORING_RECVSEND_NOTIF_FLUSH);
	for (i = 0; i < NR_SMALL; i++)
		ASSERT_SENT(SMALL_LEN, (i + 1) % 3, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_QUIET(&self->ring);
	ASSERT_ALL_READ();
	ASSERT_ANY_NOTIFS(1 + NR_SMALL);
}

/* The younger one's notification comes while the older one is in its slot. */
TEST_F(link, contract_12_older_one_not_flushed)
{
	ASSERT_SENT(BIG_LEN, 0, 0);
	ASSERT_SENT(SMALL_LEN, 1, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SENT(SMALL_LEN, 0, 0);
	ASSERT_SENT(SMALL_LEN, 2, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_QUIET(&self->ring);
	ASSERT_ALL_READ();
	ASSERT_ANY_NOTIFS(2);
	ASSERT_EQ(1, self->seq[1]);
	ASSERT_EQ(1, self->seq[2]);
	ASSERT_QUIET(&self->ring);
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

/* Flushed after the younger one has met it, and before the network is done. */
TEST_F(link, contract_12_older_one_flushed_later)
{
	ASSERT_SENT(BIG_LEN, 0, 0);
	ASSERT_SENT(SMALL_LEN, 1, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_SENT(SMALL_LEN, 2, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_QUIET(&self->ring);
	ASSERT_ALL_READ();
	ASSERT_ANY_NOTIFS(3);
}

/*
 * Small parts that a corked socket keeps together: of a slot that is flushed
 * each time, and of one that never is. Behind more than the receiver takes, as
 * a cork is no longer one after 200 ms.
 */
TEST_F(link, contract_12_corked_together)
{
	unsigned int i;

	ASSERT_SENT(BIG_LEN, 2, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_EQ(0, setsockopt_int(self->net.tx, IPPROTO_TCP, TCP_CORK, 1));
	for (i = 0; i < NR_SMALL; i++)
		ASSERT_SENT(SMALL_LEN, i % 2, i % 2 ? 0 :
			    IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_EQ(0, setsockopt_int(self->net.tx, IPPROTO_TCP, TCP_CORK, 0));
	ASSERT_ALL_READ();
	ASSERT_ANY_NOTIFS(1 + NR_SMALL / 2);
	ASSERT_EQ(NR_SMALL / 2, self->seq[0]);
	ASSERT_QUIET(&self->ring);
	ASSERT_FLUSH(&self->ring, 1, 1);
	ASSERT_NOTIF(&self->ring, TAG(1), 0);
}

/*
 * The older one has data on another socket too, whose receiver takes its time: the
 * younger one's notification comes as its own data is received.
 */
TEST_F(link, contract_12_older_one_on_two_sockets)
{
	struct pair other;

	OPEN_PAIR(&other, NET_LO, AF_INET6, SOCK_STREAM, .unread = true);
	ASSERT_EQ(0, setsockopt_int(other.tx, IPPROTO_TCP, TCP_CORK, 1));
	ASSERT_SENT(BIG_LEN, 0, 0);
	prep_slot_send(&self->ring, other.tx, self->data, SMALL_LEN, 0,
		       IORING_RECVSEND_NOTIF_FLUSH);
	prep_slot_send(&self->ring, other.tx, self->data + SMALL_LEN, SMALL_LEN,
		       1, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 2);
	ASSERT_CQE(&self->ring, REQ(0), SMALL_LEN, 0);
	ASSERT_CQE(&self->ring, REQ(0), SMALL_LEN, 0);
	ASSERT_EQ(0, setsockopt_int(other.tx, IPPROTO_TCP, TCP_CORK, 0));
	ASSERT_RECEIVED(&other, self->data, 2 * SMALL_LEN);
	ASSERT_NOTIF(&self->ring, TAG(1), 0);
	ASSERT_QUIET(&self->ring);
	ASSERT_ALL_READ();
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	pair_close(&other);
}

NOTIF_TEST_MAIN
