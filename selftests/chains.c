// SPDX-License-Identifier: GPL-2.0
/*
 * Flushes and the requests around them: those that fail, are linked, drained, or
 * run by io-wq.
 */
#include "answers.h"
#include "slots.h"

/* A request that never runs, as the one before it failed, has flushed. */
TEST_F(slots, contract_04_flag_in_a_broken_chain)
{
	prep_slot_send(&self->ring, -1, self->data, 100, 0, 0)->flags =
		IOSQE_IO_LINK;
	prep_slot_send(&self->ring, self->net.tx, self->data, 100, 0,
		       IORING_RECVSEND_NOTIF_FLUSH)->user_data = REQ(1);
	ASSERT_SUBMIT(&self->ring, 2);
	ASSERT_CQE(&self->ring, REQ(0), -EBADF, 0);
	ASSERT_CQE(&self->ring, REQ(1), -ECANCELED, 0);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_SENT(0, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_NOTIF(&self->ring, TAG(0), 1);
}

/* Each has the flag, so each has a notifier, the one that fails too. */
TEST_F(slots, contract_04_flag_in_a_hard_chain)
{
	struct answers all;

	prep_slot_send(&self->ring, -1, self->data, 100, 0,
		       IORING_RECVSEND_NOTIF_FLUSH)->flags = IOSQE_IO_HARDLINK;
	prep_slot_send(&self->ring, self->net.tx, self->data, 100, 0,
		       IORING_RECVSEND_NOTIF_FLUSH)->user_data = REQ(1);
	ASSERT_SUBMIT(&self->ring, 2);
	TAKE(&all, 4);
	ASSERT_NOTIFIED(&all, TAG(0), 0, REQ(0), -EBADF);
	ASSERT_NOTIFIED(&all, TAG(0), 1, REQ(1), 100);
	ASSERT_RECEIVED(&self->net, self->data, 100);
	ASSERT_SENT(0, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_NOTIF(&self->ring, TAG(0), 2);
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
	struct answers all;
	unsigned int seq;

	for (seq = 0; seq < 8; seq++) {
		ASSERT_SENT(0, 0);
		prep_flush(&self->ring, 0, NR_SLOTS, 0)->flags = IOSQE_ASYNC;
		ASSERT_SUBMIT(&self->ring, 1);
		TAKE(&all, 2);
		ASSERT_ANSWERED(&all, FLUSH_REQ, 1);
		ASSERT_HAS_NOTIF(&all, TAG(0), seq);
	}
}

/* What was submitted before a drained flush is over by then, io-wq or not. */
TEST_F(slots, contract_04_explicit_drained)
{
	struct io_uring_cqe cqe = {};
	struct answers all;
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
	TAKE(&all, 3);
	ASSERT_ANSWERED(&all, FLUSH_REQ, 2);
	ASSERT_HAS_NOTIF(&all, TAG(0), 0);
	ASSERT_HAS_NOTIF(&all, TAG(1), 0);
	ASSERT_SENT(1, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_NOTIF(&self->ring, TAG(77), 1);
}

/*
 * Only a part of the data is sent. The notification comes when the peer has read
 * that, and the slot has another notifier by then.
 */
TEST_F(slots, contract_04_short_send)
{
	const size_t len = 4 << 20;
	char *data = calloc(1, len);
	struct io_uring_cqe cqe = {};
	struct pair tcp;

	OPEN_PAIR(&tcp, NET_LO, AF_INET, SOCK_STREAM, .full = true);
	/* what fits into the sender's side is too much for the receiver's */
	ASSERT_EQ(0, setsockopt_int(tcp.tx, SOL_SOCKET, SO_SNDBUF, 512 << 10));
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

/* A part of the data again, of a request that is cancelled as it waits. */
TEST_F(slots, contract_04_short_send_cancelled)
{
	const size_t len = 4 << 20;
	char *data = calloc(1, len);
	struct io_uring_cqe cqe = {};
	struct pair tcp;

	OPEN_PAIR(&tcp, NET_LO, AF_INET, SOCK_STREAM, .full = true);
	prep_slot_send(&self->ring, tcp.tx, data, len, 0,
		       IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_QUIET(&self->ring);
	/* its notifier is no longer the slot's */
	prep_slot_send(&self->ring, -1, data, 1, 0, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), -EBADF, 0);
	ASSERT_NOTIF(&self->ring, TAG(0), 1);

	prep_cancel(&self->ring, REQ(0));
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_EQ(0, ring_next(&self->ring, &cqe));
	ASSERT_EQ(REQ(0), cqe.user_data);
	ASSERT_GT(cqe.res, 0);
	ASSERT_LT(cqe.res, (int)len);
	ASSERT_EQ(0, cqe.flags);
	ASSERT_SENT(0, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_NOTIF(&self->ring, TAG(0), 2);
	ASSERT_EQ(0, drain_socket(tcp.rx, cqe.res));
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	pair_close(&tcp);
	free(data);
}

NOTIF_TEST_MAIN
