// SPDX-License-Identifier: GPL-2.0
/*
 * Requests that do not end when they are submitted: run by io-wq, linked,
 * waiting for space in a socket, cancelled.
 */
#include "answers.h"
#include "slots.h"

TEST_F(slots, contract_12_io_wq)
{
	unsigned int i;

	for (i = 0; i < 4; i++) {
		prep_slot_send(&self->ring, self->net.tx, self->data, 1000, 0,
			       IORING_RECVSEND_NOTIF_FLUSH)->flags = IOSQE_ASYNC;
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), 1000, 0);
		ASSERT_NOTIF(&self->ring, TAG(0), i);
		ASSERT_RECEIVED(&self->net, self->data, 1000);
	}
}

/* Flushed while io-wq may still run them: it waits for the last. */
TEST_F(slots, contract_03_io_wq_one_cqe_for_many)
{
	struct io_uring_cqe cqe;
	unsigned int i;

	for (i = 0; i < 16; i++)
		prep_slot_send(&self->ring, self->net.tx, self->data, 1000, 0,
			       0)->flags = IOSQE_ASYNC;
	ASSERT_SUBMIT(&self->ring, 16);
	ASSERT_FLUSH(&self->ring, 0, 1);
	for (i = 0; i < 16; i++) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		ASSERT_EQ(REQ(0), cqe.user_data);
		ASSERT_EQ(1000, cqe.res);
		ASSERT_EQ(0, cqe.flags);
	}
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

TEST_F(slots, contract_12_linked)
{
	unsigned int i;

	for (i = 0; i < 3; i++)
		prep_slot_send(&self->ring, self->net.tx, self->data + i * 1000,
			       1000, 0, i == 2 ? IORING_RECVSEND_NOTIF_FLUSH : 0)
			->flags = i == 2 ? 0 : IOSQE_IO_LINK;
	ASSERT_SUBMIT(&self->ring, 3);
	for (i = 0; i < 3; i++)
		ASSERT_CQE(&self->ring, REQ(0), 1000, 0);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_RECEIVED(&self->net, self->data, 3000);
}

TEST_F(slots, contract_12_drained)
{
	unsigned int i;

	for (i = 0; i < 3; i++)
		prep_slot_send(&self->ring, self->net.tx, self->data + i * 1000,
			       1000, 0, i == 2 ? IORING_RECVSEND_NOTIF_FLUSH : 0)
			->flags = i ? IOSQE_IO_DRAIN : IOSQE_ASYNC;
	ASSERT_SUBMIT(&self->ring, 3);
	for (i = 0; i < 3; i++)
		ASSERT_CQE(&self->ring, REQ(0), 1000, 0);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_RECEIVED(&self->net, self->data, 3000);
}

/* The rest of a broken link was attached, and each has flushed its slot. */
TEST_F(slots, contract_02_broken_link)
{
	struct answers all;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		struct io_uring_sqe *sqe;

		sqe = prep_slot_send(&self->ring, i ? self->net.tx : -1,
				     self->data, 1000, i,
				     IORING_RECVSEND_NOTIF_FLUSH);
		sqe->flags = i == 2 ? 0 : IOSQE_IO_LINK;
		sqe->user_data = REQ(i);
	}
	ASSERT_SUBMIT(&self->ring, 3);
	TAKE(&all, 6);
	for (i = 0; i < 3; i++)
		ASSERT_NOTIFIED(&all, TAG(i), 0, REQ(i), i ? -ECANCELED : -EBADF);
}

/*
 * A TCP connection that takes nothing until its receiver reads, and more to
 * send than it takes then at once.
 */
#define BIG_LEN	(1024 * 1024)

FIXTURE(full)
{
	struct io_uring ring;
	struct pair net;
	size_t filled;
	char *data;	/* BIG_LEN bytes */
};

RING_VARIANTS_SQPOLL(full);

FIXTURE_SETUP(full)
{
	OPEN_PAIR(&self->net, NET_LO, AF_INET6, SOCK_STREAM, .full = true);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));
	self->data = malloc(BIG_LEN);
	fill_pattern(self->data, BIG_LEN, 6);
	self->filled = fill_socket(self->net.tx);
	ASSERT_GT(self->filled, 0);
}

FIXTURE_TEARDOWN(full)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
	pair_close(&self->net);
}

/*
 * Read all that fills the connection and all of the data after it, and let the
 * ring go on in between: 0, -ETIME when they do not come, -EILSEQ when they are
 * others.
 */
static int drain(FIXTURE_DATA(full) *self)
{
	size_t len = self->filled + BIG_LEN, i;
	char *got = malloc(len);
	int ret = receive_with_ring(&self->ring, self->net.rx, got, len);

	for (i = 0; i < self->filled && !ret; i++)
		ret = got[i] ? -EILSEQ : 0;
	if (!ret && memcmp(got + self->filled, self->data, BIG_LEN))
		ret = -EILSEQ;
	free(got);
	return ret;
}

/* Read everything; then the request that waited is done. */
#define ASSERT_DRAINED(_user_data) do {					\
	ASSERT_EQ(0, drain(self));					\
	ASSERT_CQE(&self->ring, _user_data, BIG_LEN, 0);		\
} while (0)

TEST_F(full, contract_12_poll_armed)
{
	prep_slot_send(&self->ring, self->net.tx, self->data, BIG_LEN, 0,
		       IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_QUIET(&self->ring);
	ASSERT_DRAINED(REQ(0));
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

/* The request waits, its notifier leaves the slot, another takes its place. */
TEST_F(full, contract_01_stays_with_its_notifier)
{
	prep_slot_send(&self->ring, self->net.tx, self->data, BIG_LEN, 0, 0)
		->user_data = REQ(1);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_QUIET(&self->ring);

	/* this one is the second notifier's first and last, and is done at once */
	prep_slot_send(&self->ring, -1, self->data, 100, 0,
		       IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), -EBADF, 0);
	ASSERT_NOTIF(&self->ring, TAG(0), 1);
	/* and this one the third's */
	prep_slot_send(&self->ring, -1, self->data, 100, 0, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), -EBADF, 0);
	ASSERT_QUIET(&self->ring);

	ASSERT_DRAINED(REQ(1));
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_QUIET(&self->ring);
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_NOTIF(&self->ring, TAG(0), 2);
}

TEST_F(full, contract_03_after_the_last_request)
{
	/* flushed as one request is done while another still waits */
	prep_slot_send(&self->ring, self->net.tx, self->data, BIG_LEN, 0, 0)
		->user_data = REQ(1);
	ASSERT_SUBMIT(&self->ring, 1);
	prep_slot_send(&self->ring, -1, self->data, 100, 0, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), -EBADF, 0);
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_QUIET(&self->ring);
	ASSERT_DRAINED(REQ(1));
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

/* Waits without having sent a part: without MSG_WAITALL that would be success. */
static void prep_waiting(FIXTURE_DATA(full) *self, unsigned int ioprio)
{
	prep_slot_send(&self->ring, self->net.tx, self->data, BIG_LEN, 0,
		       ioprio)->msg_flags = 0;
}

TEST_F(full, contract_02_cancelled)
{
	prep_waiting(self, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_QUIET(&self->ring);
	prep_cancel(&self->ring, REQ(0));
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), -ECANCELED, 0);
	/* it was attached, and the last of its notifier */
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_EQ(0, drain_socket(self->net.rx, self->filled));
}

TEST_F(full, contract_02_cancelled_after_flush)
{
	prep_waiting(self, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_QUIET(&self->ring);
	prep_cancel(&self->ring, REQ(0));
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), -ECANCELED, 0);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

TEST_F(full, contract_08_unregister_poll_armed)
{
	prep_slot_send(&self->ring, self->net.tx, self->data, BIG_LEN, 1, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_QUIET(&self->ring);
	ASSERT_EQ(0, unregister_slots(&self->ring));
	ASSERT_QUIET(&self->ring);
	ASSERT_DRAINED(REQ(0));
	ASSERT_NOTIF(&self->ring, TAG(1), 0);
}

/* The same slots again: the waiting request flushes none of these as it ends. */
TEST_F(full, contract_08_register_again_poll_armed)
{
	prep_slot_send(&self->ring, self->net.tx, self->data, BIG_LEN, 0,
		       IORING_RECVSEND_NOTIF_FLUSH)->user_data = REQ(1);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_EQ(0, unregister_slots(&self->ring));
	ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));
	prep_slot_send(&self->ring, -1, self->data, 100, 0, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), -EBADF, 0);

	ASSERT_DRAINED(REQ(1));
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_QUIET(&self->ring);
}

NOTIF_TEST_MAIN
