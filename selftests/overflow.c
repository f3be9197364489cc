// SPDX-License-Identifier: GPL-2.0
/*
 * A CQ ring of eight entries that nobody empties, and hundreds of notifications:
 * all come in the end, each once, and after the CQEs of its requests.
 */
#include "fixture.h"

#define NR_SLOTS	4
#define SMALL_RING	8
#define NR_REQS		240
/* that many requests attach to a notifier */
#define FLUSH_AFTER	2
#define NR_NOTIFS	(NR_REQS / FLUSH_AFTER)
#define REQ_LEN		4096
#define DGRAM_LEN	500

FIXTURE(overflow)
{
	struct io_uring ring;
	struct pair net;
	char *data;	/* NR_REQS * REQ_LEN bytes */
	unsigned char req_seen[NR_NOTIFS], notif_seen[NR_NOTIFS];
};

RING_VARIANTS_SQPOLL(overflow);

FIXTURE_SETUP(overflow)
{
	struct io_uring_notification_slot slots[NR_SLOTS] = {};
	struct io_uring_params p = {
		.flags = variant->setup | IORING_SETUP_SUBMIT_ALL |
			 IORING_SETUP_CQSIZE,
		.cq_entries = SMALL_RING,
		.sq_thread_idle = 10,
	};
	unsigned int i;

	ASSERT_EQ(0, io_uring_queue_init_params(SMALL_RING, &self->ring, &p));
	ASSERT_EQ(SMALL_RING, p.cq_entries);
	for (i = 0; i < NR_SLOTS; i++) {
		slots[i].tag = TAG(i);
		slots[i].flush_after = FLUSH_AFTER;
	}
	ASSERT_EQ(0, register_slots_as(&self->ring, slots, NR_SLOTS, 0));
	self->data = malloc(NR_REQS * REQ_LEN);
	fill_pattern(self->data, NR_REQS * REQ_LEN, 8);
}

FIXTURE_TEARDOWN(overflow)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
	pair_close(&self->net);
}

/* Which notifier request @nr is attached to, and which one a CQE is of. */
static unsigned int notifier_of_req(unsigned int nr)
{
	return nr / NR_SLOTS / FLUSH_AFTER * NR_SLOTS + nr % NR_SLOTS;
}

static unsigned int notifier_of_cqe(const struct io_uring_cqe *cqe)
{
	return notif_seq(cqe) * NR_SLOTS + (cqe->user_data - TAG(0));
}

/* Send everything, @len bytes each, and look at no CQE. */
#define SEND_ALL(_len, _flags_of_odd) do {				\
	unsigned int __i;						\
									\
	for (__i = 0; __i < NR_REQS; __i++) {				\
		struct io_uring_sqe *__sqe;				\
									\
		__sqe = prep_slot_send(&self->ring, self->net.tx,	\
				       self->data + __i * (_len), _len,	\
				       __i % NR_SLOTS, 0);		\
		__sqe->user_data = REQ(__i);				\
		__sqe->flags = __i & 1 ? (_flags_of_odd) : 0;		\
		if (__i % SMALL_RING == SMALL_RING - 1)			\
			ASSERT_SUBMIT(&self->ring, SMALL_RING);		\
	}								\
} while (0)

static void take_cqe(struct __test_metadata *_metadata,
		     FIXTURE_DATA(overflow) *self,
		     const struct io_uring_cqe *cqe, int len)
{
	unsigned int nr;

	if (cqe->user_data < TAG(0)) {
		ASSERT_LT(cqe->user_data - REQ(0), NR_REQS);
		ASSERT_EQ(len, cqe->res);
		ASSERT_EQ(0, cqe->flags);
		self->req_seen[notifier_of_req(cqe->user_data - REQ(0))]++;
		return;
	}
	ASSERT_LT(cqe->user_data - TAG(0), NR_SLOTS);
	ASSERT_EQ(0, cqe->res);
	nr = notifier_of_cqe(cqe);
	ASSERT_LT(nr, NR_NOTIFS);
	ASSERT_EQ(FLUSH_AFTER, self->req_seen[nr])
		TH_LOG("notifier %u: before the CQEs of its requests", nr);
	ASSERT_EQ(0, self->notif_seen[nr]++)
		TH_LOG("notifier %u: a second time", nr);
}

/* The CQ ring did overflow; then every CQE comes. */
#define ASSERT_ALL_CQES(_len) do {					\
	struct io_uring_cqe __cqe;					\
	unsigned int __i;						\
									\
	ASSERT_TRUE(__atomic_load_n(self->ring.sq.kflags, __ATOMIC_ACQUIRE) & \
		    IORING_SQ_CQ_OVERFLOW);				\
	for (__i = 0; __i < NR_REQS + NR_NOTIFS; __i++) {		\
		ASSERT_EQ(0, ring_next(&self->ring, &__cqe))		\
			TH_LOG("lost: %u CQEs of %u",			\
			       NR_REQS + NR_NOTIFS - __i,		\
			       NR_REQS + NR_NOTIFS);			\
		take_cqe(_metadata, self, &__cqe, _len);		\
	}								\
	/* none was dropped for want of memory */			\
	ASSERT_EQ(0, *self->ring.cq.koverflow);				\
} while (0)

/* Released where the request or the flush is over: by task, SQPOLL thread, io-wq. */
TEST_F(overflow, contract_03_full_cq)
{
	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_DGRAM);
	SEND_ALL(DGRAM_LEN, 0);
	ASSERT_ALL_CQES(DGRAM_LEN);
	ASSERT_RECEIVED(&self->net, self->data, NR_REQS * DGRAM_LEN);
}

TEST_F(overflow, contract_03_full_cq_io_wq)
{
	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_DGRAM);
	SEND_ALL(DGRAM_LEN, IOSQE_ASYNC);
	ASSERT_ALL_CQES(DGRAM_LEN);
}

/* Released by the network as the receiver reads, the CQ ring full since long. */
TEST_F(overflow, contract_03_full_cq_softirq)
{
	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_STREAM, .unread = true);
	SEND_ALL(REQ_LEN, 0);
	ASSERT_RECEIVED(&self->net, self->data, NR_REQS * REQ_LEN);
	ASSERT_ALL_CQES(REQ_LEN);
}

NOTIF_TEST_MAIN
