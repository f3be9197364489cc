// SPDX-License-Identifier: GPL-2.0
/* Nothing is kept: in whatever order sockets, mappings and processes end. */
#include "vsock.h"

#define REFS		"/sys/module/" VSOCK_MODULE "/refcnt"

FIXTURE(life) { int refs; };

FIXTURE_VARIANT(life) { int type; };
FIXTURE_VARIANT_ADD(life, stream) { .type = SOCK_STREAM };
FIXTURE_VARIANT_ADD(life, seqpacket) { .type = SOCK_SEQPACKET };

/* The tests before this one may have sockets that are still about to end. */
static int settled(int refs)
{
	unsigned int start = now_ms();

	while (number_in(REFS) != refs && now_ms() - start < LOST_MS)
		sleep_ms(10);
	return number_in(REFS);
}

FIXTURE_SETUP(life)
{
	int tx, rx;

	ASSERT_EQ(0, vsock_pair(variant->type, &tx, &rx));
	if (vsock_opt_in(rx) == -EOPNOTSUPP)
		SKIP(return, "this kernel has no CONFIG_VSOCK_MAP_RX");
	self->refs = number_in(REFS);
	close(tx);
	close(rx);
	if (self->refs < 0)
		SKIP(return, VSOCK_MODULE " is built in");
	ASSERT_EQ(0, settled(0));
}

FIXTURE_TEARDOWN(life)
{
}

/* Opted in, mapped, with pages in the mapping and others queued. */
struct user {
	int tx, rx;
	char *map, *data;
};

static void open_user(struct __test_metadata *_metadata, int type,
		      struct user *user)
{
	struct vsock_map_rx arg;

	user->data = map_pages(8 * PAGE);
	fill_pattern(user->data, 8 * PAGE, 3);
	ASSERT_EQ(0, vsock_pair(type, &user->tx, &user->rx));
	ASSERT_EQ(0, vsock_opt_in(user->rx));
	user->map = map_socket(user->rx, 16 * PAGE);
	ASSERT_NE(MAP_FAILED, (void *)user->map);
	ASSERT_EQ((ssize_t)(8 * PAGE), send(user->tx, user->data, 8 * PAGE, 0));
	ASSERT_EQ(0, wait_queued(user->rx, 8 * PAGE));
	ASSERT_EQ(0, map_rx(user->rx, user->map, 0, 0, &arg));
	ASSERT_EQ(8 * PAGE, arg.length);
	ASSERT_EQ((ssize_t)(8 * PAGE), send(user->tx, user->data, 8 * PAGE, 0));
	ASSERT_EQ(0, wait_queued(user->rx, 8 * PAGE));
}

/* Every order of three steps; what is mapped stays until it's unmapped. */
TEST_F(life, vsock_15_order_of_close)
{
	static const char *const orders[] = {
		"rtm", "rmt", "trm", "tmr", "mrt", "mtr",
	};
	unsigned int i, n;
	struct user user;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		open_user(_metadata, variant->type, &user);
		for (n = 0; n < 3; n++) {
			char step = orders[i][n];

			if (step == 'm') {
				ASSERT_EQ(0, memcmp(user.map + PAGE, user.data,
						    8 * PAGE));
				ASSERT_EQ(0, munmap(user.map, 16 * PAGE));
			} else {
				ASSERT_EQ(0, close(step == 'r' ? user.rx :
						   user.tx));
			}
		}
		ASSERT_EQ(0, settled(0))
			TH_LOG("order %s", orders[i]);
		munmap(user.data, 8 * PAGE);
	}
}

/* The process is killed, and has everything. */
TEST_F(life, vsock_15_killed)
{
	int pipes[2], status;
	pid_t child;
	char byte;

	ASSERT_EQ(0, pipe(pipes));
	child = start_child();
	ASSERT_LE(0, child);
	if (!child) {
		struct user user;

		open_user(_metadata, variant->type, &user);
		if (write(pipes[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	ASSERT_EQ(1, read(pipes[0], &byte, 1));
	ASSERT_LT(0, number_in(REFS));
	kill(child, SIGKILL);
	ASSERT_EQ(0, wait_exit(child, &status));
	ASSERT_EQ(0, settled(0));
}

static int remove_module(void)
{
	return syscall(__NR_delete_module, VSOCK_MODULE, O_NONBLOCK) ? -errno : 0;
}

/* As long as a socket has opted in, or is mapped. Then it goes, and comes again. */
TEST_F(life, vsock_15_rmmod_busy)
{
	struct user user;
	int i;

	for (i = 0; i < 2; i++) {
		open_user(_metadata, variant->type, &user);
		ASSERT_EQ(-EAGAIN, remove_module());
		ASSERT_EQ(0, close(user.tx));
		ASSERT_EQ(0, close(user.rx));
		ASSERT_EQ(-EAGAIN, remove_module());
		ASSERT_EQ(0, memcmp(user.map + PAGE, user.data, 8 * PAGE));
		ASSERT_EQ(0, munmap(user.map, 16 * PAGE));
		ASSERT_EQ(0, settled(0));
		ASSERT_EQ(0, remove_module());
		ASSERT_EQ(-ENOENT, number_in(REFS));
	}
}

/* Many sockets that opt in, map, receive and end. */
TEST_F(life, vsock_15_many)
{
	unsigned int i;

	for (i = 0; i < 100; i++) {
		struct user user;

		open_user(_metadata, variant->type, &user);
		if (i % 2)
			munmap(user.map, 16 * PAGE);
		close(user.tx);
		close(user.rx);
		if (!(i % 2))
			munmap(user.map, 16 * PAGE);
		munmap(user.data, 8 * PAGE);
	}
	ASSERT_EQ(0, settled(0));
}

NOTIF_TEST_MAIN
