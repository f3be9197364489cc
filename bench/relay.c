// SPDX-License-Identifier: GPL-2.0
/*
 * Batches of rows that take what they send: from a socket, a relay, or from a file in
 * the page cache. Each request takes and gives on so many bytes; a batch is one chain,
 * of one system call where there is a ring.
 *
 * What is to be relayed is in the socket's receive queue before the window begins: the
 * sender is no part of it. Its segments are what is sent at once, each from pages of
 * its own, so that none is the neighbour of another.
 */
#include <sys/ioctl.h>
#include <sys/sendfile.h>

#include <linux/io_uring/query.h>
#include <linux/random.h>
#include <linux/sockios.h>

#include "see.h"
#include "../selftests/sock.h"

#define PAGE		4096
#define PIPE_BYTES	MAX_TAKEN	/* 256 segments */
#define TAKE		1		/* user_data of the request that takes */

static int file = -1;			/* MAX_TAKEN bytes in the page cache */
static int in = -1, feeder = -1;	/* where a relay takes from, and who sends that */
static int pipe_fds[2] = { -1, -1 };

static void make_file(const struct bench *b)
{
	if (file >= 0)
		return;
	file = memfd_create("bench", 0);
	if (file < 0 || write(file, b->data, MAX_TAKEN) != MAX_TAKEN)
		fail("a file of %u bytes: %m", MAX_TAKEN);
}

/* Send one segment of a relay from pages that no other one has. */
static void feed_one(unsigned int nr, size_t len)
{
	off_t from = nr * ((len + PAGE - 1) / PAGE) * PAGE;

	from %= MAX_TAKEN / 2;
	if (sendfile(feeder, file, &from, len) != (ssize_t)len)
		fail("what is to be relayed was not sent: %m");
}

static void wait_for(int fd, unsigned long request, int want)
{
	const struct timespec nap = { .tv_nsec = 100000 };
	int found;

	for (;;) {
		if (ioctl(fd, request, &found))
			fail("ioctl: %m");
		if (found == want)
			return;
		nanosleep(&nap, NULL);
	}
}

/* Have all that the batch takes in the receive queue, and acknowledged. */
void relay_feed(const struct bench *b)
{
	const unsigned int segment = b->row->relay;
	size_t left = (size_t)b->row->bytes * b->row->batch;
	const size_t all = left;
	unsigned int nr = 0;

	for (; left > segment; left -= segment)
		feed_one(nr++, segment);
	feed_one(nr, left);
	wait_for(in, SIOCINQ, all);
	setsockopt_int(in, IPPROTO_TCP, TCP_QUICKACK, 1);
	wait_for(feeder, SIOCOUTQ, 0);
}

static int source(const struct row *row)
{
	return row->file ? file : in;
}

/* Where request @i begins, in the file and in the memory that is read to. */
static size_t place(const struct row *row, unsigned int i)
{
	return (size_t)i * row->bytes;
}

static struct io_uring_sqe *next_sqe(struct bench *b)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&b->ring);

	if (!sqe)
		fail("the ring has no SQE left");
	memset(sqe, 0, sizeof(*sqe));
	return sqe;
}

static void prep_splice(struct io_uring_sqe *sqe, int from, __s64 off, int to,
			size_t len)
{
	sqe->opcode = IORING_OP_SPLICE;
	sqe->fd = to;
	sqe->off = -1;
	sqe->len = len;
	sqe->splice_fd_in = from;
	sqe->splice_off_in = off;
}

static void prep_take(struct bench *b, struct io_uring_sqe *sqe, unsigned int i)
{
	const struct row *row = b->row;
	const size_t at = place(row, i);

	if (row->mode == SPLICE) {
		prep_splice(sqe, source(row), row->file ? (__s64)at : -1,
			    pipe_fds[1], row->bytes);
		return;
	}
	sqe->fd = source(row);
	sqe->len = row->bytes;
	if (row->file)
		sqe->off = at;
	if (row->buffer == TAKEN) {
		sqe->opcode = IORING_OP_GET_BUF;
		sqe->ioprio = IORING_GET_BUF_REPLACE;
		sqe->buf_index = i;
		return;
	}
	sqe->addr = (unsigned long)b->data + at;
	if (row->relay) {
		sqe->opcode = IORING_OP_RECV;
		sqe->msg_flags = MSG_WAITALL;
	} else {
		sqe->opcode = row->buffer == PLAIN ? IORING_OP_READ :
						     IORING_OP_READ_FIXED;
	}
}

static void prep_give(struct bench *b, struct io_uring_sqe *sqe, unsigned int i)
{
	const struct row *row = b->row;
	char *data = b->data + place(row, i);
	unsigned int ioprio = IORING_RECVSEND_FIXED_BUF;

	if (row->mode == SPLICE) {
		prep_splice(sqe, pipe_fds[0], -1, b->tx, row->bytes);
		return;
	}
	if (row->mode == IO_SEND) {
		io_uring_prep_send(sqe, b->tx, data, row->bytes, MSG_WAITALL);
		return;
	}
	if (row->mode == SLOT)
		ioprio |= IORING_SEND_ZC_NOTIF_SLOT;
	if (row->mode == SLOT && i == row->batch - 1)
		ioprio |= IORING_RECVSEND_NOTIF_FLUSH;
	if (b->report)
		ioprio |= IORING_SEND_ZC_REPORT_USAGE;
	io_uring_prep_sendzc(sqe, b->tx, data, row->bytes, MSG_WAITALL, ioprio);
	if (row->buffer != TAKEN)
		return;
	sqe->addr = 0;
	sqe->buf_index = i;
}

static void see(struct bench *b, const struct io_uring_cqe *cqe)
{
	const bool more = b->row->mode == SEND_ZC && cqe->user_data != TAKE;

	if (cqe->res != (int)b->row->bytes)
		fail("a request that %s: %d: %s",
		     cqe->user_data == TAKE ? "takes" : "gives on", cqe->res,
		     cqe->res < 0 ? strerror(-cqe->res) : "not all");
	if (cqe->flags & ~IORING_CQE_F_SOCK_NONEMPTY &&
	    !(more && cqe->flags == IORING_CQE_F_MORE))
		fail("a request's flags are %#x", cqe->flags);
}

/* Over veth all of it has arrived when the system call returns. */
static void arrive(const struct bench *b)
{
	if (b->row->sink)
		sink_receive(b->tx, (size_t)b->row->bytes * b->row->batch);
}

static void batch_take(struct bench *b)
{
	const struct row *row = b->row;
	const unsigned int each = row->pread ? 1 : 2, last = row->batch - 1;
	struct io_uring_sqe *sqe;
	unsigned int i;
	int ret;

	for (i = 0; i < row->batch; i++) {
		if (row->pread) {
			if (pread(file, b->data + place(row, i), row->bytes,
				  place(row, i)) != (ssize_t)row->bytes)
				fail("pread: %m");
		} else {
			sqe = next_sqe(b);
			prep_take(b, sqe, i);
			sqe->user_data = TAKE;
			sqe->flags = IOSQE_IO_LINK;
		}
		sqe = next_sqe(b);
		prep_give(b, sqe, i);
		if (i < last)
			sqe->flags = IOSQE_IO_LINK;
	}
	ret = io_uring_submit(&b->ring);
	if (ret != (int)(each * row->batch))
		fail("submit: %d of %u requests", ret, each * row->batch);
	see_cqes(b, each * row->batch, 0, see);
	arrive(b);
	see_cqes(b, 0, b->notifs, see);
}

static void batch_sendfile(struct bench *b)
{
	const struct row *row = b->row;
	unsigned int i;

	for (i = 0; i < row->batch; i++) {
		off_t off = place(row, i);

		if (sendfile(b->tx, file, &off, row->bytes) != (ssize_t)row->bytes)
			fail("sendfile: %m");
	}
	arrive(b);
}

/*
 * Until the kernel has seen enough of what is random it makes each of its numbers anew,
 * and looks closer at each interrupt: that much is enough, here.
 */
static void settle_random(void)
{
	struct {
		struct rand_pool_info info;
		__u32 bits[8];
	} pool = { .info = { .entropy_count = 256, .buf_size = 32 } };
	static bool settled;
	int fd;

	if (settled)
		return;
	fd = open("/dev/urandom", O_WRONLY);
	if (fd < 0 || ioctl(fd, RNDADDENTROPY, &pool))
		fail("/dev/urandom: %m");
	close(fd);
	settled = true;
}

void relay_open(struct bench *b)
{
	const struct row *row = b->row;

	settle_random();
	b->batch = row->mode == SENDFILE ? batch_sendfile : batch_take;
	make_file(b);
	if (row->relay)
		net_open_in(row, &feeder, &in);
	if (row->mode == SPLICE &&
	    (pipe(pipe_fds) || fcntl(pipe_fds[0], F_SETPIPE_SZ, PIPE_BYTES) < 0))
		fail("a pipe for %u bytes: %m", PIPE_BYTES);
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void relay_close(void)
{
	const struct linger reset = { .l_onoff = 1 };

	if (feeder >= 0)
		setsockopt(feeder, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close_one(&feeder);
	close_one(&in);
	close_one(&pipe_fds[0]);
	close_one(&pipe_fds[1]);
}

/* What this kernel lacks for a row, NULL if nothing. */
const char *relay_missing(const struct row *row)
{
	struct io_uring_query_notif notif = {};
	struct io_uring_query_hdr query = {
		.query_op = IO_URING_QUERY_NOTIF,
		.query_data = (unsigned long)&notif,
		.size = sizeof(notif),
	};

	if (row->mode == SLOT && ways_missing(row))
		return ways_missing(row);
	if (row->buffer != TAKEN)
		return NULL;
	if (syscall(__NR_io_uring_register, -1, IORING_REGISTER_QUERY, &query, 0) ||
	    query.result || !notif.get_buf_flags)
		return "IORING_OP_GET_BUF";
	return NULL;
}
