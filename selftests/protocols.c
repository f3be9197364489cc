// SPDX-License-Identifier: GPL-2.0
/*
 * Sockets that can't send without copying: kTLS, sockmap, MPTCP, SCTP. A request
 * that finds one fails as it is issued: it was attached, its notifier answers.
 */
#include "fixture.h"
#include "protocols.h"

#define LEN		4000
#define BIG_LEN		(512 << 10)	/* more than the receiver takes unread */

FIXTURE(protocols)
{
	struct io_uring ring;
	struct pair net, good;
	char *data;	/* registered buffer 0 */
};

FIXTURE_VARIANT(protocols)
{
	unsigned int setup;
	enum protocol protocol;
};

#define VARIANTS(name, _protocol)					\
	FIXTURE_VARIANT_ADD(protocols, name##_plain) {			\
		.setup = 0, .protocol = _protocol,			\
	};								\
	FIXTURE_VARIANT_ADD(protocols, name##_defer) {			\
		.setup = RING_DEFER, .protocol = _protocol,		\
	}

VARIANTS(tls, TLS);
VARIANTS(tls_keys, TLS_KEYS);
VARIANTS(sockmap, SOCKMAP);
VARIANTS(sockmap_udp, SOCKMAP_UDP);
VARIANTS(mptcp, MPTCP);
VARIANTS(mptcp_accepted, MPTCP_ACCEPTED);
VARIANTS(mptcp_fallback, MPTCP_FALLBACK);
VARIANTS(mptcp_accepted_tcp, MPTCP_ACCEPTED_TCP);
VARIANTS(sctp, SCTP);

FIXTURE_SETUP(protocols)
{
	struct iovec iov = { .iov_len = BIG_LEN };
	int ret;

	ret = open_protocol(&self->net, variant->protocol);
	if (is_missing(ret))
		SKIP(return, "the kernel has no such sockets: %s", strerror(-ret));
	ASSERT_EQ(0, ret);
	OPEN_PAIR(&self->good, NET_LO, AF_INET, SOCK_STREAM, .unread = true);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	self->data = map_pages(BIG_LEN);
	ASSERT_NE(NULL, self->data);
	fill_pattern(self->data, BIG_LEN, 31);
	iov.iov_base = self->data;
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	ASSERT_EQ(0, register_slots(&self->ring, 2));
}

FIXTURE_TEARDOWN(protocols)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
	pair_close(&self->net);
	pair_close(&self->good);
}

/* Nothing has been sent, and the socket still sends what is copied. */
#define ASSERT_ONLY_COPIES(_pair, _len) do {				\
	char __byte;							\
	ssize_t __n;							\
									\
	ASSERT_EQ(-1, recv((_pair)->rx, &__byte, 1, MSG_DONTWAIT));	\
	ASSERT_EQ(EAGAIN, errno);					\
	__n = send((_pair)->tx, self->data, _len, 0);			\
	ASSERT_EQ(_len, __n);						\
	ASSERT_RECEIVED(_pair, self->data, _len);			\
} while (0)

/* Both opcodes, plain and registered buffers: as SEND_ZC, once attached. */
TEST_F(protocols, path_refused)
{
	struct iovec iov = { .iov_base = self->data, .iov_len = LEN };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct io_uring_cqe cqe;
	unsigned int seq;

	io_uring_prep_sendzc(ring_sqe(&self->ring), self->net.tx, self->data, LEN,
			     0, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_EQ(0, ring_next(&self->ring, &cqe));
	ASSERT_EQ(-EOPNOTSUPP, cqe.res);
	if (cqe.flags & IORING_CQE_F_MORE)
		ASSERT_CQE(&self->ring, 0, 0, IORING_CQE_F_NOTIF);
	for (seq = 0; seq < 3; seq++) {
		unsigned int flags = IORING_RECVSEND_NOTIF_FLUSH |
				     (seq == 1 ? IORING_RECVSEND_FIXED_BUF : 0);

		if (seq == 2)
			prep_slot_sendmsg(&self->ring, self->net.tx, &msg, 0,
					  flags);
		else
			prep_slot_send(&self->ring, self->net.tx, self->data,
				       LEN, 0, flags);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), -EOPNOTSUPP, 0);
		ASSERT_NOTIF(&self->ring, TAG(0), seq);
	}
	ASSERT_ONLY_COPIES(&self->net, LEN);
}

/* One of three of a notifier, whose last is in flight: it answers once, after it. */
TEST_F(protocols, path_refused_among_others)
{
	prep_slot_send(&self->ring, self->good.tx, self->data, 100, 0, 0);
	prep_slot_send(&self->ring, self->net.tx, self->data, LEN, 0,
		       IORING_RECVSEND_FIXED_BUF);
	prep_slot_send(&self->ring, self->good.tx, self->data + 100,
		       BIG_LEN - 100, 0, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 3);
	ASSERT_CQE(&self->ring, REQ(0), 100, 0);
	ASSERT_CQE(&self->ring, REQ(0), -EOPNOTSUPP, 0);
	ASSERT_CQE(&self->ring, REQ(0), BIG_LEN - 100, 0);
	ASSERT_QUIET(&self->ring);
	ASSERT_RECEIVED(&self->good, self->data, BIG_LEN);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_ONLY_COPIES(&self->net, LEN);
}

/* It breaks its link; who comes behind was attached too, and takes the flush. */
TEST_F(protocols, path_refused_in_a_link)
{
	prep_slot_send(&self->ring, self->net.tx, self->data, LEN, 0, 0)->flags |=
		IOSQE_IO_LINK;
	prep_slot_send(&self->ring, self->good.tx, self->data, LEN, 0,
		       IORING_RECVSEND_NOTIF_FLUSH)->user_data = REQ(1);
	ASSERT_SUBMIT(&self->ring, 2);
	ASSERT_CQE(&self->ring, REQ(0), -EOPNOTSUPP, 0);
	ASSERT_CQE(&self->ring, REQ(1), -ECANCELED, 0);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_ONLY_COPIES(&self->good, LEN);
}

/* Of a TCP socket; with TLS's keys its receiver would see records in what comes. */
#define ONLY_WHAT_IS_CONVERTED() do {					\
	if (variant->protocol != TLS && variant->protocol != SOCKMAP)	\
		SKIP(return, "no TCP socket with data turns into one");	\
} while (0)

/* What was sent before the socket turned into such a one is not lost, nor early. */
TEST_F(protocols, path_converted_with_data_in_flight)
{
	ONLY_WHAT_IS_CONVERTED();
	prep_slot_send(&self->ring, self->good.tx, self->data, BIG_LEN, 0,
		       IORING_RECVSEND_NOTIF_FLUSH | IORING_RECVSEND_FIXED_BUF);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), BIG_LEN, 0);
	ASSERT_QUIET(&self->ring);
	ASSERT_EQ(0, convert(&self->good, variant->protocol));
	prep_slot_send(&self->ring, self->good.tx, self->data, LEN, 1,
		       IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), -EOPNOTSUPP, 0);
	ASSERT_NOTIF(&self->ring, TAG(1), 0);
	ASSERT_QUIET(&self->ring);
	ASSERT_RECEIVED(&self->good, self->data, BIG_LEN);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

/* A request of which only a part has gone when it is no longer possible. */
TEST_F(protocols, path_converted_as_a_request_waits)
{
	unsigned int before = 0, idle_ms = 0;
	struct io_uring_cqe cqe;
	char got[4096];
	ssize_t n;

	ONLY_WHAT_IS_CONVERTED();
	pair_close(&self->good);
	OPEN_PAIR(&self->good, NET_LO, AF_INET, SOCK_STREAM, .full = true);
	prep_slot_send(&self->ring, self->good.tx, self->data, BIG_LEN, 0,
		       IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_QUIET(&self->ring);
	ASSERT_EQ(0, convert(&self->good, variant->protocol));
	/* once there is room it goes on, can't, and says how much it has sent */
	while (ring_next_ms(&self->ring, &cqe, 1)) {
		n = recv(self->good.rx, got, sizeof(got), MSG_DONTWAIT);
		idle_ms = n > 0 ? 0 : idle_ms + 1;
		ASSERT_LT(idle_ms, LOST_MS) TH_LOG("lost: the request's CQE");
		if (n <= 0)
			continue;
		ASSERT_LE(before + n, BIG_LEN);
		ASSERT_EQ(0, memcmp(got, self->data + before, n));
		before += n;
	}
	ASSERT_EQ(REQ(0), cqe.user_data);
	ASSERT_EQ(0, cqe.flags);
	ASSERT_LT(0, cqe.res);
	ASSERT_LE((int)before, cqe.res);
	ASSERT_LT(cqe.res, BIG_LEN);
	if (cqe.res > (int)before)
		ASSERT_RECEIVED(&self->good, self->data + before,
				cqe.res - before);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_EQ(-1, recv(self->good.rx, got, 1, MSG_DONTWAIT));
	ASSERT_EQ(EAGAIN, errno);
}

NOTIF_TEST_MAIN
