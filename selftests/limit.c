// SPDX-License-Identifier: GPL-2.0
/* RLIMIT_MEMLOCK to the page: what counts against it, and until when. */
#include "account.h"
#include "answers.h"
#include "process.h"

#define LEN		65536
#define MAX_LEN		(8 * LEN)

/* What the first bytes of the data count. */
#define PAGES(len)	pages_of(self->data, len)

FIXTURE(limit)
{
	struct io_uring ring;
	struct io_uring probe;	/* see locked_pages() */
	struct pair net;	/* its receiver doesn't read by itself */
	struct pair full;	/* takes no byte before its receiver reads */
	size_t filled;
	char *data;
	char *page;
	long base;
};

RING_VARIANTS_SQPOLL(limit);

/* The rings belong to a user without CAP_IPC_LOCK, the sockets need root. */
FIXTURE_SETUP(limit)
{
	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_STREAM, .unread = true);
	OPEN_PAIR(&self->full, NET_LO, AF_INET, SOCK_STREAM, .full = true);
	self->data = map_pages(MAX_LEN);
	self->page = map_pages(4096);
	ASSERT_NE(NULL, self->data);
	ASSERT_NE(NULL, self->page);
	fill_pattern(self->data, MAX_LEN, 8);
	ASSERT_EQ(0, be_limited_user());
	ASSERT_EQ(0, ring_init(&self->probe, 0));
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, register_slots(&self->ring, 2));
	self->base = locked_pages(&self->probe, self->page);
	ASSERT_LE(0, self->base);
}

FIXTURE_TEARDOWN(limit)
{
	if (self->ring.ring_fd >= 0) {
		ring_wait(&self->ring, 0, 0);
		EXPECT_TRUE(ring_empty(&self->ring))
			TH_LOG("a CQE that the test did not expect");
		ring_exit(&self->ring);
	}
	ring_exit(&self->probe);
	pair_close(&self->net);
	pair_close(&self->full);
}

/* The user has so many pages locked, beyond what he had at the beginning. */
#define ASSERT_LOCKED(_pages)						\
	ASSERT_EQ(self->base + (long)(_pages),				\
		  locked_pages(&self->probe, self->page))

/* A ring that was closed ends in its own time. */
#define ASSERT_LOCKED_SOON(_pages) do {					\
	unsigned int _ms;						\
									\
	for (_ms = 0; _ms < LOST_MS && self->base + (long)(_pages) !=	\
	     locked_pages(&self->probe, self->page); _ms += 10)		\
		sleep_ms(10);						\
	ASSERT_LOCKED(_pages);						\
} while (0)

#define SEND(_len, _slot, _ioprio)					\
	prep_slot_send(&self->ring, self->net.tx, self->data, _len, _slot, \
		       _ioprio)

/* Send and be answered with @res. */
#define ASSERT_SENT(_res, _len, _slot) do {				\
	SEND(_len, _slot, 0);						\
	ASSERT_SUBMIT(&self->ring, 1);					\
	ASSERT_CQE(&self->ring, REQ(0), _res, 0);			\
} while (0)

TEST_F(limit, contract_06_counted_to_the_page)
{
	const unsigned int p = page_size();
	const struct {
		unsigned int off, len, pages;
	} parts[] = {
		{ 0, 1, 1 }, { p - 1, 1, 1 }, { p - 1, 2, 2 }, { p - 96, 100, 2 },
		{ 0, p - 1, 1 }, { 0, p, 1 }, { 0, p + 1, 2 }, { 1, p, 2 },
		{ p - 1, p + 1, 2 }, { p - 1, p + 2, 3 }, { 100, 4 * p - 1, 5 },
		{ 0, MAX_LEN, MAX_LEN / p },
	};
	/* each piece for itself: the second page counts for two of them */
	struct iovec iov[] = {
		{ self->data, p + 900 }, { self->data + p + 900, 100 },
		{ NULL, 0 }, { self->data + p + 1000, p },
	};
	const struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 4 };
	unsigned int seq;

	for (seq = 0; seq < ARRAY_SIZE(parts); seq++) {
		char *part = self->data + parts[seq].off;
		unsigned int len = parts[seq].len;

		prep_slot_send(&self->ring, self->net.tx, part, len, 0, 0);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), len, 0);
		ASSERT_LOCKED(parts[seq].pages)
			TH_LOG("%u bytes from %u on", len, parts[seq].off);
		ASSERT_FLUSH(&self->ring, 0, 1);
		/* MAX_LEN is more than the receiver's window, and stays */
		if (len == MAX_LEN) {
			ASSERT_QUIET(&self->ring);
			ASSERT_LOCKED(parts[seq].pages);
		}
		ASSERT_RECEIVED(&self->net, part, len);
		ASSERT_NOTIF(&self->ring, TAG(0), seq);
		ASSERT_LOCKED(0);
	}
	/* several together, one of them a vector */
	ASSERT_SENT(1, 1, 0);
	ASSERT_SENT((int)p + 1, p + 1, 0);
	ASSERT_LOCKED(1 + 2);
	prep_slot_sendmsg(&self->ring, self->net.tx, &msg, 0, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 2 * (int)p + 1000, 0);
	ASSERT_LOCKED(1 + 2 + 2 + 1 + 2);
	ASSERT_RECEIVED(&self->net, self->data, 1);
	ASSERT_RECEIVED(&self->net, self->data, p + 1);
	ASSERT_RECEIVED(&self->net, self->data, 2 * p + 1000);
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_NOTIF(&self->ring, TAG(0), seq);
	ASSERT_LOCKED(0);
}

/*
 * Fill it to the last page. One more is refused while the notifier is in its slot
 * and in flight, and harms nothing; then exactly as much fits as before.
 */
TEST_F(limit, contract_06_full_to_the_page)
{
	const unsigned int nr = MAX_LEN / LEN;
	const long limit = self->base + nr * PAGES(LEN);
	unsigned int round, i;

	for (round = 0; round < 3; round++) {
		ASSERT_EQ(0, set_limit(limit));
		for (i = 0; i < nr; i++)
			ASSERT_SENT(LEN, LEN, 0);
		/* the least that there is */
		ASSERT_SENT(-ENOMEM, 1, 0);
		ASSERT_SENT(-ENOMEM, 1, 1);
		ASSERT_EQ(0, set_limit(limit + PAGES(1) - 1));
		ASSERT_SENT(-ENOMEM, 1, 1);
		ASSERT_SENT(-ENOMEM, LEN, 1);
		ASSERT_EQ(0, set_limit(limit + PAGES(1)));
		ASSERT_SENT(1, 1, 1);
		ASSERT_SENT(-ENOMEM, 1, 0);
		ASSERT_FLUSH(&self->ring, 0, 1);
		ASSERT_QUIET(&self->ring);
		ASSERT_SENT(-ENOMEM, 1, 0);
		/* nor is a slot flushed that only the refused came to */
		ASSERT_FLUSH(&self->ring, 0, 1);
		ASSERT_QUIET(&self->ring);

		for (i = 0; i < nr; i++)
			ASSERT_RECEIVED(&self->net, self->data, LEN);
		ASSERT_RECEIVED(&self->net, self->data, 1);
		ASSERT_NOTIF(&self->ring, TAG(0), round);
		ASSERT_FLUSH(&self->ring, 1, 1);
		ASSERT_NOTIF(&self->ring, TAG(1), round);
		ASSERT_LOCKED(0);
	}
}

/*
 * A request that was refused isn't one of those that flush_after counts, but the
 * slots that flush themselves do so then: all of them, and no other.
 */
TEST_F(limit, contract_06_refused_was_never_attached)
{
	const struct io_uring_notification_slot slots[] = {
		{ .tag = TAG(0), .flush_after = 3 },
		{ .tag = TAG(1) },
		{ .tag = TAG(2), .flush_after = 100 },
	};
	struct answers all;
	unsigned int round, i;

	ASSERT_EQ(0, unregister_slots(&self->ring));
	ASSERT_EQ(0, register_slots_as(&self->ring, slots, 3, 0));
	for (round = 0; round < 3; round++) {
		/* nothing to flush yet */
		ASSERT_EQ(0, set_limit(self->base));
		ASSERT_SENT(-ENOMEM, 100, 0);
		ASSERT_QUIET(&self->ring);
		ASSERT_EQ(0, set_limit(self->base + 4));
		ASSERT_SENT(100, 100, 0);
		ASSERT_SENT(100, 100, 1);
		ASSERT_SENT(100, 100, 2);
		ASSERT_SENT(100, 100, 2);
		ASSERT_QUIET(&self->ring);
		SEND(100, 0, 0);
		ASSERT_SUBMIT(&self->ring, 1);
		TAKE(&all, 3);
		ASSERT_ANSWERED(&all, REQ(0), -ENOMEM);
		ASSERT_HAS_NOTIF(&all, TAG(0), 2 * round);
		ASSERT_HAS_NOTIF(&all, TAG(2), round);
		ASSERT_LOCKED(1);
		/* it wasn't the first of these three */
		for (i = 0; i < 3; i++) {
			ASSERT_QUIET(&self->ring);
			ASSERT_SENT(100, 100, 0);
		}
		ASSERT_NOTIF(&self->ring, TAG(0), 2 * round + 1);
		ASSERT_LOCKED(1);
		ASSERT_FLUSH(&self->ring, 1, 1);
		ASSERT_NOTIF(&self->ring, TAG(1), round);
		ASSERT_LOCKED(0);
	}
}

/* A link is prepared at once: a request that is refused breaks it, and has none. */
TEST_F(limit, contract_06_refused_in_a_link)
{
	struct answers all;
	unsigned int i;

	ASSERT_EQ(0, set_limit(self->base + 2 * PAGES(1000)));
	for (i = 0; i < 3; i++) {
		struct io_uring_sqe *sqe;

		sqe = SEND(1000, i % 2, IORING_RECVSEND_NOTIF_FLUSH);
		sqe->flags = i == 2 ? 0 : IOSQE_IO_LINK;
		sqe->user_data = REQ(i);
	}
	ASSERT_SUBMIT(&self->ring, 3);
	TAKE(&all, 5);
	ASSERT_NOTIFIED(&all, TAG(0), 0, REQ(0), -ECANCELED);
	ASSERT_NOTIFIED(&all, TAG(1), 0, REQ(1), -ECANCELED);
	ASSERT_ANSWERED(&all, REQ(2), -ENOMEM);
	ASSERT_FLUSH(&self->ring, 0, 2);
	ASSERT_QUIET(&self->ring);
	ASSERT_LOCKED(0);
}

/* However a request ended that was attached, it counts until the notification. */
TEST_F(limit, contract_06_given_back_however_it_ended)
{
	static const struct {
		const char *name;
		bool bad_fd, async, cancel;
		__s32 res;
	} cells[] = {
		{ "io-wq", .async = true, .res = LEN },
		{ "failed", .bad_fd = true, .res = -EBADF },
		{ "failed in io-wq", .bad_fd = true, .async = true, .res = -EBADF },
		{ "cancelled", .cancel = true, .res = -ECANCELED },
	};
	unsigned int i, round, seq = 0;
	struct io_uring_sqe *sqe;

	self->filled = fill_socket(self->full.tx);
	for (i = 0; i < 4 * 3; i++) {
		round = i % 3;
		sqe = SEND(LEN, 0, 0);
		if (cells[i / 3].async)
			sqe->flags = IOSQE_ASYNC;
		if (cells[i / 3].bad_fd)
			sqe->fd = -1;
		if (cells[i / 3].cancel) {
			/* without MSG_WAITALL: to have sent a part were success */
			sqe->fd = self->full.tx;
			sqe->msg_flags = 0;
		}
		ASSERT_SUBMIT(&self->ring, 1);
		if (cells[i / 3].cancel) {
			ASSERT_QUIET(&self->ring);
			ASSERT_LOCKED(PAGES(LEN));
			prep_cancel(&self->ring, REQ(0));
			ASSERT_SUBMIT(&self->ring, 1);
		}
		ASSERT_CQE(&self->ring, REQ(0), cells[i / 3].res, 0);
		if (cells[i / 3].res > 0)
			ASSERT_RECEIVED(&self->net, self->data, LEN);
		ASSERT_LOCKED(PAGES(LEN))
			TH_LOG("%s, round %u", cells[i / 3].name, round);
		ASSERT_FLUSH(&self->ring, 0, 1);
		ASSERT_NOTIF(&self->ring, TAG(0), seq++);
		ASSERT_LOCKED(0)
			TH_LOG("%s, round %u", cells[i / 3].name, round);
	}
}

/*
 * A registered buffer counts once, as it is registered, and until the last
 * notifier has completed although the table has forgotten it.
 */
TEST_F(limit, contract_06_registered_counts_until_the_notification)
{
	struct iovec iov = { self->data, MAX_LEN };
	const long pinned = status_kb("VmPin:"), locked = status_kb("VmLck:");
	unsigned int seq;

	/* no huge pages: they count as a whole */
	madvise(self->data, MAX_LEN, MADV_NOHUGEPAGE);
	for (seq = 0; seq < 3; seq++) {
		ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
		ASSERT_LOCKED(PAGES(MAX_LEN));
		SEND(MAX_LEN, 0, IORING_RECVSEND_FIXED_BUF);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), MAX_LEN, 0);
		ASSERT_EQ(0, ring_register(&self->ring,
					   IORING_UNREGISTER_BUFFERS, NULL, 0));
		ASSERT_FLUSH(&self->ring, 0, 1);
		ASSERT_QUIET(&self->ring);
		ASSERT_LOCKED(PAGES(MAX_LEN));
		ASSERT_EQ(pinned + MAX_LEN / 1024, status_kb("VmPin:"));
		ASSERT_RECEIVED(&self->net, self->data, MAX_LEN);
		ASSERT_NOTIF(&self->ring, TAG(0), seq);
		ASSERT_LOCKED(0);
		ASSERT_EQ(pinned, status_kb("VmPin:"));
		ASSERT_EQ(locked, status_kb("VmLck:"));
	}
}

/* Flushed, unflushed, waiting for space: closing gives all of it back in the end. */
TEST_F(limit, contract_06_given_back_by_a_closed_ring)
{
	self->filled = fill_socket(self->full.tx);
	ASSERT_SENT(LEN, LEN, 1);
	SEND(MAX_LEN, 0, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), MAX_LEN, 0);
	ASSERT_LOCKED(PAGES(LEN) + PAGES(MAX_LEN));
	prep_slot_send(&self->ring, self->full.tx, self->data, LEN, 1, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_QUIET(&self->ring);
	ASSERT_LOCKED(2 * PAGES(LEN) + PAGES(MAX_LEN));

	ring_exit(&self->ring);
	self->ring.ring_fd = -1;
	/* what the network still holds is not free */
	ASSERT_LE(self->base + PAGES(MAX_LEN),
		  locked_pages(&self->probe, self->page));
	ASSERT_RECEIVED(&self->net, self->data, LEN);
	ASSERT_RECEIVED(&self->net, self->data, MAX_LEN);
	ASSERT_LOCKED_SOON(0);
}

/* The account is the user's: it outlives a process of his that is killed. */
TEST_F(limit, contract_06_given_back_after_a_kill)
{
	int ready[2], status;
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(ready));
	pid = start_child();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct io_uring_cqe cqe;

		/* only its task may use a SINGLE_ISSUER ring */
		if (ring_init(&self->ring, variant->setup) ||
		    register_slots(&self->ring, 2))
			_exit(1);
		SEND(LEN, 1, 0);
		SEND(MAX_LEN, 0, IORING_RECVSEND_NOTIF_FLUSH);
		if (ring_submit(&self->ring) != 2 ||
		    ring_next(&self->ring, &cqe) || cqe.res != LEN ||
		    ring_next(&self->ring, &cqe) || cqe.res != MAX_LEN ||
		    write(ready[1], "r", 1) != 1)
			_exit(2);
		pause();
	}
	close(ready[1]);
	ASSERT_EQ(1, read(ready[0], &c, 1));
	ASSERT_LOCKED(PAGES(LEN) + PAGES(MAX_LEN));
	kill(pid, SIGKILL);
	ASSERT_EQ(0, wait_exit(pid, &status));
	ASSERT_LE(self->base + PAGES(MAX_LEN),
		  locked_pages(&self->probe, self->page));
	ASSERT_RECEIVED(&self->net, self->data, LEN);
	ASSERT_RECEIVED(&self->net, self->data, MAX_LEN);
	ASSERT_LOCKED_SOON(0);
}

NOTIF_TEST_MAIN
