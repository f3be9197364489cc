// SPDX-License-Identifier: GPL-2.0
/*
 * A limit of memory for the victims of a keeper, in a memory cgroup of its own.
 * Who needs more is killed by the kernel in the middle of what needs it.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stress.h"

bool starving;

/* A file of this keeper's group, or without a name the group itself. */
static const char *path_of(const char *name)
{
	static char path[96];

	snprintf(path, sizeof(path), "/sys/fs/cgroup/stress-%u%s%s", me,
		 *name ? "/" : "", name);
	return path;
}

static bool put(const char *name, const char *text)
{
	int fd = open(path_of(name), O_WRONLY | O_CLOEXEC);
	bool done;

	if (fd < 0)
		return false;
	done = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return done;
}

bool cgroup_make(void)
{
	if (mkdir(path_of(""), 0755) && errno != EEXIST)
		return false;
	return !access(path_of("memory.max"), W_OK);
}

void cgroup_enter(void)
{
	if (!put("cgroup.procs", "0"))
		wrong("a process can't enter its memory cgroup: %m");
	starving = true;
}

void cgroup_squeeze(unsigned int more)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld",
		 number_of(path_of("memory.current"), "") + more);
	put("memory.max", text);
}

void cgroup_relax(void)
{
	put("memory.max", "max");
}

__u64 cgroup_kills(void)
{
	return number_of(path_of("memory.events"), "oom_kill ");
}

void cgroup_remove(void)
{
	rmdir(path_of(""));
}

void out_of_memory(int ret)
{
	if (starving && ret == -ENOMEM)
		raise(SIGKILL);
}
