// SPDX-License-Identifier: GPL-2.0
/*
 * IORING_OP_GET_BUF where somebody else reads the stream first, kTLS or a map of BPF's,
 * and from what is no TCP socket: it is refused, and takes nothing.
 */
#include <poll.h>

#include "getbuf.h"
#include "paths.h"
#include "protocols.h"

#define LEN	1000

FIXTURE(getproto)
{
	struct io_uring ring;
	struct pair net;	/* rx is of the protocol */
	char *data, *own;
};

FIXTURE_VARIANT(getproto)
{
	unsigned int setup;
	enum protocol protocol;
	bool turned;	/* what receives is the other one of the pair */
};

#define VARIANTS(name, _protocol, ...)					\
	FIXTURE_VARIANT_ADD(getproto, name##_plain) {			\
		.setup = 0, .protocol = _protocol, __VA_ARGS__		\
	};								\
	FIXTURE_VARIANT_ADD(getproto, name##_defer) {			\
		.setup = RING_DEFER, .protocol = _protocol, __VA_ARGS__	\
	}

VARIANTS(tls_keys, TLS_KEYS);
VARIANTS(sockmap, SOCKMAP, .turned = true);
VARIANTS(mptcp, MPTCP);
VARIANTS(mptcp_fallback, MPTCP_FALLBACK, .turned = true);
VARIANTS(sctp, SCTP);

FIXTURE_SETUP(getproto)
{
	int ret = open_protocol(&self->net, variant->protocol);

	if (is_missing(ret))
		SKIP(return, "the kernel has no such sockets: %s", strerror(-ret));
	ASSERT_EQ(0, ret);
	if (variant->turned)
		pair_turn(&self->net);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	self->own = map_pages(page_size());
	self->data = map_pages(DATA_LEN);
	ASSERT_TRUE(self->own && self->data);
	fill_pattern(self->data, DATA_LEN, 43);
	ASSERT_EQ(0, register_table(&self->ring, self->own, page_size()));
}

FIXTURE_TEARDOWN(getproto)
{
	ring_exit(&self->ring);
	pair_close(&self->net);
}

static bool has_come(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int ret;

	do {
		ret = poll(&p, 1, LOST_MS);
	} while (ret < 0 && errno == EINTR);
	return ret == 1;
}

/* Refused in line, by io-wq, and as it is woken: recv(2) gets all. */
TEST_F(getproto, contract_17_refused)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		struct io_uring_sqe *sqe;

		ASSERT_EQ(0, send_all(self->net.tx, self->data, LEN));
		ASSERT_TRUE(has_come(self->net.rx));
		sqe = prep_get_buf(&self->ring, self->net.rx, LEN, 0);
		sqe->flags = i == 1 ? IOSQE_ASYNC : 0;
		sqe->ioprio = i == 2 ? IORING_RECVSEND_POLL_FIRST : 0;
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_NOT_TAKEN(&self->ring, -EOPNOTSUPP);
		ASSERT_RECEIVED(&self->net, self->data, LEN);
	}
	ASSERT_EQ(0, kernel_bufs(&self->ring));
}

FIXTURE(getturn)
{
	struct io_uring ring;
	struct pair net;
	char *data, *own;
};

FIXTURE_VARIANT(getturn)
{
	enum protocol protocol;
	bool async;
};

FIXTURE_VARIANT_ADD(getturn, tls) { .protocol = TLS_KEYS };
FIXTURE_VARIANT_ADD(getturn, tls_async) { .protocol = TLS_KEYS, .async = true };
FIXTURE_VARIANT_ADD(getturn, sockmap) { .protocol = SOCKMAP };
FIXTURE_VARIANT_ADD(getturn, sockmap_async) { .protocol = SOCKMAP, .async = true };

FIXTURE_SETUP(getturn)
{
	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_STREAM);
	ASSERT_EQ(0, ring_init(&self->ring, 0));
	self->own = map_pages(page_size());
	self->data = map_pages(DATA_LEN);
	ASSERT_TRUE(self->own && self->data);
	fill_pattern(self->data, DATA_LEN, 47);
	ASSERT_EQ(0, register_table(&self->ring, self->own, page_size()));
}

FIXTURE_TEARDOWN(getturn)
{
	ring_exit(&self->ring);
	pair_close(&self->net);
}

/* A TCP socket that is turned into such one while a request waits for it. */
TEST_F(getturn, contract_17_turned_while_it_waits)
{
	int ret;

	prep_get_buf(&self->ring, self->net.rx, LEN, 0)->flags =
		variant->async ? IOSQE_ASYNC : 0;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_QUIET(&self->ring);
	/* a map takes what would send */
	if (variant->protocol == SOCKMAP)
		pair_turn(&self->net);
	ret = convert(&self->net, variant->protocol);
	if (variant->protocol == SOCKMAP)
		pair_turn(&self->net);
	if (is_missing(ret))
		SKIP(return, "the kernel has no such sockets: %s", strerror(-ret));
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, send_all(self->net.tx, self->data, LEN));
	ASSERT_NOT_TAKEN(&self->ring, -EOPNOTSUPP);
	ASSERT_RECEIVED(&self->net, self->data, LEN);
}

/* With TLS's name on it, but no keys to read with, it is what it was. */
TEST_F(getturn, contract_17_tls_without_keys)
{
	if (variant->protocol != TLS_KEYS)
		SKIP(return, "this is about kTLS");
	if (set_tls(self->net.rx))
		SKIP(return, "the kernel has no kTLS");
	ASSERT_EQ(0, send_all(self->net.tx, self->data, LEN));
	prep_get_buf(&self->ring, self->net.rx, LEN, 0)->flags =
		variant->async ? IOSQE_ASYNC : 0;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(50), LEN, 0);
}

/* vsock, AF_UNIX, UDP: there is no stream of TCP in them. */
TEST(contract_17_no_tcp)
{
	struct io_uring ring;
	struct pair pairs[3];
	char *own = map_pages(page_size());
	int fds[2], ret, i;

	OPEN_PAIR(&pairs[0], NET_LO, AF_INET6, SOCK_DGRAM);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	pairs[1] = (struct pair){ .tx = fds[0], .rx = fds[1] };
	ret = pair_open_vsock(&pairs[2], SOCK_STREAM, false);
	ASSERT_EQ(0, ring_init(&ring, 0));
	ASSERT_EQ(0, register_table(&ring, own, page_size()));
	for (i = 0; i < (ret ? 2 : 3); i++) {
		ASSERT_EQ(0, send_all(pairs[i].tx, own, 100));
		prep_get_buf(&ring, pairs[i].rx, 100, 0);
		ASSERT_SUBMIT(&ring, 1);
		ASSERT_NOT_TAKEN(&ring, -EOPNOTSUPP);
		ASSERT_RECEIVED(&pairs[i], own, 100);
		pair_close(&pairs[i]);
	}
	ring_exit(&ring);
}

/* A socket that listens, one that was never connected, and one that is no more. */
TEST(contract_17_not_connected)
{
	const struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int fresh = socket(AF_INET, SOCK_STREAM, 0);
	struct io_uring_cqe cqe = {};
	char *own = map_pages(page_size());
	struct io_uring ring;
	struct pair net;

	OPEN_PAIR(&net, NET_LO, AF_INET, SOCK_STREAM);
	ASSERT_EQ(0, listen(listener, 1));
	ASSERT_EQ(0, ring_init(&ring, 0));
	ASSERT_EQ(0, register_table(&ring, own, page_size()));
	prep_get_buf(&ring, listener, 100, 0);
	ASSERT_SUBMIT(&ring, 1);
	ASSERT_NOT_TAKEN(&ring, -ENOTCONN);
	prep_get_buf(&ring, fresh, 100, 0);
	ASSERT_SUBMIT(&ring, 1);
	ASSERT_NOT_TAKEN(&ring, -ENOTCONN);
	/* disconnected while it waits */
	prep_get_buf(&ring, net.rx, 100, 0);
	ASSERT_SUBMIT(&ring, 1);
	ASSERT_QUIET(&ring);
	ASSERT_EQ(0, connect(net.rx, &nobody, sizeof(nobody)));
	ASSERT_EQ(0, ring_next(&ring, &cqe));
	ASSERT_EQ(REQ(50), cqe.user_data);
	ASSERT_GE(0, cqe.res);
	/* who shut his own receiving side has reached the end */
	pair_close(&net);
	OPEN_PAIR(&net, NET_LO, AF_INET, SOCK_STREAM);
	prep_get_buf(&ring, net.rx, 100, 0);
	ASSERT_SUBMIT(&ring, 1);
	ASSERT_QUIET(&ring);
	ASSERT_EQ(0, shutdown(net.rx, SHUT_RD));
	ASSERT_NOT_TAKEN(&ring, 0);
	ring_exit(&ring);
	pair_close(&net);
	close(listener);
	close(fresh);
}

NOTIF_TEST_MAIN
