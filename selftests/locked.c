// SPDX-License-Identifier: GPL-2.0
/*
 * A user with a small RLIMIT_MEMLOCK: what a request counts is what it touches,
 * and with flush_after a refused program needs only to wait for a notification.
 */
#include <linux/if_packet.h>

#include "account.h"

#define NR_SENDS	300
#define SEND_LEN	100
/* more requests than the limit has pages for, and a request counts one */
#define FLUSH_AFTER	64
#define ROOM		32
#define NR_SLOTS	3
#define DATA_LEN	(4 * page_size())
#define MAX_DATAGRAM	65507
#define LARGE_PAGES	4

FIXTURE(locked)
{
	struct io_uring ring;
	struct io_uring probe;	/* see locked_pages() */
	struct pair net;
	char *data;
	char *page;
	char *large;		/* LARGE_PAGES that are one to the kernel */
	long base;
	unsigned int seq[NR_SLOTS];	/* of the slots' next notifications */
};

RING_VARIANTS_SQPOLL(locked);

/* A packet socket's ring consists of compound pages, on any kernel. Needs root. */
static char *map_large(void)
{
	const struct tpacket_req req = {
		.tp_block_size = LARGE_PAGES * page_size(),
		.tp_block_nr = 1,
		.tp_frame_size = page_size(),
		.tp_frame_nr = LARGE_PAGES,
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	char *map;

	if (setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)))
		return MAP_FAILED;
	map = mmap(NULL, req.tp_block_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		   0);
	close(fd);
	return map;
}

/* Slot 0 and 1 flush by themselves, slot 2 doesn't. */
FIXTURE_SETUP(locked)
{
	const struct io_uring_notification_slot slots[NR_SLOTS] = {
		{ .tag = TAG(0), .flush_after = FLUSH_AFTER },
		{ .tag = TAG(1), .flush_after = FLUSH_AFTER },
		{ .tag = TAG(2) },
	};

	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_DGRAM);
	self->data = map_pages(DATA_LEN);
	self->page = map_pages(4096);
	ASSERT_NE(NULL, self->data);
	ASSERT_NE(NULL, self->page);
	fill_pattern(self->data, DATA_LEN, 24);
	self->large = map_large();
	ASSERT_NE(MAP_FAILED, (void *)self->large);
	ASSERT_EQ(0, be_limited_user());
	ASSERT_EQ(0, ring_init(&self->probe, 0));
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, register_slots_as(&self->ring, slots, NR_SLOTS, 0));
	self->base = locked_pages(&self->probe, self->page);
	ASSERT_LE(0, self->base);
}

FIXTURE_TEARDOWN(locked)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
	ring_exit(&self->probe);
	pair_close(&self->net);
}

/* Take a notification: it is the slot's next. */
#define TAKE_NOTIF(_cqe) do {						\
	ASSERT_GT(NR_SLOTS, (_cqe).user_data - TAG(0));			\
	ASSERT_EQ(0, (_cqe).res);					\
	ASSERT_EQ(notif_flags(self->seq[(_cqe).user_data - TAG(0)]++),	\
		  (_cqe).flags);					\
} while (0)

/*
 * What a program does: send, and if that is refused for memory, wait for a
 * notification, unless one has come meanwhile, and try again.
 */
static void send_patiently(struct __test_metadata *_metadata,
			   FIXTURE_DATA(locked) *self, unsigned int slot,
			   unsigned int nr)
{
	struct io_uring_cqe cqe;
	bool notified = false;

	while (nr) {
		prep_slot_send(&self->ring, self->net.tx, self->data, SEND_LEN,
			       slot, 0);
		ASSERT_SUBMIT(&self->ring, 1);
		for (;;) {
			ASSERT_EQ(0, ring_next(&self->ring, &cqe));
			if (cqe.user_data == REQ(0))
				break;
			TAKE_NOTIF(cqe);
			notified = true;
		}
		ASSERT_EQ(0, cqe.flags);
		if (cqe.res == SEND_LEN) {
			ASSERT_RECEIVED(&self->net, self->data, SEND_LEN);
			notified = false;
			nr--;
			continue;
		}
		ASSERT_EQ(-ENOMEM, cqe.res);
		if (!notified) {
			ASSERT_EQ(0, ring_next(&self->ring, &cqe))
				TH_LOG("no notification to wait for, %u to send",
				       nr);
			TAKE_NOTIF(cqe);
		}
		notified = false;
	}
}

/* Nothing is attached any more and nothing is locked. */
#define ASSERT_ALL_GIVEN_BACK() do {					\
	struct io_uring_cqe __cqe;					\
									\
	ASSERT_FLUSH(&self->ring, 0, NR_SLOTS);				\
	while (!ring_next_ms(&self->ring, &__cqe, 200))			\
		TAKE_NOTIF(__cqe);					\
	ASSERT_EQ(self->base, locked_pages(&self->probe, self->page));	\
} while (0)

TEST_F(locked, contract_04_never_stuck_for_memlock)
{
	ASSERT_EQ(0, set_limit(self->base + ROOM));
	send_patiently(_metadata, self, 0, NR_SENDS);
	/* what didn't fit has made it flush before it was full */
	ASSERT_LT(NR_SENDS / FLUSH_AFTER, self->seq[0]);
	ASSERT_ALL_GIVEN_BACK();
}

/* All of the memory is another slot's, which nobody sends through any more. */
TEST_F(locked, contract_04_never_stuck_for_memlock_of_another_slot)
{
	ASSERT_EQ(0, set_limit(self->base + ROOM));
	send_patiently(_metadata, self, 0, ROOM);
	ASSERT_QUIET(&self->ring);
	send_patiently(_metadata, self, 1, NR_SENDS / 3);
	ASSERT_LE(1, self->seq[0]);
	ASSERT_ALL_GIVEN_BACK();
}

/* A slot without flush_after is the program's to flush. */
TEST_F(locked, contract_04_refused_flushes_no_slot_without_flush_after)
{
	ASSERT_EQ(0, set_limit(self->base + ROOM));
	send_patiently(_metadata, self, 2, ROOM / 4);
	send_patiently(_metadata, self, 0, NR_SENDS / 3);
	ASSERT_EQ(0, self->seq[2]);
	ASSERT_ALL_GIVEN_BACK();
	ASSERT_EQ(1, self->seq[2]);
}

/* Each piece of memory counts the pages that it lies in, and no other. */
TEST_F(locked, contract_06_counts_pages_touched)
{
	const unsigned int p = page_size();
	const struct {
		unsigned int off, len, pages;
	} sends[] = {
		{ 0, 1, 1 }, { 0, 100, 1 }, { 2000, 100, 1 }, { p - 100, 100, 1 },
		{ p - 46, 100, 2 }, { p - 1, 2, 2 }, { 0, p, 1 }, { 0, p + 1, 2 },
		{ p - 1, p + 2, 3 }, { p, 2 * p, 2 },
	};
	/* two within one page, one across two, an empty one, within one page */
	struct iovec iov[] = {
		{ self->data, 100 }, { self->data + 1000, 100 },
		{ self->data + 2 * p - 42, 100 }, { self->data + 5, 0 },
		{ self->data + 3 * p, 4096 },
	};
	const struct msghdr msg = {
		.msg_iov = iov, .msg_iovlen = ARRAY_SIZE(iov),
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sends); i++) {
		if (sends[i].len > MAX_DATAGRAM)
			continue;
		prep_slot_send(&self->ring, self->net.tx,
			       self->data + sends[i].off, sends[i].len, 2, 0);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), sends[i].len, 0);
		ASSERT_EQ(self->base + (long)sends[i].pages,
			  locked_pages(&self->probe, self->page))
			TH_LOG("%u bytes at %u of a page", sends[i].len,
			       sends[i].off);
		ASSERT_RECEIVED(&self->net, self->data + sends[i].off,
				sends[i].len);
		ASSERT_FLUSH(&self->ring, 2, 1);
		ASSERT_NOTIF(&self->ring, TAG(2), self->seq[2]++);
		ASSERT_EQ(self->base, locked_pages(&self->probe, self->page));
	}
	prep_slot_sendmsg(&self->ring, self->net.tx, &msg, 2, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 300 + 4096, 0);
	ASSERT_EQ(self->base + 1 + 1 + 2 + 1,
		  locked_pages(&self->probe, self->page));
	ASSERT_ALL_GIVEN_BACK();
}

/* The ring's registered buffer @nr goes. */
static int drop_buffer(struct io_uring *ring, unsigned int nr)
{
	struct iovec none = {};
	struct io_uring_rsrc_update2 up = {
		.offset = nr, .nr = 1, .data = (unsigned long)&none,
	};

	return ring_register(ring, IORING_REGISTER_BUFFERS_UPDATE, &up, sizeof(up));
}

/*
 * Buffers that share a large page, and a clone of one of them, go one after the
 * other: it counts until the last is gone, and no more is given back than was
 * taken. In mainline the last two give it back, each of them.
 */
TEST_F(locked, contract_06_clone_in_a_shared_large_page)
{
	const unsigned int p = page_size();
	struct iovec iov[] = { { self->large, p }, { self->large + p, p } };
	struct io_uring_clone_buffers clone = { .nr = 1 };
	struct io_uring other;
	unsigned int first;

	ASSERT_EQ(0, ring_init(&other, 0));
	self->base = locked_pages(&self->probe, self->page);
	clone.src_fd = self->ring.ring_fd;
	for (first = 0; first < 2; first++) {
		ASSERT_EQ(0, io_uring_register_buffers(&self->ring, iov, 2));
		ASSERT_EQ(self->base + LARGE_PAGES,
			  locked_pages(&self->probe, self->page));
		clone.src_off = first;
		ASSERT_EQ(0, ring_register(&other, IORING_REGISTER_CLONE_BUFFERS,
					   &clone, 1));
		ASSERT_EQ(1, drop_buffer(&self->ring, first));
		ASSERT_EQ(1, drop_buffer(&self->ring, !first));
		ASSERT_LE(self->base + LARGE_PAGES,
			  locked_pages(&self->probe, self->page))
			TH_LOG("a clone has the page, and nobody counts it");
		ASSERT_EQ(0, ring_register(&other, IORING_UNREGISTER_BUFFERS,
					   NULL, 0));
		ASSERT_EQ(self->base, locked_pages(&self->probe, self->page));
		ASSERT_EQ(0, ring_register(&self->ring, IORING_UNREGISTER_BUFFERS,
					   NULL, 0));
		ASSERT_EQ(self->base, locked_pages(&self->probe, self->page));
	}
	/* there is room for the ring's, and none for the other's */
	ASSERT_EQ(0, set_limit(self->base + LARGE_PAGES));
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, iov, 2));
	ASSERT_EQ(-ENOMEM, ring_register(&other, IORING_REGISTER_CLONE_BUFFERS,
					 &clone, 1));
	ASSERT_EQ(0, ring_register(&self->ring, IORING_UNREGISTER_BUFFERS, NULL, 0));
	ASSERT_EQ(self->base, locked_pages(&self->probe, self->page));
	ring_exit(&other);
}

NOTIF_TEST_MAIN
