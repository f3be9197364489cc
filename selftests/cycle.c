// SPDX-License-Identifier: GPL-2.0
/*
 * Rings that nobody has any more and that only the network keeps: the socket is
 * in the ring's own file table, or the task that submitted is stopped.
 */
#include "account.h"
#include "process.h"

#ifndef TCP_RTO_MAX_MS
#define TCP_RTO_MAX_MS	44
#endif

/* With kernel threads, timers and retransmissions, in a debug kernel. */
#define GONE_MS		30000
#define DATA_LEN	(512 << 10)

FIXTURE(cycle)
{
	struct pair net;	/* its receiver doesn't read by itself */
	char *data;
	int refs;		/* of the module, without this test's rings */
};

FIXTURE_VARIANT(cycle)
{
	unsigned int setup;
	bool fixed;		/* data is registered buffer 0 */
};

FIXTURE_VARIANT_ADD(cycle, plain) { .setup = 0 };
FIXTURE_VARIANT_ADD(cycle, plain_fixed) { .setup = 0, .fixed = true };
FIXTURE_VARIANT_ADD(cycle, defer) { .setup = RING_DEFER };
FIXTURE_VARIANT_ADD(cycle, sqpoll_fixed) {
	.setup = IORING_SETUP_SQPOLL, .fixed = true
};

FIXTURE_SETUP(cycle)
{
	if (module_refs() == -ENOENT)
		SKIP(return, "the module is built in, and counts no rings");
	/* those of a test before may be about to go, or never go */
	module_unused();
	self->refs = module_refs();
	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_STREAM, .unread = true);
	self->data = map_pages(DATA_LEN);
	ASSERT_NE(NULL, self->data);
	fill_pattern(self->data, DATA_LEN, 29);
}

FIXTURE_TEARDOWN(cycle)
{
	pair_close(&self->net);
}

/* The module is what it was before the test's ring: it has gone. */
#define ASSERT_RING_GONE() do {						\
	unsigned int __start = now_ms();				\
									\
	while (module_refs() != self->refs && now_ms() - __start < GONE_MS) \
		sleep_ms(10);						\
	ASSERT_EQ(self->refs, module_refs())				\
		TH_LOG("the ring is still there");			\
} while (0)

/* In a child: all of the data is in flight through a socket of the table. */
static int send_from_table(const FIXTURE_VARIANT(cycle) *variant, char *data,
			   const int *fds, unsigned int nr_fds)
{
	struct iovec iov = { data, DATA_LEN };
	struct io_uring_sqe *sqe;
	struct io_uring_cqe cqe;
	struct io_uring ring;
	unsigned int i;

	if (ring_init(&ring, variant->setup) || register_slots(&ring, 2) ||
	    ring_register(&ring, IORING_REGISTER_FILES, fds, nr_fds))
		return 1;
	if (variant->fixed && io_uring_register_buffers(&ring, &iov, 1))
		return 2;
	for (i = 0; i < nr_fds; i++)
		close(fds[i]);
	/* half in a slot that is flushed, half in one that is not */
	for (i = 0; i < 2; i++) {
		sqe = prep_slot_send(&ring, 0, data + i * DATA_LEN / 2,
				     DATA_LEN / 2, i,
				     (i ? 0 : IORING_RECVSEND_NOTIF_FLUSH) |
				     (variant->fixed ? IORING_RECVSEND_FIXED_BUF
						     : 0));
		sqe->flags = IOSQE_FIXED_FILE;
	}
	if (ring_submit(&ring) != 2)
		return 3;
	for (i = 0; i < 2; i++)
		if (ring_next(&ring, &cqe) || cqe.res != DATA_LEN / 2)
			return 4;
	return 0;
}

/* A process has its ring, and ends. @_fds are then nowhere but in its table. */
#define ASSERT_CHILD_EXITS(_fds, _nr)					\
	assert_child_exits(_metadata, self, variant, _fds, _nr)

static void assert_child_exits(struct __test_metadata *_metadata,
			       FIXTURE_DATA(cycle) *self,
			       const FIXTURE_VARIANT(cycle) *variant,
			       const int *fds, unsigned int nr_fds)
{
	int status;
	pid_t pid = start_child();

	ASSERT_LE(0, pid);
	if (!pid) {
		/* the other end is not the child's, unless it is in the table */
		if (nr_fds == 1)
			close(self->net.rx);
		_exit(send_from_table(variant, self->data, fds, nr_fds));
	}
	close(self->net.tx);
	self->net.tx = -1;
	if (nr_fds == 2) {
		close(self->net.rx);
		self->net.rx = -1;
	}
	ASSERT_EQ(0, wait_exit(pid, &status));
	ASSERT_EQ(0, status);
}

/* Both ends of the connection, so that nobody is there who could close one. */
TEST_F(cycle, contract_08_ring_in_its_own_file_table)
{
	const int fds[] = { self->net.tx, self->net.rx };

	ASSERT_CHILD_EXITS(fds, 2);
	ASSERT_RING_GONE();
}

/* The peer is another process, which goes without having read. */
TEST_F(cycle, contract_08_peer_of_a_file_table_exits_later)
{
	const int fds[] = { self->net.tx };

	ASSERT_CHILD_EXITS(fds, 1);
	sleep_ms(200);
	/* a notifier in flight keeps the module */
	ASSERT_LT(self->refs, module_refs());
	close(self->net.rx);
	self->net.rx = -1;
	ASSERT_RING_GONE();
}

/* And reads: every byte comes, from pages that are nobody's any more. */
TEST_F(cycle, contract_08_peer_of_a_file_table_reads_later)
{
	const int fds[] = { self->net.tx };

	ASSERT_CHILD_EXITS(fds, 1);
	ASSERT_RECEIVED(&self->net, self->data, DATA_LEN);
	ASSERT_RING_GONE();
}

/*
 * The peer lives, and never reads. A socket that nobody has any more gives up
 * by itself, and sooner if it doesn't double its timer for long.
 */
TEST_F(cycle, contract_08_orphaned_in_its_own_file_table)
{
	const int fds[] = { self->net.tx };

	if (setsockopt_int(self->net.tx, IPPROTO_TCP, TCP_RTO_MAX_MS, 1000))
		SKIP(return, "no TCP_RTO_MAX_MS in this kernel");
	ASSERT_CHILD_EXITS(fds, 1);
	ASSERT_RING_GONE();
}

#define STOPPED_LEN	(256 << 10)
#define STOPPED_PAGES	(STOPPED_LEN / page_size())

/* Two processes that share a ring, and the ways to tell them to go on. */
struct stopped {
	pid_t submitter;
	int from_it[2];		/* what the submitter says */
	int to_it[2];
	int holder[2];		/* the other one ends when this is closed, */
	int holder_gone[2];	/* and then closes this */
};

static int say(int fd)
{
	return write(fd, "x", 1) == 1 ? 0 : -EIO;
}

static int hear(int fd)
{
	char c;

	return read(fd, &c, 1) == 1 ? 0 : -EIO;
}

/* It has the ring too, as it was forked, and does nothing with it. */
static void hold_ring(struct stopped *s)
{
	char c;

	close(s->holder[1]);
	close(s->from_it[1]);
	read(s->holder[0], &c, 1);
	_exit(0);
}

/*
 * In a child: make a plain ring, send, and close the ring, which another process
 * then has alone. This one has submitted, and it stays.
 */
static int submit_and_close(struct stopped *s, int fd, char *data)
{
	struct io_uring_cqe cqe;
	struct io_uring ring;
	pid_t pid;

	if (ring_init(&ring, 0) || register_slots(&ring, 1))
		return 1;
	pid = start_child();
	if (pid < 0)
		return 2;
	if (!pid)
		hold_ring(s);
	close(s->holder[0]);
	close(s->holder[1]);
	close(s->holder_gone[1]);
	if (say(s->from_it[1]) || hear(s->to_it[0]))
		return 3;
	prep_slot_send(&ring, fd, data, STOPPED_LEN, 0,
		       IORING_RECVSEND_NOTIF_FLUSH);
	if (ring_submit(&ring) != 1 || ring_next(&ring, &cqe) ||
	    cqe.res != STOPPED_LEN)
		return 4;
	ring_exit(&ring);
	if (say(s->from_it[1]))
		return 5;
	for (;;)
		pause();
}

/* Who submitted is stopped before the network lets go, and as the ring goes. */
static void stopped_task(struct __test_metadata *_metadata,
			 FIXTURE_DATA(cycle) *self, bool read_first)
{
	char *page = map_pages(4096);
	struct io_uring probe;
	struct stopped s;
	int status;
	long base;
	unsigned int ms;
	char c;

	ASSERT_EQ(0, be_limited_user());
	ASSERT_EQ(0, ring_init(&probe, 0));
	ASSERT_EQ(0, pipe(s.from_it));
	ASSERT_EQ(0, pipe(s.to_it));
	ASSERT_EQ(0, pipe(s.holder));
	ASSERT_EQ(0, pipe(s.holder_gone));
	s.submitter = start_child();
	ASSERT_LE(0, s.submitter);
	if (!s.submitter)
		_exit(submit_and_close(&s, self->net.tx, self->data));
	close(s.from_it[1]);
	close(s.holder[0]);
	close(s.holder_gone[1]);

	/* with the ring, and before it has sent */
	ASSERT_EQ(0, hear(s.from_it[0]));
	base = locked_pages(&probe, page);
	ASSERT_EQ(0, say(s.to_it[1]));
	ASSERT_EQ(0, hear(s.from_it[0]));
	ASSERT_EQ(base + STOPPED_PAGES, locked_pages(&probe, page));
	ASSERT_EQ(0, kill(s.submitter, SIGSTOP));
	ASSERT_EQ(s.submitter, waitpid(s.submitter, &status, WUNTRACED));
	ASSERT_TRUE(WIFSTOPPED(status));

	if (read_first)
		ASSERT_RECEIVED(&self->net, self->data, STOPPED_LEN);
	/* the last one that has the ring ends */
	close(s.holder[1]);
	ASSERT_EQ(0, read(s.holder_gone[0], &c, 1));
	if (!read_first) {
		/* what the network holds is not free */
		ASSERT_EQ(base + STOPPED_PAGES, locked_pages(&probe, page));
		ASSERT_RECEIVED(&self->net, self->data, STOPPED_LEN);
	}
	for (ms = 0; ms < LOST_MS && locked_pages(&probe, page) > base; ms += 10)
		sleep_ms(10);
	/* the ring's own pages may have gone as well */
	EXPECT_GE(base, locked_pages(&probe, page))
		TH_LOG("a stopped task keeps the memory locked");
	ASSERT_EQ(0, waitpid(s.submitter, &status, WNOHANG | WUNTRACED));

	ASSERT_EQ(0, kill(s.submitter, SIGKILL));
	ASSERT_EQ(0, wait_exit(s.submitter, &status));
	ring_exit(&probe);
	ASSERT_RING_GONE();
}

FIXTURE(stopped)
{
	FIXTURE_DATA(cycle) cycle;
};

FIXTURE_SETUP(stopped)
{
	self->cycle.refs = module_refs();
	if (self->cycle.refs > 0) {
		module_unused();
		self->cycle.refs = module_refs();
	}
	OPEN_PAIR(&self->cycle.net, NET_LO, AF_INET, SOCK_STREAM,
		  .unread = true);
	self->cycle.data = map_pages(DATA_LEN);
	ASSERT_NE(NULL, self->cycle.data);
	fill_pattern(self->cycle.data, DATA_LEN, 30);
}

FIXTURE_TEARDOWN(stopped)
{
	pair_close(&self->cycle.net);
}

TEST_F(stopped, contract_08_stopped_task)
{
	stopped_task(_metadata, &self->cycle, false);
}

TEST_F(stopped, contract_08_stopped_task_and_the_network_was_first)
{
	stopped_task(_metadata, &self->cycle, true);
}

NOTIF_TEST_MAIN
