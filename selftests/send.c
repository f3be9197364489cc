// SPDX-License-Identifier: GPL-2.0
/* One send through a slot: what its CQE says, and how it is refused. */
#include "slots.h"

/* Submit one request: its only CQE says EINVAL. */
#define ASSERT_REFUSED(_ring)	ASSERT_REFUSED_AS(_ring, 0, "")
#define ASSERT_REFUSED_AS(_ring, _nr, _what) do {			\
	struct io_uring_cqe __cqe = {};					\
	ASSERT_SUBMIT(_ring, 1);					\
	ASSERT_EQ(0, ring_next(_ring, &__cqe));				\
	ASSERT_EQ(-EINVAL, __cqe.res)					\
		TH_LOG("%s %u", _what, _nr);				\
	ASSERT_EQ(0, __cqe.flags);					\
} while (0)

/*
 * Submit one SEND_ZC outside of slot mode: it is refused as mainline does it,
 * with a notification after the CQE if that has IORING_CQE_F_MORE.
 */
#define ASSERT_REFUSED_ZC(_ring) do {					\
	struct io_uring_cqe __cqe = {};					\
	ASSERT_SUBMIT(_ring, 1);					\
	ASSERT_EQ(0, ring_next(_ring, &__cqe));				\
	ASSERT_EQ(-EINVAL, __cqe.res);					\
	if (__cqe.flags & IORING_CQE_F_MORE)				\
		ASSERT_CQE(_ring, REQ(0), 0, IORING_CQE_F_NOTIF);	\
} while (0)

TEST_F(slots, contract_03_notification_only_after_flush)
{
	prep_slot_send(&self->ring, self->net.tx, self->data, 1000, 0, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 1000, 0);
	ASSERT_RECEIVED(&self->net, self->data, 1000);
	ASSERT_QUIET(&self->ring);

	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_QUIET(&self->ring);
}

TEST_F(slots, contract_03_notification_of_flag)
{
	prep_slot_send(&self->ring, self->net.tx, self->data, 1000, 1,
		       IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 1000, 0);
	ASSERT_NOTIF(&self->ring, TAG(1), 0);
	ASSERT_RECEIVED(&self->net, self->data, 1000);
}

TEST_F(slots, contract_12_sendmsg_zc)
{
	struct iovec iov = { self->data, 2000 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	prep_slot_sendmsg(&self->ring, self->net.tx, &msg, 3,
			  IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 2000, 0);
	ASSERT_NOTIF(&self->ring, TAG(3), 0);
	ASSERT_RECEIVED(&self->net, self->data, 2000);
}

TEST_F(slots, contract_12_empty_datagram)
{
	prep_slot_send(&self->ring, self->net.tx, self->data, 0, 0,
		       IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 0, 0);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

TEST_F(slots, contract_05_skip_success)
{
	struct io_uring_sqe *sqe;

	sqe = prep_slot_send(&self->ring, self->net.tx, self->data, 1000, 0, 0);
	sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
	sqe = prep_slot_send(&self->ring, self->net.tx, self->data + 1000, 1000,
			     0, IORING_RECVSEND_NOTIF_FLUSH);
	sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
	ASSERT_SUBMIT(&self->ring, 2);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_RECEIVED(&self->net, self->data, 2000);
}

TEST_F(slots, contract_05_skip_success_tells_failure)
{
	struct io_uring_sqe *sqe;

	sqe = prep_slot_send(&self->ring, -1, self->data, 1000, 0, 0);
	sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), -EBADF, 0);
}

TEST_F(slots, contract_10_index_out_of_range)
{
	prep_slot_send(&self->ring, self->net.tx, self->data, 100, NR_SLOTS, 0);
	ASSERT_REFUSED(&self->ring);
	prep_slot_send(&self->ring, self->net.tx, self->data, 100, 0xffff,
		       IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_REFUSED(&self->ring);
}

TEST_F(slots, contract_10_flush_without_slot)
{
	struct io_uring_sqe *sqe;

	sqe = prep_slot_send(&self->ring, self->net.tx, self->data, 100, 0, 0);
	sqe->ioprio = IORING_RECVSEND_NOTIF_FLUSH;
	ASSERT_REFUSED_ZC(&self->ring);
}

/* The slot's tag is the notification's user_data, a request cannot give one. */
TEST_F(slots, contract_10_addr3)
{
	struct io_uring_sqe *sqe;

	sqe = prep_slot_send(&self->ring, self->net.tx, self->data, 100, 0, 0);
	sqe->addr3 = 1;
	ASSERT_REFUSED(&self->ring);
}

TEST_F(slots, contract_10_unknown_flag)
{
	unsigned int bit;

	for (bit = 8; bit < 16; bit++) {
		prep_slot_send(&self->ring, self->net.tx, self->data, 100, 0,
			       1U << bit);
		ASSERT_REFUSED_AS(&self->ring, bit, "ioprio bit");
	}
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_QUIET(&self->ring);
}

/* Without IORING_SEND_ZC_NOTIF_SLOT the index is mainline's reserved field. */
TEST_F(slots, contract_11_index_without_slot)
{
	struct io_uring_sqe *sqe;

	sqe = prep_slot_send(&self->ring, self->net.tx, self->data, 100, 1, 0);
	sqe->ioprio = 0;
	sqe->addr2 = (unsigned long)&self->net.to;
	sqe->addr_len = self->net.to_len;
	ASSERT_REFUSED_ZC(&self->ring);
}

TEST_F(slots, contract_10_other_opcodes)
{
	static const struct {
		unsigned int opcode, ioprio;
	} bad[] = {
		{ IORING_OP_SEND, IORING_SEND_ZC_NOTIF_SLOT },
		{ IORING_OP_SEND, IORING_RECVSEND_NOTIF_FLUSH },
		{ IORING_OP_SENDMSG, IORING_SEND_ZC_NOTIF_SLOT },
		{ IORING_OP_SENDMSG, IORING_RECVSEND_NOTIF_FLUSH },
		{ IORING_OP_RECV, IORING_SEND_ZC_NOTIF_SLOT },
		{ IORING_OP_RECV, IORING_RECVSEND_NOTIF_FLUSH },
		{ IORING_OP_RECVMSG, IORING_SEND_ZC_NOTIF_SLOT },
		{ IORING_OP_RECVMSG, IORING_RECVSEND_NOTIF_FLUSH },
	};
	struct iovec iov = { self->data, 100 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		bool is_msg = bad[i].opcode == IORING_OP_SENDMSG ||
			      bad[i].opcode == IORING_OP_RECVMSG;
		struct io_uring_sqe *sqe;

		sqe = prep_slot_send(&self->ring, self->net.tx,
				     is_msg ? (void *)&msg : self->data, 100, 0, 0);
		sqe->opcode = bad[i].opcode;
		sqe->ioprio = bad[i].ioprio;
		ASSERT_REFUSED_AS(&self->ring, bad[i].opcode, "opcode");
	}
}

/* None of the refused requests was ever attached: there is nothing to flush. */
TEST_F(slots, contract_02_refused_is_not_attached)
{
	struct io_uring_sqe *sqe;

	sqe = prep_slot_send(&self->ring, self->net.tx, self->data, 100, 0,
			     IORING_RECVSEND_NOTIF_FLUSH);
	sqe->addr3 = 1;
	ASSERT_REFUSED(&self->ring);
	sqe = prep_slot_send(&self->ring, self->net.tx, self->data, 100, 0,
			     IORING_RECVSEND_NOTIF_FLUSH);
	/* an address that is too long for any protocol */
	sqe->addr2 = (unsigned long)self->data;
	sqe->addr_len = 0xffff;
	ASSERT_REFUSED(&self->ring);
	ASSERT_FLUSH(&self->ring, 0, NR_SLOTS);
	ASSERT_QUIET(&self->ring);

	prep_slot_send(&self->ring, self->net.tx, self->data, 100, 0,
		       IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 100, 0);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

TEST_F(slots, contract_10_no_slots)
{
	ASSERT_EQ(0, unregister_slots(&self->ring));
	prep_slot_send(&self->ring, self->net.tx, self->data, 100, 0, 0);
	ASSERT_REFUSED(&self->ring);
}

/* mainline's own zero-copy send, beside slots */
TEST_F(slots, contract_11_send_zc_as_before)
{
	struct io_uring_sqe *sqe = ring_sqe(&self->ring);

	io_uring_prep_sendzc(sqe, self->net.tx, self->data, 1000, 0, 0);
	sqe->user_data = REQ(1);
	sqe->addr3 = REQ(2);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(1), 1000, IORING_CQE_F_MORE);
	ASSERT_CQE(&self->ring, REQ(2), 0, IORING_CQE_F_NOTIF);
	ASSERT_RECEIVED(&self->net, self->data, 1000);
	ASSERT_FLUSH(&self->ring, 0, NR_SLOTS);
	ASSERT_QUIET(&self->ring);
}

TEST_F(slots, contract_11_send_zc_between_slot_sends)
{
	struct io_uring_sqe *sqe;

	prep_slot_send(&self->ring, self->net.tx, self->data, 1000, 0, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 1000, 0);

	sqe = ring_sqe(&self->ring);
	io_uring_prep_sendzc(sqe, self->net.tx, self->data + 1000, 1000, 0, 0);
	sqe->user_data = REQ(1);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(1), 1000, IORING_CQE_F_MORE);
	ASSERT_CQE(&self->ring, REQ(1), 0, IORING_CQE_F_NOTIF);

	prep_slot_send(&self->ring, self->net.tx, self->data + 2000, 1000, 0,
		       IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 1000, 0);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_RECEIVED(&self->net, self->data, 3000);
}

NOTIF_TEST_MAIN
