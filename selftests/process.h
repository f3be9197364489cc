/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Processes that a test starts and sees end, how long that took, and what of the
 * module is left then.
 */
#ifndef NOTIF_TEST_PROCESS_H
#define NOTIF_TEST_PROCESS_H

#include <sys/wait.h>

#include "fixture.h"

#define MODULE	"io_uring_notif"

static inline void sleep_ms(unsigned int ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000L }, NULL);
}

static inline unsigned int now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* fork(); a child that a failed test leaves behind ends, whatever it executes. */
static inline pid_t start_child(void)
{
	pid_t pid = fork();

	if (!pid)
		alarm(60);
	return pid;
}

/* Wait for @pid; a process that does not end is killed and -ETIME. */
static inline int wait_exit(pid_t pid, int *status)
{
	unsigned int start = now_ms();

	while (now_ms() - start < LOST_MS) {
		if (waitpid(pid, status, WNOHANG) == pid)
			return 0;
		sleep_ms(1);
	}
	kill(pid, SIGKILL);
	return -ETIME;
}

/* Where kmemleak is, nothing is fast. */
static inline bool is_debug_kernel(void)
{
	return !access("/sys/kernel/debug/kmemleak", F_OK);
}

/* -errno, 0 once it has gone */
static inline int unload(void)
{
	return syscall(__NR_delete_module, MODULE, O_NONBLOCK) ? -errno : 0;
}

/* How many rings keep the module; -ENOENT if it is built in, or not there. */
static inline int module_refs(void)
{
	return number_in("/sys/module/" MODULE "/refcnt");
}

/* Wait until no ring keeps the module: rings end in their own time. */
static inline int module_unused(void)
{
	unsigned int start = now_ms();
	int refs;

	while ((refs = module_refs()) > 0 && now_ms() - start < LOST_MS)
		sleep_ms(10);
	return refs == -ENOENT ? 0 : refs;
}

#endif
