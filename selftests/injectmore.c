// SPDX-License-Identifier: GPL-2.0
/*
 * Each allocation and each copy on the way of a request fails once, where the slot
 * merges, copies short segments or falls back to copying, and for many datagrams:
 * one CQE, nothing leaks, and it works as it is repeated.
 */
#include "dgrams.h"
#include "faults.h"

#define NR		6	/* datagrams */
#define SHORT		256
#define VECTOR_LEN	(3 * (24 + 2000))

/* All of them merge: what a request has come to is one CQE. */
static const struct io_uring_notification_slot slot_of_all = {
	.tag = TAG(0), .flush_after = 1, .copy_below = SHORT,
	.flags = IORING_NOTIF_SLOT_MERGE | IORING_NOTIF_SLOT_SEGMENTS |
		 IORING_NOTIF_SLOT_FALLBACK,
};

FIXTURE(more)
{
	struct faults faults;
	struct io_uring ring;	/* a new one for each round */
	struct pair net;
	char *data, *got;	/* ALL_LEN bytes; registered if the variant says so */
	struct iovec iov[6];
	struct io_uring_dgram dgrams[NR];
	unsigned int setup;
};

RING_VARIANTS(more);

FIXTURE_SETUP(more)
{
	const char *missing = faults_open(&self->faults);

	self->net = (struct pair){ .tx = -1, .rx = -1 };
	if (missing)
		SKIP(return, "no %s here", missing);
	self->data = map_pages(ALL_LEN);
	self->got = malloc(ALL_LEN);
	ASSERT_NE(NULL, self->data);
	fill_pattern(self->data, ALL_LEN, 91);
	self->setup = variant->setup;
}

FIXTURE_TEARDOWN(more)
{
	pair_close(&self->net);
}

/* A request, and how many bytes or datagrams it sends. */
typedef unsigned int (*prep_fn)(FIXTURE_DATA(more) *self);

static unsigned int prep_one(FIXTURE_DATA(more) *self)
{
	prep_slot_send(&self->ring, self->net.tx, self->data, MAX_DGRAM, 0, 0);
	return MAX_DGRAM;
}

static unsigned int prep_fixed(FIXTURE_DATA(more) *self)
{
	prep_slot_send(&self->ring, self->net.tx, self->data, MAX_DGRAM, 0,
		       IORING_RECVSEND_FIXED_BUF);
	return MAX_DGRAM;
}

static unsigned int prep_vector(FIXTURE_DATA(more) *self)
{
	unsigned int i, off = 0;

	for (i = 0; i < 6; i++) {
		self->iov[i] = (struct iovec){ self->data + off, i & 1 ? 2000 : 24 };
		off += self->iov[i].iov_len;
	}
	prep_slot_send(&self->ring, self->net.tx, self->iov, 6, 0,
		       IORING_SEND_VECTORIZED);
	return VECTOR_LEN;
}

static unsigned int prep_array(FIXTURE_DATA(more) *self, unsigned int ioprio)
{
	unsigned int i;

	fill_dgrams(self->dgrams, self->data, NR);
	for (i = 0; i < NR; i += 2) {
		self->dgrams[i].name = (unsigned long)&self->net.to;
		self->dgrams[i].name_len = self->net.to_len;
	}
	prep_many(&self->ring, self->net.tx, self->dgrams, NR, 0, ioprio);
	return NR;
}

static unsigned int prep_many_plain(FIXTURE_DATA(more) *self)
{
	return prep_array(self, 0);
}

static unsigned int prep_many_fixed(FIXTURE_DATA(more) *self)
{
	return prep_array(self, IORING_RECVSEND_FIXED_BUF);
}

/* What has been sent arrives, and nothing else. */
static void assert_arrived(struct __test_metadata *_metadata,
			   FIXTURE_DATA(more) *self, prep_fn prep, int res)
{
	if (res <= 0) {
		ASSERT_NO_MORE(self->net.rx);
		return;
	}
	if (prep == prep_many_plain || prep == prep_many_fixed) {
		ASSERT_DGRAMS_RECEIVED(self->net.rx, self->dgrams,
				       (unsigned int)res);
	} else {
		ASSERT_EQ(0, receive_with_ring(&self->ring, self->net.rx,
					       self->got, res));
		ASSERT_EQ(0, memcmp(self->got, self->data, res));
	}
	ASSERT_NO_MORE(self->net.rx);
}

/* One round for each call: the request fails with it, or does without. */
static void with_faults(struct __test_metadata *_metadata,
			FIXTURE_DATA(more) *self, prep_fn prep)
{
	struct iovec iov = { self->data, ALL_LEN };
	struct io_uring_cqe cqe = {};
	unsigned int want;
	int ret;

	do {
		ASSERT_EQ(0, ring_init(&self->ring, self->setup));
		ASSERT_EQ(0, register_slots_as(&self->ring, &slot_of_all, 1, 0));
		ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
		want = prep(self);
		WITH_FAULT(ret = ring_submit(&self->ring));
		ASSERT_EQ(1, ret);
		ASSERT_EQ(0, ring_next(&self->ring, &cqe))
			TH_LOG("call %u failed, and there is no answer",
			       self->faults.nth);
		ASSERT_EQ(REQ(0), cqe.user_data);
		ASSERT_EQ(0, cqe.flags);
		ASSERT_TRUE(cqe.res == (int)want || self->faults.failed)
			TH_LOG("call %u: %d of %u", self->faults.nth, cqe.res, want);
		ASSERT_TRUE(cqe.res >= 0 || cqe.res == -ENOMEM ||
			    cqe.res == -EFAULT || cqe.res == -ENOBUFS)
			TH_LOG("call %u failed, the request with %d",
			       self->faults.nth, cqe.res);
		assert_arrived(_metadata, self, prep, cqe.res);
		/* once more */
		want = prep(self);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), want, 0);
		assert_arrived(_metadata, self, prep, want);
		ring_wait(&self->ring, 0, 0);
		ASSERT_TRUE(ring_empty(&self->ring));
		ring_exit(&self->ring);
		ASSERT_EQ(0, module_unused());
	} while (MORE_FAULTS);
}

#define WITH_FAULTS(_prep)	with_faults(_metadata, self, _prep)

TEST_F(more, contract_10_enomem_merged)
{
	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_DGRAM);
	WITH_FAULTS(prep_one);
	WITH_FAULTS(prep_fixed);
}

TEST_F(more, contract_10_enomem_segments)
{
	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_DGRAM);
	WITH_FAULTS(prep_vector);
	pair_close(&self->net);
	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_STREAM);
	WITH_FAULTS(prep_vector);
}

TEST_F(more, contract_10_enomem_many)
{
	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_DGRAM);
	WITH_FAULTS(prep_many_plain);
	WITH_FAULTS(prep_many_fixed);
}

TEST_F(more, contract_10_enomem_fallback)
{
	int fds[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	self->net = (struct pair){ .tx = fds[0], .rx = fds[1] };
	WITH_FAULTS(prep_one);
	WITH_FAULTS(prep_vector);
}

NOTIF_TEST_MAIN
