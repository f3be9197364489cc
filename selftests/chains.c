// SPDX-License-Identifier: GPL-2.0
/*
 * Flushes and the requests around them: those that fail, are linked, drained, or
 * run by io-wq.
 */
#include "slots.h"

/* The flag of a request that never ran, as the one before it failed. */
TEST_F(slots, contract_04_flag_in_a_broken_chain)
{
	prep_slot_send(&self->ring, -1, self->data, 100, 0, 0)->flags =
		IOSQE_IO_LINK;
	prep_slot_send(&self->ring, self->net.tx, self->data, 100, 0,
		       IORING_RECVSEND_NOTIF_FLUSH)->user_data = REQ(1);
	ASSERT_SUBMIT(&self->ring, 2);
	ASSERT_CQE(&self->ring, REQ(0), -EBADF, 0);
	ASSERT_CQE(&self->ring, REQ(1), -ECANCELED, 0);
	ASSERT_QUIET(&self->ring);

	/* the slot has the same notifier still */
	ASSERT_SENT(0, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

/* A hard link goes on after a failure, and then the flag acts. */
TEST_F(slots, contract_04_flag_in_a_hard_chain)
{
	prep_slot_send(&self->ring, -1, self->data, 100, 0,
		       IORING_RECVSEND_NOTIF_FLUSH)->flags = IOSQE_IO_HARDLINK;
	prep_slot_send(&self->ring, self->net.tx, self->data, 100, 0,
		       IORING_RECVSEND_NOTIF_FLUSH)->user_data = REQ(1);
	ASSERT_SUBMIT(&self->ring, 2);
	ASSERT_CQE(&self->ring, REQ(0), -EBADF, 0);
	ASSERT_CQE(&self->ring, REQ(1), 100, 0);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_SENT(0, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_NOTIF(&self->ring, TAG(0), 1);
}

/* A chain is prepared as a whole, so what comes after the flush is attached. */
TEST_F(slots, contract_04_explicit_linked)
{
	struct io_uring_sqe *sqe;

	prep_slot_send(&self->ring, self->net.tx, self->data, 100, 0, 0)->flags =
		IOSQE_IO_LINK;
	prep_flush(&self->ring, 0, 1, 0)->flags =
		IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
	sqe = prep_slot_send(&self->ring, self->net.tx, self->data + 100, 100, 0, 0);
	sqe->user_data = REQ(1);
	ASSERT_SUBMIT(&self->ring, 3);
	ASSERT_CQE(&self->ring, REQ(0), 100, 0);
	ASSERT_CQE(&self->ring, REQ(1), 100, 0);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_RECEIVED(&self->net, self->data, 200);
	ASSERT_SENT(0, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_NOTIF(&self->ring, TAG(0), 1);
}

/* The flush of a chain that broke before it never ran: no new tag either. */
TEST_F(slots, contract_04_explicit_in_a_broken_chain)
{
	prep_slot_send(&self->ring, -1, self->data, 100, 0, 0)->flags =
		IOSQE_IO_LINK;
	prep_flush(&self->ring, 0, NR_SLOTS, TAG(77));
	ASSERT_SUBMIT(&self->ring, 2);
	ASSERT_CQE(&self->ring, REQ(0), -EBADF, 0);
	ASSERT_CQE(&self->ring, FLUSH_REQ, -ECANCELED, 0);
	ASSERT_QUIET(&self->ring);
	ASSERT_SENT(0, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_SENT(0, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_NOTIF(&self->ring, TAG(0), 1);
}

/* After the CQE of a flush there is a new notifier, whoever ran the flush. */
TEST_F(slots, contract_04_explicit_in_io_wq)
{
	unsigned int seq, i;

	for (seq = 0; seq < 8; seq++) {
		struct io_uring_cqe cqe = {};

		ASSERT_SENT(0, 0);
		prep_flush(&self->ring, 0, NR_SLOTS, 0)->flags = IOSQE_ASYNC;
		ASSERT_SUBMIT(&self->ring, 1);
		for (i = 0; i < 2; i++) {
			ASSERT_EQ(0, ring_next(&self->ring, &cqe));
			ASSERT_EQ(0, cqe.res);
			ASSERT_EQ(cqe.user_data == TAG(0) ? seq : 0, cqe.flags);
			ASSERT_TRUE(cqe.user_data == TAG(0) ||
				    cqe.user_data == FLUSH_REQ);
		}
	}
}

/* What was submitted before a drained flush is over by then, io-wq or not. */
TEST_F(slots, contract_04_explicit_drained)
{
	struct io_uring_cqe cqe = {};
	unsigned int i;

	for (i = 0; i < 6; i++)
		prep_slot_send(&self->ring, i == 3 ? -1 : self->net.tx, self->data,
			       100, i % 2, 0)->flags = i % 3 ? 0 : IOSQE_ASYNC;
	prep_flush(&self->ring, 0, 2, TAG(77))->flags = IOSQE_IO_DRAIN;
	ASSERT_SUBMIT(&self->ring, 7);
	for (i = 0; i < 6; i++) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		ASSERT_EQ(REQ(0), cqe.user_data);
	}
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		ASSERT_EQ(0, cqe.res);
		ASSERT_EQ(0, cqe.flags);
		ASSERT_TRUE(cqe.user_data == FLUSH_REQ ||
			    cqe.user_data == TAG(0) || cqe.user_data == TAG(1));
	}
	ASSERT_SENT(1, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_NOTIF(&self->ring, TAG(77), 1);
}

/*
 * A part of the data is success too. What is told of it comes when the peer has
 * read, but the slot has another notifier by then.
 */
TEST_F(slots, contract_04_short_send)
{
	const size_t len = 4 << 20;
	char *data = calloc(1, len);
	struct io_uring_cqe cqe = {};
	struct pair tcp;

	OPEN_PAIR(&tcp, NET_LO, AF_INET, SOCK_STREAM, .full = true);
	prep_slot_send(&self->ring, tcp.tx, data, len, 0,
		       IORING_RECVSEND_NOTIF_FLUSH)->msg_flags = MSG_DONTWAIT;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_EQ(0, ring_next(&self->ring, &cqe));
	ASSERT_GT(cqe.res, 0);
	ASSERT_LT(cqe.res, (int)len);
	ASSERT_EQ(0, cqe.flags);
	ASSERT_SENT(0, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_NOTIF(&self->ring, TAG(0), 1);
	ASSERT_EQ(0, drain_socket(tcp.rx, cqe.res));
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	pair_close(&tcp);
	free(data);
}

/* So is a part of the data of a request that was cancelled as it waited. */
TEST_F(slots, contract_04_short_send_cancelled)
{
	const size_t len = 4 << 20;
	char *data = calloc(1, len);
	struct io_uring_cqe cqe = {};
	struct io_uring_sqe *sqe;
	struct pair tcp;

	OPEN_PAIR(&tcp, NET_LO, AF_INET, SOCK_STREAM, .full = true);
	prep_slot_send(&self->ring, tcp.tx, data, len, 0,
		       IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_QUIET(&self->ring);
	/* its notifier is still the slot's */
	prep_slot_send(&self->ring, -1, data, 1, 0, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), -EBADF, 0);

	sqe = ring_sqe(&self->ring);
	*sqe = (struct io_uring_sqe){
		.opcode = IORING_OP_ASYNC_CANCEL, .fd = -1, .addr = REQ(0),
		.flags = IOSQE_CQE_SKIP_SUCCESS, .user_data = REQ(1),
	};
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_EQ(0, ring_next(&self->ring, &cqe));
	ASSERT_EQ(REQ(0), cqe.user_data);
	ASSERT_GT(cqe.res, 0);
	ASSERT_LT(cqe.res, (int)len);
	ASSERT_EQ(0, cqe.flags);
	ASSERT_SENT(0, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_NOTIF(&self->ring, TAG(0), 1);
	ASSERT_EQ(0, drain_socket(tcp.rx, cqe.res));
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	pair_close(&tcp);
	free(data);
}

NOTIF_TEST_MAIN
