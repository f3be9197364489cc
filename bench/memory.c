// SPDX-License-Identifier: GPL-2.0
/*
 * What slots and notifiers take of the kernel's memory: by how much its slabs,
 * and what vmalloc() gave, grow with many of them.
 */
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "scale.h"

#define SLOTS		32768	/* as many as there may be */
/* A ring keeps that many idle notifiers, MAX_IDLE of rust/inflight.rs. */
#define NOTIFIERS	1024
#define RINGS		32
/* One more takes what memory of such sizes is free from before */
#define ALL_RINGS	(RINGS + 1)

/* What is freed by RCU is, and each CPU has told what it counted. */
static long kernel_bytes(void)
{
	const struct timespec ts = { .tv_sec = 1 };
	int fd;
	char c;

	nanosleep(&ts, NULL);
	fd = open("/proc/sys/vm/stat_refresh", O_RDONLY);
	if (fd < 0 || read(fd, &c, 1) < 0)
		fail("/proc/sys/vm/stat_refresh: %m");
	close(fd);
	return 1024L * (scale_number("/proc/meminfo", "SUnreclaim") +
			scale_number("/proc/meminfo", "VmallocUsed"));
}

static void print(const char *kind, unsigned int number, long bytes)
{
	if (bytes <= 0)
		fail("%u of %s take %ld bytes", number, kind, bytes);
	printf("scale %s %u bytes=%ld\n", kind, number, bytes);
	fflush(stdout);
}

static void measure_slots(void)
{
	struct bench b = { .row = &scale_row, .data = scale_data() };
	long before;

	scale_ring(&b, 0, 0);
	before = kernel_bytes();
	scale_slots(&b, SLOTS);
	print("slot", SLOTS, kernel_bytes() - before);
	work_close(&b);
}

/* The ring's own requests are there once so many were under way. */
static void warm(struct bench *b, int fd)
{
	unsigned int i;

	for (i = 0; i < MAX_BATCH; i++)
		scale_send(b, fd, 0, 0)->ioprio = 0;
	scale_submit(b, MAX_BATCH);
	for (i = 0; i < 2 * MAX_BATCH; i++) {
		struct io_uring_cqe *cqe;

		if (io_uring_wait_cqe(&b->ring, &cqe))
			fail("wait: %m");
		io_uring_cqe_seen(&b->ring);
	}
}

/* A request in each slot, none of which is flushed. */
static void attach_all(struct bench *b, int fd, bool registered)
{
	struct io_uring_sqe *sqe;
	unsigned int slot;

	for (slot = 0; slot < NOTIFIERS; slot++) {
		sqe = scale_send(b, fd, slot, 0);
		if (!registered)
			sqe->ioprio &= ~IORING_RECVSEND_FIXED_BUF;
		if ((slot + 1) % MAX_BATCH)
			continue;
		scale_submit(b, MAX_BATCH);
		scale_see(b, MAX_BATCH, 0);
	}
	if (scale_in_ring(b, "NotifsInFlight") != NOTIFIERS)
		fail("not all notifiers are in flight");
}

static void flush_all(struct bench *b)
{
	struct io_uring_sqe *sqe = scale_sqe(b);

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_RSRC_UPDATE;
	sqe->ioprio = IORING_RSRC_UPDATE_NOTIF;
	sqe->fd = -1;
	sqe->len = NOTIFIERS;
	sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
	scale_submit(b, 1);
	scale_see(b, 0, NOTIFIERS);
	if (scale_in_ring(b, "NotifsIdle") != NOTIFIERS)
		fail("not all notifiers are idle");
}

/* The rings stay open: what they have is not used again in the next measurement. */
static void measure_notifiers(bool registered, const char *in_flight,
			      const char *idle)
{
	struct bench b[ALL_RINGS];
	long before;
	unsigned int i;

	for (i = 0; i < ALL_RINGS; i++) {
		b[i] = (struct bench){ .row = &scale_row, .data = scale_data() };
		scale_ring(&b[i], NOTIFIERS, 1);
	}
	/* one socket for all */
	net_open(&b[0]);
	for (i = 0; i < ALL_RINGS; i++)
		warm(&b[i], b[0].tx);
	attach_all(&b[RINGS], b[0].tx, registered);
	before = kernel_bytes();
	for (i = 0; i < RINGS; i++)
		attach_all(&b[i], b[0].tx, registered);
	print(in_flight, RINGS * NOTIFIERS, kernel_bytes() - before);
	for (i = 0; i < RINGS; i++)
		flush_all(&b[i]);
	print(idle, RINGS * NOTIFIERS, kernel_bytes() - before);
	net_close(&b[0]);
}

void measure_memory(void)
{
	measure_slots();
	measure_notifiers(false, "in_flight_plain", "idle_plain");
	measure_notifiers(true, "in_flight_registered", "idle_registered");
}
