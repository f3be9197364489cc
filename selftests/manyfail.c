// SPDX-License-Identifier: GPL-2.0
/*
 * IORING_SEND_ZC_MANY that fails: in its preparation, with the first datagram, or
 * after some of them.
 */
#include "many.h"
#include "paths.h"

#define NR		100
#define KERNEL_ADDR	0xffff888000001000ULL
#define UNMAPPED	8ULL

static struct sockaddr_storage unknown_family = { .ss_family = AF_MAX };

/* What is wrong with a request; those of ENTRY_ are about one of its datagrams. */
enum bad {
	NONE_AT_ALL, ONE_TOO_MANY, FAR_TOO_MANY, OTHER_SIGN, VECTORIZED, ADDR2,
	ADDR_LEN, SENDMSG, NO_SLOT, BAD_SLOT, ARRAY_NULL, ARRAY_UNMAPPED,
	ARRAY_KERNEL, ARRAY_CUT,
	ENTRY_RESV, ENTRY_RESV_HIGH, ENTRY_NAME_ALONE, ENTRY_NAME_LEN_ALONE,
	ENTRY_NAME_LONG, ENTRY_NAME_LONGEST, ENTRY_NAME_UNMAPPED,
	ENTRY_NAME_KERNEL, ENTRY_DATA_KERNEL, ENTRY_DATA_WRAPS, NR_BAD,
};

static const struct {
	const char *what;
	int res;
} bads[NR_BAD] = {
	[NONE_AT_ALL] = { "no datagram", -EINVAL },
	[ONE_TOO_MANY] = { "257 datagrams", -EINVAL },
	[FAR_TOO_MANY] = { "2^31 - 1 datagrams", -EINVAL },
	[OTHER_SIGN] = { "2^32 - 1 datagrams", -EINVAL },
	[VECTORIZED] = { "IORING_SEND_VECTORIZED", -EINVAL },
	[ADDR2] = { "addr2", -EINVAL },
	[ADDR_LEN] = { "addr_len", -EINVAL },
	[SENDMSG] = { "SENDMSG_ZC", -EINVAL },
	[NO_SLOT] = { "no slot", -EINVAL },
	[BAD_SLOT] = { "no such slot", -EINVAL },
	[ARRAY_NULL] = { "no array", -EFAULT },
	[ARRAY_UNMAPPED] = { "an array that isn't there", -EFAULT },
	[ARRAY_KERNEL] = { "the kernel's array", -EFAULT },
	[ARRAY_CUT] = { "an array whose end isn't there", -EFAULT },
	[ENTRY_RESV] = { "resv", -EINVAL },
	[ENTRY_RESV_HIGH] = { "bit 63 of resv", -EINVAL },
	[ENTRY_NAME_ALONE] = { "name without name_len", -EINVAL },
	[ENTRY_NAME_LEN_ALONE] = { "name_len without name", -EINVAL },
	[ENTRY_NAME_LONG] = { "a name of 29 bytes", -EINVAL },
	[ENTRY_NAME_LONGEST] = { "a name of 65535 bytes", -EINVAL },
	[ENTRY_NAME_UNMAPPED] = { "a name that isn't there", -EFAULT },
	[ENTRY_NAME_KERNEL] = { "the kernel's name", -EFAULT },
	[ENTRY_DATA_KERNEL] = { "the kernel's data", -EFAULT },
	[ENTRY_DATA_WRAPS] = { "data up to the end of memory", -EFAULT },
};

static void spoil_entry(struct io_uring_dgram *dgram, enum bad bad, void *name)
{
	if (bad == ENTRY_RESV || bad == ENTRY_RESV_HIGH)
		dgram->resv = bad == ENTRY_RESV ? 1 : 1ULL << 63;
	if (bad >= ENTRY_NAME_LEN_ALONE && bad <= ENTRY_NAME_KERNEL)
		dgram->name_len = bad == ENTRY_NAME_LONG ? 29 :
				  bad == ENTRY_NAME_LONGEST ? 0xffff : 16;
	if (bad == ENTRY_NAME_ALONE || bad == ENTRY_NAME_LONG ||
	    bad == ENTRY_NAME_LONGEST)
		dgram->name = (unsigned long)name;
	if (bad == ENTRY_NAME_UNMAPPED || bad == ENTRY_NAME_KERNEL)
		dgram->name = bad == ENTRY_NAME_UNMAPPED ? UNMAPPED : KERNEL_ADDR;
	if (bad == ENTRY_DATA_KERNEL)
		dgram->addr = KERNEL_ADDR;
	if (bad == ENTRY_DATA_WRAPS) {
		dgram->addr = -4096ULL;
		dgram->len = ~0U;
	}
}

static void spoil_sqe(struct io_uring_sqe *sqe, enum bad bad)
{
	if (bad == NONE_AT_ALL)
		sqe->len = 0;
	if (bad == ONE_TOO_MANY)
		sqe->len = MAX_MANY + 1;
	if (bad == FAR_TOO_MANY || bad == OTHER_SIGN)
		sqe->len = bad == FAR_TOO_MANY ? 0x7fffffff : ~0U;
	if (bad == VECTORIZED)
		sqe->ioprio |= IORING_SEND_VECTORIZED;
	if (bad == ADDR2)
		sqe->addr2 = UNMAPPED;
	if (bad == ADDR_LEN)
		sqe->addr_len = 16;
	if (bad == SENDMSG)
		sqe->opcode = IORING_OP_SENDMSG_ZC;
	if (bad == NO_SLOT)
		sqe->ioprio = IORING_SEND_ZC_MANY;
	if (bad == BAD_SLOT)
		sqe->notification_idx = NR_SLOTS;
	if (bad == ARRAY_NULL)
		sqe->addr = 0;
	if (bad == ARRAY_UNMAPPED || bad == ARRAY_KERNEL)
		sqe->addr = bad == ARRAY_UNMAPPED ? UNMAPPED : KERNEL_ADDR;
}

/* The array where its last byte is the last one that is mapped. */
static struct io_uring_dgram *at_the_end(char *pages, size_t cut)
{
	return (void *)(pages + 4 * page_size() -
			MAX_MANY * sizeof(struct io_uring_dgram) + cut);
}

/* Refused in its preparation, so never attached, and nothing is sent. */
TEST_F(many, contract_16_refused)
{
	char *pages = map_pages(5 * page_size());
	const unsigned int nr = MAX_MANY;
	unsigned int bad, last;

	ASSERT_NE(NULL, pages);
	ASSERT_EQ(0, munmap(pages + 4 * page_size(), page_size()));
	for (bad = 0; bad < NR_BAD; bad++)
		for (last = 0; last < 2; last++) {
			struct io_uring_dgram *dgrams = at_the_end(pages, 0);
			struct io_uring_cqe cqe = {};
			struct io_uring_sqe *sqe;

			if (bad >= ENTRY_DATA_KERNEL && variant->fixed)
				continue;
			fill_dgrams(dgrams, self->data, nr);
			spoil_entry(&dgrams[last ? nr - 1 : 0], bad,
				    &unknown_family);
			sqe = MANY(nr, PLAIN, FLUSH);
			sqe->addr = (unsigned long)(bad == ARRAY_CUT ?
				    at_the_end(pages, 8) : dgrams);
			spoil_sqe(sqe, bad);
			ASSERT_SUBMIT(&self->ring, 1);
			ASSERT_EQ(0, ring_next(&self->ring, &cqe));
			ASSERT_EQ(bads[bad].res, cqe.res)
				TH_LOG("%s", bads[bad].what);
			/* without a slot it is as what SEND_ZC refuses else */
			if (bad == NO_SLOT && cqe.flags == IORING_CQE_F_MORE) {
				ASSERT_CQE(&self->ring, REQ(0), 0,
					   IORING_CQE_F_NOTIF);
				continue;
			}
			ASSERT_EQ(0, cqe.flags)
				TH_LOG("%s", bads[bad].what);
			ASSERT_TRUE(ring_empty(&self->ring))
				TH_LOG("%s", bads[bad].what);
		}
	ASSERT_QUIET(&self->ring);
	ASSERT_NO_MORE(self->net.rx);
	/* and what ends where memory ends is as good as any */
	fill_dgrams(at_the_end(pages, 0), self->data, nr);
	MANY(nr, PLAIN, FLUSH)->addr = (unsigned long)at_the_end(pages, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), nr, 0);
	ASSERT_NOTIF(&self->ring, TAG(PLAIN), 0);
	ASSERT_DGRAMS_RECEIVED(self->net.rx, at_the_end(pages, 0), nr);
}

/* How one of the datagrams fails as it is sent. */
static const struct failure {
	const char *what;
	int res;
	__u64 addr;
	unsigned int len, gso_size;
	bool named;
} failures[] = {
	{ "too long", -EMSGSIZE, .len = 70000 },
	{ "memory that isn't there, or not in the buffer", -EFAULT,
	  .addr = UNMAPPED, .len = 100 },
	{ "a name of no family", -EAFNOSUPPORT, .named = true, .len = 100 },
	{ "more segments than there can be", -EINVAL, .len = MAX_DGRAM,
	  .gso_size = 1 },
};

static void fail_entry(struct io_uring_dgram *dgram, const struct failure *f)
{
	dgram->addr = f->addr ?: dgram->addr;
	dgram->len = f->len;
	dgram->gso_size = f->gso_size;
	if (!f->named)
		return;
	dgram->name = (unsigned long)&unknown_family;
	dgram->name_len = sizeof(struct sockaddr_in6);
}

/*
 * Number @at fails: the result is how many went before it, or its error if none;
 * what comes after it isn't sent, and a chain breaks.
 */
static void assert_fails(struct __test_metadata *_metadata,
			 FIXTURE_DATA(many) *self,
			 const FIXTURE_VARIANT(many) *variant,
			 const struct failure *f, unsigned int at,
			 unsigned int flags, unsigned int slot, unsigned int seq)
{
	/* IPv6 says less of what it doesn't know */
	const int err = f->named && variant->family == AF_INET6 ? -EINVAL : f->res;
	const bool quiet = flags & IOSQE_CQE_SKIP_SUCCESS;
	const int res = at ? (int)at : err;
	struct io_uring_sqe *sqe;
	struct answers all;

	fill_dgrams(self->dgrams, self->data, NR);
	fail_entry(&self->dgrams[at], f);
	MANY(NR, slot, FLUSH)->flags = IOSQE_IO_LINK | flags;
	sqe = MANY(NR, slot, FLUSH);
	sqe->user_data = REQ(1);
	ASSERT_SUBMIT(&self->ring, 2);
	TAKE(&all, (slot == MERGED ? 2U : 4U) - quiet);
	ASSERT_ANSWERED(&all, REQ(0), res)
		TH_LOG("%s: datagram %u", f->what, at);
	/* mainline: what follows is as quiet as what failed would have been */
	if (!quiet)
		ASSERT_ANSWERED(&all, REQ(1), -ECANCELED)
			TH_LOG("%s: datagram %u", f->what, at);
	if (slot != MERGED) {
		ASSERT_HAS_NOTIF(&all, TAG(slot), seq);
		ASSERT_HAS_NOTIF(&all, TAG(slot), seq + 1);
	}
	ASSERT_DGRAMS_RECEIVED(self->net.rx, self->dgrams, at);
	ASSERT_NO_MORE(self->net.rx);
}

TEST_F(many, contract_16_fails_after_some)
{
	static const unsigned int places[] = { 0, 1, 63, 64, NR - 1 };
	unsigned int f, p, seq = 0;

	for (f = 0; f < ARRAY_SIZE(failures); f++)
		for (p = 0; p < ARRAY_SIZE(places); p++) {
			assert_fails(_metadata, self, variant, &failures[f],
				     places[p], 0, PLAIN, seq);
			assert_fails(_metadata, self, variant, &failures[f],
				     places[p], IOSQE_ASYNC, PLAIN, seq + 2);
			assert_fails(_metadata, self, variant, &failures[f],
				     places[p], 0, MERGED, 0);
			assert_fails(_metadata, self, variant, &failures[f],
				     places[p], IOSQE_CQE_SKIP_SUCCESS, MERGED, 0);
			seq += 4;
		}
	ASSERT_QUIET(&self->ring);
}

/* One to socket @fd, from registered buffer @buf; it fails as a whole. */
static void assert_fails_whole(struct __test_metadata *_metadata,
			       FIXTURE_DATA(many) *self, int fd, int buf,
			       int res, unsigned int seq)
{
	const unsigned int ioprio = buf < 0 ? 0 : IORING_RECVSEND_FIXED_BUF;
	struct io_uring_sqe *sqe;
	struct answers all;
	unsigned int way;

	/* with a notification, merged, and where success has no CQE */
	for (way = 0; way < 6; way++) {
		const bool merged = way % 3;

		sqe = prep_many(&self->ring, fd, self->dgrams, NR,
				merged ? MERGED : PLAIN, FLUSH | ioprio);
		sqe->buf_index = buf < 0 ? 0 : buf;
		sqe->flags = IOSQE_IO_LINK |
			     (way % 3 == 2 ? IOSQE_CQE_SKIP_SUCCESS : 0) |
			     (way / 3 ? IOSQE_ASYNC : 0);
		prep_slot_send(&self->ring, self->net.tx, self->data, 1, MERGED,
			       0)->user_data = REQ(1);
		ASSERT_SUBMIT(&self->ring, 2);
		/* mainline: what follows is as quiet as what failed would have been */
		TAKE(&all, way % 3 == 1 ? 2U : way % 3 == 2 ? 1U : 3U);
		ASSERT_ANSWERED(&all, REQ(0), res)
			TH_LOG("way %u: %d", way, res);
		if (way % 3 < 2)
			ASSERT_ANSWERED(&all, REQ(1), -ECANCELED)
				TH_LOG("way %u: %d", way, res);
		if (!merged)
			ASSERT_HAS_NOTIF(&all, TAG(PLAIN), seq++);
	}
	ASSERT_QUIET(&self->ring);
	ASSERT_NO_MORE(self->net.rx);
}

/* The rest of what a request can meet: once attached, its notifier answers. */
TEST_F(many, contract_16_fails_as_a_whole)
{
	struct pair tcp, unconnected;

	OPEN_PAIR(&tcp, NET_LO, variant->family, SOCK_STREAM);
	OPEN_PAIR(&unconnected, NET_LO, variant->family, SOCK_DGRAM,
		  .unconnected = true);
	fill_dgrams(self->dgrams, self->data, NR);
	assert_fails_whole(_metadata, self, -1, -1, -EBADF, 0);
	assert_fails_whole(_metadata, self, tcp.tx, -1, -EOPNOTSUPP, 2);
	assert_fails_whole(_metadata, self, unconnected.tx, -1, -EDESTADDRREQ, 4);
	/* no such registered buffer */
	assert_fails_whole(_metadata, self, self->net.tx, 7, -EFAULT, 6);
	/* the buffer is there, but not what is sent */
	self->dgrams[0].addr = (unsigned long)self->dgrams;
	assert_fails_whole(_metadata, self, self->net.tx, 0, -EFAULT, 8);
	pair_close(&tcp);
	pair_close(&unconnected);
}

/* One that can't send without copying, and a slot that doesn't ask for that. */
TEST_F(many, contract_16_refused_by_the_socket)
{
	int fds[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
	fill_dgrams(self->dgrams, self->data, NR);
	MANY(NR, PLAIN, FLUSH)->fd = fds[0];
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), -EOPNOTSUPP, 0);
	ASSERT_NOTIF(&self->ring, TAG(PLAIN), 0);
	ASSERT_NO_MORE(fds[1]);
	close(fds[0]);
	close(fds[1]);
}

/* A socket that has no segments sends none that are to be cut into them. */
TEST_F(many, contract_16_segments_are_for_udp)
{
	unsigned int at;
	int fds[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
	for (at = 0; at < 2; at++) {
		fill_dgrams(self->dgrams, self->data, NR);
		self->dgrams[at].gso_size = 100;
		MANY(NR, MERGED, 0)->fd = fds[0];
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), at ? (int)at : -EOPNOTSUPP, 0);
		ASSERT_DGRAMS_RECEIVED(fds[1], self->dgrams, at);
		ASSERT_NO_MORE(fds[1]);
	}
	close(fds[0]);
	close(fds[1]);
}

NOTIF_TEST_MAIN
