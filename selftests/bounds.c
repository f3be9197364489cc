// SPDX-License-Identifier: GPL-2.0
/*
 * Programs that try to eat the kernel's memory: all that a ring has of slots is
 * bounded, or charged to its maker's memory cgroup, or both. memcg.c is about
 * what happens at the cgroup's limit.
 */
#include <pthread.h>

#include "cgroup.h"
#include "fdinfo.h"

#define MAX_SLOTS	32768
/* of which a test uses so many, as each request takes its time */
#define MANY		8192
/* so many notifiers a ring keeps to use again, */
#define MAX_IDLE	1024
/* and so many tasks it has a lane to */
#define MAX_LANES	1024
#define BATCH		64
#define FLUSH		IORING_RECVSEND_NOTIF_FLUSH

/* What each takes at least, less what may have been charged ahead. */
#define SLOT_SIZE	24
#define NOTIF_SIZE	64
#define OVERFLOW_SIZE	16
#define TASK_SIZE	2048

FIXTURE(bounds)
{
	struct io_uring ring;
	struct cgroup cg;
	long base;		/* what was charged before */
};

RING_VARIANTS_SQPOLL(bounds);

#define OPEN_CGROUP(_cg) do {						\
	int __ret = cgroup_make(_cg);					\
	if (__ret == -EOPNOTSUPP)						\
		SKIP(return, "the kernel has no memory cgroups");	\
	ASSERT_EQ(0, __ret);						\
} while (0)

FIXTURE_SETUP(bounds)
{
	OPEN_CGROUP(&self->cg);
	ASSERT_EQ(0, cgroup_join(&self->cg));
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
}

FIXTURE_TEARDOWN(bounds)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
	EXPECT_EQ(0, cgroup_leave());
	EXPECT_EQ(0, cgroup_remove(&self->cg));
}

/* SQPOLL holds the ring's lock as it likes, and fdinfo goes without. */
#define ASSERT_FDINFO(_number, _field) do {				\
	if (!(variant->setup & IORING_SETUP_SQPOLL))			\
		ASSERT_EQ(_number, fdinfo_number(self->ring.ring_fd, _field));	\
} while (0)

/* Requests that fail at once: each of @nr slots gets a notifier. */
static void attach_many(struct __test_metadata *_metadata,
			FIXTURE_DATA(bounds) *self, unsigned int nr)
{
	unsigned int i, j;

	for (i = 0; i < nr; i += BATCH) {
		for (j = 0; j < BATCH; j++)
			prep_slot_send(&self->ring, -1, NULL, 1, i + j, 0);
		ASSERT_SUBMIT(&self->ring, BATCH);
		for (j = 0; j < BATCH; j++)
			ASSERT_CQE(&self->ring, REQ(0), -EBADF, 0);
	}
}

static void flush_many(struct __test_metadata *_metadata,
		       FIXTURE_DATA(bounds) *self, unsigned int nr,
		       unsigned int seq)
{
	unsigned int i;

	for (i = 0; i < nr; i += BATCH) {
		ASSERT_FLUSH(&self->ring, i, BATCH);
		ASSERT_NOTIFS(&self->ring, i, BATCH, seq);
	}
}

/* Half a million slots flushed, with no notifier in any. */
TEST_F(bounds, security_flushes_of_nothing_take_no_memory)
{
	unsigned int i;

	ASSERT_EQ(0, register_slots(&self->ring, MAX_SLOTS));
	self->base = cgroup_charged(&self->cg);
	for (i = 0; i < 16; i++) {
		prep_flush(&self->ring, 0, MAX_SLOTS, TAG(i));
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, FLUSH_REQ, 0, 0);
	}
	ASSERT_QUIET(&self->ring);
	ASSERT_FDINFO(0, "NotifsInFlight:");
	ASSERT_FDINFO(0, "NotifsIdle:");
	ASSERT_BACK(&self->cg, self->base);
}

/* As many slots as there can be, in four rings, and no more in any. */
TEST_F(bounds, security_slots_are_bounded_and_charged)
{
	const struct io_uring_notification_slot slot = {};
	struct io_uring rings[4];
	unsigned int i;

	self->base = cgroup_charged(&self->cg);
	for (i = 0; i < ARRAY_SIZE(rings); i++) {
		ASSERT_EQ(0, ring_init(&rings[i], variant->setup));
		ASSERT_EQ(-EINVAL, register_slots_as(&rings[i], &slot,
						     MAX_SLOTS + 1, 0));
		ASSERT_EQ(0, register_slots(&rings[i], MAX_SLOTS));
		ASSERT_EQ(-EBUSY, register_slots(&rings[i], 1));
	}
	ASSERT_CHARGED(&self->cg, self->base, 4L * MAX_SLOTS * SLOT_SIZE);
	for (i = 0; i < ARRAY_SIZE(rings); i++) {
		if (i % 2)
			ASSERT_EQ(0, unregister_slots(&rings[i]));
		ring_exit(&rings[i]);
	}
	ASSERT_BACK(&self->cg, self->base);
}

/* One in each slot is all that there can be unflushed; of idle ones some stay. */
TEST_F(bounds, security_notifiers_are_charged_and_idle_ones_bounded)
{
	unsigned int round;
	long idle = 0;

	ASSERT_EQ(0, register_slots(&self->ring, MANY));
	self->base = cgroup_charged(&self->cg);
	for (round = 0; round < 2; round++) {
		attach_many(_metadata, self, MANY);
		ASSERT_FDINFO(MANY, "NotifsInFlight:");
		ASSERT_CHARGED(&self->cg, self->base, (long)MANY * NOTIF_SIZE);
		flush_many(_metadata, self, MANY, round);
		ASSERT_FDINFO(0, "NotifsInFlight:");
		ASSERT_FDINFO(MAX_IDLE, "NotifsIdle:");
		ASSERT_BACK(&self->cg, self->base);
		/* however often */
		if (round)
			ASSERT_GE(idle + CGROUP_SLACK, cgroup_charged(&self->cg));
		idle = cgroup_charged(&self->cg);
	}
	ASSERT_EQ(0, unregister_slots(&self->ring));
	ASSERT_FDINFO(-1, "NotifsIdle:");
}

/* Requests that nobody reaps the CQEs of: each waits in memory that is charged. */
TEST_F(bounds, security_overflow_is_charged)
{
	const unsigned int nr = 2 * MANY;
	struct io_uring_cqe cqe = {};
	unsigned int i, failed = 0, notified = 0;

	ASSERT_EQ(0, register_slots(&self->ring, BATCH));
	attach_many(_metadata, self, BATCH);
	flush_many(_metadata, self, BATCH, 0);
	self->base = cgroup_charged(&self->cg);
	for (i = 0; i < nr; i++) {
		prep_slot_send(&self->ring, -1, NULL, 1, 0, FLUSH);
		if (i % BATCH == BATCH - 1)
			ASSERT_SUBMIT(&self->ring, BATCH);
	}
	ASSERT_CHARGED(&self->cg, self->base, 2L * nr * OVERFLOW_SIZE);
	while (failed < nr || notified < nr) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe))
			TH_LOG("lost: %u CQEs", 2 * nr - failed - notified);
		if (cqe.user_data == REQ(0)) {
			failed++;
			continue;
		}
		ASSERT_EQ(TAG(0), cqe.user_data);
		ASSERT_EQ(notif_flags(1 + notified++), cqe.flags);
	}
	ASSERT_EQ(0, *self->ring.cq.koverflow);
	ASSERT_BACK(&self->cg, self->base);
}

struct attacher {
	struct io_uring *ring;
	unsigned int slot;
	int res;
};

static void *thread_that_attaches(void *arg)
{
	struct attacher *a = arg;
	struct io_uring_cqe cqe = {};

	prep_slot_send(a->ring, -1, NULL, 1, a->slot, 0);
	a->res = ring_submit(a->ring);
	if (a->res == 1)
		a->res = ring_next(a->ring, &cqe) ?: cqe.res;
	return NULL;
}

#define ASSERT_ATTACHED_BY_THREAD(_res, _slot) do {			\
	struct attacher __a = { .ring = &self->ring, .slot = _slot };	\
	pthread_t __id;							\
									\
	ASSERT_EQ(0, pthread_create(&__id, NULL, thread_that_attaches, &__a)); \
	ASSERT_EQ(0, pthread_join(__id, NULL));				\
	ASSERT_EQ(_res, __a.res)					\
		TH_LOG("thread %u", _slot);				\
} while (0)

/*
 * Each thread attaches one request and exits: its lane stays as long as the notifier
 * is in its slot, and with it the task_struct. Those are bounded, and charged.
 */
TEST_F(bounds, security_lanes_are_bounded_and_charged)
{
	unsigned int i;

	if (variant->setup)
		SKIP(return, "only one task attaches requests, or serves the ring");
	ASSERT_EQ(0, register_slots(&self->ring, MAX_LANES + 2));
	self->base = cgroup_charged(&self->cg);
	for (i = 0; i < MAX_LANES; i++)
		ASSERT_ATTACHED_BY_THREAD(-EBADF, i);
	ASSERT_CHARGED(&self->cg, self->base, (long)MAX_LANES * TASK_SIZE);
	ASSERT_ATTACHED_BY_THREAD(-ENOMEM, i);
	/* the refused one has left nothing; with a lane less there is room for one */
	ASSERT_FLUSH(&self->ring, i, 1);
	ASSERT_QUIET(&self->ring);
	ASSERT_FLUSH(&self->ring, 7, 1);
	ASSERT_NOTIF(&self->ring, TAG(7), 0);
	ASSERT_ATTACHED_BY_THREAD(-EBADF, i);
	ASSERT_ATTACHED_BY_THREAD(-ENOMEM, i + 1);

	ASSERT_EQ(0, unregister_slots(&self->ring));
	for (i = 0; i < MAX_LANES; i++) {
		struct io_uring_cqe cqe = {};

		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		ASSERT_EQ(IORING_CQE_F_NOTIF, cqe.flags & 0xffff);
	}
	ASSERT_BACK(&self->cg, self->base);
}

NOTIF_TEST_MAIN
