// SPDX-License-Identifier: GPL-2.0
/*
 * Merged requests that wait for space in a socket, are cancelled, or have others
 * wait for them: for all of these they are over as their data is queued, and
 * their CQE comes later.
 */
#include "merge.h"

#define HUGE_LEN	(2 * BIG_LEN)
#define PART_LEN	(96U << 10)

#define TIMEOUT_REQ	0x5000ULL

/*
 * An ASYNC_CANCEL has found nothing: prep_cancel() is silent else. A worker may
 * not have come back from what it has queued.
 */
#define ASSERT_NOTHING_TO_CANCEL(_user_data) do {			\
	struct io_uring_cqe __found;					\
									\
	do {								\
		prep_cancel(&self->ring, _user_data);			\
		ASSERT_SUBMIT(&self->ring, 1);				\
		ASSERT_EQ(0, ring_next(&self->ring, &__found));		\
		ASSERT_EQ(REQ(99), __found.user_data);			\
	} while (__found.res == -EALREADY);				\
	ASSERT_EQ(-ENOENT, __found.res);				\
} while (0)

/* A connection that takes little, for one request of HUGE_LEN that waits. */
struct huge {
	struct pair net;
	char *data;
	size_t received;
};

#define OPEN_HUGE(_huge) do {						\
	OPEN_PAIR(&(_huge)->net, NET_LO, AF_INET, SOCK_STREAM, .full = true); \
	(_huge)->data = map_pages(HUGE_LEN);				\
	ASSERT_NE(NULL, (_huge)->data);					\
	fill_pattern((_huge)->data, HUGE_LEN, 43);			\
	(_huge)->received = 0;						\
} while (0)

static void close_huge(struct huge *huge)
{
	pair_close(&huge->net);
	munmap(huge->data, HUGE_LEN);
}

/* Plain, whatever the variant: the data is not the fixture's. */
static struct io_uring_sqe *prep_huge(struct io_uring *ring, struct huge *huge,
				      unsigned int slot, unsigned int ioprio)
{
	struct io_uring_sqe *sqe;

	sqe = prep_slot_send(ring, huge->net.tx, huge->data, HUGE_LEN, slot,
			     ioprio);
	/* a merged request is whole or has failed, without being asked to */
	sqe->msg_flags = 0;
	return sqe;
}

/* Receive up to byte @end while the ring goes on: 0, -ETIME, -EILSEQ. */
static int receive_to(struct io_uring *ring, struct huge *huge, size_t end)
{
	size_t len = end - huge->received;
	char *got = malloc(len);
	int ret = receive_with_ring(ring, huge->net.rx, got, len);

	if (!ret && memcmp(got, huge->data + huge->received, len))
		ret = -EILSEQ;
	huge->received = end;
	free(got);
	return ret;
}

/* It waits in its socket, again and again, and is whole in the end. */
TEST_F(merge, contract_13_waits_for_space)
{
	struct huge huge;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		struct io_uring_sqe *sqe;

		OPEN_HUGE(&huge);
		sqe = prep_huge(&self->ring, &huge, i & 1 ? EACH : GROUP,
				i & 1 ? 0 : FLUSH);
		sqe->flags = i & 2 ? IOSQE_ASYNC : 0;
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_QUIET(&self->ring);
		ASSERT_EQ(0, receive_to(&self->ring, &huge, PART_LEN));
		ASSERT_QUIET(&self->ring);
		ASSERT_EQ(0, receive_to(&self->ring, &huge, HUGE_LEN));
		ASSERT_MERGED(REQ(0), HUGE_LEN);
		close_huge(&huge);
	}
}

/* Nothing of it was sent. */
TEST_F(merge, contract_13_cancelled_as_it_waits)
{
	struct huge huge;
	size_t filled;

	OPEN_HUGE(&huge);
	filled = fill_socket(huge.net.tx);
	prep_huge(&self->ring, &huge, EACH, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_QUIET(&self->ring);
	prep_cancel(&self->ring, REQ(0));
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_MERGED(REQ(0), -ECANCELED);
	ASSERT_EQ(0, drain_socket(huge.net.rx, filled));
	ASSERT_QUIET(&self->ring);
	close_huge(&huge);
}

/*
 * A part of it was sent: the CQE says how much, and comes once that is free. A
 * chain behind it is cancelled, each with one CQE.
 */
TEST_F(merge, contract_13_cancelled_after_a_part)
{
	int cancelled[3] = {}, sent = -1, i = 0;
	struct io_uring_cqe cqe;
	struct io_uring_sqe *sqe;
	struct huge huge;
	char got[4096];

	OPEN_HUGE(&huge);
	prep_huge(&self->ring, &huge, EACH, 0)->flags = IOSQE_IO_LINK;
	sqe = SEND_SMALL(EACH, 0);
	sqe->flags = IOSQE_IO_LINK;
	sqe->user_data = REQ(1);
	SEND_SMALL(GROUP, FLUSH)->user_data = REQ(2);
	ASSERT_SUBMIT(&self->ring, 3);
	ASSERT_EQ(0, receive_to(&self->ring, &huge, PART_LEN));
	ASSERT_QUIET(&self->ring);
	prep_cancel(&self->ring, REQ(0));
	ASSERT_SUBMIT(&self->ring, 1);
	while ((sent < 0 || !cancelled[1] || !cancelled[2]) && i++ < LOST_MS) {
		ssize_t n;

		if (!ring_next_ms(&self->ring, &cqe, 1)) {
			ASSERT_EQ(0, cqe.flags);
			if (cqe.user_data == REQ(0)) {
				ASSERT_EQ(-1, sent);
				sent = cqe.res;
				continue;
			}
			ASSERT_TRUE(cqe.user_data == REQ(1) || cqe.user_data == REQ(2));
			ASSERT_EQ(-ECANCELED, cqe.res);
			ASSERT_EQ(0, cancelled[cqe.user_data - REQ(0)]++);
			continue;
		}
		/* what the peer has not room for is not free until it has read */
		n = recv(huge.net.rx, got, sizeof(got), MSG_DONTWAIT);
		if (n <= 0)
			continue;
		ASSERT_EQ(0, memcmp(got, huge.data + huge.received, n));
		huge.received += n;
	}
	ASSERT_LE((int)PART_LEN, sent);
	ASSERT_LT(sent, (int)HUGE_LEN);
	ASSERT_LE((int)huge.received, sent);
	ASSERT_EQ(1, cancelled[1]);
	ASSERT_EQ(1, cancelled[2]);
	if (sent > (int)huge.received)
		ASSERT_EQ(0, receive_to(&self->ring, &huge, sent));
	ASSERT_EQ(-1, recv(huge.net.rx, got, 1, MSG_DONTWAIT));
	ASSERT_EQ(EAGAIN, errno);
	close_huge(&huge);
}

/* There is no request any more to cancel, and yet its CQE comes. */
TEST_F(merge, contract_13_cancelled_after_it_was_queued)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		SEND_BIG(EACH, 0)->flags = i ? IOSQE_ASYNC : 0;
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_QUIET(&self->ring);
		ASSERT_NOTHING_TO_CANCEL(REQ(0));
		ASSERT_QUIET(&self->ring);
		ASSERT_BIG_RECEIVED();
		ASSERT_MERGED(REQ(0), BIG_LEN);
		ASSERT_NOTHING_TO_CANCEL(REQ(0));
	}
}

/* A part is queued, and then the connection is reset: one CQE, of that part. */
TEST_F(merge, contract_13_reset_after_a_part)
{
	struct io_uring_cqe cqe = {};
	struct huge huge;

	OPEN_HUGE(&huge);
	prep_huge(&self->ring, &huge, EACH, 0)->flags = IOSQE_IO_LINK;
	prep_nop(&self->ring, 0);
	ASSERT_SUBMIT(&self->ring, 2);
	ASSERT_QUIET(&self->ring);
	/* it has not read everything: closing sends a reset */
	close(huge.net.rx);
	huge.net.rx = -1;
	while (cqe.user_data != REQ(0)) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		ASSERT_EQ(0, cqe.flags);
		if (cqe.user_data == NOP_DONE)
			ASSERT_EQ(-ECANCELED, cqe.res);
	}
	ASSERT_LT(0, cqe.res);
	ASSERT_GT((int)HUGE_LEN, cqe.res);
	/* the other one, if it was the first */
	while (!ring_next_ms(&self->ring, &cqe, QUIET_MS)) {
		ASSERT_EQ(NOP_DONE, cqe.user_data);
		ASSERT_EQ(-ECANCELED, cqe.res);
	}
	close_huge(&huge);
}

/* What was queued whole has that result, also when the peer never gets it. */
TEST_F(merge, contract_13_reset_after_all_was_queued)
{
	SEND_BIG(EACH, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_QUIET(&self->ring);
	close(self->tcp.rx);
	self->tcp.rx = -1;
	ASSERT_MERGED(REQ(0), BIG_LEN);
}

/* The next of a chain starts as the data is queued. */
TEST_F(merge, contract_13_links_start_as_it_is_queued)
{
	struct answers all;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		SEND_BIG(EACH, 0)->flags = IOSQE_IO_LINK | (i ? IOSQE_ASYNC : 0);
		SEND_SMALL(EACH, 0)->flags = IOSQE_IO_LINK;
		prep_nop(&self->ring, 0);
		ASSERT_SUBMIT(&self->ring, 3);
		TAKE(&all, 2);
		ASSERT_ANSWERED(&all, REQ(0), SMALL_LEN);
		ASSERT_ANSWERED(&all, NOP_DONE, 0);
		ASSERT_SMALL_RECEIVED();
		ASSERT_QUIET(&self->ring);
		ASSERT_BIG_RECEIVED();
		ASSERT_MERGED(REQ(0), BIG_LEN);
	}
}

/* What waits for a drain waits for requests only. */
TEST_F(merge, contract_13_drain_does_not_wait_for_memory)
{
	SEND_BIG(EACH, 0);
	prep_nop(&self->ring, 0)->flags = IOSQE_IO_DRAIN;
	ASSERT_SUBMIT(&self->ring, 2);
	ASSERT_CQE(&self->ring, NOP_DONE, 0, 0);
	SEND_SMALL(GROUP, FLUSH)->flags = IOSQE_IO_DRAIN;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_MERGED(REQ(0), SMALL_LEN);
	ASSERT_QUIET(&self->ring);
	ASSERT_BIG_RECEIVED();
	ASSERT_MERGED(REQ(0), BIG_LEN);
}

static void prep_link_timeout(struct io_uring *ring,
			      const struct __kernel_timespec *ts)
{
	struct io_uring_sqe *sqe = ring_sqe(ring);

	*sqe = (struct io_uring_sqe){
		.opcode = IORING_OP_LINK_TIMEOUT,
		.fd = -1,
		.addr = (unsigned long)ts,
		.len = 1,
		.user_data = TIMEOUT_REQ,
	};
}

/* The time until the data is queued is limited, and not a moment more. */
TEST_F(merge, contract_13_link_timeout)
{
	const struct __kernel_timespec never = { .tv_sec = 3600 };
	const struct __kernel_timespec soon = { .tv_nsec = 20000000 };
	struct answers all;
	struct huge huge;
	size_t filled;

	SEND_BIG(EACH, 0)->flags = IOSQE_IO_LINK;
	prep_link_timeout(&self->ring, &never);
	ASSERT_SUBMIT(&self->ring, 2);
	ASSERT_CQE(&self->ring, TIMEOUT_REQ, -ECANCELED, 0);
	ASSERT_QUIET(&self->ring);
	ASSERT_BIG_RECEIVED();
	ASSERT_MERGED(REQ(0), BIG_LEN);

	OPEN_HUGE(&huge);
	filled = fill_socket(huge.net.tx);
	prep_huge(&self->ring, &huge, EACH, 0)->flags = IOSQE_IO_LINK;
	prep_link_timeout(&self->ring, &soon);
	ASSERT_SUBMIT(&self->ring, 2);
	TAKE(&all, 2);
	ASSERT_ANSWERED(&all, REQ(0), -ECANCELED);
	ASSERT_ANSWERED(&all, TIMEOUT_REQ, -ETIME);
	ASSERT_EQ(0, drain_socket(huge.net.rx, filled));
	ASSERT_QUIET(&self->ring);
	close_huge(&huge);
}

NOTIF_TEST_MAIN
