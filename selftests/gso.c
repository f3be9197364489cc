// SPDX-License-Identifier: GPL-2.0
/* Two notifiers in one corked datagram that GSO cuts into packets. */
#include "fixture.h"
#include "paths.h"

#define SEGMENT		500
#define PART_LEN	1200

FIXTURE(gso)
{
	struct io_uring ring;
	struct pair net;
	char data[2 * PART_LEN];
	char want[2 * PART_LEN];
};

FIXTURE_VARIANT(gso)
{
	unsigned int setup;
	enum net_link link;
	int family;
};

#define VARIANTS(name, _link)						\
	FIXTURE_VARIANT_ADD(gso, name##_v4) {				\
		.setup = RING_DEFER, .link = _link, .family = AF_INET	\
	};								\
	FIXTURE_VARIANT_ADD(gso, name##_v6) {				\
		.setup = 0, .link = _link, .family = AF_INET6		\
	}

VARIANTS(lo, NET_LO);
VARIANTS(nic, NET_NIC);

FIXTURE_SETUP(gso)
{
	OPEN_PAIR(&self->net, variant->link, variant->family, SOCK_DGRAM);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, register_slots(&self->ring, 2));
	ASSERT_EQ(0, setsockopt_int(self->net.tx, IPPROTO_UDP, UDP_SEGMENT,
				    SEGMENT));
}

FIXTURE_TEARDOWN(gso)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
	pair_close(&self->net);
}

/* Packets of SEGMENT bytes, and one with the rest. */
static int receive_segments(int fd, char *got, size_t len)
{
	size_t done = 0;

	while (done < len) {
		size_t want = len - done < SEGMENT ? len - done : SEGMENT;
		ssize_t n = recv(fd, got + done, len - done, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIME : -errno;
		if ((size_t)n != want)
			return -EMSGSIZE;
		done += n;
	}
	return 0;
}

/*
 * The second notifier's part links or is copied. Which of them it was shows what
 * arrives after the data has changed in between (no program may do that), and
 * its notification must not say otherwise.
 */
static void second_part(struct __test_metadata *_metadata,
			FIXTURE_DATA(gso) *self,
			const FIXTURE_VARIANT(gso) *variant, bool more,
			bool flush_first, unsigned int seq)
{
	char *data = self->data, *second = self->data + PART_LEN;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe cqe;
	char got[2 * PART_LEN];
	unsigned int seen = 0, i;
	bool copied;
	__u64 slot;

	fill_pattern(data, 2 * PART_LEN, 2 * seq);
	memcpy(self->want, data, 2 * PART_LEN);
	if (!more)
		ASSERT_EQ(0, setsockopt_int(self->net.tx, IPPROTO_UDP, UDP_CORK, 1));
	sqe = prep_slot_send(&self->ring, self->net.tx, data, PART_LEN, 0,
			     IORING_SEND_ZC_REPORT_USAGE |
			     (flush_first ? IORING_RECVSEND_NOTIF_FLUSH : 0));
	sqe->msg_flags |= more ? MSG_MORE : 0;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), PART_LEN, 0);
	sqe = prep_slot_send(&self->ring, self->net.tx, second, PART_LEN, 1,
			     IORING_SEND_ZC_REPORT_USAGE);
	sqe->msg_flags |= more ? MSG_MORE : 0;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), PART_LEN, 0);

	fill_pattern(second, PART_LEN, 2 * seq + 1);
	ASSERT_EQ(0, setsockopt_int(self->net.tx, IPPROTO_UDP, UDP_CORK, 0));
	ASSERT_EQ(0, receive_segments(self->net.rx, got, 2 * PART_LEN));
	ASSERT_EQ(0, memcmp(got, self->want, PART_LEN));
	copied = !memcmp(got + PART_LEN, self->want + PART_LEN, PART_LEN);
	if (!copied)
		ASSERT_EQ(0, memcmp(got + PART_LEN, second, PART_LEN));

	ASSERT_FLUSH(&self->ring, 1, 1);
	for (i = 0; i < 2; i++) {
		/* the second one waits for nothing that the program has to do */
		if (i == 1 && !flush_first) {
			ASSERT_QUIET(&self->ring);
			ASSERT_FLUSH(&self->ring, 0, 1);
		}
		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		slot = cqe.user_data - TAG(0);
		ASSERT_LT(slot, 2);
		ASSERT_TRUE(flush_first || slot == 1 - i);
		ASSERT_EQ(0, seen & 1U << slot);
		seen |= 1U << slot;
		ASSERT_EQ(notif_flags(seq), cqe.flags);
		if (slot == 1 && copied)
			ASSERT_EQ(IORING_NOTIF_USAGE_ZC_COPIED, cqe.res);
		/* on the loopback device the receiver's side copies as well */
		if (slot == 1 && !copied && variant->link == NET_NIC)
			ASSERT_EQ(0, cqe.res);
	}
}

TEST_F(gso, contract_12_gso_cork_two_notifiers)
{
	unsigned int i;

	for (i = 0; i < 8; i++)
		second_part(_metadata, self, variant, i & 1, i & 2, i);
}

NOTIF_TEST_MAIN
