/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* TAP for the tests of lib/, in C and in C++: one line a check. */
#ifndef NOTIF_TESTS_TAP_H
#define NOTIF_TESTS_TAP_H

#include <stdio.h>

static unsigned int tap_nr, tap_failed;
static const char *tap_skipped;

/* One check; @line tells which one failed. */
static void tap_check(int good, const char *what, int line)
{
	printf("%s %u %s", good ? "ok" : "not ok", ++tap_nr, what);
	if (!good) {
		tap_failed++;
		printf(" # line %d", line);
	}
	printf("\n");
}

#define CHECK(what)	tap_check((what) ? 1 : 0, #what, __LINE__)

/* Checks that cannot run here */
static inline void tap_skip(const char *what, const char *reason)
{
	printf("ok %u %s # SKIP %s\n", ++tap_nr, what, reason);
}

/* None can run here. */
static inline void tap_skip_all(const char *reason)
{
	tap_skipped = reason;
}

static int tap_end(void)
{
	printf("1..%u", tap_nr);
	if (tap_skipped)
		printf(" # SKIP %s", tap_skipped);
	printf("\n");
	return tap_failed ? 1 : 0;
}

#endif
