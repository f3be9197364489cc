// SPDX-License-Identifier: GPL-2.0
/*
 * What it costs to receive on vsock, by recv() and by mapping: the table of RFC v1 of
 * zero-copy receive, over loopback, in instructions where the guest's clock counts them,
 * else in cycles.
 *
 *	vsock [--instructions] [--quick]
 *	vsock [--instructions] --row SECONDS WAY PAGES PACKET
 *
 * The second prints one line, then LOOP, and goes on: for who reads a log of
 * instructions, in which getpgid() and getsid() are around the receiver's calls.
 *
 * One thread sends a batch, waits until all of it has arrived, and receives it. The
 * receiver's figure is of its calls alone, with those that give pages back; the whole
 * one also of sending, of the worker that passes packets on, and of waiting for it. What
 * the worker does with the receiver's credit is in neither.
 *
 *	vsock WAY PAGES PACKET bytes=B receiver=R whole=W copied=C same=S
 *	vsock missing WHAT
 *
 * R and W are the least of many windows, S are equal to the least of the receiver. A
 * window of "moving" is a whole round through the mapping: its last call's madvise()
 * is all calls'.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <linux/sockios.h>
#include <linux/vm_sockets.h>

#include "clock.h"

#define PAGE		4096UL
#define MAP_PAGES	2048UL	/* 8 MiB, Debian's limit for who isn't root */
#define MOST_PAGES	512UL
#define QUEUE		(4ULL << 20)
#define WINDOWS		24
#define WARM		4
#define SECONDS		300
#define SMALL_PACKETS	64

enum way { RECV, FIXED, MADVISE, MOVING, NR_WAYS };

static const char * const ways[] = { "recv", "fixed", "madvise", "moving" };
static const unsigned int columns[] = { 8, 32, 64, 256, 512 };
/* Of the table, and below what is mapped */
static const unsigned int packets[] = { 4096, 65536 };
static const unsigned int small[] = { 1, 128, 600, 2048 };

/* What a receiver has. */
struct receiver {
	int tx, rx;
	char *map, *data;
	size_t at;		/* of the mapping, where MOVING goes on */
};

struct figure {
	__u64 receiver, whole, bytes, copied;
};

static void set_buffer(int fd)
{
	const __u64 bytes = QUEUE;

	if (setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_MAX_SIZE, &bytes,
		       sizeof(bytes)) ||
	    setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &bytes,
		       sizeof(bytes)))
		fail("a buffer of %llu bytes: %m", bytes);
}

static void open_pair(struct receiver *r)
{
	struct sockaddr_vm to = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_LOCAL,
		.svm_port = VMADDR_PORT_ANY,
	};
	int listener = socket(AF_VSOCK, SOCK_STREAM, 0);
	socklen_t len = sizeof(to);

	r->tx = socket(AF_VSOCK, SOCK_STREAM, 0);
	if (listener < 0 || r->tx < 0)
		fail("socket: %m");
	set_buffer(listener);
	set_buffer(r->tx);
	if (bind(listener, (void *)&to, len) || listen(listener, 1) ||
	    getsockname(listener, (void *)&to, &len) ||
	    connect(r->tx, (void *)&to, len))
		fail("a connection over loopback: %m");
	r->rx = accept(listener, NULL, NULL);
	if (r->rx < 0)
		fail("accept: %m");
	close(listener);
}

static void close_pair(struct receiver *r)
{
	if (r->map)
		munmap(r->map, MAP_PAGES * PAGE);
	r->map = NULL;
	close(r->tx);
	close(r->rx);
}

/* Whether the kernel can. */
static bool opt_in(struct receiver *r)
{
	const __u64 one = 1;

	if (setsockopt(r->rx, AF_VSOCK, SO_VM_SOCKETS_ZEROCOPY, &one,
		       sizeof(one))) {
		if (errno == ENOPROTOOPT || errno == EOPNOTSUPP)
			return false;
		fail("SO_VM_SOCKETS_ZEROCOPY: %m");
	}
	r->map = mmap(NULL, MAP_PAGES * PAGE, PROT_READ, MAP_SHARED, r->rx, 0);
	if (r->map == MAP_FAILED)
		fail("mmap: %m");
	r->at = 0;
	return true;
}

static void send_batch(struct receiver *r, size_t len, unsigned int packet)
{
	int there;

	for (size_t done = 0; done < len; done += packet) {
		size_t now = len - done < packet ? len - done : packet;

		if (send(r->tx, r->data, now, 0) != (ssize_t)now)
			fail("send: %m");
	}
	/* the worker has its turn */
	do {
		sched_yield();
		if (ioctl(r->rx, SIOCINQ, &there))
			fail("SIOCINQ: %m");
	} while (there != (int)len);
}

/* One call that maps what there is; how much. */
static size_t map_some(struct receiver *r, enum way kind, size_t pages,
		       struct figure *figure)
{
	const size_t window = (1 + pages) * PAGE;
	struct vsock_map_rx arg = {
		.address = (unsigned long)r->map + r->at, .length = window,
		.flags = kind == FIXED ? 0 : VSOCK_MAP_RX_CLEAN,
	};
	socklen_t size = sizeof(arg);

	if (getsockopt(r->rx, AF_VSOCK, SO_VM_SOCKETS_MAP_RX, &arg, &size) ||
	    !arg.length)
		fail("SO_VM_SOCKETS_MAP_RX: %m");
	figure->copied += arg.copied;
	if (kind == MOVING)
		r->at += (1 + arg.pages) * PAGE;
	else if (kind == MADVISE && madvise(r->map, window, MADV_DONTNEED))
		fail("madvise: %m");
	return arg.length;
}

/* Receives @len bytes; whether a window is over with that. */
static bool receive(struct receiver *r, enum way kind, size_t len,
		    struct figure *figure)
{
	size_t pages = len / PAGE, left = len;

	if (kind == RECV) {
		if (recv(r->rx, r->data, len, 0) != (ssize_t)len)
			fail("recv: %m");
		return true;
	}
	/* a page of headers has room for one less than the largest batch */
	if (pages == MOST_PAGES)
		pages--;
	while (left)
		left -= map_some(r, kind, pages, figure);
	if (kind != MOVING)
		return true;
	/* a batch has two calls at most, each with room for a whole window */
	if (r->at + 2 * (1 + pages) * PAGE <= MAP_PAGES * PAGE)
		return false;
	if (madvise(r->map, r->at, MADV_DONTNEED))
		fail("madvise: %m");
	r->at = 0;
	return true;
}

/*
 * The receiver's credit for the sender wakes up loopback's worker. Whether that has
 * its turn before the call ends is the scheduler's choice, and no cost of the call:
 * as long as this is on it has to wait.
 */
static void preempt(bool may)
{
	const struct sched_param param = { .sched_priority = may ? 0 : 1 };

	if (sched_setscheduler(0, may ? SCHED_OTHER : SCHED_FIFO, &param))
		fail("sched_setscheduler: %m");
}

/* Whether there are marks */
static bool marked;

static struct figure window(struct receiver *r, enum way kind, size_t len,
			    unsigned int packet)
{
	struct figure figure = {};
	__u64 start, sent, middle, end;
	bool over;

	do {
		settle();
		start = __rdtsc();
		send_batch(r, len, packet);
		sent = __rdtsc();
		preempt(false);
		if (marked)
			getpgid(0);
		middle = __rdtsc();
		over = receive(r, kind, len, &figure);
		end = __rdtsc();
		if (marked)
			getsid(0);
		preempt(true);
		figure.receiver += end - middle;
		figure.whole += sent - start + end - middle;
		figure.bytes += len;
	} while (!over);
	return figure;
}

static void measure(struct receiver *r, enum way kind, size_t len,
		    unsigned int packet)
{
	__u64 receiver[WINDOWS], whole[WINDOWS];
	struct figure figure = {};
	unsigned int i, same;

	for (i = 0; i < WARM; i++)
		window(r, kind, len, packet);
	for (i = 0; i < WINDOWS; i++) {
		figure = window(r, kind, len, packet);
		receiver[i] = figure.receiver;
		whole[i] = figure.whole;
	}
	qsort(receiver, WINDOWS, sizeof(*receiver), compare);
	qsort(whole, WINDOWS, sizeof(*whole), compare);
	for (same = 1; same < WINDOWS && receiver[same] == receiver[0]; same++)
		;
	printf("vsock %s %lu %u bytes=%llu receiver=%llu whole=%llu copied=%llu same=%u\n",
	       ways[kind], (len + PAGE - 1) / PAGE, packet, figure.bytes,
	       receiver[0], whole[0], figure.copied, same);
	print_out();
}

/* Goes on, and marks what is measured. */
static void loop(struct receiver *r, enum way kind, size_t len,
		 unsigned int packet, unsigned int seconds)
{
	__u64 end = nanoseconds() + seconds * 1000000000ULL;

	alarm(0);
	printf("LOOP\n");
	print_out();
	marked = true;
	while (nanoseconds() < end)
		window(r, kind, len, packet);
}

/* Each has a connection of its own, in one that nobody has used. */
static bool measure_way(struct receiver *r, enum way kind, size_t len,
			unsigned int packet, unsigned int seconds)
{
	bool can;

	begin(SECONDS, "vsock %s %zu %u", ways[kind], (len + PAGE - 1) / PAGE,
	      packet);
	open_pair(r);
	can = kind == RECV || opt_in(r);
	if (can)
		measure(r, kind, len, packet);
	if (can && seconds)
		loop(r, kind, len, packet, seconds);
	close_pair(r);
	return can;
}

static void lacks_option(void)
{
	printf("vsock missing CONFIG_VSOCK_MAP_RX\n");
	print_out();
}

/* The words behind --row */
static void measure_row(struct receiver *r, char **words)
{
	size_t len = atoi(words[2]) * PAGE;
	enum way kind = RECV;

	while (kind < NR_WAYS && strcmp(words[1], ways[kind]))
		kind++;
	if (kind == NR_WAYS || !len || len > MOST_PAGES * PAGE)
		fail("no such row");
	if (!measure_way(r, kind, len, atoi(words[3]), atoi(words[0])))
		lacks_option();
}

int main(int argc, char **argv)
{
	struct receiver r = {};
	char **row = NULL;
	bool quick = false;
	unsigned int i, p;
	enum way kind;

	for (int arg = 1; arg < argc; arg++) {
		instructions |= !strcmp(argv[arg], "--instructions");
		quick |= !strcmp(argv[arg], "--quick");
		if (!strcmp(argv[arg], "--row") && arg + 4 < argc)
			row = &argv[arg + 1];
	}
	r.data = mmap(NULL, MOST_PAGES * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (r.data == MAP_FAILED || mlockall(MCL_CURRENT))
		fail("no memory: %m");
	memset(r.data, 'a', MOST_PAGES * PAGE);
	if (row) {
		measure_row(&r, row);
		return 0;
	}
	/* as long as nobody has opted in: mainline's figures */
	for (i = 0; i < sizeof(small) / sizeof(*small); i++)
		measure_way(&r, RECV, (size_t)SMALL_PACKETS * small[i], small[i], 0);
	for (kind = RECV; kind < NR_WAYS; kind++)
		for (p = 0; p < (quick ? 1 : 2); p++)
			for (i = 0; i < sizeof(columns) / sizeof(*columns); i++)
				if (!measure_way(&r, kind, columns[i] * PAGE,
						 packets[p], 0)) {
					lacks_option();
					return 0;
				}
	return 0;
}
