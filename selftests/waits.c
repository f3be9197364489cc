// SPDX-License-Identifier: GPL-2.0
/*
 * Requests that wait: each with the flush flag has a notification of its own,
 * however it waits, and a drained request waits for no notification.
 */
#include "fixture.h"

#define NR_REQS		3
#define REQ_LEN		1000
#define DATA_LEN	(NR_REQS * REQ_LEN)
#define DRAINED		REQ(10)

/* How the requests wait for a socket that is full. */
static const struct {
	const char *name;
	unsigned int ioprio;
	unsigned int flags;
} ways[] = {
	{ "poll-armed", 0, 0 },
	{ "POLL_FIRST", IORING_RECVSEND_POLL_FIRST, 0 },
	{ "ASYNC", 0, IOSQE_ASYNC },
	{ "DRAIN", 0, IOSQE_IO_DRAIN },
	{ "linked", 0, IOSQE_IO_LINK },
};

FIXTURE(waits)
{
	struct io_uring ring;
	struct pair net;
	char data[DATA_LEN];	/* a byte value for each request */
	unsigned int seq;	/* of the slot's next notifier */
};

RING_VARIANTS_SQPOLL(waits);

FIXTURE_SETUP(waits)
{
	unsigned int i;

	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_STREAM, .full = true);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, register_slots(&self->ring, 1));
	for (i = 0; i < NR_REQS; i++)
		memset(self->data + i * REQ_LEN, 'a' + i, REQ_LEN);
}

FIXTURE_TEARDOWN(waits)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
	pair_close(&self->net);
}

/* What the receiver has got: how many bytes of each request, and of zero. */
struct received {
	size_t of_req[NR_REQS];
	size_t zero, other;
};

/* Read @len bytes and let the ring go on; requests may come in any order. */
static int receive(FIXTURE_DATA(waits) *self, size_t len,
		   struct received *received)
{
	unsigned int idle_ms = 0;
	char buf[4096];
	size_t i;

	memset(received, 0, sizeof(*received));
	while (len) {
		ssize_t n = recv(self->net.rx, buf,
				 len < sizeof(buf) ? len : sizeof(buf),
				 MSG_DONTWAIT);

		if (n <= 0) {
			if (idle_ms++ > LOST_MS)
				return -ETIME;
			ring_wait(&self->ring, 0, 0);
			nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
			continue;
		}
		idle_ms = 0;
		len -= n;
		for (i = 0; i < (size_t)n; i++) {
			unsigned int req = buf[i] - 'a';

			if (req < NR_REQS)
				received->of_req[req]++;
			else if (buf[i])
				received->other++;
			else
				received->zero++;
		}
	}
	return 0;
}

/* Requests that all wait, each of them its notifier's last. */
#define ASSERT_ALL_WAIT(_way) do {					\
	unsigned int __i;						\
									\
	for (__i = 0; __i < NR_REQS; __i++) {				\
		struct io_uring_sqe *__sqe;				\
									\
		__sqe = prep_slot_send(&self->ring, self->net.tx,	\
				       self->data + __i * REQ_LEN,	\
				       REQ_LEN, 0, ways[_way].ioprio |	\
				       IORING_RECVSEND_NOTIF_FLUSH);	\
		__sqe->user_data = REQ(__i);				\
		__sqe->flags = ways[_way].flags;			\
		/* a chain ends where the next one begins */		\
		if (__i == NR_REQS - 1)					\
			__sqe->flags &= ~IOSQE_IO_LINK;			\
	}								\
	ASSERT_SUBMIT(&self->ring, NR_REQS);				\
	ASSERT_QUIET(&self->ring);					\
} while (0)

/* The CQEs of all requests, and after each of them its own notification. */
#define ASSERT_ANSWERS(_way, _res)					\
	assert_answers(_metadata, self, ways[_way].name, _res)

static void assert_answers(struct __test_metadata *_metadata,
			   FIXTURE_DATA(waits) *self, const char *name, int res)
{
	bool answered[NR_REQS] = {}, notified[NR_REQS] = {};
	struct io_uring_cqe cqe;
	unsigned int i, nr;

	for (i = 0; i < 2 * NR_REQS; i++) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe))
			TH_LOG("%s: %u CQEs of %u", name, i, 2 * NR_REQS);
		if (cqe.user_data != TAG(0)) {
			ASSERT_GT(NR_REQS, cqe.user_data - REQ(0));
			ASSERT_EQ(res, cqe.res)
				TH_LOG("%s: request %d", name,
				       (int)(cqe.user_data - REQ(0)));
			ASSERT_EQ(0, cqe.flags);
			answered[cqe.user_data - REQ(0)] = true;
			continue;
		}
		nr = notif_seq(&cqe) - self->seq;
		ASSERT_GT(NR_REQS, nr);
		ASSERT_EQ(0, cqe.res);
		ASSERT_TRUE(answered[nr])
			TH_LOG("%s: notification %u before its request", name, nr);
		ASSERT_FALSE(notified[nr]);
		notified[nr] = true;
	}
	ASSERT_QUIET(&self->ring);
	self->seq += NR_REQS;
}

TEST_F(waits, contract_04_each_flag_its_own_notification)
{
	struct received received;
	unsigned int way, i;
	size_t filled;

	for (way = 0; way < ARRAY_SIZE(ways); way++) {
		filled = fill_socket(self->net.tx);
		ASSERT_ALL_WAIT(way);
		ASSERT_EQ(0, receive(self, filled + DATA_LEN, &received))
			TH_LOG("%s", ways[way].name);
		ASSERT_EQ(filled, received.zero);
		ASSERT_EQ(0, received.other);
		for (i = 0; i < NR_REQS; i++)
			ASSERT_EQ(REQ_LEN, received.of_req[i]);
		ASSERT_ANSWERS(way, REQ_LEN);
	}
}

static unsigned int nr_cqes(struct io_uring *ring)
{
	return __atomic_load_n(ring->cq.ktail, __ATOMIC_ACQUIRE) -
	       *ring->cq.khead;
}

/*
 * Cancelled before a byte was sent. By the system call, which isn't a request
 * that would be drained itself, and again for those that get their turn then.
 */
TEST_F(waits, contract_04_each_flag_its_own_notification_cancelled)
{
	const struct io_uring_sync_cancel_reg cancel = {
		.fd = self->net.tx,
		.flags = IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ALL,
		.timeout = { .tv_sec = 1 },
	};
	struct received received;
	unsigned int way, i;
	size_t filled;

	for (way = 0; way < ARRAY_SIZE(ways); way++) {
		filled = fill_socket(self->net.tx);
		ASSERT_ALL_WAIT(way);
		for (i = 0; i < LOST_MS; i += QUIET_MS) {
			ring_register(&self->ring, IORING_REGISTER_SYNC_CANCEL,
				      &cancel, 1);
			ring_wait(&self->ring, 2 * NR_REQS, QUIET_MS);
			if (nr_cqes(&self->ring) >= 2 * NR_REQS)
				break;
		}
		ASSERT_ANSWERS(way, -ECANCELED);
		ASSERT_EQ(0, receive(self, filled, &received));
		ASSERT_EQ(filled, received.zero);
	}
}

/* Unlike for mainline's SEND_ZC, whose notification is the request's. */
TEST_F(waits, contract_12_drain_does_not_wait_for_notifications)
{
	const size_t len = 256 << 10;
	struct io_uring_sqe *sqe;
	struct pair net;
	char *data;

	OPEN_PAIR(&net, NET_LO, AF_INET, SOCK_STREAM, .unread = true);
	data = map_pages(len);
	ASSERT_NE(NULL, data);
	fill_pattern(data, len, 23);
	prep_slot_send(&self->ring, net.tx, data, len, 0,
		       IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), len, 0);
	ASSERT_QUIET(&self->ring);

	sqe = ring_sqe(&self->ring);
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_NOP;
	sqe->flags = IOSQE_IO_DRAIN;
	sqe->user_data = DRAINED;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, DRAINED, 0, 0);
	ASSERT_QUIET(&self->ring);
	ASSERT_RECEIVED(&net, data, len);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	pair_close(&net);
}

NOTIF_TEST_MAIN
