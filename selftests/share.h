/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A fixture for rings that are in the hands of several tasks, with data in flight
 * over a TCP connection whose receiver doesn't read by itself. A program that
 * includes this adds the variants.
 */
#ifndef NOTIF_TEST_SHARE_H
#define NOTIF_TEST_SHARE_H

#include <pthread.h>

#include "process.h"

#define NR_SLOTS	4
#define DATA_LEN	(512 << 10)
#define DATA_SEED	3
#define PART_LEN	(DATA_LEN / NR_SLOTS)

#define RING_COOP	(IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG)

/* What another process needs to use a ring. */
struct hand_over {
	struct io_uring_params params;
	int ring_fd;
};

FIXTURE(share)
{
	struct io_uring ring;
	struct pair net;
	char *data;
	struct hand_over *shared;	/* with other processes */
};

FIXTURE_VARIANT(share)
{
	unsigned int setup;
};

FIXTURE_SETUP(share)
{
	self->ring.ring_fd = -1;
	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_STREAM, .unread = true);
	self->data = map_pages(DATA_LEN);
	ASSERT_NE(NULL, self->data);
	fill_pattern(self->data, DATA_LEN, DATA_SEED);
	self->shared = mmap(NULL, sizeof(*self->shared), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->shared);
}

FIXTURE_TEARDOWN(share)
{
	if (self->ring.ring_fd >= 0) {
		ring_wait(&self->ring, 0, 0);
		EXPECT_TRUE(ring_empty(&self->ring))
			TH_LOG("a CQE that the test did not expect");
		ring_exit(&self->ring);
	}
	pair_close(&self->net);
}

#define OPEN_RING() do {						\
	ASSERT_EQ(0, ring_init_params(&self->ring, variant->setup,	\
				      &self->shared->params));		\
	ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));		\
} while (0)

/* Send and see it done: all of it, in flight as nobody reads. */
static inline int send_part(struct io_uring *ring, int fd, const char *data,
			    size_t len, unsigned int slot, unsigned int ioprio)
{
	struct io_uring_cqe cqe;

	prep_slot_send(ring, fd, data, len, slot, ioprio);
	if (ring_submit(ring) != 1)
		return -EIO;
	return ring_next(ring, &cqe) ?: cqe.res == (int)len ? 0 : -EIO;
}

/* The next CQEs are @nr notifications from slot @first on, number @seq. */
static inline int get_notifs(struct io_uring *ring, unsigned int first,
			     unsigned int nr, unsigned int seq)
{
	unsigned int seen = 0, i;
	struct io_uring_cqe cqe;

	for (i = 0; i < nr; i++) {
		if (ring_next(ring, &cqe))
			return -ETIME;
		if (cqe.user_data - TAG(first) >= nr || cqe.res ||
		    cqe.flags != notif_flags(seq) ||
		    seen & 1 << (cqe.user_data - TAG(first)))
			return -EILSEQ;
		seen |= 1 << (cqe.user_data - TAG(first));
	}
	return 0;
}

/* What a process submits goes behind what others have submitted. */
static inline void take_over(struct io_uring *ring)
{
	ring->sq.sqe_head = *ring->sq.ktail;
	ring->sq.sqe_tail = *ring->sq.ktail;
}

/* Another process makes the ring, and has data in flight in slots 0 and 1. */
static inline int make_ring(FIXTURE_DATA(share) *self, unsigned int setup)
{
	if (ring_init_params(&self->ring, setup, &self->shared->params) ||
	    register_slots(&self->ring, NR_SLOTS))
		return 1;
	self->shared->ring_fd = self->ring.ring_fd;
	return send_part(&self->ring, self->net.tx, self->data, DATA_LEN / 2, 0,
			 IORING_RECVSEND_NOTIF_FLUSH) ||
	       send_part(&self->ring, self->net.tx, self->data + DATA_LEN / 2,
			 DATA_LEN / 2, 1, 0) ? 2 : 0;
}

struct thread {
	pthread_t id;
	struct io_uring *ring;
	int fd;
	char *data;
	unsigned int slot;
	int stop;	/* if >= 0: it stays until this pipe is closed */
	int ret;
};

/* Every second one flushes its slot. */
static inline void *thread_that_sends(void *arg)
{
	struct thread *t = arg;
	char c;

	t->ret = send_part(t->ring, t->fd, t->data + t->slot * PART_LEN, PART_LEN,
			   t->slot,
			   t->slot % 2 ? IORING_RECVSEND_NOTIF_FLUSH : 0);
	if (t->stop < 0)
		return NULL;
	write(t->stop, "r", 1);
	while (read(t->stop, &c, 1) < 0 && errno == EINTR)
		;
	return NULL;
}

#define START_THREAD(_thread, _slot, _stop) do {			\
	*(_thread) = (struct thread){					\
		.ring = &self->ring, .fd = self->net.tx,		\
		.data = self->data, .slot = _slot, .stop = _stop,	\
	};								\
	ASSERT_EQ(0, pthread_create(&(_thread)->id, NULL,		\
				    thread_that_sends, _thread));	\
} while (0)

#define JOIN_THREAD(_thread) do {					\
	ASSERT_EQ(0, pthread_join((_thread)->id, NULL));		\
	ASSERT_EQ(0, (_thread)->ret);					\
} while (0)

#endif
