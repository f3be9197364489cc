// SPDX-License-Identifier: GPL-2.0
/*
 * Each allocation and each copy on the way of IORING_OP_GET_BUF fails once. It is told
 * why, or does with less; what was not taken is where it was, nothing leaks, and it
 * works as it is repeated. See faults.h.
 */
#include "getbuf.h"

#include "faults.h"

#define LEN	9000	/* of several segments, and of a file's pages */
#define HEAD	50
#define ALL_LEN	(16 * LEN)

FIXTURE(getinject)
{
	struct faults faults;
	struct io_uring ring;	/* a new one for each round */
	struct io_uring probe;	/* see locked_pages() */
	struct pair in, out;
	char *data, *own, *page, *head;
	long base;
	int file;
	unsigned int flags;	/* of requests */
	bool has_head;
};

RING_VARIANTS(getinject);

FIXTURE_SETUP(getinject)
{
	const char *missing = faults_open(&self->faults);

	if (missing)
		SKIP(return, "no %s here", missing);
	OPEN_PAIR(&self->in, NET_VETH, AF_INET, SOCK_STREAM);
	OPEN_PAIR(&self->out, NET_LO, AF_INET, SOCK_STREAM);
	self->own = map_pages(page_size());
	self->page = map_pages(page_size());
	self->head = map_pages(page_size());
	self->data = map_pages(ALL_LEN);
	ASSERT_TRUE(self->own && self->page && self->head && self->data);
	fill_pattern(self->data, ALL_LEN, 61);
	self->file = memfd_create("getinject", 0);
	ASSERT_EQ(ALL_LEN, pwrite(self->file, self->data, ALL_LEN, 0));
	ASSERT_EQ(0, be_limited_user());
	ASSERT_EQ(0, ring_init(&self->probe, 0));
	self->base = locked_pages(&self->probe, self->page);
	ASSERT_LE(0, self->base);
}

FIXTURE_TEARDOWN(getinject)
{
	ring_exit(&self->probe);
	pair_close(&self->in);
	pair_close(&self->out);
}

static void open_ring(struct __test_metadata *_metadata,
		      FIXTURE_DATA(getinject) *self, unsigned int setup)
{
	ASSERT_EQ(0, ring_init(&self->ring, setup));
	ASSERT_EQ(0, register_table(&self->ring, self->own, page_size()));
	ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));
}

#define OPEN_RING()	open_ring(_metadata, self, variant->setup)

/* Nothing is left of the ring, and of what it took. */
static void finish(struct __test_metadata *_metadata,
		   FIXTURE_DATA(getinject) *self)
{
	prep_give_up(&self->ring, 0, NR_BUFFERS)->flags = IOSQE_CQE_SKIP_SUCCESS;
	ASSERT_SUBMIT(&self->ring, 1);
	ring_wait(&self->ring, 0, 0);
	ASSERT_TRUE(ring_empty(&self->ring));
	ASSERT_EQ(0, kernel_bufs(&self->ring))
		TH_LOG("call %u failed, and a buffer stays", self->faults.nth);
	ASSERT_EQ(0, kernel_buf_pages(&self->ring));
	ring_register(&self->ring, IORING_UNREGISTER_BUFFERS, NULL, 0);
	ring_exit(&self->ring);
	ASSERT_EQ(0, module_unused());
	ASSERT_EQ(self->base, locked_pages(&self->probe, self->page))
		TH_LOG("call %u failed, and pages stay locked", self->faults.nth);
}

#define FINISH()	finish(_metadata, self)

/* LEN bytes come in three parts, and are there. */
static void come(struct __test_metadata *_metadata,
		 FIXTURE_DATA(getinject) *self, unsigned int at)
{
	static char got[LEN];

	ASSERT_EQ(0, send_all(self->in.tx, self->data + at, 100));
	ASSERT_EQ(0, send_all(self->in.tx, self->data + at + 100, 1));
	ASSERT_EQ(0, send_all(self->in.tx, self->data + at + 101, LEN - 101));
	ASSERT_EQ(LEN, recv(self->in.rx, got, LEN, MSG_PEEK | MSG_WAITALL));
}

#define COME(_at)	come(_metadata, self, _at)

static struct io_uring_sqe *prep_take(FIXTURE_DATA(getinject) *self, int fd,
				      unsigned int index)
{
	struct io_uring_sqe *sqe = prep_get_buf(&self->ring, fd, LEN, index);

	sqe->flags = self->flags;
	if (self->has_head) {
		memset(self->head, 0, HEAD + 1);
		sqe->addr = (unsigned long)self->head;
		sqe->optlen = HEAD;
	}
	return sqe;
}

/* The result, which is one that may be. */
static int next_answer(struct __test_metadata *_metadata,
		       FIXTURE_DATA(getinject) *self, const char *want)
{
	struct io_uring_cqe cqe = {};

	ASSERT_EQ(0, ring_next(&self->ring, &cqe))
		TH_LOG("call %u failed, and there is no answer",
		       self->faults.nth);
	ASSERT_EQ(REQ(50), cqe.user_data);
	ASSERT_TRUE(cqe.res == LEN || self->faults.failed ||
		    (self->flags & IOSQE_ASYNC))
		TH_LOG("call %u: %d", self->faults.nth, cqe.res);
	ASSERT_TRUE(cqe.res > 0 || cqe.res == -ENOMEM || cqe.res == -EFAULT)
		TH_LOG("call %u failed, the request with %d", self->faults.nth,
		       cqe.res);
	ASSERT_GE(LEN, cqe.res);
	if (cqe.res >= HEAD && self->has_head) {
		ASSERT_EQ(0, memcmp(self->head, want, HEAD));
		ASSERT_EQ(0, self->head[HEAD]);
	}
	return cqe.res;
}

#define ANSWER(_at)	next_answer(_metadata, self, self->data + (_at))

/* What was taken is what it should be. */
static void give_on(struct __test_metadata *_metadata,
		    FIXTURE_DATA(getinject) *self, unsigned int index,
		    const char *want, int len)
{
	struct io_uring_sqe *sqe;

	sqe = prep_send_buf(&self->ring, self->out.tx, 0, len, index, 0, 0);
	sqe->opcode = IORING_OP_SEND;
	sqe->ioprio = IORING_RECVSEND_FIXED_BUF;
	sqe->notification_idx = 0;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), len, 0);
	ASSERT_RECEIVED(&self->out, want, len);
}

#define GIVE_ON(_index, _at, _len)					\
	give_on(_metadata, self, _index, self->data + (_at), _len)

/* From a socket: the rest is taken next, into another entry. */
static void take_from_socket(struct __test_metadata *_metadata,
			     FIXTURE_DATA(getinject) *self, unsigned int setup)
{
	int ret, n, done;

	do {
		open_ring(_metadata, self, setup);
		COME(0);
		prep_take(self, self->in.rx, 0);
		WITH_FAULT(ret = ring_submit(&self->ring));
		ASSERT_EQ(1, ret);
		n = ANSWER(0);
		done = n > 0 ? n : 0;
		if (done)
			GIVE_ON(0, 0, done);
		ASSERT_EQ(done > 0, kernel_bufs(&self->ring));
		if (done < LEN) {
			/* without a fault it is there, in order */
			prep_get_buf(&self->ring, self->in.rx, LEN, 1);
			ASSERT_SUBMIT(&self->ring, 1);
			n = ASSERT_TAKEN(&self->ring, LEN);
			ASSERT_EQ(LEN - done, n);
			GIVE_ON(1, done, n);
		}
		ASSERT_EQ(-1, recv(self->in.rx, self->head, 1, MSG_DONTWAIT));
		FINISH();
	} while (MORE_FAULTS);
}

#define TAKE_FROM_SOCKET()	take_from_socket(_metadata, self, variant->setup)

TEST_F(getinject, contract_17_enomem_socket)
{
	TAKE_FROM_SOCKET();
}

TEST_F(getinject, contract_17_enomem_socket_head)
{
	self->has_head = true;
	TAKE_FROM_SOCKET();
}

/* The task only hands it to io-wq, which goes on by itself. */
TEST_F(getinject, contract_17_enomem_socket_async)
{
	self->flags = IOSQE_ASYNC;
	TAKE_FROM_SOCKET();
}

/* It waits by poll, and a call fails as it is woken. */
TEST_F(getinject, contract_17_enomem_socket_polled)
{
	int ret, n, done;

	do {
		OPEN_RING();
		prep_take(self, self->in.rx, 0);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_EQ(0, send_all(self->in.tx, self->data, LEN));
		WITH_FAULT(ret = ring_wait(&self->ring, 1, LOST_MS));
		ASSERT_TRUE(!ret || ret == -EINTR || self->faults.failed);
		n = next_answer(_metadata, self, self->data);
		for (done = n > 0 ? n : 0; done < LEN; done += n) {
			prep_get_buf(&self->ring, self->in.rx, LEN, 1)->ioprio =
				IORING_GET_BUF_REPLACE;
			ASSERT_SUBMIT(&self->ring, 1);
			n = ASSERT_TAKEN(&self->ring, LEN - done);
			GIVE_ON(1, done, n);
		}
		FINISH();
	} while (MORE_FAULTS);
}

/* What is replaced stays unless there is another one. */
TEST_F(getinject, contract_17_enomem_replace)
{
	int ret, n;

	do {
		OPEN_RING();
		COME(0);
		prep_take(self, self->in.rx, 0);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_EQ(LEN, ANSWER(0));
		COME(LEN);
		prep_take(self, self->in.rx, 0)->ioprio = IORING_GET_BUF_REPLACE;
		WITH_FAULT(ret = ring_submit(&self->ring));
		ASSERT_EQ(1, ret);
		n = ANSWER(LEN);
		ASSERT_EQ(1, kernel_bufs(&self->ring));
		GIVE_ON(0, n > 0 ? LEN : 0, n > 0 ? n : LEN);
		n = n > 0 ? n : 0;
		if (n < LEN)
			ASSERT_RECEIVED(&self->in, self->data + LEN + n, LEN - n);
		FINISH();
	} while (MORE_FAULTS);
}

static void take_from_file(struct __test_metadata *_metadata,
			   FIXTURE_DATA(getinject) *self, unsigned int setup,
			   unsigned int off, size_t len)
{
	int ret, n;

	do {
		struct io_uring_sqe *sqe;

		open_ring(_metadata, self, setup);
		ASSERT_EQ(off, lseek(self->file, off, SEEK_SET));
		sqe = prep_take(self, self->file, 0);
		sqe->off = -1;
		sqe->len = len;
		WITH_FAULT(ret = ring_submit(&self->ring));
		ASSERT_EQ(1, ret);
		n = len == LEN ? ANSWER(off) : ASSERT_TAKEN(&self->ring, len);
		ASSERT_EQ(n > 0, kernel_bufs(&self->ring));
		if (n > 0)
			GIVE_ON(0, off, n);
		/* the file is where what was taken ends */
		ASSERT_EQ(off + (n > 0 ? n : 0),
			  lseek(self->file, 0, SEEK_CUR));
		prep_get_buf(&self->ring, self->file, LEN, 1)->off = off;
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_EQ(LEN, ASSERT_TAKEN(&self->ring, LEN));
		GIVE_ON(1, off, LEN);
		FINISH();
	} while (MORE_FAULTS);
}

#define TAKE_FROM_FILE(_off)						\
	take_from_file(_metadata, self, variant->setup, _off, LEN)

TEST_F(getinject, contract_17_enomem_file)
{
	TAKE_FROM_FILE(100);
}

TEST_F(getinject, contract_17_enomem_file_head)
{
	self->has_head = true;
	TAKE_FROM_FILE(LEN);
}

TEST_F(getinject, contract_17_enomem_file_async)
{
	self->flags = IOSQE_ASYNC;
	TAKE_FROM_FILE(0);
}

/* Giving up can't fail, and frees all. */
TEST_F(getinject, contract_17_enomem_give_up)
{
	int ret;

	do {
		OPEN_RING();
		COME(0);
		prep_take(self, self->in.rx, 0);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_EQ(LEN, ANSWER(0));
		prep_give_up(&self->ring, 0, NR_BUFFERS);
		WITH_FAULT(ret = ring_submit(&self->ring));
		ASSERT_EQ(1, ret);
		ASSERT_CQE(&self->ring, FLUSH_REQ, 1, 0);
		ASSERT_EQ(0, kernel_bufs(&self->ring));
		FINISH();
	} while (MORE_FAULTS);
}

/* What was taken is sent by a slot: its notifier keeps the buffer, or isn't there. */
TEST_F(getinject, contract_17_enomem_sent)
{
	struct io_uring_cqe cqe;
	int ret;

	do {
		OPEN_RING();
		COME(0);
		prep_take(self, self->in.rx, 0);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_EQ(LEN, ANSWER(0));
		prep_send_buf(&self->ring, self->out.tx, 0, -1, 0, 0, 0);
		WITH_FAULT(ret = ring_submit(&self->ring));
		ASSERT_EQ(1, ret);
		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		ASSERT_EQ(REQ(0), cqe.user_data);
		ASSERT_TRUE(cqe.res == LEN || self->faults.failed);
		if (cqe.res > 0)
			ASSERT_RECEIVED(&self->out, self->data, cqe.res);
		prep_flush(&self->ring, 0, 1, 0);
		ASSERT_SUBMIT(&self->ring, 1);
		do {
			ASSERT_EQ(0, ring_next(&self->ring, &cqe));
			ret = cqe.user_data == FLUSH_REQ ? cqe.res : ret;
		} while (cqe.user_data != FLUSH_REQ);
		/* the notification may have come before */
		ring_next_ms(&self->ring, &cqe, ret ? 1000 : 1);
		FINISH();
	} while (MORE_FAULTS);
}

NOTIF_TEST_MAIN
