// SPDX-License-Identifier: GPL-2.0
/*
 * Slots over whatever paths.sh has put between the namespaces a and b: a tunnel,
 * a bridge, a filter. The path's ends have the addresses of net.sh's veth pair.
 * PATH_TCP, PATH_UDP and PATH_UNCHECKED say what notifications have to report:
 * "zc", "copied", or "either"; "none" leaves the protocol out. PATH_TAP=no: a tap
 * doesn't see what is sent, but what has become of it.
 */
#include "reuse.h"
#include "totals.h"

#define DATA_LEN	(64 << 10)
#define NR_SIZES	9
/* a datagram that is one packet of any path */
#define SHORT_LEN	1200
#define NR_DATAGRAMS	4096
#define BATCH		32

FIXTURE(path)
{
	struct io_uring ring;
	struct pair net;
	char *data, *want;
};

FIXTURE_VARIANT(path)
{
	unsigned int setup;
	int type;
	bool fixed;		/* data is registered buffer 0 */
	bool unchecked;		/* UDP without a checksum, which no device must compute */
};

#define VARIANTS_OF(fixture, name, ...)					\
	FIXTURE_VARIANT_ADD(fixture, name##_plain) {			\
		.setup = 0, __VA_ARGS__					\
	};								\
	FIXTURE_VARIANT_ADD(fixture, name##_registered) {		\
		.setup = RING_DEFER, .fixed = true, __VA_ARGS__		\
	}

VARIANTS_OF(path, tcp, .type = SOCK_STREAM);
VARIANTS_OF(path, udp, .type = SOCK_DGRAM);
VARIANTS_OF(path, udp_unchecked, .type = SOCK_DGRAM, .unchecked = true);
VARIANTS_OF(reuse, tcp, .link = NET_VETH, .type = SOCK_STREAM);
VARIANTS_OF(reuse, udp, .link = NET_VETH, .type = SOCK_DGRAM);
VARIANTS_OF(reuse, tcp_tapped, .link = NET_VETH, .type = SOCK_STREAM,
	    .tapped = true);
VARIANTS_OF(reuse, udp_tapped, .link = NET_VETH, .type = SOCK_DGRAM,
	    .tapped = true);

static const unsigned int sizes[NR_SIZES] = {
	1, 1200, 8000, 100, 4096, 3, 20000, 1201, 4097,
};

static const char *reported(int type, bool unchecked)
{
	return getenv(type == SOCK_STREAM ? "PATH_TCP" :
		      unchecked ? "PATH_UNCHECKED" : "PATH_UDP") ?: "either";
}

FIXTURE_SETUP(path)
{
	struct iovec iov = { .iov_len = DATA_LEN };

	if (!strcmp(reported(variant->type, variant->unchecked), "none"))
		SKIP(return, "this path is not for such sockets, see paths.sh");
	OPEN_PAIR(&self->net, NET_VETH, AF_INET, variant->type);
	if (variant->unchecked)
		ASSERT_EQ(0, setsockopt_int(self->net.tx, SOL_SOCKET, SO_NO_CHECK, 1));
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	self->data = map_pages(DATA_LEN);
	ASSERT_NE(NULL, self->data);
	self->want = malloc(DATA_LEN);
	iov.iov_base = self->data;
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	ASSERT_EQ(0, register_slots(&self->ring, 2));
}

FIXTURE_TEARDOWN(path)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
	pair_close(&self->net);
}

#define PREP(_off, _len, _slot, _ioprio)				\
	prep_slot_send(&self->ring, self->net.tx, self->data + (_off), _len, \
		       _slot, IORING_SEND_ZC_REPORT_USAGE | (_ioprio) |	\
		       (variant->fixed ? IORING_RECVSEND_FIXED_BUF : 0))

/* The data is what @seed says, and so is what has to arrive. */
#define FILL(_len, _seed) do {						\
	fill_pattern(self->data, _len, _seed);				\
	memcpy(self->want, self->data, _len);				\
} while (0)

/*
 * A notification says what this path does, as far as that doesn't depend on how
 * a datagram is cut up.
 */
#define ASSERT_REPORT(_res, _len) do {					\
	const char *__says = reported(variant->type, variant->unchecked); \
									\
	if (_res)							\
		ASSERT_EQ((int)IORING_NOTIF_USAGE_ZC_COPIED, _res);	\
	if (variant->type == SOCK_STREAM || (_len) <= SHORT_LEN) {	\
		if (!strcmp(__says, "zc"))				\
			ASSERT_EQ(0, _res)				\
				TH_LOG("%u bytes were copied", _len);	\
		if (!strcmp(__says, "copied"))				\
			ASSERT_NE(0, _res)				\
				TH_LOG("%u bytes were not copied", _len); \
	}								\
} while (0)

/* Each size alone; its memory is overwritten at the notification, then read. */
TEST_F(path, path_flush_by_flag)
{
	unsigned int zero_copied = 0, i, len;
	struct io_uring_cqe cqe;

	for (i = 0; i < NR_SIZES; i++) {
		len = sizes[i];
		FILL(len, i + 1);
		PREP(0, len, 0, IORING_RECVSEND_NOTIF_FLUSH);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), len, 0);
		ASSERT_EQ(0, ring_next(&self->ring, &cqe))
			TH_LOG("lost: the notification of %u bytes", len);
		memset(self->data, NEW_BYTE, len);
		ASSERT_EQ(TAG(0), cqe.user_data);
		ASSERT_EQ(notif_flags(i), cqe.flags);
		ASSERT_REPORT(cqe.res, len);
		zero_copied += !cqe.res;
		ASSERT_RECEIVED(&self->net, self->want, len);
	}
	TH_LOG("%u of %u requests zero-copied", zero_copied, NR_SIZES);
}

/* All sizes at once, in a notifier each @_per; gives each its own memory. */
static void send_all(struct __test_metadata *_metadata,
		     FIXTURE_DATA(path) *self, const FIXTURE_VARIANT(path) *variant,
		     unsigned int nr_slots, unsigned int *off)
{
	unsigned int i;

	off[0] = 0;
	for (i = 0; i < NR_SIZES; i++) {
		PREP(off[i], sizes[i], i % nr_slots, 0)->user_data = REQ(i);
		off[i + 1] = off[i] + sizes[i];
	}
	FILL(off[NR_SIZES], 77);
	ASSERT_SUBMIT(&self->ring, NR_SIZES);
}

#define SENT(cqe)	((cqe)->user_data < TAG(0))

/* The CQE of a request that was sent whole, for the first time. */
#define ASSERT_SENT_ONCE(_cqe, _seen) do {				\
	unsigned int __i = (_cqe)->user_data - REQ(0);			\
									\
	ASSERT_LT(__i, NR_SIZES);					\
	ASSERT_EQ((int)sizes[__i], (_cqe)->res);			\
	ASSERT_EQ(0, (_cqe)->flags);					\
	ASSERT_FALSE((_seen) & 1U << __i);				\
	(_seen) |= 1U << __i;						\
} while (0)

/* Three requests a notifier; the memory of each is overwritten as it is free. */
TEST_F(path, path_flush_after)
{
	const struct io_uring_notification_slot slot = {
		.tag = TAG(0), .flush_after = 3,
	};
	unsigned int off[NR_SIZES + 1], seen = 0, notifs = 0, seq;
	struct io_uring_cqe cqe;

	ASSERT_EQ(0, unregister_slots(&self->ring));
	ASSERT_EQ(0, register_slots_as(&self->ring, &slot, 1, 0));
	send_all(_metadata, self, variant, 1, off);
	while (notifs != 7 || seen != (1U << NR_SIZES) - 1) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe))
			TH_LOG("lost: requests %#x, notifications %#x", seen, notifs);
		if (SENT(&cqe)) {
			ASSERT_SENT_ONCE(&cqe, seen);
			continue;
		}
		seq = notif_seq(&cqe);
		ASSERT_LT(seq, NR_SIZES / 3);
		memset(self->data + off[seq * 3], NEW_BYTE,
		       off[seq * 3 + 3] - off[seq * 3]);
		ASSERT_EQ(TAG(0), cqe.user_data);
		ASSERT_REPORT(cqe.res, DATA_LEN);
		ASSERT_FALSE(notifs & 1U << seq);
		ASSERT_EQ(7U, seen >> seq * 3 & 7);
		notifs |= 1U << seq;
	}
	ASSERT_RECEIVED(&self->net, self->want, off[NR_SIZES]);
}

/* Two slots in turn, which are flushed once everything has been sent. */
TEST_F(path, path_flush_explicit)
{
	unsigned int off[NR_SIZES + 1], seen = 0, notifs = 0, slot, i;
	struct io_uring_cqe cqe;

	send_all(_metadata, self, variant, 2, off);
	for (i = 0; i < NR_SIZES; i++) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		ASSERT_SENT_ONCE(&cqe, seen);
	}
	ASSERT_QUIET(&self->ring);
	prep_flush(&self->ring, 0, 2, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe))
			TH_LOG("lost: of the notifications there are %#x", notifs);
		if (cqe.user_data == FLUSH_REQ) {
			ASSERT_EQ(2, cqe.res);
			continue;
		}
		slot = cqe.user_data - TAG(0);
		ASSERT_LT(slot, 2);
		ASSERT_EQ(notif_flags(0), cqe.flags);
		ASSERT_REPORT(cqe.res, DATA_LEN);
		ASSERT_FALSE(notifs & 1U << slot);
		notifs |= 1U << slot;
		for (; slot < NR_SIZES; slot += 2)
			memset(self->data + off[slot], NEW_BYTE, sizes[slot]);
	}
	ASSERT_RECEIVED(&self->net, self->want, off[NR_SIZES]);
}

/*
 * Nobody loses a page, nor gives one back that is not his: of so many requests
 * less stays behind than a page each.
 */
TEST_F(path, path_no_page_is_lost)
{
	struct io_uring_cqe cqe;
	long before = 0, lost;
	unsigned int i, j;

	/* can be compressed, where a path does that */
	memset(self->data, 'x', DATA_LEN);
	memcpy(self->want, self->data, DATA_LEN);
	for (i = 0; i < NR_DATAGRAMS / BATCH; i++) {
		/* what has to be allocated once, has been */
		if (i == BATCH)
			before = free_pages();
		for (j = 0; j < BATCH; j++)
			PREP(j * SHORT_LEN, SHORT_LEN, 0, j == BATCH - 1 ?
			     IORING_RECVSEND_NOTIF_FLUSH : 0);
		ASSERT_SUBMIT(&self->ring, BATCH);
		for (j = 0; j < BATCH; j++)
			ASSERT_CQE(&self->ring, REQ(0), SHORT_LEN, 0);
		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		ASSERT_EQ(notif_flags(i), cqe.flags);
		ASSERT_RECEIVED(&self->net, self->want, BATCH * SHORT_LEN);
	}
	lost = before - free_pages();
	ASSERT_LT(lost, (NR_DATAGRAMS - BATCH * BATCH) / 2)
		TH_LOG("%ld pages less are free", lost);
}

/*
 * Buffers are written again the moment they are free, while the receiver stops to
 * read for a while: it sees what was sent, and so does a tap.
 */
TEST_F(reuse, path_slow_reader)
{
	const bool tcp = variant->type == SOCK_STREAM;

	if (!strcmp(reported(variant->type, false), "none"))
		SKIP(return, "this path is not for such sockets, see paths.sh");
	if (variant->tapped && !strcmp(getenv("PATH_TAP") ?: "", "no"))
		SKIP(return, "a tap sees none of what is sent here");
	STREAM(NR_CHUNKS / 4);
	self->reads = false;
	START_ALL();
	while (go_on(_metadata, self, variant, QUIET_MS) &&
	       self->started < NR_CHUNKS / 2)
		START_ALL();
	if (tcp)
		ASSERT_LT(self->over, NR_CHUNKS);
	self->reads = true;
	STREAM_TO_THE_END();
}

/* After all others: what they began is over, and no page is pinned any more. */
FIXTURE(after) {
};

FIXTURE_SETUP(after)
{
}

FIXTURE_TEARDOWN(after)
{
}

TEST_F(after, path_nothing_is_left)
{
	struct totals now;

	totals_wait(&now);
	ASSERT_EQ(0, now.refs) TH_LOG("the module is in use");
	ASSERT_EQ(now.begun, now.completed);
	ASSERT_EQ(0, now.pins);
}

NOTIF_TEST_MAIN
