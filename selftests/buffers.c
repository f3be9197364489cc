// SPDX-License-Identifier: GPL-2.0
/* Registered, plain and vectored buffers, and notifiers that have them all. */
#include "fixture.h"

#define DATA_LEN	(64 << 10)
#define NR_BUFS		4
#define BUF_LEN		(DATA_LEN / NR_BUFS)

FIXTURE(buffers)
{
	struct io_uring ring;
	struct pair net;
	char *data;
};

FIXTURE_VARIANT(buffers)
{
	unsigned int setup;
	enum net_link link;
};

#define BUFFERS_VARIANTS(name, _link)					\
	FIXTURE_VARIANT_ADD(buffers, name##_plain) {			\
		.setup = 0, .link = _link				\
	};								\
	FIXTURE_VARIANT_ADD(buffers, name##_defer) {			\
		.setup = RING_DEFER, .link = _link			\
	}

BUFFERS_VARIANTS(lo, NET_LO);
BUFFERS_VARIANTS(veth, NET_VETH);
BUFFERS_VARIANTS(nic, NET_NIC);

/* The data are NR_BUFS registered buffers, that can be sent as plain ones too. */
FIXTURE_SETUP(buffers)
{
	struct iovec iov[NR_BUFS];
	unsigned int i;

	OPEN_PAIR(&self->net, variant->link, AF_INET, SOCK_STREAM);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	self->data = mmap(NULL, DATA_LEN, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->data);
	fill_pattern(self->data, DATA_LEN, 4);
	for (i = 0; i < NR_BUFS; i++)
		iov[i] = (struct iovec){ self->data + i * BUF_LEN, BUF_LEN };
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, iov, NR_BUFS));
	ASSERT_EQ(0, register_slots(&self->ring, 2));
}

FIXTURE_TEARDOWN(buffers)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
	pair_close(&self->net);
}

/* Send a part of the data from the registered buffer that it is in. */
static struct io_uring_sqe *prep_fixed(FIXTURE_DATA(buffers) *self,
				       unsigned int off, unsigned int len,
				       unsigned int ioprio)
{
	struct io_uring_sqe *sqe;

	sqe = prep_slot_send(&self->ring, self->net.tx, self->data + off, len, 0,
			     ioprio | IORING_RECVSEND_FIXED_BUF);
	sqe->buf_index = off / BUF_LEN;
	return sqe;
}

static struct io_uring_sqe *prep_plain(FIXTURE_DATA(buffers) *self,
				       unsigned int off, unsigned int len,
				       unsigned int ioprio)
{
	return prep_slot_send(&self->ring, self->net.tx, self->data + off, len,
			      0, ioprio);
}

/* Three pieces of the data, in the order in which they are sent. */
static void make_iov(struct iovec *iov, char *base)
{
	iov[0] = (struct iovec){ base + 5000, 1000 };
	iov[1] = (struct iovec){ base + 1, 4095 };
	iov[2] = (struct iovec){ base + 10000, 3 };
}

#define IOV_LEN	(1000 + 4095 + 3)

#define ASSERT_IOV_RECEIVED(_iov) do {					\
	unsigned int _i;						\
	for (_i = 0; _i < 3; _i++)					\
		ASSERT_RECEIVED(&self->net, (_iov)[_i].iov_base,	\
				(_iov)[_i].iov_len);			\
} while (0)

/* Wherever it begins and ends, in the pages of the buffer or between two. */
static void send_any_parts(struct __test_metadata *_metadata,
			   FIXTURE_DATA(buffers) *self, struct pair *net,
			   unsigned int ioprio, unsigned int *seq)
{
	static const unsigned int offs[] = { 0, 1, 3995, 3996, 3997, 8092, 30000 };
	static const unsigned int lens[] = {
		1, 3996, 4095, 4096, 4097, 8192, 12189, 20000
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(offs) * ARRAY_SIZE(lens); i++) {
		unsigned int len = lens[i % ARRAY_SIZE(lens)];
		char *part = self->data + 100 + offs[i / ARRAY_SIZE(lens)];

		prep_slot_send(&self->ring, net->tx, part, len, 0,
			       ioprio | IORING_RECVSEND_NOTIF_FLUSH);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), (int)len, 0);
		ASSERT_RECEIVED(net, part, len);
		ASSERT_NOTIF(&self->ring, TAG(0), (*seq)++);
	}
}

TEST_F(buffers, contract_06_any_part_of_a_buffer)
{
	struct iovec iov = { self->data + 100, DATA_LEN - 100 };
	unsigned int seq = 0;
	struct pair udp;

	OPEN_PAIR(&udp, variant->link, AF_INET, SOCK_DGRAM);
	ASSERT_EQ(0, ring_register(&self->ring, IORING_UNREGISTER_BUFFERS,
				   NULL, 0));
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	send_any_parts(_metadata, self, &self->net, IORING_RECVSEND_FIXED_BUF, &seq);
	send_any_parts(_metadata, self, &udp, IORING_RECVSEND_FIXED_BUF, &seq);
	send_any_parts(_metadata, self, &self->net, 0, &seq);
	send_any_parts(_metadata, self, &udp, 0, &seq);
	pair_close(&udp);
}

#define HUGE_LEN	(2UL << 20)

/* Not those that MAP_HUGETLB means: with pages of 64 KiB they have 512 MiB. */
#define HUGE_PAGES	"/sys/kernel/mm/hugepages/hugepages-2048kB/"
#define HUGE_FLAGS	(MAP_HUGETLB | 21 << MAP_HUGE_SHIFT)

/* Of how many huge pages nobody has any part. */
static int free_huge_pages(void)
{
	return number_in(HUGE_PAGES "free_hugepages");
}

static void want_huge_pages(int nr)
{
	FILE *file = fopen(HUGE_PAGES "nr_hugepages", "w");

	if (file) {
		fprintf(file, "%d", nr);
		fclose(file);
	}
}

/*
 * A plain buffer in a huge page, where several pages are one piece, and one that
 * ends before the request does: once notified, no reference to a page is left.
 */
TEST_F(buffers, contract_03_no_page_is_kept)
{
	static const unsigned int lens[] = { 100, 4096, 8192, 12000, 20000 };
	unsigned int i, j, seq = 0;
	struct pair nets[2];
	char *huge;

	want_huge_pages(1);
	if (free_huge_pages() < 1)
		SKIP(return, "no huge page here");
	huge = mmap(NULL, HUGE_LEN, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | HUGE_FLAGS, -1, 0);
	ASSERT_NE(MAP_FAILED, huge);
	fill_pattern(huge, HUGE_LEN, 5);
	ASSERT_EQ(0, free_huge_pages());
	nets[0] = self->net;
	OPEN_PAIR(&nets[1], variant->link, AF_INET, SOCK_DGRAM);
	for (i = 0; i < 2 * ARRAY_SIZE(lens); i++) {
		struct pair *net = &nets[i % 2];
		unsigned int len = lens[i / 2];

		prep_slot_send(&self->ring, net->tx, huge + 3000, len, 0, 0);
		/* the rest of it is nowhere */
		for (j = 1; j < 5; j++)
			prep_slot_send(&self->ring, net->tx,
				       huge + HUGE_LEN - j * 3000, j * 3000 + 1,
				       0, j == 4 ? IORING_RECVSEND_NOTIF_FLUSH : 0);
		ASSERT_SUBMIT(&self->ring, 5);
		ASSERT_CQE(&self->ring, REQ(0), (int)len, 0);
		for (j = 1; j < 5; j++)
			ASSERT_CQE(&self->ring, REQ(0), -EFAULT, 0);
		ASSERT_RECEIVED(net, huge + 3000, len);
		ASSERT_NOTIF(&self->ring, TAG(0), seq++);
	}
	munmap(huge, HUGE_LEN);
	ASSERT_EQ(1, free_huge_pages());
	want_huge_pages(0);
	pair_close(&nets[1]);
}

TEST_F(buffers, contract_06_registered)
{
	unsigned int i;

	for (i = 0; i < NR_BUFS; i++)
		prep_fixed(self, i * BUF_LEN, BUF_LEN,
			   i == NR_BUFS - 1 ? IORING_RECVSEND_NOTIF_FLUSH : 0);
	ASSERT_SUBMIT(&self->ring, NR_BUFS);
	for (i = 0; i < NR_BUFS; i++)
		ASSERT_CQE(&self->ring, REQ(0), BUF_LEN, 0);
	ASSERT_RECEIVED(&self->net, self->data, DATA_LEN);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

TEST_F(buffers, contract_06_mixed)
{
	unsigned int i;

	for (i = 0; i < 32; i++) {
		unsigned int ioprio = i == 31 ? IORING_RECVSEND_NOTIF_FLUSH : 0;

		if (i % 2)
			prep_plain(self, i * 2048, 2048, ioprio);
		else
			prep_fixed(self, i * 2048, 2048, ioprio);
	}
	ASSERT_SUBMIT(&self->ring, 32);
	for (i = 0; i < 32; i++)
		ASSERT_CQE(&self->ring, REQ(0), 2048, 0);
	ASSERT_RECEIVED(&self->net, self->data, DATA_LEN);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

TEST_F(buffers, contract_06_sendmsg_vectored)
{
	struct iovec iov[3];
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 3 };

	make_iov(iov, self->data);
	prep_slot_sendmsg(&self->ring, self->net.tx, &msg, 1,
			  IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), IOV_LEN, 0);
	ASSERT_IOV_RECEIVED(iov);
	ASSERT_NOTIF(&self->ring, TAG(1), 0);
}

TEST_F(buffers, contract_06_send_vectored)
{
	struct iovec iov[3];

	make_iov(iov, self->data);
	prep_slot_send(&self->ring, self->net.tx, iov, 3, 1,
		       IORING_SEND_VECTORIZED | IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), IOV_LEN, 0);
	ASSERT_IOV_RECEIVED(iov);
	ASSERT_NOTIF(&self->ring, TAG(1), 0);
}

TEST_F(buffers, contract_06_sendmsg_vectored_registered)
{
	struct iovec iov[3];
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 3 };
	struct io_uring_sqe *sqe;

	make_iov(iov, self->data + 2 * BUF_LEN);
	sqe = prep_slot_sendmsg(&self->ring, self->net.tx, &msg, 0,
				IORING_RECVSEND_FIXED_BUF |
				IORING_RECVSEND_NOTIF_FLUSH);
	sqe->buf_index = 2;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), IOV_LEN, 0);
	ASSERT_IOV_RECEIVED(iov);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

TEST_F(buffers, contract_06_send_vectored_registered)
{
	struct io_uring_sqe *sqe;
	struct iovec iov[3];

	make_iov(iov, self->data + BUF_LEN);
	sqe = prep_slot_send(&self->ring, self->net.tx, iov, 3, 1,
			     IORING_SEND_VECTORIZED | IORING_RECVSEND_FIXED_BUF |
			     IORING_RECVSEND_NOTIF_FLUSH);
	sqe->buf_index = 1;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), IOV_LEN, 0);
	ASSERT_IOV_RECEIVED(iov);
	ASSERT_NOTIF(&self->ring, TAG(1), 0);
}

/* Outside of the registered buffer: the request fails, and was the last. */
TEST_F(buffers, contract_02_outside_of_the_buffer)
{
	prep_fixed(self, 0, 1000, 0);
	/* it begins in buffer 1 and ends in buffer 2 */
	prep_fixed(self, 2 * BUF_LEN - 10, 1000, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 2);
	ASSERT_CQE(&self->ring, REQ(0), 1000, 0);
	ASSERT_CQE(&self->ring, REQ(0), -EFAULT, 0);
	ASSERT_RECEIVED(&self->net, self->data, 1000);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);

	prep_fixed(self, 1000, 1000, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 1000, 0);
	ASSERT_RECEIVED(&self->net, self->data + 1000, 1000);
	ASSERT_NOTIF(&self->ring, TAG(0), 1);
}

/* A buffer that is replaced while its notifier is still in the slot. */
TEST_F(buffers, contract_06_table_replaced)
{
	struct iovec iov = { self->data, DATA_LEN };

	prep_fixed(self, BUF_LEN, 8000, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 8000, 0);
	ASSERT_EQ(0, ring_register(&self->ring, IORING_UNREGISTER_BUFFERS,
				   NULL, 0));
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	prep_fixed(self, 0, 8000, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 8000, 0);
	ASSERT_RECEIVED(&self->net, self->data + BUF_LEN, 8000);
	ASSERT_RECEIVED(&self->net, self->data, 8000);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

NOTIF_TEST_MAIN
