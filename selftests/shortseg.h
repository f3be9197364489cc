/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A fixture of slots with IORING_NOTIF_SLOT_SEGMENTS, and vectors for them. Who
 * includes it adds the variants.
 */
#ifndef NOTIF_TEST_SHORTSEG_H
#define NOTIF_TEST_SHORTSEG_H

#include "answers.h"

#define FLUSH		IORING_RECVSEND_NOTIF_FLUSH
#define REPORT		IORING_SEND_ZC_REPORT_USAGE
#define SHORT		256	/* shorter segments are copied */
#define MAX_SEGS	64
#define DATA_LEN	(256U << 10)

enum { SEGMENTS, WITHOUT, MERGED, NR_SLOTS };

static const struct io_uring_notification_slot segment_slots[NR_SLOTS] = {
	[SEGMENTS] = { .tag = TAG(SEGMENTS), .copy_below = SHORT,
		       .flags = IORING_NOTIF_SLOT_SEGMENTS },
	[WITHOUT] = { .tag = TAG(WITHOUT), .copy_below = SHORT },
	[MERGED] = { .tag = TAG(MERGED), .copy_below = SHORT, .flush_after = 1,
		     .flags = IORING_NOTIF_SLOT_SEGMENTS |
			      IORING_NOTIF_SLOT_MERGE },
};

/* Lengths of segments, up to the first 0 but one; 0 is an empty one. */
struct shape {
	unsigned int nr;
	unsigned int len[10];
};

static const struct shape shapes[] = {
	{ 2, { 24, 4096 } },
	{ 2, { 4096, 24 } },
	{ 4, { 24, 4096, 24, 4096 } },
	{ 3, { 4096, 24, 4096 } },
	{ 2, { SHORT - 1, SHORT } },
	{ 2, { SHORT, SHORT - 1 } },
	{ 5, { 0, 24, 0, 4096, 0 } },
	{ 6, { 1, 1, 1, 1, 1, 5000 } },
	{ 3, { 1, 8191, 1 } },
	{ 10, { 255, 255, 256, 255, 255, 256, 1, 2, 3, 300 } },
	/* all of it is short, or would be if it were not a vector */
	{ 3, { 10, 20, 30 } },
	{ 3, { 200, 200, 200 } },
	{ 1, { 24 } },
	{ 1, { 4096 } },
};

#define ONE_PAGE_AT_A_TIME	"/proc/sys/net/core/high_order_alloc_disable"

/* Set a number in /proc/sys, and return what it was. */
static inline long set_sysctl(const char *path, long value)
{
	FILE *file = fopen(path, "r+");
	long before = -1;

	if (!file)
		return -1;
	if (fscanf(file, "%ld", &before) == 1) {
		rewind(file);
		fprintf(file, "%ld\n", value);
	}
	fclose(file);
	return before;
}

FIXTURE(shortseg)
{
	struct io_uring ring;
	struct pair net;
	char *data;		/* DATA_LEN bytes, and registered buffer 0 */
	char *want;		/* what a vector makes of them */
	struct iovec iov[MAX_SEGS];
	struct msghdr msg;
	unsigned int seq[NR_SLOTS];
	long one_page;		/* the sysctl before the test, -1: as it was */
};

FIXTURE_VARIANT(shortseg)
{
	unsigned int setup;
	enum net_link link;
	int type;
};

FIXTURE_SETUP(shortseg)
{
	struct iovec iov = { .iov_len = DATA_LEN };

	self->one_page = -1;
	OPEN_PAIR(&self->net, variant->link, AF_INET, variant->type,
		  .unread = variant->type == SOCK_STREAM);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	self->data = map_pages(DATA_LEN);
	self->want = malloc(DATA_LEN);
	ASSERT_NE(NULL, self->data);
	fill_pattern(self->data, DATA_LEN, 71);
	iov.iov_base = self->data;
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	ASSERT_EQ(0, register_slots_as(&self->ring, segment_slots, NR_SLOTS, 0));
}

FIXTURE_TEARDOWN(shortseg)
{
	if (self->one_page >= 0)
		set_sysctl(ONE_PAGE_AT_A_TIME, self->one_page);
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
	pair_close(&self->net);
}

/* Segments that lie here and there; returns how many bytes they are. */
static inline unsigned int make_vector(FIXTURE_DATA(shortseg) *self,
				       const unsigned int *len,
				       unsigned int nr, unsigned int seed)
{
	unsigned int i, off = seed * 13 % 4096, total = 0;

	for (i = 0; i < nr; i++) {
		self->iov[i] = (struct iovec){ self->data + off, len[i] };
		memcpy(self->want + total, self->data + off, len[i]);
		off += len[i] + 70;
		total += len[i];
	}
	self->msg = (struct msghdr){ .msg_iov = self->iov, .msg_iovlen = nr };
	return total;
}

static inline struct io_uring_sqe *
prep_vector(FIXTURE_DATA(shortseg) *self, bool msg, unsigned int slot,
	    unsigned int ioprio)
{
	if (msg)
		return prep_slot_sendmsg(&self->ring, self->net.tx, &self->msg,
					 slot, ioprio);
	return prep_slot_send(&self->ring, self->net.tx, self->iov,
			      self->msg.msg_iovlen, slot,
			      ioprio | IORING_SEND_VECTORIZED);
}

#define ASSERT_VECTOR_RECEIVED(_len) do {				\
	if (self->net.rx >= 0)						\
		ASSERT_RECEIVED(&self->net, self->want, _len);		\
} while (0)

#endif
