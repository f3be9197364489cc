// SPDX-License-Identifier: GPL-2.0
/*
 * Sockets in a map of BPF's: what their programs do with data that a slot sent,
 * and with a socket that BPF took before its owner had it.
 */
#include <stddef.h>
#include <sys/mount.h>

#include "fixture.h"
#include "sockmap.h"

#define CGROUPS		"/sys/fs/cgroup"
#define LEN		20000
#define NR_ROUNDS	50
#define NEW_BYTE	0xee

FIXTURE(sockmap)
{
	struct io_uring ring;
	struct pair net, behind;
	char *data, *want;	/* data is registered buffer 0 */
	int map;
};

FIXTURE_VARIANT(sockmap)
{
	unsigned int setup;
	unsigned int flags;
};

FIXTURE_VARIANT_ADD(sockmap, plain) {
	.setup = 0,
};

FIXTURE_VARIANT_ADD(sockmap, registered) {
	.setup = RING_DEFER, .flags = IORING_RECVSEND_FIXED_BUF,
};

FIXTURE_SETUP(sockmap)
{
	struct iovec iov = { .iov_len = LEN };

	self->net.tx = -1;
	self->net.rx = -1;
	self->map = sockmap_create(2);
	if (self->map == -EOPNOTSUPP)
		SKIP(return, "the kernel has no maps of sockets");
	ASSERT_LE(0, self->map);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	self->data = map_pages(LEN);
	ASSERT_NE(NULL, self->data);
	self->want = malloc(LEN);
	iov.iov_base = self->data;
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	ASSERT_EQ(0, register_slots(&self->ring, 1));
}

FIXTURE_TEARDOWN(sockmap)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
	pair_close(&self->net);
	close(self->map);
}

/*
 * What arrives at a socket goes on through another one, without a program that
 * would have read it: bytes that were the sender's until a moment ago.
 */
TEST_F(sockmap, path_redirected)
{
	const struct bpf_insn redirect[] = {
		SET_MAP(BPF_REG_2, self->map),
		SET_MAP_REST(),
		SET(BPF_REG_3, 1),
		SET(BPF_REG_4, 0),
		CALL(BPF_FUNC_sk_redirect_map),
		EXIT(),
	};
	unsigned int i;

	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_STREAM);
	OPEN_PAIR(&self->behind, NET_LO, AF_INET, SOCK_STREAM);
	ASSERT_EQ(0, prog_attach(self->map, BPF_PROG_TYPE_SK_SKB,
				 BPF_SK_SKB_STREAM_VERDICT, redirect,
				 ARRAY_SIZE(redirect)));
	ASSERT_EQ(0, sockmap_put(self->map, 0, self->net.rx));
	ASSERT_EQ(0, sockmap_put(self->map, 1, self->behind.tx));
	for (i = 0; i < NR_ROUNDS; i++) {
		fill_pattern(self->data, LEN, i);
		memcpy(self->want, self->data, LEN);
		prep_slot_send(&self->ring, self->net.tx, self->data, LEN, 0,
			       IORING_RECVSEND_NOTIF_FLUSH | variant->flags);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), LEN, 0);
		ASSERT_NOTIF(&self->ring, TAG(0), i);
		memset(self->data, NEW_BYTE, LEN);
		ASSERT_RECEIVED(&self->behind, self->want, LEN);
	}
	pair_close(&self->behind);
}

/* A cgroup that all are in; -errno */
static int root_cgroup(void)
{
	int fd;

	if (mount("none", CGROUPS, "cgroup2", 0, NULL) && errno != EBUSY)
		return -errno;
	fd = open(CGROUPS, O_RDONLY | O_DIRECTORY);
	return fd < 0 ? -errno : fd;
}

/*
 * BPF puts a connection into the map as it is established: before it is accepted,
 * when it has no socket that could be marked as one that must copy. It copies all
 * the same, and says so.
 */
TEST_F(sockmap, path_taken_before_it_was_accepted)
{
	const struct bpf_insn take[] = {
		INSN(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1,
		     offsetof(struct bpf_sock_ops, op), 0),
		INSN(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_2, 0, 7,
		     BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB),
		INSN(BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, -4, 0),
		SET_MAP(BPF_REG_2, self->map),
		SET_MAP_REST(),
		COPY(BPF_REG_3, BPF_REG_10),
		ADD(BPF_REG_3, -4),
		SET(BPF_REG_4, 0),
		CALL(BPF_FUNC_sock_map_update),
		SET(BPF_REG_0, 1),
		EXIT(),
	};
	int cgroup = root_cgroup();
	struct io_uring_cqe cqe;
	struct pair back;

	if (cgroup < 0)
		SKIP(return, "no cgroups here: %s", strerror(-cgroup));
	ASSERT_EQ(0, prog_attach(cgroup, BPF_PROG_TYPE_SOCK_OPS,
				 BPF_CGROUP_SOCK_OPS, take, ARRAY_SIZE(take)));
	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_STREAM);
	EXPECT_EQ(0, prog_detach(cgroup, BPF_CGROUP_SOCK_OPS));
	close(cgroup);
	ASSERT_EQ(0, sockmap_get(self->map, 0));
	back = (struct pair){ .tx = self->net.rx, .rx = self->net.tx };
	fill_pattern(self->data, LEN, 9);
	memcpy(self->want, self->data, LEN);
	prep_slot_send(&self->ring, back.tx, self->data, LEN, 0,
		       IORING_RECVSEND_NOTIF_FLUSH | variant->flags |
		       IORING_SEND_ZC_REPORT_USAGE);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_EQ(0, ring_next(&self->ring, &cqe));
	ASSERT_EQ(REQ(0), cqe.user_data);
	ASSERT_EQ(0, cqe.flags);
	ASSERT_EQ(LEN, cqe.res);
	ASSERT_CQE(&self->ring, TAG(0), IORING_NOTIF_USAGE_ZC_COPIED,
		   notif_flags(0));
	memset(self->data, NEW_BYTE, LEN);
	ASSERT_RECEIVED(&back, self->want, LEN);
}

NOTIF_TEST_MAIN
