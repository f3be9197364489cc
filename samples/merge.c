// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * minimal.c's twin: each zero-copy send has one CQE, which says that it was
 * queued and that its buffer is ours again. UDP to ourselves, over loopback.
 *
 *	cc -D_GNU_SOURCE -I<project>/lib merge.c -luring
 */
#include "liburing_notif.h"

#include <err.h>
#include <netinet/in.h>
#include <stdio.h>

#define SENDS	4

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

/*
 * A request flushes the slot as it attaches, and its CQE is the notification.
 * Short ones are copied, and so are all where the socket can't do without.
 */
static void register_one_slot(struct io_uring *ring)
{
	struct io_uring_notif_slot slot = {
		.flags = IORING_NOTIF_SLOT_MERGE | IORING_NOTIF_SLOT_FALLBACK,
		.flush_after = 1,
		.copy_below = 1000,
	};
	struct io_uring_notif_caps caps;
	int ret = io_uring_notif_query(&caps);

	if (!ret && slot.flags & ~caps.slot_flags)
		errx(1, "slots can't merge in this kernel: boot a newer one, or see minimal.c");
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

	for (i = 0; i < SENDS; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		io_uring_notif_prep_send(sqe, fd, buf[i], 4096 >> i, 0, 0, 0);
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
