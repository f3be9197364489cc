// SPDX-License-Identifier: GPL-2.0
/* copy_below: what is copied, that it may be written to again, who is told. */
#include "fixture.h"

#define MAX_LEN		8000
#define THRESHOLD	1000
#define SHORTEST	6	/* that makes three pieces */

/* The forms in which a request can have its bytes. */
enum form { PLAIN, FIXED, VECTOR, FIXED_VECTOR, MSG, FIXED_MSG, NR_FORMS };

FIXTURE(copy)
{
	struct io_uring ring;
	struct pair net;
	char *data;		/* MAX_LEN bytes, registered buffer 0 */
	struct iovec iov[3];
	struct msghdr msg;
};

FIXTURE_VARIANT(copy)
{
	unsigned int setup;
	enum net_link link;
	int type;
};

#define COPY_VARIANTS(name, ...)					\
	FIXTURE_VARIANT_ADD(copy, name##_plain) {			\
		.setup = 0, __VA_ARGS__					\
	};								\
	FIXTURE_VARIANT_ADD(copy, name##_defer) {			\
		.setup = RING_DEFER, __VA_ARGS__			\
	}

/* nothing but the threshold makes a copy there, and nobody receives */
COPY_VARIANTS(dummy, .link = NET_DUMMY, .type = SOCK_DGRAM);
COPY_VARIANTS(lo_udp, .link = NET_LO, .type = SOCK_DGRAM);
COPY_VARIANTS(lo_tcp, .link = NET_LO, .type = SOCK_STREAM);
COPY_VARIANTS(nic_udp, .link = NET_NIC, .type = SOCK_DGRAM);
COPY_VARIANTS(nic_tcp, .link = NET_NIC, .type = SOCK_STREAM);

FIXTURE_SETUP(copy)
{
	const struct io_uring_notification_slot slots[] = {
		{ .tag = TAG(0), .copy_below = THRESHOLD },
		{ .tag = TAG(1), .copy_below = SHORTEST + 1 },
		{ .tag = TAG(2), .copy_below = ~0U },
		{ .tag = TAG(3) },
	};
	struct iovec iov = { .iov_len = MAX_LEN };

	OPEN_PAIR(&self->net, variant->link, AF_INET, variant->type,
		  .unread = variant->type == SOCK_STREAM);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	self->data = mmap(NULL, MAX_LEN, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->data);
	fill_pattern(self->data, MAX_LEN, 4);
	iov.iov_base = self->data;
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	ASSERT_EQ(0, register_slots_as(&self->ring, slots, ARRAY_SIZE(slots), 0));
}

FIXTURE_TEARDOWN(copy)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
	pair_close(&self->net);
}

/* The first @len bytes of the data, in one piece or in three that are shorter. */
static struct io_uring_sqe *prep_form(FIXTURE_DATA(copy) *self, enum form form,
				      unsigned int len, unsigned int slot,
				      unsigned int ioprio)
{
	const unsigned int a = len / 3, b = len / 2;
	struct io_uring_sqe *sqe;

	self->iov[0] = (struct iovec){ self->data, a };
	self->iov[1] = (struct iovec){ self->data + a, b - a };
	self->iov[2] = (struct iovec){ self->data + b, len - b };
	self->msg = (struct msghdr){ .msg_iov = self->iov, .msg_iovlen = 3 };

	if (form == FIXED || form == FIXED_VECTOR || form == FIXED_MSG)
		ioprio |= IORING_RECVSEND_FIXED_BUF;
	if (form == MSG || form == FIXED_MSG)
		return prep_slot_sendmsg(&self->ring, self->net.tx, &self->msg,
					 slot, ioprio);
	if (form == PLAIN || form == FIXED)
		return prep_slot_send(&self->ring, self->net.tx, self->data, len,
				      slot, ioprio);
	sqe = prep_slot_send(&self->ring, self->net.tx, self->iov, 3, slot,
			     ioprio | IORING_SEND_VECTORIZED);
	return sqe;
}

static const unsigned int lens[] = {
	SHORTEST, THRESHOLD - 1, THRESHOLD, THRESHOLD + 1, 1400
};

/* Where the receiver is on this machine it must not hold the sender's pages. */
static bool link_copies(enum net_link link)
{
	return link == NET_LO;
}

/*
 * Notifications by slot and sequence number. They are not waited for one by one:
 * a TCP peer may take its time for an ACK.
 */
struct told {
	__s32 res[8][64];
	__u64 came[8];
	unsigned int nr;
};

static void take_cqe(struct __test_metadata *_metadata, struct io_uring *ring,
		     struct told *told, struct io_uring_cqe *cqe)
{
	unsigned int seq;
	__u64 slot;

	ASSERT_EQ(0, ring_next(ring, cqe));
	if (cqe->user_data == REQ(0))
		return;
	slot = cqe->user_data - TAG(0);
	seq = notif_seq(cqe);
	ASSERT_LT(slot, 8);
	ASSERT_LT(seq, 64);
	ASSERT_FALSE(told->came[slot] & 1ULL << seq);
	told->came[slot] |= 1ULL << seq;
	told->res[slot][seq] = cqe->res;
	told->nr++;
}

/* Send, and see that it arrives. */
#define ASSERT_SENT(_form, _len, _slot, _ioprio, _told)			\
	assert_sent(_metadata, self, _form, _len, _slot, _ioprio, _told)

static void assert_sent(struct __test_metadata *_metadata,
			FIXTURE_DATA(copy) *self, enum form form,
			unsigned int len, unsigned int slot,
			unsigned int ioprio, struct told *told)
{
	struct io_uring_cqe cqe = {};

	prep_form(self, form, len, slot, ioprio);
	ASSERT_SUBMIT(&self->ring, 1);
	do {
		take_cqe(_metadata, &self->ring, told, &cqe);
	} while (cqe.user_data != REQ(0));
	ASSERT_EQ(len, cqe.res)
		TH_LOG("form %u, slot %u", form, slot);
	ASSERT_EQ(0, cqe.flags);
	if (self->net.rx >= 0)
		ASSERT_RECEIVED(&self->net, self->data, len);
}

#define ASSERT_COPIED(_told, _slot, _seq, _copied) do {			\
	const __s32 _want = (_copied) ? IORING_NOTIF_USAGE_ZC_COPIED : 0; \
	ASSERT_EQ(_want, (_told)->res[_slot][_seq])			\
		TH_LOG("slot %u, notification %u", _slot, _seq);	\
} while (0)

/*
 * "Copied" are the requests below the threshold of their slot and no other,
 * whatever they have their bytes in; all arrive and all are attached.
 */
TEST_F(copy, contract_07_threshold)
{
	static const unsigned int copy_below[] = {
		THRESHOLD, SHORTEST + 1, ~0U, 0
	};
	const unsigned int nr = NR_FORMS * ARRAY_SIZE(lens);
	struct io_uring_cqe cqe = {};
	struct told told = {};
	unsigned int slot, i;

	for (i = 0; i < nr; i++)
		for (slot = 0; slot < ARRAY_SIZE(copy_below); slot++)
			ASSERT_SENT(i / ARRAY_SIZE(lens),
				    lens[i % ARRAY_SIZE(lens)], slot,
				    IORING_SEND_ZC_REPORT_USAGE |
				    IORING_RECVSEND_NOTIF_FLUSH, &told);
	while (told.nr < 4 * nr)
		take_cqe(_metadata, &self->ring, &told, &cqe);
	for (i = 0; i < nr; i++)
		for (slot = 0; slot < ARRAY_SIZE(copy_below); slot++)
			ASSERT_COPIED(&told, slot, i, link_copies(variant->link) ||
				      lens[i % ARRAY_SIZE(lens)] < copy_below[slot]);
}

/* The same by io-wq: one notifier for all, copied or not, and one CQE. */
TEST_F(copy, contract_07_attach_all_the_same)
{
	unsigned int i, seq;
	enum form form;

	for (form = 0; form < NR_FORMS; form++)
		for (i = 0; i < ARRAY_SIZE(lens); i++) {
			prep_form(self, form, lens[i], 0, 0)->flags =
				(form + i) % 2 ? IOSQE_ASYNC : 0;
			ASSERT_SUBMIT(&self->ring, 1);
			ASSERT_CQE(&self->ring, REQ(0), lens[i], 0);
			if (self->net.rx >= 0)
				ASSERT_RECEIVED(&self->net, self->data, lens[i]);
		}
	ASSERT_QUIET(&self->ring);
	ASSERT_FLUSH(&self->ring, 0, 4);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	/* an empty one: no byte of it was copied */
	for (seq = 1; seq < 3 && variant->type == SOCK_DGRAM; seq++) {
		prep_form(self, PLAIN, 0, 0, IORING_SEND_ZC_REPORT_USAGE |
			  IORING_RECVSEND_NOTIF_FLUSH);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), 0, 0);
		ASSERT_NOTIF(&self->ring, TAG(0), seq);
	}
}

/*
 * The program writes to what is below the threshold as soon as it has the CQE
 * of the request. The receiver has read nothing yet: with a stream most of it is
 * at the sender still, and its notifiers wait for nothing.
 */
TEST_F(copy, contract_07_overwritten_after_the_cqe)
{
	const unsigned int nr = variant->type == SOCK_STREAM ? 512 : 32;
	const unsigned int len = variant->type == SOCK_STREAM ? 999 : 500;
	char *want = malloc(nr * len);
	unsigned int i;

	for (i = 0; i < nr; i++) {
		fill_pattern(self->data, len, i);
		memcpy(want + i * len, self->data, len);
		prep_form(self, i % NR_FORMS, len, 0, i % 64 == 63 ?
			  IORING_RECVSEND_NOTIF_FLUSH : 0);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), len, 0);
		memset(self->data, 0xee, len);
		if (i % 64 == 63)
			ASSERT_NOTIF(&self->ring, TAG(0), i / 64);
	}
	ASSERT_FLUSH(&self->ring, 0, 1);
	if (nr % 64)
		ASSERT_NOTIF(&self->ring, TAG(0), nr / 64);
	/* behind a dummy it is the notifications alone that can be seen */
	if (self->net.rx >= 0)
		ASSERT_RECEIVED(&self->net, want, nr * len);
	free(want);
}

/*
 * Three requests, of which any may be copied and any may ask: the notification
 * says "copied" if one was and one asked, and nothing of the notifier before.
 */
TEST_F(copy, abi_report_usage_of_any)
{
	const bool link = link_copies(variant->link);
	struct io_uring_cqe cqe = {};
	struct told told = {};
	unsigned int seq, i;

	for (seq = 0; seq < 64; seq++)
		for (i = 0; i < 3; i++)
			ASSERT_SENT((seq + i) % NR_FORMS,
				    seq >> i & 1 ? 100 : THRESHOLD, 0,
				    (seq >> i & 8 ? IORING_SEND_ZC_REPORT_USAGE : 0) |
				    (i == 2 ? IORING_RECVSEND_NOTIF_FLUSH : 0), &told);
	while (told.nr < 64)
		take_cqe(_metadata, &self->ring, &told, &cqe);
	for (seq = 0; seq < 64; seq++)
		ASSERT_COPIED(&told, 0, seq, seq >> 3 && (link || seq & 7));
}

NOTIF_TEST_MAIN
