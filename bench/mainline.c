// SPDX-License-Identifier: GPL-2.0
/*
 * Instructions per request of mainline's SEND and SEND_ZC, in a guest whose
 * clock counts them. There each window of the same work takes the same time,
 * to the digit, but for those with a timer interrupt in them: so the least of
 * many is shown. It says how many were equal to it.
 *
 *	make -C bench OUT=... UAPI=... KSRC=...		as selftests/Makefile
 *	NOTIF_NO_MODULE=1 make vm ACCEL=icount CMD='. selftests/net.sh;
 *		net_up 1500; ip netns exec a $OUT/mainline 10.3.0.2'
 *
 * sends datagrams to a neighbour on the dummy device, BATCH to a submission. A
 * window is one batch: prepare, submit, and see all CQEs.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <error.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <io_uring/mini_liburing.h>

#define BATCH	128
#define WINDOWS	200

enum mode { SEND, SEND_ZC, SEND_ZC_REG, NR_MODES };

static const char * const names[NR_MODES] = {
	"SEND", "SEND_ZC", "SEND_ZC registered"
};

static _Alignas(4096) char data[65536];

static __u64 now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void batch(struct io_uring *ring, int fd, enum mode mode,
		  unsigned int len)
{
	unsigned int i, left = mode == SEND ? BATCH : 2 * BATCH;
	struct io_uring_cqe *cqe;

	for (i = 0; i < BATCH; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

		if (mode == SEND) {
			io_uring_prep_send(sqe, fd, data, len, MSG_WAITALL);
		} else {
			io_uring_prep_sendzc(sqe, fd, data, len, MSG_WAITALL, 0);
			if (mode == SEND_ZC_REG)
				sqe->ioprio = IORING_RECVSEND_FIXED_BUF;
		}
	}
	if (io_uring_submit(ring) != BATCH)
		error(1, 0, "submit");
	for (; left; left--) {
		if (io_uring_wait_cqe(ring, &cqe))
			error(1, 0, "wait");
		if (cqe->res != (cqe->flags & IORING_CQE_F_NOTIF ? 0 : (int)len))
			error(1, -cqe->res, "res %d", cqe->res);
		io_uring_cqe_seen(ring);
	}
}

static int compare(const void *a, const void *b)
{
	__u64 x = *(const __u64 *)a, y = *(const __u64 *)b;

	return x < y ? -1 : x > y;
}

static void measure(struct io_uring *ring, int fd, enum mode mode,
		    unsigned int len)
{
	static __u64 t[WINDOWS];
	int i, same;

	for (i = 0; i < WINDOWS; i++) {
		__u64 start = now();

		batch(ring, fd, mode, len);
		t[i] = now() - start;
	}
	qsort(t, WINDOWS, sizeof(*t), compare);
	for (same = 0; same < WINDOWS && t[same] == t[0]; same++)
		;
	printf("%-18s %5u bytes: %8.2f instructions a request (%d of %d windows)\n",
	       names[mode], len, (double)t[0] / BATCH, same, WINDOWS);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(8000) };
	struct iovec iov = { data, sizeof(data) };
	struct io_uring ring;
	int fd, size = 1 << 21;
	enum mode mode;

	if (argc != 2 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
		error(1, 0, "usage: %s ADDRESS", argv[0]);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) ||
	    connect(fd, (void *)&to, sizeof(to)))
		error(1, errno, "socket");
	memset(data, 'a', sizeof(data));
	if (io_uring_queue_init(512, &ring, 0) ||
	    io_uring_register_buffers(&ring, &iov, 1))
		error(1, 0, "io_uring");
	for (mode = SEND; mode < NR_MODES; mode++) {
		measure(&ring, fd, mode, 1);
		measure(&ring, fd, mode, 4000);
	}
	return 0;
}
