// SPDX-License-Identifier: GPL-2.0
/*
 * One batch of a row, and all that tells the sender that its buffers are free
 * again. Every result is looked at, and notifications are counted.
 */
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include <linux/errqueue.h>

#include "see.h"

#define CQ_ENTRIES	1024
#define TAG		0xf00dULL

static void send_batch(struct bench *b)
{
	const int flags = b->row->mode == MSG_ZC ? MSG_ZEROCOPY : 0;
	const unsigned int bytes = b->row->bytes;
	unsigned int i;
	ssize_t ret;

	for (i = 0; i < b->row->batch; i++) {
		ret = send(b->tx, b->data, bytes, flags);
		if (ret != bytes)
			fail("send: %zd: %m", ret);
	}
}

/* One message of the error queue; how many sends it speaks of. */
static unsigned int drain_one(struct bench *b)
{
	char control[128];
	struct msghdr msg = {
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct pollfd poll_fd = { .fd = b->tx };
	struct sock_extended_err *err;
	struct cmsghdr *cmsg;
	unsigned int nr;

	if (recvmsg(b->tx, &msg, MSG_ERRQUEUE) < 0) {
		if (errno != EAGAIN || poll(&poll_fd, 1, -1) < 0)
			fail("error queue: %m");
		return 0;
	}
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!cmsg)
		fail("error queue: a message without a notification");
	err = (void *)CMSG_DATA(cmsg);
	if (err->ee_origin != SO_EE_ORIGIN_ZEROCOPY || err->ee_errno)
		fail("error queue: origin %u, error %u", err->ee_origin,
		     err->ee_errno);
	if (err->ee_info != b->next_id)
		fail("error queue: send %u is next, not %u", err->ee_info,
		     b->next_id);
	nr = err->ee_data - err->ee_info + 1;
	b->next_id += nr;
	if (err->ee_code & SO_EE_CODE_ZEROCOPY_COPIED)
		b->copied = true;
	return nr;
}

static void drain_batch(struct bench *b)
{
	unsigned int nr, left = b->row->batch;

	while (left) {
		nr = drain_one(b);
		if (nr > left)
			fail("%u notifications too many", nr - left);
		left -= nr;
	}
}

/* Of how many requests one carries the flag; more than a batch has: none. */
static unsigned int flag_each(const struct row *row)
{
	switch (row->flush) {
	case BATCH:
		return row->batch;
	case EIGHT:
		return 8;
	case EVERY:
		return 1;
	default:
		return MAX_BATCH + 1;
	}
}

static void submit_batch(struct bench *b)
{
	const struct row *row = b->row;
	const unsigned int each = flag_each(row);
	unsigned int i, left = each, ioprio = 0;
	struct io_uring_sqe *sqe;
	int ret;

	if (row->buffer != PLAIN)
		ioprio |= IORING_RECVSEND_FIXED_BUF;
	if (row->mode == SLOT)
		ioprio |= IORING_SEND_ZC_NOTIF_SLOT;
	if (b->report)
		ioprio |= IORING_SEND_ZC_REPORT_USAGE;
	for (i = 0; i < row->batch; i++) {
		sqe = io_uring_get_sqe(&b->ring);
		if (row->mode == IO_SEND) {
			io_uring_prep_send(sqe, b->tx, b->data, row->bytes,
					   MSG_WAITALL);
			continue;
		}
		io_uring_prep_sendzc(sqe, b->tx, b->data, row->bytes,
				     MSG_WAITALL, ioprio);
		if (!--left) {
			sqe->ioprio |= IORING_RECVSEND_NOTIF_FLUSH;
			left = each;
		}
	}
	ret = io_uring_submit(&b->ring);
	if (ret != (int)row->batch)
		fail("submit: %d of %u requests", ret, row->batch);
}

static void see_request(struct bench *b, const struct io_uring_cqe *cqe)
{
	if (cqe->res != (int)b->row->bytes)
		fail("a request's res is %d: %s", cqe->res,
		     cqe->res < 0 ? strerror(-cqe->res) : "not all was sent");
	if (cqe->flags != (b->row->mode == SEND_ZC ? IORING_CQE_F_MORE : 0))
		fail("a request's flags are %#x", cqe->flags);
}

static void see_batch(struct bench *b)
{
	see_cqes(b, b->row->batch, b->notifs, see_request);
}

static void work_batch(struct bench *b)
{
	if (uses_ring(b->row)) {
		submit_batch(b);
		see_batch(b);
		return;
	}
	send_batch(b);
	if (b->row->mode == MSG_ZC)
		drain_batch(b);
}

/* Whether nothing came that was not expected. */
bool work_is_over(struct bench *b)
{
	if (!uses_ring(b->row)) {
		struct msghdr msg = { };

		return recvmsg(b->tx, &msg, MSG_ERRQUEUE) < 0 && errno == EAGAIN;
	}
	io_uring_enter(b->ring.ring_fd, 0, 0, IORING_ENTER_GETEVENTS, NULL);
	return *b->ring.cq.khead == *b->ring.cq.ktail;
}

static unsigned int expected_notifs(const struct row *row)
{
	const unsigned int requests = ways_requests(row);

	if (row->mode == SEND_ZC)
		return row->batch;
	switch (row->flush) {
	case BATCH:
		return 1;
	case EIGHT:
		return requests / 8;
	case EVERY:
		return requests;
	case AFTER:
		return requests / row->after;
	default:
		return 0;
	}
}

static void register_slot(struct bench *b)
{
	struct io_uring_notification_slot slot = {
		.tag = TAG,
		.flags = (b->row->merge ? IORING_NOTIF_SLOT_MERGE : 0) |
			 (b->row->segments ? IORING_NOTIF_SLOT_SEGMENTS : 0),
		.copy_below = b->row->copy_below,
		.flush_after = b->row->after,
	};
	struct io_uring_notification_register reg = {
		.nr_slots = 1,
		.data = (unsigned long)&slot,
	};

	if (syscall(__NR_io_uring_register, b->ring.ring_fd,
		    IORING_REGISTER_NOTIFIERS, &reg, sizeof(reg)))
		fail("registering a slot: %m");
}

void work_open(struct bench *b)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_CQSIZE,
		.cq_entries = CQ_ENTRIES,
	};
	static const struct iovec empty[MAX_ENTRIES];
	struct iovec iov = { b->data, data_bytes(b->row) };
	int ret;

	b->batch = work_batch;
	b->notifs = expected_notifs(b->row);
	if (has_way(b->row))
		ways_open(b);
	if (takes(b->row))
		relay_open(b);
	b->next_id = 0;
	if (!uses_ring(b->row))
		return;
	if (b->row->defer)
		params.flags |= IORING_SETUP_SINGLE_ISSUER |
				IORING_SETUP_DEFER_TASKRUN;
	ret = io_uring_queue_init_params(MAX_BATCH, &b->ring, &params);
	if (ret)
		fail("making a ring: %s", strerror(-ret));
	if (b->row->buffer == TAKEN) {
		ret = io_uring_register_buffers(&b->ring, empty, MAX_ENTRIES);
		if (ret)
			fail("registering a table: %s", strerror(-ret));
	} else if (b->row->buffer != PLAIN) {
		ret = io_uring_register_buffers(&b->ring, &iov, 1);
		if (ret)
			fail("registering a buffer: %s", strerror(-ret));
	}
	if (b->row->mode == SLOT)
		register_slot(b);
}

/* io_uring_queue_exit() leaves the CQ ring mapped, and with that the ring open. */
void work_close(struct bench *b)
{
	unsigned long cq = (unsigned long)b->ring.cq.khead & -4096UL;
	size_t cq_size = b->ring.cq.ring_sz;

	if (!uses_ring(b->row))
		return;
	io_uring_queue_exit(&b->ring);
	munmap((void *)cq, cq_size);
}
