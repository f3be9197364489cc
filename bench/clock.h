/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The clock of windows: instructions where the guest counts them, or nanoseconds.
 */
#ifndef NOTIF_BENCH_CLOCK_H
#define NOTIF_BENCH_CLOCK_H

#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "bench.h"

#define TICK		4000000	/* ns, CONFIG_HZ=250 */

static bool instructions;

static __maybe_unused __u64 nanoseconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static inline __u64 now(void)
{
	return instructions ? __rdtsc() : nanoseconds();
}

/*
 * Where instructions are counted, each window starts at the same time after a
 * tick, and after a microsecond: what TCP pays for its timers depends on the
 * time to go, and what it pays for a round-trip time on whether the clock has
 * moved on by n or n + 1 microseconds. The sleep takes no time, as the clock
 * of an idle guest goes on at once; the loop has two instructions.
 */
static __maybe_unused void settle(void)
{
	__u64 next = nanoseconds() / TICK * TICK + TICK + TICK / 8;
	struct timespec ts = {
		.tv_sec = next / 1000000000,
		.tv_nsec = next % 1000000000,
	};
	unsigned long left, loops;

	if (!instructions)
		return;
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
	left = 2000 - nanoseconds() % 1000;
	loops = left / 2;
	asm volatile("test $1, %1; jz 1f; nop\n"
		     "1: dec %0; jnz 1b"
		     : "+r" (loops) : "r" (left) : "cc");
}

/*
 * Send what has been printed. A serial line interrupts the program while it does,
 * so not in the next window.
 */
static __maybe_unused void print_out(void)
{
	fflush(stdout);
	tcdrain(STDOUT_FILENO);
}

static __maybe_unused int compare(const void *a, const void *b)
{
	__u64 x = *(const __u64 *)a, y = *(const __u64 *)b;

	return x < y ? -1 : x > y;
}

#endif
