// SPDX-License-Identifier: GPL-2.0
/*
 * What a notification says about copies, and slots beside the other zero-copy
 * interface, MSG_ZEROCOPY.
 */
#include <poll.h>
#include <time.h>

#include <linux/errqueue.h>

#include "fixture.h"

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

TEST_F(usage, report_usage)
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
		ASSERT_CQE(&self->ring, TAG(0), variant->res, i);
	}
}

/* It is enough that one of the notifier's requests asks. */
TEST_F(usage, report_usage_of_one)
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
	ASSERT_CQE(&self->ring, TAG(0), variant->res, 0);
}

TEST_F(usage, nobody_asks)
{
	prep_slot_send(&self->ring, self->net.tx, self->data, variant->len, 0,
		       IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), variant->len, 0);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

/* How many MSG_ZEROCOPY sends the socket's error queue says are complete. */
static int zerocopy_completions(int fd)
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
	return err->ee_data - err->ee_info + 1;
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
	int nr = 8, sent = 0, done = 0, ret, i;

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
	while (done < sent) {
		ret = zerocopy_completions(self->net.tx);
		ASSERT_GT(ret, 0)
			TH_LOG("%d of %d MSG_ZEROCOPY completions", done, sent);
		done += ret;
	}
	ASSERT_EQ(sent, done);
}

NOTIF_TEST_MAIN
