// SPDX-License-Identifier: GPL-2.0
/*
 * What IORING_OP_GET_BUF took counts against RLIMIT_MEMLOCK, to the page: what does
 * not fit stays where it is, and all comes back with whoever held it.
 */
#include "getbuf.h"
#include "process.h"
#include "user.h"

#define ONE_TAKE	1	/* a byte: the least that holds a page, or many */

FIXTURE(getlimit)
{
	struct io_uring ring;
	struct io_uring probe;	/* see locked_pages() */
	struct pair in, out;
	char *data;	/* DATA_LEN bytes, what is sent */
	char *own;	/* a page, the program's own buffer */
	char *page;	/* another one, for the probe */
	long base;
};

RING_VARIANTS_SQPOLL(getlimit);

/* Sockets and rings belong to somebody who may lock MAX_PAGES. */
FIXTURE_SETUP(getlimit)
{
	ASSERT_EQ(0, become_nobody());
	OPEN_PAIR(&self->in, NET_LO, AF_INET, SOCK_STREAM);
	OPEN_PAIR(&self->out, NET_LO, AF_INET, SOCK_STREAM, .unread = true);
	self->own = map_pages(page_size());
	self->page = map_pages(page_size());
	self->data = map_pages(DATA_LEN);
	ASSERT_TRUE(self->own && self->page && self->data);
	fill_pattern(self->data, DATA_LEN, 13);
	ASSERT_EQ(0, ring_init(&self->probe, 0));
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, register_table(&self->ring, self->own, page_size()));
	ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));
	self->base = locked_pages(&self->probe, self->page);
	ASSERT_LE(0, self->base);
}

FIXTURE_TEARDOWN(getlimit)
{
	if (self->ring.ring_fd >= 0)
		ring_exit(&self->ring);
	ring_exit(&self->probe);
	pair_close(&self->in);
	pair_close(&self->out);
}

/* What is locked but for what was from the beginning. */
#define LOCKED()	(locked_pages(&self->probe, self->page) - self->base)

/* Rings that were closed go in their own time. */
static long locked_in_the_end(FIXTURE_DATA(getlimit) *self)
{
	long pages;
	int ms;

	for (ms = 0; (pages = LOCKED()) && ms < LOST_MS; ms += 20)
		sleep_ms(20);
	return pages;
}

/* Take up to @len bytes into entry @index; the result. */
static int take(struct __test_metadata *_metadata, FIXTURE_DATA(getlimit) *self,
		size_t len, unsigned int index)
{
	struct io_uring_cqe cqe = {};

	prep_get_buf(&self->ring, self->in.rx, len, index);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_EQ(0, ring_next(&self->ring, &cqe));
	ASSERT_EQ(REQ(50), cqe.user_data);
	return cqe.res;
}

#define TAKE(_len, _index)	take(_metadata, self, _len, _index)

/* Have byte @at of the data come, alone, and wait until it has. */
static void come_byte(struct __test_metadata *_metadata,
		      FIXTURE_DATA(getlimit) *self, unsigned int at)
{
	char c;

	ASSERT_EQ(0, send_all(self->in.tx, self->data + at, 1));
	ASSERT_EQ(1, recv(self->in.rx, &c, 1, MSG_PEEK));
}

#define COME_BYTE(_at)	come_byte(_metadata, self, _at)

/* What one byte that comes alone holds. */
static long pages_of_a_byte(struct __test_metadata *_metadata,
			    FIXTURE_DATA(getlimit) *self)
{
	long pages;

	COME_BYTE(0);
	ASSERT_EQ(1, TAKE(ONE_TAKE, 0));
	pages = kernel_buf_pages(&self->ring);
	ASSERT_LT(0, pages);
	ASSERT_EQ(pages, LOCKED());
	prep_give_up(&self->ring, 0, 1);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, FLUSH_REQ, 1, 0);
	ASSERT_EQ(0, LOCKED());
	return pages;
}

/* A page less than it needs is too little, and takes nothing. */
TEST_F(getlimit, contract_17_limit_to_the_page)
{
	long pages = pages_of_a_byte(_metadata, self);
	char c;

	COME_BYTE(1);
	ASSERT_EQ(0, set_limit(self->base + pages - 1));
	ASSERT_EQ(-ENOMEM, TAKE(ONE_TAKE, 0));
	ASSERT_EQ(-ENOMEM, TAKE(4096, 1));
	ASSERT_EQ(0, kernel_bufs(&self->ring));
	ASSERT_EQ(0, kernel_buf_pages(&self->ring));
	ASSERT_EQ(1, recv(self->in.rx, &c, 1, MSG_PEEK));
	ASSERT_EQ(self->data[1], c);
	ASSERT_EQ(0, set_limit(self->base + pages));
	ASSERT_EQ(1, TAKE(ONE_TAKE, 0));
	ASSERT_EQ(pages, LOCKED());
	/* what is refused is for recv(2) all the same */
	COME_BYTE(2);
	ASSERT_EQ(0, set_limit(self->base + pages));
	ASSERT_EQ(-ENOMEM, TAKE(ONE_TAKE, 1));
	ASSERT_EQ(1, recv(self->in.rx, &c, 1, 0));
	ASSERT_EQ(self->data[2], c);
}

/* A peer that sends byte by byte holds no more than the limit says. */
TEST_F(getlimit, contract_17_limit_of_a_peer_that_sends_bytes)
{
	long pages = pages_of_a_byte(_metadata, self);
	char got[8];
	unsigned int i;

	for (i = 0; i < 3; i++) {
		COME_BYTE(i);
		ASSERT_EQ(0, set_limit(self->base + 3 * pages + pages / 2));
		ASSERT_EQ(1, TAKE(4096, i));
		ASSERT_GE((i + 1) * pages, kernel_buf_pages(&self->ring));
	}
	for (; i < 8; i++) {
		COME_BYTE(i);
		ASSERT_EQ(0, set_limit(self->base + 3 * pages + pages / 2));
		ASSERT_EQ(-ENOMEM, TAKE(4096, 3));
	}
	ASSERT_EQ(3 * pages, LOCKED());
	ASSERT_EQ(5, recv(self->in.rx, got, 5, MSG_WAITALL));
	ASSERT_EQ(0, memcmp(got, self->data + 3, 5));
}

/* Less than was asked for, if the limit lies in between; all in order. */
TEST_F(getlimit, contract_17_limit_in_between)
{
	const size_t len = 100000;
	size_t done = 0;
	unsigned int i;
	char *got;
	int n;

	ASSERT_EQ(0, send_all(self->in.tx, self->data, len));
	got = malloc(len);
	ASSERT_EQ(len, recv(self->in.rx, got, len, MSG_PEEK | MSG_WAITALL));
	ASSERT_EQ(0, set_limit(self->base + 20));
	for (i = 0; i < OWN_BUFFER; i++) {
		n = TAKE(25000, i);
		if (n == -ENOMEM)
			break;
		ASSERT_LT(0, n);
		ASSERT_GE(20, kernel_buf_pages(&self->ring));
		prep_send_buf(&self->ring, self->out.tx, 0, -1, i, 0, 0);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), n, 0);
		ASSERT_RECEIVED(&self->out, self->data + done, n);
		done += n;
	}
	ASSERT_EQ(-ENOMEM, n);
	ASSERT_LT(0, done);
	ASSERT_EQ(len - done, recv(self->in.rx, got, len - done, MSG_WAITALL));
	ASSERT_EQ(0, memcmp(got, self->data + done, len - done));
	free(got);
	ASSERT_EQ(kernel_buf_pages(&self->ring), LOCKED());
}

/* Files are no exception: pages of the page cache count as all others. */
TEST_F(getlimit, contract_17_limit_of_a_file)
{
	int fd = memfd_create("getlimit", 0);
	struct io_uring_cqe cqe = {};
	long pages;

	ASSERT_EQ(DATA_LEN, pwrite(fd, self->data, DATA_LEN, 0));
	prep_get_buf(&self->ring, fd, 10 * page_size(), 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(50), 10 * page_size(), 0);
	pages = kernel_buf_pages(&self->ring);
	ASSERT_LE(10, pages);
	ASSERT_EQ(pages, LOCKED());
	ASSERT_EQ(0, set_limit(self->base + pages + pages / 10 - 1));
	prep_get_buf(&self->ring, fd, page_size(), 1)->off = 20 * page_size();
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_NOT_TAKEN(&self->ring, -ENOMEM);
	/* some of it fits */
	ASSERT_EQ(0, set_limit(self->base + pages + 3 * (pages / 10)));
	prep_get_buf(&self->ring, fd, 10 * page_size(), 1)->off = 20 * page_size();
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_EQ(0, ring_next(&self->ring, &cqe));
	ASSERT_LT(0, cqe.res);
	ASSERT_GT((int)(10 * page_size()), cqe.res);
	ASSERT_EQ(kernel_buf_pages(&self->ring), LOCKED());
	close(fd);
}

/* The table lets go, the requests and the notifiers: with the last it comes back. */
TEST_F(getlimit, contract_17_limit_comes_back_with_the_last)
{
	long pages;
	int n;

	ASSERT_EQ(0, send_all(self->in.tx, self->data, 20000));
	n = TAKE(20000, 0);
	ASSERT_LT(0, n);
	pages = kernel_buf_pages(&self->ring);
	prep_send_buf(&self->ring, self->out.tx, 0, -1, 0, 0, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), n, 0);
	ASSERT_EQ(0, ring_register(&self->ring, IORING_UNREGISTER_BUFFERS, NULL, 0));
	/* but for the program's own */
	ASSERT_EQ(pages - 1, LOCKED());
	ASSERT_RECEIVED(&self->out, self->data, n);
	ASSERT_EQ(pages - 1, LOCKED());
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_EQ(-1, LOCKED());
}

/* A buffer that takes another one's place doesn't count twice afterwards. */
TEST_F(getlimit, contract_17_limit_of_replaced)
{
	long pages = pages_of_a_byte(_metadata, self);
	unsigned int i;

	for (i = 0; i < 20; i++) {
		COME_BYTE(i);
		prep_get_buf(&self->ring, self->in.rx, 1, 0)->ioprio =
			IORING_GET_BUF_REPLACE;
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(50), 1, 0);
		ASSERT_EQ(1, kernel_bufs(&self->ring));
		ASSERT_EQ(pages, kernel_buf_pages(&self->ring));
	}
	ASSERT_EQ(pages, LOCKED());
	/* as it is given up only then, there has to be room for both */
	COME_BYTE(i);
	ASSERT_EQ(0, set_limit(self->base + 2 * pages - 1));
	prep_get_buf(&self->ring, self->in.rx, 1, 0)->ioprio =
		IORING_GET_BUF_REPLACE;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_NOT_TAKEN(&self->ring, -ENOMEM);
	ASSERT_EQ(1, kernel_bufs(&self->ring));
}

TEST_F(getlimit, contract_17_limit_comes_back_with_the_ring)
{
	long rings;
	int n;

	ASSERT_EQ(0, send_all(self->in.tx, self->data, 60000));
	n = TAKE(20000, 0);
	ASSERT_LT(0, n);
	ASSERT_LT(0, TAKE(20000, 1));
	prep_send_buf(&self->ring, self->out.tx, 0, -1, 0, 0, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), n, 0);
	ring_exit(&self->ring);
	self->ring.ring_fd = -1;
	ASSERT_RECEIVED(&self->out, self->data, n);
	/* what the ring itself had locked is back as well */
	for (n = 0; (rings = LOCKED()) >= 0 && n < LOST_MS; n += 20)
		sleep_ms(20);
	ASSERT_GT(0, rings);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, register_table(&self->ring, self->own, page_size()));
	ASSERT_EQ(0, locked_in_the_end(self));
}

/* Hold all that can be held, and say so. */
static __noreturn void
hold_and_wait(const struct pair *in, unsigned int setup, int say)
{
	struct iovec iovs[64] = {};
	struct io_uring_cqe cqe;
	struct io_uring ring;
	unsigned int i;

	if (ring_init(&ring, setup) || io_uring_register_buffers(&ring, iovs, 64))
		_exit(1);
	for (i = 0; i < 64; i++) {
		prep_get_buf(&ring, in->rx, 1, i);
		if (ring_submit(&ring) != 1 || ring_next(&ring, &cqe))
			_exit(2);
		if (cqe.res == -ENOMEM)
			break;
	}
	if (i < 4 || i == 64 || write(say, "x", 1) != 1)
		_exit(3);
	for (;;)
		pause();
}

TEST_F(getlimit, contract_17_limit_comes_back_from_who_is_killed)
{
	int say[2], status;
	char c;
	pid_t pid;

	ASSERT_EQ(0, send_all(self->in.tx, self->data, 100));
	ASSERT_EQ(0, pipe(say));
	ASSERT_EQ(0, set_limit(self->base + 200));
	pid = start_child();
	if (!pid)
		hold_and_wait(&self->in, variant->setup, say[1]);
	close(say[1]);
	ASSERT_EQ(1, read(say[0], &c, 1));
	ASSERT_LT(100, LOCKED());
	kill(pid, SIGKILL);
	ASSERT_EQ(0, wait_exit(pid, &status));
	ASSERT_EQ(0, locked_in_the_end(self));
	close(say[0]);
}

NOTIF_TEST_MAIN
