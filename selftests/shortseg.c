// SPDX-License-Identifier: GPL-2.0
/*
 * IORING_NOTIF_SLOT_SEGMENTS: vectors of short and of long segments, sent by every
 * sort of request to every sort of socket. All of it arrives, in order.
 */
#include "shortseg.h"

#define VARIANTS(name, ...)						\
	FIXTURE_VARIANT_ADD(shortseg, name##_plain) {			\
		.setup = 0, __VA_ARGS__					\
	};								\
	FIXTURE_VARIANT_ADD(shortseg, name##_defer) {			\
		.setup = RING_DEFER, __VA_ARGS__			\
	}

VARIANTS(lo_tcp, .link = NET_LO, .type = SOCK_STREAM);
VARIANTS(lo_udp, .link = NET_LO, .type = SOCK_DGRAM);
VARIANTS(nic_tcp, .link = NET_NIC, .type = SOCK_STREAM);
VARIANTS(nic_udp, .link = NET_NIC, .type = SOCK_DGRAM);
FIXTURE_VARIANT_ADD(shortseg, lo_tcp_sqpoll) {
	.setup = IORING_SETUP_SQPOLL, .link = NET_LO, .type = SOCK_STREAM
};

/* nothing makes a copy there but what is asked for, and nobody receives */
VARIANTS(dummy_udp, .link = NET_DUMMY, .type = SOCK_DGRAM);

/* Every shape, as both requests, plain and registered, in line and by io-wq. */
TEST_F(shortseg, contract_15_all_arrives_in_order)
{
	const unsigned int nr = ARRAY_SIZE(shapes) * 8;
	unsigned int i, len;

	for (i = 0; i < nr; i++) {
		const struct shape *shape = &shapes[i / 8];
		struct io_uring_sqe *sqe;

		len = make_vector(self, shape->len, shape->nr, i);
		sqe = prep_vector(self, i & 1, MERGED,
				  i & 2 ? IORING_RECVSEND_FIXED_BUF : 0);
		sqe->flags = i & 4 ? IOSQE_ASYNC : 0;
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_VECTOR_RECEIVED(len);
		ASSERT_CQE(&self->ring, REQ(0), len, 0);
	}
	ASSERT_QUIET(&self->ring);
}

/*
 * Long vectors: in a stream, more segments than a packet has room for fragments. A
 * datagram that isn't copied has to do with those, as any of SEND_ZC.
 */
TEST_F(shortseg, contract_15_many_segments)
{
	const bool stream = variant->type == SOCK_STREAM;
	const unsigned int nr = stream ? MAX_SEGS : 8, max = stream ? 4096 : 800;
	unsigned int lens[MAX_SEGS], i, round, len;

	for (round = 0; round < 24; round++) {
		for (i = 0; i < nr; i++)
			lens[i] = (i + round) % (1 + round % 5) ?
				  1 + (i * 37 + round) % (SHORT - 1) :
				  SHORT + (i * 1009 + round) % (max - SHORT);
		len = make_vector(self, lens, nr, round);
		prep_vector(self, round & 1, MERGED, 0);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_VECTOR_RECEIVED(len);
		ASSERT_CQE(&self->ring, REQ(0), len, 0);
	}
}

#define ALMOST			3500	/* most of a page, and short for this slot */
#define NR_FRAGS		17	/* a packet has room for so many */

/* A datagram that just fits, whatever place is left where short ones are copied. */
TEST_F(shortseg, contract_15_datagram_of_as_many_as_fit)
{
	const struct io_uring_notification_slot slot = {
		.tag = TAG(0), .copy_below = 4096, .flush_after = 1,
		.flags = IORING_NOTIF_SLOT_SEGMENTS | IORING_NOTIF_SLOT_MERGE,
	};
	unsigned int i, len, round;
	struct io_uring ring;

	if (variant->type == SOCK_STREAM)
		SKIP(return, "streams have as many packets as they need");
	ASSERT_EQ(0, ring_init(&ring, variant->setup));
	ASSERT_EQ(0, register_slots_as(&ring, &slot, 1, 0));
	self->one_page = set_sysctl(ONE_PAGE_AT_A_TIME, 1);
	for (round = 0; round < 20; round++) {
		for (i = 0, len = 0; i < NR_FRAGS; i++) {
			self->iov[i].iov_base = self->data + i * 4096;
			self->iov[i].iov_len = i % 2 ? 4096 : ALMOST;
			memcpy(self->want + len, self->iov[i].iov_base,
			       self->iov[i].iov_len);
			len += self->iov[i].iov_len;
		}
		prep_slot_send(&ring, self->net.tx, self->iov, NR_FRAGS, 0,
			       IORING_SEND_VECTORIZED);
		ASSERT_SUBMIT(&ring, 1);
		ASSERT_VECTOR_RECEIVED(len);
		ASSERT_CQE(&ring, REQ(0), len, 0);
	}
	ring_exit(&ring);
}

/* A segment that isn't there: an error, or what went before it, and no more. */
TEST_F(shortseg, contract_15_bad_segments)
{
	unsigned int bad, where, i;

	for (bad = 0; bad < 2; bad++)
		for (where = 0; where < 4; where++) {
			const unsigned int lens[] = { 24, 4096, 24, 4096 };
			struct io_uring_cqe cqe = {};
			int before, got = 0;

			make_vector(self, lens, 4, where);
			self->iov[where] = (struct iovec){
				(void *)8, bad ? 24 : 4096
			};
			prep_vector(self, bad, MERGED, 0);
			ASSERT_SUBMIT(&self->ring, 1);
			if (variant->type == SOCK_DGRAM) {
				ASSERT_CQE(&self->ring, REQ(0), -EFAULT, 0);
				continue;
			}
			/* a stream may have what comes before it, or a part */
			for (before = 0, i = 0; i < where; i++)
				before += lens[i];
			while (ring_next_ms(&self->ring, &cqe, 1))
				while (recv(self->net.rx, self->want + got, 1,
					    MSG_DONTWAIT) == 1)
					got++;
			ASSERT_EQ(REQ(0), cqe.user_data);
			ASSERT_TRUE(cqe.res == -EFAULT ||
				    (cqe.res > 0 && cqe.res <= before))
				TH_LOG("result %d of %d", cqe.res, before);
			ASSERT_EQ(cqe.res < 0 ? 0 : cqe.res, got);
		}
	if (self->net.rx >= 0) {
		ASSERT_EQ(-1, recv(self->net.rx, self->want, 1, MSG_DONTWAIT));
		ASSERT_EQ(EAGAIN, errno);
	}
	/* and the slot is as good as before */
	prep_slot_send(&self->ring, self->net.tx, self->data, 4096, MERGED, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	if (self->net.rx >= 0)
		ASSERT_RECEIVED(&self->net, self->data, 4096);
	ASSERT_CQE(&self->ring, REQ(0), 4096, 0);
}

NOTIF_TEST_MAIN
