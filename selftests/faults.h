/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Failures on demand: of the calls that allocate memory, or copy from the program
 * or to it, the nth that this task makes fails. See fail-nth in the kernel's
 * Documentation/fault-injection/fault-injection.rst.
 */
#ifndef NOTIF_TEST_FAULTS_H
#define NOTIF_TEST_FAULTS_H

#include "account.h"
#include "process.h"

/* More calls than there are in any system call that a test looks at. */
#define MAX_CALLS	600

struct faults {
	int fd;			/* /proc/self/fail-nth */
	unsigned int nth;	/* the call that is to fail, 0: none */
	bool failed;		/* it did */
};

static inline bool faults_set(const char *knob, const char *value)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s", knob);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return false;
	n = write(fd, value, strlen(value));
	close(fd);
	return n > 0;
}

/*
 * Let any call fail that can. INJECT_VERBOSE=2 has the kernel's log say which one
 * it was. Needs root. Returns what isn't there, or NULL.
 */
static inline const char *faults_open(struct faults *faults)
{
	const char *verbose = getenv("INJECT_VERBOSE") ?: "0";
	const char *knobs[][2] = {
		{ "failslab/ignore-gfp-wait", "N" },
		{ "failslab/cache-filter", "N" },
		{ "failslab/verbose", verbose },
		{ "fail_page_alloc/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/ignore-gfp-highmem", "N" },
		{ "fail_page_alloc/min-order", "0" },
		{ "fail_page_alloc/verbose", verbose },
		{ "fail_usercopy/verbose", verbose },
	};
	unsigned int i;

	faults->fd = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	if (faults->fd < 0)
		return "/proc/self/fail-nth (CONFIG_FAULT_INJECTION)";
	for (i = 0; i < ARRAY_SIZE(knobs); i++)
		if (!faults_set(knobs[i][0], knobs[i][1]))
			return knobs[i][0];
	return NULL;
}

/* From here on, the nth call fails. */
static inline void faults_begin(struct __test_metadata *_metadata,
				struct faults *faults)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", faults->nth);

	ASSERT_EQ(len, pwrite(faults->fd, text, len, 0));
}

/* No longer. If there were fewer calls, one of those here may be what fails. */
static inline void faults_end(struct __test_metadata *_metadata,
			      struct faults *faults)
{
	char left[16] = "";
	ssize_t n = pread(faults->fd, left, sizeof(left) - 1, 0);

	if (n < 0)
		ASSERT_EQ(EFAULT, errno);
	faults->failed = faults->nth && !strcmp(left, "0\n");
	n = pwrite(faults->fd, "0", 1, 0);
	if (n < 0)
		n = pwrite(faults->fd, "0", 1, 0);
	ASSERT_EQ(1, n);
}

/*
 * Whether there's one round more. In the first one none fails, and all that the
 * program needs gets mapped; then one after the other does, until there is none left.
 */
static inline bool faults_next(struct __test_metadata *_metadata,
			       struct faults *faults)
{
	if (faults->nth && !faults->failed) {
		printf("# %u calls, each has failed\n", faults->nth - 1);
		faults->nth = 0;
		return false;
	}
	faults->nth++;
	ASSERT_GT(MAX_CALLS, faults->nth);
	return true;
}

/* Do this, and one call on the way fails. */
#define WITH_FAULT(_do) do {						\
	faults_begin(_metadata, &self->faults);				\
	_do;								\
	faults_end(_metadata, &self->faults);				\
} while (0)

/* A round for each call. */
#define MORE_FAULTS	faults_next(_metadata, &self->faults)

#endif
