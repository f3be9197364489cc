// SPDX-License-Identifier: GPL-2.0
/*
 * Others at the socket that IORING_OP_GET_BUF takes from: recv(2) in all its forms,
 * poll(2) and another ring. Each byte is one's, in order.
 */
#include <poll.h>
#include <pthread.h>

#include "getbuf.h"
#include "process.h"

#define ALL_LEN		(512 << 10)
#define MAX_CHUNKS	8192

/* What one of them got, piece by piece. */
struct got {
	char *data;
	size_t len, placed;
	unsigned int nr, next;
	unsigned int chunks[MAX_CHUNKS];
};

FIXTURE(getpeer)
{
	struct io_uring ring;
	struct pair in, out;
	char *data, *own;
	struct got *ours, *theirs;
	bool done;
};

RING_VARIANTS_SQPOLL(getpeer);

static struct got *got_new(void)
{
	struct got *got = calloc(1, sizeof(*got));

	got->data = malloc(ALL_LEN);
	return got;
}

FIXTURE_SETUP(getpeer)
{
	OPEN_PAIR(&self->in, NET_LO, AF_INET, SOCK_STREAM, .unread = true);
	OPEN_PAIR(&self->out, NET_LO, AF_INET, SOCK_STREAM);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	self->own = map_pages(page_size());
	self->data = map_pages(ALL_LEN);
	self->ours = got_new();
	self->theirs = got_new();
	ASSERT_TRUE(self->own && self->data);
	fill_pattern(self->data, ALL_LEN, 37);
	ASSERT_EQ(0, register_table(&self->ring, self->own, page_size()));
	ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));
}

FIXTURE_TEARDOWN(getpeer)
{
	ring_exit(&self->ring);
	pair_close(&self->in);
	pair_close(&self->out);
}

static void got_add(struct got *got, const char *data, size_t len)
{
	if (got->nr == MAX_CHUNKS || got->len + len > ALL_LEN)
		abort();
	if (data)
		memcpy(got->data + got->len, data, len);
	got->chunks[got->nr++] = len;
	got->len += len;
}

/* Is the next piece of @got what the data has at @at? */
static size_t got_fits(const struct got *got, const char *at, size_t left)
{
	size_t len = got->next < got->nr ? got->chunks[got->next] : 0;

	return len && len <= left && !memcmp(got->data + got->placed, at, len) ?
		len : 0;
}

/* The pieces of both make up the data, each in its own order. */
static bool make_up(FIXTURE_DATA(getpeer) *self)
{
	size_t at = 0;

	while (at < ALL_LEN) {
		struct got *a = self->ours, *b = self->theirs;
		size_t n = got_fits(a, self->data + at, ALL_LEN - at);
		size_t m = got_fits(b, self->data + at, ALL_LEN - at);

		if (m > n) {
			a = b;
			n = m;
		}
		if (!n)
			return false;
		a->placed += n;
		a->next++;
		at += n;
	}
	return self->ours->next == self->ours->nr &&
	       self->theirs->next == self->theirs->nr;
}

static void *send_and_shut(void *arg)
{
	FIXTURE_DATA(getpeer) *self = arg;

	send_all(self->in.tx, self->data, ALL_LEN);
	shutdown(self->in.tx, SHUT_WR);
	return NULL;
}

/* recv(2), now with MSG_PEEK, then with MSG_DONTWAIT, and poll(2). */
static void *receive_beside(void *arg)
{
	FIXTURE_DATA(getpeer) *self = arg;
	struct pollfd p = { .fd = self->in.rx, .events = POLLIN };
	char *buf = malloc(4096);
	unsigned int i;
	ssize_t n;

	for (i = 0; !__atomic_load_n(&self->done, __ATOMIC_ACQUIRE); i++) {
		if (i % 4 == 0)
			recv(self->in.rx, buf, 4096, MSG_PEEK | MSG_DONTWAIT);
		if (i % 4 == 1)
			poll(&p, 1, 1);
		n = recv(self->in.rx, buf, 64 + i * 97 % 4000, MSG_DONTWAIT);
		if (n > 0)
			got_add(self->theirs, buf, n);
		/* let the other one have some */
		if (n <= 0 || i % 3 == 0)
			sched_yield();
	}
	free(buf);
	return NULL;
}

/* Take until the end, and give on as a proof of what was taken. */
static void take_to_the_end(struct __test_metadata *_metadata,
			    FIXTURE_DATA(getpeer) *self)
{
	struct io_uring_cqe cqe;
	unsigned int i;
	size_t at;

	for (i = 0; ; i++) {
		struct io_uring_sqe *sqe = prep_get_buf(&self->ring, self->in.rx,
							64 + i * 131 % 6000, 0);

		sqe->ioprio = IORING_GET_BUF_REPLACE |
			      (i % 5 ? 0 : IORING_RECVSEND_POLL_FIRST);
		sqe->flags = i % 7 ? 0 : IOSQE_ASYNC;
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		ASSERT_EQ(REQ(50), cqe.user_data);
		/* io-wq was told of bytes that somebody else had */
		if (cqe.res == -EAGAIN && sqe->flags)
			continue;
		ASSERT_LE(0, cqe.res);
		if (!cqe.res)
			break;
		at = self->ours->len;
		got_add(self->ours, NULL, cqe.res);
		prep_send_buf(&self->ring, self->out.tx, 0, -1, 0, 0, 0);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), self->ours->len - at, 0);
		ASSERT_EQ(0, receive_with_ring(&self->ring, self->out.rx,
					       self->ours->data + at,
					       self->ours->len - at));
	}
}

TEST_F(getpeer, contract_17_each_byte_is_one_s)
{
	pthread_t sender, receiver;

	ASSERT_EQ(0, pthread_create(&sender, NULL, send_and_shut, self));
	ASSERT_EQ(0, pthread_create(&receiver, NULL, receive_beside, self));
	take_to_the_end(_metadata, self);
	__atomic_store_n(&self->done, true, __ATOMIC_RELEASE);
	pthread_join(sender, NULL);
	pthread_join(receiver, NULL);
	ASSERT_EQ(ALL_LEN, self->ours->len + self->theirs->len)
		TH_LOG("%zu were taken, %zu received", self->ours->len,
		       self->theirs->len);
	ASSERT_TRUE(make_up(self));
	if (!self->theirs->len || !self->ours->len)
		TH_LOG("only one of them got any");
}

/* Who waits for more than a byte does so also here; what is there is taken at once. */
TEST_F(getpeer, contract_17_low_water_mark)
{
	ASSERT_EQ(0, setsockopt_int(self->in.rx, SOL_SOCKET, SO_RCVLOWAT, 1000));
	prep_get_buf(&self->ring, self->in.rx, 4096, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_EQ(0, send_all(self->in.tx, self->data, 10));
	ASSERT_QUIET(&self->ring);
	ASSERT_EQ(0, send_all(self->in.tx, self->data, 990));
	ASSERT_CQE(&self->ring, REQ(50), 1000, 0);
}

/* As much as a peek has shown can be taken, and is shown no more. */
TEST_F(getpeer, contract_17_peek_shows_what_is_left)
{
	char got[1000];
	int on = 0;

	ASSERT_EQ(0, send_all(self->in.tx, self->data, 1000));
	ASSERT_EQ(1000, recv(self->in.rx, got, 1000, MSG_PEEK | MSG_WAITALL));
	prep_get_buf(&self->ring, self->in.rx, 400, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(50), 400, IORING_CQE_F_SOCK_NONEMPTY);
	ASSERT_EQ(600, recv(self->in.rx, got, 1000, MSG_PEEK));
	ASSERT_EQ(0, memcmp(got, self->data + 400, 600));
	/* from where peeks go on by themselves */
	ASSERT_EQ(0, setsockopt(self->in.rx, SOL_SOCKET, SO_PEEK_OFF, &on,
				sizeof(on)));
	ASSERT_EQ(100, recv(self->in.rx, got, 100, MSG_PEEK));
	ASSERT_EQ(0, memcmp(got, self->data + 400, 100));
	prep_get_buf(&self->ring, self->in.rx, 50, 1);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(50), 50, IORING_CQE_F_SOCK_NONEMPTY);
	ASSERT_EQ(550, recv(self->in.rx, got, 550, 0));
	ASSERT_EQ(0, memcmp(got, self->data + 450, 550));
}

/* Two rings, and RECV beside: each byte once. */
TEST_F(getpeer, contract_17_two_rings_and_recv)
{
	struct io_uring other;
	struct io_uring_sqe *sqe;
	char got[3000];
	unsigned int i;

	ASSERT_EQ(0, ring_init(&other, variant->setup));
	ASSERT_EQ(0, register_table(&other, self->own, page_size()));
	ASSERT_EQ(0, send_all(self->in.tx, self->data, 3000));
	ASSERT_EQ(3000, recv(self->in.rx, got, 3000, MSG_PEEK | MSG_WAITALL));
	for (i = 0; i < 3; i++) {
		prep_get_buf(&self->ring, self->in.rx, 300, i);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_EQ(300, ASSERT_TAKEN(&self->ring, 300));
		prep_get_buf(&other, self->in.rx, 300, i);
		ASSERT_SUBMIT(&other, 1);
		ASSERT_EQ(300, ASSERT_TAKEN(&other, 300));
		sqe = ring_sqe(&other);
		memset(sqe, 0, sizeof(*sqe));
		sqe->opcode = IORING_OP_RECV;
		sqe->fd = self->in.rx;
		sqe->addr = (unsigned long)got;
		sqe->len = 400;
		sqe->user_data = REQ(1);
		ASSERT_SUBMIT(&other, 1);
		ASSERT_EQ(0, ring_next(&other, &(struct io_uring_cqe){}));
		ASSERT_EQ(0, memcmp(got, self->data + i * 1000 + 600, 400));
	}
	for (i = 0; i < 3; i++) {
		prep_send_buf(&self->ring, self->out.tx, 0, -1, i, 0, 0);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), 300, 0);
		ASSERT_RECEIVED(&self->out, self->data + i * 1000, 300);
	}
	ASSERT_EQ(3, kernel_bufs(&self->ring));
	ASSERT_EQ(3, kernel_bufs(&other));
	ring_exit(&other);
}

NOTIF_TEST_MAIN
