// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The smallest use of a notification slot: eight zero-copy sends, one answer
 * that says when the buffer is ours again. UDP to ourselves, over loopback.
 *
 *	cc -D_GNU_SOURCE -I<project>/lib minimal.c -luring
 */
#include "liburing_notif.h"

#include <err.h>
#include <netinet/in.h>
#include <stdio.h>

#define SENDS	8
#define TAG	0x51	/* how we know our slot's notification */

static int udp_to_ourselves(void)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(to);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&to, len) ||
	    getsockname(fd, (struct sockaddr *)&to, &len) ||
	    connect(fd, (struct sockaddr *)&to, len))
		err(1, "socket");
	return fd;
}

/* Ask first: register's own EINVAL doesn't say whether it is the kernel that knows no slots. */
static void register_one_slot(struct io_uring *ring)
{
	struct io_uring_notif_slot slot = { .tag = TAG };
	struct io_uring_notif_caps caps;
	int ret = io_uring_notif_query(&caps);

	if (!ret)
		ret = io_uring_notif_register(ring, &slot, 1, 0);
	if (ret)
		errx(1, "slots: %s: %s", strerror(-ret), io_uring_notif_advice(ret));
}

int main(void)
{
	static char buf[SENDS][4096];
	int fd = udp_to_ourselves(), i;
	struct io_uring_cqe *cqe;
	struct io_uring ring;

	errno = -io_uring_queue_init(16, &ring, 0);
	if (errno)
		err(1, "io_uring_queue_init");
	register_one_slot(&ring);
	memset(buf, 'x', sizeof(buf));

	for (i = 0; i < SENDS; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		/* all attach to slot 0's notifier, which the last one ends */
		io_uring_notif_prep_send(sqe, fd, buf[i], sizeof(buf[i]), 0, 0,
					 i == SENDS - 1 ? IORING_RECVSEND_NOTIF_FLUSH : 0);
		sqe->user_data = i;
	}
	io_uring_submit(&ring);

	for (;;) {
		errno = -io_uring_wait_cqe(&ring, &cqe);
		if (errno)
			err(1, "io_uring_wait_cqe");
		if (cqe->flags & IORING_CQE_F_NOTIF)
			break;
		if (cqe->res < 0)
			errx(1, "send %d: %s", (int)cqe->user_data, strerror(-cqe->res));
		printf("send %d: %d bytes queued, hands off the buffer\n",
		       (int)cqe->user_data, cqe->res);
		io_uring_cqe_seen(&ring, cqe);
	}
	printf("slot %#x, notifier %u: all %d buffers are ours again\n",
	       (int)cqe->user_data, cqe->flags >> IO_URING_NOTIF_SEQ_SHIFT, SENDS);
	io_uring_cqe_seen(&ring, cqe);
	io_uring_queue_exit(&ring);
	return 0;
}
