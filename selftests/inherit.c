// SPDX-License-Identifier: GPL-2.0
/*
 * A ring that stays as its task forks, ends, or executes another program; also one
 * that no other task may use.
 */
#include <sys/epoll.h>

#include "share.h"

FIXTURE_VARIANT_ADD(share, plain) { .setup = 0 };
FIXTURE_VARIANT_ADD(share, coop) { .setup = RING_COOP };
FIXTURE_VARIANT_ADD(share, defer) { .setup = RING_DEFER };

/* A child that only inherits the ring and exits changes nothing. */
TEST_F(share, contract_08_child_exits)
{
	int status;
	pid_t pid;

	OPEN_RING();
	ASSERT_EQ(0, send_part(&self->ring, self->net.tx, self->data, DATA_LEN,
			       0, 0));
	pid = start_child();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(0);
	ASSERT_EQ(0, wait_exit(pid, &status));
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_QUIET(&self->ring);
	ASSERT_RECEIVED(&self->net, self->data, DATA_LEN);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

/* The child of the process that made the ring, which has gone or soon will be. */
static int go_on_without_parent(FIXTURE_DATA(share) *self, unsigned int setup,
				pid_t parent)
{
	while (getppid() == parent)
		sleep_ms(1);
	if (setup & IORING_SETUP_SINGLE_ISSUER)
		return ring_wait(&self->ring, 0, 0) != -EEXIST;
	return flush_slots(&self->ring, 1, 1, 0) != 1 ||
	       get_notifs(&self->ring, 0, 2, 0) ||
	       send_part(&self->ring, self->net.tx, self->data, 1000, 0,
			 IORING_RECVSEND_NOTIF_FLUSH) ||
	       get_notifs(&self->ring, 0, 1, 1);
}

/* Its parent exits, the child goes on: or closes the ring if only that is left. */
TEST_F(share, contract_08_parent_exited_child_goes_on)
{
	const bool issuer_only = variant->setup & IORING_SETUP_SINGLE_ISSUER;
	int said[2], status;
	pid_t pid, parent;
	char c;

	ASSERT_EQ(0, module_unused());
	ASSERT_EQ(0, pipe(said));
	parent = start_child();
	ASSERT_LE(0, parent);
	if (!parent) {
		if (make_ring(self, variant->setup))
			_exit(1);
		parent = getpid();
		pid = start_child();
		if (pid)
			_exit(pid < 0);
		c = go_on_without_parent(self, variant->setup, parent) ? 'e' : 'g';
		_exit(write(said[1], &c, 1) != 1);
	}
	close(said[1]);
	ASSERT_EQ(0, wait_exit(parent, &status));
	ASSERT_EQ(0, status);
	ASSERT_RECEIVED(&self->net, self->data, DATA_LEN);
	if (!issuer_only)
		ASSERT_RECEIVED(&self->net, self->data, 1000);
	ASSERT_EQ(1, read(said[0], &c, 1));
	ASSERT_EQ('g', c);
	ASSERT_EQ(0, module_unused());
}

/* The first to use a ring that was made disabled is the one who may. */
static void *thread_that_enables(void *arg)
{
	struct thread *t = arg;

	t->ret = ring_register(t->ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0) ?:
		 register_slots(t->ring, NR_SLOTS);
	return t->ret ? NULL : thread_that_sends(t);
}

/*
 * The thread that used the ring exits. If no other may, nobody completes its
 * notifiers any more: closing the ring does.
 */
TEST_F(share, contract_08_submitter_thread_exited)
{
	struct thread t;

	ASSERT_EQ(0, module_unused());
	ASSERT_EQ(0, ring_init_params(&self->ring,
				      variant->setup | IORING_SETUP_R_DISABLED,
				      &self->shared->params));
	t = (struct thread){
		.ring = &self->ring, .fd = self->net.tx, .data = self->data,
		.slot = 1, .stop = -1,
	};
	ASSERT_EQ(0, pthread_create(&t.id, NULL, thread_that_enables, &t));
	JOIN_THREAD(&t);
	ASSERT_RECEIVED(&self->net, self->data + PART_LEN, PART_LEN);
	if (variant->setup & IORING_SETUP_SINGLE_ISSUER)
		ASSERT_EQ(-EEXIST, ring_wait(&self->ring, 0, 0));
	if (!(variant->setup & IORING_SETUP_SINGLE_ISSUER))
		ASSERT_NOTIF(&self->ring, TAG(1), 0);
	ring_exit(&self->ring);
	self->ring.ring_fd = -1;
	ASSERT_EQ(0, module_unused());
}

/* What a program needs to go on with the ring of the one that executed it. */
struct inherited {
	struct io_uring_params params;
	int ring_fd, tx, ready;
};

/* The new program: the notifications of the old one come to it. */
static int go_on(int fd)
{
	static const char zeroes[1000];
	struct inherited in;
	struct io_uring ring;

	if (read(fd, &in, sizeof(in)) != sizeof(in) ||
	    ring_open(&ring, in.ring_fd, &in.params))
		return 1;
	take_over(&ring);
	if (write(in.ready, "x", 1) != 1)
		return 2;
	if (flush_slots(&ring, 1, 1, 0) != 1)
		return 3;
	if (get_notifs(&ring, 0, 2, 0))
		return 4;
	return send_part(&ring, in.tx, zeroes, sizeof(zeroes), 0,
			 IORING_RECVSEND_NOTIF_FLUSH) ||
	       get_notifs(&ring, 0, 1, 1) ? 5 : 0;
}

TEST_F(share, contract_08_ring_kept_through_exec)
{
	int pass[2], ready[2], status;
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(pass));
	ASSERT_EQ(0, pipe(ready));
	pid = start_child();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct inherited in = { .tx = self->net.tx, .ready = ready[1] };
		char number[16];

		if (make_ring(self, variant->setup))
			_exit(11);
		in.params = self->shared->params;
		in.ring_fd = self->ring.ring_fd;
		fcntl(in.ring_fd, F_SETFD, 0);
		if (write(pass[1], &in, sizeof(in)) != sizeof(in))
			_exit(12);
		snprintf(number, sizeof(number), "%d", pass[0]);
		execl("/proc/self/exe", "share", "--go-on", number, NULL);
		_exit(13);
	}
	close(ready[1]);
	ASSERT_EQ(1, read(ready[0], &c, 1));
	ASSERT_RECEIVED(&self->net, self->data, DATA_LEN);
	ASSERT_EQ(0, drain_socket(self->net.rx, 1000));
	ASSERT_EQ(0, wait_exit(pid, &status));
	ASSERT_EQ(0, status);
}

/* The new program: waits for the pipe, and is not woken up for anything else. */
static int wait_undisturbed(int fd)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = epoll_create1(0);

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) ||
	    write(STDIN_FILENO, "x", 1) != 1)
		return 1;
	return epoll_wait(epoll, &event, 1, LOST_MS) == 1 ? 0 : errno;
}

/*
 * The notifier goes by the task that attached to it first: not once that runs a
 * program that has nothing to do with the ring.
 */
TEST_F(share, contract_08_new_program_is_left_alone)
{
	int go[2], ready[2], status;
	pid_t pid;
	char c;

	if (variant->setup & IORING_SETUP_SINGLE_ISSUER)
		SKIP(return, "no other task may use this ring");
	OPEN_RING();
	ASSERT_EQ(0, pipe(go));
	ASSERT_EQ(0, pipe(ready));
	pid = start_child();
	ASSERT_LE(0, pid);
	if (!pid) {
		char number[16];

		if (send_part(&self->ring, self->net.tx, self->data, DATA_LEN, 0,
			      IORING_RECVSEND_NOTIF_FLUSH))
			_exit(11);
		snprintf(number, sizeof(number), "%d", go[0]);
		dup2(ready[1], STDIN_FILENO);
		execl("/proc/self/exe", "share", "--wait", number, NULL);
		_exit(12);
	}
	ASSERT_EQ(1, read(ready[0], &c, 1));
	ASSERT_RECEIVED(&self->net, self->data, DATA_LEN);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_EQ(1, write(go[1], "x", 1));
	ASSERT_EQ(0, wait_exit(pid, &status));
	ASSERT_EQ(0, status)
		TH_LOG("%s", strerror(WEXITSTATUS(status)));
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--wait"))
		return wait_undisturbed(atoi(argv[2]));
	if (argc == 3 && !strcmp(argv[1], "--go-on"))
		return go_on(atoi(argv[2]));
	if (argc == 2 && !strcmp(argv[1], "--names"))
		return print_test_names();
	return test_harness_run(argc, argv);
}
