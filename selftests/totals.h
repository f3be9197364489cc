/* SPDX-License-Identifier: GPL-2.0 */
/* What the kernel counts that has to come back to nothing. */
#ifndef NOTIF_TEST_TOTALS_H
#define NOTIF_TEST_TOTALS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ring.h"

struct totals {
	int refs;			/* of the module */
	long begun, completed;		/* notifiers */
	long pins;			/* of pages */
};

/* The number behind @field, at the beginning of a line of @path; -1 without it. */
static inline long field_of(const char *path, const char *field)
{
	FILE *file = fopen(path, "r");
	long number = -1;
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, field, strlen(field)))
			number = atol(line + strlen(field));
	if (file)
		fclose(file);
	return number;
}

/* Have the CPUs add to /proc/vmstat what each has counted for itself. */
static inline void refresh_vmstat(void)
{
	FILE *file = fopen("/proc/sys/vm/stat_refresh", "w");

	if (!file)
		return;
	fputs("1\n", file);
	fclose(file);
}

static inline long free_pages(void)
{
	refresh_vmstat();
	return field_of("/proc/vmstat", "nr_free_pages ");
}

static inline void totals_read(struct totals *now)
{
	const char *totals = "/sys/kernel/debug/io_uring_notif/totals";

	refresh_vmstat();
	now->refs = field_of("/sys/module/io_uring_notif/refcnt", "");
	/* completed first: what comes meanwhile has begun too */
	now->completed = field_of(totals, "completed_inline:") +
			 field_of(totals, "completed_task_work:");
	now->begun = field_of(totals, "created:") + field_of(totals, "reused:");
	now->pins = field_of("/proc/vmstat", "nr_foll_pin_acquired ") -
		    field_of("/proc/vmstat", "nr_foll_pin_released ");
}

/* Rings that were closed go in their own time. */
static inline void totals_wait(struct totals *now)
{
	unsigned int ms;

	for (ms = 0; ms < LOST_MS; ms += 20) {
		totals_read(now);
		if (!now->refs && now->begun == now->completed && !now->pins)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	}
}

#endif
