/* SPDX-License-Identifier: GPL-2.0 */
/* What memory counts against a user's RLIMIT_MEMLOCK, to the page. */
#ifndef NOTIF_TEST_ACCOUNT_H
#define NOTIF_TEST_ACCOUNT_H

#include <sys/resource.h>

#include "fixture.h"

#define MAX_PAGES	512	/* the hard limit */
#define MAX_BYTES	(MAX_PAGES * page_size())
/* And up: one for each test, of whom nothing else is locked. */
#define SOME_USER	10000

static inline int set_limit(long pages)
{
	const struct rlimit limit = { pages * page_size(), MAX_BYTES };

	return setrlimit(RLIMIT_MEMLOCK, &limit) ? -errno : 0;
}

/* From here on the test is a user without CAP_IPC_LOCK, with the hard limit. */
static inline int be_limited_user(void)
{
	const struct rlimit hard = { MAX_BYTES, MAX_BYTES };
	const uid_t uid = SOME_USER + getpid() % 50000;

	if (setrlimit(RLIMIT_MEMLOCK, &hard) || setresuid(uid, uid, uid))
		return -errno;
	return 0;
}

/*
 * How many pages the user has locked, which nothing else tells: one less than the
 * least limit under which another one, a registered buffer, may be.
 */
static inline long locked_pages(struct io_uring *probe, char *page)
{
	struct iovec iov = { page, 4096 };
	long low = 1, high = MAX_PAGES;

	while (low < high) {
		long middle = (low + high) / 2;
		int ret;

		if (set_limit(middle))
			return -1;
		ret = io_uring_register_buffers(probe, &iov, 1);
		if (ret && ret != -ENOMEM)
			return ret;
		if (ret) {
			low = middle + 1;
			continue;
		}
		ring_register(probe, IORING_UNREGISTER_BUFFERS, NULL, 0);
		high = middle;
	}
	return set_limit(MAX_PAGES) ?: low - 1;
}

/* What a segment of @len bytes at @addr counts: the pages that it touches. */
static inline long pages_of(const void *addr, size_t len)
{
	return ((unsigned long)addr % page_size() + len + page_size() - 1) /
	       page_size();
}

/* KiB of a field of /proc/self/status */
static inline long status_kb(const char *field)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[128];
	long kb = -1;

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, field, strlen(field)))
			kb = atol(line + strlen(field));
	if (file)
		fclose(file);
	return kb;
}

#endif
