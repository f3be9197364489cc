// SPDX-License-Identifier: GPL-2.0
/*
 * Several slots in turn on one stream, none of them flushed: no more packets,
 * and no less room in the socket, than with SEND_ZC.
 */
#include "fixture.h"
#include "tcpinfo.h"

#define NR_SLOTS	4
#define NR_MESSAGES	60	/* two requests each fit into the ring */
#define HEADER_LEN	24
#define BODY_LEN	1000
#define MAX_LEN		(HEADER_LEN + BODY_LEN)
#define DATA_LEN	(NR_MESSAGES * MAX_LEN)
/* more messages than a socket of SMALL_SNDBUF takes */
#define MAX_FIT		2000
#define SMALL_SNDBUF	(104 << 10)

/* How a message is sent. */
enum way {
	HEADER_BODY_ZC,		/* SEND_ZC for each of the two */
	HEADER_BODY_SLOTS,	/* slot 0 for headers, slot 1 for bodies */
	BODY_ZC,		/* no header */
	BODY_SLOTS,		/* the same, four slots in turn */
};

FIXTURE(segments)
{
	struct io_uring ring;
	struct pair net;
	char *data;	/* messages one after the other */
};

RING_VARIANTS(segments);

FIXTURE_SETUP(segments)
{
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));
	self->data = malloc(DATA_LEN);
	fill_pattern(self->data, DATA_LEN, 22);
	self->net.tx = -1;
	self->net.rx = -1;
}

FIXTURE_TEARDOWN(segments)
{
	ring_exit(&self->ring);
	pair_close(&self->net);
}

static bool has_header(enum way way)
{
	return way == HEADER_BODY_ZC || way == HEADER_BODY_SLOTS;
}

static bool uses_slots(enum way way)
{
	return way == HEADER_BODY_SLOTS || way == BODY_SLOTS;
}

static size_t message_len(enum way way)
{
	return has_header(way) ? MAX_LEN : BODY_LEN;
}

/* One request; the two of a message are not adjacent in memory. */
static void prep_part(FIXTURE_DATA(segments) *self, enum way way,
		      const char *part, size_t len, unsigned int slot, int flags)
{
	struct io_uring_sqe *sqe;

	sqe = prep_slot_send(&self->ring, self->net.tx, part, len, slot, 0);
	sqe->msg_flags = flags;
	if (uses_slots(way))
		return;
	sqe->ioprio = 0;
	sqe->notification_idx = 0;
}

/* Message @nr; returns of how many requests. */
static unsigned int prep_message(FIXTURE_DATA(segments) *self, enum way way,
				 const char *headers, const char *bodies,
				 unsigned int nr, int flags)
{
	const char *body = bodies + nr * 4096;

	if (!has_header(way)) {
		prep_part(self, way, body, BODY_LEN, nr % NR_SLOTS, flags);
		return 1;
	}
	prep_part(self, way, headers + nr * 64, HEADER_LEN, 0, flags | MSG_MORE);
	prep_part(self, way, body, BODY_LEN, 1, flags);
	return 2;
}

/* What self->data has one after the other: headers here, bodies there. */
static void spread_data(FIXTURE_DATA(segments) *self, enum way way,
			char *headers, char *bodies)
{
	const char *from = self->data;
	unsigned int i;

	for (i = 0; i < NR_MESSAGES; i++) {
		if (has_header(way)) {
			memcpy(headers + i * 64, from, HEADER_LEN);
			from += HEADER_LEN;
		}
		memcpy(bodies + i * 4096, from, BODY_LEN);
		from += BODY_LEN;
	}
}

/* Flush, and take what there is until nothing comes: all must be successes. */
#define ASSERT_FINISHED() do {						\
	struct io_uring_cqe __cqe;					\
									\
	ASSERT_FLUSH(&self->ring, 0, NR_SLOTS);				\
	while (!ring_next_ms(&self->ring, &__cqe, 200))			\
		ASSERT_LE(0, __cqe.res);				\
} while (0)

/* In how many packets NR_MESSAGES go that a corked socket keeps together. */
static unsigned int count_segments(struct __test_metadata *_metadata,
				   FIXTURE_DATA(segments) *self, enum way way)
{
	char *headers = map_pages(NR_MESSAGES * 64);
	char *bodies = map_pages(NR_MESSAGES * 4096);
	static const char warm[4000];
	unsigned int i, nr = 0, before;

	spread_data(self, way, headers, bodies);
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
	for (i = 0; i < NR_MESSAGES; i++)
		nr += prep_message(self, way, headers, bodies, i, MSG_WAITALL);
	ASSERT_SUBMIT(&self->ring, nr);
	ASSERT_EQ(0, setsockopt_int(self->net.tx, IPPROTO_TCP, TCP_CORK, 0));
	ASSERT_RECEIVED(&self->net, self->data, NR_MESSAGES * message_len(way));
	before = data_segs_out(self->net.tx) - before;
	ASSERT_FINISHED();
	pair_close(&self->net);
	munmap(headers, NR_MESSAGES * 64);
	munmap(bodies, NR_MESSAGES * 4096);
	return before;
}

/* How many messages a socket takes whose receiver doesn't read. */
static unsigned int count_fitting(struct __test_metadata *_metadata,
				  FIXTURE_DATA(segments) *self, enum way way)
{
	char *headers = map_pages(NR_MESSAGES * 64);
	char *bodies = map_pages(NR_MESSAGES * 4096);
	unsigned int fit, left;
	struct io_uring_cqe cqe;
	bool full = false;

	spread_data(self, way, headers, bodies);
	ASSERT_EQ(0, pair_open(&self->net, NET_LO, AF_INET, SOCK_STREAM,
			       (struct pair_opts){ .unread = true }));
	ASSERT_EQ(0, setsockopt_int(self->net.tx, SOL_SOCKET, SO_SNDBUF,
				    SMALL_SNDBUF));
	for (fit = 0; fit < MAX_FIT; fit++) {
		left = prep_message(self, way, headers, bodies,
				    fit % NR_MESSAGES, MSG_DONTWAIT);
		ASSERT_SUBMIT(&self->ring, left);
		while (left) {
			ASSERT_EQ(0, ring_next(&self->ring, &cqe));
			if (cqe.flags & IORING_CQE_F_NOTIF)
				continue;
			left--;
			if (cqe.res < 0) {
				ASSERT_EQ(-EAGAIN, cqe.res);
				full = true;
			}
		}
		if (full)
			break;
	}
	ASSERT_TRUE(full);
	/* unsent data goes with the receiver */
	pair_close(&self->net);
	ASSERT_FINISHED();
	munmap(headers, NR_MESSAGES * 64);
	munmap(bodies, NR_MESSAGES * 4096);
	return fit;
}

/* A packet more or less depends on when the acknowledgements come. */
static void compare_segments(struct __test_metadata *_metadata,
			     FIXTURE_DATA(segments) *self, enum way slots,
			     enum way zc)
{
	unsigned int with_slots, with_zc;
	struct pair probe;

	OPEN_PAIR(&probe, NET_VETH, AF_INET, SOCK_STREAM);
	pair_close(&probe);
	with_zc = count_segments(_metadata, self, zc);
	with_slots = count_segments(_metadata, self, slots);
	printf("# segments: slots %u, SEND_ZC %u\n", with_slots, with_zc);
	EXPECT_LE(with_slots * 10, with_zc * 12);
}

/* How far the peer's window has grown by then depends on that too. */
static void compare_fitting(struct __test_metadata *_metadata,
			    FIXTURE_DATA(segments) *self, enum way slots,
			    enum way zc)
{
	unsigned int with_slots, with_zc;

	with_zc = count_fitting(_metadata, self, zc);
	with_slots = count_fitting(_metadata, self, slots);
	printf("# a full socket: slots %u, SEND_ZC %u messages\n", with_slots,
	       with_zc);
	EXPECT_GE(with_slots * 10, with_zc * 7);
}

TEST_F(segments, contract_12_two_slots_in_turn_make_no_more_segments)
{
	compare_segments(_metadata, self, HEADER_BODY_SLOTS, HEADER_BODY_ZC);
}

TEST_F(segments, contract_12_four_slots_in_turn_make_no_more_segments)
{
	compare_segments(_metadata, self, BODY_SLOTS, BODY_ZC);
}

TEST_F(segments, contract_12_two_slots_in_turn_fit_as_much)
{
	compare_fitting(_metadata, self, HEADER_BODY_SLOTS, HEADER_BODY_ZC);
}

TEST_F(segments, contract_12_four_slots_in_turn_fit_as_much)
{
	compare_fitting(_metadata, self, BODY_SLOTS, BODY_ZC);
}

NOTIF_TEST_MAIN
