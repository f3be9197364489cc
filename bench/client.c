// SPDX-License-Identifier: GPL-2.0
/*
 * What each way of sending costs: runs rows of work (row.c) one after another,
 * and prints a line for each.
 *
 *	client [--instructions] ROW... | --file FILE
 *	client --loop SECONDS ROW		prints LOOP as it starts, for perf and its like
 *	client --time SECONDS ROW		for measure.sh: a line as below, in nanoseconds
 *
 * A window is one batch: prepare, submit, and see every CQE or message of the
 * error queue that says that a buffer is free again. In a guest whose clock
 * counts instructions (ACCEL=icount) its time-stamp counter does, and each
 * window of the same work takes the same time, to the digit, but for those
 * with a timer interrupt in them: the least of many is the figure. In a guest
 * that nothing reaches from outside (scripts/bare.py) it is the same in each
 * boot. Elsewhere windows are nanoseconds, and the quartiles are of interest.
 *
 *	row TEXT least=L same=S p25=A p50=B p75=C receiver=R packets=P
 *	missing TEXT: what this kernel lacks for it
 *
 *	time TEXT requests=N ns=T p50=A p99=B cpu=C	C: what all CPUs worked meanwhile
 *
 * Windows in instructions or nanoseconds, S of them are equal to the least;
 * the receiver's reading of a TCP batch is no part of them, R is its least.
 * P packets left in all windows.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "clock.h"

#define WARM_WINDOWS	20
#define LOOP_WINDOWS	64
#define TIMED_WINDOWS	1000000
#define HUGE_PAGE	(2 << 20)
/* Seconds after which a notification that has not come is lost */
#define ROW_SECONDS	120

/* Memory that is there: no page fault in a window. */
static char *data_of(const struct row *row)
{
	static char *small, *huge, *taken;
	char **data = row->buffer == HUGE ? &huge : takes(row) ? &taken : &small;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS |
		    (row->buffer == HUGE ? MAP_HUGETLB : 0);

	if (*data)
		return *data;
	*data = mmap(NULL, row->buffer == HUGE ? HUGE_PAGE : data_bytes(row),
		     PROT_READ | PROT_WRITE, flags, -1, 0);
	if (*data == MAP_FAILED)
		fail("%s", row->buffer == HUGE ?
		     "no huge page of 2 MiB; write to /proc/sys/vm/nr_hugepages" :
		     "no memory");
	memset(*data, 'a', data_bytes(row));
	return *data;
}

/* What a relay is to send is there, and the clock is where it is for all windows. */
static void before_window(const struct bench *b)
{
	if (b->row->relay)
		relay_feed(b);
	settle();
}

static void window(struct bench *b, __u64 *sender, __u64 *receiver)
{
	__u64 start, middle;

	/* system calls that nothing else makes, for who reads a log of instructions */
	if (b->marked)
		getpgid(0);
	start = now();
	b->batch(b);
	middle = now();
	if (b->marked)
		getsid(0);
	*sender = middle - start;
	*receiver = 0;
	if (b->rx < 0)
		return;
	middle = now();
	net_receive(b);
	*receiver = now() - middle;
}

/* Whether it was zero-copy where it should be, and copied where it should be. */
static void check_usage(struct bench *b)
{
	const struct row *row = b->row;
	bool copies = row->mode == SLOT && row->bytes < row->copy_below;
	__u64 unused;

	if (row->mode != MSG_ZC && row->mode != SEND_ZC && row->mode != SLOT)
		return;
	b->report = row->mode != MSG_ZC;
	b->copied = false;
	if (row->relay)
		relay_feed(b);
	window(b, &unused, &unused);
	b->report = false;
	/* over veth the receiving side copies */
	if ((!row->tcp || row->sink) && b->copied != copies)
		fail("the data was %scopied", copies ? "not " : "");
}

static void print(const struct row *row, __u64 *sender, __u64 *receiver,
		  unsigned long long packets)
{
	unsigned int n = row->windows, same;

	qsort(sender, n, sizeof(*sender), compare);
	qsort(receiver, n, sizeof(*receiver), compare);
	for (same = 1; same < n && sender[same] == sender[0]; same++)
		;
	printf("row %s least=%llu same=%u p25=%llu p50=%llu p75=%llu receiver=%llu packets=%llu\n",
	       row->text, sender[0], same, sender[n / 4], sender[n / 2],
	       sender[n * 3 / 4], receiver[0], packets);
	print_out();
}

/* Runs @windows of them between two looks at the device's packets; how many left. */
static unsigned long long run(struct bench *b, __u64 *sender, __u64 *receiver)
{
	const struct row *row = b->row;
	unsigned long long want = (unsigned long long)row->windows * row->batch;
	unsigned long long packets = net_packets(b);
	unsigned int i;

	for (i = 0; i < row->windows; i++) {
		before_window(b);
		window(b, &sender[i], &receiver[i]);
	}
	packets = net_packets(b) - packets;
	/* of TCP, the receiver has read each byte */
	if (!row->tcp && packets != want)
		fail("%llu packets left, not %llu", packets, want);
	if (!work_is_over(b))
		fail("more notifications than there were to be");
	return packets;
}

static void loop(struct bench *b, unsigned int seconds)
{
	__u64 end = nanoseconds() + seconds * 1000000000ULL, unused;
	unsigned int i;

	alarm(0);
	printf("LOOP\n");
	print_out();
	/* the clock costs as much as a window's own look at it: seldom */
	b->marked = takes(b->row);
	while (nanoseconds() < end)
		for (i = 0; i < LOOP_WINDOWS; i++) {
			if (b->marked)
				before_window(b);
			window(b, &unused, &unused);
		}
}

/* What this machine's CPUs have worked, softirqs too, of which some are on others than ours. */
static __u64 cpu_nanoseconds(void)
{
	unsigned long long user, nice, system, idle, iowait, irq, softirq;
	FILE *stat = fopen("/proc/stat", "r");

	if (!stat || fscanf(stat, "cpu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system,
			    &idle, &iowait, &irq, &softirq) != 7)
		fail("/proc/stat: %m");
	fclose(stat);
	return (user + nice + system + irq + softirq) * (1000000000 / sysconf(_SC_CLK_TCK));
}

/* Windows for some seconds, or as many as there is room for their times */
static void run_for(struct bench *b, unsigned int seconds)
{
	static __u64 took[TIMED_WINDOWS];
	__u64 cpu = cpu_nanoseconds(), start = nanoseconds(), spent, unused;
	unsigned int nr = 0;

	alarm(seconds + ROW_SECONDS);
	do {
		before_window(b);
		window(b, &took[nr++], &unused);
		spent = nanoseconds() - start;
	} while (nr < TIMED_WINDOWS && spent < seconds * 1000000000ULL);
	cpu = cpu_nanoseconds() - cpu;
	qsort(took, nr, sizeof(*took), compare);
	printf("time %s requests=%llu ns=%llu p50=%llu p99=%llu cpu=%llu\n", b->row->text,
	       (unsigned long long)nr * b->row->batch, spent, took[nr / 2],
	       took[nr * 99ULL / 100], cpu);
	print_out();
}

/* What becomes of a row: measured window by window, or run for some seconds */
struct how {
	void (*run)(struct bench *b, unsigned int seconds);
	unsigned int seconds;
};

static void measure(const struct row *row, struct how how)
{
	static __u64 sender[MAX_WINDOWS], receiver[MAX_WINDOWS];
	struct bench b = { .row = row, .data = data_of(row) };
	const char *missing = takes(row) ? relay_missing(row) : ways_missing(row);
	unsigned long long packets = 0;
	unsigned int i;

	if (missing) {
		printf("missing %s: %s\n", row->text, missing);
		print_out();
		return;
	}

	begin(ROW_SECONDS, "%s", row->text);
	settle();
	net_open(&b);
	work_open(&b);
	for (i = 0; i < WARM_WINDOWS; i++) {
		before_window(&b);
		window(&b, &sender[0], &receiver[0]);
	}
	check_usage(&b);
	if (how.run)
		how.run(&b, how.seconds);
	else
		packets = run(&b, sender, receiver);
	work_close(&b);
	if (takes(row))
		relay_close();
	net_close(&b);
	if (!how.run)
		print(row, sender, receiver, packets);
	begin(0, "%s", "");
}

static void measure_text(const char *text, struct how how)
{
	struct row row;

	row_parse(&row, text);
	measure(&row, how);
}

/* All of the file is read before the first row runs: it is the host's. */
static void measure_file(const char *path)
{
	static char text[1 << 20];
	FILE *file = fopen(path, "r");
	char *line, *rest = text;

	if (!file)
		fail("%s: %m", path);
	if (fread(text, 1, sizeof(text) - 1, file) == sizeof(text) - 1)
		fail("%s is too long", path);
	fclose(file);
	while ((line = strsep(&rest, "\n")))
		if (*line)
			measure_text(line, (struct how){});
}

int main(int argc, char **argv)
{
	int arg = 1;

	if (arg < argc && !strcmp(argv[arg], "--instructions")) {
		instructions = true;
		arg++;
	}
	if (arg >= argc)
		fail("usage: client [--instructions] ROW... | --file FILE | --loop|--time S ROW");
	if (mlockall(MCL_CURRENT))
		fail("mlockall: %m");
	net_enter();
	if (arg + 1 < argc && !strcmp(argv[arg], "--file")) {
		measure_file(argv[arg + 1]);
		return 0;
	}
	if (arg + 2 < argc && (!strcmp(argv[arg], "--loop") || !strcmp(argv[arg], "--time"))) {
		measure_text(argv[arg + 2], (struct how){
			argv[arg][2] == 'l' ? loop : run_for, atoi(argv[arg + 1])
		});
		return 0;
	}
	for (; arg < argc; arg++)
		measure_text(argv[arg], (struct how){});
	return 0;
}
