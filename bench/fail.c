// SPDX-License-Identifier: GPL-2.0
/* What a program of the benchmark says when it can't go on. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fail.h"

static char running[512];
static unsigned int limit;

void fail(const char *fmt, ...)
{
	va_list args;

	printf("error %s%s", running, *running ? ": " : "");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	exit(1);
}

static void lost(int sig)
{
	(void)sig;
	fail("what was sent is not answered after %u s", limit);
}

void begin(unsigned int seconds, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(running, sizeof(running), fmt, args);
	va_end(args);
	limit = seconds;
	signal(SIGALRM, lost);
	alarm(seconds);
}
