// SPDX-License-Identifier: GPL-2.0
/* The two formats of notifications, in rings with CQEs of every size. */
#include <assert.h>
#include <stddef.h>

#include "cqe.h"
#include "fixture.h"

/* The ABI as DESIGN has it: programs that were built with it stay. */
static_assert(IORING_SEND_ZC_NOTIF_SLOT == 1 << 6, "ioprio");
static_assert(IORING_RECVSEND_NOTIF_FLUSH == 1 << 7, "ioprio");
static_assert(IORING_OP_RSRC_UPDATE == IORING_OP_FILES_UPDATE, "opcode");
static_assert(IORING_RSRC_UPDATE_FILES == 0, "update");
static_assert(IORING_RSRC_UPDATE_NOTIF == 1, "update");
static_assert(IORING_REGISTER_NOTIFIERS == 38, "register");
static_assert(IORING_UNREGISTER_NOTIFIERS == 39, "unregister");
static_assert(IORING_MAX_NOTIF_SLOTS == 1 << 15, "slots");
static_assert(IORING_NOTIF_REG_RAW_SEQ == 1 << 0, "flags");

#define ASSERT_FIELD(_struct, _field, _off, _size)			\
	static_assert(offsetof(struct _struct, _field) == (_off) &&	\
		       sizeof(((struct _struct *)NULL)->_field) == (_size), #_field)

ASSERT_FIELD(io_uring_sqe, notification_idx, 46, 2);
ASSERT_FIELD(io_uring_notification_slot, tag, 0, 8);
ASSERT_FIELD(io_uring_notification_slot, flags, 8, 4);
ASSERT_FIELD(io_uring_notification_slot, copy_below, 12, 4);
ASSERT_FIELD(io_uring_notification_slot, flush_after, 16, 4);
ASSERT_FIELD(io_uring_notification_slot, resv, 20, 12);
static_assert(sizeof(struct io_uring_notification_slot) == 32, "size");
ASSERT_FIELD(io_uring_notification_register, nr_slots, 0, 4);
ASSERT_FIELD(io_uring_notification_register, flags, 4, 4);
ASSERT_FIELD(io_uring_notification_register, resv2, 8, 8);
ASSERT_FIELD(io_uring_notification_register, data, 16, 8);
ASSERT_FIELD(io_uring_notification_register, resv3, 24, 8);
static_assert(sizeof(struct io_uring_notification_register) == 32, "size");

FIXTURE(formats)
{
	struct io_uring ring;
	struct any_cq cq;
	struct pair net;
};

FIXTURE_VARIANT(formats)
{
	unsigned int setup;
	bool raw;
};

FIXTURE_VARIANT_ADD(formats, cqe16) { .setup = RING_DEFER };
FIXTURE_VARIANT_ADD(formats, cqe16_raw) { .setup = 0, .raw = true };
FIXTURE_VARIANT_ADD(formats, cqe32) { .setup = IORING_SETUP_CQE32 };
FIXTURE_VARIANT_ADD(formats, cqe32_defer) {
	.setup = IORING_SETUP_CQE32 | RING_DEFER,
};

FIXTURE_VARIANT_ADD(formats, cqe32_raw) {
	.setup = IORING_SETUP_CQE32, .raw = true,
};

FIXTURE_VARIANT_ADD(formats, mixed) { .setup = IORING_SETUP_CQE_MIXED };
FIXTURE_VARIANT_ADD(formats, mixed_defer) {
	.setup = IORING_SETUP_CQE_MIXED | RING_DEFER,
};

static char data[100];

static int open_ring(struct io_uring *ring, struct any_cq *cq,
		     unsigned int setup, bool raw)
{
	const struct io_uring_notification_slot slot = {
		.tag = TAG(0), .flush_after = 1,
	};

	return ring_init(ring, setup) ?: any_cq_map(cq, ring) ?:
	       register_slots_as(ring, &slot, 1,
				 raw ? IORING_NOTIF_REG_RAW_SEQ : 0);
}

FIXTURE_SETUP(formats)
{
	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_DGRAM);
	ASSERT_EQ(0, open_ring(&self->ring, &self->cq, variant->setup,
			       variant->raw));
}

FIXTURE_TEARDOWN(formats)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(any_cq_is_clean(&self->cq))
		TH_LOG("written beyond a CQE, or one that was not expected");
	any_cq_unmap(&self->cq);
	ring_exit(&self->ring);
	pair_close(&self->net);
}

/* A request of another kind, with a CQE as large as the ring can have it. */
static void prep_nop(struct io_uring *ring, unsigned int i)
{
	struct io_uring_sqe *sqe = ring_sqe(ring);
	const bool large = i % 3 != 2 &&
		ring->flags & (IORING_SETUP_CQE32 | IORING_SETUP_CQE_MIXED);

	*sqe = (struct io_uring_sqe){
		.opcode = IORING_OP_NOP,
		.fd = -1,
		.nop_flags = IORING_NOP_INJECT_RESULT |
			     (large ? IORING_NOP_CQE32 : 0),
		.off = ~0ULL - i,
		.addr = large ? i : 0,
		.len = i,
		.user_data = REQ(1),
	};
}

#define ASSERT_NOP(_i)							\
	assert_nop(_metadata, &self->cq, _i)

static void assert_nop(struct __test_metadata *_metadata, struct any_cq *cq,
		       unsigned int i)
{
	struct any_cqe cqe = {};

	ASSERT_EQ(0, any_cq_next(cq, &cqe));
	ASSERT_EQ(REQ(1), cqe.user_data);
	ASSERT_EQ(i, cqe.res);
	if (!cqe.large)
		return;
	ASSERT_EQ(i % 3 != 2 ? ~0ULL - i : 0, cqe.extra[0]);
	ASSERT_EQ(i % 3 != 2 ? i : 0, cqe.extra[1]);
}

/* The request's CQE, and the notification: this size, these flags, no more. */
#define ASSERT_SMALL(_user_data, _res, _flags) do {			\
	struct any_cqe __cqe = {};					\
	ASSERT_EQ(0, any_cq_next(&self->cq, &__cqe));			\
	ASSERT_EQ((__u64)(_user_data), __cqe.user_data);		\
	ASSERT_EQ((__s32)(_res), __cqe.res);				\
	ASSERT_EQ((__u32)(_flags), __cqe.flags);			\
	ASSERT_EQ(!!(variant->setup & IORING_SETUP_CQE32), __cqe.large);\
	ASSERT_EQ(0, __cqe.extra[0]);					\
	ASSERT_EQ(0, __cqe.extra[1]);					\
} while (0)

#define NOTIF_FLAGS(_seq)	(variant->raw ? (_seq) : notif_flags(_seq))

/* Four CQEs of either size each time: the CQ wraps wherever it can. */
TEST_F(formats, abi_among_other_cqes)
{
	const unsigned int entries = *self->ring.cq.kring_mask + 1;
	char buf[sizeof(data)];
	unsigned int i;

	for (i = 0; i < entries / 2; i++) {
		prep_nop(&self->ring, i);
		prep_slot_send(&self->ring, self->net.tx, data, i % 100, 0, 0);
		prep_nop(&self->ring, i + 1);
		ASSERT_SUBMIT(&self->ring, 3);
		ASSERT_NOP(i);
		ASSERT_SMALL(REQ(0), i % 100, 0);
		ASSERT_NOP(i + 1);
		ASSERT_SMALL(TAG(0), 0, NOTIF_FLAGS(i));
		ASSERT_EQ(i % 100, recv(self->net.rx, buf, sizeof(buf), 0));
	}
}

/* Many more than the CQ has room for, which nobody reads: none is lost. */
TEST_F(formats, abi_overflow)
{
	const unsigned int entries = *self->ring.cq.kring_mask + 1;
	const unsigned int batch = 16, nr = entries;
	unsigned int i, j;

	for (i = 0; i < nr; i += batch) {
		prep_nop(&self->ring, i);
		for (j = 0; j < batch; j++)
			prep_slot_send(&self->ring, -1, data, 1, 0, 0);
		ASSERT_SUBMIT(&self->ring, batch + 1);
	}
	for (i = 0; i < nr; i += batch) {
		ASSERT_NOP(i);
		for (j = 0; j < batch; j++)
			ASSERT_SMALL(REQ(0), -EBADF, 0);
		for (j = 0; j < batch; j++)
			ASSERT_SMALL(TAG(0), 0, NOTIF_FLAGS(i + j));
	}
}

/* What asks for the usage gets the same CQE, with another result. */
TEST_F(formats, abi_usage)
{
	const struct io_uring_notification_slot slot = {
		.tag = TAG(1), .flush_after = 1, .copy_below = 50,
	};
	unsigned int i;

	ASSERT_EQ(0, unregister_slots(&self->ring));
	ASSERT_EQ(0, register_slots_as(&self->ring, &slot, 1, variant->raw ?
				       IORING_NOTIF_REG_RAW_SEQ : 0));
	for (i = 0; i < 4; i++) {
		prep_slot_send(&self->ring, self->net.tx, data, 49, 0,
			       i % 2 ? IORING_SEND_ZC_REPORT_USAGE : 0);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_SMALL(REQ(0), 49, 0);
		ASSERT_SMALL(TAG(1), i % 2 ? IORING_NOTIF_USAGE_ZC_COPIED : 0,
			     NOTIF_FLAGS(i));
	}
}

/*
 * Some of these rings for a longer test; again.c has v3's format on a ring as v3
 * was on. Number 32768 has a bit that is that of IORING_CQE_F_32 in v3's format:
 * it says nothing of the size of these CQEs. The default format keeps it out of
 * the flags, and goes on with 0 after 65535, as it has 16 bits of the number.
 */
FIXTURE(high)
{
	struct io_uring ring;
	struct any_cq cq;
};

FIXTURE_VARIANT(high)
{
	unsigned int setup, last;
	bool raw;
};

FIXTURE_VARIANT_ADD(high, cqe32_raw) {
	.setup = IORING_SETUP_CQE32, .last = 0x8000, .raw = true,
};

FIXTURE_VARIANT_ADD(high, mixed) {
	.setup = IORING_SETUP_CQE_MIXED, .last = 0x10000,
};

FIXTURE_SETUP(high)
{
	ASSERT_EQ(0, open_ring(&self->ring, &self->cq, variant->setup,
			       variant->raw));
}

FIXTURE_TEARDOWN(high)
{
	EXPECT_TRUE(any_cq_is_clean(&self->cq))
		TH_LOG("written beyond a CQE, or one that was not expected");
	any_cq_unmap(&self->cq);
	ring_exit(&self->ring);
}

TEST_F(high, abi_high_sequence)
{
	const unsigned int batch = 64;
	unsigned int seq, i;

	for (seq = 0; seq <= variant->last; seq += batch) {
		for (i = 0; i < batch; i++)
			prep_slot_send(&self->ring, -1, data, 1, 0, 0);
		ASSERT_SUBMIT(&self->ring, batch);
		for (i = 0; i < batch; i++)
			ASSERT_SMALL(REQ(0), -EBADF, 0);
		for (i = 0; i < batch; i++)
			ASSERT_SMALL(TAG(0), 0, NOTIF_FLAGS(seq + i));
	}
}

/*
 * The bits for which liburing since 2.13 passes over a CQE, or counts it twice, on
 * a ring of any kind: number 32 has the one, and 32768 the other, in v3's format.
 */
TEST(abi_typed_number_32_and_32768)
{
	const struct io_uring_notification_slot slot = {
		.tag = TAG(0), .flush_after = 1,
	};
	const unsigned int batch = 64, nr = 32768 + batch;
	unsigned int notifs = 0, requests = 0, i;
	struct io_uring ring;

	ASSERT_EQ(0, ring_init(&ring, 0));
	ASSERT_EQ(0, register_slots_as(&ring, &slot, 1, 0));
	while (notifs < nr) {
		for (i = 0; i < batch; i++)
			prep_slot_send(&ring, -1, data, 1, 0, 0);
		ASSERT_SUBMIT(&ring, batch);
		for (i = 0; i < 2 * batch; i++) {
			struct io_uring_cqe cqe = {};

			ASSERT_EQ(0, ring_next(&ring, &cqe));
			ASSERT_EQ(0, cqe.flags & (IORING_CQE_F_SKIP |
						  IORING_CQE_F_32));
			if (cqe.flags & IORING_CQE_F_NOTIF)
				ASSERT_EQ(TAG(0), cqe.user_data);
			notifs += !!(cqe.flags & IORING_CQE_F_NOTIF);
			requests += cqe.user_data == REQ(0);
		}
		ASSERT_EQ(requests, notifs);
	}
	ring_exit(&ring);
}

NOTIF_TEST_MAIN
