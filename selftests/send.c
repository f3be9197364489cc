// SPDX-License-Identifier: GPL-2.0
/* One send through a slot, and mainline's own beside it. */
#include "slots.h"

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
