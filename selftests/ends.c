// SPDX-License-Identifier: GPL-2.0
/*
 * Tasks that are killed, or execute another program, with slots that are not
 * flushed and data that the peer doesn't acknowledge: they are gone at once, and
 * their ring and what it keeps of the module go once the network lets go.
 */
#include <pthread.h>
#include <sys/wait.h>

#include "process.h"

#define HALF_LEN	(256 << 10)
#define DATA_LEN	(2 * HALF_LEN)

FIXTURE(ends)
{
	struct pair net;
	char *data;
	bool is_lossy;
};

FIXTURE_VARIANT(ends)
{
	unsigned int setup;
	bool lossy;	/* nothing arrives; else the peer doesn't read */
};

FIXTURE_VARIANT_ADD(ends, unread_plain) { .setup = 0 };
FIXTURE_VARIANT_ADD(ends, unread_sqpoll) { .setup = IORING_SETUP_SQPOLL };
FIXTURE_VARIANT_ADD(ends, lossy_plain) { .setup = 0, .lossy = true };
FIXTURE_VARIANT_ADD(ends, lossy_defer) { .setup = RING_DEFER, .lossy = true };

/* What the veth pair's sender sends is lost, or arrives again. */
static int set_lossy(bool lossy)
{
	return system(lossy ? "tc -n a qdisc replace dev va root netem loss 100%" :
		      "tc -n a qdisc del dev va root");
}

static int open_pair(struct pair *net, bool lossy)
{
	return pair_open(net, lossy ? NET_VETH : NET_LO, AF_INET, SOCK_STREAM,
			 (struct pair_opts){ .unread = true });
}

FIXTURE_SETUP(ends)
{
	int ret = open_pair(&self->net, variant->lossy);

	if (ret == -ENODEV)
		SKIP(return, "no veth link here, see net.sh");
	ASSERT_EQ(0, ret);
	self->data = map_pages(DATA_LEN);
	ASSERT_NE(NULL, self->data);
	fill_pattern(self->data, DATA_LEN, 9);
}

FIXTURE_TEARDOWN(ends)
{
	if (self->is_lossy)
		set_lossy(false);
	pair_close(&self->net);
}

/* From here on the peer acknowledges nothing, or no more than its window takes. */
#define STOP_PEER() do {						\
	if (variant->lossy) {						\
		if (set_lossy(true))					\
			SKIP(return, "no tc with netem here");		\
		self->is_lossy = true;					\
	}								\
} while (0)

/* The network lets go of all of the data. */
#define ASSERT_PEER_GETS_IT(_net) do {					\
	if (self->is_lossy) {						\
		ASSERT_EQ(0, set_lossy(false));				\
		self->is_lossy = false;					\
	}								\
	ASSERT_RECEIVED(_net, self->data, DATA_LEN);			\
} while (0)

enum how { SLOTS, MAINLINE };

/*
 * Half of the data in slot 0, flushed, and half in slot 1, not flushed; or as two
 * of mainline's requests. 0 when both are in flight.
 */
static int send_both(struct io_uring *ring, unsigned int setup, enum how how,
		     int fd, char *data)
{
	struct io_uring_cqe cqe;
	unsigned int i;

	if (ring_init(ring, setup) || (how == SLOTS && register_slots(ring, 2)))
		return 1;
	for (i = 0; i < 2; i++) {
		char *half = data + i * HALF_LEN;

		if (how == SLOTS)
			prep_slot_send(ring, fd, half, HALF_LEN, i,
				       i ? 0 : IORING_RECVSEND_NOTIF_FLUSH);
		else
			io_uring_prep_sendzc(ring_sqe(ring), fd, half, HALF_LEN,
					     MSG_WAITALL, 0);
	}
	if (ring_submit(ring) != 2)
		return 2;
	for (i = 0; i < 2; i++)
		if (ring_next(ring, &cqe) || cqe.res != HALF_LEN)
			return 3;
	return 0;
}

/* How many ms a process is there after it was killed with data in flight. */
#define ASSERT_KILLED(_net, _how)					\
	assert_killed(_metadata, self, variant, _net, _how)

static unsigned int assert_killed(struct __test_metadata *_metadata,
				  FIXTURE_DATA(ends) *self,
				  const FIXTURE_VARIANT(ends) *variant,
				  struct pair *net, enum how how)
{
	int ready[2], status;
	struct io_uring ring;
	unsigned int start;
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(ready));
	pid = start_child();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (send_both(&ring, variant->setup, how, net->tx, self->data) ||
		    write(ready[1], "r", 1) != 1)
			_exit(1);
		pause();
	}
	close(ready[1]);
	/* the socket goes with the process too */
	close(net->tx);
	net->tx = -1;
	ASSERT_EQ(1, read(ready[0], &c, 1));
	start = now_ms();
	kill(pid, SIGKILL);
	ASSERT_EQ(0, wait_exit(pid, &status));
	start = now_ms() - start;
	ASSERT_TRUE(WIFSIGNALED(status));
	close(ready[0]);
	return start;
}

/* What is "within a second", by the contract. */
static unsigned int second_ms(void)
{
	return is_debug_kernel() ? 10000 : 1000;
}

/*
 * A ring keeps the module as long as its data is in flight, and not longer. An
 * -ENOENT says that the module is built in.
 */
#define ASSERT_MODULE_IN_USE() do {					\
	if (module_refs() != -ENOENT) {					\
		ASSERT_LT(0, module_refs());				\
		ASSERT_EQ(-EAGAIN, unload());				\
	}								\
} while (0)
#define ASSERT_MODULE_UNUSED()	ASSERT_EQ(0, module_unused())

TEST_F(ends, contract_08_killed_is_gone_within_a_second)
{
	unsigned int slots, mainline = 0;
	struct pair other;

	ASSERT_MODULE_UNUSED();
	ASSERT_EQ(0, open_pair(&other, variant->lossy));
	STOP_PEER();
	slots = ASSERT_KILLED(&self->net, SLOTS);
	/* mainline's SQPOLL thread doesn't end before its notifications */
	if (!(variant->setup & IORING_SETUP_SQPOLL))
		mainline = ASSERT_KILLED(&other, MAINLINE);
	printf("# gone after: slots %u ms, mainline's SEND_ZC %u ms%s\n", slots,
	       mainline, mainline ? "" : " (not run with SQPOLL)");
	EXPECT_GT(second_ms(), slots);
	EXPECT_GT(second_ms(), mainline);

	ASSERT_MODULE_IN_USE();
	ASSERT_PEER_GETS_IT(&self->net);
	ASSERT_MODULE_UNUSED();
	pair_close(&other);
}

/* Run this program once more, to say through @fd that it runs. */
static int exec_hello(int fd)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", fd);
	execl("/proc/self/exe", "ends", "--hello", number, NULL);
	return 7;
}

/* What a thread needs to make the ring, and to execute. */
struct sender {
	struct io_uring ring;
	unsigned int setup;
	int fd, ready;
	char *data;
	bool sends;
};

static int say_ready(const struct sender *s)
{
	return write(s->ready, "r", 1) == 1 ? 0 : 5;
}

static void *thread_that_execs(void *arg)
{
	struct sender *s = arg;

	if (s->sends && send_both(&s->ring, s->setup, SLOTS, s->fd, s->data))
		_exit(4);
	_exit(say_ready(s) ?: exec_hello(s->ready));
}

/* In a child. */
static void exec_in_flight(struct sender *s, bool thread)
{
	pthread_t id;

	if (!s->sends || !thread) {
		if (send_both(&s->ring, s->setup, SLOTS, s->fd, s->data))
			_exit(1);
	}
	if (!thread)
		_exit(say_ready(s) ?: exec_hello(s->ready));
	if (pthread_create(&id, NULL, thread_that_execs, s))
		_exit(2);
	for (;;)
		pause();
}

#define ASSERT_EXECS(_thread, _sends)					\
	assert_execs(_metadata, self, variant, _thread, _sends)

static void assert_execs(struct __test_metadata *_metadata,
			 FIXTURE_DATA(ends) *self,
			 const FIXTURE_VARIANT(ends) *variant, bool thread,
			 bool sends)
{
	struct sender s = {
		.setup = variant->setup, .data = self->data, .sends = sends,
	};
	int ready[2], status;
	unsigned int start;
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(ready));
	s.fd = self->net.tx;
	s.ready = ready[1];
	pid = start_child();
	ASSERT_LE(0, pid);
	if (!pid)
		exec_in_flight(&s, thread);
	close(ready[1]);
	close(self->net.tx);
	self->net.tx = -1;
	ASSERT_EQ(1, read(ready[0], &c, 1));
	ASSERT_EQ('r', c);
	start = now_ms();
	ASSERT_EQ(1, read(ready[0], &c, 1));
	ASSERT_EQ('x', c);
	start = now_ms() - start;
	printf("# the new program runs after %u ms\n", start);
	EXPECT_GT(second_ms(), start);
	ASSERT_EQ(0, wait_exit(pid, &status));
	ASSERT_EQ(0, status);

	ASSERT_MODULE_IN_USE();
	ASSERT_PEER_GETS_IT(&self->net);
	ASSERT_MODULE_UNUSED();
}

TEST_F(ends, contract_08_execs_within_a_second)
{
	ASSERT_MODULE_UNUSED();
	STOP_PEER();
	ASSERT_EXECS(false, true);
}

/* From a thread that isn't the leader, with a ring of its own or of the leader's. */
TEST_F(ends, contract_08_thread_execs_within_a_second)
{
	ASSERT_MODULE_UNUSED();
	STOP_PEER();
	ASSERT_EXECS(true, variant->lossy);
}

/* Requests that wait for space in the socket, one in slot 0, one by io-wq. */
static int wait_for_space(unsigned int setup, int fd, char *data)
{
	struct io_uring ring;

	if (ring_init(&ring, setup) || register_slots(&ring, 2))
		return 1;
	prep_slot_send(&ring, fd, data, HALF_LEN, 0, IORING_RECVSEND_NOTIF_FLUSH);
	prep_slot_send(&ring, fd, data, HALF_LEN, 1, 0)->flags = IOSQE_ASYNC;
	return ring_submit(&ring) != 2;
}

/* What they are attached to has nothing in flight: the ring goes at once too. */
TEST_F(ends, contract_08_ends_with_requests_that_wait)
{
	const struct pair_opts full = { .full = true };
	int ready[2], status;
	unsigned int exec, ms;
	size_t filled;
	pid_t pid;
	char c;

	for (exec = 0; exec < 2; exec++) {
		ASSERT_MODULE_UNUSED();
		pair_close(&self->net);
		ASSERT_EQ(0, pair_open(&self->net, variant->lossy ? NET_VETH :
				       NET_LO, AF_INET, SOCK_STREAM, full));
		filled = fill_socket(self->net.tx);
		STOP_PEER();
		ASSERT_EQ(0, pipe(ready));
		pid = start_child();
		ASSERT_LE(0, pid);
		if (!pid) {
			if (wait_for_space(variant->setup, self->net.tx,
					   self->data) ||
			    write(ready[1], "r", 1) != 1)
				_exit(1);
			if (exec)
				_exit(exec_hello(ready[1]));
			pause();
		}
		close(ready[1]);
		ASSERT_EQ(1, read(ready[0], &c, 1));
		ms = now_ms();
		if (exec) {
			ASSERT_EQ(1, read(ready[0], &c, 1));
			ASSERT_EQ('x', c);
		} else {
			kill(pid, SIGKILL);
			ASSERT_EQ(0, wait_exit(pid, &status));
		}
		EXPECT_GT(second_ms(), now_ms() - ms);
		if (exec)
			ASSERT_EQ(0, wait_exit(pid, &status));
		ASSERT_EQ(exec, WIFEXITED(status));
		ASSERT_MODULE_UNUSED();
		if (self->is_lossy)
			ASSERT_EQ(0, set_lossy(false));
		self->is_lossy = false;
		ASSERT_EQ(0, drain_socket(self->net.rx, filled));
		close(ready[0]);
	}
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--hello"))
		return write(atoi(argv[2]), "x", 1) != 1;
	if (argc == 2 && !strcmp(argv[1], "--names"))
		return print_test_names();
	return test_harness_run(argc, argv);
}
