// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel writes into a program's memory: what is documented, and zeroes.
 * All of it is filled with something else before, so that what is left out is seen.
 */
#include <linux/io_uring/query.h>

#include "fixture.h"

#define FLUSH		IORING_RECVSEND_NOTIF_FLUSH
/* neither what the kernel would write, nor what it would leave */
#define STAIN		0xa5

static bool is_all(const void *data, int value, size_t len)
{
	const unsigned char *bytes = data;

	while (len--)
		if (*bytes++ != value)
			return false;
	return true;
}

/* The answer is as long as was asked for: what the kernel knows, and zeroes. */
TEST(security_query_answers_no_more)
{
	const size_t len = sizeof(struct io_uring_query_notif);
	struct io_uring_query_hdr hdr;
	unsigned char answer[4096];
	unsigned int i;

	for (i = 1; i <= sizeof(answer); i = i < 2 * len ? i + 1 : 2 * i) {
		hdr = (struct io_uring_query_hdr){
			.query_data = (unsigned long)answer,
			.query_op = IO_URING_QUERY_NOTIF,
			.size = i,
		};
		memset(answer, STAIN, sizeof(answer));
		/* what is passed in is looked at: reserved fields have to be 0 */
		memset(answer, 0, i);
		ASSERT_EQ(0, syscall(__NR_io_uring_register, -1,
				     IORING_REGISTER_QUERY, &hdr, 0));
		ASSERT_EQ(0, hdr.result);
		ASSERT_EQ(i < len ? i : len, hdr.size);
		if (i > len)
			ASSERT_TRUE(is_all(answer + len, 0, i - len));
		ASSERT_TRUE(is_all(answer + i, STAIN, sizeof(answer) - i));
	}
	for (i = 0; i < 2; i++) {
		memset(answer, STAIN, sizeof(answer));
		memset(&hdr, 0, sizeof(hdr));
		hdr.query_data = (unsigned long)answer;
		hdr.query_op = IO_URING_QUERY_NOTIF;
		hdr.size = len;
		if (i)
			hdr.result = 1;
		else
			hdr.__resv[0] = 1;
		ASSERT_EQ(0, syscall(__NR_io_uring_register, -1,
				     IORING_REGISTER_QUERY, &hdr, 0));
		ASSERT_EQ(-EINVAL, hdr.result);
		ASSERT_TRUE(is_all(answer, 0, len));
		ASSERT_TRUE(is_all(answer + len, STAIN, sizeof(answer) - len));
	}
}

/* The kernel only reads what is registered: it may be in memory that is read-only. */
TEST(security_register_writes_nothing)
{
	struct io_uring_notification_register *reg;
	struct io_uring_notification_slot *slots;
	struct io_uring ring;
	char *page = map_pages(4096);

	ASSERT_NE(NULL, page);
	reg = (void *)page;
	slots = (void *)(page + sizeof(*reg));
	reg->nr_slots = 2;
	reg->data = (unsigned long)slots;
	ASSERT_EQ(0, mprotect(page, 4096, PROT_READ));
	ASSERT_EQ(0, ring_init(&ring, 0));
	ASSERT_EQ(0, ring_register(&ring, IORING_REGISTER_NOTIFIERS, reg,
				   sizeof(*reg)));
	ring_exit(&ring);
}

FIXTURE(cqes)
{
	struct io_uring ring;
	struct pair net;
	unsigned char *cqes;	/* the ring's array of them, */
	size_t size;		/* and what each takes */
	unsigned int entries;
};

FIXTURE_VARIANT(cqes)
{
	unsigned int setup;
};

FIXTURE_VARIANT_ADD(cqes, plain) { .setup = 0 };
FIXTURE_VARIANT_ADD(cqes, defer) { .setup = RING_DEFER };
FIXTURE_VARIANT_ADD(cqes, mixed) { .setup = IORING_SETUP_CQE_MIXED };
FIXTURE_VARIANT_ADD(cqes, large) { .setup = IORING_SETUP_CQE32 };
FIXTURE_VARIANT_ADD(cqes, large_defer) {
	.setup = RING_DEFER | IORING_SETUP_CQE32
};

FIXTURE_SETUP(cqes)
{
	struct io_uring_params p = {
		.flags = variant->setup | IORING_SETUP_SUBMIT_ALL,
	};
	int fd;

	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_STREAM, .unread = true);
	fd = io_uring_setup(8, &p);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_open(&self->ring, fd, &p));
	ASSERT_EQ(0, register_slots(&self->ring, 2));
	self->size = variant->setup & IORING_SETUP_CQE32 ? 32 : 16;
	self->entries = p.cq_entries;
	self->cqes = (unsigned char *)self->ring.cq.cqes;
	memset(self->cqes, STAIN, self->entries * self->size);
}

FIXTURE_TEARDOWN(cqes)
{
	ring_exit(&self->ring);
	pair_close(&self->net);
}

/* The next CQE: it is stained before the kernel may write to it again. */
static bool take_and_stain(FIXTURE_DATA(cqes) *self, struct io_uring_cqe *cqe,
			   bool *clean)
{
	struct io_uring_cq *cq = &self->ring.cq;
	unsigned char *at;

	if (ring_empty(&self->ring))
		return false;
	at = self->cqes + (*cq->khead & *cq->kring_mask) * self->size;
	memcpy(cqe, at, sizeof(*cqe));
	*clean = is_all(at + sizeof(*cqe), 0, self->size - sizeof(*cqe));
	memset(at, STAIN, self->size);
	__atomic_store_n(cq->khead, *cq->khead + 1, __ATOMIC_RELEASE);
	return true;
}

/*
 * Whichever way a notification comes, by a flush, the network, or out of the list of
 * those that had no room: its CQE has its three fields, and zeroes.
 */
TEST_F(cqes, security_nothing_of_the_kernel_in_a_cqe)
{
	const unsigned int nr = 3 * self->entries;
	struct io_uring_cqe cqe = {};
	unsigned int i, seen = 0;
	bool clean;

	for (i = 0; i < nr; i++) {
		int fd = i % 2 ? self->net.tx : -1;

		prep_slot_send(&self->ring, fd, "x", 1, 0, FLUSH)->flags =
			IOSQE_CQE_SKIP_SUCCESS;
		ASSERT_SUBMIT(&self->ring, 1);
	}
	while (seen < nr) {
		if (!take_and_stain(self, &cqe, &clean)) {
			ASSERT_EQ(0, ring_wait(&self->ring, 1, LOST_MS))
				TH_LOG("lost: %u of %u", nr - seen, nr);
			continue;
		}
		ASSERT_TRUE(clean);
		if (cqe.user_data == REQ(0))
			continue;
		ASSERT_EQ(TAG(0), cqe.user_data);
		ASSERT_EQ(0, cqe.res);
		ASSERT_EQ(IORING_CQE_F_NOTIF, cqe.flags & 0xffff);
		seen++;
	}
	ASSERT_EQ(0, *self->ring.cq.koverflow);
	ASSERT_TRUE(is_all(self->cqes, STAIN, self->entries * self->size));
}

/* Nor does one write to the entries beside it. */
TEST_F(cqes, security_a_cqe_ends_where_it_ends)
{
	unsigned int i, at;

	for (i = 0; i < 2 * self->entries; i++) {
		struct io_uring_cqe cqe = {};
		bool clean;

		prep_slot_send(&self->ring, -1, "x", 1, 0, 0);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_TRUE(take_and_stain(self, &cqe, &clean));
		ASSERT_EQ(REQ(0), cqe.user_data);
		at = *self->ring.cq.khead & *self->ring.cq.kring_mask;
		ASSERT_FLUSH(&self->ring, 0, 1);
		ASSERT_FALSE(ring_empty(&self->ring));
		ASSERT_TRUE(is_all(self->cqes, STAIN, at * self->size));
		ASSERT_TRUE(is_all(self->cqes + (at + 1) * self->size, STAIN,
				   (self->entries - at - 1) * self->size));
		ASSERT_TRUE(take_and_stain(self, &cqe, &clean));
		ASSERT_TRUE(clean);
		ASSERT_EQ(TAG(0), cqe.user_data);
		ASSERT_EQ(notif_flags(i), cqe.flags);
	}
}

NOTIF_TEST_MAIN
