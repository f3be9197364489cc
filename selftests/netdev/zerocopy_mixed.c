// SPDX-License-Identifier: GPL-2.0
/*
 * Zero-copy sends of more than one sender, or provider, behind each other on one
 * socket: io_uring's in a corked datagram, and send(MSG_ZEROCOPY) behind data of
 * io_uring's that is not out yet.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <io_uring/mini_liburing.h>

#include "kselftest_harness.h"

#define BIG_LEN		(128 << 10)	/* more than the receiver takes */
#define RX_ROOM		(16 << 10)
#define TX_ROOM		(200 << 10)
#define SMALL_LEN	1000
#define SEGMENT		500
#define PART_LEN	1200

FIXTURE(mixed)
{
	struct io_uring ring;
	int tx, rx;
	char *data;
};

/* Two connected sockets on the loopback device. */
static int open_pair(int type, int *tx, int *rx)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(addr);
	const int rx_room = RX_ROOM, tx_room = TX_ROOM;
	int fd = socket(AF_INET, type, 0);

	*tx = socket(AF_INET, type, 0);
	if (fd < 0 || *tx < 0 ||
	    setsockopt(*tx, SOL_SOCKET, SO_SNDBUF, &tx_room, sizeof(tx_room)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rx_room, sizeof(rx_room)) ||
	    bind(fd, (void *)&addr, sizeof(addr)) ||
	    getsockname(fd, (void *)&addr, &len))
		return -errno;
	*rx = fd;
	if (type == SOCK_STREAM && listen(fd, 1))
		return -errno;
	if (connect(*tx, (void *)&addr, sizeof(addr)))
		return -errno;
	if (type == SOCK_STREAM) {
		*rx = accept(fd, NULL, NULL);
		close(fd);
	}
	return *rx < 0 ? -errno : 0;
}

FIXTURE_SETUP(mixed)
{
	size_t i;
	int ret;

	self->tx = -1;
	self->rx = -1;
	ret = io_uring_queue_init(8, &self->ring, 0);
	if (ret)
		SKIP(return, "no io_uring");
	self->data = malloc(BIG_LEN + SMALL_LEN);
	ASSERT_NE(NULL, self->data);
	for (i = 0; i < BIG_LEN + SMALL_LEN; i++)
		self->data[i] = i * 7 + i / 251;
}

FIXTURE_TEARDOWN(mixed)
{
	close(self->tx);
	close(self->rx);
	free(self->data);
}

/* A zero-copy send; the result of the request, not of its notification. */
static int send_zc(struct io_uring *ring, int fd, const void *data, size_t len,
		   int flags)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;
	int ret, res;

	if (!sqe)
		return -EBUSY;
	io_uring_prep_sendzc(sqe, fd, data, len, flags, 0);
	ret = io_uring_submit(ring);
	if (ret != 1)
		return ret < 0 ? ret : -EIO;
	do {
		ret = io_uring_wait_cqe(ring, &cqe);
		if (ret)
			return ret;
		ret = cqe->flags & IORING_CQE_F_NOTIF;
		res = cqe->res;
		io_uring_cqe_seen(ring);
	} while (ret);
	return res;
}

TEST_F(mixed, parts_of_a_corked_datagram)
{
	const int segment = SEGMENT, on = 1, off = 0;
	char got[2 * PART_LEN];
	size_t at = 0;
	ssize_t n;

	ASSERT_EQ(0, open_pair(SOCK_DGRAM, &self->tx, &self->rx));
	ASSERT_EQ(0, setsockopt(self->tx, IPPROTO_UDP, UDP_SEGMENT, &segment,
				sizeof(segment)));
	ASSERT_EQ(0, setsockopt(self->tx, IPPROTO_UDP, UDP_CORK, &on,
				sizeof(on)));
	ASSERT_EQ(PART_LEN, send_zc(&self->ring, self->tx, self->data, PART_LEN, 0));
	/* this one has a ubuf_info of its own */
	ASSERT_EQ(PART_LEN, send_zc(&self->ring, self->tx,
				    self->data + PART_LEN, PART_LEN, 0));
	ASSERT_EQ(0, setsockopt(self->tx, IPPROTO_UDP, UDP_CORK, &off,
				sizeof(off)));
	while (at < sizeof(got)) {
		n = recv(self->rx, got + at, sizeof(got) - at, 0);
		ASSERT_LT(0, n);
		at += n;
	}
	ASSERT_EQ(0, memcmp(got, self->data, sizeof(got)));
}

TEST_F(mixed, msg_zerocopy_behind_send_zc)
{
	char *got = malloc(BIG_LEN + SMALL_LEN);
	const int one = 1;
	ssize_t n;

	ASSERT_NE(NULL, got);
	ASSERT_EQ(0, open_pair(SOCK_STREAM, &self->tx, &self->rx));
	ASSERT_EQ(0, setsockopt(self->tx, SOL_SOCKET, SO_ZEROCOPY, &one,
				sizeof(one)));
	ASSERT_EQ(BIG_LEN, send_zc(&self->ring, self->tx, self->data, BIG_LEN,
				   MSG_WAITALL));
	/* its last packet is not out */
	n = send(self->tx, self->data + BIG_LEN, SMALL_LEN, MSG_ZEROCOPY);
	ASSERT_EQ(SMALL_LEN, n) {
		TH_LOG("send(MSG_ZEROCOPY): %s", strerror(errno));
	}
	n = recv(self->rx, got, BIG_LEN + SMALL_LEN, MSG_WAITALL);
	ASSERT_EQ(BIG_LEN + SMALL_LEN, n);
	ASSERT_EQ(0, memcmp(got, self->data, BIG_LEN + SMALL_LEN));
	free(got);
}

TEST_HARNESS_MAIN
