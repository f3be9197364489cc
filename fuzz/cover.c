// SPDX-License-Identifier: GPL-2.0
/*
 * Which code of the kernel a program has reached, by KCOV: what its first process
 * and one of its threads do in system calls. Not what interrupts, kernel threads
 * and io_uring's own threads do.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kcov.h>

#include "fuzz.h"

#define KCOV		"/sys/kernel/debug/kcov"
#define KCOV_FD		201
/* a table of slots takes more than 32768 */
#define AREA_WORDS	(512 << 10)

static struct area {
	int fd;
	__u64 *words;
} areas[2] = { { .fd = -1 }, { .fd = -1 } };

static bool open_area(struct area *area)
{
	void *map;
	int fd = open(KCOV, O_RDWR);

	if (fd < 0)
		return false;
	/* where no program finds it */
	area->fd = fcntl(fd, F_DUPFD, KCOV_FD);
	close(fd);
	map = MAP_FAILED;
	if (!ioctl(area->fd, KCOV_INIT_TRACE, AREA_WORDS))
		map = mmap(NULL, AREA_WORDS * sizeof(__u64),
			   PROT_READ | PROT_WRITE, MAP_SHARED, area->fd, 0);
	if (map == MAP_FAILED)
		return false;
	area->words = map;
	return true;
}

/* Of a worker: its processes have it from there. */
void cover_open(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(areas); i++)
		if (!open_area(&areas[i]))
			return;
	common->has_coverage = true;
}

void cover_enable(bool thread)
{
	/* of several threads one has it */
	if (areas[thread].words)
		ioctl(areas[thread].fd, KCOV_ENABLE, KCOV_TRACE_PC);
}

/* True: nobody has reached it before. */
static bool is_new(__u64 pc)
{
	unsigned int at = rnd_mix(pc) % MAX_PCS;
	__u64 none;

	for (;;) {
		none = 0;
		if (__atomic_load_n(&common->pcs[at], __ATOMIC_RELAXED) == pc)
			return false;
		if (common->nr_pcs >= MAX_PCS / 2)
			return false;
		if (__atomic_compare_exchange_n(&common->pcs[at], &none, pc, false,
						__ATOMIC_RELAXED, __ATOMIC_RELAXED))
			break;
		if (none == pc)
			return false;
		at = (at + 1) % MAX_PCS;
	}
	__atomic_fetch_add(&common->nr_pcs, 1, __ATOMIC_RELAXED);
	return true;
}

/* The program has ended: how many PCs it was the first to reach. */
unsigned int cover_take(void)
{
	unsigned int i, nr = 0;
	__u64 n;

	for (i = 0; i < ARRAY_SIZE(areas); i++) {
		__u64 *words = areas[i].words;

		if (!words)
			continue;
		n = __atomic_load_n(&words[0], __ATOMIC_RELAXED);
		while (n)
			nr += is_new(words[n--]);
		__atomic_store_n(&words[0], 0, __ATOMIC_RELAXED);
	}
	return nr;
}

/* The number in a file; with @name the address of a symbol. */
static __u64 number_in(const char *path, const char *name)
{
	FILE *file = fopen(path, "r");
	char line[256], symbol[128];
	__u64 number = 0, value;
	int n;

	while (file && !number && fgets(line, sizeof(line), file)) {
		n = sscanf(line, "%llx %*s %127s", &value, symbol);
		if (!name || (n == 2 && !strcmp(symbol, name)))
			number = strtoull(line, NULL, name ? 16 : 0);
	}
	if (file)
		fclose(file);
	return number;
}

static int compare(const void *a, const void *b)
{
	__u64 x = *(const __u64 *)a, y = *(const __u64 *)b;

	return x < y ? -1 : x > y;
}

/* Those from @from to @to, or all others, as offsets from @base. */
static void print_part(const char *name, const __u64 *pcs, unsigned int nr,
		       __u64 from, __u64 to, bool inside, __u64 base)
{
	unsigned int i, shown = 0;

	for (i = 0; i < nr && base; i++) {
		if ((pcs[i] >= from && pcs[i] < to) != inside)
			continue;
		printf(shown % 12 ? " " : "%s# cover %s ", shown ? "\n" : "", name);
		printf("%llx", (unsigned long long)(pcs[i] - base));
		shown++;
	}
	if (shown)
		printf("\n");
}

/* What was reached, for scripts/coverage.py: offsets in .text of the module, and
 * from _text of the kernel.
 */
void cover_print(void)
{
	__u64 begin = number_in("/sys/module/" MODULE "/sections/.text", NULL);
	__u64 end = begin + number_in("/sys/module/" MODULE "/coresize", NULL);
	__u64 *pcs = calloc(MAX_PCS, sizeof(*pcs));
	unsigned int i, nr = 0;

	for (i = 0; pcs && i < MAX_PCS; i++)
		if (common->pcs[i])
			pcs[nr++] = common->pcs[i];
	if (!nr)
		return;
	qsort(pcs, nr, sizeof(*pcs), compare);
	print_part(MODULE, pcs, nr, begin, end, true, begin);
	print_part("vmlinux", pcs, nr, begin, end, false,
		   number_in("/proc/kallsyms", "_text"));
	free(pcs);
}
