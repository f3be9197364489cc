// SPDX-License-Identifier: GPL-2.0
/*
 * For how long many notifiers hold the CPU as they go at once: the longest time
 * in which a thread that wakes all the time, and goes before every other, does
 * not run. SEND_ZC and slots, with a notification for each request.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "../selftests/sock.h"
#include "clock.h"
#include "scale.h"

#define CQ_ENTRIES	65536
#define NAP		100000		/* ns, or instructions, of the thread */
#define CLOSED		200000
#define ACKED		60000
#define CLOSED_BYTES	1000
#define CLOSED_SECONDS	3		/* what ends in less */
#define BEYOND		(2 << 20)	/* more than the peer takes unread */

struct hold {
	const char *kind;
	unsigned int number;
	bool slot, defer;
	void (*run)(struct bench *b, const struct hold *hold);
};

static atomic_bool watching, over;
static atomic_ullong longest;

static void *watch(void *unused)
{
	const struct timespec nap = { .tv_nsec = NAP };
	__u64 last = nanoseconds(), time;
	bool counts;

	while (!over) {
		counts = watching;
		nanosleep(&nap, NULL);
		time = nanoseconds();
		if (counts && time - last > longest)
			longest = time - last;
		last = time;
	}
	return unused;
}

static void start_watching(void)
{
	/* all that is under way ends, then the thread knows */
	sleep(1);
	watching = true;
	usleep(1000);
}

/* Submits all requests of a row, and takes the results of those that are done. */
static void send_all(struct bench *b, const struct hold *hold, int fd,
		     unsigned int bytes, bool done)
{
	const unsigned int ioprio = hold->slot ? IORING_SEND_ZC_NOTIF_SLOT |
					IORING_RECVSEND_NOTIF_FLUSH : 0;
	unsigned int i, n, left;

	for (left = hold->number; left; left -= n) {
		n = left < MAX_BATCH ? left : MAX_BATCH;
		for (i = 0; i < n; i++)
			io_uring_prep_sendzc(scale_sqe(b), fd,
					     b->data + (done ? left - i : 0),
					     bytes, MSG_WAITALL, ioprio);
		scale_submit(b, n);
		for (i = 0; done && i < n; i++) {
			struct io_uring_cqe *cqe;

			if (io_uring_wait_cqe(&b->ring, &cqe) ||
			    cqe->flags & IORING_CQE_F_NOTIF ||
			    cqe->res != (int)bytes)
				fail("a send beyond the peer's window went wrong");
			io_uring_cqe_seen(&b->ring);
		}
	}
}

/* Requests that wait for a socket which is full, all cancelled as their ring is closed. */
static void run_closed(struct bench *b, const struct hold *hold)
{
	const struct pair_opts opts = { .full = true };
	struct pair net;

	if (pair_open(&net, NET_LO, AF_INET, SOCK_STREAM, opts))
		fail("a connection over loopback: %m");
	fill_socket(net.tx);
	send_all(b, hold, net.tx, CLOSED_BYTES, false);
	start_watching();
	work_close(b);
	sleep(CLOSED_SECONDS);
	watching = false;
	pair_close(&net);
}

static void receive(int fd, size_t left)
{
	static char got[MAX_BYTES];
	ssize_t n;

	for (; left; left -= n) {
		n = recv(fd, got, left < sizeof(got) ? left : sizeof(got), 0);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			fail("%zu bytes did not arrive: %m", left);
	}
}

/* Requests of a byte each, in few packets, all acknowledged as the peer reads. */
static void run_acked(struct bench *b, const struct hold *hold)
{
	const struct pair_opts opts = { .unread = true };
	struct pair net;
	size_t len;

	if (pair_open(&net, NET_LO, AF_INET, SOCK_STREAM, opts) ||
	    setsockopt_int(net.tx, SOL_SOCKET, SO_SNDBUFFORCE, 1 << 30))
		fail("a connection over loopback: %m");
	for (len = 0; len < BEYOND; len += MAX_BYTES)
		if (send(net.tx, b->data, MAX_BYTES, MSG_DONTWAIT) != MAX_BYTES)
			fail("the socket does not take what comes first: %m");
	send_all(b, hold, net.tx, 1, true);
	start_watching();
	receive(net.rx, len + hold->number);
	scale_see(b, 0, hold->number);
	watching = false;
	work_close(b);
	pair_close(&net);
}

static const struct hold holds[] = {
	{ "held_closed_send_zc", CLOSED, false, false, run_closed },
	{ "held_closed_slot", CLOSED, true, false, run_closed },
	{ "held_closed_defer_send_zc", CLOSED, false, true, run_closed },
	{ "held_closed_defer_slot", CLOSED, true, true, run_closed },
	{ "held_acked_send_zc", ACKED, false, false, run_acked },
	{ "held_acked_slot", ACKED, true, false, run_acked },
	{ "held_acked_defer_send_zc", ACKED, false, true, run_acked },
	{ "held_acked_defer_slot", ACKED, true, true, run_acked },
};

static void make_ring(struct bench *b, const struct hold *hold)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_CQSIZE,
		.cq_entries = CQ_ENTRIES,
	};
	int ret;

	if (hold->defer)
		params.flags |= IORING_SETUP_SINGLE_ISSUER |
				IORING_SETUP_DEFER_TASKRUN;
	ret = io_uring_queue_init_params(MAX_BATCH, &b->ring, &params);
	if (ret)
		fail("making a ring: %s", strerror(-ret));
	if (hold->slot)
		scale_slots(b, 1);
}

static void measure(const struct hold *hold)
{
	struct bench b = { .row = &scale_row, .data = scale_data() };

	scale_begin(hold->kind, hold->number);
	longest = 0;
	make_ring(&b, hold);
	hold->run(&b, hold);
	if (longest < NAP)
		fail("nobody watched");
	printf("scale %s %u held=%llu\n", hold->kind, hold->number, longest - NAP);
	print_out();
}

void measure_holds(void)
{
	const struct sched_param param = { .sched_priority = 50 };
	pthread_t thread;
	unsigned int i;

	scale_begin("held", 0);
	if (pthread_create(&thread, NULL, watch, NULL) ||
	    pthread_setschedparam(thread, SCHED_FIFO, &param))
		fail("a thread that goes before others");
	for (i = 0; i < sizeof(holds) / sizeof(*holds); i++)
		measure(&holds[i]);
	over = true;
	pthread_join(thread, NULL);
}
