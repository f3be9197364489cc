// SPDX-License-Identifier: GPL-2.0
/* Pages of plain buffers count against RLIMIT_MEMLOCK until the notification. */
#include <sys/resource.h>

#include "fixture.h"

#define SOME_USER	4242	/* of whom nothing else is locked */
#define LIMIT		(16 * page_size())
#define LEN		4096
#define MAX_SENDS	64	/* more than the limit has pages */

FIXTURE(memlock)
{
	struct io_uring ring;
	struct pair net;
	char *data;
};

RING_VARIANTS(memlock);

/* The ring belongs to a user without CAP_IPC_LOCK, the sockets need root. */
FIXTURE_SETUP(memlock)
{
	const struct rlimit limit = { LIMIT, LIMIT };

	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_STREAM);
	self->data = mmap(NULL, LEN, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->data);
	fill_pattern(self->data, LEN, 5);
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &limit));
	ASSERT_EQ(0, setresuid(SOME_USER, SOME_USER, SOME_USER));
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, register_slots(&self->ring, 2));
}

FIXTURE_TEARDOWN(memlock)
{
	ring_exit(&self->ring);
	pair_close(&self->net);
}

/* Send until it is refused for memory, return how often it was not. */
static int sends_until_enomem(FIXTURE_DATA(memlock) *self, unsigned int slot)
{
	struct io_uring_cqe cqe;
	int nr;

	for (nr = 0; nr < MAX_SENDS; nr++) {
		prep_slot_send(&self->ring, self->net.tx, self->data, LEN, slot, 0);
		if (ring_submit(&self->ring) != 1 || ring_next(&self->ring, &cqe))
			return -EIO;
		if (cqe.res == -ENOMEM)
			return nr;
		if (cqe.res != LEN ||
		    receive_and_compare(self->net.rx, self->data, LEN))
			return -EIO;
	}
	return nr;
}

TEST_F(memlock, contract_06_counted_and_given_back)
{
	int nr = sends_until_enomem(self, 0);
	unsigned int round;

	ASSERT_GT(nr, 0);
	ASSERT_LT(nr, MAX_SENDS);
	/* over and over: not a page stays behind */
	for (round = 0; round < 20; round++) {
		/* the pages are free, but still the notifier's */
		ASSERT_EQ(0, sends_until_enomem(self, 1));
		ASSERT_FLUSH(&self->ring, 0, 1);
		ASSERT_NOTIF(&self->ring, TAG(0), round);
		ASSERT_EQ(nr, sends_until_enomem(self, 0));
	}
	/* the refused requests were not attached */
	ASSERT_FLUSH(&self->ring, 1, 1);
	ASSERT_QUIET(&self->ring);
}

/*
 * The account is the user's: closing the ring settles it too, in its own time,
 * because a ring ends after close() has returned.
 */
TEST_F(memlock, contract_06_given_back_at_close)
{
	int nr = sends_until_enomem(self, 0), again;
	unsigned int ms, seq = 0;

	ASSERT_GT(nr, 0);
	ASSERT_LT(nr, MAX_SENDS);
	ring_exit(&self->ring);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, register_slots(&self->ring, 2));
	for (ms = 0; ms < LOST_MS; ms += 10) {
		again = sends_until_enomem(self, 0);
		ASSERT_FLUSH(&self->ring, 0, 1);
		if (again)
			ASSERT_NOTIF(&self->ring, TAG(0), seq++);
		if (again == nr)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
	ASSERT_EQ(nr, again);
}

/* What is copied keeps no page: it is not counted, however much there is. */
TEST_F(memlock, contract_07_copies_are_not_counted)
{
	const struct io_uring_notification_slot slots[2] = {
		{ .tag = TAG(0), .copy_below = LEN + 1 },
		{ .tag = TAG(1), .copy_below = LEN },
	};
	int nr;

	ASSERT_EQ(0, unregister_slots(&self->ring));
	ASSERT_EQ(0, register_slots_as(&self->ring, slots, 2, 0));
	ASSERT_EQ(MAX_SENDS, sends_until_enomem(self, 0));
	nr = sends_until_enomem(self, 1);
	ASSERT_GT(nr, 0);
	ASSERT_LT(nr, MAX_SENDS);
	/* also while nothing else would be allowed */
	ASSERT_EQ(MAX_SENDS, sends_until_enomem(self, 0));
	ASSERT_FLUSH(&self->ring, 0, 2);
	ASSERT_NOTIFS(&self->ring, 0, 2, 0);
}

NOTIF_TEST_MAIN
