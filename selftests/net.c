// SPDX-License-Identifier: GPL-2.0
/*
 * Slots on every kind of socket, from one network namespace to another, with
 * the bytes compared at the far end.
 */
#include "fixture.h"

#define DATA_LEN	(128 << 10)

FIXTURE(path)
{
	struct io_uring ring;
	struct pair net;
	char *data;
};

FIXTURE_VARIANT(path)
{
	unsigned int setup;
	enum net_link link;
	int family, type;
	bool addressed;		/* each request gives the receiver's address */
};

#define VARIANT(name, ...)						\
	FIXTURE_VARIANT_ADD(path, name##_plain) {			\
		.setup = 0, __VA_ARGS__					\
	};								\
	FIXTURE_VARIANT_ADD(path, name##_defer) {			\
		.setup = RING_DEFER, __VA_ARGS__			\
	}

#define VARIANTS_OF_FAMILY(name, _link, _family)			\
	VARIANT(name##_tcp, .link = _link, .family = _family,		\
		.type = SOCK_STREAM);					\
	VARIANT(name##_udp, .link = _link, .family = _family,		\
		.type = SOCK_DGRAM);					\
	VARIANT(name##_udp_addressed, .link = _link, .family = _family,	\
		.type = SOCK_DGRAM, .addressed = true)

#define VARIANTS_OF_LINK(name, _link)					\
	VARIANTS_OF_FAMILY(name##_v4, _link, AF_INET);			\
	VARIANTS_OF_FAMILY(name##_v6, _link, AF_INET6)

VARIANTS_OF_LINK(veth, NET_VETH);
VARIANTS_OF_LINK(nic, NET_NIC);

FIXTURE_SETUP(path)
{
	OPEN_PAIR(&self->net, variant->link, variant->family, variant->type,
		  .unconnected = variant->addressed);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, register_slots(&self->ring, 2));
	self->data = malloc(DATA_LEN);
	fill_pattern(self->data, DATA_LEN, 7);
}

FIXTURE_TEARDOWN(path)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
	pair_close(&self->net);
}

/* less than a page, a packet, several pages and packets, odd ones */
static const unsigned int sizes[] = {
	1, 100, 1400, 4096, 8000, 4097, 3, 16000, 1473,
};

/* Send a part of the data through a slot of @ring. */
#define PREP_PART(_ring, _off, _len, _slot, _ioprio)			\
	prep_part(self, variant, _ring, _off, _len, _slot, _ioprio)

static struct io_uring_sqe *prep_part(FIXTURE_DATA(path) *self,
				      const FIXTURE_VARIANT(path) *variant,
				      struct io_uring *ring, unsigned int off,
				      unsigned int len, unsigned int slot,
				      unsigned int ioprio)
{
	struct io_uring_sqe *sqe;

	sqe = prep_slot_send(ring, self->net.tx, self->data + off, len, slot,
			     ioprio);
	if (variant->addressed) {
		sqe->addr2 = (unsigned long)&self->net.to;
		sqe->addr_len = self->net.to_len;
	}
	return sqe;
}

TEST_F(path, contract_12_flush_every_request)
{
	unsigned int off = 0, i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		PREP_PART(&self->ring, off, sizes[i], 1,
			  IORING_RECVSEND_NOTIF_FLUSH);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), sizes[i], 0);
		ASSERT_RECEIVED(&self->net, self->data + off, sizes[i]);
		ASSERT_NOTIF(&self->ring, TAG(1), i);
		off += sizes[i];
	}
}

TEST_F(path, contract_12_one_notifier_for_all)
{
	unsigned int off = 0, i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		PREP_PART(&self->ring, off, sizes[i], 0,
			  i == ARRAY_SIZE(sizes) - 1 ?
			  IORING_RECVSEND_NOTIF_FLUSH : 0);
		off += sizes[i];
	}
	ASSERT_SUBMIT(&self->ring, ARRAY_SIZE(sizes));
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		ASSERT_CQE(&self->ring, REQ(0), sizes[i], 0);
	ASSERT_RECEIVED(&self->net, self->data, off);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

/*
 * Many notifiers on one socket at a time, of two slots in turn: on TCP they
 * meet in one skb. Each answers once, after its own request.
 */
TEST_F(path, contract_12_two_slots_in_turn)
{
	const unsigned int nr = 32, len = 1000;
	unsigned int req_seen = 0, notif_seen = 0, i;
	struct io_uring_cqe cqe;

	for (i = 0; i < nr; i++)
		PREP_PART(&self->ring, i * len, len, i % 2,
			  IORING_RECVSEND_NOTIF_FLUSH)->user_data = REQ(i);
	ASSERT_SUBMIT(&self->ring, nr);
	ASSERT_RECEIVED(&self->net, self->data, nr * len);
	while (req_seen != ~0U || notif_seen != ~0U) {
		unsigned int bit;

		ASSERT_EQ(0, ring_next(&self->ring, &cqe))
			TH_LOG("CQEs so far: %#x, notifications %#x", req_seen,
			       notif_seen);
		if (cqe.user_data < TAG(0)) {
			ASSERT_EQ((int)len, cqe.res);
			ASSERT_EQ(0, cqe.flags);
			req_seen |= 1U << (cqe.user_data - REQ(0));
			continue;
		}
		ASSERT_LT(cqe.user_data - TAG(0), 2);
		ASSERT_EQ(0, cqe.res);
		ASSERT_LT(notif_seq(&cqe), nr / 2);
		bit = 1U << (2 * notif_seq(&cqe) + (cqe.user_data - TAG(0)));
		ASSERT_TRUE(req_seen & bit);
		ASSERT_FALSE(notif_seen & bit);
		notif_seen |= bit;
	}
}

/* Small pieces of a stream, or small datagrams: those that share an skb. */
TEST_F(path, contract_12_many_small)
{
	unsigned int i;

	for (i = 0; i < 64; i++)
		PREP_PART(&self->ring, i * 7, 7, i % 2, 0);
	ASSERT_SUBMIT(&self->ring, 64);
	for (i = 0; i < 64; i++)
		ASSERT_CQE(&self->ring, REQ(0), 7, 0);
	ASSERT_RECEIVED(&self->net, self->data, 64 * 7);
	ASSERT_FLUSH(&self->ring, 0, 2);
	ASSERT_NOTIFS(&self->ring, 0, 2, 0);
}

/* Two rings on one socket: their notifiers may meet in one skb. */
TEST_F(path, contract_12_two_rings)
{
	struct io_uring other;
	unsigned int i;

	ASSERT_EQ(0, ring_init(&other, variant->setup));
	ASSERT_EQ(0, register_slots(&other, 1));
	for (i = 0; i < 8; i++) {
		struct io_uring *ring = i % 2 ? &other : &self->ring;

		PREP_PART(ring, i * 100, 100, 0, 0);
		ASSERT_SUBMIT(ring, 1);
		ASSERT_CQE(ring, REQ(0), 100, 0);
	}
	ASSERT_RECEIVED(&self->net, self->data, 800);
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_FLUSH(&other, 0, 1);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_NOTIF(&other, TAG(0), 0);
	ring_exit(&other);
}

NOTIF_TEST_MAIN
