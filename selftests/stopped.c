// SPDX-License-Identifier: GPL-2.0
/*
 * A task that is stopped while it sends, and goes on, as by a shell's Ctrl-Z and fg.
 * A stop interrupts a worker of io-wq that waits in a socket, and io-wq takes what
 * was sent by then for all: that's a request that failed.
 */
#include <poll.h>

#include "process.h"

#define HUGE_LEN	(4U << 20)
#define ALL_LEN		(HUGE_LEN + 2)

FIXTURE(stopped)
{
	struct pair net;
	char *data, *got;
	int go[2], told[2];	/* pipes from the child */
	pid_t child;
};

RING_VARIANTS_SQPOLL(stopped);

FIXTURE_SETUP(stopped)
{
	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_STREAM, .full = true);
	self->data = map_pages(ALL_LEN);
	self->got = map_pages(ALL_LEN);
	ASSERT_NE(NULL, self->data);
	ASSERT_NE(NULL, self->got);
	fill_pattern(self->data, ALL_LEN, 29);
	ASSERT_EQ(0, pipe(self->go));
	ASSERT_EQ(0, pipe(self->told));
}

FIXTURE_TEARDOWN(stopped)
{
	if (self->child > 0)
		kill(self->child, SIGKILL);
	pair_close(&self->net);
}

/*
 * A chain, the second of which doesn't fit into the socket, and waits there in the
 * worker that the first one was given to. Tells the results before it waits for the
 * notification.
 */
static int send_chain(unsigned int setup, int fd, const char *data, int go,
		      int told)
{
	static const unsigned int len[] = { 1, HUGE_LEN, 1 };
	struct io_uring_cqe cqe;
	struct io_uring ring;
	int res[3], i;

	if (ring_init(&ring, setup) || register_slots(&ring, 1))
		return 1;
	for (i = 0; i < 3; i++) {
		struct io_uring_sqe *sqe = prep_slot_send(&ring, fd, data, len[i], 0, 0);

		sqe->user_data = REQ(i);
		sqe->flags = (i ? 0 : IOSQE_ASYNC) | (i < 2 ? IOSQE_IO_LINK : 0);
		data += len[i];
	}
	if (ring_submit(&ring) != 3)
		return 2;
	for (i = 0; i < 3; i++) {
		if (ring_next(&ring, &cqe) || cqe.user_data != REQ(i))
			return 3;
		res[i] = cqe.res;
		if (!i && write(go, "", 1) != 1)
			return 4;
	}
	if (write(told, res, sizeof(res)) != sizeof(res))
		return 5;
	if (flush_slots(&ring, 0, 1, 0) != 1)
		return 6;
	if (ring_next(&ring, &cqe) || cqe.user_data != TAG(0) ||
	    cqe.flags != notif_flags(0))
		return 7;
	return ring_next_ms(&ring, &cqe, QUIET_MS) == -ETIME ? 0 : 8;
}

/* Receive until it is told how much was sent, and all of that is here. */
static int receive_chain(int fd, int told, char *to, size_t *received, int *res)
{
	struct pollfd pfds[] = {
		{ .fd = fd, .events = POLLIN }, { .fd = told, .events = POLLIN },
	};
	size_t done = 0, sent = SIZE_MAX;

	while (done < sent) {
		ssize_t n;

		if (poll(pfds, sent == SIZE_MAX ? 2 : 1, LOST_MS) <= 0)
			return -ETIME;
		if (sent == SIZE_MAX && pfds[1].revents) {
			if (read(told, res, 3 * sizeof(*res)) != 3 * sizeof(*res))
				return -EPIPE;
			sent = (res[0] > 0 ? res[0] : 0) +
			       (res[1] > 0 ? res[1] : 0) + (res[2] > 0 ? res[2] : 0);
		}
		n = recv(fd, to + done, ALL_LEN - done, MSG_DONTWAIT);
		if (n > 0)
			done += n;
	}
	/* nothing that no result tells of */
	sleep_ms(QUIET_MS);
	*received = done;
	return recv(fd, to, 1, MSG_DONTWAIT) < 0 ? 0 : -EMSGSIZE;
}

/* Whole, or failed: then what follows isn't sent, and all that was is notified. */
TEST_F(stopped, contract_04_short_as_its_task_is_stopped)
{
	int status, res[3];
	size_t received;
	char byte;

	self->child = start_child();
	if (!self->child)
		_exit(send_chain(variant->setup, self->net.tx, self->data,
				 self->go[1], self->told[1]));
	ASSERT_LT(0, self->child);
	close(self->told[1]);
	ASSERT_EQ(1, read(self->go[0], &byte, 1));
	/* until it waits in the socket; if that takes longer, the stop comes before it */
	sleep_ms(QUIET_MS);
	ASSERT_EQ(0, kill(self->child, SIGSTOP));
	ASSERT_EQ(self->child, waitpid(self->child, &status, WUNTRACED));
	ASSERT_TRUE(WIFSTOPPED(status));
	ASSERT_EQ(0, kill(self->child, SIGCONT));
	ASSERT_EQ(0, receive_chain(self->net.rx, self->told[0], self->got,
				   &received, res));
	ASSERT_EQ(0, memcmp(self->got, self->data, received));
	ASSERT_EQ(1, res[0]);
	if (res[1] == (int)HUGE_LEN) {
		ASSERT_EQ(1, res[2]);
	} else {
		ASSERT_TRUE(res[1] == -EINTR || (res[1] > 0 && res[1] < (int)HUGE_LEN));
		ASSERT_EQ(-ECANCELED, res[2]);
	}
	ASSERT_EQ(0, wait_exit(self->child, &status));
	self->child = 0;
	ASSERT_EQ(0, status);
}

NOTIF_TEST_MAIN
