/* SPDX-License-Identifier: GPL-2.0 */
/* Every kind of ring there is, with slots, as variants of a fixture. */
#ifndef NOTIF_TEST_RINGS_H
#define NOTIF_TEST_RINGS_H

#include "fixture.h"

struct ring_kind {
	unsigned int setup;
	bool raw;		/* IORING_NOTIF_REG_RAW_SEQ */
	bool restricted;	/* to what struct restriction_list lists */
};

#define RING_KINDS(fixture)						\
	FIXTURE_VARIANT(fixture) { struct ring_kind kind; };		\
	FIXTURE_VARIANT_ADD(fixture, plain) {				\
		.kind = { .setup = 0 },					\
	};								\
	FIXTURE_VARIANT_ADD(fixture, coop) {				\
		.kind = { IORING_SETUP_COOP_TASKRUN },			\
	};								\
	FIXTURE_VARIANT_ADD(fixture, coop_flag) {			\
		.kind = { IORING_SETUP_COOP_TASKRUN |			\
			  IORING_SETUP_TASKRUN_FLAG },			\
	};								\
	FIXTURE_VARIANT_ADD(fixture, single) {				\
		.kind = { IORING_SETUP_SINGLE_ISSUER, .raw = true },	\
	};								\
	FIXTURE_VARIANT_ADD(fixture, defer) {				\
		.kind = { RING_DEFER },					\
	};								\
	FIXTURE_VARIANT_ADD(fixture, sqpoll) {				\
		.kind = { IORING_SETUP_SQPOLL },			\
	};								\
	FIXTURE_VARIANT_ADD(fixture, cqe32) {				\
		.kind = { IORING_SETUP_CQE32, .raw = true },		\
	};								\
	FIXTURE_VARIANT_ADD(fixture, cqe_mixed) {			\
		.kind = { IORING_SETUP_CQE_MIXED },			\
	};								\
	FIXTURE_VARIANT_ADD(fixture, sqe128) {				\
		.kind = { IORING_SETUP_SQE128 },			\
	};								\
	FIXTURE_VARIANT_ADD(fixture, mixed_defer) {			\
		.kind = { RING_DEFER | IORING_SETUP_CQE_MIXED |		\
			  IORING_SETUP_SQE_MIXED |			\
			  IORING_SETUP_NO_SQARRAY },			\
	};								\
	FIXTURE_VARIANT_ADD(fixture, disabled_defer) {			\
		.kind = { RING_DEFER | IORING_SETUP_R_DISABLED,		\
			  .raw = true },				\
	};								\
	FIXTURE_VARIANT_ADD(fixture, restricted) {			\
		.kind = { IORING_SETUP_R_DISABLED, .restricted = true },\
	}

/* What slots need, and not more. */
static const struct io_uring_restriction restriction_list[] = {
	{ .opcode = IORING_RESTRICTION_REGISTER_OP,
	  .register_op = IORING_REGISTER_NOTIFIERS },
	{ .opcode = IORING_RESTRICTION_REGISTER_OP,
	  .register_op = IORING_UNREGISTER_NOTIFIERS },
	{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_SEND_ZC },
	{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_SENDMSG_ZC },
	{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_RSRC_UPDATE },
	{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_ASYNC_CANCEL },
	{ .opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED,
	  .sqe_flags = IOSQE_ASYNC | IOSQE_IO_LINK | IOSQE_IO_DRAIN },
};

static inline int ring_restrict(struct io_uring *ring,
				const struct io_uring_restriction *list,
				unsigned int nr)
{
	return ring_register(ring, IORING_REGISTER_RESTRICTIONS, list, nr);
}

static inline int ring_enable(struct io_uring *ring)
{
	return ring_register(ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

/* Slots with the tags TAG(0), TAG(1), ..., in the kind's format. */
static inline int kind_register_slots(struct io_uring *ring,
				      const struct ring_kind *kind,
				      unsigned int nr)
{
	struct io_uring_notification_slot slots[nr];
	unsigned int i;

	memset(slots, 0, sizeof(slots));
	for (i = 0; i < nr; i++)
		slots[i].tag = TAG(i);
	return register_slots_as(ring, slots, nr,
				 kind->raw ? IORING_NOTIF_REG_RAW_SEQ : 0);
}

/*
 * A ring of this kind with @nr slots and the registered buffer @buffer, ready
 * to submit. A disabled ring gets its slots before it is enabled; a restricted
 * one afterwards, as before it may do everything.
 */
static inline int kind_init(struct io_uring *ring, const struct ring_kind *kind,
			    unsigned int nr, const struct iovec *buffer)
{
	int ret = ring_init(ring, kind->setup);

	if (!ret)
		ret = io_uring_register_buffers(ring, buffer, 1);
	if (!ret && kind->restricted)
		ret = ring_restrict(ring, restriction_list,
				    ARRAY_SIZE(restriction_list));
	if (!ret && !kind->restricted)
		ret = kind_register_slots(ring, kind, nr);
	if (!ret && kind->setup & IORING_SETUP_R_DISABLED)
		ret = ring_enable(ring);
	if (!ret && kind->restricted)
		ret = kind_register_slots(ring, kind, nr);
	return ret;
}

/* flags of the notification number @seq of a slot */
static inline unsigned int kind_flags(const struct ring_kind *kind,
				      unsigned int seq)
{
	return kind->raw ? seq : notif_flags(seq);
}

#define NOP_REQ		0x3000ULL

/*
 * On rings that mix sizes: a request of the large size for both queues, so that
 * what follows lies somewhere else each time. True: it was prepared.
 */
static inline bool prep_large(struct io_uring *ring)
{
	unsigned int setup = ring->flags & (IORING_SETUP_CQE_MIXED |
					    IORING_SETUP_SQE_MIXED);
	struct io_uring_sqe *sqe;

	if (!setup)
		return false;
	sqe = ring_sqe(ring);
	if (setup & IORING_SETUP_SQE_MIXED) {
		/* its halves may not be the last and the first of the queue */
		if (sqe == ring->sq.sqes + *ring->sq.kring_mask) {
			memset(sqe, 0, sizeof(*sqe));
			sqe->opcode = IORING_OP_NOP;
			sqe->user_data = NOP_REQ;
			return true;
		}
		memset(ring_sqe(ring), 0xff, sizeof(*sqe));
	}
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = setup & IORING_SETUP_SQE_MIXED ? IORING_OP_NOP128 :
						       IORING_OP_NOP;
	sqe->nop_flags = IORING_NOP_CQE32;
	sqe->user_data = NOP_REQ;
	return true;
}

#endif
