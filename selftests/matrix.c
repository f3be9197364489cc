// SPDX-License-Identifier: GPL-2.0
/*
 * Every kind of ring (the fixture's variants), every protocol (a test for those
 * that are alike), and within a test every way that requests can run. A cell of
 * this matrix is a few requests through one notifier.
 */
#include <poll.h>

#include "cell.h"

#define MAX_PIECES	(NR_REQS * 3)
#define CANCEL_REQ	0x4000ULL

/* The next CQEs are those of all of the requests, and none comes before. */
static void expect_requests(struct __test_metadata *_metadata,
			    FIXTURE_DATA(matrix) *self, const struct cell *c,
			    bool large)
{
	unsigned int total = large ? NR_REQS + 1 : NR_REQS;
	unsigned int seen = 0, i, nr;
	struct io_uring_cqe cqe;

	for (i = 0; i < total; i++) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe)) IN_CELL;
		if (large && cqe.user_data == NOP_REQ) {
			ASSERT_EQ(0, cqe.res) IN_CELL;
			continue;
		}
		nr = cqe.user_data - REQ(0);
		ASSERT_LT(nr, NR_REQS) IN_CELL;
		ASSERT_EQ(0, seen & 1U << nr) IN_CELL;
		/* io-wq alone has them in any order */
		ASSERT_TRUE(c->run == ASYNC || seen == (1U << nr) - 1) IN_CELL;
		seen |= 1U << nr;
		ASSERT_EQ(CHUNK_LEN, cqe.res) IN_CELL;
		ASSERT_EQ(0, cqe.flags) IN_CELL;
	}
	ASSERT_EQ((1U << NR_REQS) - 1, seen) IN_CELL;
}

/* What is to be received, in parts that keep their bytes together. */
struct pieces {
	struct iovec all[MAX_PIECES];
	unsigned int nr, seen;
	bool ordered;
};

static bool take_piece(struct pieces *p, const char *got, size_t len)
{
	unsigned int i;

	for (i = 0; i < p->nr; i++) {
		if (p->seen & 1U << i)
			continue;
		if (p->all[i].iov_len == len &&
		    !memcmp(p->all[i].iov_base, got, len)) {
			p->seen |= 1U << i;
			return true;
		}
		if (p->ordered)
			return false;
	}
	return false;
}

static void cut(struct pieces *p, char *buf, size_t len, size_t size)
{
	while (len) {
		size_t n = len < size ? len : size;

		p->all[p->nr++] = (struct iovec){ buf, n };
		buf += n;
		len -= n;
	}
}

/* Each packet that comes is one of those that the requests make. */
static void expect_packets(struct __test_metadata *_metadata,
			   FIXTURE_DATA(matrix) *self, const struct cell *c)
{
	/* packets may take different CPUs */
	struct pieces p = { .ordered = c->path->type == SOCK_SEQPACKET &&
				       c->run != ASYNC };
	unsigned int i;
	ssize_t n;

	for (i = 0; i < NR_REQS; i++)
		cut(&p, chunk(self, c, i), CHUNK_LEN,
		    c->path->segment ?: CHUNK_LEN);
	for (i = 0; i < p.nr; i++) {
		n = recv(self->net.rx, self->got, BIG_LEN, 0);
		if (n < 0 && errno == EINTR) {
			i--;
			continue;
		}
		ASSERT_TRUE(take_piece(&p, self->got, n)) IN_CELL;
	}
}

/* A stream, or one large datagram: the chunks one after the other. */
static void expect_bytes(struct __test_metadata *_metadata,
			 FIXTURE_DATA(matrix) *self, const struct cell *c)
{
	const size_t len = NR_REQS * CHUNK_LEN;
	size_t size = path_is_stream(c->path) ? 0 : c->path->segment ?: len;
	struct pieces p = { .ordered = c->run != ASYNC };
	size_t done = 0, want;
	unsigned int i;

	while (done < len) {
		ssize_t n = recv(self->net.rx, self->got + done, len - done, 0);

		if (n < 0 && errno == EINTR)
			continue;
		ASSERT_GT(n, 0) IN_CELL;
		want = size && len - done > size ? size : len - done;
		ASSERT_TRUE(!size || (size_t)n == want) IN_CELL;
		done += n;
	}
	for (i = 0; i < NR_REQS; i++)
		cut(&p, chunk(self, c, i), CHUNK_LEN, CHUNK_LEN);
	for (i = 0; i < NR_REQS; i++) {
		const char *got = self->got + i * CHUNK_LEN;

		ASSERT_TRUE(take_piece(&p, got, CHUNK_LEN)) IN_CELL;
	}
}

/* Several requests that all succeed. */
static void run_chunks(struct __test_metadata *_metadata,
		       FIXTURE_DATA(matrix) *self, const struct cell *c)
{
	bool option = c->path->segment && !c->sendmsg;
	int fd = self->net.tx;
	bool large = prep_large(&self->ring);
	unsigned int i;

	if (option)
		ASSERT_EQ(0, setsockopt_int(fd, IPPROTO_UDP, UDP_SEGMENT,
					    c->path->segment)) IN_CELL;
	if (c->framing == CORKED)
		ASSERT_EQ(0, path_cork(fd, c->path, true)) IN_CELL;
	for (i = 0; i < NR_REQS; i++) {
		bool last = i == NR_REQS - 1;
		struct io_uring_sqe *sqe;

		sqe = prep_part(self, c, i, fd, chunk(self, c, i), CHUNK_LEN,
				last);
		if (c->run == ASYNC)
			sqe->flags = IOSQE_ASYNC;
		else if (c->run == LINKED && !last)
			sqe->flags = IOSQE_IO_LINK;
		else if (c->run == DRAINED)
			sqe->flags = IOSQE_IO_DRAIN;
	}
	ASSERT_LT(0, ring_submit(&self->ring)) IN_CELL;
	expect_requests(_metadata, self, c, large);
	if (c->framing == CORKED)
		ASSERT_EQ(0, path_cork(fd, c->path, false)) IN_CELL;
	if (option)
		ASSERT_EQ(0, setsockopt_int(fd, IPPROTO_UDP, UDP_SEGMENT, 0)) IN_CELL;
	if (c->framing == EACH && !path_is_stream(c->path))
		expect_packets(_metadata, self, c);
	else
		expect_bytes(_metadata, self, c);
	finish_notifier(_metadata, self, c, c->flag);
}

/* Read @len bytes of the data, and let the ring go on in between. */
static void drain_full(struct __test_metadata *_metadata,
		       FIXTURE_DATA(matrix) *self, const struct cell *c,
		       size_t len)
{
	struct pollfd pfd = { .fd = self->full.rx, .events = POLLIN };
	size_t done = 0;
	int idle = 0;

	while (done < len) {
		ssize_t n = recv(self->full.rx, self->got + done, len - done,
				 MSG_DONTWAIT);

		if (n > 0) {
			done += n;
			idle = 0;
			continue;
		}
		ASSERT_LT(idle++, LOST_MS) IN_CELL;
		ring_wait(&self->ring, 0, 0);
		poll(&pfd, 1, 1);
	}
	ASSERT_EQ(0, memcmp(self->data, self->got, len)) IN_CELL;
}

/* Waits for the receiver, the rest of it goes after that has read. */
static void run_polled(struct __test_metadata *_metadata,
		       FIXTURE_DATA(matrix) *self, const struct cell *c)
{
	struct io_uring_cqe cqe;

	prep_part(self, c, 0, self->full.tx, self->data, BIG_LEN, true);
	ASSERT_EQ(1, ring_submit(&self->ring)) IN_CELL;
	ASSERT_TRUE(ring_empty(&self->ring)) IN_CELL;
	if (!c->flag) {
		prep_flush(&self->ring, cell_slot(c), 1, 0);
		ASSERT_EQ(1, ring_submit(&self->ring)) IN_CELL;
		ASSERT_EQ(0, ring_next(&self->ring, &cqe)) IN_CELL;
		ASSERT_EQ(FLUSH_REQ, cqe.user_data) IN_CELL;
		ASSERT_EQ(1, cqe.res) IN_CELL;
	}
	ASSERT_TRUE(ring_empty(&self->ring)) IN_CELL;
	drain_full(_metadata, self, c, BIG_LEN);
	ASSERT_EQ(0, ring_next(&self->ring, &cqe)) IN_CELL;
	ASSERT_EQ(REQ(0), cqe.user_data) IN_CELL;
	ASSERT_EQ(BIG_LEN, cqe.res) IN_CELL;
	ASSERT_EQ(0, cqe.flags) IN_CELL;
	finish_notifier(_metadata, self, c, true);
}

/*
 * One that waits, and one linked to it that never runs, as the first is
 * cancelled: that has sent a part by then and succeeds with it. The second one's
 * flag has flushed for both.
 */
static void run_cancelled(struct __test_metadata *_metadata,
			  FIXTURE_DATA(matrix) *self, const struct cell *c)
{
	struct io_uring_cqe cqe;
	struct io_uring_sqe *sqe;
	unsigned int seen = 0;
	int sent = 0;

	prep_part(self, c, 0, self->full.tx, self->data, BIG_LEN, false)
		->flags = IOSQE_IO_LINK;
	prep_part(self, c, 1, self->full.tx, self->data, CHUNK_LEN, true);
	ASSERT_EQ(2, ring_submit(&self->ring)) IN_CELL;
	ASSERT_TRUE(ring_empty(&self->ring)) IN_CELL;

	sqe = ring_sqe(&self->ring);
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_ASYNC_CANCEL;
	sqe->fd = -1;
	sqe->addr = REQ(0);
	sqe->user_data = CANCEL_REQ;
	ASSERT_EQ(1, ring_submit(&self->ring)) IN_CELL;
	while (seen != 7) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe)) IN_CELL;
		ASSERT_EQ(0, cqe.flags) IN_CELL;
		if (cqe.user_data == CANCEL_REQ) {
			ASSERT_EQ(0, cqe.res) IN_CELL;
			seen |= 4;
			continue;
		}
		ASSERT_LT(cqe.user_data - REQ(0), 2) IN_CELL;
		seen |= 1U << (cqe.user_data - REQ(0));
		if (cqe.user_data == REQ(0))
			sent = cqe.res;
		else
			ASSERT_EQ(-ECANCELED, cqe.res) IN_CELL;
	}
	/* or nothing, if the space of the cell before is not free yet */
	if (sent == -ECANCELED)
		sent = 0;
	ASSERT_TRUE(sent >= 0 && sent < BIG_LEN) IN_CELL;
	drain_full(_metadata, self, c, sent);
	finish_notifier(_metadata, self, c, c->flag);
}

/* All cells of a protocol; returns how many there are, 0 without the protocol. */
static unsigned int run_path(struct __test_metadata *_metadata,
			     FIXTURE_DATA(matrix) *self,
			     const struct path *path)
{
	const unsigned int all = NR_RUNS * NR_FRAMINGS * 2;
	struct cell cell = { .path = path };
	const struct cell *c = &cell;
	unsigned int i;
	int ret;

	ret = path_open(&self->net, path, false);
	if (ret == -ENODEV)
		SKIP(return 0, "no %s here", path->name);
	ASSERT_EQ(0, ret);
	if (path_is_stream(path))
		ASSERT_EQ(0, path_open(&self->full, path, true));
	for (i = 0; i < all; i++) {
		cell.framing = i / 2 % NR_FRAMINGS;
		cell.run = i / 2 / NR_FRAMINGS;
		/* each two of the three meet, on this path or on the other */
		cell.sendmsg = i & 1;
		cell.fixed = cell.sendmsg ^ path->second ^ (cell.run & 1);
		cell.flag = cell.sendmsg ^ path->second;
		if (left_out(c))
			continue;
		if (c->run == POLLED)
			run_polled(_metadata, self, c);
		else if (c->run == CANCELLED)
			run_cancelled(_metadata, self, c);
		else
			run_chunks(_metadata, self, c);
		cell.nr++;
	}
	/* nothing is posted or sent twice or too much */
	ASSERT_QUIET(&self->ring);
	ASSERT_EQ(-1, recv(self->net.rx, self->got, 1, MSG_DONTWAIT));
	pair_close(&self->net);
	pair_close(&self->full);
	return cell.nr;
}

/* One protocol after the other. */
#define RUN_PATHS(...) do {						\
	static const struct path paths[] = { __VA_ARGS__ };		\
	unsigned int i;							\
									\
	for (i = 0; i < ARRAY_SIZE(paths); i++)				\
		if (!run_path(_metadata, self, &paths[i]))		\
			return;						\
} while (0)

/* The second path's cells differ from the first's in opcode, buffer and flush. */
TEST_F(matrix, contract_12_udp)
{
	RUN_PATHS({ "UDP/IPv4", AF_INET, SOCK_DGRAM, 0, false },
		  { "UDP/IPv6", AF_INET6, SOCK_DGRAM, 0, true });
}

TEST_F(matrix, contract_12_udp_gso)
{
	RUN_PATHS({ "GSO/IPv4", AF_INET, SOCK_DGRAM, SEGMENT, false },
		  { "GSO/IPv6", AF_INET6, SOCK_DGRAM, SEGMENT, true });
}

TEST_F(matrix, contract_12_tcp)
{
	RUN_PATHS({ "TCP/IPv4", AF_INET, SOCK_STREAM, 0, false },
		  { "TCP/IPv6", AF_INET6, SOCK_STREAM, 0, true });
}

TEST_F(matrix, contract_12_vsock)
{
	RUN_PATHS({ "vsock stream", AF_VSOCK, SOCK_STREAM, 0, false },
		  { "vsock seqpacket", AF_VSOCK, SOCK_SEQPACKET, 0, true });
}

NOTIF_TEST_MAIN
