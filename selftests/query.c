// SPDX-License-Identifier: GPL-2.0
/*
 * Asking whether there are slots, where the module isn't loaded: that loads
 * nothing for a task that may not make a ring, and tries once for others. For a
 * machine without the module, see without_module() in run.sh.
 */
#include <linux/io_uring/query.h>
#include <sys/stat.h>

#include "fixture.h"

#define LOADER		"/proc/sys/kernel/modprobe"
#define DISABLED	"/proc/sys/kernel/io_uring_disabled"
#define MODULE_DIR	"/sys/module/io_uring_notif"
#define NOBODY		65534
/* a chain of 1,000 is refused, after all of it was answered */
#define MAX_CHAIN	1000

FIXTURE(query)
{
	char script[64];	/* the program that loads modules, */
	char calls[64];		/* and where it says that it ran */
	char loader[256];
	int disabled;
};

static int write_to(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	int ret;

	if (!file)
		return -errno;
	ret = fputs(text, file) < 0 ? -EIO : 0;
	return fclose(file) ? -errno : ret;
}

static int set_disabled(int value)
{
	char text[16];

	snprintf(text, sizeof(text), "%d\n", value);
	return write_to(DISABLED, text);
}

/* The kernel runs what @path names, instead of modprobe. */
static int set_loader(const char *path)
{
	return write_to(LOADER, path);
}

static int read_loader(char *path, size_t size)
{
	FILE *file = fopen(LOADER, "r");

	if (!file)
		return -errno;
	if (!fgets(path, size, file))
		path[0] = '\0';
	fclose(file);
	return 0;
}

static int write_script(const char *script, const char *calls)
{
	char text[256];
	int ret;

	snprintf(text, sizeof(text), "#!/bin/sh\necho \"$*\" >>%s\nexit 1\n",
		 calls);
	ret = write_to(script, text);
	return ret ?: chmod(script, 0755) ? -errno : 0;
}

/* How often the program ran for the module; others may want other modules. */
static unsigned int nr_calls(const char *calls)
{
	FILE *file = fopen(calls, "r");
	unsigned int nr = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		nr += strstr(line, "notif") ? 1 : 0;
	if (file)
		fclose(file);
	return nr;
}

FIXTURE_SETUP(query)
{
	if (!access(MODULE_DIR, F_OK))
		SKIP(return, "the module is there: loaded, or built in");
	self->disabled = number_in(DISABLED);
	ASSERT_LE(0, self->disabled);
	ASSERT_EQ(0, read_loader(self->loader, sizeof(self->loader)));
	snprintf(self->script, sizeof(self->script), "/tmp/notif-loader-%d",
		 getpid());
	snprintf(self->calls, sizeof(self->calls), "/tmp/notif-calls-%d",
		 getpid());
	ASSERT_EQ(0, write_script(self->script, self->calls));
	ASSERT_EQ(0, set_loader(self->script));
	/* it does run: for a family of sockets that this kernel doesn't have */
	close(socket(AF_X25, SOCK_SEQPACKET, 0));
	EXPECT_EQ(0, access(self->calls, F_OK));
}

FIXTURE_TEARDOWN(query)
{
	EXPECT_EQ(0, set_loader(self->loader));
	EXPECT_EQ(0, set_disabled(self->disabled));
	unlink(self->script);
	unlink(self->calls);
}

/*
 * Ask @nr times with one system call; fd -1: without a ring. 0 if the answer was
 * always that there are no slots, or its number, beginning with 1.
 */
static int ask(int fd, unsigned int nr)
{
	struct io_uring_query_notif notif[MAX_CHAIN] = {};
	struct io_uring_query_hdr entries[MAX_CHAIN] = {};
	unsigned int i;
	int ret;

	for (i = 0; i < nr; i++) {
		entries[i].query_data = (unsigned long)&notif[i];
		entries[i].query_op = IO_URING_QUERY_NOTIF;
		entries[i].size = sizeof(notif[i]);
		if (i + 1 < nr)
			entries[i].next_entry = (unsigned long)&entries[i + 1];
	}
	ret = syscall(__NR_io_uring_register, fd, IORING_REGISTER_QUERY, entries,
		      0);
	if (ret && !(nr == MAX_CHAIN && errno == ERANGE))
		return -errno;
	for (i = 0; i < nr; i++)
		if (entries[i].result != -EOPNOTSUPP)
			return i + 1;
	return 0;
}

/* As another user, in a child, who may not come back to be root. */
static int ask_as_nobody(unsigned int nr)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(setresuid(NOBODY, NOBODY, NOBODY) ? 1 : !!ask(-1, nr));
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -errno;
	return status;
}

TEST_F(query, contract_10_query_loads_no_module)
{
	ASSERT_EQ(0, set_disabled(2));
	ASSERT_EQ(0, ask_as_nobody(1));
	ASSERT_EQ(0, ask_as_nobody(MAX_CHAIN));
	ASSERT_EQ(0, nr_calls(self->calls));
	/* it is disabled for root too */
	ASSERT_EQ(0, ask(-1, 1));
	ASSERT_EQ(0, nr_calls(self->calls));
	/* and for everybody outside the group that may */
	ASSERT_EQ(0, set_disabled(1));
	ASSERT_EQ(0, ask_as_nobody(1));
	ASSERT_EQ(0, nr_calls(self->calls));
	ASSERT_NE(0, access(MODULE_DIR, F_OK));
}

/* Who may make a ring: at most once in a chain, with a ring and without. */
TEST_F(query, contract_10_query_loads_once)
{
	struct io_uring ring;
	unsigned int before;

	ASSERT_EQ(0, set_disabled(0));
	ASSERT_EQ(0, ask(-1, MAX_CHAIN));
	ASSERT_GE(1, nr_calls(self->calls));
	ASSERT_EQ(0, ring_init(&ring, 0));
	before = nr_calls(self->calls);
	ASSERT_EQ(0, ask(ring.ring_fd, MAX_CHAIN));
	ASSERT_GE(before + 1, nr_calls(self->calls));
	ring_exit(&ring);
}

NOTIF_TEST_MAIN
