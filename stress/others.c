// SPDX-License-Identifier: GPL-2.0
/* Those who only look on, or keep what others have closed. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>

#include "model.h"

#define MAX_HELD	24

/* One ring's fdinfo, which says nothing that can't be. */
static void read_fdinfo(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY);
	unsigned int slots = 0, lines = 0;
	char line[256];
	FILE *file;

	if (fd < 0)
		return;
	file = fdopen(fd, "r");
	while (file && fgets(line, sizeof(line), file)) {
		unsigned int slot, seq, attached, in_flight;
		unsigned long long tag;

		if (sscanf(line, "NotifSlots: %u", &slots) == 1)
			continue;
		if (!slots || !strstr(line, "attached:"))
			continue;
		lines++;
		if (sscanf(line, " %u: tag:0x%llx, seq:%u, attached:%u, in_flight:%u",
			   &slot, &tag, &seq, &attached, &in_flight) != 5 ||
		    slot >= slots || (attached && !in_flight))
			wrong("fdinfo says: %s", line);
	}
	if (lines != slots)
		wrong("fdinfo has %u slots, and says that it has %u", lines, slots);
	if (file)
		fclose(file);
}

static void read_all_fdinfo(pid_t pid)
{
	char path[64], link[64];
	struct dirent *entry;
	int infos;
	DIR *fds;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo", pid);
	infos = open(path, O_RDONLY | O_DIRECTORY);
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	fds = opendir(path);
	while (fds && infos >= 0 && (entry = readdir(fds))) {
		ssize_t n = readlinkat(dirfd(fds), entry->d_name, link,
				       sizeof(link) - 1);

		if (n < 0)
			continue;
		link[n] = 0;
		if (!strcmp(link, "anon_inode:[io_uring]"))
			read_fdinfo(infos, entry->d_name);
	}
	if (fds)
		closedir(fds);
	if (infos >= 0)
		close(infos);
}

static bool may_end_unloading(int ret)
{
	return !ret || ret == -EAGAIN || ret == -EBUSY || module_is_built_in(ret);
}

/* The module stays as long as a ring has slots, such as ours. */
static void try_to_unload(struct rnd *rnd)
{
	bool uses = rnd_one_in(rnd, 2);
	struct io_uring ring;
	int ret;

	if (ring_init(&ring, 0))
		wrong("there is no ring: %m");
	if (uses && register_slots(&ring, 3))
		uses = false;
	ret = module_unload();
	if (uses ? !ret : !may_end_unloading(ret))
		wrong("unloading the module %s ends with %d",
		      uses ? "with slots" : "without slots", ret);
	count->unloads++;
	ring_exit(&ring);
}

int looker_main(void)
{
	struct totals totals;
	struct rnd rnd;
	__u64 op;

	for (op = 0; phase() < PHASE_END; op++) {
		unsigned int who;

		rnd_seed(&rnd, common->seed, me, op);
		who = rnd_below(&rnd, MAX_PROCS);
		if (common->pids[who] > 0)
			read_all_fdinfo(common->pids[who]);
		if (rnd_one_in(&rnd, 2))
			try_to_unload(&rnd);
		if (rnd_one_in(&rnd, 16))
			totals_read(&totals);
		sleep_ms(rnd_between(&rnd, 300, 2500));
	}
	return 0;
}

/* A file that somebody sends, or the number of a ring that can't be sent. */
static int receive_file(void)
{
	char control[CMSG_SPACE(sizeof(int))];
	int numbers[2], fd = -1, process;
	struct iovec iov = { numbers, sizeof(numbers) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;

	if (recvmsg(from_senders, &msg, MSG_DONTWAIT) != sizeof(numbers))
		return -1;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg && cmsg->cmsg_type == SCM_RIGHTS) {
		memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
		return fd;
	}
	process = syscall(SYS_pidfd_open, numbers[0], 0);
	if (process < 0)
		return -1;
	/* the process may be gone, or have closed it */
	fd = syscall(SYS_pidfd_getfd, process, numbers[1], 0);
	close(process);
	return fd;
}

/* Keep them up to two seconds; from PHASE_QUIET on not at all. */
int holder_main(void)
{
	struct {
		int fd;
		__u64 until;
	} held[MAX_HELD] = {};
	struct rnd rnd;
	__u64 op = 0;

	while (phase() < PHASE_END) {
		bool calm = phase() >= PHASE_QUIET;
		unsigned int i;

		for (i = 0; i < MAX_HELD; i++) {
			rnd_seed(&rnd, common->seed, me, ++op);
			if (held[i].until && (calm || held[i].until < now_ms())) {
				close(held[i].fd);
				held[i].until = 0;
			}
			if (held[i].until)
				continue;
			held[i].fd = receive_file();
			if (held[i].fd >= 0)
				held[i].until = now_ms() + rnd_below(&rnd, 2000) + 1;
		}
		sleep_ms(POLL_MS);
	}
	return 0;
}
