// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The smallest use of a notification slot: eight zero-copy sends, one answer
 * that says when the buffer is ours again. UDP to ourselves, over loopback.
 */
#include <linux/io_uring.h>	/* the patched one, before liburing's own */
#include <liburing.h>

#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

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

/* liburing has no call for it (yet). */
static void register_one_slot(struct io_uring *ring)
{
	struct io_uring_notification_slot slot = { .tag = TAG };
	struct io_uring_notification_register reg = {
		.nr_slots = 1,
		.data = (unsigned long)&slot,
	};

	if (syscall(__NR_io_uring_register, ring->ring_fd,
		    IORING_REGISTER_NOTIFIERS, &reg, sizeof(reg)))
		err(1, "no notification slots (is io_uring_notif loaded?)");
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
		io_uring_prep_send_zc(sqe, fd, buf[i], sizeof(buf[i]), 0,
				      IORING_SEND_ZC_NOTIF_SLOT);
		sqe->notification_idx = 0;
		if (i == SENDS - 1)
			sqe->ioprio |= IORING_RECVSEND_NOTIF_FLUSH;
		sqe->user_data = i;
	}
	io_uring_submit(&ring);

	for (;;) {
		errno = -io_uring_wait_cqe(&ring, &cqe);
		if (errno)
			err(1, "io_uring_wait_cqe");
		if (cqe->flags & IORING_CQE_F_NOTIF)
			break;
		printf("send %d: %d bytes queued, hands off the buffer\n",
		       (int)cqe->user_data, cqe->res);
		io_uring_cqe_seen(&ring, cqe);
	}
	printf("slot %#x, notifier %u: all %d buffers are ours again\n",
	       (int)cqe->user_data, cqe->flags >> IORING_CQE_BUFFER_SHIFT,
	       SENDS);
	io_uring_cqe_seen(&ring, cqe);
	io_uring_queue_exit(&ring);
	return 0;
}
