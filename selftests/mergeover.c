// SPDX-License-Identifier: GPL-2.0
/*
 * Merged CQEs that come in numbers: more than the CQ has room for, and each the
 * moment from which the program writes to its buffer again.
 */
#include "mergeslots.h"

#define SMALL_RING	8
#define NR_REQS		240
#define MAX_PART	8192
#define DATA_LEN	(NR_REQS * MAX_PART)
#define NEW_BYTE	0xee

FIXTURE(over)
{
	struct io_uring ring;
	struct pair net;
	int type;
	unsigned int len;	/* of a request */
	char *data;		/* DATA_LEN bytes, registered if the variant says so */
	char *want, *got;	/* what is sent, and what comes */
	unsigned int nr_got;	/* bytes, or datagrams */
	bool seen[NR_REQS];	/* CQEs */
	bool arrived[NR_REQS];	/* datagrams */
	unsigned int nr_seen;
};

FIXTURE_VARIANT(over)
{
	unsigned int setup;
	enum net_link link;
	int type;
	bool fixed;
};

#define VARIANTS(name, ...)						\
	FIXTURE_VARIANT_ADD(over, name##_plain) {			\
		.setup = 0, __VA_ARGS__					\
	};								\
	FIXTURE_VARIANT_ADD(over, name##_defer_fixed) {			\
		.setup = RING_DEFER, .fixed = true, __VA_ARGS__		\
	};								\
	FIXTURE_VARIANT_ADD(over, name##_sqpoll) {			\
		.setup = IORING_SETUP_SQPOLL, __VA_ARGS__		\
	}

VARIANTS(lo_udp, .link = NET_LO, .type = SOCK_DGRAM);
VARIANTS(lo_tcp, .link = NET_LO, .type = SOCK_STREAM);
VARIANTS(nic_udp, .link = NET_NIC, .type = SOCK_DGRAM);
VARIANTS(nic_tcp, .link = NET_NIC, .type = SOCK_STREAM);

FIXTURE_SETUP(over)
{
	struct io_uring_params p = {
		.flags = variant->setup | IORING_SETUP_SUBMIT_ALL |
			 IORING_SETUP_CQSIZE,
		.cq_entries = SMALL_RING,
		.sq_thread_idle = 10,
	};
	struct iovec iov = { .iov_len = DATA_LEN };
	unsigned int i;

	OPEN_PAIR(&self->net, variant->link, AF_INET, variant->type,
		  .unread = variant->type == SOCK_STREAM);
	self->type = variant->type;
	ASSERT_EQ(0, io_uring_queue_init_params(SMALL_RING, &self->ring, &p));
	ASSERT_EQ(0, register_merge_slots(&self->ring, false));
	self->len = self->type == SOCK_STREAM ? MAX_PART : 1200;
	self->data = map_pages(DATA_LEN);
	self->want = malloc(DATA_LEN);
	self->got = malloc(DATA_LEN);
	ASSERT_NE(NULL, self->data);
	fill_pattern(self->data, DATA_LEN, 45);
	/* each begins with its number, as datagrams may overtake each other */
	for (i = 0; i < NR_REQS; i++)
		memcpy(self->data + i * self->len, &i, sizeof(i));
	memcpy(self->want, self->data, DATA_LEN);
	iov.iov_base = self->data;
	if (variant->fixed)
		ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
}

FIXTURE_TEARDOWN(over)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
	pair_close(&self->net);
}

/* Request @nr. Each fourth is by io-wq if @async: not on a stream, it would mix. */
static void prep_part(FIXTURE_DATA(over) *self,
		      const FIXTURE_VARIANT(over) *variant, unsigned int nr,
		      bool async)
{
	struct io_uring_sqe *sqe;

	sqe = prep_slot_send(&self->ring, self->net.tx,
			     self->data + nr * self->len, self->len, EACH,
			     variant->fixed ? IORING_RECVSEND_FIXED_BUF : 0);
	sqe->user_data = REQ(nr);
	if (async && nr % 4 == 3)
		sqe->flags = IOSQE_ASYNC;
}

/* Take a CQE: it is the only one of its request. */
static unsigned int take_cqe(struct __test_metadata *_metadata,
			     FIXTURE_DATA(over) *self,
			     const struct io_uring_cqe *cqe)
{
	const unsigned int nr = cqe->user_data - REQ(0);

	ASSERT_LT(nr, NR_REQS);
	ASSERT_EQ((int)self->len, cqe->res);
	ASSERT_EQ(0, cqe->flags);
	ASSERT_FALSE(self->seen[nr])
		TH_LOG("request %u: a second time", nr);
	self->seen[nr] = true;
	self->nr_seen++;
	return nr;
}

/* Take what has arrived, without waiting, and compare it. */
static bool receive_some(struct __test_metadata *_metadata,
			 FIXTURE_DATA(over) *self)
{
	unsigned int nr;
	ssize_t n;

	if (self->type == SOCK_STREAM) {
		n = recv(self->net.rx, self->got, 4096, MSG_DONTWAIT);
		if (n <= 0)
			return false;
		ASSERT_EQ(0, memcmp(self->got, self->want + self->nr_got, n))
			TH_LOG("near byte %u", self->nr_got);
		self->nr_got += n;
		return true;
	}
	n = recv(self->net.rx, self->got, MAX_PART, MSG_DONTWAIT);
	if (n <= 0)
		return false;
	ASSERT_EQ((int)self->len, n);
	memcpy(&nr, self->got, sizeof(nr));
	ASSERT_LT(nr, NR_REQS);
	ASSERT_FALSE(self->arrived[nr]);
	ASSERT_EQ(0, memcmp(self->got, self->want + nr * self->len, n))
		TH_LOG("datagram %u", nr);
	self->arrived[nr] = true;
	self->nr_got++;
	return true;
}

/* What the first @nr requests have sent. */
static void receive_all(struct __test_metadata *_metadata,
			FIXTURE_DATA(over) *self, unsigned int nr)
{
	const bool stream = self->type == SOCK_STREAM;
	const unsigned int want = stream ? nr * self->len : nr;
	unsigned int idle_ms = 0;

	while (self->nr_got < want) {
		if (receive_some(_metadata, self)) {
			idle_ms = 0;
			continue;
		}
		ASSERT_GT(LOST_MS, idle_ms++)
			TH_LOG("only %u of %u have come", self->nr_got, want);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
}

/* Nobody takes CQEs until all has arrived; then all come, each once. */
TEST_F(over, contract_13_full_cq)
{
	struct io_uring_cqe cqe;
	unsigned int i;

	for (i = 0; i < NR_REQS; i++) {
		prep_part(self, variant, i, self->type == SOCK_DGRAM);
		if (i % SMALL_RING != SMALL_RING - 1)
			continue;
		ASSERT_SUBMIT(&self->ring, SMALL_RING);
		/* a receiver drops what it has no room for */
		if (self->type == SOCK_DGRAM)
			receive_all(_metadata, self, i + 1);
	}
	receive_all(_metadata, self, NR_REQS);
	for (i = 0; i < NR_REQS; i++) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe))
			TH_LOG("lost: %u CQEs of %u", NR_REQS - i, NR_REQS);
		take_cqe(_metadata, self, &cqe);
	}
	/* none was dropped for want of memory */
	ASSERT_EQ(0, *self->ring.cq.koverflow);
	ASSERT_QUIET(&self->ring);
}

/*
 * The program writes to the buffer the moment it sees the CQE, and none of that
 * ever arrives. What is sent can be more than has room on the way.
 */
TEST_F(over, contract_13_buffer_written_at_the_cqe)
{
	unsigned int sent = 0, idle_ms = 0;
	struct io_uring_cqe cqe;

	while (self->nr_seen < NR_REQS) {
		bool idle = true;

		while (sent < NR_REQS && sent - self->nr_seen < 64) {
			prep_part(self, variant, sent++,
				  self->type == SOCK_DGRAM);
			ASSERT_SUBMIT(&self->ring, 1);
			idle = false;
		}
		while (!ring_next_ms(&self->ring, &cqe, 1)) {
			unsigned int nr = take_cqe(_metadata, self, &cqe);

			memset(self->data + nr * self->len, NEW_BYTE, self->len);
			idle = false;
		}
		/* slowly, so that there is always some on the way */
		idle &= !receive_some(_metadata, self);
		idle_ms = idle ? idle_ms + 1 : 0;
		ASSERT_GT(LOST_MS, idle_ms)
			TH_LOG("lost: %u CQEs", NR_REQS - self->nr_seen);
	}
	receive_all(_metadata, self, NR_REQS);
	ASSERT_QUIET(&self->ring);
}

/* As long as nobody reads no CQE comes of what has no room at the receiver. */
TEST_F(over, contract_13_no_cqe_while_memory_is_in_use)
{
	struct io_uring_cqe cqe;
	unsigned int i;

	/* datagrams don't wait for their receiver */
	if (self->type != SOCK_STREAM) {
		pair_close(&self->net);
		OPEN_PAIR(&self->net, variant->link, AF_INET, SOCK_STREAM,
			  .unread = true);
		self->type = SOCK_STREAM;
	}
	for (i = 0; i < NR_REQS; i++) {
		prep_part(self, variant, i, false);
		if (i % SMALL_RING == SMALL_RING - 1)
			ASSERT_SUBMIT(&self->ring, SMALL_RING);
	}
	/* those that have room come, and no other */
	while (!ring_next_ms(&self->ring, &cqe, 4 * QUIET_MS))
		take_cqe(_metadata, self, &cqe);
	for (i = NR_REQS / 2; i < NR_REQS; i++)
		ASSERT_FALSE(self->seen[i]);
	receive_all(_metadata, self, NR_REQS);
	while (self->nr_seen < NR_REQS) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		take_cqe(_metadata, self, &cqe);
	}
}

NOTIF_TEST_MAIN
