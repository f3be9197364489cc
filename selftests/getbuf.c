// SPDX-License-Identifier: GPL-2.0
/*
 * IORING_OP_GET_BUF from a TCP socket: what is taken, and how it can be given on.
 */
#include "getrelay.h"

/* Take and give on until @len bytes went through. */
static void relay(struct __test_metadata *_metadata,
		  FIXTURE_DATA(getbuf) *self, size_t len, size_t max)
{
	size_t done = 0;
	int n;

	while (done < len) {
		prep_get_buf(&self->ring, self->in.rx, max, 0)->ioprio =
			IORING_GET_BUF_REPLACE;
		ASSERT_SUBMIT(&self->ring, 1);
		n = ASSERT_TAKEN(&self->ring, max);
		prep_send_buf(&self->ring, self->out.tx, 0, n, 0, 0, 0);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), n, 0);
		ASSERT_RECEIVED(&self->out, self->data + done, n);
		done += n;
	}
	ASSERT_EQ(len, done);
}

/* In order, once, whatever the sizes of packets and of requests are. */
TEST_F(getbuf, contract_17_takes_in_order)
{
	static const unsigned int sizes[] = {
		1, 10, 255, 256, 600, 1448, 4096, 10000, 65536, DATA_LEN
	};
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		for (j = 0; j < 3; j++) {
			const size_t max = j == 0 ? IORING_GET_BUF_MAX :
					   j == 1 ? 5000 : sizes[i] / 3 + 1;

			if (sizes[i] / max > 200)
				continue;
			ASSERT_EQ(0, send_all(self->in.tx, self->data, sizes[i]));
			relay(_metadata, self, sizes[i], max);
		}
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

/* It doesn't block, and comes when there is something. */
TEST_F(getbuf, contract_17_waits_by_poll)
{
	int n;

	prep_get_buf(&self->ring, self->in.rx, 4096, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_QUIET(&self->ring);
	ASSERT_EQ(0, send_all(self->in.tx, self->data, 100));
	n = ASSERT_TAKEN(&self->ring, 100);
	ASSERT_EQ(100, n);
	/* so with POLL_FIRST */
	ASSERT_EQ(0, send_all(self->in.tx, self->data, 100));
	prep_get_buf(&self->ring, self->in.rx, 4096, 1)->ioprio =
		IORING_RECVSEND_POLL_FIRST;
	ASSERT_SUBMIT(&self->ring, 1);
	n = ASSERT_TAKEN(&self->ring, 100);
	ASSERT_EQ(100, n);
	/* and with IOSQE_ASYNC */
	prep_get_buf(&self->ring, self->in.rx, 4096, 2)->flags = IOSQE_ASYNC;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_QUIET(&self->ring);
	ASSERT_EQ(0, send_all(self->in.tx, self->data, 100));
	n = ASSERT_TAKEN(&self->ring, 100);
	ASSERT_EQ(100, n);
}

/* What it takes is no longer in the socket, and what it doesn't take is. */
TEST_F(getbuf, contract_17_recv_gets_the_rest)
{
	char got[200];
	int n;

	ASSERT_EQ(0, send_all(self->in.tx, self->data, 300));
	/* until all is there */
	ASSERT_EQ(200, recv(self->in.rx, got, 200, MSG_PEEK | MSG_WAITALL));
	prep_get_buf(&self->ring, self->in.rx, 100, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	n = ASSERT_TAKEN(&self->ring, 100);
	ASSERT_EQ(100, n);
	ASSERT_EQ(50, recv(self->in.rx, got, 50, MSG_PEEK));
	ASSERT_EQ(0, memcmp(got, self->data + 100, 50));
	ASSERT_EQ(100, recv(self->in.rx, got, 100, MSG_WAITALL));
	ASSERT_EQ(0, memcmp(got, self->data + 100, 100));
	prep_get_buf(&self->ring, self->in.rx, 1000, 1);
	ASSERT_SUBMIT(&self->ring, 1);
	n = ASSERT_TAKEN(&self->ring, 100);
	ASSERT_EQ(100, n);
	prep_send_buf(&self->ring, self->out.tx, 0, -1, 0, 0, 0);
	prep_send_buf(&self->ring, self->out.tx, 0, -1, 1, 0, 0);
	ASSERT_SUBMIT(&self->ring, 2);
	ASSERT_CQE(&self->ring, REQ(0), 100, 0);
	ASSERT_CQE(&self->ring, REQ(0), 100, 0);
	ASSERT_RECEIVED(&self->out, self->data, 100);
	ASSERT_RECEIVED(&self->out, self->data + 200, 100);
}

/* A chain takes and gives on, however much there is. */
TEST_F(getbuf, contract_17_chain_of_all_there_is)
{
	struct io_uring_sqe *sqe;
	unsigned int i;
	int n;

	for (i = 0; i < 20; i++) {
		const size_t len = 1 + i * 997;

		ASSERT_EQ(0, send_all(self->in.tx, self->data, len));
		sqe = prep_get_buf(&self->ring, self->in.rx, 1 << 20, 0);
		sqe->flags = IOSQE_IO_LINK;
		sqe->ioprio = IORING_GET_BUF_REPLACE;
		prep_send_buf(&self->ring, self->out.tx, 0, -1, 0, 0,
			      IORING_RECVSEND_NOTIF_FLUSH);
		ASSERT_SUBMIT(&self->ring, 2);
		n = ASSERT_TAKEN(&self->ring, len);
		ASSERT_CQE(&self->ring, REQ(0), n, 0);
		ASSERT_RECEIVED(&self->out, self->data, n);
		ASSERT_NOTIF(&self->ring, TAG(0), i);
		/* what came too late for it */
		if (n < (int)len)
			ASSERT_RECEIVED(&self->in, self->data + n, len - n);
	}
}

/* The first bytes come to the program besides, and are in the buffer all the same. */
TEST_F(getbuf, contract_17_head)
{
	char head[64] = {};
	struct io_uring_sqe *sqe;
	int n;

	ASSERT_EQ(0, send_all(self->in.tx, self->data, 5000));
	ASSERT_EQ(4096, recv(self->in.rx, self->own, 4096,
			     MSG_PEEK | MSG_WAITALL));
	sqe = prep_get_buf(&self->ring, self->in.rx, 3000, 0);
	sqe->addr = (unsigned long)head;
	sqe->optlen = 40;
	ASSERT_SUBMIT(&self->ring, 1);
	n = ASSERT_TAKEN(&self->ring, 3000);
	ASSERT_EQ(3000, n);
	ASSERT_EQ(0, memcmp(head, self->data, 40));
	ASSERT_EQ(0, head[40] | head[41] | head[63]);
	prep_send_buf(&self->ring, self->out.tx, 0, -1, 0, 0, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 3000, 0);
	ASSERT_RECEIVED(&self->out, self->data, 3000);
	/* one that can't be written takes nothing */
	sqe = prep_get_buf(&self->ring, self->in.rx, 1000, 1);
	sqe->addr = 8;
	sqe->optlen = 40;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_NOT_TAKEN(&self->ring, -EFAULT);
	prep_get_buf(&self->ring, self->in.rx, 1000, 1);
	ASSERT_SUBMIT(&self->ring, 1);
	n = ASSERT_TAKEN(&self->ring, 1000);
	prep_send_buf(&self->ring, self->out.tx, 0, -1, 1, 0, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), n, 0);
	ASSERT_RECEIVED(&self->out, self->data + 3000, n);
}

/* Sent by copying, too, in parts, and written to a file. */
TEST_F(getbuf, contract_17_send_and_write_fixed)
{
	struct io_uring_sqe *sqe;
	char got[1000];
	int n, fd;

	ASSERT_EQ(0, send_all(self->in.tx, self->data, 1000));
	ASSERT_EQ(1000, recv(self->in.rx, got, 1000, MSG_PEEK | MSG_WAITALL));
	prep_get_buf(&self->ring, self->in.rx, 1000, 3);
	ASSERT_SUBMIT(&self->ring, 1);
	n = ASSERT_TAKEN(&self->ring, 1000);
	ASSERT_EQ(1000, n);

	sqe = ring_sqe(&self->ring);
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_SEND;
	sqe->fd = self->out.tx;
	sqe->addr = 100;
	sqe->len = 500;
	sqe->ioprio = IORING_RECVSEND_FIXED_BUF;
	sqe->buf_index = 3;
	sqe->user_data = REQ(1);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(1), 500, 0);
	ASSERT_RECEIVED(&self->out, self->data + 100, 500);

	fd = memfd_create("getbuf", 0);
	ASSERT_LE(0, fd);
	sqe = ring_sqe(&self->ring);
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_WRITE_FIXED;
	sqe->fd = fd;
	sqe->len = 1000;
	sqe->buf_index = 3;
	sqe->user_data = REQ(2);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(2), 1000, 0);
	ASSERT_EQ(1000, pread(fd, got, 1000, 0));
	ASSERT_EQ(0, memcmp(got, self->data, 1000));
	close(fd);
}

/* It stays until the table, every request and every notifier has let go. */
TEST_F(getbuf, contract_17_stays_until_all_let_go)
{
	int n;

	ASSERT_EQ(0, send_all(self->in.tx, self->data, 9000));
	prep_get_buf(&self->ring, self->in.rx, 9000, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	n = ASSERT_TAKEN(&self->ring, 9000);
	ASSERT_EQ(1, kernel_bufs(&self->ring));
	ASSERT_LT(0, kernel_buf_pages(&self->ring));
	prep_send_buf(&self->ring, self->out.tx, 0, -1, 0, 0, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), n, 0);
	prep_give_up(&self->ring, 0, NR_BUFFERS);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, FLUSH_REQ, 1, 0);
	/* the notifier has it */
	ASSERT_EQ(1, kernel_bufs(&self->ring));
	ASSERT_RECEIVED(&self->out, self->data, n);
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_EQ(0, kernel_bufs(&self->ring));
	ASSERT_EQ(0, kernel_buf_pages(&self->ring));
	/* the program's own was passed over */
	prep_send_buf(&self->ring, self->out.tx, (unsigned long)self->own, 10,
		      OWN_BUFFER, 0, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 10, 0);
}

NOTIF_TEST_MAIN
