// SPDX-License-Identifier: GPL-2.0
/* What the kernel has in use, before and after. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz.h"

bool enter_namespace(const char *name)
{
	char path[64];
	bool there;
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY);
	there = fd >= 0 && !setns(fd, CLONE_NEWNET);
	close(fd);
	return there;
}

/* The number behind @name in a file of lines like that. */
static long long number_of(const char *path, const char *name)
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

/* What each CPU has counted for itself is added up. */
static void refresh_vmstat(void)
{
	int fd = open("/proc/sys/vm/stat_refresh", O_WRONLY);

	if (write(fd, "1", 1) < 0)
		errno = 0;
	close(fd);
}

void state_read(struct state *state)
{
	const char *totals = "/sys/kernel/debug/io_uring_notif/totals";

	refresh_vmstat();
	state->refs = number_of("/sys/module/" MODULE "/refcnt", "");
	state->completed = number_of(totals, "completed_inline:") +
			   number_of(totals, "completed_task_work:");
	state->begun = number_of(totals, "created:") + number_of(totals, "reused:");
	state->pins = number_of("/proc/vmstat", "nr_foll_pin_acquired ") -
		      number_of("/proc/vmstat", "nr_foll_pin_released ");
}

/* NULL: all is as it was at @before. */
const char *state_differs(const struct state *before)
{
	static char text[160];
	struct state now;

	state_read(&now);
	if (now.refs != before->refs)
		snprintf(text, sizeof(text), "the module has %d references, it had %d",
			 now.refs, before->refs);
	else if (now.begun - before->begun != now.completed - before->completed)
		snprintf(text, sizeof(text),
			 "%lld notifiers were used, %lld have completed",
			 now.begun - before->begun,
			 now.completed - before->completed);
	else if (now.pins != before->pins)
		snprintf(text, sizeof(text), "%lld pages are pinned, there were %lld",
			 now.pins, before->pins);
	else
		return NULL;
	return text;
}

/* All that the limit allows, but for what the ring itself takes. */
static int lock_all(unsigned int worker)
{
	struct io_uring_params p = { 0 };
	uid_t uid = LIMITED_UID + worker;
	struct rlimit limit = { LIMIT_BYTES, LIMIT_BYTES };
	struct iovec iov = { .iov_len = LIMIT_BYTES - (16 << 10) };
	int fd;

	fd = setrlimit(RLIMIT_MEMLOCK, &limit) || setgroups(0, NULL) ||
	     setresgid(uid, uid, uid) || setresuid(uid, uid, uid) ? -1 :
	     (int)syscall(__NR_io_uring_setup, 1, &p);
	if (fd < 0)
		return errno;
	iov.iov_base = mmap(NULL, iov.iov_len, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return syscall(__NR_io_uring_register, fd, IORING_REGISTER_BUFFERS, &iov,
		       1) ? errno : 0;
}

int limit_is_free(unsigned int worker)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid)
		_exit(lock_all(worker));
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -ECHILD;
	return -WEXITSTATUS(status);
}
