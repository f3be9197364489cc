/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What lib/tests/tap.h is, as liburing's tests do it: what went wrong, and a status. */
#include "helpers.h"

static unsigned int tap_failed;
static const char *tap_skipped;

static void tap_check(bool good, const char *what, int line)
{
	if (good)
		return;
	fprintf(stderr, "line %d: not so: %s\n", line, what);
	tap_failed++;
}

#define CHECK(what)	tap_check(what, #what, __LINE__)

/* Checks that cannot run here */
static inline void tap_skip(const char *what, const char *reason)
{
	printf("%s: skipped, %s\n", what, reason);
}

/* None can run here. */
static inline void tap_skip_all(const char *reason)
{
	printf("skipped: %s\n", reason);
	tap_skipped = reason;
}

static int tap_end(void)
{
	if (tap_failed)
		return T_EXIT_FAIL;
	return tap_skipped ? T_EXIT_SKIP : T_EXIT_PASS;
}
