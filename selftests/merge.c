// SPDX-License-Identifier: GPL-2.0
/*
 * IORING_NOTIF_SLOT_MERGE where all goes well: on every kind of ring, by every
 * protocol, in every form of a request, one CQE that is the notification.
 */
#include "merge.h"
#include "paths.h"
#include "rings.h"

#define LEN		1203
#define NR_PATHS	5

/* The forms in which a request can have its bytes. */
enum form { SEND_ZC, SENDMSG_ZC, VECTOR, NR_FORMS };

static const struct path paths[NR_PATHS] = {
	{ "UDP/IPv4", AF_INET, SOCK_DGRAM, 0, false },
	{ "UDP/IPv6", AF_INET6, SOCK_DGRAM, 0, false },
	{ "TCP/IPv4", AF_INET, SOCK_STREAM, 0, false },
	{ "TCP/IPv6", AF_INET6, SOCK_STREAM, 0, false },
	{ "vsock", AF_VSOCK, SOCK_STREAM, 0, false },
};

FIXTURE(kinds)
{
	const struct ring_kind *kind;
	struct io_uring ring;
	struct pair net;
	char *data;		/* BIG_LEN bytes, and registered buffer 0 */
	struct iovec iov[2];
	struct msghdr msg;
	unsigned int seq;	/* of the next notifier of GROUP */
};

RING_KINDS(kinds);

FIXTURE_SETUP(kinds)
{
	struct iovec iov = { .iov_len = BIG_LEN };

	self->kind = &variant->kind;
	self->net = (struct pair){ .tx = -1, .rx = -1 };
	self->data = map_pages(BIG_LEN);
	ASSERT_NE(NULL, self->data);
	fill_pattern(self->data, BIG_LEN, 42);
	iov.iov_base = self->data;
	ASSERT_EQ(0, kind_init(&self->ring, self->kind, 1, &iov));
	ASSERT_EQ(0, unregister_slots(&self->ring));
	ASSERT_EQ(0, register_merge_slots(&self->ring, self->kind->raw));
}

FIXTURE_TEARDOWN(kinds)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
	pair_close(&self->net);
}

static struct io_uring_sqe *prep_form(FIXTURE_DATA(kinds) *self, enum form form,
				      bool fixed, unsigned int slot,
				      unsigned int ioprio)
{
	ioprio |= fixed ? IORING_RECVSEND_FIXED_BUF : 0;
	self->iov[0] = (struct iovec){ self->data, 500 };
	self->iov[1] = (struct iovec){ self->data + 500, LEN - 500 };
	self->msg = (struct msghdr){ .msg_iov = self->iov, .msg_iovlen = 2 };
	if (form == SENDMSG_ZC)
		return prep_slot_sendmsg(&self->ring, self->net.tx, &self->msg,
					 slot, ioprio);
	if (form == SEND_ZC)
		return prep_slot_send(&self->ring, self->net.tx, self->data, LEN,
				      slot, ioprio);
	return prep_slot_send(&self->ring, self->net.tx, self->iov, 2, slot,
			      ioprio | IORING_SEND_VECTORIZED);
}

#define IN(_nr)								\
	TH_LOG("%s: form %u%s%s", path->name, (_nr) % NR_FORMS,		\
	       (_nr) / NR_FORMS & 1 ? ", registered" : "",		\
	       (_nr) / NR_FORMS & 2 ? ", IOSQE_ASYNC" : "")

/* One request, one CQE. */
static void one_by_one(struct __test_metadata *_metadata,
		       FIXTURE_DATA(kinds) *self, const struct path *path)
{
	unsigned int nr;

	for (nr = 0; nr < 4 * NR_FORMS; nr++) {
		struct io_uring_cqe cqe = {};
		struct io_uring_sqe *sqe;

		sqe = prep_form(self, nr % NR_FORMS, nr / NR_FORMS & 1, EACH, 0);
		sqe->user_data = REQ(nr);
		sqe->flags = nr / NR_FORMS & 2 ? IOSQE_ASYNC : 0;
		ASSERT_SUBMIT(&self->ring, 1);
		/* what a stream's receiver has not read may not be free */
		ASSERT_RECEIVED(&self->net, self->data, LEN) IN(nr);
		ASSERT_EQ(0, ring_next(&self->ring, &cqe)) IN(nr);
		ASSERT_EQ(REQ(nr), cqe.user_data) IN(nr);
		ASSERT_EQ(LEN, cqe.res) IN(nr);
		ASSERT_EQ(0, cqe.flags) IN(nr);
	}
	ASSERT_QUIET(&self->ring);
}

/* Requests up to the one with the flag: that one's CQE is the last. */
static void grouped(struct __test_metadata *_metadata,
		    FIXTURE_DATA(kinds) *self, const struct path *path)
{
	const unsigned int nr = 5;
	unsigned int way, i;

	for (way = 0; way < 4 * NR_FORMS; way++) {
		const bool async = way / NR_FORMS & 2;
		unsigned int seen = 0;

		for (i = 0; i < nr; i++) {
			struct io_uring_sqe *sqe;

			/* a message is read when it is submitted */
			sqe = prep_form(self, way % NR_FORMS, way / NR_FORMS & 1,
					GROUP, i == nr - 1 ? FLUSH : 0);
			sqe->user_data = REQ(i);
			sqe->flags = async ? IOSQE_ASYNC : 0;
		}
		ASSERT_SUBMIT(&self->ring, nr);
		for (i = 0; i < nr; i++)
			ASSERT_RECEIVED(&self->net, self->data, LEN) IN(way);
		for (i = 0; i < nr; i++) {
			struct io_uring_cqe cqe = {};
			unsigned int req;

			ASSERT_EQ(0, ring_next(&self->ring, &cqe)) IN(way);
			req = cqe.user_data - REQ(0);
			ASSERT_LT(req, nr) IN(way);
			ASSERT_EQ(0, seen & 1U << req) IN(way);
			seen |= 1U << req;
			/* of the others io-wq alone has no order */
			ASSERT_TRUE(req == i || (async && req < nr - 1 &&
						 i < nr - 1)) IN(way);
			ASSERT_EQ(LEN, cqe.res) IN(way);
			ASSERT_EQ(0, cqe.flags) IN(way);
		}
		self->seq++;
	}
	ASSERT_QUIET(&self->ring);
}

/* What nobody bears is a notification as ever, and its number counts all. */
static void separate(struct __test_metadata *_metadata,
		     FIXTURE_DATA(kinds) *self, const struct path *path)
{
	struct answers all;

	prep_form(self, SEND_ZC, false, GROUP, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_RECEIVED(&self->net, self->data, LEN) IN(0);
	ASSERT_CQE(&self->ring, REQ(0), LEN, 0);
	ASSERT_QUIET(&self->ring);
	prep_flush(&self->ring, 0, NR_SLOTS, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	TAKE(&all, 2);
	ASSERT_ANSWERED(&all, FLUSH_REQ, 1);
	ASSERT_LE(0, place_of(&all, TAG(GROUP), 0,
			      kind_flags(self->kind, self->seq))) IN(0);
	self->seq++;
}

/* All paths in turn. The last is missing if the kernel doesn't have it. */
static void on_paths(struct __test_metadata *_metadata,
		     FIXTURE_DATA(kinds) *self,
		     void (*test)(struct __test_metadata *_metadata,
				  FIXTURE_DATA(kinds) *self,
				  const struct path *path))
{
	unsigned int i;

	for (i = 0; i < NR_PATHS; i++) {
		int ret = path_open(&self->net, &paths[i], false);

		if (ret == -ENODEV && i == NR_PATHS - 1)
			SKIP(return, "no %s here, all others went well",
			     paths[i].name);
		ASSERT_EQ(0, ret);
		test(_metadata, self, &paths[i]);
		pair_close(&self->net);
	}
}

TEST_F(kinds, contract_13_one_cqe_for_one_request)
{
	on_paths(_metadata, self, one_by_one);
}

TEST_F(kinds, contract_13_last_of_a_group)
{
	on_paths(_metadata, self, grouped);
}

TEST_F(kinds, contract_13_not_flushed_by_a_request)
{
	on_paths(_metadata, self, separate);
}

TEST_F(kinds, contract_13_sequence_number_grows)
{
	ASSERT_EQ(0, path_open(&self->net, &paths[0], false));
	grouped(_metadata, self, &paths[0]);
	separate(_metadata, self, &paths[0]);
	grouped(_metadata, self, &paths[0]);
	separate(_metadata, self, &paths[0]);
}

/* Nine at once, of which each third is a notifier's last. */
TEST_F(merge, contract_13_each_third)
{
	struct answers all;
	unsigned int i;

	for (i = 0; i < 9; i++)
		SEND_SMALL(BY_THREE, 0)->user_data = REQ(i);
	ASSERT_SUBMIT(&self->ring, 9);
	TAKE(&all, 9);
	for (i = 0; i < 9; i++) {
		ASSERT_ANSWERED(&all, REQ(i), SMALL_LEN);
		ASSERT_GE(place_of(&all, REQ(i / 3 * 3 + 2), SMALL_LEN, 0),
			  place_of(&all, REQ(i), SMALL_LEN, 0));
		ASSERT_SMALL_RECEIVED();
	}
	/* a flag in front of the third takes its place */
	for (i = 0; i < 3; i++) {
		SEND_SMALL(BY_THREE, i == 1 ? FLUSH : 0)->user_data = REQ(i);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_MERGED(REQ(i), SMALL_LEN);
		ASSERT_SMALL_RECEIVED();
	}
	ASSERT_QUIET(&self->ring);
	ASSERT_FLUSH(&self->ring, BY_THREE, 1);
	ASSERT_NOTIF(&self->ring, TAG(BY_THREE), 4);
}

/* A ring of slots of both sorts: each keeps to its own. */
TEST_F(merge, contract_13_beside_slots_that_do_not_merge)
{
	struct answers all;

	SEND_SMALL(PLAIN, FLUSH);
	SEND_SMALL(EACH, 0)->user_data = REQ(1);
	SEND_SMALL(PLAIN, FLUSH)->user_data = REQ(2);
	SEND_SMALL(GROUP, FLUSH)->user_data = REQ(3);
	ASSERT_SUBMIT(&self->ring, 4);
	TAKE(&all, 6);
	ASSERT_NOTIFIED(&all, TAG(PLAIN), 0, REQ(0), SMALL_LEN);
	ASSERT_NOTIFIED(&all, TAG(PLAIN), 1, REQ(2), SMALL_LEN);
	ASSERT_ANSWERED(&all, REQ(1), SMALL_LEN);
	ASSERT_ANSWERED(&all, REQ(3), SMALL_LEN);
	ASSERT_QUIET(&self->ring);
}

/* Not before the memory of all of its notifier's requests is free. */
TEST_F(merge, contract_13_waits_for_the_memory_of_all)
{
	SEND_BIG(EACH, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_QUIET(&self->ring);
	ASSERT_BIG_RECEIVED();
	ASSERT_MERGED(REQ(0), BIG_LEN);

	/* of others than the bearer, too: it has no memory in use any more */
	SEND_BIG(GROUP, 0);
	SEND_SMALL(GROUP, 0)->user_data = REQ(1);
	SEND_SMALL(GROUP, FLUSH)->user_data = REQ(2);
	ASSERT_SUBMIT(&self->ring, 3);
	ASSERT_CQE(&self->ring, REQ(0), BIG_LEN, 0);
	ASSERT_CQE(&self->ring, REQ(1), SMALL_LEN, 0);
	ASSERT_QUIET(&self->ring);
	/* the next notifier of the slot waits for nothing of that */
	SEND_SMALL(GROUP, FLUSH)->user_data = REQ(3);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_MERGED(REQ(3), SMALL_LEN);
	ASSERT_QUIET(&self->ring);
	ASSERT_BIG_RECEIVED();
	ASSERT_MERGED(REQ(2), SMALL_LEN);
}

NOTIF_TEST_MAIN
