// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Datagrams as fast as they go: trains of 46 as one packet (UDP_SEGMENT), from
 * a registered buffer, through a slot. Each train has one CQE, which gives its
 * buffer back.
 *
 *	cc -D_GNU_SOURCE -I<project>/lib -o udp_blast udp_blast.c -luring
 *	udp_blast ADDR PORT [SECONDS]		where somebody receives (5)
 */
#include "liburing_notif.h"

#include <err.h>
#include <netdb.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define DATAGRAM	1400
#define DATAGRAMS	46	/* of a train, which has to fit 65,507 bytes */
#define TRAIN		(DATAGRAM * DATAGRAMS)
#define TRAINS		32	/* with buffers of their own */

static char buf[TRAINS][TRAIN];

static int udp_socket(const char *addr, const char *port)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_DGRAM };
	int fd, ret, size = DATAGRAM;
	struct addrinfo *ai;

	ret = getaddrinfo(addr, port, &hints, &ai);
	if (ret)
		errx(1, "%s port %s: %s", addr, port, gai_strerror(ret));
	fd = socket(ai->ai_family, SOCK_DGRAM, 0);
	if (fd < 0 || connect(fd, ai->ai_addr, ai->ai_addrlen))
		err(1, "socket");
	if (setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)))
		err(1, "UDP_SEGMENT (a kernel from 4.18 on)");
	freeaddrinfo(ai);
	return fd;
}

static void make_ring(struct io_uring *ring)
{
	const struct iovec iov = { buf, sizeof(buf) };
	struct io_uring_notif_slot slot = {
		.flags = IORING_NOTIF_SLOT_MERGE,
		.flush_after = 1,
	};
	struct io_uring_notif_caps caps;
	int ret = io_uring_notif_query(&caps);

	if (ret)
		errx(1, "slots: %s: %s", strerror(-ret), io_uring_notif_advice(ret));
	if (slot.flags & ~caps.slot_flags)
		errx(1, "this kernel's slots can't merge: boot a newer one");

	errno = -io_uring_queue_init(TRAINS, ring, IORING_SETUP_SINGLE_ISSUER |
						   IORING_SETUP_DEFER_TASKRUN);
	if (errno)
		err(1, "io_uring_queue_init (DEFER_TASKRUN: a kernel from 6.1 on)");
	errno = -io_uring_register_buffers(ring, &iov, 1);
	if (errno)
		err(1, "registering %zu bytes (see ulimit -l)", sizeof(buf));
	ret = io_uring_notif_register(ring, &slot, 1, 0);
	if (ret)
		errx(1, "slots: %s: %s", strerror(-ret), io_uring_notif_advice(ret));
}

static void send_train(struct io_uring *ring, int fd, unsigned int n)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_notif_prep_send_fixed(sqe, fd, buf[n], TRAIN, 0, 0, 0, 0);
	sqe->user_data = n;
}

/* Submit, wait for a CQE, and take all that are there; @again: send once more. */
static unsigned int reap(struct io_uring *ring, int fd, bool again)
{
	struct io_uring_cqe *cqe;
	unsigned int head, nr = 0;
	int ret = io_uring_submit_and_wait(ring, 1);

	if (ret < 0 && ret != -EINTR)
		errx(1, "io_uring_submit_and_wait: %s", strerror(-ret));
	io_uring_for_each_cqe(ring, head, cqe) {
		nr++;
		if (cqe->res < 0)
			errx(1, "a train: %s", strerror(-cqe->res));
		if (again)
			send_train(ring, fd, cqe->user_data);
	}
	io_uring_cq_advance(ring, nr);
	return nr;
}

int main(int argc, char **argv)
{
	unsigned long sent = 0;
	struct io_uring ring;
	unsigned int i;
	time_t end;
	int fd;

	if (argc < 3 || argc > 4)
		errx(2, "usage: udp_blast ADDR PORT [SECONDS]");
	fd = udp_socket(argv[1], argv[2]);
	make_ring(&ring);
	memset(buf, 'x', sizeof(buf));
	end = time(NULL) + (argc > 3 ? atoi(argv[3]) : 5);
	for (i = 0; i < TRAINS; i++)
		send_train(&ring, fd, i);
	while (time(NULL) < end)
		sent += reap(&ring, fd, true);
	while (i) {
		unsigned int nr = reap(&ring, fd, false);

		sent += nr;
		i -= nr;
	}
	printf("%lu datagrams of %d bytes, %lu CQEs\n", sent * DATAGRAMS,
	       DATAGRAM, sent);
	io_uring_queue_exit(&ring);
	return 0;
}
