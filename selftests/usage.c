// SPDX-License-Identifier: GPL-2.0
/*
 * What a notification says about copies, and slots beside the other zero-copy
 * interface, MSG_ZEROCOPY.
 */
#include <poll.h>
#include <time.h>

#include <linux/errqueue.h>

#include "answers.h"

#define MAX_LEN	8000

#ifndef SO_EE_ORIGIN_ZEROCOPY
#define SO_EE_ORIGIN_ZEROCOPY	5
#endif

FIXTURE(usage)
{
	struct io_uring ring;
	struct pair net;
	char data[MAX_LEN];
};

FIXTURE_VARIANT(usage)
{
	unsigned int setup;
	enum net_link link;
	int type;
	unsigned int len;
	int res;	/* of a notification that tells */
};

#define USAGE_VARIANTS(name, ...)					\
	FIXTURE_VARIANT_ADD(usage, name##_plain) {			\
		.setup = 0, __VA_ARGS__					\
	};								\
	FIXTURE_VARIANT_ADD(usage, name##_defer) {			\
		.setup = RING_DEFER, __VA_ARGS__			\
	}

USAGE_VARIANTS(dummy_udp, .link = NET_DUMMY, .type = SOCK_DGRAM, .len = 8000);
/* one that had to be fragmented would be copied, to be checksummed */
USAGE_VARIANTS(nic_udp, .link = NET_NIC, .type = SOCK_DGRAM, .len = 1400);
USAGE_VARIANTS(nic_udp_fragments, .link = NET_NIC, .type = SOCK_DGRAM,
	       .len = 8000, .res = IORING_NOTIF_USAGE_ZC_COPIED);
USAGE_VARIANTS(nic_tcp, .link = NET_NIC, .type = SOCK_STREAM, .len = 8000);
/* the receiver is on this machine too, and must not hold the sender's pages */
USAGE_VARIANTS(veth_udp, .link = NET_VETH, .type = SOCK_DGRAM,
	       .len = 1400, .res = IORING_NOTIF_USAGE_ZC_COPIED);
USAGE_VARIANTS(veth_tcp, .link = NET_VETH, .type = SOCK_STREAM,
	       .len = 8000, .res = IORING_NOTIF_USAGE_ZC_COPIED);

FIXTURE_SETUP(usage)
{
	OPEN_PAIR(&self->net, variant->link, AF_INET, variant->type);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, register_slots(&self->ring, 1));
	fill_pattern(self->data, MAX_LEN, 8);
}

FIXTURE_TEARDOWN(usage)
{
	ring_exit(&self->ring);
	pair_close(&self->net);
}

TEST_F(usage, abi_report_usage)
{
	unsigned int i;

	for (i = 0; i < 4; i++) {
		prep_slot_send(&self->ring, self->net.tx, self->data, variant->len, 0,
			       IORING_SEND_ZC_REPORT_USAGE |
			       IORING_RECVSEND_NOTIF_FLUSH);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), variant->len, 0);
		if (self->net.rx >= 0)
			ASSERT_RECEIVED(&self->net, self->data, variant->len);
		ASSERT_CQE(&self->ring, TAG(0), variant->res, notif_flags(i));
	}
}

/* It is enough that one of the notifier's requests asks. */
TEST_F(usage, abi_report_usage_of_one)
{
	unsigned int i;

	for (i = 0; i < 3; i++)
		prep_slot_send(&self->ring, self->net.tx, self->data, variant->len, 0,
			       i == 1 ? IORING_SEND_ZC_REPORT_USAGE : 0);
	ASSERT_SUBMIT(&self->ring, 3);
	for (i = 0; i < 3; i++)
		ASSERT_CQE(&self->ring, REQ(0), variant->len, 0);
	for (i = 0; i < 3 && self->net.rx >= 0; i++)
		ASSERT_RECEIVED(&self->net, self->data, variant->len);
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_CQE(&self->ring, TAG(0), variant->res, notif_flags(0));
}

TEST_F(usage, abi_report_usage_not_asked)
{
	prep_slot_send(&self->ring, self->net.tx, self->data, variant->len, 0,
		       IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), variant->len, 0);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

/*
 * The first one has a part on the loopback device too, where everything is copied:
 * the second says nothing of that, also when both are in one skb of a stream.
 */
TEST_F(usage, contract_03_linked_with_one_copied_elsewhere)
{
	const unsigned int flags = IORING_SEND_ZC_REPORT_USAGE |
				   IORING_RECVSEND_NOTIF_FLUSH;
	struct answers all;
	struct pair lo;

	OPEN_PAIR(&lo, NET_LO, AF_INET, variant->type);
	ASSERT_EQ(0, unregister_slots(&self->ring));
	ASSERT_EQ(0, register_slots(&self->ring, 2));
	prep_slot_send(&self->ring, lo.tx, self->data, 100, 0, 0);
	prep_slot_send(&self->ring, self->net.tx, self->data, variant->len, 0,
		       flags)->msg_flags |=
		variant->type == SOCK_STREAM ? MSG_MORE : 0;
	prep_slot_send(&self->ring, self->net.tx, self->data, variant->len, 1,
		       flags);
	ASSERT_SUBMIT(&self->ring, 3);
	ASSERT_RECEIVED(&lo, self->data, 100);
	if (self->net.rx >= 0) {
		ASSERT_RECEIVED(&self->net, self->data, variant->len);
		ASSERT_RECEIVED(&self->net, self->data, variant->len);
	}
	TAKE(&all, 5);
	ASSERT_LE(0, place_of(&all, TAG(0), IORING_NOTIF_USAGE_ZC_COPIED,
			      notif_flags(0)));
	ASSERT_LE(0, place_of(&all, TAG(1), variant->res, notif_flags(0)));
	pair_close(&lo);
}

/* Take the next range of MSG_ZEROCOPY sends off the socket's error queue. */
static int zerocopy_range(int fd, unsigned int *first, unsigned int *last)
{
	struct pollfd pfd = { .fd = fd };
	char control[256];
	struct msghdr msg = {
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct sock_extended_err *err;
	struct cmsghdr *cmsg;

	/* POLLERR needs no asking for */
	if (poll(&pfd, 1, LOST_MS) != 1)
		return -ETIME;
	if (recvmsg(fd, &msg, MSG_ERRQUEUE) < 0)
		return -errno;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!cmsg)
		return -EBADMSG;
	err = (void *)CMSG_DATA(cmsg);
	if (err->ee_origin != SO_EE_ORIGIN_ZEROCOPY)
		return -EBADMSG;
	*first = err->ee_info;
	*last = err->ee_data;
	return 0;
}

/* Each of @nr MSG_ZEROCOPY sends completes, once, and none besides. */
static void expect_zerocopy(struct __test_metadata *_metadata, int fd,
			    unsigned int nr)
{
	unsigned int done = 0, first, last;
	__u64 seen = 0;

	while (done < nr) {
		ASSERT_EQ(0, zerocopy_range(fd, &first, &last))
			TH_LOG("%u of %u MSG_ZEROCOPY completions", done, nr);
		ASSERT_LE(first, last);
		ASSERT_LT(last, nr);
		for (; first <= last; first++, done++) {
			ASSERT_EQ(0, seen & 1ULL << first);
			seen |= 1ULL << first;
		}
	}
	ASSERT_EQ(-1, recv(fd, &seen, 1, MSG_ERRQUEUE | MSG_DONTWAIT));
}

/*
 * Send with MSG_ZEROCOPY: 1, or 0 when it was sent without. The kernel says
 * ENOBUFS when the stream's last skb has a notifier: providers never mix.
 */
static int send_msg_zerocopy(int fd, const void *buf, size_t len)
{
	ssize_t n = send(fd, buf, len, MSG_ZEROCOPY);

	if (n == (ssize_t)len)
		return 1;
	if (n >= 0 || errno != ENOBUFS)
		return -EIO;
	return send(fd, buf, len, 0) == (ssize_t)len ? 0 : -EIO;
}

/* Both on one socket, in turn: both answer, each in its own way. */
TEST_F(usage, contract_12_beside_msg_zerocopy)
{
	int nr = 8, sent = 0, ret, i;

	ASSERT_EQ(0, setsockopt_int(self->net.tx, SOL_SOCKET, SO_ZEROCOPY, 1));
	for (i = 0; i < nr; i++) {
		ret = send_msg_zerocopy(self->net.tx, self->data, 500);
		ASSERT_GE(ret, 0);
		sent += ret;
		prep_slot_send(&self->ring, self->net.tx, self->data + 500, 500,
			       0, 0);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), 500, 0);
	}
	ASSERT_GT(sent, 0);
	for (i = 0; i < nr && self->net.rx >= 0; i++)
		ASSERT_RECEIVED(&self->net, self->data, 1000);
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	expect_zerocopy(_metadata, self->net.tx, sent);
}

#define PART	100

/* The next part of the data: through the slot, or with MSG_ZEROCOPY, or copied. */
#define SLOT_PART(_part, _flags) do {					\
	prep_slot_send(&self->ring, self->net.tx,			\
		       self->data + (_part) * PART, PART, 0,		\
		       0)->msg_flags |= (_flags);			\
	ASSERT_SUBMIT(&self->ring, 1);					\
	ASSERT_CQE(&self->ring, REQ(0), PART, 0);			\
} while (0)

#define MSGZC_PART(_part) do {						\
	int __ret = send_msg_zerocopy(self->net.tx,			\
				      self->data + (_part) * PART, PART); \
	ASSERT_GE(__ret, 0);						\
	sent += __ret;							\
} while (0)

#define COPIED_PART(_part, _flags) do {					\
	ssize_t __n = send(self->net.tx, self->data + (_part) * PART,	\
			   PART, _flags);				\
									\
	ASSERT_EQ(PART, __n);						\
} while (0)

/*
 * All three within one skb, as far as the kernel puts them there: a corked
 * stream, or a datagram of two parts.
 */
TEST_F(usage, contract_12_beside_others_in_one_skb)
{
	bool tcp = variant->type == SOCK_STREAM;
	int sent = 0, nr = 6, i;

	ASSERT_EQ(0, setsockopt_int(self->net.tx, SOL_SOCKET, SO_ZEROCOPY, 1));
	for (i = 0; i < nr; i++) {
		if (tcp)
			ASSERT_EQ(0, setsockopt_int(self->net.tx, IPPROTO_TCP,
						    TCP_CORK, 1));
		if (i % 2)
			COPIED_PART(0, tcp ? 0 : MSG_MORE);
		else
			SLOT_PART(0, tcp ? 0 : MSG_MORE);
		if (i % 3)
			COPIED_PART(1, 0);
		else
			MSGZC_PART(1);
		/* another datagram */
		COPIED_PART(2, tcp ? 0 : MSG_MORE);
		SLOT_PART(3, 0);
		COPIED_PART(4, 0);
		SLOT_PART(5, 0);
		MSGZC_PART(6);
		SLOT_PART(7, tcp ? 0 : MSG_MORE);
		COPIED_PART(8, 0);
		if (tcp)
			ASSERT_EQ(0, setsockopt_int(self->net.tx, IPPROTO_TCP,
						    TCP_CORK, 0));
		if (self->net.rx >= 0)
			ASSERT_RECEIVED(&self->net, self->data, 9 * PART);
		ASSERT_FLUSH(&self->ring, 0, 1);
		ASSERT_NOTIF(&self->ring, TAG(0), i);
	}
	expect_zerocopy(_metadata, self->net.tx, sent);
}

NOTIF_TEST_MAIN
