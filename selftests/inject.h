/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A fixture for requests of which a call on the way fails, see faults.h: rings of a
 * limited user, a new one for each call, and what has come of their requests.
 */
#ifndef NOTIF_TEST_INJECT_H
#define NOTIF_TEST_INJECT_H

#include "faults.h"

/* And up: one for each test, of whom nothing else is locked. */
#define SOME_USER	10000
#define NR_SLOTS	4
/* copies what it sends */
#define COPYING		3
/* a request's data is LEN bytes of a page of its own */
#define MAX_REQS	16
#define LEN		1000
/* in front of it on a stream: more than the receiver takes, of value 0 */
#define BACKLOG_LEN	(512 << 10)
#define FIXED		IORING_RECVSEND_FIXED_BUF
#define FLUSH		IORING_RECVSEND_NOTIF_FLUSH

FIXTURE(inject)
{
	struct faults faults;
	struct io_uring ring;	/* a new one for each round */
	struct io_uring probe;	/* see locked_pages() */
	struct pair udp, tcp;
	int totals;		/* /sys/kernel/debug/io_uring_notif/totals */
	long base;
	char *data, *page, *backlog;
	bool message;		/* requests are SENDMSG_ZC, of three pieces */
	struct iovec iov[3];
	struct msghdr msg;
	/* of this ring */
	unsigned int nr, answered, received;	/* requests */
	int res[MAX_REQS];
	unsigned int notified;			/* notifications */
	unsigned int seen[NR_SLOTS];		/* a bit for each number */
};

RING_VARIANTS(inject);

/* The rings belong to a user without CAP_IPC_LOCK, what needs root comes before. */
FIXTURE_SETUP(inject)
{
	const struct rlimit hard = { MAX_BYTES, MAX_BYTES };
	const uid_t uid = SOME_USER + getpid() % 50000;
	const char *missing = faults_open(&self->faults);

	if (missing)
		SKIP(return, "no %s here", missing);
	OPEN_PAIR(&self->udp, NET_LO, AF_INET, SOCK_DGRAM);
	OPEN_PAIR(&self->tcp, NET_VETH, AF_INET, SOCK_STREAM, .unread = true);
	self->totals = open("/sys/kernel/debug/io_uring_notif/totals", O_RDONLY);
	ASSERT_LE(0, self->totals);
	self->data = map_pages(MAX_REQS * page_size());
	self->page = map_pages(4096);
	self->backlog = calloc(1, BACKLOG_LEN);
	ASSERT_NE(NULL, self->data);
	ASSERT_NE(NULL, self->page);
	ASSERT_NE(NULL, self->backlog);
	fill_pattern(self->data, MAX_REQS * page_size(), 31);
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &hard));
	ASSERT_EQ(0, setresuid(uid, uid, uid));
	ASSERT_EQ(0, ring_init(&self->probe, 0));
	self->base = locked_pages(&self->probe, self->page);
	ASSERT_LE(0, self->base);
}

FIXTURE_TEARDOWN(inject)
{
	ring_exit(&self->probe);
	pair_close(&self->udp);
	pair_close(&self->tcp);
}

/* A new ring, and nothing has happened yet. */
static void open_ring(struct __test_metadata *_metadata,
		      FIXTURE_DATA(inject) *self, unsigned int setup,
		      unsigned int entries)
{
	struct io_uring_params p = {
		.flags = setup | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
		.cq_entries = entries,
	};

	ASSERT_EQ(0, io_uring_queue_init_params(entries, &self->ring, &p));
	self->nr = 0;
	self->answered = 0;
	self->received = 0;
	self->notified = 0;
	memset(self->seen, 0, sizeof(self->seen));
}

static int register_all(FIXTURE_DATA(inject) *self)
{
	static const struct io_uring_notification_slot slots[NR_SLOTS] = {
		{ .tag = TAG(0) }, { .tag = TAG(1) }, { .tag = TAG(2) },
		[COPYING] = { .tag = TAG(COPYING), .copy_below = ~0U },
	};

	return register_slots_as(&self->ring, slots, NR_SLOTS, 0);
}

#define OPEN_RING(_entries) do {					\
	open_ring(_metadata, self, variant->setup, _entries);		\
	ASSERT_EQ(0, register_all(self));				\
} while (0)

/* Each page of the data is a registered buffer: for request i, buffer i. */
static int register_pages(FIXTURE_DATA(inject) *self)
{
	struct iovec iov[MAX_REQS];
	unsigned int i;

	for (i = 0; i < MAX_REQS; i++)
		iov[i] = (struct iovec){ self->data + i * page_size(),
					  page_size() };
	return io_uring_register_buffers(&self->ring, iov, MAX_REQS);
}

/* The next request, on socket @fd. */
static struct io_uring_sqe *prep_next(FIXTURE_DATA(inject) *self, int fd,
				      unsigned int slot, unsigned int ioprio)
{
	char *data = self->data + self->nr * page_size();
	struct io_uring_sqe *sqe;

	self->iov[0] = (struct iovec){ data, 100 };
	self->iov[1] = (struct iovec){ data + 100, 1 };
	self->iov[2] = (struct iovec){ data + 101, LEN - 101 };
	self->msg = (struct msghdr){ .msg_iov = self->iov, .msg_iovlen = 3 };
	if (self->message)
		sqe = prep_slot_sendmsg(&self->ring, fd, &self->msg, slot, ioprio);
	else
		sqe = prep_slot_send(&self->ring, fd, data, LEN, slot, ioprio);
	if (ioprio & IORING_SEND_VECTORIZED) {
		sqe->addr = (unsigned long)self->iov;
		sqe->len = 3;
	}
	if (ioprio & FIXED)
		sqe->buf_index = self->nr;
	sqe->user_data = REQ(self->nr++);
	return sqe;
}

static void take_cqe(struct __test_metadata *_metadata,
		     FIXTURE_DATA(inject) *self, const struct io_uring_cqe *cqe)
{
	__u64 slot = cqe->user_data - TAG(0);
	unsigned int bit = 1U << (notif_seq(cqe) & 31);

	if (cqe->user_data < TAG(0)) {
		ASSERT_LT(cqe->user_data - REQ(0), self->nr);
		ASSERT_EQ(0, cqe->flags);
		self->res[cqe->user_data - REQ(0)] = cqe->res;
		self->answered++;
		return;
	}
	ASSERT_LT(slot, NR_SLOTS);
	ASSERT_EQ(0, cqe->res);
	ASSERT_LT(notif_seq(cqe), 32);
	ASSERT_EQ(0, self->seen[slot] & bit)
		TH_LOG("slot %llu: a second time", slot);
	self->seen[slot] |= bit;
	self->notified++;
}

/* Each request is answered. */
static void take_answers(struct __test_metadata *_metadata,
			 FIXTURE_DATA(inject) *self)
{
	struct io_uring_cqe cqe = {};

	while (self->answered < self->nr) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe))
			TH_LOG("call %u failed, and a request has no answer",
			       self->faults.nth);
		take_cqe(_metadata, self, &cqe);
	}
}

/* What the contract allows for, and the network: ENOBUFS for a datagram. */
static bool is_fault(FIXTURE_DATA(inject) *self, int err)
{
	return self->faults.failed &&
	       (err == -ENOMEM || err == -EFAULT || err == -ENOBUFS);
}

static void send_well(struct __test_metadata *_metadata,
		      FIXTURE_DATA(inject) *self, int fd, unsigned int slot,
		      unsigned int ioprio)
{
	prep_next(self, fd, slot, ioprio);
	ASSERT_SUBMIT(&self->ring, 1);
	take_answers(_metadata, self);
	ASSERT_EQ(LEN, self->res[self->nr - 1]);
}

/* The same with a fault. If it fails with that, another one doesn't. */
static void send_with_fault(struct __test_metadata *_metadata,
			    FIXTURE_DATA(inject) *self, int fd,
			    unsigned int slot, unsigned int ioprio)
{
	int ret;

	prep_next(self, fd, slot, ioprio);
	WITH_FAULT(ret = ring_submit(&self->ring));
	ASSERT_EQ(1, ret);
	take_answers(_metadata, self);
	ret = self->res[self->nr - 1];
	if (ret == LEN)
		return;
	ASSERT_TRUE(is_fault(self, ret))
		TH_LOG("call %u failed, the request with %d", self->faults.nth,
		       ret);
	send_well(_metadata, self, fd, slot, ioprio);
}

#define SEND_WELL(_pair, _slot, _ioprio)				\
	send_well(_metadata, self, (_pair)->tx, _slot, _ioprio)
#define SEND_WITH_FAULT(_pair, _slot, _ioprio)				\
	send_with_fault(_metadata, self, (_pair)->tx, _slot, _ioprio)

/* What was sent arrives, and nothing else. */
static void receive_sent(struct __test_metadata *_metadata,
			 FIXTURE_DATA(inject) *self, struct pair *pair)
{
	char byte;

	for (; self->received < self->nr; self->received++) {
		if (self->res[self->received] != LEN)
			continue;
		ASSERT_RECEIVED(pair, self->data + self->received * page_size(), LEN);
	}
	ASSERT_EQ(-1, recv(pair->rx, &byte, 1, MSG_DONTWAIT));
}

#define ASSERT_BACKLOG()						\
	ASSERT_EQ(BACKLOG_LEN, send(self->tcp.tx, self->backlog, BACKLOG_LEN, 0))
#define ASSERT_DRAINED()						\
	ASSERT_EQ(0, receive_and_compare(self->tcp.rx, self->backlog, BACKLOG_LEN))

#endif
