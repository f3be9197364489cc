// SPDX-License-Identifier: GPL-2.0
/*
 * What IORING_OP_GET_BUF took, given on in all the ways that a registered buffer can
 * be: by vectors, in parts, many times at once, to files, and through slots that copy.
 */
#include "getbuf.h"

#define LEN		40000
/* slots of other kinds, behind those without any option */
#define MERGING		1
#define COPYING		2
#define FALLING		3
#define FIXED		IORING_RECVSEND_FIXED_BUF

FIXTURE(getgive)
{
	struct io_uring ring;
	struct pair in, out;
	char *data, *own;
};

RING_VARIANTS_SQPOLL(getgive);

FIXTURE_SETUP(getgive)
{
	const struct io_uring_notification_slot slots[NR_SLOTS] = {
		{ .tag = TAG(0) },
		[MERGING] = { .tag = TAG(MERGING), .flush_after = 1,
			      .flags = IORING_NOTIF_SLOT_MERGE },
		[COPYING] = { .tag = TAG(COPYING), .copy_below = ~0U },
		[FALLING] = { .tag = TAG(FALLING),
			      .flags = IORING_NOTIF_SLOT_FALLBACK },
	};

	OPEN_PAIR(&self->in, NET_LO, AF_INET, SOCK_STREAM);
	OPEN_PAIR(&self->out, NET_VETH, AF_INET, SOCK_STREAM);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	self->own = map_pages(page_size());
	self->data = map_pages(DATA_LEN);
	ASSERT_TRUE(self->own && self->data);
	fill_pattern(self->data, DATA_LEN, 53);
	ASSERT_EQ(0, register_table(&self->ring, self->own, page_size()));
	ASSERT_EQ(0, register_slots_as(&self->ring, slots, NR_SLOTS, 0));
	ASSERT_EQ(0, send_all(self->in.tx, self->data, LEN));
	ASSERT_EQ(LEN, recv(self->in.rx, self->data + LEN, LEN,
			    MSG_PEEK | MSG_WAITALL));
	prep_get_buf(&self->ring, self->in.rx, LEN, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(50), LEN, 0);
}

FIXTURE_TEARDOWN(getgive)
{
	ring_exit(&self->ring);
	pair_close(&self->in);
	pair_close(&self->out);
}

/* One request that was sent, through a slot that notifies when it is flushed. */
#define ASSERT_GIVEN(_from, _len, _slot) do {				\
	ASSERT_SUBMIT(&self->ring, 1);					\
	ASSERT_CQE(&self->ring, REQ(0), _len, 0);			\
	ASSERT_RECEIVED(&self->out, self->data + (_from), _len);	\
	ASSERT_FLUSH(&self->ring, _slot, 1);				\
	ASSERT_NOTIF(&self->ring, TAG(_slot), 0);			\
} while (0)

/* A vector of places in it, which lie anywhere and may lie on one another. */
TEST_F(getgive, contract_17_vectors)
{
	struct iovec iov[3] = {
		{ NULL, 100 }, { (void *)100UL, 4000 }, { (void *)4100UL, 30000 },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 3 };
	struct io_uring_sqe *sqe;
	char *want;

	prep_slot_sendmsg(&self->ring, self->out.tx, &msg, 0, FIXED)->buf_index = 0;
	ASSERT_GIVEN(0, 34100, 0);
	sqe = prep_slot_send(&self->ring, self->out.tx, iov, 3, COPYING,
			     FIXED | IORING_SEND_VECTORIZED);
	sqe->buf_index = 0;
	ASSERT_GIVEN(0, 34100, COPYING);
	/* backwards, and twice */
	iov[0] = (struct iovec){ (void *)20000UL, 5000 };
	iov[1] = (struct iovec){ NULL, 5000 };
	iov[2] = (struct iovec){ (void *)2500UL, 5000 };
	sqe = prep_slot_send(&self->ring, self->out.tx, iov, 3, FALLING,
			     FIXED | IORING_SEND_VECTORIZED);
	sqe->buf_index = 0;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 15000, 0);
	want = malloc(15000);
	memcpy(want, self->data + 20000, 5000);
	memcpy(want + 5000, self->data, 5000);
	memcpy(want + 10000, self->data + 2500, 5000);
	ASSERT_RECEIVED(&self->out, want, 15000);
	free(want);
	/* one that ends beyond it */
	iov[2].iov_len = LEN;
	sqe = prep_slot_send(&self->ring, self->out.tx, iov, 3, 0,
			     FIXED | IORING_SEND_VECTORIZED);
	sqe->buf_index = 0;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), -EFAULT, 0);
}

/* Through a slot that merges, one that copies, and as mainline's SEND. */
TEST_F(getgive, contract_17_slots_of_all_kinds)
{
	struct io_uring_sqe *sqe;

	prep_send_buf(&self->ring, self->out.tx, 0, -1, 0, MERGING, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_RECEIVED(&self->out, self->data, LEN);
	ASSERT_CQE(&self->ring, REQ(0), LEN, 0);
	prep_send_buf(&self->ring, self->out.tx, 5, 1000, 0, COPYING, 0);
	ASSERT_GIVEN(5, 1000, COPYING);
	prep_send_buf(&self->ring, self->out.tx, 10, 20000, 0, FALLING, 0);
	ASSERT_GIVEN(10, 20000, FALLING);
	sqe = prep_send_buf(&self->ring, self->out.tx, 77, 20000, 0, 0, 0);
	sqe->opcode = IORING_OP_SEND;
	sqe->ioprio = FIXED;
	sqe->notification_idx = 0;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 20000, 0);
	ASSERT_RECEIVED(&self->out, self->data + 77, 20000);
}

/* To a socket that can only copy, by a slot that does; or else refused. */
TEST_F(getgive, contract_17_to_a_socket_that_copies)
{
	struct pair unix_pair;
	int fds[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	unix_pair = (struct pair){ .tx = fds[0], .rx = fds[1] };
	prep_send_buf(&self->ring, fds[0], 0, 20000, 0, FALLING, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 20000, 0);
	ASSERT_RECEIVED(&unix_pair, self->data, 20000);
	prep_send_buf(&self->ring, fds[0], 0, 20000, 0, 0, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), -EOPNOTSUPP, 0);
	pair_close(&unix_pair);
}

/* As datagrams, with parts of it in each. */
TEST_F(getgive, contract_17_as_datagrams)
{
	struct pair udp;
	unsigned int i;

	OPEN_PAIR(&udp, NET_VETH, AF_INET6, SOCK_DGRAM);
	for (i = 0; i < 8; i++)
		prep_send_buf(&self->ring, udp.tx, i * 1300, 1300, 0, 0, 0);
	ASSERT_SUBMIT(&self->ring, 8);
	for (i = 0; i < 8; i++) {
		ASSERT_CQE(&self->ring, REQ(0), 1300, 0);
		ASSERT_RECEIVED(&udp, self->data + i * 1300, 1300);
	}
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	pair_close(&udp);
}

/* One buffer for many receivers at once: it is there once. */
TEST_F(getgive, contract_17_to_many)
{
	struct pair to[6];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(to); i++)
		OPEN_PAIR(&to[i], i & 1 ? NET_VETH : NET_LO, AF_INET, SOCK_STREAM);
	for (i = 0; i < ARRAY_SIZE(to); i++)
		prep_send_buf(&self->ring, to[i].tx, 0, -1, 0, 0, 0)->flags =
			i % 3 ? 0 : IOSQE_ASYNC;
	ASSERT_SUBMIT(&self->ring, ARRAY_SIZE(to));
	for (i = 0; i < ARRAY_SIZE(to); i++)
		ASSERT_CQE(&self->ring, REQ(0), LEN, 0);
	ASSERT_EQ(1, kernel_bufs(&self->ring));
	for (i = 0; i < ARRAY_SIZE(to); i++) {
		ASSERT_RECEIVED(&to[i], self->data, LEN);
		pair_close(&to[i]);
	}
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

static struct io_uring_sqe *prep_rw_fixed(struct io_uring *ring, int opcode,
					  int fd, unsigned long from, size_t len)
{
	struct io_uring_sqe *sqe = ring_sqe(ring);

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = opcode;
	sqe->fd = fd;
	sqe->addr = from;
	sqe->len = len;
	sqe->user_data = REQ(1);
	return sqe;
}

/* Written to a file, to a pipe, and back to the socket; nothing is read into it. */
TEST_F(getgive, contract_17_written)
{
	int fd = memfd_create("getgive", 0), fds[2];
	char *got = malloc(LEN);

	prep_rw_fixed(&self->ring, IORING_OP_WRITE_FIXED, fd, 100, 30000)->off =
		5000;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(1), 30000, 0);
	ASSERT_EQ(30000, pread(fd, got, 30000, 5000));
	ASSERT_EQ(0, memcmp(got, self->data + 100, 30000));
	ASSERT_EQ(0, pipe(fds));
	prep_rw_fixed(&self->ring, IORING_OP_WRITE_FIXED, fds[1], 7, 3000)->flags =
		IOSQE_ASYNC;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(1), 3000, 0);
	ASSERT_EQ(3000, read(fds[0], got, 3000));
	ASSERT_EQ(0, memcmp(got, self->data + 7, 3000));
	prep_rw_fixed(&self->ring, IORING_OP_WRITE_FIXED, fd, 100, LEN - 99);
	prep_rw_fixed(&self->ring, IORING_OP_READ_FIXED, fd, 0, 100);
	ASSERT_SUBMIT(&self->ring, 2);
	ASSERT_CQE(&self->ring, REQ(1), -EFAULT, 0);
	ASSERT_CQE(&self->ring, REQ(1), -EFAULT, 0);
	/* its bytes are as they were */
	prep_send_buf(&self->ring, self->out.tx, 0, -1, 0, 0, 0);
	ASSERT_GIVEN(0, LEN, 0);
	free(got);
	close(fd);
	close(fds[0]);
	close(fds[1]);
}

/* By mainline's SEND_ZC, too: its own notification keeps the buffer. */
TEST_F(getgive, contract_17_without_a_slot)
{
	struct io_uring_sqe *sqe = ring_sqe(&self->ring);
	struct io_uring_cqe cqe;
	unsigned int i;

	io_uring_prep_sendzc(sqe, self->out.tx, (void *)100UL, 30000, MSG_WAITALL,
			     FIXED);
	sqe->buf_index = 0;
	sqe->user_data = REQ(2);
	sqe->flags = IOSQE_IO_LINK;
	prep_give_up(&self->ring, 0, 1);
	ASSERT_SUBMIT(&self->ring, 2);
	ASSERT_CQE(&self->ring, REQ(2), 30000, IORING_CQE_F_MORE);
	/* the notification may come before the buffer is given up */
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		if (cqe.user_data == FLUSH_REQ) {
			ASSERT_EQ(1, cqe.res);
			continue;
		}
		ASSERT_EQ(REQ(2), cqe.user_data);
		ASSERT_EQ(IORING_CQE_F_NOTIF, cqe.flags);
	}
	ASSERT_RECEIVED(&self->out, self->data + 100, 30000);
	ASSERT_EQ(0, kernel_bufs(&self->ring));
}

/* Nothing is received into it. */
TEST_F(getgive, contract_17_not_received_into)
{
	struct io_uring_sqe *sqe;
	struct io_uring_cqe cqe;

	ASSERT_EQ(0, send_all(self->in.tx, self->own, 10));
	sqe = prep_rw_fixed(&self->ring, IORING_OP_RECV, self->in.rx, 0, 10);
	sqe->ioprio = FIXED;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_EQ(0, ring_next(&self->ring, &cqe));
	ASSERT_EQ(REQ(1), cqe.user_data);
	ASSERT_GT(0, cqe.res);
	ASSERT_RECEIVED(&self->in, self->own, 10);
	prep_send_buf(&self->ring, self->out.tx, 0, -1, 0, 0, 0);
	ASSERT_GIVEN(0, LEN, 0);
}

/* What a ring holds is in its fdinfo: how many, and how much. */
TEST_F(getgive, contract_17_fdinfo)
{
	long pages = kernel_buf_pages(&self->ring);

	ASSERT_EQ(1, kernel_bufs(&self->ring));
	ASSERT_LE((LEN + page_size() - 1) / page_size(), pages);
	ASSERT_EQ(NR_BUFFERS, fdinfo_number(self->ring.ring_fd, "UserBufs:"));
	prep_give_up(&self->ring, 0, 1);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, FLUSH_REQ, 1, 0);
	ASSERT_EQ(0, fdinfo_number(self->ring.ring_fd, "KernelBufs:"));
	ASSERT_EQ(0, fdinfo_number(self->ring.ring_fd, "KernelBufPages:"));
}

NOTIF_TEST_MAIN
