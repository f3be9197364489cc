/* SPDX-License-Identifier: GPL-2.0 */
/* A memory cgroup of a test's own: what is charged to it, and a limit. */
#ifndef NOTIF_TEST_CGROUP_H
#define NOTIF_TEST_CGROUP_H

#include <sys/mount.h>
#include <sys/stat.h>

#include "process.h"
#include "totals.h"

#define CGROUPS		"/sys/fs/cgroup"
/* CPUs charge so much ahead, and a test's process needs some itself */
#define CGROUP_SLACK	(1536L * 1024)

struct cgroup {
	char path[64];
	/* memory.max: to open it takes memory, of which there may be none left */
	int max;
};

static inline int cgroup_write_to(const char *folder, const char *name,
				  const char *text)
{
	char path[128];
	int fd, ret;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

/* The number behind @key in a file of the cgroup, or its first one. */
static inline long cgroup_number(const struct cgroup *cg, const char *name,
				 const char *key)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", cg->path, name);
	return field_of(path, key);
}

static inline long cgroup_charged(const struct cgroup *cg)
{
	return cgroup_number(cg, "memory.current", "");
}

static inline int cgroup_limit(const struct cgroup *cg, long bytes)
{
	char text[32] = "max";

	if (bytes)
		snprintf(text, sizeof(text), "%ld", bytes);
	return write(cg->max, text, strlen(text)) < 0 ? -errno : 0;
}

/* -EOPNOTSUPP: this kernel has no memory cgroups, or those of version 1. */
static inline int cgroup_make(struct cgroup *cg)
{
	struct stat st;
	char max[80];
	int ret;

	snprintf(cg->path, sizeof(cg->path), CGROUPS "/notif-%d", getpid());
	if (stat(CGROUPS, &st))
		return -EOPNOTSUPP;
	if (access(CGROUPS "/cgroup.controllers", F_OK) &&
	    mount("none", CGROUPS, "cgroup2", 0, NULL))
		return -EOPNOTSUPP;
	ret = cgroup_write_to(CGROUPS, "cgroup.subtree_control", "+memory");
	if (ret)
		return ret == -EINVAL ? -EOPNOTSUPP : ret;
	if (mkdir(cg->path, 0700))
		return -errno;
	snprintf(max, sizeof(max), "%s/memory.max", cg->path);
	cg->max = open(max, O_WRONLY | O_CLOEXEC);
	return cg->max < 0 ? -errno : 0;
}

/* What the process allocates from now on is charged to the cgroup. */
static inline int cgroup_join(const struct cgroup *cg)
{
	return cgroup_write_to(cg->path, "cgroup.procs", "0");
}

static inline int cgroup_leave(void)
{
	return cgroup_write_to(CGROUPS, "cgroup.procs", "0");
}

/* It goes once its last process, which may be on its way out, is gone. */
static inline int cgroup_remove(const struct cgroup *cg)
{
	unsigned int ms;

	close(cg->max);
	for (ms = 0; ms < LOST_MS && rmdir(cg->path); ms += 10) {
		if (errno != EBUSY)
			return -errno;
		sleep_ms(10);
	}
	return ms < LOST_MS ? 0 : -EBUSY;
}

/* Wait until no more than @bytes are charged: much is freed in its own time. */
static inline long cgroup_charged_soon(const struct cgroup *cg, long bytes)
{
	unsigned int ms;

	for (ms = 0; ms < LOST_MS && cgroup_charged(cg) > bytes; ms += 20)
		sleep_ms(20);
	return cgroup_charged(cg);
}

/* At least so much was charged since it was @_base, */
#define ASSERT_CHARGED(_cg, _base, _bytes)				\
	ASSERT_LE((_base) + (long)(_bytes), cgroup_charged(_cg))
/* and it is all back, but for what the process itself has. */
#define ASSERT_BACK(_cg, _base)						\
	ASSERT_GE((_base) + CGROUP_SLACK,				\
		  cgroup_charged_soon(_cg, (_base) + CGROUP_SLACK))

#endif
