/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A relay: what a sender sends is taken from one connection by IORING_OP_GET_BUF, and
 * given on to a receiver by another one.
 */
#ifndef NOTIF_TEST_GETRELAY_H
#define NOTIF_TEST_GETRELAY_H

#include "getbuf.h"

FIXTURE(getbuf)
{
	struct io_uring ring;
	struct pair in, out;
	char *data;	/* DATA_LEN bytes, what is sent */
	char *own;	/* a page, the program's own buffer */
};

FIXTURE_VARIANT(getbuf)
{
	unsigned int setup;
	enum net_link link;
	int family;
};

#define GETBUF_VARIANTS(name, ...)					\
	FIXTURE_VARIANT_ADD(getbuf, name##_plain) {			\
		.setup = 0, __VA_ARGS__					\
	};								\
	FIXTURE_VARIANT_ADD(getbuf, name##_defer) {			\
		.setup = RING_DEFER, __VA_ARGS__			\
	}

GETBUF_VARIANTS(lo, .link = NET_LO, .family = AF_INET);
GETBUF_VARIANTS(veth6, .link = NET_VETH, .family = AF_INET6);
GETBUF_VARIANTS(nic, .link = NET_NIC, .family = AF_INET);
FIXTURE_VARIANT_ADD(getbuf, lo_sqpoll) {
	.setup = IORING_SETUP_SQPOLL, .link = NET_LO, .family = AF_INET
};

FIXTURE_SETUP(getbuf)
{
	OPEN_PAIR(&self->in, variant->link, variant->family, SOCK_STREAM);
	OPEN_PAIR(&self->out, variant->link, variant->family, SOCK_STREAM);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	self->own = map_pages(page_size());
	self->data = map_pages(DATA_LEN);
	ASSERT_TRUE(self->own && self->data);
	fill_pattern(self->data, DATA_LEN, 7);
	ASSERT_EQ(0, register_table(&self->ring, self->own, page_size()));
	ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));
}

FIXTURE_TEARDOWN(getbuf)
{
	ring_exit(&self->ring);
	pair_close(&self->in);
	pair_close(&self->out);
	munmap(self->data, DATA_LEN);
	munmap(self->own, page_size());
}

#endif
