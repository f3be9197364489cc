// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * minimal.c's twin: each zero-copy send has one CQE, which says that it was
 * queued and that its buffer is ours again. UDP to ourselves, over loopback.
 */
#include <linux/io_uring.h>	/* the patched one, before liburing's own */
#include <liburing.h>

#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#define SENDS	4

int main(void)
{
	static char buf[SENDS][4096];
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(to);
	int fd = socket(AF_INET, SOCK_DGRAM, 0), i;

	/*
	 * A request flushes the slot as it attaches, and its CQE is the notification.
	 * Short ones are copied, and where a socket can do nothing else all are.
	 */
	struct io_uring_notification_slot slot = {
		.flags = IORING_NOTIF_SLOT_MERGE | IORING_NOTIF_SLOT_FALLBACK,
		.flush_after = 1,
		.copy_below = 1000,
	};
	struct io_uring_notification_register reg = {
		.nr_slots = 1,
		.data = (unsigned long)&slot,
	};
	struct io_uring_cqe *cqe;
	struct io_uring ring;

	if (bind(fd, (struct sockaddr *)&to, len) ||
	    getsockname(fd, (struct sockaddr *)&to, &len) ||
	    connect(fd, (struct sockaddr *)&to, len))
		err(1, "socket");
	errno = -io_uring_queue_init(16, &ring, 0);
	if (errno || syscall(__NR_io_uring_register, ring.ring_fd,
			     IORING_REGISTER_NOTIFIERS, &reg, sizeof(reg)))
		err(1, "no slots that merge (is io_uring_notif loaded?)");

	for (i = 0; i < SENDS; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		io_uring_prep_send_zc(sqe, fd, buf[i], 4096 >> i, 0,
				      IORING_SEND_ZC_NOTIF_SLOT);
		sqe->notification_idx = 0;
		sqe->user_data = i;
	}
	io_uring_submit(&ring);
	for (i = 0; i < SENDS && !io_uring_wait_cqe(&ring, &cqe); i++) {
		printf("send %d: %s, its buffer is ours again\n", (int)cqe->user_data,
		       cqe->res < 0 ? strerror(-cqe->res) : "queued");
		io_uring_cqe_seen(&ring, cqe);
	}
	io_uring_queue_exit(&ring);
	return i < SENDS;
}
