// SPDX-License-Identifier: GPL-2.0
/*
 * IORING_OP_GET_BUF as a request like others: on every kind of ring, in chains, behind
 * a drain, in io-wq, with a time limit, cancelled.
 */
#include "getbuf.h"
#include "rings.h"

#define LEN	3000
#define TIMEOUT_REQ	REQ(60)

FIXTURE(getkind)
{
	struct io_uring ring;
	struct pair in, out;
	char *data, *own;
};

RING_KINDS(getkind);

/* kind_init() with a table of empty entries; a restricted ring may take, too. */
static int init(struct io_uring *ring, const struct ring_kind *kind, void *own)
{
	const unsigned int nr = ARRAY_SIZE(restriction_list);
	struct io_uring_restriction list[ARRAY_SIZE(restriction_list) + 1];
	int ret = ring_init(ring, kind->setup);

	memcpy(list, restriction_list, sizeof(restriction_list));
	list[nr] = (struct io_uring_restriction){
		.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_GET_BUF,
	};
	if (!ret)
		ret = register_table(ring, own, page_size());
	if (!ret && kind->restricted)
		ret = ring_restrict(ring, list, nr + 1);
	if (!ret && kind->setup & IORING_SETUP_R_DISABLED)
		ret = ring_enable(ring);
	return ret ?: kind_register_slots(ring, kind, NR_SLOTS);
}

FIXTURE_SETUP(getkind)
{
	OPEN_PAIR(&self->in, NET_LO, AF_INET, SOCK_STREAM);
	OPEN_PAIR(&self->out, NET_LO, AF_INET, SOCK_STREAM);
	self->own = map_pages(page_size());
	self->data = map_pages(DATA_LEN);
	ASSERT_TRUE(self->own && self->data);
	fill_pattern(self->data, DATA_LEN, 19);
	ASSERT_EQ(0, init(&self->ring, &variant->kind, self->own));
}

FIXTURE_TEARDOWN(getkind)
{
	ring_exit(&self->ring);
	pair_close(&self->in);
	pair_close(&self->out);
}

/* The CQE of a request of the larger size, if there is one. */
#define ASSERT_LARGE(_is_there) do {					\
	struct io_uring_cqe __large = {};				\
	if (_is_there) {						\
		ASSERT_EQ(0, ring_next(&self->ring, &__large));		\
		ASSERT_EQ(NOP_REQ, __large.user_data);			\
	}								\
} while (0)

TEST_F(getkind, contract_17_takes_and_gives_on)
{
	unsigned int i;
	bool large;

	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, send_all(self->in.tx, self->data + i * LEN, LEN));
		ASSERT_EQ(LEN, recv(self->in.rx, self->own, LEN,
				    MSG_PEEK | MSG_WAITALL));
		large = prep_large(&self->ring);
		prep_get_buf(&self->ring, self->in.rx, LEN, 0)->ioprio =
			IORING_GET_BUF_REPLACE;
		ASSERT_LE(1, ring_submit(&self->ring));
		ASSERT_LARGE(large);
		ASSERT_CQE(&self->ring, REQ(50), LEN, 0);
		prep_send_buf(&self->ring, self->out.tx, 0, -1, 0, 0,
			      IORING_RECVSEND_NOTIF_FLUSH);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), LEN, 0);
		ASSERT_RECEIVED(&self->out, self->data + i * LEN, LEN);
		ASSERT_CQE(&self->ring, TAG(0), 0, kind_flags(&variant->kind, i));
	}
	prep_give_up(&self->ring, 0, NR_BUFFERS);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, FLUSH_REQ, 1, 0);
	ASSERT_EQ(0, kernel_bufs(&self->ring));
}

/* One that waits, and one that is left to io-wq. */
TEST_F(getkind, contract_17_waits)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		prep_get_buf(&self->ring, self->in.rx, LEN, i)->flags =
			i ? IOSQE_ASYNC : 0;
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_QUIET(&self->ring);
		ASSERT_EQ(0, send_all(self->in.tx, self->data, 700));
		ASSERT_EQ(700, ASSERT_TAKEN(&self->ring, 700));
	}
	ASSERT_EQ(2, kernel_bufs(&self->ring));
}

/* Who may only use slots may not take. */
TEST(contract_17_restricted_ring_refuses)
{
	struct io_uring ring;
	struct pair in;
	char *own = map_pages(page_size());
	char c = 'c';

	OPEN_PAIR(&in, NET_LO, AF_INET, SOCK_STREAM);
	ASSERT_EQ(0, ring_init(&ring, IORING_SETUP_R_DISABLED));
	ASSERT_EQ(0, register_table(&ring, own, page_size()));
	ASSERT_EQ(0, ring_restrict(&ring, restriction_list,
				   ARRAY_SIZE(restriction_list)));
	ASSERT_EQ(0, ring_enable(&ring));
	ASSERT_EQ(0, send_all(in.tx, &c, 1));
	prep_get_buf(&ring, in.rx, LEN, 0);
	ASSERT_SUBMIT(&ring, 1);
	ASSERT_NOT_TAKEN(&ring, -EACCES);
	ASSERT_EQ(1, recv(in.rx, &c, 1, 0));
	ring_exit(&ring);
	pair_close(&in);
}

FIXTURE(getreq)
{
	struct io_uring ring;
	struct pair in, out;
	char *data, *own;
};

RING_VARIANTS_SQPOLL(getreq);

FIXTURE_SETUP(getreq)
{
	const struct ring_kind kind = { .setup = variant->setup };

	OPEN_PAIR(&self->in, NET_LO, AF_INET, SOCK_STREAM);
	OPEN_PAIR(&self->out, NET_LO, AF_INET, SOCK_STREAM);
	self->own = map_pages(page_size());
	self->data = map_pages(DATA_LEN);
	ASSERT_TRUE(self->own && self->data);
	fill_pattern(self->data, DATA_LEN, 23);
	ASSERT_EQ(0, init(&self->ring, &kind, self->own));
}

FIXTURE_TEARDOWN(getreq)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
	pair_close(&self->in);
	pair_close(&self->out);
}

/* Bytes that are there. */
#define COME(_off, _len) do {						\
	ssize_t __n;							\
									\
	ASSERT_EQ(0, send_all(self->in.tx, self->data + (_off), _len));	\
	__n = recv(self->in.rx, self->own, _len, MSG_PEEK | MSG_WAITALL);\
	ASSERT_EQ(_len, __n);						\
} while (0)

/* They are still there, and nothing else. */
#define ASSERT_LEFT(_off, _len) do {					\
	ASSERT_RECEIVED(&self->in, self->data + (_off), _len);		\
	ASSERT_EQ(-1, recv(self->in.rx, self->own, 1, MSG_DONTWAIT));	\
} while (0)

/* A chain that waits for its first one, and then runs to its end. */
TEST_F(getreq, contract_17_chain_waits)
{
	prep_get_buf(&self->ring, self->in.rx, LEN, 0)->flags = IOSQE_IO_LINK;
	prep_send_buf(&self->ring, self->out.tx, 0, -1, 0, 0, 0)->flags =
		IOSQE_IO_LINK;
	prep_give_up(&self->ring, 0, 1);
	ASSERT_SUBMIT(&self->ring, 3);
	ASSERT_QUIET(&self->ring);
	ASSERT_EQ(0, send_all(self->in.tx, self->data, 900));
	ASSERT_EQ(900, ASSERT_TAKEN(&self->ring, 900));
	ASSERT_CQE(&self->ring, REQ(0), 900, 0);
	ASSERT_CQE(&self->ring, FLUSH_REQ, 1, 0);
	ASSERT_RECEIVED(&self->out, self->data, 900);
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_EQ(0, kernel_bufs(&self->ring));
}

/* One that fails breaks it, one that finds less than it asked for doesn't. */
TEST_F(getreq, contract_17_chain_breaks)
{
	COME(0, 500);
	prep_get_buf(&self->ring, self->in.rx, LEN, OWN_BUFFER)->flags =
		IOSQE_IO_LINK;
	prep_send_buf(&self->ring, self->out.tx, 0, -1, 0, 0, 0);
	ASSERT_SUBMIT(&self->ring, 2);
	ASSERT_NOT_TAKEN(&self->ring, -EBUSY);
	ASSERT_CQE(&self->ring, REQ(0), -ECANCELED, 0);
	ASSERT_LEFT(0, 500);
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);

	/* hard links go on: the entry is empty */
	COME(0, 500);
	prep_get_buf(&self->ring, self->in.rx, LEN, OWN_BUFFER)->flags =
		IOSQE_IO_HARDLINK;
	prep_get_buf(&self->ring, self->in.rx, LEN, 0)->user_data = REQ(51);
	ASSERT_SUBMIT(&self->ring, 2);
	ASSERT_NOT_TAKEN(&self->ring, -EBUSY);
	ASSERT_CQE(&self->ring, REQ(51), 500, 0);
}

/* Behind others, all of which are over before. */
TEST_F(getreq, contract_17_drain)
{
	struct io_uring_sqe *sqe;

	COME(0, 900);
	prep_get_buf(&self->ring, self->in.rx, 300, 0)->flags = IOSQE_ASYNC;
	sqe = prep_get_buf(&self->ring, self->in.rx, 300, 1);
	sqe->flags = IOSQE_IO_DRAIN;
	sqe->user_data = REQ(51);
	prep_send_buf(&self->ring, self->out.tx, 0, -1, 1, 0, 0)->flags =
		IOSQE_IO_DRAIN;
	ASSERT_SUBMIT(&self->ring, 3);
	ASSERT_CQE(&self->ring, REQ(50), 300, IORING_CQE_F_SOCK_NONEMPTY);
	ASSERT_CQE(&self->ring, REQ(51), 300, IORING_CQE_F_SOCK_NONEMPTY);
	ASSERT_CQE(&self->ring, REQ(0), 300, 0);
	ASSERT_RECEIVED(&self->out, self->data + 300, 300);
	ASSERT_LEFT(600, 300);
}

/* It says whether there is more, when there is. */
TEST_F(getreq, contract_17_says_that_there_is_more)
{
	COME(0, 1000);
	prep_get_buf(&self->ring, self->in.rx, 999, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(50), 999, IORING_CQE_F_SOCK_NONEMPTY);
	prep_get_buf(&self->ring, self->in.rx, 999, 1);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(50), 1, 0);
}

/* Success without a CQE; an error has one. */
TEST_F(getreq, contract_17_skip_success)
{
	COME(0, 1000);
	prep_get_buf(&self->ring, self->in.rx, 1000, 0)->flags =
		IOSQE_CQE_SKIP_SUCCESS;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_QUIET(&self->ring);
	ASSERT_EQ(1, kernel_bufs(&self->ring));
	prep_get_buf(&self->ring, self->in.rx, 1000, 0)->flags =
		IOSQE_CQE_SKIP_SUCCESS;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_NOT_TAKEN(&self->ring, -EBUSY);
}

/* Cancelled by its user_data, its file, and with all there is. */
TEST_F(getreq, contract_17_cancelled_while_it_waits)
{
	const unsigned int how[] = {
		0, IORING_ASYNC_CANCEL_FD, IORING_ASYNC_CANCEL_ANY,
		IORING_ASYNC_CANCEL_OP | IORING_ASYNC_CANCEL_ALL,
	};
	struct io_uring_sqe *sqe;
	unsigned int i;

	for (i = 0; i < 2 * ARRAY_SIZE(how); i++) {
		/* one of io-wq waits in the kernel, or has yet to begin */
		prep_get_buf(&self->ring, self->in.rx, LEN, i % 4)->flags =
			i >= ARRAY_SIZE(how) ? IOSQE_ASYNC : 0;
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_QUIET(&self->ring);
		sqe = ring_sqe(&self->ring);
		memset(sqe, 0, sizeof(*sqe));
		sqe->opcode = IORING_OP_ASYNC_CANCEL;
		sqe->fd = -1;
		sqe->addr = REQ(50);
		sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
		sqe->user_data = REQ(99);
		sqe->cancel_flags = how[i % ARRAY_SIZE(how)];
		if (sqe->cancel_flags & IORING_ASYNC_CANCEL_FD)
			sqe->fd = self->in.rx;
		if (sqe->cancel_flags & IORING_ASYNC_CANCEL_OP)
			sqe->len = IORING_OP_GET_BUF;
		ASSERT_SUBMIT(&self->ring, 1);
		for (;;) {
			struct io_uring_cqe cqe = {};

			ASSERT_EQ(0, ring_next(&self->ring, &cqe));
			/* one that runs is told, and not waited for */
			if (cqe.user_data == REQ(99)) {
				ASSERT_EQ(-EALREADY, cqe.res);
				continue;
			}
			ASSERT_EQ(REQ(50), cqe.user_data);
			ASSERT_TRUE(cqe.res == -ECANCELED || cqe.res == -EINTR);
			break;
		}
		ring_wait(&self->ring, 0, 0);
		while (!ring_empty(&self->ring))
			io_uring_cqe_seen(&self->ring);
		COME(0, 10);
		ASSERT_LEFT(0, 10);
	}
	ASSERT_EQ(0, kernel_bufs(&self->ring));
}

/* A time limit ends one that waits; one that has something in time takes it. */
TEST_F(getreq, contract_17_linked_timeout)
{
	struct __kernel_timespec soon = { .tv_nsec = 30000000 };
	struct __kernel_timespec late = { .tv_sec = 60 };
	struct io_uring_sqe *sqe;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		if (i)
			COME(0, 100);
		prep_get_buf(&self->ring, self->in.rx, 100, 0)->flags =
			IOSQE_IO_LINK;
		sqe = ring_sqe(&self->ring);
		memset(sqe, 0, sizeof(*sqe));
		sqe->opcode = IORING_OP_LINK_TIMEOUT;
		sqe->fd = -1;
		sqe->addr = (unsigned long)(i ? &late : &soon);
		sqe->len = 1;
		sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
		sqe->user_data = TIMEOUT_REQ;
		ASSERT_SUBMIT(&self->ring, 2);
		for (;;) {
			struct io_uring_cqe cqe = {};

			ASSERT_EQ(0, ring_next(&self->ring, &cqe));
			if (cqe.user_data == TIMEOUT_REQ)
				continue;
			ASSERT_EQ(REQ(50), cqe.user_data);
			ASSERT_EQ(i ? 100 : -ECANCELED, cqe.res);
			break;
		}
		/* its own, before or after */
		ring_wait(&self->ring, 0, 0);
		while (!ring_empty(&self->ring))
			io_uring_cqe_seen(&self->ring);
	}
	ASSERT_EQ(1, kernel_bufs(&self->ring));
}

/* A registered file, and an entry that a chain fills and gives on many times. */
TEST_F(getreq, contract_17_registered_file)
{
	int fds[2] = { self->in.rx, self->out.tx };
	unsigned int i;

	ASSERT_EQ(0, ring_register(&self->ring, IORING_REGISTER_FILES, fds, 2));
	COME(0, 4000);
	for (i = 0; i < 4; i++) {
		struct io_uring_sqe *sqe;

		sqe = prep_get_buf(&self->ring, 0, 1000, 0);
		sqe->flags = IOSQE_FIXED_FILE | IOSQE_IO_LINK;
		sqe->ioprio = IORING_GET_BUF_REPLACE;
		prep_send_buf(&self->ring, 1, 0, -1, 0, 0, 0)->flags =
			IOSQE_FIXED_FILE | (i < 3 ? IOSQE_IO_LINK : 0);
	}
	ASSERT_SUBMIT(&self->ring, 8);
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(1000, ASSERT_TAKEN(&self->ring, 1000));
		ASSERT_CQE(&self->ring, REQ(0), 1000, 0);
	}
	ASSERT_RECEIVED(&self->out, self->data, 4000);
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_EQ(1, kernel_bufs(&self->ring));
}

NOTIF_TEST_MAIN
