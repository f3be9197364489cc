// SPDX-License-Identifier: GPL-2.0
/*
 * What a request costs with many slots, many registered buffers and many
 * notifiers in flight, what they take of memory (memory.c), what it costs that
 * two meet in a packet (link.c), and for how long many of them hold the CPU as
 * they go at once (hold.c).
 *
 *	scale
 *
 * The work is that of client.c's row "slot registered ... udp4 4000 128 plain",
 * and windows are as there; it needs a guest whose clock counts instructions.
 * Of each kind only the number differs, the program executes the same.
 *
 * In a guest that nothing reaches from outside (scripts/bare.py) all figures are
 * the same in each boot. Memory depends on what was free before, too.
 *
 *	scale KIND NUMBER least=L same=S	instructions of a window, S are equal
 *	scale KIND NUMBER bytes=B		B bytes of memory for that many
 *	scale KIND NUMBER held=H		H instructions without rescheduling
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "../selftests/sock.h"
#include "clock.h"
#include "scale.h"

#define CQ_ENTRIES	16384	/* whatever is in flight at the end has room */
/* Slots and buffers that are used round robin come round */
#define WARM_REQUESTS	(20 * MAX_BATCH)
#define SECONDS		120

/* Powers of two: what takes the next one is one instruction for all. */
struct scale {
	const char *kind;
	unsigned int number;
	unsigned int slots, buffers;
	unsigned int per_notif;		/* requests */
	unsigned int held;		/* notifiers in flight all the time */
};

const struct row scale_row = {
	.mode = SLOT,
	.buffer = REGISTERED,
	.bytes = SEND_BYTES,
	.batch = MAX_BATCH,
	.windows = SCALE_WINDOWS,
};

static const struct scale scales[] = {
	{ "slots", 1, 1, 1, 1, 0 },
	{ "slots", 8, 8, 1, 1, 0 },
	{ "slots", 64, 64, 1, 1, 0 },
	{ "slots", 1024, 1024, 1, 1, 0 },
	{ "buffers", 1, 1, 1, MAX_BATCH, 0 },
	{ "buffers", 8, 1, 8, MAX_BATCH, 0 },
	{ "buffers", 64, 1, 64, MAX_BATCH, 0 },
	{ "buffers", 1024, 1, 1024, MAX_BATCH, 0 },
	{ "in_flight", 1, 1, 1, 1, 1 },
	{ "in_flight", 100, 1, 1, 1, 100 },
	{ "in_flight", 1000, 1, 1, 1, 1000 },
	{ "in_flight", 10000, 1, 1, 1, 10000 },
};

/* Requests of the row until now, to take slots and buffers in turn */
static unsigned int turn;

/* What is measured from here on, for so long at most. */
void scale_begin(const char *kind, unsigned int number)
{
	begin(SECONDS, "scale %s %u", kind, number);
}

void scale_print(const char *kind, unsigned int number, __u64 *times)
{
	unsigned int same;

	qsort(times, SCALE_WINDOWS, sizeof(*times), compare);
	for (same = 1; same < SCALE_WINDOWS && times[same] == times[0]; same++)
		;
	printf("scale %s %u least=%llu same=%u\n", kind, number, times[0], same);
	print_out();
}

static void run_shell(const char *command)
{
	if (system(command))
		fail("`%s` failed", command);
}

/* The memory of all buffers, that is there. */
char *scale_data(void)
{
	static char *data;

	if (data)
		return data;
	data = mmap(NULL, MAX_BUFFERS * BUFFER_BYTES, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (data == MAP_FAILED)
		fail("no memory");
	memset(data, 'a', MAX_BUFFERS * BUFFER_BYTES);
	return data;
}

void scale_slots(struct bench *b, unsigned int nr)
{
	struct io_uring_notification_slot *slots = calloc(nr, sizeof(*slots));
	struct io_uring_notification_register reg = {
		.nr_slots = nr,
		.data = (unsigned long)slots,
	};
	unsigned int i;

	for (i = 0; i < nr; i++)
		slots[i].tag = TAG + i;
	if (syscall(__NR_io_uring_register, b->ring.ring_fd,
		    IORING_REGISTER_NOTIFIERS, &reg, sizeof(reg)))
		fail("registering %u slots: %m", nr);
	free(slots);
}

/* A plain ring with so many slots, whose tags are TAG and up, and buffers. */
void scale_ring(struct bench *b, unsigned int slots, unsigned int buffers)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_CQSIZE,
		.cq_entries = CQ_ENTRIES,
	};
	struct iovec iov[MAX_BUFFERS];
	unsigned int i;
	int ret;

	ret = io_uring_queue_init_params(MAX_BATCH, &b->ring, &params);
	if (ret)
		fail("making a ring: %s", strerror(-ret));
	for (i = 0; i < buffers; i++)
		iov[i] = (struct iovec){ b->data + i * BUFFER_BYTES, BUFFER_BYTES };
	if (buffers) {
		ret = io_uring_register_buffers(&b->ring, iov, buffers);
		if (ret)
			fail("registering %u buffers: %s", buffers, strerror(-ret));
	}
	if (slots)
		scale_slots(b, slots);
}

/* The number that follows @name in a file of /proc. */
unsigned int scale_number(const char *path, const char *name)
{
	size_t len = strlen(name);
	unsigned int number = 0;
	bool found = false;
	FILE *file = fopen(path, "r");
	char line[256];

	while (file && !found && fgets(line, sizeof(line), file))
		found = !strncmp(line, name, len) &&
			sscanf(line + len, ": %u", &number) == 1;
	if (file)
		fclose(file);
	if (!found)
		fail("%s has no %s", path, name);
	return number;
}

/* What the ring's fdinfo says. */
unsigned int scale_in_ring(const struct bench *b, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", b->ring.ring_fd);
	return scale_number(path, name);
}

struct io_uring_sqe *scale_sqe(struct bench *b)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&b->ring);

	if (!sqe)
		fail("the SQ is full");
	return sqe;
}

/* A request in slot @slot, to be submitted. */
struct io_uring_sqe *scale_send(struct bench *b, int fd, unsigned int slot,
				unsigned int buffer)
{
	struct io_uring_sqe *sqe = scale_sqe(b);

	io_uring_prep_sendzc(sqe, fd, b->data + buffer * BUFFER_BYTES, SEND_BYTES,
			     MSG_WAITALL, IORING_SEND_ZC_NOTIF_SLOT |
			     IORING_RECVSEND_FIXED_BUF);
	sqe->notification_idx = slot;
	sqe->buf_index = buffer;
	return sqe;
}

/* Not inlined, so that the loop needs not have what is printed. */
static noinline void __noreturn wrong(const struct io_uring_cqe *cqe)
{
	fail("a request's res is %d, flags %#x", cqe->res, cqe->flags);
}

/* Takes so many CQEs of requests, which went well, and notifications. */
void scale_see(struct bench *b, unsigned int requests, unsigned int notifs)
{
	struct io_uring_cqe *cqe;
	int ret;

	while (requests || notifs) {
		ret = io_uring_wait_cqe(&b->ring, &cqe);
		if (ret)
			fail("wait: %s", strerror(-ret));
		if (cqe->flags & IORING_CQE_F_NOTIF) {
			if (!notifs--)
				fail("a notification too many");
			if (cqe->res)
				fail("a notification's res is %d", cqe->res);
		} else {
			if (!requests--)
				fail("a CQE too many");
			if (cqe->res != SEND_BYTES || cqe->flags)
				wrong(cqe);
		}
		io_uring_cqe_seen(&b->ring);
	}
}

void scale_submit(struct bench *b, unsigned int requests)
{
	int ret = io_uring_submit(&b->ring);

	if (ret != (int)requests)
		fail("submit: %d of %u requests", ret, requests);
}

static void window(struct bench *b, const struct scale *scale)
{
	const unsigned int slots = scale->slots - 1, buffers = scale->buffers - 1;
	const unsigned int per_notif = scale->per_notif - 1;
	struct io_uring_sqe *sqe;
	unsigned int i;

	for (i = 0; i < MAX_BATCH; i++, turn++) {
		sqe = scale_send(b, b->tx, turn & slots, turn & buffers);
		if ((i & per_notif) == per_notif)
			sqe->ioprio |= IORING_RECVSEND_NOTIF_FLUSH;
	}
	scale_submit(b, MAX_BATCH);
	scale_see(b, MAX_BATCH, MAX_BATCH / scale->per_notif);
}

/*
 * Has so many notifiers in flight, flushed, that wait for the network: for a
 * device that sends after minutes. Returns the socket.
 */
static int keep_in_flight(struct bench *b, unsigned int slot, unsigned int nr)
{
	static const char * const device[] = {
		"ip link add hold mtu 65535 type dummy",
		"ip link set hold up",
		"ip addr add 10.8.0.1/24 dev hold",
		"ip neigh add 10.8.0.2 lladdr 02:00:00:00:00:04 dev hold",
		"tc qdisc add dev hold root netem delay 200s limit 100000",
	};
	struct sockaddr_storage to;
	socklen_t len = make_addr(&to, AF_INET, "10.8.0.2", 9000);
	unsigned int i, n;
	int fd;

	for (i = 0; i < sizeof(device) / sizeof(*device); i++)
		run_shell(device[i]);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || setsockopt_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, 128 << 20) ||
	    connect(fd, (struct sockaddr *)&to, len))
		fail("a socket to what is held: %m");
	for (; nr; nr -= n) {
		n = nr < MAX_BATCH ? nr : MAX_BATCH;
		for (i = 0; i < n; i++)
			scale_send(b, fd, slot, 0)->ioprio |=
				IORING_RECVSEND_NOTIF_FLUSH;
		scale_submit(b, n);
		scale_see(b, n, 0);
	}
	return fd;
}

static void let_go(struct bench *b, int fd, unsigned int nr)
{
	run_shell("ip link del hold");
	scale_see(b, 0, nr);
	close(fd);
}

static void check_in_flight(const struct bench *b, unsigned int want)
{
	unsigned int found = scale_in_ring(b, "NotifsInFlight");

	if (found != want)
		fail("%u notifiers are in flight, not %u", found, want);
}

/* Runs the windows between two looks at the device's packets. */
static void run(struct bench *b, const struct scale *scale, __u64 *times)
{
	unsigned long long packets = net_packets(b);
	unsigned int i;
	__u64 start;

	for (i = 0; i < SCALE_WINDOWS; i++) {
		settle();
		start = now();
		window(b, scale);
		times[i] = now() - start;
	}
	packets = net_packets(b) - packets;
	if (packets != SCALE_WINDOWS * MAX_BATCH)
		fail("%llu packets left, not %u", packets,
		     SCALE_WINDOWS * MAX_BATCH);
	if (!work_is_over(b))
		fail("more notifications than there were to be");
}

static void measure(const struct scale *scale)
{
	struct bench b = { .row = &scale_row, .data = scale_data() };
	__u64 times[SCALE_WINDOWS];
	int held = -1;

	scale_begin(scale->kind, scale->number);
	settle();
	net_open(&b);
	scale_ring(&b, scale->slots + !!scale->held, scale->buffers);
	if (scale->held)
		held = keep_in_flight(&b, scale->slots, scale->held);
	for (turn = 0; turn < WARM_REQUESTS;) {
		settle();
		window(&b, scale);
	}
	check_in_flight(&b, scale->held);
	run(&b, scale, times);
	check_in_flight(&b, scale->held);
	if (scale->held)
		let_go(&b, held, scale->held);
	check_in_flight(&b, 0);
	work_close(&b);
	net_close(&b);
	scale_print(scale->kind, scale->number, times);
}

int main(void)
{
	unsigned int i;

	instructions = true;
	if (mlockall(MCL_CURRENT))
		fail("mlockall: %m");
	net_enter();
	for (i = 0; i < sizeof(scales) / sizeof(*scales); i++)
		measure(&scales[i]);
	scale_begin("memory", 0);
	measure_memory();
	measure_links();
	measure_holds();
	return 0;
}
