// SPDX-License-Identifier: GPL-2.0
/* Vectors in a registered buffer go as those in plain memory do. */
#include "fixture.h"

#define DATA_LEN	(64 << 10)
#define DGRAM_LEN	65000	/* the longest */
#define MAX_SEGMENTS	133

FIXTURE(vector)
{
	struct io_uring ring;
	struct pair net;
	char *data;	/* registered buffer 0 */
	unsigned int seq;
};

RING_VARIANTS(vector);

FIXTURE_SETUP(vector)
{
	struct iovec iov = { .iov_len = DATA_LEN };

	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_DGRAM);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, register_slots(&self->ring, 1));
	self->data = map_pages(DATA_LEN);
	ASSERT_NE(NULL, self->data);
	fill_pattern(self->data, DATA_LEN, 27);
	iov.iov_base = self->data;
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
}

FIXTURE_TEARDOWN(vector)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
	pair_close(&self->net);
}

/* How a vector is sent: all combinations. */
struct way {
	bool slot;	/* else as mainline's SEND_ZC */
	bool sendmsg;	/* else SEND_ZC with IORING_SEND_VECTORIZED */
	bool fixed;
};

#define NR_WAYS	8

static struct way way_of(unsigned int nr)
{
	return (struct way){
		.slot = nr & 1, .sendmsg = nr & 2, .fixed = nr & 4,
	};
}

/* Send a vector of @len bytes: it goes, is notified, and is one datagram. */
#define ASSERT_VECTOR(_way, _iov, _nr, _len)				\
	assert_vector(_metadata, self, _way, _iov, _nr, _len)

static void assert_vector(struct __test_metadata *_metadata,
			  FIXTURE_DATA(vector) *self, struct way way,
			  const struct iovec *iov, unsigned int nr, size_t len)
{
	const struct msghdr msg = { .msg_iov = (void *)iov, .msg_iovlen = nr };
	struct io_uring_sqe *sqe;
	struct io_uring_cqe cqe;
	char got[DATA_LEN];
	ssize_t n;

	if (way.sendmsg) {
		sqe = prep_slot_sendmsg(&self->ring, self->net.tx, &msg, 0, 0);
	} else {
		sqe = prep_slot_send(&self->ring, self->net.tx, iov, nr, 0, 0);
		sqe->ioprio |= IORING_SEND_VECTORIZED;
	}
	if (way.fixed)
		sqe->ioprio |= IORING_RECVSEND_FIXED_BUF;
	if (way.slot)
		sqe->ioprio |= IORING_RECVSEND_NOTIF_FLUSH;
	else
		sqe->ioprio &= ~IORING_SEND_ZC_NOTIF_SLOT;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_EQ(0, ring_next(&self->ring, &cqe));
	ASSERT_EQ(REQ(0), cqe.user_data);
	ASSERT_EQ((int)len, cqe.res)
		TH_LOG("%u segments, %s, %s, %s", nr,
		       way.slot ? "slot" : "no slot",
		       way.sendmsg ? "SENDMSG_ZC" : "SEND_ZC",
		       way.fixed ? "registered" : "plain");
	ASSERT_EQ(way.slot ? 0 : IORING_CQE_F_MORE, cqe.flags);

	do {
		n = recv(self->net.rx, got, sizeof(got), 0);
	} while (n < 0 && errno == EINTR);
	ASSERT_EQ((ssize_t)len, n);
	for (; nr; nr--, iov++) {
		if (!iov->iov_len)
			continue;
		ASSERT_EQ(0, memcmp(got + len - n, iov->iov_base, iov->iov_len));
		n -= iov->iov_len;
	}
	ASSERT_EQ(0, n);
	if (way.slot)
		ASSERT_NOTIF(&self->ring, TAG(0), self->seq++);
	else
		ASSERT_CQE(&self->ring, REQ(0), 0, IORING_CQE_F_NOTIF);
}

/* A vector that is one piece of memory is no more than that. */
TEST_F(vector, contract_12_adjacent_segments)
{
	static const unsigned int nrs[] = { 1, 17, 18, 64, MAX_SEGMENTS };
	struct iovec iov[MAX_SEGMENTS];
	unsigned int i, j, k, len;

	for (i = 0; i < ARRAY_SIZE(nrs); i++) {
		/* short ones, and those that have all of a datagram together */
		for (k = 0; k < 2; k++) {
			len = k ? DGRAM_LEN / nrs[i] : 100;
			for (j = 0; j < nrs[i]; j++)
				iov[j] = (struct iovec){
					self->data + j * len, len,
				};
			for (j = 0; j < NR_WAYS; j++)
				ASSERT_VECTOR(way_of(j), iov, nrs[i],
					      nrs[i] * len);
		}
	}
}

/* Among others, at the ends, and with an address that is none. */
TEST_F(vector, contract_12_empty_segments)
{
	struct iovec iov[] = {
		{ NULL, 0 }, { self->data, 100 }, { self->data + 100, 0 },
		{ NULL, 0 }, { self->data + 100, 200 }, { self->data, 0 },
		{ self->data + 5000, 5000 }, { self->data + 20000, 0 },
	};
	unsigned int way;

	for (way = 0; way < NR_WAYS; way++) {
		ASSERT_VECTOR(way_of(way), iov, ARRAY_SIZE(iov), 5300);
		/* all that there is in front of the last is passed over */
		ASSERT_VECTOR(way_of(way), iov + 2, 3, 200);
	}
}

/* On a UDP socket a datagram without a byte. */
TEST_F(vector, contract_12_empty_vector)
{
	struct iovec iov[] = { { self->data, 0 }, { NULL, 0 } };
	unsigned int way;

	for (way = 0; way < NR_WAYS; way++) {
		ASSERT_VECTOR(way_of(way), iov, 2, 0);
		ASSERT_VECTOR(way_of(way), iov, 1, 0);
		/* or no segment at all */
		if (way_of(way).sendmsg)
			ASSERT_VECTOR(way_of(way), iov, 0, 0);
	}
}

NOTIF_TEST_MAIN
