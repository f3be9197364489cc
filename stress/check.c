// SPDX-License-Identifier: GPL-2.0
/* What the kernel has in use, before and after a round. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "stress.h"

/* The system has more, and less, for reasons of its own. */
#define SPARE_OBJECTS	1500
#define SPARE_KB	(256 << 10)
#define HUGE_PAGES	"24"

/* The module, io_uring and the network allocate from these. */
static const char * const caches[NR_CACHES] = {
	"kmalloc-64", "kmalloc-96", "kmalloc-128", "kmalloc-192", "kmalloc-256",
	"kmalloc-512", "kmalloc-1k", "kmalloc-2k", "kmalloc-4k", "kmalloc-cg-64",
	"kmalloc-cg-128", "kmalloc-cg-192", "kmalloc-cg-256", "kmalloc-cg-512",
	"io_kiocb", "skbuff_head_cache", "skbuff_fclone_cache", "TCP", "UDP",
	"skbuff_small_head",
};

long long number_of(const char *path, const char *name)
{
	FILE *file = fopen(path, "r");
	size_t len = strlen(name);
	long long number = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, name, len))
			number = atoll(line + len);
	if (file)
		fclose(file);
	return number;
}

static void write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0)
		return;
	/* what isn't done isn't needed either */
	if (write(fd, text, strlen(text)) < 0)
		errno = 0;
	close(fd);
}

void totals_read(struct totals *totals)
{
	const char *path = "/sys/kernel/debug/io_uring_notif/totals";

	/* completed first: what comes meanwhile has begun too */
	totals->completed = number_of(path, "completed_inline:") +
			    number_of(path, "completed_task_work:");
	totals->begun = number_of(path, "created:") + number_of(path, "reused:");
}

/* KASAN keeps what is free for a while, until its cache is asked to shrink. */
static void read_objects(long *objects)
{
	FILE *file;
	char line[512], name[64], path[96];
	unsigned int i;
	long active;

	for (i = 0; i < NR_CACHES; i++) {
		snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink",
			 caches[i]);
		write_to(path, "1");
	}
	file = fopen("/proc/slabinfo", "r");
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%63s %ld", name, &active) != 2)
			continue;
		for (i = 0; i < NR_CACHES; i++)
			if (!strcmp(name, caches[i]))
				objects[i] = active;
	}
	if (file)
		fclose(file);
}

void state_read(struct state *state)
{
	memset(state, 0, sizeof(*state));
	state->refs = number_of("/sys/module/" MODULE "/refcnt", "");
	totals_read(&state->totals);
	/* what each CPU has counted for itself */
	write_to("/proc/sys/vm/stat_refresh", "1");
	state->pins = number_of("/proc/vmstat", "nr_foll_pin_acquired ") -
		      number_of("/proc/vmstat", "nr_foll_pin_released ");
	write_to("/proc/sys/vm/drop_caches", "2");
	read_objects(state->objects);
	state->available_kb = number_of("/proc/meminfo", "MemAvailable:");
	state->huge_free = number_of("/proc/meminfo", "HugePages_Free:");
}

const char *state_differs(const struct state *before, const struct state *now,
			  __u64 nr)
{
	__u64 begun = now->totals.begun - before->totals.begun;
	__u64 completed = now->totals.completed - before->totals.completed;
	static char text[160];
	unsigned int i;

	if (now->refs != before->refs)
		snprintf(text, sizeof(text),
			 "the module has %ld references, it had %ld", now->refs,
			 before->refs);
	else if (begun != completed)
		snprintf(text, sizeof(text),
			 "%llu notifiers were used, %llu have completed",
			 (unsigned long long)begun, (unsigned long long)completed);
	else if (now->pins != before->pins)
		snprintf(text, sizeof(text), "%ld pages are pinned, there were %ld",
			 now->pins, before->pins);
	else if (now->huge_free != before->huge_free)
		snprintf(text, sizeof(text), "%ld huge pages are free, there were %ld",
			 now->huge_free, before->huge_free);
	else if (now->available_kb < before->available_kb - SPARE_KB)
		snprintf(text, sizeof(text), "%ld MiB are available, there were %ld",
			 now->available_kb >> 10, before->available_kb >> 10);
	else
		text[0] = 0;
	for (i = 0; i < NR_CACHES && !text[0]; i++) {
		long more = now->objects[i] - before->objects[i];

		if (more > SPARE_OBJECTS + (long)(nr / 4))
			snprintf(text, sizeof(text), "%s has %ld objects more",
				 caches[i], more);
	}
	return text[0] ? text : NULL;
}

void huge_pages_want(bool any)
{
	write_to("/proc/sys/vm/nr_hugepages", any ? HUGE_PAGES : "0");
}

int module_unload(void)
{
	return syscall(SYS_delete_module, MODULE, O_NONBLOCK) ? -errno : 0;
}
