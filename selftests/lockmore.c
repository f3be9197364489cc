// SPDX-License-Identifier: GPL-2.0
/*
 * What counts against RLIMIT_MEMLOCK of slots that merge, that copy short segments,
 * that fall back to copying, and of requests of many datagrams; and until when.
 */
#include "account.h"
#include "answers.h"
#include "process.h"

#define FLUSH	IORING_RECVSEND_NOTIF_FLUSH
#define NR	8	/* datagrams */

enum { MERGED, GROUP, BY_HUNDRED, SEGMENTS, COPYING, PLAIN, NR_SLOTS };

static const struct io_uring_notification_slot lock_slots[NR_SLOTS] = {
	[MERGED] = { .tag = TAG(MERGED), .flags = IORING_NOTIF_SLOT_MERGE,
		     .flush_after = 1 },
	[GROUP] = { .tag = TAG(GROUP), .flags = IORING_NOTIF_SLOT_MERGE },
	[BY_HUNDRED] = { .tag = TAG(BY_HUNDRED), .flush_after = 100,
			 .flags = IORING_NOTIF_SLOT_MERGE },
	[SEGMENTS] = { .tag = TAG(SEGMENTS), .copy_below = 256,
		       .flags = IORING_NOTIF_SLOT_SEGMENTS },
	[COPYING] = { .tag = TAG(COPYING), .copy_below = ~0U,
		      .flags = IORING_NOTIF_SLOT_FALLBACK },
	[PLAIN] = { .tag = TAG(PLAIN) },
};

FIXTURE(lockmore)
{
	struct io_uring ring;
	struct io_uring probe;	/* see locked_pages() */
	struct pair tcp;	/* its receiver doesn't read by itself */
	struct pair udp;
	char *data;		/* DATA_PAGES */
	char *page;
	long base;
	struct io_uring_dgram dgrams[NR];
};

#define DATA_PAGES	160	/* more than the receiver has room for */
#define DATA_LEN	(DATA_PAGES * page_size())

RING_VARIANTS_SQPOLL(lockmore);

/* The rings belong to a user without CAP_IPC_LOCK, the sockets need root. */
FIXTURE_SETUP(lockmore)
{
	OPEN_PAIR(&self->tcp, NET_LO, AF_INET, SOCK_STREAM, .unread = true);
	OPEN_PAIR(&self->udp, NET_LO, AF_INET, SOCK_DGRAM);
	self->data = map_pages(DATA_LEN);
	self->page = map_pages(4096);
	ASSERT_NE(NULL, self->data);
	ASSERT_NE(NULL, self->page);
	fill_pattern(self->data, DATA_LEN, 81);
	ASSERT_EQ(0, be_limited_user());
	ASSERT_EQ(0, ring_init(&self->probe, 0));
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, register_slots_as(&self->ring, lock_slots, NR_SLOTS, 0));
	self->base = locked_pages(&self->probe, self->page);
	ASSERT_LE(0, self->base);
}

FIXTURE_TEARDOWN(lockmore)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
	ring_exit(&self->probe);
	pair_close(&self->tcp);
	pair_close(&self->udp);
}

/* The user has so many pages locked, beyond what he had at the beginning. */
#define ASSERT_LOCKED(_pages)						\
	ASSERT_EQ(self->base + (long)(_pages),				\
		  locked_pages(&self->probe, self->page))

/* Until the CQE that is the notification, and no longer. */
TEST_F(lockmore, contract_13_locked_until_its_cqe)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		prep_slot_send(&self->ring, self->tcp.tx, self->data, DATA_LEN,
			       MERGED, 0);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_QUIET(&self->ring);
		ASSERT_LOCKED(DATA_PAGES);
		ASSERT_RECEIVED(&self->tcp, self->data, DATA_LEN);
		ASSERT_CQE(&self->ring, REQ(0), DATA_LEN, 0);
		ASSERT_LOCKED(0);
	}
	/* of a bearer that fails, and one that is silent */
	for (i = 0; i < 2; i++) {
		prep_slot_send(&self->ring, self->tcp.tx, self->data, DATA_LEN,
			       GROUP, 0);
		prep_slot_send(&self->ring, i ? self->udp.tx : -1, self->data,
			       100, GROUP, FLUSH)->flags = IOSQE_CQE_SKIP_SUCCESS;
		ASSERT_SUBMIT(&self->ring, 2);
		ASSERT_CQE(&self->ring, REQ(0), DATA_LEN, 0);
		ASSERT_QUIET(&self->ring);
		ASSERT_LOCKED(DATA_PAGES + 1);
		ASSERT_RECEIVED(&self->tcp, self->data, DATA_LEN);
		if (!i)
			ASSERT_CQE(&self->ring, REQ(0), -EBADF, 0);
		ASSERT_QUIET(&self->ring);
		ASSERT_LOCKED(0);
	}
}

/* Refused for its pages: never attached, so its own CQE, and at once. */
TEST_F(lockmore, contract_13_refused_for_its_pages)
{
	unsigned int i;

	prep_slot_send(&self->ring, self->tcp.tx, self->data, DATA_LEN, MERGED, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_QUIET(&self->ring);
	ASSERT_EQ(0, set_limit(self->base + DATA_PAGES));
	for (i = 0; i < 2; i++) {
		prep_slot_send(&self->ring, self->udp.tx, self->data, 1,
			       i ? GROUP : MERGED, FLUSH)->user_data = REQ(1);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(1), -ENOMEM, 0);
	}
	ASSERT_RECEIVED(&self->tcp, self->data, DATA_LEN);
	ASSERT_CQE(&self->ring, REQ(0), DATA_LEN, 0);
	prep_slot_send(&self->ring, self->udp.tx, self->data, 1, MERGED, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 1, 0);
	ASSERT_EQ(0, set_limit(MAX_PAGES));
	ASSERT_LOCKED(0);
	ASSERT_FLUSH(&self->ring, GROUP, 1);
	ASSERT_QUIET(&self->ring);
}

/*
 * A refusal flushes the slots that flush themselves, by clause 4. No request bears
 * the notification then, and what comes next is counted anew.
 */
TEST_F(lockmore, contract_13_refusal_flushes_without_a_bearer)
{
	unsigned int i, seq;

	for (seq = 0; seq < 3; seq++) {
		ASSERT_EQ(0, set_limit(self->base + 2));
		for (i = 0; i < 3; i++) {
			prep_slot_send(&self->ring, self->udp.tx, self->data, 100,
				       BY_HUNDRED, 0)->user_data = REQ(i);
			ASSERT_SUBMIT(&self->ring, 1);
			ASSERT_CQE(&self->ring, REQ(i), i < 2 ? 100 : -ENOMEM, 0);
		}
		ASSERT_NOTIF(&self->ring, TAG(BY_HUNDRED), seq);
		ASSERT_QUIET(&self->ring);
		ASSERT_EQ(0, set_limit(MAX_PAGES));
		ASSERT_LOCKED(0);
	}
	for (i = 0; i < 100; i++) {
		prep_slot_send(&self->ring, self->udp.tx, self->data, 1,
			       BY_HUNDRED, 0)->user_data = REQ(i);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(i), 1, 0);
	}
	ASSERT_FLUSH(&self->ring, BY_HUNDRED, 1);
	ASSERT_QUIET(&self->ring);
	ASSERT_LOCKED(0);
}

/* A request that falls back to copying, and all copied ones, have nothing locked. */
TEST_F(lockmore, contract_14_copies_are_not_counted)
{
	char *got = malloc(4000);
	int fds[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	ASSERT_EQ(0, set_limit(self->base));
	prep_slot_send(&self->ring, fds[0], self->data, 4000, COPYING, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 4000, 0);
	ASSERT_EQ(4000, recv(fds[1], got, 4000, 0));
	ASSERT_EQ(0, memcmp(got, self->data, 4000));
	ASSERT_EQ(0, set_limit(MAX_PAGES));
	ASSERT_LOCKED(0);
	ASSERT_FLUSH(&self->ring, COPYING, 1);
	ASSERT_NOTIF(&self->ring, TAG(COPYING), 0);
	close(fds[0]);
	close(fds[1]);
	free(got);
}

/* All of its segments, also the short ones; none if all of it is copied. */
TEST_F(lockmore, contract_15_all_segments_are_counted)
{
	const unsigned int p = page_size();
	struct iovec iov[] = {
		{ self->data + p - 10, 20 }, { self->data + 4 * p, p },
		{ self->data + 8 * p, 24 },
	};
	unsigned int seq;

	for (seq = 0; seq < 2; seq++) {
		const unsigned int len = seq ? 60 : p + 44;

		iov[1].iov_len = seq ? 16 : p;
		prep_slot_send(&self->ring, self->tcp.tx, iov, 3, SEGMENTS,
			       IORING_SEND_VECTORIZED);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), len, 0);
		ASSERT_LOCKED(seq ? 0 : 2 + 1 + 1);
		ASSERT_RECEIVED(&self->tcp, iov[0].iov_base, iov[0].iov_len);
		ASSERT_RECEIVED(&self->tcp, iov[1].iov_base, iov[1].iov_len);
		ASSERT_RECEIVED(&self->tcp, iov[2].iov_base, iov[2].iov_len);
		ASSERT_FLUSH(&self->ring, SEGMENTS, 1);
		ASSERT_NOTIF(&self->ring, TAG(SEGMENTS), seq);
		ASSERT_LOCKED(0);
	}
}

/* Datagrams here and there; returns in how many pages they lie. */
static long fill_paged(FIXTURE_DATA(lockmore) *self)
{
	const unsigned int p = page_size();
	long pages = 0;
	unsigned int i;

	memset(self->dgrams, 0, sizeof(self->dgrams));
	for (i = 0; i < NR; i++) {
		char *data = self->data + 4 * i * p + (i & 1 ? p - 1 : 0);

		self->dgrams[i].addr = (unsigned long)data;
		self->dgrams[i].len = i & 2 ? p + 1 : 2;
		pages += pages_of(data, self->dgrams[i].len);
	}
	return pages;
}

#define MANY(_slot, _ioprio)						\
	prep_slot_send(&self->ring, self->udp.tx, self->dgrams, NR, _slot, \
		       IORING_SEND_ZC_MANY | (_ioprio))

/* The pages of each datagram, to the page; none of a registered buffer, or copied. */
TEST_F(lockmore, contract_16_counted_to_the_page)
{
	struct iovec iov = { self->data, DATA_LEN };
	const long pages = fill_paged(self);
	struct answers all;
	unsigned int seq;

	for (seq = 0; seq < 3; seq++) {
		ASSERT_EQ(0, set_limit(self->base + pages - 1));
		MANY(PLAIN, 0);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), -ENOMEM, 0);
		ASSERT_EQ(0, set_limit(self->base + pages));
		MANY(PLAIN, 0);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), NR, 0);
		ASSERT_EQ(0, set_limit(MAX_PAGES));
		ASSERT_LOCKED(pages);
		ASSERT_FLUSH(&self->ring, PLAIN, 1);
		ASSERT_NOTIF(&self->ring, TAG(PLAIN), seq);
		ASSERT_LOCKED(0);
	}
	/* one that is merged has nothing locked by its CQE */
	MANY(MERGED, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), NR, 0);
	ASSERT_LOCKED(0);
	MANY(COPYING, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), NR, 0);
	ASSERT_LOCKED(0);
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	ASSERT_LOCKED(DATA_PAGES);
	MANY(PLAIN, IORING_RECVSEND_FIXED_BUF);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), NR, 0);
	ASSERT_LOCKED(DATA_PAGES);
	ASSERT_FLUSH(&self->ring, 0, NR_SLOTS);
	TAKE(&all, 2);
	ASSERT_HAS_NOTIF(&all, TAG(COPYING), 0);
	ASSERT_HAS_NOTIF(&all, TAG(PLAIN), seq);
}

/* An array that is refused, or fails, has nothing locked either. */
TEST_F(lockmore, contract_16_given_back_when_it_fails)
{
	fill_paged(self);
	self->dgrams[NR - 1].resv = 1;
	MANY(PLAIN, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), -EINVAL, 0);
	ASSERT_LOCKED(0);
	self->dgrams[NR - 1].resv = 0;
	self->dgrams[NR / 2].len = 70000;
	MANY(MERGED, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), NR / 2, 0);
	ASSERT_LOCKED(0);
	/* not even for the 2^32 pages that a whole array can name */
	self->dgrams[0].len = ~0U;
	MANY(PLAIN, FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), -ENOMEM, 0);
	ASSERT_LOCKED(0);
}

NOTIF_TEST_MAIN
