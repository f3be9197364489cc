// SPDX-License-Identifier: GPL-2.0
/*
 * IORING_OP_GET_BUF where packets are lost, late, doubled and in another order, in
 * front of the relay and behind it: the receiver gets the sender's bytes.
 */
#include <pthread.h>

#include "getbuf.h"
#include "netem.h"

#define ALL_LEN		(1024 * 1024)
#define NR_ENTRIES	OWN_BUFFER

FIXTURE(getnet)
{
	struct io_uring ring;
	struct pair in, out;
	char *data, *own;
	size_t received;
	const char *wrong;	/* of the receiver */
	bool netem;
};

FIXTURE_VARIANT(getnet)
{
	unsigned int setup;
	enum net_link link;
	int family;
	const char *netem;
};

#define GETNET_VARIANTS(_name, _args)					\
	FIXTURE_VARIANT_ADD(getnet, _name##_veth) {			\
		.setup = RING_DEFER, .link = NET_VETH,			\
		.family = AF_INET6, .netem = _args			\
	};								\
	FIXTURE_VARIANT_ADD(getnet, _name##_nic) {			\
		.setup = 0, .link = NET_NIC, .family = AF_INET,		\
		.netem = _args						\
	}

GETNET_VARIANTS(loss, "loss 3% delay 200us");
GETNET_VARIANTS(reorder, "delay 2ms reorder 60% gap 3");
GETNET_VARIANTS(duplicate, "duplicate 20% delay 1ms 500us");

FIXTURE_SETUP(getnet)
{
	OPEN_PAIR(&self->in, variant->link, variant->family, SOCK_STREAM);
	OPEN_PAIR(&self->out, variant->link, variant->family, SOCK_STREAM);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	self->own = map_pages(page_size());
	self->data = map_pages(ALL_LEN);
	ASSERT_TRUE(self->own && self->data);
	fill_pattern(self->data, ALL_LEN, 29);
	ASSERT_EQ(0, register_table(&self->ring, self->own, page_size()));
	ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));
	if (set_netem(variant->link, variant->netem))
		SKIP(return, "no netem here");
	self->netem = true;
}

FIXTURE_TEARDOWN(getnet)
{
	if (self->netem)
		set_netem(variant->link, NULL);
	ring_exit(&self->ring);
	pair_close(&self->in);
	pair_close(&self->out);
}

static void *send_and_shut(void *arg)
{
	FIXTURE_DATA(getnet) *self = arg;

	if (send_all(self->in.tx, self->data, ALL_LEN))
		self->wrong = "the sender fails";
	shutdown(self->in.tx, SHUT_WR);
	return NULL;
}

static void *receive_all(void *arg)
{
	FIXTURE_DATA(getnet) *self = arg;
	char *got = malloc(65536);
	ssize_t n;

	while ((n = recv(self->out.rx, got, 65536, 0)) > 0) {
		if (self->received + n > ALL_LEN ||
		    memcmp(got, self->data + self->received, n))
			self->wrong = "other bytes were received than sent";
		self->received += n;
		if (self->wrong)
			break;
	}
	if (n < 0)
		self->wrong = "the receiver fails";
	free(got);
	return NULL;
}

/* All that is sent goes through the relay, which takes while it gives on. */
TEST_F(getnet, contract_17_relay_over_a_bad_link)
{
	unsigned int index = 0, taken = 0, notified = 0;
	pthread_t sender, receiver;
	struct io_uring_cqe cqe;
	size_t done = 0;
	int n;

	ASSERT_EQ(0, pthread_create(&sender, NULL, send_and_shut, self));
	ASSERT_EQ(0, pthread_create(&receiver, NULL, receive_all, self));
	for (;;) {
		prep_get_buf(&self->ring, self->in.rx, IORING_GET_BUF_MAX,
			     index)->ioprio = IORING_GET_BUF_REPLACE;
		ASSERT_SUBMIT(&self->ring, 1);
		do {
			ASSERT_EQ(0, ring_next(&self->ring, &cqe));
			notified += cqe.user_data == TAG(0);
		} while (cqe.user_data != REQ(50));
		ASSERT_LE(0, cqe.res);
		n = cqe.res;
		if (!n)
			break;
		prep_send_buf(&self->ring, self->out.tx, 0, -1, index, 0,
			      IORING_RECVSEND_NOTIF_FLUSH);
		ASSERT_SUBMIT(&self->ring, 1);
		do {
			ASSERT_EQ(0, ring_next(&self->ring, &cqe));
			notified += cqe.user_data == TAG(0);
		} while (cqe.user_data != REQ(0));
		ASSERT_EQ(n, cqe.res);
		done += n;
		taken++;
		index = (index + 1) % NR_ENTRIES;
	}
	ASSERT_EQ(ALL_LEN, done);
	shutdown(self->out.tx, SHUT_WR);
	pthread_join(sender, NULL);
	pthread_join(receiver, NULL);
	ASSERT_EQ(NULL, self->wrong)
		TH_LOG("%s, after %zu bytes", self->wrong, self->received);
	ASSERT_EQ(ALL_LEN, self->received);
	for (; notified < taken; notified++) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		ASSERT_EQ(TAG(0), cqe.user_data);
	}
	prep_give_up(&self->ring, 0, NR_BUFFERS);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_EQ(0, ring_next(&self->ring, &cqe));
	ASSERT_EQ(FLUSH_REQ, cqe.user_data);
	ASSERT_EQ(0, kernel_bufs(&self->ring));
	ASSERT_EQ(0, kernel_buf_pages(&self->ring));
}

NOTIF_TEST_MAIN
