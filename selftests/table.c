// SPDX-License-Identifier: GPL-2.0
/*
 * Hundreds of registered buffers in one notifier, whose table is unregistered,
 * replaced and cloned while the network holds the pages.
 */
#include "fixture.h"

#define NR_BUFS		300
#define PAGE_LEN	page_size()
#define BUF_LEN		2048	/* of a page of its own */
#define PAGES_LEN	(NR_BUFS * PAGE_LEN)
#define DATA_LEN	(NR_BUFS * BUF_LEN)
#define BATCH		100

/* The tag of buffer i: its CQE says that the buffer has gone. */
#define BUF_TAG(i)	(0xb000000ULL + (i))

FIXTURE(table)
{
	struct io_uring ring;
	struct pair net;
	char *pages;	/* a buffer in each */
	char *want;	/* the buffers' contents one after the other */
};

FIXTURE_VARIANT(table)
{
	unsigned int setup;
	enum net_link link;
};

FIXTURE_VARIANT_ADD(table, lo_plain) { .setup = 0, .link = NET_LO };
FIXTURE_VARIANT_ADD(table, lo_sqpoll) {
	.setup = IORING_SETUP_SQPOLL, .link = NET_LO
};

FIXTURE_VARIANT_ADD(table, nic_defer) { .setup = RING_DEFER, .link = NET_NIC };

/* The receiver doesn't read: most of the data stays in the sender's pages. */
FIXTURE_SETUP(table)
{
	OPEN_PAIR(&self->net, variant->link, AF_INET, SOCK_STREAM,
		  .unread = true);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, register_slots(&self->ring, 2));
	self->want = malloc(DATA_LEN);
}

FIXTURE_TEARDOWN(table)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
	pair_close(&self->net);
}

/* New pages, with contents that no other seed gives. */
#define NEW_PAGES(_seed) do {						\
	unsigned int _i;						\
	self->pages = map_pages(PAGES_LEN);				\
	ASSERT_NE(NULL, self->pages);					\
	fill_pattern(self->want, DATA_LEN, _seed);			\
	for (_i = 0; _i < NR_BUFS; _i++)				\
		memcpy(self->pages + _i * PAGE_LEN,			\
		       self->want + _i * BUF_LEN, BUF_LEN);		\
} while (0)

static void buffer_iov(struct iovec *iov, char *pages)
{
	unsigned int i;

	for (i = 0; i < NR_BUFS; i++)
		iov[i] = (struct iovec){ pages + i * PAGE_LEN, BUF_LEN };
}

/* All pages as registered buffers, buffer i with BUF_TAG(i) if @tagged. */
static int register_table(struct io_uring *ring, char *pages, bool tagged)
{
	struct iovec iov[NR_BUFS];
	__u64 tags[NR_BUFS];
	struct io_uring_rsrc_register reg = {
		.nr = NR_BUFS,
		.data = (unsigned long)iov,
		.tags = (unsigned long)tags,
	};
	unsigned int i;

	buffer_iov(iov, pages);
	for (i = 0; i < NR_BUFS; i++)
		tags[i] = tagged ? BUF_TAG(i) : 0;
	return ring_register(ring, IORING_REGISTER_BUFFERS2, &reg, sizeof(reg));
}

static int replace_table(struct io_uring *ring, char *pages)
{
	struct iovec iov[NR_BUFS];
	struct io_uring_rsrc_update2 up = {
		.nr = NR_BUFS,
		.data = (unsigned long)iov,
	};

	buffer_iov(iov, pages);
	return ring_register(ring, IORING_REGISTER_BUFFERS_UPDATE, &up,
			     sizeof(up));
}

static int unregister_table(struct io_uring *ring)
{
	return ring_register(ring, IORING_UNREGISTER_BUFFERS, NULL, 0);
}

/* @to has no table yet. */
static int clone_table(struct io_uring *to, const struct io_uring *from)
{
	struct io_uring_clone_buffers clone = { .src_fd = from->ring_fd };

	return ring_register(to, IORING_REGISTER_CLONE_BUFFERS, &clone, 1);
}

/* Send buffers in their order, every other one as a plain buffer if @mixed. */
#define SEND_BUFS(_ring, _first, _nr, _slot, _mixed)			\
	send_bufs(_metadata, self, _ring, _first, _nr, _slot, _mixed)

static void send_bufs(struct __test_metadata *_metadata,
		      FIXTURE_DATA(table) *self, struct io_uring *ring,
		      unsigned int first, unsigned int nr, unsigned int slot,
		      bool mixed)
{
	unsigned int i, j, batch;

	for (i = first; i < first + nr; i += batch) {
		batch = first + nr - i < BATCH ? first + nr - i : BATCH;
		for (j = i; j < i + batch; j++) {
			bool plain = mixed && j % 2;

			prep_slot_send(ring, self->net.tx,
				       self->pages + j * PAGE_LEN, BUF_LEN, slot,
				       plain ? 0 : IORING_RECVSEND_FIXED_BUF)
				->buf_index = plain ? 0 : j;
		}
		ASSERT_SUBMIT(ring, batch);
		for (j = i; j < i + batch; j++)
			ASSERT_CQE(ring, REQ(0), BUF_LEN, 0);
	}
}

#define ASSERT_BUFS_RECEIVED(_first, _nr)				\
	ASSERT_RECEIVED(&self->net, self->want + (_first) * BUF_LEN,	\
			(_nr) * BUF_LEN)

/*
 * The next CQEs are those of all tags and of @nr_notifs notifications of slots
 * from 0 on. There are more than the CQ takes: it overflows.
 */
#define ASSERT_TAGS_AND_NOTIFS(_nr_notifs)				\
	assert_tags_and_notifs(_metadata, &self->ring, _nr_notifs)

static void assert_tags_and_notifs(struct __test_metadata *_metadata,
				   struct io_uring *ring,
				   unsigned int nr_notifs)
{
	unsigned char tags[NR_BUFS] = {}, notifs[2] = {};
	struct io_uring_cqe cqe;
	unsigned int i;

	for (i = 0; i < NR_BUFS + nr_notifs; i++) {
		ASSERT_EQ(0, ring_next(ring, &cqe))
			TH_LOG("lost: after %u of %u CQEs", i,
			       NR_BUFS + nr_notifs);
		ASSERT_EQ(0, cqe.res);
		if (cqe.user_data - TAG(0) < nr_notifs) {
			ASSERT_EQ(notif_flags(0), cqe.flags);
			ASSERT_EQ(1, ++notifs[cqe.user_data - TAG(0)]);
			continue;
		}
		ASSERT_EQ(0, cqe.flags);
		ASSERT_GT(NR_BUFS, cqe.user_data - BUF_TAG(0));
		ASSERT_EQ(1, ++tags[cqe.user_data - BUF_TAG(0)]);
	}
}

TEST_F(table, contract_06_hundreds_unregistered_in_flight)
{
	NEW_PAGES(1);
	ASSERT_EQ(0, register_table(&self->ring, self->pages, false));
	SEND_BUFS(&self->ring, 0, NR_BUFS, 0, true);
	ASSERT_EQ(0, unregister_table(&self->ring));
	lose_pages(self->pages, PAGES_LEN);
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_QUIET(&self->ring);
	ASSERT_BUFS_RECEIVED(0, NR_BUFS);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

/* The tag says that a buffer has gone: not before its notifier has completed. */
TEST_F(table, contract_06_hundreds_replaced_in_flight)
{
	char *old;

	NEW_PAGES(3);
	old = self->pages;
	ASSERT_EQ(0, register_table(&self->ring, old, true));
	SEND_BUFS(&self->ring, 0, NR_BUFS, 0, false);
	ASSERT_FLUSH(&self->ring, 0, 1);

	/* the same contents, so that all is received in one go */
	NEW_PAGES(3);
	ASSERT_EQ(NR_BUFS, replace_table(&self->ring, self->pages));
	lose_pages(old, PAGES_LEN);
	ASSERT_QUIET(&self->ring);
	SEND_BUFS(&self->ring, 0, NR_BUFS, 1, false);
	ASSERT_FLUSH(&self->ring, 1, 1);
	ASSERT_QUIET(&self->ring);

	ASSERT_BUFS_RECEIVED(0, NR_BUFS);
	ASSERT_BUFS_RECEIVED(0, NR_BUFS);
	ASSERT_TAGS_AND_NOTIFS(2);
}

/* Of two notifiers that used the buffers the last one takes them along. */
TEST_F(table, contract_06_until_every_notifier_has_completed)
{
	NEW_PAGES(4);
	ASSERT_EQ(0, register_table(&self->ring, self->pages, true));
	SEND_BUFS(&self->ring, 0, NR_BUFS, 1, false);
	SEND_BUFS(&self->ring, 0, NR_BUFS, 0, false);
	ASSERT_EQ(0, unregister_table(&self->ring));
	lose_pages(self->pages, PAGES_LEN);
	ASSERT_FLUSH(&self->ring, 1, 1);
	ASSERT_QUIET(&self->ring);
	ASSERT_BUFS_RECEIVED(0, NR_BUFS);
	ASSERT_BUFS_RECEIVED(0, NR_BUFS);
	/* slot 0 still holds a notifier: no buffer goes */
	ASSERT_NOTIF(&self->ring, TAG(1), 0);
	ASSERT_QUIET(&self->ring);
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_TAGS_AND_NOTIFS(1);
}

/* From one ring to another, which goes on as the first one is closed, and back. */
TEST_F(table, contract_06_cloned_in_flight)
{
	struct io_uring other, *a = &self->ring, *b = &other;
	unsigned int round;

	for (round = 0; round < 2; round++) {
		const unsigned int part = NR_BUFS / 4;

		ASSERT_EQ(0, ring_init(b, variant->setup));
		ASSERT_EQ(0, register_slots(b, 2));
		NEW_PAGES(5 + round);
		ASSERT_EQ(0, register_table(a, self->pages, false));
		SEND_BUFS(a, 0, part, 0, false);
		ASSERT_EQ(0, clone_table(b, a));
		SEND_BUFS(b, part, part, 0, true);
		ASSERT_EQ(0, unregister_table(a));
		ASSERT_EQ(0, clone_table(a, b));
		SEND_BUFS(a, 2 * part, part, 0, false);
		SEND_BUFS(b, 3 * part, part, 1, false);

		/* close the ring that the table came from, or went to */
		if (round) {
			const struct io_uring swap = *a;

			*a = *b;
			*b = swap;
		}
		ring_exit(b);
		ASSERT_EQ(0, unregister_table(a));
		lose_pages(self->pages, PAGES_LEN);
		ASSERT_FLUSH(a, 0, 2);
		ASSERT_QUIET(a);
		ASSERT_BUFS_RECEIVED(0, NR_BUFS);
		if (round)
			ASSERT_NOTIFS(a, 0, 2, 0);
		else
			ASSERT_NOTIF(a, TAG(0), 0);
	}
}

NOTIF_TEST_MAIN
