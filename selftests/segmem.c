// SPDX-License-Identifier: GPL-2.0
/*
 * IORING_NOTIF_SLOT_SEGMENTS and the sockets it is used with: as many packets as
 * with copying, memory that is charged and given back, other data around it.
 */
#include "answers.h"
#include "tcpinfo.h"

#define FLUSH		IORING_RECVSEND_NOTIF_FLUSH
#define SHORT		256	/* shorter segments are copied */
#define NR_SEGS		64
#define DATA_LEN	(256U << 10)
#define HEADER_LEN	24
#define BODY_LEN	4096
#define SMALL_SNDBUF	(104 << 10)

enum { SEGMENTS, WITHOUT, NR_SLOTS };

static const struct io_uring_notification_slot segment_slots[NR_SLOTS] = {
	[SEGMENTS] = { .tag = TAG(SEGMENTS), .copy_below = SHORT,
		       .flags = IORING_NOTIF_SLOT_SEGMENTS },
	[WITHOUT] = { .tag = TAG(WITHOUT) },
};

FIXTURE(segmem)
{
	struct io_uring ring;
	struct pair net;
	char *data;		/* DATA_LEN bytes, and registered buffer 0 */
	struct iovec iov[NR_SEGS];
};

RING_VARIANTS(segmem);

FIXTURE_SETUP(segmem)
{
	struct iovec iov = { .iov_len = DATA_LEN };

	self->net = (struct pair){ .tx = -1, .rx = -1 };
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	self->data = map_pages(DATA_LEN);
	ASSERT_NE(NULL, self->data);
	fill_pattern(self->data, DATA_LEN, 72);
	iov.iov_base = self->data;
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	ASSERT_EQ(0, register_slots_as(&self->ring, segment_slots, NR_SLOTS, 0));
}

FIXTURE_TEARDOWN(segmem)
{
	ring_exit(&self->ring);
	pair_close(&self->net);
}

/* A vector of what the fixture has in its iov. */
static struct io_uring_sqe *prep_iov(FIXTURE_DATA(segmem) *self, unsigned int nr)
{
	return prep_slot_send(&self->ring, self->net.tx, self->iov, nr, SEGMENTS,
			      IORING_SEND_VECTORIZED);
}

/* Flush, and take what there is until all notifications are among it. */
static void finish(struct __test_metadata *_metadata,
		   FIXTURE_DATA(segmem) *self, unsigned int notifs)
{
	struct io_uring_cqe cqe = {};

	ASSERT_FLUSH(&self->ring, 0, NR_SLOTS);
	while (notifs) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		ASSERT_LE(0, cqe.res);
		notifs -= !!(cqe.flags & IORING_CQE_F_NOTIF);
	}
	ASSERT_QUIET(&self->ring);
}

/* In how many packets messages of a header and a page go. */
static unsigned int count_packets(struct __test_metadata *_metadata,
				  FIXTURE_DATA(segmem) *self, bool slot)
{
	const unsigned int nr = 40, len = HEADER_LEN + BODY_LEN;
	char *want = malloc(nr * len);
	static const char warm[4000];
	unsigned int i, before;
	struct io_uring_cqe cqe;

	ASSERT_EQ(0, pair_open(&self->net, NET_VETH, AF_INET, SOCK_STREAM,
			       (struct pair_opts){}));
	/* the congestion window is open for all of it */
	for (i = 0; i < 20; i++) {
		ASSERT_EQ((ssize_t)sizeof(warm),
			  send(self->net.tx, warm, sizeof(warm), 0));
		ASSERT_EQ(0, drain_socket(self->net.rx, sizeof(warm)));
	}
	before = data_segs_out(self->net.tx);
	ASSERT_EQ(0, setsockopt_int(self->net.tx, IPPROTO_TCP, TCP_CORK, 1));
	for (i = 0; i < nr; i++) {
		self->iov[0] = (struct iovec){ self->data + i * 64, HEADER_LEN };
		self->iov[1] = (struct iovec){ self->data + (1 + i) * BODY_LEN,
					       BODY_LEN };
		memcpy(want + i * len, self->iov[0].iov_base, HEADER_LEN);
		memcpy(want + i * len + HEADER_LEN, self->iov[1].iov_base, BODY_LEN);
		if (!slot) {
			ASSERT_EQ(len, writev(self->net.tx, self->iov, 2));
			continue;
		}
		prep_iov(self, 2);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		ASSERT_EQ((int)len, cqe.res);
	}
	ASSERT_EQ(0, setsockopt_int(self->net.tx, IPPROTO_TCP, TCP_CORK, 0));
	ASSERT_RECEIVED(&self->net, want, nr * len);
	before = data_segs_out(self->net.tx) - before;
	if (slot)
		finish(_metadata, self, 1);
	pair_close(&self->net);
	free(want);
	return before;
}

/* A packet more or less depends on when the acknowledgements come. */
TEST_F(segmem, contract_15_no_more_packets_than_with_copying)
{
	unsigned int copying, segments;

	OPEN_PAIR(&self->net, NET_VETH, AF_INET, SOCK_STREAM);
	pair_close(&self->net);
	copying = count_packets(_metadata, self, false);
	segments = count_packets(_metadata, self, true);
	printf("# packets: copying %u, segments %u\n", copying, segments);
	EXPECT_LE(segments * 10, copying * 12);
}

/* Many short segments, and a long one so that not all of it is copied. */
static unsigned int fill_short(FIXTURE_DATA(segmem) *self)
{
	unsigned int i, len = 0;

	for (i = 0; i < NR_SEGS; i++) {
		self->iov[i] = (struct iovec){
			self->data + i * 1000, i ? SHORT - 6 : SHORT
		};
		len += self->iov[i].iov_len;
	}
	return len;
}

/* How many bytes a socket takes whose receiver doesn't read. */
static size_t bytes_that_fit(struct __test_metadata *_metadata,
			     FIXTURE_DATA(segmem) *self, bool slot)
{
	const unsigned int len = fill_short(self);
	struct io_uring_cqe cqe = {};
	size_t fit = 0;
	ssize_t n;

	ASSERT_EQ(0, pair_open(&self->net, NET_LO, AF_INET, SOCK_STREAM,
			       (struct pair_opts){ .unread = true }));
	ASSERT_EQ(0, setsockopt_int(self->net.tx, SOL_SOCKET, SO_SNDBUF,
				    SMALL_SNDBUF));
	do {
		if (slot) {
			prep_iov(self, NR_SEGS)->msg_flags = MSG_DONTWAIT;
			ASSERT_SUBMIT(&self->ring, 1);
			ASSERT_EQ(0, ring_next(&self->ring, &cqe));
			n = cqe.res;
			ASSERT_TRUE(n > 0 || n == -EAGAIN);
		} else {
			struct msghdr msg = {
				.msg_iov = self->iov, .msg_iovlen = NR_SEGS,
			};

			n = sendmsg(self->net.tx, &msg, MSG_DONTWAIT);
			ASSERT_TRUE(n > 0 || errno == EAGAIN);
		}
		fit += n > 0 ? n : 0;
		ASSERT_GT(64U << 20, fit)
			TH_LOG("nothing bounds what a socket takes");
	} while (n == (ssize_t)len);
	/* all of it counts as the socket's, what is copied and what is not */
	printf("# a full socket, %s: %zu bytes, %d of memory\n",
	       slot ? "segments" : "copying", fit,
	       socket_memory(self->net.tx, SK_MEMINFO_WMEM_QUEUED));
	ASSERT_LT(0, socket_memory(self->net.tx, SK_MEMINFO_WMEM_QUEUED));
	/* unsent data goes with the receiver */
	pair_close(&self->net);
	if (slot)
		finish(_metadata, self, 1);
	return fit;
}

/* How far the peer's window has grown by then is what may differ. */
TEST_F(segmem, contract_15_bounded_by_the_socket)
{
	size_t copying, segments;

	copying = bytes_that_fit(_metadata, self, false);
	segments = bytes_that_fit(_metadata, self, true);
	EXPECT_LE(segments, 2 * copying);
	EXPECT_GE(2 * segments, copying);
}

/*
 * What the socket is charged it gives back, and not more: beside a connection
 * that has much in use, the sum of all is as before.
 */
TEST_F(segmem, contract_15_memory_is_charged_and_given_back)
{
	const unsigned int len = fill_short(self), nr = 4000, batch = 10;
	char *want = malloc(batch * len), *got = malloc(batch * len);
	const size_t base = 8 << 20;
	char *zeroes = calloc(1, base);
	struct pair other;
	unsigned int i, j;
	long before, after, unsure;

	OPEN_PAIR(&other, NET_LO, AF_INET, SOCK_STREAM, .unread = true);
	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_STREAM, .unread = true);
	ASSERT_EQ((ssize_t)base, send(other.tx, zeroes, base, 0));
	for (i = 0; i < NR_SEGS; i++) {
		memcpy(want + (i ? SHORT + (i - 1) * (SHORT - 6) : 0),
		       self->iov[i].iov_base, self->iov[i].iov_len);
	}
	for (j = 1; j < batch; j++)
		memcpy(want + j * len, want, len);
	before = tcp_pages();
	ASSERT_LT(0, before);
	for (i = 0; i < nr; i += batch) {
		for (j = 0; j < batch; j++)
			prep_iov(self, NR_SEGS);
		ASSERT_SUBMIT(&self->ring, batch);
		ASSERT_EQ(0, receive_with_ring(&self->ring, self->net.rx, got,
					       batch * len));
		ASSERT_EQ(0, memcmp(got, want, batch * len));
		for (j = 0; j < batch; j++)
			ASSERT_CQE(&self->ring, REQ(0), len, 0);
	}
	finish(_metadata, self, 1);
	/* all is acknowledged by now */
	ASSERT_EQ(0, socket_memory(self->net.tx, SK_MEMINFO_WMEM_QUEUED));
	ASSERT_LE(0, socket_memory(self->net.tx, SK_MEMINFO_FWD_ALLOC));
	pair_close(&self->net);
	after = tcp_pages();
	printf("# pages of all TCP sockets: %ld before, %ld after %u MiB\n", before,
	       after, nr * len >> 20);
	/* what each CPU may not have told yet, in one direction or the other */
	unsure = 2 * (1 << 20) / page_size() * sysconf(_SC_NPROCESSORS_ONLN) + 64;
	EXPECT_LT(before - unsure, after);
	EXPECT_GT(before + unsure, after);
	pair_close(&other);
}

/* The ways in which data gets into a stream. */
enum way { VECTOR, PLAIN, REGISTERED, ZC, COPIED, NR_WAYS };

/* All of them in turn, by chance, where unsent data is together in one packet. */
static void mix(struct __test_metadata *_metadata, FIXTURE_DATA(segmem) *self,
		enum net_link link)
{
	char *want = malloc(1 << 20), *got = malloc(1 << 20);
	unsigned int x = 12345, zc = 0, round, i, len, off, sent;
	struct io_uring_cqe cqe;

	OPEN_PAIR(&self->net, link, AF_INET, SOCK_STREAM, .unread = true);
	for (round = 0; round < 40; round++) {
		for (sent = 0, i = 0; i < 20; i++) {
			enum way way = (x = x * 1103515245 + 12345) >> 16;
			const int flags = (way >> 8 & 3 ? MSG_MORE : 0) | MSG_WAITALL;
			struct io_uring_sqe *sqe;

			len = 1 + (x >> 20) % (way >> 10 & 1 ? 200 : 9000);
			off = x % (DATA_LEN - 9500);
			way %= NR_WAYS;
			memcpy(want + sent, self->data + off, len);
			sent += len;
			if (way == COPIED) {
				ASSERT_EQ(len, send(self->net.tx, self->data + off,
						    len, flags & MSG_MORE));
				continue;
			}
			sqe = prep_slot_send(&self->ring, self->net.tx,
					     self->data + off, len,
					     i & 1 ? SEGMENTS : WITHOUT, 0);
			sqe->msg_flags = flags;
			if (way == REGISTERED)
				sqe->ioprio |= IORING_RECVSEND_FIXED_BUF;
			if (way == ZC) {
				zc++;
				sqe->ioprio = 0;
				sqe->notification_idx = 0;
			}
			if (way == VECTOR) {
				self->iov[0] = (struct iovec){ self->data + off,
							       len / 9 };
				self->iov[1] = (struct iovec){
					self->data + off + len / 9, len - len / 9
				};
				sqe->addr = (unsigned long)self->iov;
				sqe->len = 2;
				sqe->ioprio |= IORING_SEND_VECTORIZED;
				sqe->notification_idx = SEGMENTS;
			}
			ASSERT_SUBMIT(&self->ring, 1);
		}
		ASSERT_EQ(0, receive_with_ring(&self->ring, self->net.rx, got, sent));
		ASSERT_EQ(0, memcmp(got, want, sent)) TH_LOG("round %u", round);
		while (!ring_empty(&self->ring)) {
			ASSERT_EQ(0, ring_next(&self->ring, &cqe));
			ASSERT_LE(0, cqe.res);
			zc -= !!(cqe.flags & IORING_CQE_F_NOTIF);
		}
	}
	finish(_metadata, self, 2 + zc);
	ASSERT_EQ(0, socket_memory(self->net.tx, SK_MEMINFO_WMEM_QUEUED));
	ASSERT_LE(0, socket_memory(self->net.tx, SK_MEMINFO_FWD_ALLOC));
	pair_close(&self->net);
	free(want);
	free(got);
}

TEST_F(segmem, contract_15_among_other_data)
{
	mix(_metadata, self, NET_LO);
}

TEST_F(segmem, contract_15_among_other_data_on_a_nic)
{
	mix(_metadata, self, NET_NIC);
}

/* Parts of one datagram, of all kinds and in any order, by one slot. */
TEST_F(segmem, contract_15_parts_of_a_datagram)
{
	unsigned int round, i, off, sent;
	char want[2000], got[2000];

	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_DGRAM);
	for (round = 0; round < 27; round++) {
		const unsigned int ways[] = { round % 3, round / 3 % 3, round / 9 };

		for (sent = 0, i = 0; i < 3; i++) {
			const unsigned int len = 400 + i * 50;
			struct io_uring_sqe *sqe;

			off = round * 100 + i * 5000;
			memcpy(want + sent, self->data + off, len);
			sent += len;
			if (ways[i] == VECTOR) {
				self->iov[0] = (struct iovec){ self->data + off, 24 };
				self->iov[1] = (struct iovec){
					self->data + off + 24, len - 24
				};
				sqe = prep_iov(self, 2);
			} else {
				sqe = prep_slot_send(&self->ring, self->net.tx,
						     self->data + off, len,
						     SEGMENTS,
						     ways[i] == REGISTERED ?
						     IORING_RECVSEND_FIXED_BUF : 0);
			}
			sqe->msg_flags = i < 2 ? MSG_MORE : 0;
			ASSERT_SUBMIT(&self->ring, 1);
			ASSERT_CQE(&self->ring, REQ(0), len, 0);
		}
		ASSERT_EQ(sent, recv(self->net.rx, got, sizeof(got), 0));
		ASSERT_EQ(0, memcmp(got, want, sent))
			TH_LOG("round %u", round);
		ASSERT_FLUSH(&self->ring, SEGMENTS, 1);
		ASSERT_NOTIF(&self->ring, TAG(SEGMENTS), round);
	}
}

NOTIF_TEST_MAIN
