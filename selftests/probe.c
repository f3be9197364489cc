// SPDX-License-Identifier: GPL-2.0
/*
 * TCP that probes for the path's MTU, which it does with a packet made of others
 * that wait: every byte arrives although its buffer is written again as its
 * notification is seen, and the receiver reads only then.
 */
#include "errqueue.h"

#define NR_BUFS		64
#define BUF_LEN		16384
#define DATA_LEN	(NR_BUFS * BUF_LEN)
#define NEW_BYTE	0xee

FIXTURE(probe)
{
	struct io_uring ring;
	struct pair net;
	char *data, *want;
	bool over[NR_BUFS];
	unsigned int nr_over;
};

FIXTURE_VARIANT(probe)
{
	unsigned int setup;
	enum net_link link;
	bool fixed;	/* data is registered buffer 0 */
};

#define VARIANTS(name, _link)						\
	FIXTURE_VARIANT_ADD(probe, name##_plain) {			\
		.setup = 0, .link = _link				\
	};								\
	FIXTURE_VARIANT_ADD(probe, name##_fixed) {			\
		.setup = RING_DEFER, .link = _link, .fixed = true	\
	}

VARIANTS(lo, NET_LO);
VARIANTS(veth, NET_VETH);
VARIANTS(nic, NET_NIC);

/* tcp_mtu_probing of a network namespace, or ours: set it, return what it was. */
static int set_probing(const char *ns, int value)
{
	static const char name[] = "/proc/sys/net/ipv4/tcp_mtu_probing";
	int here = open("/proc/self/ns/net", O_RDONLY), there = -1, was;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/run/netns/%s", ns ?: "");
	if (ns)
		there = open(path, O_RDONLY);
	if (ns && (there < 0 || setns(there, CLONE_NEWNET)))
		return -ENODEV;
	was = number_in(name);
	file = fopen(name, "w");
	if (file && fprintf(file, "%d\n", value) < 0)
		was = -EIO;
	if (!file || fclose(file))
		was = -EIO;
	if (ns && setns(here, CLONE_NEWNET))
		abort();
	close(there);
	close(here);
	return was;
}

/* Only a connection that is made while the sysctl says so probes. */
FIXTURE_SETUP(probe)
{
	const char *ns = net_links[variant->link].ns_tx;
	struct iovec iov = { .iov_len = DATA_LEN };
	int was, ret;

	OPEN_PAIR(&self->net, variant->link, AF_INET, SOCK_STREAM);
	pair_close(&self->net);
	was = set_probing(ns, 2);
	ASSERT_LE(0, was);
	ret = pair_open(&self->net, variant->link, AF_INET, SOCK_STREAM,
			(struct pair_opts){});
	ASSERT_EQ(2, set_probing(ns, was));
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	self->data = map_pages(DATA_LEN);
	ASSERT_NE(NULL, self->data);
	self->want = malloc(DATA_LEN);
	fill_pattern(self->data, DATA_LEN, 25);
	memcpy(self->want, self->data, DATA_LEN);
	iov.iov_base = self->data;
	if (variant->fixed)
		ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
}

FIXTURE_TEARDOWN(probe)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
	pair_close(&self->net);
}

/* The buffer's notification is seen: write it. */
#define BUFFER_OVER(_nr) do {						\
	unsigned int __nr = (_nr);					\
									\
	ASSERT_GT(NR_BUFS, __nr);					\
	ASSERT_FALSE(self->over[__nr]);					\
	self->over[__nr] = true;					\
	self->nr_over++;						\
	memset(self->data + __nr * BUF_LEN, NEW_BYTE, BUF_LEN);		\
} while (0)

/* All notifications have been seen, and every byte is what was sent. */
#define ASSERT_EVERY_BYTE() do {					\
	ASSERT_EQ(NR_BUFS, self->nr_over);				\
	ASSERT_RECEIVED(&self->net, self->want, DATA_LEN);		\
} while (0)

TEST_F(probe, contract_03_mtu_probe)
{
	const struct io_uring_notification_slot slot = {
		.tag = TAG(0), .flush_after = 1,
	};
	struct io_uring_cqe cqe;
	unsigned int i;

	ASSERT_EQ(0, register_slots_as(&self->ring, &slot, 1, 0));
	for (i = 0; i < NR_BUFS; i++)
		prep_slot_send(&self->ring, self->net.tx,
			       self->data + i * BUF_LEN, BUF_LEN, 0,
			       variant->fixed ? IORING_RECVSEND_FIXED_BUF : 0);
	ASSERT_SUBMIT(&self->ring, NR_BUFS);
	for (i = 0; i < 2 * NR_BUFS; i++) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe))
			TH_LOG("lost: after %u of %u CQEs", i, 2 * NR_BUFS);
		if (cqe.user_data == TAG(0))
			BUFFER_OVER(notif_seq(&cqe));
		else
			ASSERT_EQ(BUF_LEN, cqe.res);
	}
	ASSERT_EVERY_BYTE();
}

TEST_F(probe, contract_11_send_zc_mtu_probe)
{
	struct io_uring_cqe cqe;
	unsigned int i;

	for (i = 0; i < NR_BUFS; i++) {
		struct io_uring_sqe *sqe = ring_sqe(&self->ring);

		io_uring_prep_sendzc(sqe, self->net.tx, self->data + i * BUF_LEN,
				     BUF_LEN, MSG_WAITALL, variant->fixed ?
				     IORING_RECVSEND_FIXED_BUF : 0);
		sqe->user_data = REQ(i);
	}
	ASSERT_SUBMIT(&self->ring, NR_BUFS);
	for (i = 0; i < 2 * NR_BUFS; i++) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe))
			TH_LOG("lost: after %u of %u CQEs", i, 2 * NR_BUFS);
		if (cqe.flags & IORING_CQE_F_NOTIF)
			BUFFER_OVER(cqe.user_data - REQ(0));
		else
			ASSERT_EQ(BUF_LEN, cqe.res);
	}
	ASSERT_EVERY_BYTE();
}

TEST_F(probe, contract_11_msg_zerocopy_mtu_probe)
{
	unsigned int first, last, i;

	ASSERT_EQ(0, setsockopt_int(self->net.tx, SOL_SOCKET, SO_ZEROCOPY, 1));
	for (i = 0; i < NR_BUFS; i++)
		ASSERT_EQ(BUF_LEN, send(self->net.tx, self->data + i * BUF_LEN,
					BUF_LEN, MSG_ZEROCOPY));
	while (self->nr_over < NR_BUFS) {
		ASSERT_EQ(0, next_range(self->net.tx, &first, &last));
		ASSERT_LE(first, last);
		for (i = first; i <= last; i++)
			BUFFER_OVER(i);
	}
	ASSERT_EVERY_BYTE();
}

NOTIF_TEST_MAIN
