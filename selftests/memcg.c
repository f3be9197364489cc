// SPDX-License-Identifier: GPL-2.0
/*
 * At the limit of a memory cgroup: whoever may not be killed gets the documented
 * error, whoever may is; nothing is lost, and all of it comes back. And what a task
 * that has ended keeps of its memory, while the network has its data.
 */
#include "cgroup.h"

#define MAX_SLOTS	32768
#define PART_LEN	65536
#define NR_PARTS	16
#define ROOM		(1024L * 1024)
/* of a process that has ended, to be seen when it is kept */
#define BALLAST		(48 * 1024L * 1024)
#define FLUSH		IORING_RECVSEND_NOTIF_FLUSH

FIXTURE(memcg)
{
	struct io_uring ring;
	struct cgroup cg;
	struct pair net;	/* its receiver doesn't read by itself */
	char *data;
};

RING_VARIANTS(memcg);

/* The sockets are not the cgroup's. */
FIXTURE_SETUP(memcg)
{
	int ret;

	self->ring.ring_fd = -1;
	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_STREAM, .unread = true);
	ret = cgroup_make(&self->cg);
	if (ret == -EOPNOTSUPP)
		SKIP(return, "the kernel has no memory cgroups");
	ASSERT_EQ(0, ret);
	self->data = map_pages(NR_PARTS * PART_LEN);
	ASSERT_NE(NULL, self->data);
	fill_pattern(self->data, NR_PARTS * PART_LEN, 47);
}

FIXTURE_TEARDOWN(memcg)
{
	/* what ends needs memory too */
	EXPECT_EQ(0, cgroup_limit(&self->cg, 0));
	EXPECT_EQ(0, cgroup_leave());
	if (self->ring.ring_fd >= 0) {
		EXPECT_TRUE(ring_empty(&self->ring))
			TH_LOG("a CQE that the test did not expect");
		ring_exit(&self->ring);
	}
	pair_close(&self->net);
	EXPECT_EQ(0, cgroup_remove(&self->cg));
}

/* The test's process is one that can't be killed, and needs no more memory. */
#define JOIN_UNKILLABLE() do {						\
	ASSERT_EQ(0, cgroup_write_to("/proc/self", "oom_score_adj", "-1000")); \
	ASSERT_EQ(0, cgroup_join(&self->cg));				\
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));		\
	ASSERT_EQ(0, register_slots(&self->ring, MAX_SLOTS));		\
	ASSERT_EQ(0, mlockall(MCL_CURRENT | MCL_FUTURE));		\
} while (0)

#define LIMIT_TO(_more)							\
	ASSERT_EQ(0, cgroup_limit(&self->cg, cgroup_charged(&self->cg) + (_more)))

/* A request that needs a notifier, and fails: with EBADF if it gets one. */
static int attach(struct io_uring *ring, unsigned int slot, unsigned int ioprio)
{
	struct io_uring_cqe cqe = {};

	prep_slot_send(ring, -1, NULL, 1, slot, ioprio);
	if (ring_submit(ring) != 1)
		return -EIO;
	return ring_next(ring, &cqe) ?: cqe.user_data == REQ(0) ? cqe.res : -EIO;
}

/* ENOMEM for a request that needs another notifier, not for one that doesn't. */
TEST_F(memcg, security_memory_max_refuses_notifiers)
{
	unsigned int round, nr, i, before = 1;
	int res;

	JOIN_UNKILLABLE();
	/* the caches of io_uring are full of what requests need */
	ASSERT_EQ(-EBADF, attach(&self->ring, 0, FLUSH));
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	LIMIT_TO(ROOM);
	for (round = 0; round < 2; round++) {
		for (nr = 0; nr < MAX_SLOTS; nr++) {
			res = attach(&self->ring, nr, 0);
			if (res != -EBADF)
				break;
		}
		ASSERT_EQ(-ENOMEM, res);
		/* what there is room for, and a small part of it at least */
		ASSERT_LT(512, nr);
		ASSERT_EQ(-EBADF, attach(&self->ring, nr - 1, 0));
		/* every one that there was ends, and none of those refused */
		for (i = 0; i < nr; i++) {
			prep_flush(&self->ring, i, 1, 0);
			ASSERT_SUBMIT(&self->ring, 1);
			ASSERT_CQE(&self->ring, FLUSH_REQ, 1, 0);
			ASSERT_NOTIF(&self->ring, TAG(i),
				     !i ? round + 1 : i < before);
		}
		before = nr;
		prep_flush(&self->ring, 0, MAX_SLOTS, 0);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, FLUSH_REQ, 0, 0);
	}
}

/* ENOMEM, nothing of it stays; when another ring's slots go, there's room again. */
TEST_F(memcg, security_memory_max_refuses_slots)
{
	struct io_uring rings[16];
	unsigned int nr, i;
	int ret = 0;

	JOIN_UNKILLABLE();
	for (i = 0; i < ARRAY_SIZE(rings); i++)
		ASSERT_EQ(0, ring_init(&rings[i], variant->setup));
	/* a first registration of each, as all that a ring has comes with it */
	for (i = 0; i < ARRAY_SIZE(rings); i++)
		ASSERT_EQ(-EINVAL, register_slots(&rings[i], MAX_SLOTS + 1));
	LIMIT_TO(4 * ROOM);
	for (nr = 0; nr < ARRAY_SIZE(rings) && !ret; nr++)
		ret = register_slots(&rings[nr], MAX_SLOTS);
	ASSERT_EQ(-ENOMEM, ret);
	nr--;
	ASSERT_LE(1, nr);
	ASSERT_EQ(-ENXIO, unregister_slots(&rings[nr]));
	ASSERT_EQ(0, unregister_slots(&rings[0]));
	ASSERT_EQ(0, register_slots(&rings[nr], MAX_SLOTS));
	ASSERT_EQ(0, cgroup_limit(&self->cg, 0));
	for (i = 1; i <= nr; i++)
		ASSERT_EQ(-EBADF, attach(&rings[i], i, FLUSH));
	for (i = 0; i < ARRAY_SIZE(rings); i++)
		ring_exit(&rings[i]);
}

/* What waits for room in the CQ and finds no memory is counted, and told. */
TEST_F(memcg, security_memory_max_drops_overflow_and_tells)
{
	unsigned int sent, taken = 0, dropped, told = 0;
	struct io_uring_cqe cqe = {};
	int ret;

	JOIN_UNKILLABLE();
	ASSERT_EQ(-EBADF, attach(&self->ring, 0, FLUSH));
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	LIMIT_TO(ROOM);
	for (sent = 0; !*self->ring.cq.koverflow; sent++) {
		ASSERT_GT(1U << 18, sent)
			TH_LOG("more than there is room for");
		prep_slot_send(&self->ring, -1, NULL, 1, 0, FLUSH);
		ASSERT_SUBMIT(&self->ring, 1);
	}
	dropped = *self->ring.cq.koverflow;
	ASSERT_GE(2, dropped);
	ASSERT_LT(512, sent);
	while (taken + dropped < 2 * sent || !told) {
		ret = ring_next(&self->ring, &cqe);
		if (ret == -EBADR) {
			told++;
			continue;
		}
		ASSERT_EQ(0, ret)
			TH_LOG("%u of %u CQEs, %u dropped", taken, 2 * sent, dropped);
		taken++;
	}
	ASSERT_EQ(2 * sent, taken + dropped);
	ASSERT_EQ(dropped, *self->ring.cq.koverflow);
	/* and the ring goes on */
	ASSERT_EQ(-EBADF, attach(&self->ring, 1, FLUSH));
	ASSERT_NOTIF(&self->ring, TAG(1), 0);
}

/* Send all parts, flushed or not by turns, and see that done. */
static int send_parts(struct io_uring *ring, int fd, char *data)
{
	struct io_uring_cqe cqe = {};
	unsigned int i;

	for (i = 0; i < NR_PARTS; i++) {
		prep_slot_send(ring, fd, data + i * PART_LEN, PART_LEN, i,
			       i % 2 ? FLUSH : 0);
		if (ring_submit(ring) != 1)
			return -EIO;
		/* some that were flushed have been taken by the peer */
		do {
			if (ring_next(ring, &cqe))
				return -ETIME;
		} while (cqe.flags & IORING_CQE_F_NOTIF);
		if (cqe.res != PART_LEN)
			return -EIO;
	}
	return 0;
}

/* In the cgroup, with memory of its own and data in flight; then it waits. */
static __noreturn void
child_main(FIXTURE_DATA(memcg) *self, unsigned int setup, int ready, bool eats)
{
	struct io_uring ring;
	char *ballast;

	if (cgroup_join(&self->cg) || ring_init(&ring, setup) ||
	    register_slots(&ring, MAX_SLOTS))
		_exit(1);
	ballast = map_pages(eats ? 4096 : BALLAST);
	if (!ballast)
		_exit(2);
	memset(ballast, 1, eats ? 4096 : BALLAST);
	if (send_parts(&ring, self->net.tx, self->data) ||
	    write(ready, "r", 1) != 1)
		_exit(3);
	while (eats)
		if (ring_init(&ring, setup) || register_slots(&ring, MAX_SLOTS))
			_exit(4);
	for (;;)
		pause();
}

#define START_CHILD(_pid, _eats) do {					\
	int __ready[2];							\
	char __c;							\
									\
	ASSERT_EQ(0, pipe(__ready));					\
	*(_pid) = start_child();					\
	ASSERT_LE(0, *(_pid));						\
	if (!*(_pid))							\
		child_main(self, variant->setup, __ready[1], _eats);	\
	close(__ready[1]);						\
	ASSERT_EQ(1, read(__ready[0], &__c, 1));			\
	close(__ready[0]);						\
} while (0)

/* The data that was sent arrives, and then nothing of the child is left. */
#define ASSERT_ALL_GOES() do {						\
	ASSERT_RECEIVED(&self->net, self->data, NR_PARTS * PART_LEN);	\
	ASSERT_EQ(0, module_unused());					\
	ASSERT_GE(CGROUP_SLACK, cgroup_charged_soon(&self->cg, CGROUP_SLACK)); \
} while (0)

/* Slots until the limit: the eater is killed for it, and only that. */
TEST_F(memcg, security_memory_max_kills_who_eats)
{
	int status;
	pid_t pid;

	ASSERT_EQ(0, module_unused());
	ASSERT_EQ(0, cgroup_limit(&self->cg, 32L << 20));
	START_CHILD(&pid, true);
	ASSERT_EQ(0, wait_exit(pid, &status));
	ASSERT_TRUE(WIFSIGNALED(status))
		TH_LOG("it ended with status %d", WEXITSTATUS(status));
	ASSERT_EQ(SIGKILL, WTERMSIG(status));
	ASSERT_LT(0, cgroup_number(&self->cg, "memory.events", "oom_kill "));
	ASSERT_ALL_GOES();
}

/*
 * A task is killed while a peer that doesn't read has its data: whoever waits for the
 * task sees it end, and its memory goes, but for the pages that were sent. The ring,
 * and the module with it, stay until the peer reads.
 */
TEST_F(memcg, security_ended_task_keeps_no_memory)
{
	int status;
	pid_t pid;

	ASSERT_EQ(0, module_unused());
	START_CHILD(&pid, false);
	ASSERT_CHARGED(&self->cg, 0, BALLAST);
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(0, wait_exit(pid, &status));
	ASSERT_EQ(-1, kill(pid, 0));
	ASSERT_EQ(ESRCH, errno);
	ASSERT_EQ(-1, cgroup_number(&self->cg, "cgroup.procs", ""));
	/* slots and all: far less than what the task had */
	ASSERT_GE(BALLAST / 8, cgroup_charged_soon(&self->cg, BALLAST / 8));
	if (module_refs() != -ENOENT)
		ASSERT_EQ(1, module_refs());
	ASSERT_ALL_GOES();
}

/* A peer that never reads: what is in flight to it is what its socket takes. */
TEST_F(memcg, security_dead_peer_holds_what_its_socket_takes)
{
	struct io_uring_cqe cqe = {};
	unsigned int nr, notified = 0;
	struct pair full;
	long base;
	char *got;

	OPEN_PAIR(&full, NET_LO, AF_INET, SOCK_STREAM, .full = true);
	ASSERT_EQ(0, cgroup_join(&self->cg));
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, register_slots(&self->ring, 1));
	ASSERT_EQ(-EBADF, attach(&self->ring, 0, FLUSH));
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	base = cgroup_charged(&self->cg);
	for (nr = 0; nr < 1U << 18; nr++) {
		struct io_uring_sqe *sqe;

		sqe = prep_slot_send(&self->ring, full.tx, self->data, 16, 0, FLUSH);
		sqe->msg_flags = MSG_DONTWAIT;
		ASSERT_SUBMIT(&self->ring, 1);
		do {
			ASSERT_EQ(0, ring_next(&self->ring, &cqe));
			notified += !!(cqe.flags & IORING_CQE_F_NOTIF);
		} while (cqe.flags & IORING_CQE_F_NOTIF);
		if (cqe.res != 16)
			break;
	}
	ASSERT_EQ(-EAGAIN, cqe.res);
	ASSERT_CHARGED(&self->cg, base, 64L * (nr - notified) - CGROUP_SLACK);
	/* that one, which failed, is answered at once; the others as the peer reads */
	got = malloc(16 * nr);
	ASSERT_NE(NULL, got);
	ASSERT_EQ(16 * nr, recv(full.rx, got, 16 * nr, MSG_WAITALL));
	free(got);
	for (; notified < nr + 1; notified++) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe))
			TH_LOG("lost: %u of %u", nr + 1 - notified, nr + 1);
		ASSERT_TRUE(cqe.flags & IORING_CQE_F_NOTIF);
	}
	ASSERT_BACK(&self->cg, base);
	pair_close(&full);
}

NOTIF_TEST_MAIN
