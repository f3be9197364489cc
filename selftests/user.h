/* SPDX-License-Identifier: GPL-2.0 */
/* Becoming somebody without rights, here or in namespaces of his own. */
#ifndef NOTIF_TEST_USER_H
#define NOTIF_TEST_USER_H

#include <grp.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#include "account.h"

static inline int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret = fd < 0 ? -errno : 0;

	if (!ret && write(fd, text, strlen(text)) < 0)
		ret = -errno;
	if (fd >= 0)
		close(fd);
	return ret;
}

/* A field of /proc/self/status that is a hexadecimal number. */
static inline unsigned long long status_hex(const char *field)
{
	FILE *file = fopen("/proc/self/status", "r");
	unsigned long long value = ~0ULL;
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, field, strlen(field)))
			value = strtoull(line + strlen(field), NULL, 16);
	if (file)
		fclose(file);
	return value;
}

/* A user without a capability, who may lock MAX_PAGES. */
static inline int become_nobody(void)
{
	const gid_t gid = SOME_USER + getpid() % 50000;

	if (setgroups(0, NULL) || setresgid(gid, gid, gid) || be_limited_user())
		return -errno;
	/* who has changed his user may not write to his files in /proc else */
	if (prctl(PR_SET_DUMPABLE, 1))
		return -errno;
	return status_hex("CapEff:") || status_hex("CapPrm:") ? -EPERM : 0;
}

static inline int loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	int ret = fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr) ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return ret;
}

/*
 * The user becomes root of a fresh user namespace, with a network in it that has
 * only a loopback device. -EOPNOTSUPP: this kernel has no user namespaces.
 */
static inline int enter_own_namespaces(void)
{
	const unsigned int uid = getuid();
	char map[32];
	int ret;

	if (access("/proc/self/ns/user", F_OK))
		return -EOPNOTSUPP;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET))
		return -errno;
	snprintf(map, sizeof(map), "0 %u 1", uid);
	ret = write_text("/proc/self/setgroups", "deny") ?:
	      write_text("/proc/self/uid_map", map) ?:
	      write_text("/proc/self/gid_map", map);
	if (ret)
		return ret;
	/* all there is, but only in here */
	return getuid() || !status_hex("CapEff:") ? -EPERM : loopback_up();
}

#endif
