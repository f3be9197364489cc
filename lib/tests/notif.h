/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What the tests against a kernel with slots share: a ring, and UDP to ourselves
 * over loopback. Elsewhere they skip, and say why.
 */
#ifndef NOTIF_TESTS_NOTIF_H
#define NOTIF_TESTS_NOTIF_H

#include "liburing_get_buf.h"

#include <netinet/in.h>

#include "tap.h"

#define NR_SLOTS	4
#define BEARER		(1ULL << 62)
#define LEN		100

static const struct io_uring_notif_ids ids = {
	.base = 1ULL << 60, .bearer = BEARER, .nr_slots = NR_SLOTS,
};

static struct io_uring_notif_caps caps;
static struct io_uring ring;
static unsigned char data[1000];
static int tx, rx;

static inline int open_sockets(void)
{
	struct timeval patience = { .tv_sec = 10 };
	struct sockaddr_in to = { .sin_family = AF_INET };
	socklen_t len = sizeof(to);
	unsigned int i;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i * 7 + i / 256);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	tx = socket(AF_INET, SOCK_DGRAM, 0);
	rx = socket(AF_INET, SOCK_DGRAM, 0);
	return bind(rx, (struct sockaddr *)&to, len) ||
	       getsockname(rx, (struct sockaddr *)&to, &len) ||
	       connect(tx, (struct sockaddr *)&to, len) ||
	       setsockopt(rx, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
}

/* Whether the next datagram is @len bytes of data from @at on */
static inline bool received(unsigned int at, ssize_t len)
{
	unsigned char buf[2000];

	return recv(rx, buf, sizeof(buf), 0) == len && !memcmp(buf, data + at, (size_t)len);
}

static inline bool register_slots(__u32 flags, __u32 flush_after)
{
	struct io_uring_notif_slot slots[NR_SLOTS];
	unsigned int i;

	memset(slots, 0, sizeof(slots));
	io_uring_notif_set_tags(slots, &ids);
	for (i = 0; i < NR_SLOTS; i++) {
		slots[i].flags = flags;
		slots[i].flush_after = flush_after;
	}
	return io_uring_notif_register(&ring, slots, NR_SLOTS, 0) == 0;
}

static struct io_uring_notif notif;
static __u64 user_data;
static __s32 res;

/* Submit, and take the next CQE; what it is. */
static inline int next(void)
{
	struct io_uring_cqe *cqe;
	int kind;

	if (io_uring_submit(&ring) < 0 || io_uring_wait_cqe(&ring, &cqe))
		return -1;
	kind = (int)io_uring_notif_read(cqe, &ids, &notif);
	user_data = cqe->user_data;
	res = cqe->res;
	io_uring_cqe_seen(&ring, cqe);
	return kind;
}

/* Run a test if the kernel has what it is about. */
static inline void test_if(bool there, void (*test)(void), const char *name)
{
	if (there)
		test();
	else
		tap_skip(name, "this kernel has no such flag");
}

/* A ring, and what its kernel can do; false if that is nothing. */
static inline bool begin(void)
{
	int ret = io_uring_notif_query(&caps);

	if (ret) {
		tap_skip_all(io_uring_notif_advice(ret));
		return false;
	}
	CHECK(!open_sockets() && !io_uring_queue_init(16, &ring, 0));
	return true;
}

#endif
