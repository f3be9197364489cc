// SPDX-License-Identifier: GPL-2.0
/*
 * Batches of rows that say how: CQEs merged with notifications, or skipped, a
 * header in front of the data, many datagrams in a request or a system call.
 */
#include <sys/socket.h>
#include <sys/uio.h>

#include <linux/io_uring/query.h>

#include "see.h"

static char header[VECTOR_HEADER];
static struct iovec vectors[MAX_BATCH][2];
static struct io_uring_dgram dgrams[MAX_BATCH];
static struct mmsghdr messages[MAX_BATCH];

/* What each request of a batch has, and what the last one of a notifier has. */
struct marks {
	unsigned int each;	/* how many a notifier has */
	unsigned int ioprio;
	unsigned int last_ioprio;
	unsigned int flags, last_flags;
};

/* How many requests a batch has. */
unsigned int ways_requests(const struct row *row)
{
	return row->many ? row->batch / row->many : row->batch;
}

/* How many requests a notifier has; without a slot, how many a batch has. */
static unsigned int per_notif(const struct row *row)
{
	switch (row->flush) {
	case EIGHT:
		return 8;
	case EVERY:
		return 1;
	case AFTER:
		return row->after;
	default:
		return ways_requests(row);
	}
}

static struct marks marks_of(const struct bench *b)
{
	const struct row *row = b->row;
	struct marks marks = { .each = per_notif(row) };

	if (row->buffer != PLAIN)
		marks.ioprio |= IORING_RECVSEND_FIXED_BUF;
	if (row->mode == SLOT)
		marks.ioprio |= IORING_SEND_ZC_NOTIF_SLOT;
	if (row->many)
		marks.ioprio |= IORING_SEND_ZC_MANY;
	if (row->header)
		marks.ioprio |= IORING_SEND_VECTORIZED;
	if (b->report)
		marks.ioprio |= IORING_SEND_ZC_REPORT_USAGE;
	if (row->mode == SLOT && row->flush != AFTER)
		marks.last_ioprio = IORING_RECVSEND_NOTIF_FLUSH;
	if (row->skip)
		marks.flags = IOSQE_CQE_SKIP_SUCCESS;
	/* it has a CQE that says that all is over, or a notification does */
	if (row->skip && row->mode == SLOT && !row->merge)
		marks.last_flags = IOSQE_CQE_SKIP_SUCCESS;
	return marks;
}

static struct io_uring_sqe *next_sqe(struct bench *b)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&b->ring);

	if (!sqe)
		fail("the ring has no SQE left");
	return sqe;
}

static void mark(struct io_uring_sqe *sqe, const struct marks *marks,
		 unsigned int *left)
{
	sqe->flags = marks->flags;
	if (--*left)
		return;
	*left = marks->each;
	sqe->flags = marks->last_flags;
	sqe->ioprio |= marks->last_ioprio;
}

static void submit_requests(struct bench *b)
{
	const unsigned int requests = ways_requests(b->row);
	int ret = io_uring_submit(&b->ring);

	if (ret != (int)requests)
		fail("submit: %d of %u requests", ret, requests);
}

static void see_request(struct bench *b, const struct io_uring_cqe *cqe)
{
	const struct row *row = b->row;
	const int want = row->many ? row->many : row->bytes;

	if (cqe->res != want)
		fail("a request's res is %d: %s", cqe->res,
		     cqe->res < 0 ? strerror(-cqe->res) : "not all was sent");
	if (cqe->flags == (row->mode == SEND_ZC ? IORING_CQE_F_MORE : 0))
		return;
	if (!row->merge || !b->report || cqe->flags != IORING_CQE_F_ZC_COPIED)
		fail("a request's flags are %#x", cqe->flags);
	b->copied = true;
}

static void batch_sends(struct bench *b)
{
	const struct row *row = b->row;
	const struct marks marks = marks_of(b);
	unsigned int i, left = marks.each;
	struct io_uring_sqe *sqe;

	for (i = 0; i < row->batch; i++) {
		sqe = io_uring_get_sqe(&b->ring);
		if (row->mode == IO_SEND)
			io_uring_prep_send(sqe, b->tx, b->data, row->bytes,
					   MSG_WAITALL);
		else
			io_uring_prep_sendzc(sqe, b->tx, b->data, row->bytes,
					     MSG_WAITALL, marks.ioprio);
		mark(sqe, &marks, &left);
	}
	submit_requests(b);
	see_cqes(b, b->cqes, b->notifs, see_request);
}

/* The kernel reads a vector as it takes the SQE: they are free after the submission. */
static void batch_vectors(struct bench *b)
{
	const struct row *row = b->row;
	const struct marks marks = marks_of(b);
	unsigned int i, left = marks.each;
	struct io_uring_sqe *sqe;

	for (i = 0; i < row->batch; i++) {
		vectors[i][0] = (struct iovec){ header, VECTOR_HEADER };
		vectors[i][1] = (struct iovec){ b->data,
						row->bytes - VECTOR_HEADER };
		sqe = next_sqe(b);
		io_uring_prep_send(sqe, b->tx, vectors[i], 2, MSG_WAITALL);
		sqe->ioprio = marks.ioprio;
		if (row->mode != IO_SEND)
			sqe->opcode = IORING_OP_SEND_ZC;
		mark(sqe, &marks, &left);
	}
	submit_requests(b);
	see_cqes(b, b->cqes, b->notifs, see_request);
}

static void batch_many(struct bench *b)
{
	const struct row *row = b->row;
	const struct marks marks = marks_of(b);
	unsigned int i, left = marks.each;
	struct io_uring_sqe *sqe;

	for (i = 0; i < row->batch; i++)
		dgrams[i] = (struct io_uring_dgram){
			.addr = (unsigned long)b->data,
			.len = row->bytes,
			.gso_size = row->gso,
		};
	for (i = 0; i < row->batch; i += row->many) {
		sqe = next_sqe(b);
		io_uring_prep_sendzc(sqe, b->tx, &dgrams[i], row->many, 0,
				     marks.ioprio);
		mark(sqe, &marks, &left);
	}
	submit_requests(b);
	see_cqes(b, b->cqes, b->notifs, see_request);
}

static void batch_sendmmsg(struct bench *b)
{
	const struct row *row = b->row;
	static struct iovec iovs[MAX_BATCH];
	unsigned int i;
	int ret;

	for (i = 0; i < row->batch; i++) {
		iovs[i] = (struct iovec){ b->data, row->bytes };
		messages[i].msg_hdr.msg_iov = &iovs[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	ret = sendmmsg(b->tx, messages, row->batch, 0);
	if (ret != (int)row->batch)
		fail("sendmmsg: %d: %m", ret);
	for (i = 0; i < row->batch; i++)
		if (messages[i].msg_len != row->bytes)
			fail("sendmmsg: message %u has sent %u bytes", i,
			     messages[i].msg_len);
}

void ways_open(struct bench *b)
{
	const struct row *row = b->row;
	const unsigned int requests = ways_requests(row);
	unsigned int ends = requests / per_notif(row);

	if (row->mode == SENDMMSG)
		b->batch = batch_sendmmsg;
	else if (row->many)
		b->batch = batch_many;
	else
		b->batch = row->header ? batch_vectors : batch_sends;
	if (row->merge)
		b->notifs = 0;
	b->cqes = requests;
	if (row->skip)
		b->cqes = row->mode == IO_SEND || row->merge ? ends : 0;
}

static struct io_uring_query_notif ask(void)
{
	static struct io_uring_query_notif notif;
	struct io_uring_query_hdr query = {
		.query_op = IO_URING_QUERY_NOTIF,
		.query_data = (unsigned long)&notif,
		.size = sizeof(notif),
	};
	static bool asked;

	if (!asked && (syscall(__NR_io_uring_register, -1, IORING_REGISTER_QUERY,
			       &query, 0) || query.result))
		notif.max_slots = 0;
	asked = true;
	return notif;
}

/* What this kernel lacks for a row, NULL if nothing. */
const char *ways_missing(const struct row *row)
{
	const struct io_uring_query_notif notif = ask();

	if (row->mode != SLOT)
		return NULL;
	if (!notif.max_slots)
		return "notification slots";
	if (row->merge && !(notif.slot_flags & IORING_NOTIF_SLOT_MERGE))
		return "IORING_NOTIF_SLOT_MERGE";
	if (row->segments && !(notif.slot_flags & IORING_NOTIF_SLOT_SEGMENTS))
		return "IORING_NOTIF_SLOT_SEGMENTS";
	if (row->many && !(notif.send_flags & IORING_SEND_ZC_MANY))
		return "IORING_SEND_ZC_MANY";
	return NULL;
}
