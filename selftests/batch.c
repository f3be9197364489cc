// SPDX-License-Identifier: GPL-2.0
/*
 * Thousands of notifiers at once: of requests that are cancelled, and of slots
 * that one update flushes. Each comes once, however few the CQ has room for.
 */
#include "fixture.h"

#define NR_REQS		4000
#define NR_USED		4096		/* of twice as many slots */
#define BATCH		100
#define REQ_LEN		1000
#define USED_LEN	64
#define CANCEL_REQ	REQ(0x4000)

FIXTURE(batch)
{
	struct io_uring ring;
	bool answered[NR_USED], notified[NR_USED];
	char *data;
};

FIXTURE_VARIANT(batch)
{
	unsigned int setup;
	unsigned int cq_entries;
};

FIXTURE_VARIANT_ADD(batch, plain) { .setup = 0, .cq_entries = 16384 };
FIXTURE_VARIANT_ADD(batch, defer) { .setup = RING_DEFER, .cq_entries = 16384 };
FIXTURE_VARIANT_ADD(batch, plain_full_cq) { .setup = 0, .cq_entries = 128 };
FIXTURE_VARIANT_ADD(batch, defer_full_cq) {
	.setup = RING_DEFER, .cq_entries = 128
};

FIXTURE_SETUP(batch)
{
	struct io_uring_params p = {
		.flags = variant->setup | IORING_SETUP_SUBMIT_ALL |
			 IORING_SETUP_CQSIZE,
		.cq_entries = variant->cq_entries,
	};

	ASSERT_EQ(0, io_uring_queue_init_params(RING_ENTRIES, &self->ring, &p));
	self->data = map_pages(NR_USED * USED_LEN);
	ASSERT_NE(NULL, self->data);
	fill_pattern(self->data, NR_USED * USED_LEN, 31);
}

FIXTURE_TEARDOWN(batch)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	/* none was dropped for want of memory */
	EXPECT_EQ(0, *self->ring.cq.koverflow);
	ring_exit(&self->ring);
}

/* A request that has not been answered before; -1: it is another one. */
static int req_of_cqe(const struct io_uring_cqe *cqe, unsigned int nr_reqs)
{
	return cqe->user_data - REQ(0) < nr_reqs ?
	       (int)(cqe->user_data - REQ(0)) : -1;
}

/* Each poll-armed, with a notifier of its own; one request cancels all. */
TEST_F(batch, contract_12_many_at_once)
{
	const struct io_uring_notification_slot slot = {
		.tag = TAG(0), .flush_after = 1,
	};
	unsigned int i, j, seq, cancels = 0;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe cqe;
	struct pair net;
	size_t filled;
	int nr;

	OPEN_PAIR(&net, NET_LO, AF_INET, SOCK_STREAM, .full = true);
	ASSERT_EQ(0, register_slots_as(&self->ring, &slot, 1, 0));
	filled = fill_socket(net.tx);
	for (i = 0; i < NR_REQS; i += BATCH) {
		for (j = i; j < i + BATCH; j++)
			prep_slot_send(&self->ring, net.tx, self->data, REQ_LEN,
				       0, 0)->user_data = REQ(j);
		ASSERT_SUBMIT(&self->ring, BATCH);
	}
	ASSERT_QUIET(&self->ring);
	sqe = ring_sqe(&self->ring);
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_ASYNC_CANCEL;
	sqe->fd = net.tx;
	sqe->cancel_flags = IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ALL;
	sqe->user_data = CANCEL_REQ;
	ASSERT_SUBMIT(&self->ring, 1);

	for (i = 0; i < 2 * NR_REQS + 1; i++) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe))
			TH_LOG("lost: after %u of %u CQEs", i, 2 * NR_REQS + 1);
		if (cqe.user_data == CANCEL_REQ) {
			ASSERT_EQ(0, cancels++);
			ASSERT_EQ(NR_REQS, cqe.res);
			continue;
		}
		nr = req_of_cqe(&cqe, NR_REQS);
		if (nr >= 0) {
			ASSERT_EQ(-ECANCELED, cqe.res);
			ASSERT_EQ(0, cqe.flags);
			ASSERT_FALSE(self->answered[nr]);
			self->answered[nr] = true;
			continue;
		}
		ASSERT_EQ(TAG(0), cqe.user_data);
		ASSERT_EQ(0, cqe.res);
		seq = notif_seq(&cqe);
		ASSERT_LT(seq, NR_REQS);
		ASSERT_TRUE(self->answered[seq])
			TH_LOG("notification %u before its request", seq);
		ASSERT_FALSE(self->notified[seq]);
		self->notified[seq] = true;
	}
	ASSERT_EQ(0, drain_socket(net.rx, filled));
	pair_close(&net);
}

/* Every second slot has a request attached, whose data is in flight. */
TEST_F(batch, contract_12_update_of_all_slots)
{
	unsigned int i, j, slot;
	struct io_uring_cqe cqe;
	struct pair net;

	OPEN_PAIR(&net, NET_LO, AF_INET, SOCK_STREAM, .unread = true);
	ASSERT_EQ(0, register_slots(&self->ring, 2 * NR_USED));
	for (i = 0; i < NR_USED; i += j) {
		for (j = 0; j < BATCH && i + j < NR_USED; j++)
			prep_slot_send(&self->ring, net.tx, self->data +
				       (i + j) * USED_LEN, USED_LEN, 2 * (i + j),
				       0);
		ASSERT_SUBMIT(&self->ring, j);
		for (slot = i; slot < i + j; slot++)
			ASSERT_CQE(&self->ring, REQ(0), USED_LEN, 0);
	}
	ASSERT_QUIET(&self->ring);

	prep_flush(&self->ring, 0, 2 * NR_USED, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_RECEIVED(&net, self->data, NR_USED * USED_LEN);
	for (i = 0, j = 0; i < NR_USED + 1; i++) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe))
			TH_LOG("lost: after %u of %u CQEs", i, NR_USED + 1);
		if (cqe.user_data == FLUSH_REQ) {
			/* how many notifications there will be */
			ASSERT_EQ(NR_USED, cqe.res);
			ASSERT_EQ(0, j++);
			continue;
		}
		slot = (cqe.user_data - TAG(0)) / 2;
		ASSERT_LT(slot, NR_USED);
		ASSERT_EQ(TAG(2 * slot), cqe.user_data);
		ASSERT_EQ(0, cqe.res);
		ASSERT_EQ(notif_flags(0), cqe.flags);
		ASSERT_FALSE(self->notified[slot]);
		self->notified[slot] = true;
	}
	prep_flush(&self->ring, 0, 2 * NR_USED, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, FLUSH_REQ, 0, 0);
	pair_close(&net);
}

NOTIF_TEST_MAIN
