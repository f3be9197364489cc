/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Receiving on vsock without a copy: connections over loopback, mappings, and what
 * a program does with what a call filled in, which asserts what it may rely on.
 */
#ifndef NOTIF_TEST_VSOCK_H
#define NOTIF_TEST_VSOCK_H

#include <linux/sockios.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "account.h"
#include "process.h"

#ifndef SIOCINQ
#define SIOCINQ		FIONREAD
#endif

#define VSOCK_MODULE	"vsock_map_rx"
#define PAGE		page_size()
/* what a call fills at most, after the header page */
#define MAP_DATA	511
#define MAP_LEN		((1 + MAP_DATA) * PAGE)
/* what a connection may have queued, and the most that a test sends */
#define QUEUE_LEN	(4U << 20)
#define HDR_FLAGS	(VSOCK_RX_HDR_EOM | VSOCK_RX_HDR_EOR | VSOCK_RX_HDR_COPIED)
/* the most that a header page has room for, with the one of length 0 */
#define MAX_HEADERS	(PAGE / sizeof(struct vsock_rx_hdr) - 1)
/* the most that vsock has in a packet */
#define MAX_PACKET	(64U << 10)

static inline unsigned int pages_for(size_t len)
{
	return (len + PAGE - 1) / PAGE;
}

static inline int vsock_opt_in(int fd)
{
	const __u64 one = 1;

	return setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_ZEROCOPY, &one,
			  sizeof(one)) ? -errno : 0;
}

/* 1: opted in, 0: not; -errno */
static inline int vsock_opted_in(int fd)
{
	socklen_t len = sizeof(__u64);
	__u64 value = 2;

	if (getsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_ZEROCOPY, &value, &len))
		return -errno;
	return value;
}

static inline int vsock_buffer(int fd, __u64 bytes)
{
	if (setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_MAX_SIZE, &bytes,
		       sizeof(bytes)) ||
	    setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &bytes,
		       sizeof(bytes)))
		return -errno;
	return 0;
}

/* A socket that listens; @to is where. Closes what it can't use. */
static inline int vsock_listen(int type, __u64 buffer, struct sockaddr_vm *to)
{
	socklen_t len = sizeof(*to);
	int fd = socket(AF_VSOCK, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	*to = (struct sockaddr_vm) {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_LOCAL,
		.svm_port = VMADDR_PORT_ANY,
	};
	if (!vsock_buffer(fd, buffer) && !bind(fd, (void *)to, len) &&
	    !listen(fd, 8) && !getsockname(fd, (void *)to, &len))
		return fd;
	close(fd);
	return -errno;
}

static inline int vsock_connect(int type, __u64 buffer,
				const struct sockaddr_vm *to)
{
	int fd = socket(AF_VSOCK, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (!vsock_buffer(fd, buffer) &&
	    !connect(fd, (const void *)to, sizeof(*to)))
		return fd;
	close(fd);
	return -errno;
}

/* A connection; nobody has opted in. */
static inline int vsock_pair_of(int type, __u64 buffer, int *tx, int *rx)
{
	struct timeval tv = { .tv_sec = 15 };
	struct sockaddr_vm to;
	int listener = vsock_listen(type, buffer, &to);

	if (listener < 0)
		return listener;
	*rx = -1;
	*tx = vsock_connect(type, buffer, &to);
	if (*tx >= 0)
		*rx = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	if (*tx < 0 || *rx < 0)
		return *tx < 0 ? *tx : -errno;
	/* what has not arrived by then is lost */
	setsockopt(*rx, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	return 0;
}

static inline int vsock_pair(int type, int *tx, int *rx)
{
	return vsock_pair_of(type, QUEUE_LEN, tx, rx);
}

static inline char *map_socket(int fd, size_t len)
{
	return mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
}

/* How many of a mapping's pages have something in them. */
static inline int filled(const char *at, unsigned int pages)
{
	unsigned char vec[1 + MAP_DATA];
	unsigned int i, nr = 0;

	if (mincore((void *)at, pages * PAGE, vec))
		return -errno;
	for (i = 0; i < pages; i++)
		nr += vec[i] & 1;
	return nr;
}

/* What is queued, as recv() and the call find it. */
static inline int queued(int fd)
{
	int bytes = -1;

	return ioctl(fd, SIOCINQ, &bytes) ? -errno : bytes;
}

/* Loopback has a worker: wait until @bytes are there. */
static inline int wait_queued(int fd, int bytes)
{
	unsigned int start = now_ms();

	while (queued(fd) != bytes) {
		if (now_ms() - start > LOST_MS)
			return -ETIME;
		sleep_ms(1);
	}
	return 0;
}

/* The call; @len bytes of the mapping from @at on, 0: to its end. */
static inline int map_rx(int fd, char *at, size_t len, unsigned int flags,
			 struct vsock_map_rx *arg)
{
	socklen_t size = sizeof(*arg);

	*arg = (struct vsock_map_rx) {
		.address = (unsigned long)at, .length = len, .flags = flags,
	};
	return getsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_MAP_RX, arg, &size) ?
	       -errno : 0;
}

static inline bool all_zero(const char *from, const char *to)
{
	while (from < to)
		if (*from++)
			return false;
	return true;
}

/*
 * Put together what a call filled in at @at, and look at all of it: the headers add
 * up to what the call said, and nothing but zeroes is behind what was sent.
 */
static inline void gather(struct __test_metadata *_metadata, const char *at,
			  const struct vsock_map_rx *arg, char *to)
{
	const struct vsock_rx_hdr *hdr = (const void *)at;
	size_t length = 0, copied = 0;
	unsigned int pages = 0, n;

	for (n = 0; n < MAX_HEADERS && hdr[n].length; n++) {
		const char *data = at + (1 + pages) * PAGE;
		size_t len = hdr[n].length;

		ASSERT_EQ(0, hdr[n].flags & ~HDR_FLAGS);
		ASSERT_GE(arg->length - length, len);
		memcpy(to + length, data, len);
		length += len;
		pages += pages_for(len);
		if (hdr[n].flags & VSOCK_RX_HDR_COPIED)
			copied += len;
		ASSERT_TRUE(all_zero(data + len,
				     at + (1 + pages) * PAGE))
			TH_LOG("the page after %zu bytes is not zero", len);
	}
	ASSERT_EQ(arg->headers, n);
	ASSERT_EQ(arg->length, length);
	ASSERT_EQ(arg->pages, pages);
	ASSERT_EQ(arg->copied, copied);
	ASSERT_TRUE(all_zero((const char *)(hdr + n), at + PAGE))
		TH_LOG("the header page is not zero after %u headers", n);
}

static inline const struct vsock_rx_hdr *header(const char *at, unsigned int n)
{
	return (const struct vsock_rx_hdr *)at + n;
}

#endif
