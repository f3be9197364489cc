/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A fixture of slots with IORING_NOTIF_SLOT_FALLBACK and a socket that can't send
 * without copying, and what is so with every such socket. Who includes it adds the
 * variants.
 */
#ifndef NOTIF_TEST_FALLBACK_H
#define NOTIF_TEST_FALLBACK_H

#include "answers.h"
#include "protocols.h"

#define LEN		4000
#define BIG_LEN		(512U << 10)	/* more than the receiver takes unread */
#define FLUSH		IORING_RECVSEND_NOTIF_FLUSH
#define REPORT		IORING_SEND_ZC_REPORT_USAGE

enum { FALLBACK, MERGED, MERGED_GROUP, REFUSED, MERGED_REFUSED, NR_SLOTS };

static const struct io_uring_notification_slot fallback_slots[NR_SLOTS] = {
	[FALLBACK] = { .tag = TAG(FALLBACK),
		       .flags = IORING_NOTIF_SLOT_FALLBACK },
	[MERGED] = { .tag = TAG(MERGED), .flush_after = 1,
		     .flags = IORING_NOTIF_SLOT_FALLBACK |
			      IORING_NOTIF_SLOT_MERGE },
	[MERGED_GROUP] = { .tag = TAG(MERGED_GROUP),
			   .flags = IORING_NOTIF_SLOT_FALLBACK |
				    IORING_NOTIF_SLOT_MERGE },
	[REFUSED] = { .tag = TAG(REFUSED) },
	[MERGED_REFUSED] = { .tag = TAG(MERGED_REFUSED), .flush_after = 1,
			     .flags = IORING_NOTIF_SLOT_MERGE },
};

/* A protocol of protocols.h, or none and a type of AF_UNIX. */
enum { UNIX = -1 };

FIXTURE(fallback)
{
	struct io_uring ring;
	struct pair net;
	struct pair good;	/* one that sends without copying */
	char *data;		/* BIG_LEN bytes, and registered buffer 0 */
	char *got;
	struct iovec iov[2];
	struct msghdr msg;
};

FIXTURE_VARIANT(fallback)
{
	unsigned int setup;
	int protocol;
	int type;
};

static inline int open_unix(struct pair *p, int type)
{
	struct timeval tv = { .tv_sec = 15 };
	int fds[2];

	if (socketpair(AF_UNIX, type, 0, fds))
		return -errno;
	*p = (struct pair){ .tx = fds[0], .rx = fds[1] };
	setsockopt(p->rx, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	return 0;
}

FIXTURE_SETUP(fallback)
{
	struct iovec iov = { .iov_len = BIG_LEN };
	int ret;

	if (variant->protocol == UNIX)
		ret = open_unix(&self->net, variant->type);
	else
		ret = open_protocol(&self->net, variant->protocol);
	if (is_missing(ret))
		SKIP(return, "the kernel has no such sockets: %s", strerror(-ret));
	ASSERT_EQ(0, ret);
	OPEN_PAIR(&self->good, NET_LO, AF_INET, SOCK_STREAM, .unread = true);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	self->data = map_pages(BIG_LEN);
	self->got = malloc(BIG_LEN);
	ASSERT_NE(NULL, self->data);
	fill_pattern(self->data, BIG_LEN, 51);
	iov.iov_base = self->data;
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	ASSERT_EQ(0, register_slots_as(&self->ring, fallback_slots, NR_SLOTS, 0));
}

FIXTURE_TEARDOWN(fallback)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
	pair_close(&self->net);
	pair_close(&self->good);
}

/* The forms in which a request can have its bytes. */
enum form { PLAIN, FIXED, VECTOR, FIXED_VECTOR, MSG, FIXED_MSG, NR_FORMS };

static inline struct io_uring_sqe *prep_form(FIXTURE_DATA(fallback) *self,
					     enum form form, unsigned int len,
					     unsigned int slot,
					     unsigned int ioprio)
{
	const unsigned int part = len / 3;

	self->iov[0] = (struct iovec){ self->data, part };
	self->iov[1] = (struct iovec){ self->data + part, len - part };
	self->msg = (struct msghdr){ .msg_iov = self->iov, .msg_iovlen = 2 };
	if (form == FIXED || form == FIXED_VECTOR || form == FIXED_MSG)
		ioprio |= IORING_RECVSEND_FIXED_BUF;
	if (form == MSG || form == FIXED_MSG)
		return prep_slot_sendmsg(&self->ring, self->net.tx, &self->msg,
					 slot, ioprio);
	if (form == VECTOR || form == FIXED_VECTOR)
		return prep_slot_send(&self->ring, self->net.tx, self->iov, 2,
				      slot, ioprio | IORING_SEND_VECTORIZED);
	return prep_slot_send(&self->ring, self->net.tx, self->data, len, slot,
			      ioprio);
}

static const unsigned int lens[] = { 3, 999, LEN };

/* Every form, in line and by io-wq, and the notification that it was copied. */
static inline void assert_copied(struct __test_metadata *_metadata,
				 FIXTURE_DATA(fallback) *self)
{
	unsigned int i, seq = 0;

	for (i = 0; i < 2 * NR_FORMS * ARRAY_SIZE(lens); i++) {
		const unsigned int len = lens[i % ARRAY_SIZE(lens)];
		const enum form form = i / ARRAY_SIZE(lens) % NR_FORMS;
		const bool report = seq & 1;

		prep_form(self, form, len, FALLBACK,
			  FLUSH | (report ? REPORT : 0))->flags =
			i / ARRAY_SIZE(lens) / NR_FORMS ? IOSQE_ASYNC : 0;
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), len, 0);
		ASSERT_CQE(&self->ring, TAG(FALLBACK),
			   report ? IORING_NOTIF_USAGE_ZC_COPIED : 0,
			   notif_flags(seq++));
		ASSERT_RECEIVED(&self->net, self->data, len);
	}
	ASSERT_QUIET(&self->ring);
}

/* One path for every socket: one CQE, and the buffer is the program's at once. */
static inline void assert_merged(struct __test_metadata *_metadata,
				 FIXTURE_DATA(fallback) *self)
{
	char *want = malloc(LEN);
	unsigned int i;

	for (i = 0; i < 2 * NR_FORMS; i++) {
		const bool report = i & 1;

		fill_pattern(self->data, LEN, i);
		memcpy(want, self->data, LEN);
		prep_form(self, i % NR_FORMS, LEN, MERGED,
			  report ? REPORT : 0)->flags =
			i < NR_FORMS ? 0 : IOSQE_ASYNC;
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), LEN,
			   report ? IORING_CQE_F_ZC_COPIED : 0);
		memset(self->data, 0xee, LEN);
		ASSERT_RECEIVED(&self->net, want, LEN);
	}
	ASSERT_QUIET(&self->ring);
	free(want);
}

/* More than there is room for: it waits, is whole, and the chain goes on. */
static inline void assert_waits(struct __test_metadata *_metadata,
				FIXTURE_DATA(fallback) *self,
				const FIXTURE_VARIANT(fallback) *variant)
{
	/* a message is never split, and has to have room as a whole */
	const bool message = variant->type != SOCK_STREAM ||
			     variant->protocol == SCTP;
	const unsigned int len = !message ? BIG_LEN :
				 variant->type == SOCK_DGRAM ? 1000 : 60000;
	const unsigned int nr = !message ? 1 : 24;
	unsigned int i, j;

	if (!message)
		setsockopt_int(self->net.tx, SOL_SOCKET, SO_SNDBUF, 32 << 10);
	for (i = 0; i < 4; i++) {
		struct io_uring_sqe *sqe;

		for (j = 0; j < nr; j++) {
			sqe = prep_form(self, i & 1 ? FIXED : PLAIN, len, MERGED, 0);
			sqe->msg_flags = 0;
			sqe->flags = IOSQE_IO_LINK | (i & 2 ? IOSQE_ASYNC : 0);
		}
		sqe->flags &= ~IOSQE_IO_LINK;
		ASSERT_SUBMIT(&self->ring, nr);
		for (j = 0; j < nr; j++) {
			ASSERT_EQ(0, receive_with_ring(&self->ring, self->net.rx,
						       self->got, len));
			ASSERT_EQ(0, memcmp(self->got, self->data, len));
		}
		for (j = 0; j < nr; j++)
			ASSERT_CQE(&self->ring, REQ(0), len, 0);
	}
	ASSERT_QUIET(&self->ring);
}

#endif
