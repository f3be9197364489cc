// SPDX-License-Identifier: GPL-2.0
/*
 * A task that waits for many CQEs in one system call, which are notifications
 * that the network sends it at different moments.
 */
#include <pthread.h>

#include "fixture.h"

#define NR_ROUNDS	3
#define MAX_NOTIFS	8
#define PART_LEN	(256 << 10)	/* more than the receiver has room for */
#define DATA_LEN	(MAX_NOTIFS * PART_LEN)

FIXTURE(waiter)
{
	struct io_uring ring;
	struct pair net;	/* read by a thread, step by step */
	char *data;
	unsigned int seq;	/* of the slot's next notification */
};

RING_VARIANTS_SQPOLL(waiter);

FIXTURE_SETUP(waiter)
{
	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_STREAM, .unread = true);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, register_slots(&self->ring, 1));
	self->data = map_pages(DATA_LEN);
	ASSERT_NE(NULL, self->data);
	fill_pattern(self->data, DATA_LEN, 32);
}

FIXTURE_TEARDOWN(waiter)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
	pair_close(&self->net);
}

struct reader {
	pthread_t id;
	int fd;
	const char *want;
	size_t len;
	int ret;
};

/* A part, a pause, a part, ...: what is read makes room for what follows. */
static void *read_in_steps(void *arg)
{
	struct reader *reader = arg;
	size_t done, step = PART_LEN / 2;

	for (done = 0; done < reader->len && !reader->ret; done += step) {
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
		if (step > reader->len - done)
			step = reader->len - done;
		reader->ret = receive_and_compare(reader->fd,
						  reader->want + done, step);
	}
	return NULL;
}

/* @nr requests, each its notifier's last, all of them in flight. */
#define ASSERT_IN_FLIGHT(_nr) do {					\
	unsigned int __i;						\
									\
	for (__i = 0; __i < (_nr); __i++) {				\
		prep_slot_send(&self->ring, self->net.tx,		\
			       self->data + __i * PART_LEN, PART_LEN, 0, \
			       IORING_RECVSEND_NOTIF_FLUSH);		\
		ASSERT_SUBMIT(&self->ring, 1);				\
		ASSERT_CQE(&self->ring, REQ(0), PART_LEN, 0);		\
	}								\
} while (0)

static unsigned int nr_cqes(struct io_uring *ring)
{
	return __atomic_load_n(ring->cq.ktail, __ATOMIC_ACQUIRE) -
	       *ring->cq.khead;
}

/* Wait in one call, or in another one when a signal has ended that. */
static int wait_for(struct io_uring *ring, unsigned int nr, bool limited)
{
	int ret;

	do {
		if (limited)
			ret = ring_wait(ring, nr, LOST_MS);
		else
			ret = io_uring_enter(ring->ring_fd, 0, nr,
					     IORING_ENTER_GETEVENTS, NULL) < 0 ?
			      -errno : 0;
	} while (ret == -EINTR);
	return ret;
}

static void wait_for_many(struct __test_metadata *_metadata,
			  FIXTURE_DATA(waiter) *self, bool limited)
{
	static const unsigned int nrs[] = { 1, 3, MAX_NOTIFS };
	struct reader reader;
	unsigned int round, nr, i;

	for (round = 0; round < NR_ROUNDS * ARRAY_SIZE(nrs); round++) {
		nr = nrs[round % ARRAY_SIZE(nrs)];
		ASSERT_IN_FLIGHT(nr);
		reader = (struct reader){
			.fd = self->net.rx, .want = self->data,
			.len = nr * PART_LEN,
		};
		ASSERT_EQ(0, pthread_create(&reader.id, NULL, read_in_steps,
					    &reader));
		ASSERT_EQ(0, wait_for(&self->ring, nr, limited))
			TH_LOG("round %u: %u of %u", round,
			       nr_cqes(&self->ring), nr);
		ASSERT_LE(nr, nr_cqes(&self->ring));
		for (i = 0; i < nr; i++)
			ASSERT_NOTIF(&self->ring, TAG(0), self->seq++);
		ASSERT_EQ(0, pthread_join(reader.id, NULL));
		ASSERT_EQ(0, reader.ret);
	}
}

TEST_F(waiter, contract_03_waiter_for_many_is_woken)
{
	wait_for_many(_metadata, self, true);
}

/* Nothing wakes it but the notifications. */
TEST_F(waiter, contract_03_waiter_without_a_limit_is_woken)
{
	wait_for_many(_metadata, self, false);
}

NOTIF_TEST_MAIN
