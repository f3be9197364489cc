// SPDX-License-Identifier: GPL-2.0
/*
 * Threads and processes that attach requests to a ring and go: whoever is left
 * gets their notifications, and goes on with the ring.
 */
#include "share.h"

#define NR_THREADS	NR_SLOTS

FIXTURE_VARIANT_ADD(share, plain) { .setup = 0 };
FIXTURE_VARIANT_ADD(share, sqpoll) { .setup = IORING_SETUP_SQPOLL };

TEST_F(share, contract_08_threads_attached_and_exited)
{
	struct thread t[NR_THREADS];
	unsigned int i;

	OPEN_RING();
	for (i = 0; i < NR_THREADS; i++) {
		START_THREAD(&t[i], i, -1);
		JOIN_THREAD(&t[i]);
	}
	lose_pages(self->data, DATA_LEN);
	ASSERT_FLUSH(&self->ring, 0, NR_SLOTS);
	ASSERT_QUIET(&self->ring);
	self->data = malloc(DATA_LEN);
	fill_pattern(self->data, DATA_LEN, DATA_SEED);
	ASSERT_RECEIVED(&self->net, self->data, DATA_LEN);
	ASSERT_NOTIFS(&self->ring, 0, NR_SLOTS, 0);
	/* the ring is as good as new */
	ASSERT_EQ(0, send_part(&self->ring, self->net.tx, self->data, 1000, 0,
			       IORING_RECVSEND_NOTIF_FLUSH));
	ASSERT_RECEIVED(&self->net, self->data, 1000);
	ASSERT_NOTIF(&self->ring, TAG(0), 1);
}

/* The network lets go while the threads sleep in the kernel, and as they exit. */
TEST_F(share, contract_08_threads_exit_as_the_network_lets_go)
{
	struct thread t[NR_THREADS];
	int stop[NR_THREADS][2];
	unsigned int i;
	char c;

	OPEN_RING();
	for (i = 0; i < NR_THREADS; i++) {
		ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, stop[i]));
		START_THREAD(&t[i], i, stop[i][1]);
		ASSERT_EQ(1, read(stop[i][0], &c, 1));
	}
	ASSERT_FLUSH(&self->ring, 0, NR_SLOTS);
	for (i = 0; i < NR_THREADS; i++) {
		/* one goes, and what it sent arrives as it goes */
		close(stop[i][0]);
		ASSERT_RECEIVED(&self->net, self->data + i * PART_LEN, PART_LEN);
	}
	ASSERT_NOTIFS(&self->ring, 0, NR_SLOTS, 0);
	for (i = 0; i < NR_THREADS; i++) {
		JOIN_THREAD(&t[i]);
		close(stop[i][1]);
	}
}

/* A child has the ring by fork(), attaches requests to two slots, and exits. */
TEST_F(share, contract_08_child_attached_and_exited)
{
	int status;
	pid_t pid;

	OPEN_RING();
	pid = start_child();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(send_part(&self->ring, self->net.tx, self->data,
				DATA_LEN / 2, 0, IORING_RECVSEND_NOTIF_FLUSH) ||
		      send_part(&self->ring, self->net.tx,
				self->data + DATA_LEN / 2, DATA_LEN / 2, 1, 0));
	ASSERT_EQ(0, wait_exit(pid, &status));
	ASSERT_EQ(0, status);
	ASSERT_QUIET(&self->ring);
	take_over(&self->ring);
	ASSERT_FLUSH(&self->ring, 1, 1);
	ASSERT_RECEIVED(&self->net, self->data, DATA_LEN);
	ASSERT_NOTIFS(&self->ring, 0, 2, 0);
}

/* io_uring lets nobody pass a ring through a socket. Returns -errno. */
static int send_fd(int socket, int fd)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = {};
	struct iovec iov = { "", 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return sendmsg(socket, &msg, 0) < 0 ? -errno : 0;
}

/* Take a file of another process. Returns it, or -errno. */
static int take_fd(pid_t pid, int fd)
{
	int pidfd = syscall(__NR_pidfd_open, pid, 0);
	int ret;

	if (pidfd < 0)
		return -errno;
	ret = syscall(__NR_pidfd_getfd, pidfd, fd, 0);
	ret = ret < 0 ? -errno : ret;
	close(pidfd);
	return ret;
}

/*
 * This process gets the ring of another one, uses it beside that one, and after it
 * has exited, and gets the notifications of both.
 */
TEST_F(share, contract_08_maker_of_the_ring_exited)
{
	int fds[2], status, fd;
	pid_t pid;
	char c;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	pid = start_child();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(fds[0]);
		if (make_ring(self, variant->setup) ||
		    send_fd(fds[1], self->ring.ring_fd) != -EINVAL ||
		    write(fds[1], "r", 1) != 1)
			_exit(1);
		_exit(read(fds[1], &c, 1) < 0);
	}
	close(fds[1]);
	ASSERT_EQ(1, read(fds[0], &c, 1));
	fd = take_fd(pid, self->shared->ring_fd);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_open(&self->ring, fd, &self->shared->params));
	take_over(&self->ring);
	if (!(variant->setup & IORING_SETUP_SQPOLL))
		ASSERT_EQ(0, send_part(&self->ring, self->net.tx, self->data,
				       1000, 2, IORING_RECVSEND_NOTIF_FLUSH));
	close(fds[0]);
	ASSERT_EQ(0, wait_exit(pid, &status));
	ASSERT_EQ(0, status);

	if (variant->setup & IORING_SETUP_SQPOLL) {
		/* nobody takes requests any more, but slots can go */
		ASSERT_EQ(-EOWNERDEAD, ring_wait(&self->ring, 0, 0));
		ASSERT_EQ(0, unregister_slots(&self->ring));
	} else {
		ASSERT_FLUSH(&self->ring, 0, NR_SLOTS);
		ASSERT_QUIET(&self->ring);
	}
	ASSERT_RECEIVED(&self->net, self->data, DATA_LEN);
	if (variant->setup & IORING_SETUP_SQPOLL) {
		unsigned int start = now_ms();

		while (*self->ring.cq.ktail - *self->ring.cq.khead < 2 &&
		       now_ms() - start < LOST_MS)
			sleep_ms(1);
		ASSERT_EQ(0, get_notifs(&self->ring, 0, 2, 0));
		return;
	}
	ASSERT_RECEIVED(&self->net, self->data, 1000);
	ASSERT_NOTIFS(&self->ring, 0, 3, 0);
	ASSERT_EQ(0, send_part(&self->ring, self->net.tx, self->data, 1000, 0,
			       IORING_RECVSEND_NOTIF_FLUSH));
	ASSERT_RECEIVED(&self->net, self->data, 1000);
	ASSERT_NOTIF(&self->ring, TAG(0), 1);
}

NOTIF_TEST_MAIN
