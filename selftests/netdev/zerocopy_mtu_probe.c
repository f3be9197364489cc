// SPDX-License-Identifier: GPL-2.0
/*
 * A probe for the path's MTU is a packet that is made of others which wait. It has
 * to hold the memory of zero-copy sends, too: who writes a buffer again as its
 * notification is seen must not change what arrives.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/errqueue.h>

#include "kselftest_harness.h"

#define NR_BUFS		16
#define BUF_LEN		65536	/* enough for a probe to wait */
#define DATA_LEN	(NR_BUFS * BUF_LEN)
#define TIMEOUT_MS	20000

FIXTURE(probe)
{
	int tx, rx;
	char *data;
};

static char byte_at(size_t at)
{
	return at * 7 + at / 251;
}

/* A network namespace of its own, in which every connection probes. */
static int own_net(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	FILE *file;
	int fd;

	if (unshare(CLONE_NEWNET))
		return -errno;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo))
		return -errno;
	close(fd);
	file = fopen("/proc/sys/net/ipv4/tcp_mtu_probing", "w");
	if (!file || fputs("2\n", file) < 0 || fclose(file))
		return -errno;
	return 0;
}

FIXTURE_SETUP(probe)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(addr);
	int room = 8 << 20, one = 1, fd;
	size_t i;

	if (geteuid())
		SKIP(return, "needs root");
	ASSERT_EQ(0, own_net());
	fd = socket(AF_INET, SOCK_STREAM, 0);
	/* the receiver has room for everything, and reads late */
	ASSERT_EQ(0, setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room,
				sizeof(room)));
	ASSERT_EQ(0, bind(fd, (void *)&addr, sizeof(addr)));
	ASSERT_EQ(0, listen(fd, 1));
	ASSERT_EQ(0, getsockname(fd, (void *)&addr, &len));
	self->tx = socket(AF_INET, SOCK_STREAM, 0);
	ASSERT_EQ(0, setsockopt(self->tx, SOL_SOCKET, SO_SNDBUFFORCE, &room,
				sizeof(room)));
	ASSERT_EQ(0, setsockopt(self->tx, SOL_SOCKET, SO_ZEROCOPY, &one,
				sizeof(one)));
	ASSERT_EQ(0, connect(self->tx, (void *)&addr, sizeof(addr)));
	self->rx = accept(fd, NULL, NULL);
	ASSERT_LE(0, self->rx);
	close(fd);

	self->data = mmap(NULL, DATA_LEN, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->data);
	for (i = 0; i < DATA_LEN; i++)
		self->data[i] = byte_at(i);
}

FIXTURE_TEARDOWN(probe)
{
	close(self->tx);
	close(self->rx);
}

/* The next range of sends whose memory is free. */
static int next_range(int fd, unsigned int *first, unsigned int *last)
{
	struct pollfd poll_for = { .fd = fd };
	struct sock_extended_err *err;
	struct cmsghdr *cmsg;
	char control[256];
	struct msghdr msg = {
		.msg_control = control, .msg_controllen = sizeof(control),
	};

	if (poll(&poll_for, 1, TIMEOUT_MS) != 1)
		return -ETIME;
	if (recvmsg(fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
		return -errno;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!cmsg)
		return -EPROTO;
	err = (void *)CMSG_DATA(cmsg);
	if (err->ee_errno || err->ee_origin != SO_EE_ORIGIN_ZEROCOPY)
		return -EPROTO;
	*first = err->ee_info;
	*last = err->ee_data;
	return 0;
}

TEST_F(probe, every_byte_arrives_as_it_was_sent)
{
	unsigned int first = 0, last = 0, seen = 0, i;
	size_t wrong = 0, at = 0, k;
	char got[BUF_LEN];
	ssize_t n;

	for (i = 0; i < NR_BUFS; i++)
		ASSERT_EQ(BUF_LEN, send(self->tx, self->data + i * BUF_LEN,
					BUF_LEN, MSG_ZEROCOPY));
	while (seen < NR_BUFS) {
		ASSERT_EQ(0, next_range(self->tx, &first, &last));
		ASSERT_LE(first, last);
		ASSERT_GT(NR_BUFS, last);
		memset(self->data + first * BUF_LEN, 0xee,
		       (last - first + 1) * BUF_LEN);
		seen += last - first + 1;
	}
	while (at < DATA_LEN) {
		n = recv(self->rx, got, sizeof(got), 0);
		ASSERT_LT(0, n);
		for (k = 0; k < (size_t)n; k++)
			wrong += got[k] != byte_at(at + k);
		at += n;
	}
	EXPECT_EQ(0, wrong) {
		TH_LOG("%zu of %d bytes were written after they were notified",
		       wrong, DATA_LEN);
	}
}

TEST_HARNESS_MAIN
