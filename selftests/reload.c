// SPDX-License-Identifier: GPL-2.0
/* The module comes and goes while rings without slots send, and while some have. */
#include <limits.h>

#include "process.h"
#include "slots.h"

#define ROUNDS	10

/* Where it is: in $KO, or where modprobe looks for it; "" if there's no file. */
static const char *module_file(void)
{
	static char path[PATH_MAX];
	const char *ko = getenv("KO");
	FILE *said;

	if (ko && *ko)
		return ko;
	if (*path)
		return path;
	said = popen("modprobe -D " MODULE " 2>/dev/null", "r");
	if (said) {
		if (fscanf(said, "insmod %4095s", path) != 1)
			*path = 0;
		pclose(said);
	}
	return path;
}

/*
 * Loaded from here, as modprobe would: to start a program beside tasks that
 * keep all CPUs busy takes the emulated debug kernel longer than all the rest.
 */
static int load(void)
{
	int fd = open(module_file(), O_RDONLY | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	ret = syscall(__NR_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);
	return ret;
}

/* unload(), with patience for rings of tests before that are still on their way. */
static int unload_soon(void)
{
	int ret, ms;

	for (ms = 0; (ret = unload()) == -EAGAIN && ms < LOST_MS; ms += 10)
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	return ret;
}

/* Mainline's SEND_ZC until @stop is closed: 0 when every one was answered twice. */
static int send_until(FIXTURE_DATA(slots) *self, unsigned int setup, int stop)
{
	struct io_uring_cqe cqe;
	struct io_uring ring;
	char c;
	int i;

	if (ring_init(&ring, setup))
		return 1;
	while (recv(stop, &c, 1, MSG_DONTWAIT) < 0) {
		io_uring_prep_sendzc(ring_sqe(&ring), self->net.tx, self->data,
				     1000, 0, 0);
		if (ring_submit(&ring) != 1)
			return 2;
		for (i = 0; i < 2; i++)
			if (ring_next(&ring, &cqe) || cqe.res != (i ? 0 : 1000))
				return 3;
		if (receive_and_compare(self->net.rx, self->data, 1000))
			return 4;
	}
	ring_exit(&ring);
	return 0;
}

TEST_F(slots, contract_11_load_and_unload_under_traffic)
{
	int stop[2], status, i;
	pid_t pid;

	ASSERT_EQ(0, unregister_slots(&self->ring));
	i = unload_soon();
	if (i == -ENOENT)
		SKIP(return, "the module is built in");
	ASSERT_EQ(0, i);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, stop));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(stop[0]);
		_exit(send_until(self, variant->setup, stop[1]));
	}
	close(stop[1]);
	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0, load());
		ASSERT_EQ(0, unload_soon());
	}
	ASSERT_EQ(0, load());
	close(stop[0]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));
}

TEST_F(slots, contract_09_slots_keep_the_module)
{
	int ret;

	ret = unload();
	if (ret == -ENOENT)
		SKIP(return, "the module is built in");
	ASSERT_EQ(-EAGAIN, ret);
	ASSERT_EQ(0, unregister_slots(&self->ring));
	ASSERT_EQ(0, unload_soon());
	/* registering loads it where modprobe finds it */
	if (getenv("KO"))
		ASSERT_EQ(0, load());
	ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));
	prep_slot_send(&self->ring, self->net.tx, self->data, 1000, 0,
		       IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 1000, 0);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

/* Also one of a ring that has no slots any more, or is closed. */
TEST_F(slots, contract_09_in_flight_keeps_the_module)
{
	const size_t len = 512 << 10;
	char *data = malloc(len);
	struct pair tcp;

	if (module_refs() == -ENOENT)
		SKIP(return, "the module is built in");
	OPEN_PAIR(&tcp, NET_LO, AF_INET, SOCK_STREAM, .unread = true);
	fill_pattern(data, len, 1);
	prep_slot_send(&self->ring, tcp.tx, data, len, 0, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), len, 0);
	ASSERT_EQ(-EAGAIN, unload());
	ASSERT_EQ(0, unregister_slots(&self->ring));
	ASSERT_QUIET(&self->ring);
	ASSERT_EQ(-EAGAIN, unload());
	ring_exit(&self->ring);
	ASSERT_EQ(-EAGAIN, unload());
	ASSERT_EQ(0, receive_and_compare(tcp.rx, data, len));
	ASSERT_EQ(0, unload_soon());
	ASSERT_EQ(-ENOENT, module_refs());

	ASSERT_EQ(0, load());
	ASSERT_EQ(0, module_refs());
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));
	ASSERT_EQ(1, module_refs());
	pair_close(&tcp);
	free(data);
}

/* Whoever looks at the totals doesn't keep the module, and may go on looking. */
TEST_F(slots, contract_09_totals_stay_open)
{
	int fd = open("/sys/kernel/debug/io_uring_notif/totals", O_RDONLY);
	char text[256];

	if (fd < 0)
		SKIP(return, "no debugfs here");
	ASSERT_EQ(0, unregister_slots(&self->ring));
	if (module_refs() != -ENOENT)
		ASSERT_EQ(0, unload_soon());
	EXPECT_LT(0, read(fd, text, sizeof(text)));
	EXPECT_EQ(0, close(fd));
	if (module_refs() == -ENOENT)
		load();
	ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));
}

/* Rings come and go, with slots flushed and not: in the end none keeps the module. */
TEST_F(slots, contract_09_nothing_stays_behind)
{
	const int nr = is_debug_kernel() ? 60 : 200;
	struct io_uring_cqe cqe;
	struct io_uring ring;
	int i, j;

	for (i = 0; i < nr; i++) {
		ASSERT_EQ(0, ring_init(&ring, variant->setup));
		ASSERT_EQ(0, register_slots(&ring, NR_SLOTS));
		for (j = 0; j < 3; j++)
			prep_slot_send(&ring, self->net.tx, self->data, 1000, j,
				       j ? 0 : IORING_RECVSEND_NOTIF_FLUSH);
		ASSERT_SUBMIT(&ring, 3);
		ASSERT_RECEIVED(&self->net, self->data, 1000);
		ASSERT_RECEIVED(&self->net, self->data, 1000);
		ASSERT_RECEIVED(&self->net, self->data, 1000);
		/* the CQEs may be left unread, the slots registered */
		for (j = 0; j < 4 && i % 2; j++)
			ASSERT_EQ(0, ring_next(&ring, &cqe));
		if (i % 4 == 1)
			ASSERT_EQ(0, unregister_slots(&ring));
		ring_exit(&ring);
	}
	ASSERT_EQ(0, unregister_slots(&self->ring));
	ASSERT_EQ(0, module_unused());
	if (module_refs() != -ENOENT) {
		ASSERT_EQ(0, unload_soon());
		ASSERT_EQ(0, load());
	}
	ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));
}

NOTIF_TEST_MAIN
