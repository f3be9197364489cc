// SPDX-License-Identifier: GPL-2.0
/*
 * Linked and drained requests: all are attached as they are prepared, whenever
 * they run, and whether they ever do.
 */
#include "answers.h"
#include "attach.h"

/*
 * All of a chain is attached as it is submitted, so what waits behind its first
 * request is with notifiers that have left their slots by then.
 */
TEST_F(attach, contract_01_linked_behind_one_that_waits)
{
	struct answers all;

	prep_big(self, 0, IORING_RECVSEND_NOTIF_FLUSH)->flags = IOSQE_IO_LINK;
	prep_small(self, 1, IORING_RECVSEND_NOTIF_FLUSH)->user_data = REQ(2);
	ASSERT_SUBMIT(&self->ring, 2);
	ROUND(1, 1);
	ROUND(1, 2);
	/* one that stays in its slot as the request of the chain ends */
	prep_small(self, 1, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, SMALL, SMALL_LEN, 0);

	ASSERT_EQ(0, read_to(self, BIG_LEN));
	TAKE(&all, 4);
	ASSERT_NOTIFIED(&all, TAG(0), 0, BIG, (int)BIG_LEN);
	ASSERT_NOTIFIED(&all, TAG(1), 0, REQ(2), SMALL_LEN);
	ASSERT_QUIET(&self->ring);
	ASSERT_FLUSH(&self->ring, 1, 1);
	ASSERT_NOTIF(&self->ring, TAG(1), 3);
}

/* A part was sent, and what is linked was attached: both have flushed. */
TEST_F(attach, contract_02_cancelled_with_its_chain)
{
	struct io_uring_cqe big;
	struct answers all;

	prep_big(self, 0, IORING_RECVSEND_NOTIF_FLUSH)->flags = IOSQE_IO_LINK;
	prep_small(self, 1, IORING_RECVSEND_NOTIF_FLUSH)->user_data = REQ(2);
	ASSERT_SUBMIT(&self->ring, 2);
	ASSERT_EQ(0, read_to(self, ROUND_LEN));
	prep_cancel(&self->ring, BIG);
	ASSERT_SUBMIT(&self->ring, 1);

	ASSERT_EQ(0, ring_next(&self->ring, &big));
	ASSERT_EQ(BIG, big.user_data);
	ASSERT_EQ(0, big.flags);
	ASSERT_LE((int)ROUND_LEN, big.res);
	ASSERT_GT((int)BIG_LEN, big.res);
	ASSERT_EQ(0, read_to(self, big.res));
	TAKE(&all, 3);
	ASSERT_NOTIFIED(&all, TAG(1), 0, REQ(2), -ECANCELED);
	ASSERT_HAS_NOTIF(&all, TAG(0), 0);
}

/*
 * A chain of small requests, the second to a file that isn't there: @link how
 * they are linked. Each is the last of its notifier, whatever becomes of it: the
 * first and the last share slot 0, but no notifier.
 */
#define BREAK_CHAIN(_link, _res) do {					\
	struct answers __chain;						\
	unsigned int __i;						\
									\
	for (__i = 0; __i < 4; __i++) {					\
		struct io_uring_sqe *__sqe =				\
			prep_small(self, __i % 3, IORING_RECVSEND_NOTIF_FLUSH); \
									\
		if (__i == 1)						\
			__sqe->fd = -1;					\
		__sqe->flags = __i < 3 ? (_link) : 0;			\
		__sqe->user_data = REQ(__i);				\
	}								\
	ASSERT_SUBMIT(&self->ring, 4);					\
	TAKE(&__chain, 8);						\
	ASSERT_NOTIFIED(&__chain, TAG(0), 0, REQ(0), SMALL_LEN);	\
	ASSERT_NOTIFIED(&__chain, TAG(1), 0, REQ(1), -EBADF);		\
	ASSERT_NOTIFIED(&__chain, TAG(2), 0, REQ(2), _res);		\
	ASSERT_NOTIFIED(&__chain, TAG(0), 1, REQ(3), _res);		\
	ASSERT_FLUSH(&self->ring, 0, NR_SLOTS);				\
	ASSERT_QUIET(&self->ring);					\
} while (0)

TEST_F(attach, contract_02_chain_fails_in_the_middle)
{
	BREAK_CHAIN(IOSQE_IO_LINK, -ECANCELED);
}

TEST_F(attach, contract_02_hard_chain_goes_on)
{
	BREAK_CHAIN(IOSQE_IO_HARDLINK, SMALL_LEN);
}

/*
 * The one in the middle is not even prepared, so it was never attached and has
 * flushed nothing. Those around it were: they are cancelled, and have.
 */
TEST_F(attach, contract_02_chain_with_one_refused)
{
	struct answers all;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		struct io_uring_sqe *sqe;

		sqe = prep_small(self, i, IORING_RECVSEND_NOTIF_FLUSH);
		sqe->addr3 = i == 1;
		sqe->flags = i < 2 ? IOSQE_IO_LINK : 0;
		sqe->user_data = REQ(i);
	}
	ASSERT_SUBMIT(&self->ring, 3);
	TAKE(&all, 5);
	ASSERT_NOTIFIED(&all, TAG(0), 0, REQ(0), -ECANCELED);
	ASSERT_ANSWERED(&all, REQ(1), -EINVAL);
	ASSERT_NOTIFIED(&all, TAG(2), 0, REQ(2), -ECANCELED);
	ASSERT_FLUSH(&self->ring, 0, NR_SLOTS);
	ASSERT_QUIET(&self->ring);
}

/*
 * What waits for a drain is attached already, and to the notifier of that time:
 * the slots have gone and come again as it runs.
 */
TEST_F(attach, contract_01_drained_behind_one_that_waits)
{
	struct answers all;

	prep_big(self, 0, IORING_RECVSEND_NOTIF_FLUSH);
	prep_small(self, 1, IORING_RECVSEND_NOTIF_FLUSH)->flags = IOSQE_IO_DRAIN;
	/* the next notifier, that leaves its slot as the slots go */
	prep_small(self, 1, 0)->user_data = REQ(2);
	ASSERT_SUBMIT(&self->ring, 3);
	ASSERT_EQ(0, unregister_slots(&self->ring));
	ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));
	/* has to wait for the drain too, in the new slot */
	prep_small(self, 1, 0)->user_data = REQ(3);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_EQ(0, read_to(self, ROUND_LEN));
	ASSERT_QUIET(&self->ring);

	ASSERT_EQ(0, read_to(self, BIG_LEN));
	TAKE(&all, 7);
	ASSERT_NOTIFIED(&all, TAG(0), 0, BIG, (int)BIG_LEN);
	ASSERT_NOTIFIED(&all, TAG(1), 0, SMALL, SMALL_LEN);
	ASSERT_NOTIFIED(&all, TAG(1), 1, REQ(2), SMALL_LEN);
	ASSERT_ANSWERED(&all, REQ(3), SMALL_LEN);
	ASSERT_LT(place_of(&all, BIG, BIG_LEN, 0),
		  place_of(&all, SMALL, SMALL_LEN, 0));
	ASSERT_QUIET(&self->ring);
	ASSERT_FLUSH(&self->ring, 0, NR_SLOTS);
	ASSERT_NOTIF(&self->ring, TAG(1), 0);
}

NOTIF_TEST_MAIN
