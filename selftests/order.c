// SPDX-License-Identifier: GPL-2.0
/*
 * A registered buffer whose tag says that it has gone: not before the requests
 * that used it have been answered, although the table has forgotten it.
 */
#include "fixture.h"

#define DATA_LEN	8192
#define NR_REQS		3
#define BYTE		0x5a
#define BUF_TAG		0xb000000ULL

FIXTURE(order)
{
	struct io_uring ring;
	struct pair net;
	size_t filled;
	char *data;	/* DATA_LEN times BYTE, however they are mixed */
};

FIXTURE_VARIANT(order)
{
	unsigned int setup;
	bool armed;	/* the requests wait for space as the buffer goes */
};

FIXTURE_VARIANT_ADD(order, plain) { .setup = 0 };
FIXTURE_VARIANT_ADD(order, defer) { .setup = RING_DEFER };
FIXTURE_VARIANT_ADD(order, sqpoll) { .setup = IORING_SETUP_SQPOLL };
FIXTURE_VARIANT_ADD(order, plain_armed) { .setup = 0, .armed = true };
FIXTURE_VARIANT_ADD(order, defer_armed) { .setup = RING_DEFER, .armed = true };
FIXTURE_VARIANT_ADD(order, sqpoll_armed) {
	.setup = IORING_SETUP_SQPOLL, .armed = true
};

FIXTURE_SETUP(order)
{
	struct iovec iov = { .iov_len = DATA_LEN };
	const __u64 tag = BUF_TAG;
	const struct io_uring_rsrc_register reg = {
		.nr = 1,
		.data = (unsigned long)&iov,
		.tags = (unsigned long)&tag,
	};

	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_STREAM,
		  .full = variant->armed);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, register_slots(&self->ring, 2));
	self->data = map_pages(DATA_LEN);
	ASSERT_NE(NULL, self->data);
	memset(self->data, BYTE, DATA_LEN);
	iov.iov_base = self->data;
	ASSERT_EQ(0, ring_register(&self->ring, IORING_REGISTER_BUFFERS2, &reg,
				   sizeof(reg)));
	if (variant->armed)
		self->filled = fill_socket(self->net.tx);
}

FIXTURE_TEARDOWN(order)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
	pair_close(&self->net);
}

static int unregister_buffer(struct io_uring *ring)
{
	return ring_register(ring, IORING_UNREGISTER_BUFFERS, NULL, 0);
}

/* There is a table, but no buffer in it. */
static int update_to_none(struct io_uring *ring)
{
	struct iovec none = {};
	const struct io_uring_rsrc_update2 update = {
		.data = (unsigned long)&none, .nr = 1,
	};

	return ring_register(ring, IORING_REGISTER_BUFFERS_UPDATE, &update,
			     sizeof(update)) == 1 ? 0 : -EIO;
}

/* Two requests in slot 0, the last of which flushes it, and one in slot 1. */
static void prep_all(FIXTURE_DATA(order) *self)
{
	unsigned int i;

	for (i = 0; i < NR_REQS; i++) {
		struct io_uring_sqe *sqe;

		sqe = prep_slot_send(&self->ring, self->net.tx, self->data,
				     DATA_LEN, i == 2, IORING_RECVSEND_FIXED_BUF |
				     (i ? IORING_RECVSEND_NOTIF_FLUSH : 0));
		sqe->user_data = REQ(i);
	}
}

/* Every request is answered before its notification, and all before the tag. */
static void assert_order(struct __test_metadata *_metadata,
			 FIXTURE_DATA(order) *self)
{
	/* a bit each: requests, those of each slot, notifications */
	const unsigned int all = (1U << NR_REQS) - 1, of_slot[] = { 3, 4 };
	unsigned int answered = 0, notified = 0, tagged = 0, i;
	struct io_uring_cqe cqe;
	__u64 nr;

	for (i = 0; i < NR_REQS + 2 + 1; i++) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe))
			TH_LOG("lost: after %u of %u CQEs", i, NR_REQS + 2 + 1);
		if (cqe.user_data == BUF_TAG) {
			ASSERT_EQ(all, answered)
				TH_LOG("the tag before a request");
			ASSERT_EQ(0, tagged++);
		} else if (cqe.user_data < TAG(0)) {
			nr = cqe.user_data - REQ(0);
			ASSERT_LT(nr, NR_REQS);
			ASSERT_EQ(DATA_LEN, cqe.res);
			ASSERT_EQ(0, answered & 1U << nr);
			answered |= 1U << nr;
		} else {
			nr = cqe.user_data - TAG(0);
			ASSERT_LT(nr, 2);
			ASSERT_EQ(notif_flags(0), cqe.flags);
			ASSERT_EQ(of_slot[nr], answered & of_slot[nr]);
			ASSERT_EQ(0, notified & 1U << nr);
			notified |= 1U << nr;
		}
	}
}

/* Read all that was sent, with the ring going on in between. */
static int read_all(FIXTURE_DATA(order) *self)
{
	size_t len = self->filled + NR_REQS * DATA_LEN, i;
	char *got = malloc(len);
	int ret = receive_with_ring(&self->ring, self->net.rx, got, len);

	for (i = self->filled; i < len && !ret; i++)
		ret = got[i] == BYTE ? 0 : -EILSEQ;
	free(got);
	return ret;
}

static void buffer_goes(struct __test_metadata *_metadata,
			FIXTURE_DATA(order) *self,
			const FIXTURE_VARIANT(order) *variant,
			int (*forget)(struct io_uring *ring))
{
	prep_all(self);
	ASSERT_SUBMIT(&self->ring, NR_REQS);
	if (variant->armed)
		ASSERT_QUIET(&self->ring);
	ASSERT_EQ(0, forget(&self->ring));
	lose_pages(self->data, DATA_LEN);
	if (variant->armed)
		ASSERT_QUIET(&self->ring);
	ASSERT_EQ(0, read_all(self));
	assert_order(_metadata, self);
}

TEST_F(order, contract_06_tag_after_the_request)
{
	buffer_goes(_metadata, self, variant, unregister_buffer);
}

TEST_F(order, contract_06_tag_after_the_request_of_a_replaced_buffer)
{
	buffer_goes(_metadata, self, variant, update_to_none);
}

NOTIF_TEST_MAIN
