// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Sends through slots: what arrives, which CQEs come, and what they say
 */
#include "notif.h"

static void sends(void)
{
	struct iovec vec = { data + 2 * LEN, LEN };
	struct msghdr msg;

	memset(&msg, 0, sizeof(msg));
	msg.msg_iov = &vec;
	msg.msg_iovlen = 1;
	vec.iov_base = data;
	vec.iov_len = sizeof(data);
	CHECK(register_slots(0, 0));
	CHECK(io_uring_register_buffers(&ring, &vec, 1) == 0);
	vec.iov_base = data + 2 * LEN;
	vec.iov_len = LEN;
	io_uring_notif_prep_send(io_uring_get_sqe(&ring), tx, data, LEN, 0, 2,
				 IORING_SEND_ZC_REPORT_USAGE);
	CHECK(next() == IO_URING_NOTIF_REQUEST && res == LEN);
	io_uring_notif_prep_send_fixed(io_uring_get_sqe(&ring), tx, data + LEN, LEN, 0, 2, 0, 0);
	CHECK(next() == IO_URING_NOTIF_REQUEST && res == LEN);
	io_uring_notif_prep_sendmsg(io_uring_get_sqe(&ring), tx, &msg, 0, 2,
				    IORING_RECVSEND_NOTIF_FLUSH);
	CHECK(next() == IO_URING_NOTIF_REQUEST && res == LEN);
	CHECK(received(0, LEN) && received(LEN, LEN) && received(2 * LEN, LEN));
	CHECK(next() == IO_URING_NOTIF_SLOT && notif.slot == 2 && notif.seq == 0 && notif.copied);
	/* mainline's own notification is told from it */
	io_uring_prep_send_zc(io_uring_get_sqe(&ring), tx, data, LEN, 0, 0);
	CHECK(next() == IO_URING_NOTIF_MORE && res == LEN);
	CHECK(received(0, LEN) && next() == IO_URING_NOTIF_OTHER);
}

static void flushes(void)
{
	io_uring_notif_prep_flush(io_uring_get_sqe(&ring), 0, NR_SLOTS, 0);
	CHECK(next() == IO_URING_NOTIF_REQUEST && res == 0);
	io_uring_notif_prep_flush(io_uring_get_sqe(&ring), 2, 1, 0x1234);
	CHECK(next() == IO_URING_NOTIF_REQUEST && res == 0);
	io_uring_notif_prep_send(io_uring_get_sqe(&ring), tx, data, LEN, 0, 2, 0);
	CHECK(next() == IO_URING_NOTIF_REQUEST && received(0, LEN));
	CHECK(io_uring_notif_unregister(&ring) == 0);
	CHECK(next() == IO_URING_NOTIF_OTHER && user_data == 0x1234);
}

static void merged(void)
{
	struct io_uring_sqe *sqe;

	CHECK(register_slots(IORING_NOTIF_SLOT_MERGE, 1));
	sqe = io_uring_get_sqe(&ring);
	io_uring_notif_prep_send(sqe, tx, data, LEN, 0, 1, IORING_SEND_ZC_REPORT_USAGE);
	sqe->user_data = BEARER | 5;
	CHECK(next() == IO_URING_NOTIF_BEARER && user_data == (BEARER | 5));
	CHECK(res == LEN && notif.copied && received(0, LEN));
	CHECK(!io_uring_cq_ready(&ring) && io_uring_notif_unregister(&ring) == 0);
}

static void many(void)
{
	struct io_uring_notif_dgram dgrams[3];

	io_uring_notif_dgram_set(&dgrams[0], data, LEN, NULL, 0, 0);
	io_uring_notif_dgram_set(&dgrams[1], data + LEN, 2 * LEN, NULL, 0, LEN);
	io_uring_notif_dgram_set(&dgrams[2], data + 3 * LEN, LEN, NULL, 0, 0);
	CHECK(register_slots(0, 1));
	io_uring_notif_prep_many(io_uring_get_sqe(&ring), tx, dgrams, 3, 0, 1, 0);
	CHECK(next() == IO_URING_NOTIF_REQUEST && res == 3);
	CHECK(received(0, LEN) && received(LEN, LEN));
	CHECK(received(2 * LEN, LEN) && received(3 * LEN, LEN));
	CHECK(next() == IO_URING_NOTIF_SLOT && notif.slot == 1 && notif.seq == 0);
	CHECK(io_uring_notif_unregister(&ring) == 0);
}

/* A socket that can't send without a copy: refused, or sent to by copying */
static void fallback(void)
{
	unsigned char buf[2 * LEN];
	int pair[2];

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair) && register_slots(0, 1));
	io_uring_notif_prep_send(io_uring_get_sqe(&ring), pair[0], data, LEN, 0, 0, 0);
	CHECK(next() == IO_URING_NOTIF_REQUEST && res == -EOPNOTSUPP);
	CHECK(next() == IO_URING_NOTIF_SLOT && notif.slot == 0);
	CHECK(io_uring_notif_unregister(&ring) == 0);
	CHECK(register_slots(IORING_NOTIF_SLOT_FALLBACK, 1));
	io_uring_notif_prep_send(io_uring_get_sqe(&ring), pair[0], data, LEN, 0, 0,
				 IORING_SEND_ZC_REPORT_USAGE);
	CHECK(next() == IO_URING_NOTIF_REQUEST && res == LEN);
	CHECK(next() == IO_URING_NOTIF_SLOT && notif.slot == 0 && notif.copied);
	CHECK(read(pair[1], buf, sizeof(buf)) == LEN && !memcmp(buf, data, LEN));
	CHECK(io_uring_notif_unregister(&ring) == 0);
	close(pair[0]);
	close(pair[1]);
}

/* A short segment beside a long one: one datagram, in order */
static void segments(void)
{
	struct io_uring_notif_slot slot = { .flags = IORING_NOTIF_SLOT_SEGMENTS };
	struct iovec vec[2] = { { data, 20 }, { data + 20, 800 } };
	struct msghdr msg;

	memset(&msg, 0, sizeof(msg));
	msg.msg_iov = vec;
	msg.msg_iovlen = 2;
	slot.tag = ids.base;
	slot.copy_below = 64;
	slot.flush_after = 1;
	CHECK(io_uring_notif_register(&ring, &slot, 1, 0) == 0);
	io_uring_notif_prep_sendmsg(io_uring_get_sqe(&ring), tx, &msg, 0, 0, 0);
	CHECK(next() == IO_URING_NOTIF_REQUEST && res == 820 && received(0, 820));
	CHECK(next() == IO_URING_NOTIF_SLOT && notif.slot == 0);
	CHECK(io_uring_notif_unregister(&ring) == 0);
}

int main(void)
{
	if (!begin())
		return tap_end();
	sends();
	flushes();
	test_if(caps.slot_flags & IORING_NOTIF_SLOT_MERGE, merged, "merge");
	test_if(caps.slot_flags & IORING_NOTIF_SLOT_FALLBACK, fallback, "fallback");
	test_if(caps.slot_flags & IORING_NOTIF_SLOT_SEGMENTS, segments, "segments");
	test_if(caps.send_flags & IORING_SEND_ZC_MANY, many, "many");
	io_uring_queue_exit(&ring);
	return tap_end();
}
