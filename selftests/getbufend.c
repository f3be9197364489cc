// SPDX-License-Identifier: GPL-2.0
/*
 * IORING_OP_GET_BUF from a TCP socket: what it doesn't take, and where it must not go.
 */
#include "getrelay.h"

/* An entry that is not empty is kept, unless it is to be replaced. */
TEST_F(getbuf, contract_17_replaces_only_what_it_took)
{
	int n;

	memset(self->own, 'o', page_size());
	ASSERT_EQ(0, send_all(self->in.tx, self->data, 30));
	ASSERT_EQ(30, recv(self->in.rx, self->data + 100, 30,
			   MSG_PEEK | MSG_WAITALL));
	prep_get_buf(&self->ring, self->in.rx, 10, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	n = ASSERT_TAKEN(&self->ring, 10);
	ASSERT_EQ(10, n);
	prep_get_buf(&self->ring, self->in.rx, 10, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_NOT_TAKEN(&self->ring, -EBUSY);
	prep_get_buf(&self->ring, self->in.rx, 10, OWN_BUFFER);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_NOT_TAKEN(&self->ring, -EBUSY);
	prep_get_buf(&self->ring, self->in.rx, 10, OWN_BUFFER)->ioprio =
		IORING_GET_BUF_REPLACE;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_NOT_TAKEN(&self->ring, -EBUSY);
	prep_get_buf(&self->ring, self->in.rx, 10, NR_BUFFERS);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_NOT_TAKEN(&self->ring, -EINVAL);
	/* nothing of that took a byte */
	prep_get_buf(&self->ring, self->in.rx, 10, 0)->ioprio =
		IORING_GET_BUF_REPLACE;
	ASSERT_SUBMIT(&self->ring, 1);
	n = ASSERT_TAKEN(&self->ring, 10);
	ASSERT_EQ(10, n);
	ASSERT_EQ(1, kernel_bufs(&self->ring));
	prep_send_buf(&self->ring, self->out.tx, 0, -1, 0, 0, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 10, 0);
	ASSERT_RECEIVED(&self->out, self->data + 10, 10);
	/* and the program's own is what it was */
	prep_send_buf(&self->ring, self->out.tx, (unsigned long)self->own, 10,
		      OWN_BUFFER, 0, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 10, 0);
	ASSERT_RECEIVED(&self->out, self->own, 10);
}

/* The end is 0, once what was before it is taken; the entry stays as it was. */
TEST_F(getbuf, contract_17_end_of_the_stream)
{
	int n, i;

	ASSERT_EQ(0, send_all(self->in.tx, self->data, 100));
	ASSERT_EQ(0, shutdown(self->in.tx, SHUT_WR));
	prep_get_buf(&self->ring, self->in.rx, 4096, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	n = ASSERT_TAKEN(&self->ring, 100);
	ASSERT_EQ(100, n);
	for (i = 0; i < 3; i++) {
		prep_get_buf(&self->ring, self->in.rx, 4096, i)->ioprio =
			IORING_GET_BUF_REPLACE;
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_NOT_TAKEN(&self->ring, 0);
	}
	ASSERT_EQ(1, kernel_bufs(&self->ring));
	prep_send_buf(&self->ring, self->out.tx, 0, -1, 0, 0, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 100, 0);
	ASSERT_RECEIVED(&self->out, self->data, 100);
}

/* A chain breaks there, and sends nothing twice. */
TEST_F(getbuf, contract_17_end_breaks_a_chain)
{
	struct io_uring_sqe *sqe;
	int n;

	ASSERT_EQ(0, send_all(self->in.tx, self->data, 100));
	prep_get_buf(&self->ring, self->in.rx, 4096, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	n = ASSERT_TAKEN(&self->ring, 100);
	ASSERT_EQ(100, n);
	ASSERT_EQ(0, shutdown(self->in.tx, SHUT_WR));
	sqe = prep_get_buf(&self->ring, self->in.rx, 4096, 0);
	sqe->ioprio = IORING_GET_BUF_REPLACE;
	sqe->flags = IOSQE_IO_LINK;
	prep_send_buf(&self->ring, self->out.tx, 0, -1, 0, 0,
		      IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 2);
	ASSERT_NOT_TAKEN(&self->ring, 0);
	ASSERT_CQE(&self->ring, REQ(0), -ECANCELED, 0);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_EQ(-1, recv(self->out.rx, self->own, 1, MSG_DONTWAIT));
	ASSERT_EQ(EAGAIN, errno);
}

/* A peer that resets the connection is an error, also to who waits. */
TEST_F(getbuf, contract_17_reset)
{
	struct linger linger = { 1, 0 };

	prep_get_buf(&self->ring, self->in.rx, 4096, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_QUIET(&self->ring);
	setsockopt(self->in.tx, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(self->in.tx);
	self->in.tx = -1;
	ASSERT_NOT_TAKEN(&self->ring, -ECONNRESET);
	prep_get_buf(&self->ring, self->in.rx, 4096, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_NOT_TAKEN(&self->ring, 0);
	ASSERT_EQ(0, kernel_bufs(&self->ring));
}

/* As a worker looks whether to wait, and has looked, and waits. */
TEST_F(getbuf, contract_17_reset_as_a_worker_waits)
{
	struct linger linger = { 1, 0 };
	struct pair one;
	unsigned int i;

	for (i = 0; i < 100; i++) {
		OPEN_PAIR(&one, NET_LO, AF_INET, SOCK_STREAM);
		setsockopt(one.tx, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		prep_get_buf(&self->ring, one.rx, 4096, 0)->flags = IOSQE_ASYNC;
		ASSERT_SUBMIT(&self->ring, 1);
		close(one.tx);
		one.tx = -1;
		ASSERT_NOT_TAKEN(&self->ring, -ECONNRESET);
		pair_close(&one);
	}
}

/* It can't be read into, and nothing beyond its bytes can be sent. */
TEST_F(getbuf, contract_17_only_its_bytes_only_to_be_read)
{
	struct io_uring_sqe *sqe;
	int n;

	ASSERT_EQ(0, send_all(self->in.tx, self->data, 1000));
	prep_get_buf(&self->ring, self->in.rx, 500, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	n = ASSERT_TAKEN(&self->ring, 500);

	prep_send_buf(&self->ring, self->out.tx, 0, n + 1, 0, 0, 0);
	prep_send_buf(&self->ring, self->out.tx, 1, n, 0, 0, 0);
	prep_send_buf(&self->ring, self->out.tx, n, -1, 0, 0, 0);
	prep_send_buf(&self->ring, self->out.tx, n + 1, -1, 0, 0, 0);
	prep_send_buf(&self->ring, self->out.tx, -1UL, 1, 0, 0, 0);
	prep_send_buf(&self->ring, self->out.tx, -1UL, -1, 0, 0, 0);
	ASSERT_SUBMIT(&self->ring, 6);
	ASSERT_CQE(&self->ring, REQ(0), -EFAULT, 0);
	ASSERT_CQE(&self->ring, REQ(0), -EFAULT, 0);
	ASSERT_CQE(&self->ring, REQ(0), -EFAULT, 0);
	ASSERT_CQE(&self->ring, REQ(0), -EFAULT, 0);
	ASSERT_CQE(&self->ring, REQ(0), -EFAULT, 0);
	ASSERT_CQE(&self->ring, REQ(0), -EFAULT, 0);

	sqe = ring_sqe(&self->ring);
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_READ_FIXED;
	sqe->fd = open("/dev/zero", O_RDONLY);
	sqe->len = 1;
	sqe->user_data = REQ(3);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(3), -EFAULT, 0);
}

/* What is not a TCP socket, nor a file, and what the ABI reserves. */
TEST_F(getbuf, contract_17_errors)
{
	struct io_uring_sqe *sqe;
	int pair[2], udp;

	udp = socket(AF_INET, SOCK_DGRAM, 0);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	prep_get_buf(&self->ring, udp, 100, 0);
	prep_get_buf(&self->ring, pair[0], 100, 0);
	prep_get_buf(&self->ring, -1, 100, 0);
	prep_get_buf(&self->ring, self->in.rx, 0, 0);
	prep_get_buf(&self->ring, self->in.rx, IORING_GET_BUF_MAX + 1, 0);
	prep_get_buf(&self->ring, self->in.rx, 100, 0)->off = 1;
	prep_get_buf(&self->ring, self->in.rx, 100, 0)->rw_flags = 1;
	prep_get_buf(&self->ring, self->in.rx, 100, 0)->addr3 = 1;
	prep_get_buf(&self->ring, self->in.rx, 100, 0)->ioprio = 4;
	sqe = prep_get_buf(&self->ring, self->in.rx, 100, 0);
	sqe->addr = (unsigned long)self->own;
	sqe->optlen = 101;
	prep_get_buf(&self->ring, self->in.rx, 100, 0)->optlen = 40;
	ASSERT_SUBMIT(&self->ring, 11);
	ASSERT_NOT_TAKEN(&self->ring, -EOPNOTSUPP);
	ASSERT_NOT_TAKEN(&self->ring, -EOPNOTSUPP);
	ASSERT_NOT_TAKEN(&self->ring, -EBADF);
	ASSERT_NOT_TAKEN(&self->ring, -EINVAL);
	ASSERT_NOT_TAKEN(&self->ring, -EINVAL);
	ASSERT_NOT_TAKEN(&self->ring, -EINVAL);
	ASSERT_NOT_TAKEN(&self->ring, -EINVAL);
	ASSERT_NOT_TAKEN(&self->ring, -EINVAL);
	ASSERT_NOT_TAKEN(&self->ring, -EINVAL);
	ASSERT_NOT_TAKEN(&self->ring, -EINVAL);
	ASSERT_NOT_TAKEN(&self->ring, -EINVAL);

	prep_give_up(&self->ring, 0, NR_BUFFERS + 1);
	prep_give_up(&self->ring, 0xffffffff, 1);
	prep_give_up(&self->ring, 0, 1)->addr = 1;
	prep_give_up(&self->ring, 0, 1)->addr3 = 1;
	prep_give_up(&self->ring, 0, 1)->buf_index = 1;
	ASSERT_SUBMIT(&self->ring, 5);
	ASSERT_CQE(&self->ring, FLUSH_REQ, -EINVAL, 0);
	ASSERT_CQE(&self->ring, FLUSH_REQ, -EOVERFLOW, 0);
	ASSERT_CQE(&self->ring, FLUSH_REQ, -EINVAL, 0);
	ASSERT_CQE(&self->ring, FLUSH_REQ, -EINVAL, 0);
	ASSERT_CQE(&self->ring, FLUSH_REQ, -EINVAL, 0);
	close(udp);
	close(pair[0]);
	close(pair[1]);
}

/* At urgent data it stops, and says so; recv(2) gets past it. */
TEST_F(getbuf, contract_17_urgent_data)
{
	char c;
	int n;

	ASSERT_EQ(0, send_all(self->in.tx, self->data, 100));
	ASSERT_EQ(1, send(self->in.tx, "!", 1, MSG_OOB));
	ASSERT_EQ(0, send_all(self->in.tx, self->data + 100, 100));
	ASSERT_EQ(1, recv(self->in.rx, &c, 1, MSG_PEEK));
	prep_get_buf(&self->ring, self->in.rx, 4096, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	n = ASSERT_TAKEN(&self->ring, 100);
	while (n < 100) {
		prep_get_buf(&self->ring, self->in.rx, 4096, 0)->ioprio =
			IORING_GET_BUF_REPLACE;
		ASSERT_SUBMIT(&self->ring, 1);
		n += ASSERT_TAKEN(&self->ring, 100 - n);
	}
	prep_get_buf(&self->ring, self->in.rx, 4096, 1);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_NOT_TAKEN(&self->ring, -EOPNOTSUPP);
	ASSERT_EQ(1, recv(self->in.rx, &c, 1, 0));
	ASSERT_EQ(self->data[100], c);
	prep_get_buf(&self->ring, self->in.rx, 4096, 1);
	ASSERT_SUBMIT(&self->ring, 1);
	n = ASSERT_TAKEN(&self->ring, 99);
}

NOTIF_TEST_MAIN
