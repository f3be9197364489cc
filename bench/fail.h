/* SPDX-License-Identifier: GPL-2.0 */
/* How programs of the benchmark end when something is wrong: one line, and status 1. */
#ifndef NOTIF_BENCH_FAIL_H
#define NOTIF_BENCH_FAIL_H

#include <linux/compiler.h>

void __noreturn __printf(1, 2) fail(const char *fmt, ...);

/* What runs now, which a failure is told of. After so many seconds it is one; 0: never. */
void __printf(2, 3) begin(unsigned int seconds, const char *fmt, ...);

#endif
