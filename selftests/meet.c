// SPDX-License-Identifier: GPL-2.0
/*
 * Notifiers that meet in the skbs of a stream: each waits for the skbs that hold
 * its own pages and for nothing else, whoever's the others are.
 */
#include <sys/mman.h>

#include "fixture.h"
#include "tcpinfo.h"

#define NR_SLOTS	3
#define BIG_LEN		(512 << 10)
#define SMALL_LEN	50
#define NR_SMALL	24
/* one byte each, so that all of them find room in one packet */
#define NR_BYTES	200
#define DATA_LEN	(BIG_LEN + NR_SMALL * SMALL_LEN)

FIXTURE(meet)
{
	struct io_uring ring;
	struct pair net;	/* its receiver doesn't read by itself */
	char *data;
	unsigned int done;	/* bytes of data that were sent */
};

RING_VARIANTS_SQPOLL(meet);

FIXTURE_SETUP(meet)
{
	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_STREAM, .unread = true);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));
	self->data = malloc(DATA_LEN);
	fill_pattern(self->data, DATA_LEN, 21);
}

FIXTURE_TEARDOWN(meet)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
	pair_close(&self->net);
}

/* The next @_len bytes go through @_slot of @_ring. */
#define ASSERT_SENT(_ring, _len, _slot, _ioprio) do {			\
	prep_slot_send(_ring, self->net.tx, self->data + self->done,	\
		       _len, _slot, _ioprio);				\
	ASSERT_SUBMIT(_ring, 1);					\
	ASSERT_CQE(_ring, REQ(0), _len, 0);				\
	self->done += _len;						\
} while (0)

/* More than the receiver takes: what follows stays at the end of the queue. */
#define ASSERT_BACKLOG(_slot, _ioprio)					\
	ASSERT_SENT(&self->ring, BIG_LEN, _slot, _ioprio)

/* All that was sent is read: the kernel may let go of all of it. */
#define ASSERT_ALL_READ()						\
	ASSERT_RECEIVED(&self->net, self->data, self->done)

/*
 * The older notifier is flushed, and one of its requests waits for a pipe that
 * the program writes when it likes. The younger one's notification comes before.
 */
TEST_F(meet, contract_03_waits_for_no_other_request)
{
	struct io_uring_sqe *sqe;
	struct pair other;
	int fds[2];
	char byte;

	ASSERT_EQ(0, pipe(fds));
	OPEN_PAIR(&other, NET_LO, AF_INET6, SOCK_STREAM);
	ASSERT_BACKLOG(0, 0);
	sqe = ring_sqe(&self->ring);
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_READ;
	sqe->fd = fds[0];
	sqe->addr = (unsigned long)&byte;
	sqe->len = 1;
	sqe->flags = IOSQE_IO_LINK;
	sqe->user_data = REQ(1);
	prep_slot_send(&self->ring, other.tx, self->data, SMALL_LEN, 0, 0)
		->user_data = REQ(2);
	ASSERT_SUBMIT(&self->ring, 2);
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_SENT(&self->ring, SMALL_LEN, 1, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_QUIET(&self->ring);

	ASSERT_ALL_READ();
	ASSERT_NOTIF(&self->ring, TAG(1), 0);
	ASSERT_QUIET(&self->ring);

	ASSERT_EQ(1, write(fds[1], "x", 1));
	ASSERT_CQE(&self->ring, REQ(1), 1, 0);
	ASSERT_CQE(&self->ring, REQ(2), SMALL_LEN, 0);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_RECEIVED(&other, self->data, SMALL_LEN);
	pair_close(&other);
	close(fds[0]);
	close(fds[1]);
}

/* A request that fails behind others' data has none of its own in the packet. */
TEST_F(meet, contract_03_failed_request_waits_for_no_data)
{
	char *nothing = mmap(NULL, 4096, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_BACKLOG(0, 0);
	ASSERT_SENT(&self->ring, SMALL_LEN, 0, IORING_RECVSEND_NOTIF_FLUSH);
	prep_slot_send(&self->ring, self->net.tx, nothing, SMALL_LEN, 1,
		       IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), -EFAULT, 0);
	ASSERT_NOTIF(&self->ring, TAG(1), 0);
	ASSERT_QUIET(&self->ring);
	ASSERT_ALL_READ();
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	munmap(nothing, 4096);
}

#define NR_LIVE		64
#define LIVE_LEN	1000
#define DEAD_LEN	(256 << 10)
#define BACKLOG_LEN	(1024U << 10)

/* Copied data in front, of value 0. */
static int send_backlog(int fd, size_t len)
{
	static const char zeroes[1 << 16];
	ssize_t n;

	for (; len; len -= n) {
		n = send(fd, zeroes, len < sizeof(zeroes) ? len : sizeof(zeroes),
			 MSG_DONTWAIT);
		if (n <= 0)
			return -EIO;
	}
	return 0;
}

#define NR_FAILED	2000	/* pages: more than the CPUs keep of TCP's count */
#define HELD_LEN	(NR_FAILED * 4096U)	/* it shows none that is below 0 */

/*
 * The first page of it is in a packet, the second one is bad, and the packet goes:
 * TCP is given back what it was charged for it, and that is nothing.
 */
TEST_F(meet, contract_03_failed_request_gives_back_what_it_took)
{
	const unsigned int p = page_size();
	char *half = map_pages(2 * p);
	struct pair other;
	unsigned int i;
	long before;

	ASSERT_NE(NULL, half);
	OPEN_PAIR(&other, NET_LO, AF_INET, SOCK_STREAM, .unread = true);
	ASSERT_EQ(0, send_backlog(other.tx, HELD_LEN));
	before = tcp_pages();
	if (before < 0)
		SKIP(return, "no /proc/net/sockstat here");
	half[0] = 1;
	ASSERT_EQ(0, mprotect(half + p, p, PROT_NONE));
	for (i = 0; i < NR_FAILED; i++) {
		prep_slot_send(&self->ring, self->net.tx, half, 2 * p, 1,
			       IORING_RECVSEND_NOTIF_FLUSH);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), -EFAULT, 0);
		ASSERT_NOTIF(&self->ring, TAG(1), i);
	}
	ASSERT_LE(before - NR_FAILED / 2, tcp_pages());
	munmap(half, 2 * p);
	pair_close(&other);
}

/*
 * The first notifier has data for a peer that never reads, and for one that
 * does; the others only for the one that does, and all of them come.
 */
static void one_peer_is_dead(struct __test_metadata *_metadata,
			     FIXTURE_DATA(meet) *self, size_t backlog, bool more)
{
	bool answered[NR_LIVE + 1] = {}, notified[NR_LIVE + 1] = {};
	struct io_uring_cqe cqe;
	struct pair dead;
	unsigned int i;
	__u64 nr;

	OPEN_PAIR(&dead, NET_LO, AF_INET, SOCK_STREAM, .unread = true);
	ASSERT_EQ(0, send_backlog(self->net.tx, backlog));
	prep_slot_send(&self->ring, dead.tx, self->data, DEAD_LEN, 0, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), DEAD_LEN, 0);
	for (i = 0; i <= NR_LIVE; i++) {
		struct io_uring_sqe *sqe;

		sqe = prep_slot_send(&self->ring, self->net.tx,
				     self->data + i * LIVE_LEN, LIVE_LEN, 0,
				     IORING_RECVSEND_NOTIF_FLUSH);
		sqe->user_data = REQ(i);
		if (more && i < NR_LIVE)
			sqe->msg_flags |= MSG_MORE;
	}
	ASSERT_SUBMIT(&self->ring, NR_LIVE + 1);
	if (backlog)
		ASSERT_EQ(0, drain_socket(self->net.rx, backlog));
	ASSERT_RECEIVED(&self->net, self->data, (NR_LIVE + 1) * LIVE_LEN);

	for (i = 0; i < NR_LIVE + 1 + NR_LIVE; i++) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe))
			TH_LOG("lost: after %u of %u CQEs", i,
			       NR_LIVE + 1 + NR_LIVE);
		if (cqe.user_data != TAG(0)) {
			nr = cqe.user_data - REQ(0);
			ASSERT_LE(nr, NR_LIVE);
			ASSERT_EQ(LIVE_LEN, cqe.res);
			ASSERT_EQ(0, cqe.flags);
			answered[nr] = true;
			continue;
		}
		nr = notif_seq(&cqe);
		ASSERT_TRUE(nr >= 1 && nr <= NR_LIVE);
		ASSERT_EQ(0, cqe.res);
		ASSERT_TRUE(answered[nr]);
		ASSERT_FALSE(notified[nr]);
		notified[nr] = true;
	}
	/* the first one's pages are in use as long as the dead peer is there */
	ASSERT_QUIET(&self->ring);
	pair_close(&dead);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

TEST_F(meet, contract_03_dead_peer_of_another_connection)
{
	one_peer_is_dead(_metadata, self, BACKLOG_LEN, false);
}

TEST_F(meet, contract_03_dead_peer_of_another_connection_more)
{
	one_peer_is_dead(_metadata, self, 0, true);
}

/* So that a program can keep its buffers in a queue. */
TEST_F(meet, contract_03_oldest_first)
{
	unsigned int i;

	ASSERT_BACKLOG(0, IORING_RECVSEND_NOTIF_FLUSH);
	for (i = 0; i < NR_SMALL; i++)
		ASSERT_SENT(&self->ring, SMALL_LEN, 1 + i % 2,
			    IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_QUIET(&self->ring);
	ASSERT_ALL_READ();
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	for (i = 0; i < NR_SMALL; i++)
		ASSERT_NOTIF(&self->ring, TAG(1 + i % 2), i / 2);
}

/* Contiguous bytes are one piece of a packet, with a notifier for each. */
TEST_F(meet, contract_12_many_meet_in_one_skb)
{
	bool seen[NR_BYTES] = {};
	unsigned int i, j;

	ASSERT_BACKLOG(0, IORING_RECVSEND_NOTIF_FLUSH);
	for (i = 0; i < NR_BYTES; i += NR_BYTES / 2) {
		for (j = 0; j < NR_BYTES / 2; j++)
			prep_slot_send(&self->ring, self->net.tx,
				       self->data + self->done++, 1, 1,
				       IORING_RECVSEND_NOTIF_FLUSH);
		ASSERT_SUBMIT(&self->ring, NR_BYTES / 2);
		for (j = 0; j < NR_BYTES / 2; j++)
			ASSERT_CQE(&self->ring, REQ(0), 1, 0);
	}
	ASSERT_QUIET(&self->ring);
	ASSERT_ALL_READ();
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	for (i = 0; i < NR_BYTES; i++) {
		struct io_uring_cqe cqe;

		ASSERT_EQ(0, ring_next(&self->ring, &cqe))
			TH_LOG("lost: after %u of %u notifications", i, NR_BYTES);
		ASSERT_EQ(TAG(1), cqe.user_data);
		ASSERT_EQ(0, cqe.res);
		ASSERT_LT(notif_seq(&cqe), NR_BYTES);
		ASSERT_FALSE(seen[notif_seq(&cqe)]);
		seen[notif_seq(&cqe)] = true;
	}
}

/*
 * Small parts of two rings by turns, one of which flushes each and the other
 * none. In the second round that other one is closed as its data is queued.
 */
TEST_F(meet, contract_12_rings_meet_in_one_skb)
{
	struct io_uring other;
	unsigned int round, i;

	for (round = 0; round < 2; round++) {
		self->done = 0;
		ASSERT_EQ(0, ring_init(&other, variant->setup));
		ASSERT_EQ(0, register_slots(&other, NR_SLOTS));
		ASSERT_BACKLOG(2, IORING_RECVSEND_NOTIF_FLUSH);
		for (i = 0; i < NR_SMALL; i += 2) {
			ASSERT_SENT(&self->ring, SMALL_LEN, 0,
				    IORING_RECVSEND_NOTIF_FLUSH);
			ASSERT_SENT(&other, SMALL_LEN, 0, 0);
		}
		ASSERT_QUIET(&self->ring);
		if (round)
			ring_exit(&other);
		else
			ASSERT_QUIET(&other);

		ASSERT_ALL_READ();
		ASSERT_NOTIF(&self->ring, TAG(2), round);
		for (i = 0; i < NR_SMALL / 2; i++)
			ASSERT_NOTIF(&self->ring, TAG(0),
				     round * NR_SMALL / 2 + i);
		if (round)
			continue;
		ASSERT_QUIET(&other);
		ASSERT_FLUSH(&other, 0, 1);
		ASSERT_NOTIF(&other, TAG(0), 0);
		ring_exit(&other);
	}
}

NOTIF_TEST_MAIN
