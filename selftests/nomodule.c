// SPDX-License-Identifier: GPL-2.0
/* A patched kernel in which the module is not there and cannot be loaded. */
#include <linux/io_uring/query.h>

#include "fixture.h"

FIXTURE(nomodule)
{
	struct io_uring ring;
	struct pair net;
	char data[1000];
};

RING_VARIANTS(nomodule);

FIXTURE_SETUP(nomodule)
{
	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_DGRAM);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	if (!register_slots(&self->ring, 1))
		SKIP(return, "the module is there: loaded, or built in");
	fill_pattern(self->data, sizeof(self->data), 9);
}

FIXTURE_TEARDOWN(nomodule)
{
	ring_exit(&self->ring);
	pair_close(&self->net);
}

TEST_F(nomodule, contract_10_register)
{
	EXPECT_EQ(-EOPNOTSUPP, register_slots(&self->ring, 1));
	EXPECT_EQ(-ENXIO, unregister_slots(&self->ring));
}

/* A program can ask, rather than try. */
TEST_F(nomodule, query)
{
	struct io_uring_query_notif notif = {};
	struct io_uring_query_hdr query = {
		.query_data = (unsigned long)&notif,
		.query_op = IO_URING_QUERY_NOTIF,
		.size = sizeof(notif),
	};

	ASSERT_EQ(0, ring_register(&self->ring, IORING_REGISTER_QUERY, &query,
				   0));
	ASSERT_EQ(-EOPNOTSUPP, query.result);
	ASSERT_EQ(0, query.size);
}

TEST_F(nomodule, contract_10_send)
{
	struct iovec iov = { self->data, 100 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	unsigned int i;

	/* one flag, the other, both; on both opcodes */
	for (i = 2; i < 8; i++) {
		struct io_uring_sqe *sqe;

		if (i % 2)
			sqe = prep_slot_sendmsg(&self->ring, self->net.tx, &msg,
						0, 0);
		else
			sqe = prep_slot_send(&self->ring, self->net.tx,
					     self->data, 100, 0, 0);
		sqe->ioprio = i / 2 << 6;
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), -EINVAL, 0);
	}
}

TEST_F(nomodule, contract_10_flush)
{
	prep_flush(&self->ring, 0, 1, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, FLUSH_REQ, -EINVAL, 0);
}

TEST_F(nomodule, contract_11_send_zc_as_before)
{
	struct io_uring_sqe *sqe = ring_sqe(&self->ring);

	io_uring_prep_sendzc(sqe, self->net.tx, self->data, 1000, 0, 0);
	sqe->user_data = REQ(1);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(1), 1000, IORING_CQE_F_MORE);
	ASSERT_CQE(&self->ring, REQ(1), 0, IORING_CQE_F_NOTIF);
	ASSERT_RECEIVED(&self->net, self->data, 1000);
}

NOTIF_TEST_MAIN
