// SPDX-License-Identifier: GPL-2.0
/*
 * Slots that fall back to copying, that copy short segments, and requests of many
 * datagrams, on every kind of ring: merged and with a notification.
 */
#include "dgrams.h"
#include "paths.h"
#include "rings.h"

#define NR		20	/* datagrams */
#define SHORT		256

enum { MERGING, NOTIFYING, NR_KIND_SLOTS };

static const struct io_uring_notification_slot kind_slots[NR_KIND_SLOTS] = {
	[MERGING] = { .tag = TAG(MERGING), .flush_after = 1, .copy_below = SHORT,
		      .flags = IORING_NOTIF_SLOT_MERGE |
			       IORING_NOTIF_SLOT_SEGMENTS |
			       IORING_NOTIF_SLOT_FALLBACK },
	[NOTIFYING] = { .tag = TAG(NOTIFYING), .flush_after = 1,
			.copy_below = SHORT,
			.flags = IORING_NOTIF_SLOT_SEGMENTS |
				 IORING_NOTIF_SLOT_FALLBACK },
};

FIXTURE(every)
{
	const struct ring_kind *kind;
	struct io_uring ring;
	char *data;		/* ALL_LEN bytes, and registered buffer 0 */
	struct io_uring_dgram dgrams[NR];
	unsigned int seq;	/* of NOTIFYING */
};

RING_KINDS(every);

FIXTURE_SETUP(every)
{
	struct iovec iov = { .iov_len = ALL_LEN };

	self->kind = &variant->kind;
	self->data = map_pages(ALL_LEN);
	ASSERT_NE(NULL, self->data);
	fill_pattern(self->data, ALL_LEN, 92);
	iov.iov_base = self->data;
	ASSERT_EQ(0, kind_init(&self->ring, self->kind, 1, &iov));
	ASSERT_EQ(0, unregister_slots(&self->ring));
	ASSERT_EQ(0, register_slots_as(&self->ring, kind_slots, NR_KIND_SLOTS,
				       self->kind->raw ?
				       IORING_NOTIF_REG_RAW_SEQ : 0));
}

FIXTURE_TEARDOWN(every)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
}

/* What @nr says in bits: the slot, whether registered, whether by io-wq. */
#define NR_WAYS		8
#define SLOT_OF(_nr)	((_nr) & 1)
#define IOPRIO_OF(_nr)	((_nr) & 2 ? IORING_RECVSEND_FIXED_BUF : 0)
#define FLAGS_OF(_nr)	((_nr) & 4 ? IOSQE_ASYNC : 0)

/* One CQE of the request, and a notification unless that CQE is the notification. */
static void assert_answered(struct __test_metadata *_metadata,
			    FIXTURE_DATA(every) *self, unsigned int nr, int res)
{
	ASSERT_CQE(&self->ring, REQ(0), res, 0);
	if (SLOT_OF(nr) == NOTIFYING)
		ASSERT_CQE(&self->ring, TAG(NOTIFYING), 0,
			   kind_flags(self->kind, self->seq++));
}

TEST_F(every, contract_14_every_kind_of_ring)
{
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };
	const unsigned int len = 3000;
	unsigned int type, nr;
	struct pair net;
	int fds[2];

	for (type = 0; type < ARRAY_SIZE(types); type++) {
		ASSERT_EQ(0, socketpair(AF_UNIX, types[type], 0, fds));
		net = (struct pair){ .tx = fds[0], .rx = fds[1] };
		for (nr = 0; nr < NR_WAYS; nr++) {
			prep_slot_send(&self->ring, net.tx, self->data, len,
				       SLOT_OF(nr), IOPRIO_OF(nr))->flags =
				FLAGS_OF(nr);
			ASSERT_SUBMIT(&self->ring, 1);
			ASSERT_RECEIVED(&net, self->data, len);
			assert_answered(_metadata, self, nr, len);
		}
		pair_close(&net);
	}
}

TEST_F(every, contract_15_every_kind_of_ring)
{
	static const struct path paths[] = {
		{ "UDP/IPv6", AF_INET6, SOCK_DGRAM, 0, false },
		{ "TCP/IPv4", AF_INET, SOCK_STREAM, 0, false },
		{ "vsock", AF_VSOCK, SOCK_STREAM, 0, false },
	};
	struct iovec iov[3] = {
		{ self->data, 24 }, { self->data + 24, 1000 },
		{ self->data + 1024, 24 },
	};
	const struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 3 };
	struct io_uring_sqe *sqe;
	unsigned int path, nr;
	struct pair net;

	for (path = 0; path < ARRAY_SIZE(paths); path++) {
		int ret = path_open(&net, &paths[path], false);

		if (ret == -ENODEV && paths[path].family == AF_VSOCK)
			SKIP(return, "no vsock here, all others went well");
		ASSERT_EQ(0, ret);
		for (nr = 0; nr < 2 * NR_WAYS; nr++) {
			if (nr < NR_WAYS)
				sqe = prep_slot_send(&self->ring, net.tx, iov, 3,
						     SLOT_OF(nr), IOPRIO_OF(nr) |
						     IORING_SEND_VECTORIZED);
			else
				sqe = prep_slot_sendmsg(&self->ring, net.tx, &msg,
							SLOT_OF(nr),
							IOPRIO_OF(nr));
			sqe->flags = FLAGS_OF(nr);
			ASSERT_SUBMIT(&self->ring, 1);
			ASSERT_RECEIVED(&net, self->data, 1048);
			assert_answered(_metadata, self, nr, 1048);
		}
		pair_close(&net);
	}
}

TEST_F(every, contract_16_every_kind_of_ring)
{
	struct pair net, local;
	unsigned int nr, i;
	int fds[2];

	OPEN_PAIR(&net, NET_LO, AF_INET, SOCK_DGRAM);
	/* one that can't send without copying as well, with room for some */
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
	local = (struct pair){ .tx = fds[0], .rx = fds[1] };
	for (nr = 0; nr < 2 * NR_WAYS; nr++) {
		const bool is_local = nr >= NR_WAYS;
		const unsigned int count = is_local ? 8 : NR;
		struct pair *pair = is_local ? &local : &net;

		fill_dgrams(self->dgrams, self->data, count);
		for (i = 0; i < count && !is_local; i += 2) {
			self->dgrams[i].name = (unsigned long)&net.to;
			self->dgrams[i].name_len = net.to_len;
		}
		prep_many(&self->ring, pair->tx, self->dgrams, count,
			  SLOT_OF(nr), IOPRIO_OF(nr))->flags = FLAGS_OF(nr);
		ASSERT_SUBMIT(&self->ring, 1);
		assert_answered(_metadata, self, nr, count);
		ASSERT_DGRAMS_RECEIVED(pair->rx, self->dgrams, count);
		ASSERT_NO_MORE(pair->rx);
	}
	pair_close(&net);
	pair_close(&local);
}

NOTIF_TEST_MAIN
