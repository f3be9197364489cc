// SPDX-License-Identifier: GPL-2.0
/*
 * One request, one notifier: a request that is sent in many pieces, while the
 * slot that it attached to is flushed and used by others.
 */
#include "attach.h"

/* The big request ends, and only then its notifier, which was the first. */
#define ASSERT_BIG_ENDS(_slot) do {					\
	ASSERT_EQ(0, read_to(self, BIG_LEN));			\
	ASSERT_CQE(&self->ring, BIG, BIG_LEN, 0);			\
	ASSERT_NOTIF(&self->ring, TAG(_slot), 0);			\
} while (0)

/* The slot holds a younger notifier as the big request ends, and keeps it. */
#define ASSERT_BIG_FLUSHES_NOTHING(_slot, _seq) do {			\
	prep_small(self, _slot, 0);					\
	ASSERT_SUBMIT(&self->ring, 1);					\
	ASSERT_CQE(&self->ring, SMALL, SMALL_LEN, 0);			\
	ASSERT_BIG_ENDS(_slot);						\
	ASSERT_QUIET(&self->ring);					\
	ASSERT_FLUSH(&self->ring, _slot, 1);				\
	ASSERT_NOTIF(&self->ring, TAG(_slot), _seq);			\
} while (0)

#define ASSERT_ONE_NOTIFIER(_flags, _ioprio) do {			\
	unsigned int __seq;						\
									\
	prep_big(self, 0, _ioprio)->flags = _flags;			\
	ASSERT_SUBMIT(&self->ring, 1);					\
	for (__seq = 1; __seq < 5; __seq++)				\
		ROUND(0, __seq);					\
	ASSERT_BIG_FLUSHES_NOTHING(0, __seq);				\
} while (0)

TEST_F(attach, contract_01_partial_sends)
{
	ASSERT_ONE_NOTIFIER(0, 0);
}

TEST_F(attach, contract_01_partial_sends_async)
{
	ASSERT_ONE_NOTIFIER(IOSQE_ASYNC, IORING_RECVSEND_NOTIF_FLUSH);
}

/* A request that goes by SENDMSG_ZC, in pieces, its slot flushed by then. */
TEST_F(attach, contract_01_partial_sendmsg)
{
	struct iovec iov[3] = {
		{ self->data, BIG_LEN / 4 },
		{ self->data + BIG_LEN / 4, BIG_LEN / 4 },
		{ self->data + BIG_LEN / 2, BIG_LEN / 2 },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 3 };
	unsigned int seq;

	prep_slot_sendmsg(&self->ring, self->tcp.tx, &msg, 0,
			  IORING_RECVSEND_NOTIF_FLUSH)->user_data = BIG;
	ASSERT_SUBMIT(&self->ring, 1);
	for (seq = 1; seq < 4; seq++)
		ROUND(0, seq);
	ASSERT_BIG_FLUSHES_NOTHING(0, seq);
}

/* Several wait on one socket, of several notifiers; the data is the same. */
TEST_F(attach, contract_03_many_wait)
{
	const unsigned int len = BIG_LEN / 8;
	unsigned int reqs = 0, notifs = 0, i;
	struct io_uring_cqe cqe;

	/* linked, as the order of what waits for space is nobody's promise */
	for (i = 0; i < 8; i++) {
		struct io_uring_sqe *sqe;

		sqe = prep_slot_send(&self->ring, self->tcp.tx,
				     self->data + i * len, len, i % 4, 0);
		sqe->user_data = REQ(i);
		sqe->flags = i == 7 ? 0 : IOSQE_IO_LINK;
	}
	ASSERT_SUBMIT(&self->ring, 8);
	ASSERT_FLUSH(&self->ring, 0, 4);
	ASSERT_EQ(0, read_to(self, BIG_LEN));
	for (i = 0; i < 12; i++) {
		unsigned int slot;

		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		if (cqe.user_data < TAG(0)) {
			ASSERT_EQ((int)len, cqe.res);
			reqs |= 1U << (cqe.user_data - REQ(0));
			continue;
		}
		slot = cqe.user_data - TAG(0);
		ASSERT_LT(slot, 4);
		ASSERT_EQ(notif_flags(0), cqe.flags);
		ASSERT_EQ(0x11U << slot, reqs & 0x11U << slot);
		ASSERT_FALSE(notifs & 1U << slot);
		notifs |= 1U << slot;
	}
}

NOTIF_TEST_MAIN
