// SPDX-License-Identifier: GPL-2.0
/*
 * IORING_SEND_ZC_MANY that finds its socket full: it waits, and goes on with the
 * datagram that had no room. UDP's data is kept on the sender's side by netem,
 * which lets a few packets go at a time; AF_UNIX's by a receiver that doesn't read.
 */
#include "dgrams.h"
#include "netem.h"

#define LEN		1000
#define SMALL_SNDBUF	4096
/* a receiver's queue of AF_UNIX is shorter, and as long a wait is no wait */
#define SLOWLY		"slot 5ms 5ms packets 4"
#define NEVER		"slot 1000s 1000s packets 4"

FIXTURE(full)
{
	struct io_uring ring;
	struct pair net;
	bool netem;
	char *data;		/* ALL_LEN bytes, and registered buffer 0 */
	struct io_uring_dgram dgrams[MAX_MANY];
};

FIXTURE_VARIANT(full)
{
	unsigned int setup;
	int family;
	bool fixed;
};

FIXTURE_VARIANT_ADD(full, udp4_plain) { .family = AF_INET };
FIXTURE_VARIANT_ADD(full, udp6_defer_fixed) {
	.setup = RING_DEFER, .family = AF_INET6, .fixed = true
};

FIXTURE_VARIANT_ADD(full, udp4_sqpoll) {
	.setup = IORING_SETUP_SQPOLL, .family = AF_INET
};

FIXTURE_VARIANT_ADD(full, unix_plain_fixed) { .family = AF_UNIX, .fixed = true };
FIXTURE_VARIANT_ADD(full, unix_defer) { .setup = RING_DEFER, .family = AF_UNIX };
FIXTURE_VARIANT_ADD(full, unix_sqpoll) {
	.setup = IORING_SETUP_SQPOLL, .family = AF_UNIX
};

/* All of the array are the same length: what there is room for is alike. */
static void fill_alike(FIXTURE_DATA(full) *self)
{
	unsigned int i;

	fill_dgrams(self->dgrams, self->data, MAX_MANY);
	for (i = 0; i < MAX_MANY; i++)
		self->dgrams[i].len = LEN;
}

/*
 * What netem holds back goes on from whichever CPU has its timer, and a veth
 * pair queues by CPU: datagrams may pass each other there, whoever sent them in
 * order. One CPU's queue for all keeps them in order.
 */
static int veth_keeps_order(bool on)
{
	char cmd[120];

	snprintf(cmd, sizeof(cmd),
		 "ip netns exec %s sh -c 'echo %d >/sys/class/net/vb/queues/rx-0/rps_cpus'",
		 net_links[NET_VETH].ns_rx, on);
	return system(cmd);
}

FIXTURE_SETUP(full)
{
	struct iovec iov = { .iov_len = ALL_LEN };
	int fds[2];

	self->net = (struct pair){ .tx = -1, .rx = -1 };
	if (variant->family == AF_UNIX) {
		ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
		self->net = (struct pair){ .tx = fds[0], .rx = fds[1] };
	} else {
		OPEN_PAIR(&self->net, NET_VETH, variant->family, SOCK_DGRAM);
		ASSERT_EQ(0, setsockopt_int(self->net.tx, SOL_SOCKET, SO_SNDBUF,
					    SMALL_SNDBUF));
		/* whom to send to is known, before that is held back too */
		ASSERT_EQ(1, send(self->net.tx, "x", 1, 0));
		ASSERT_EQ(0, receive_dgram(self->net.rx, "x", 1));
	}
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	self->data = map_pages(ALL_LEN);
	ASSERT_NE(NULL, self->data);
	fill_pattern(self->data, ALL_LEN, 62);
	iov.iov_base = self->data;
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	ASSERT_EQ(0, register_slots_as(&self->ring, many_slots, NR_SLOTS, 0));
	fill_alike(self);
}

FIXTURE_TEARDOWN(full)
{
	if (self->netem)
		set_netem(NET_VETH, NULL);
	if (variant->family != AF_UNIX)
		EXPECT_EQ(0, veth_keeps_order(false));
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
	pair_close(&self->net);
}

/* From here on the socket is full after a few, and more go as @_args say. */
#define HOLD_BACK(_args) do {						\
	if (variant->family != AF_UNIX) {				\
		if (set_netem(NET_VETH, _args))				\
			SKIP(return, "no tc with netem's slots here");	\
		self->netem = true;					\
		ASSERT_EQ(0, veth_keeps_order(true));			\
	}								\
} while (0)

/* What is held back is lost, and there is room again. */
#define LET_GO() do {							\
	if (self->netem)						\
		ASSERT_EQ(0, set_netem(NET_VETH, NULL));		\
	self->netem = false;						\
} while (0)

/* The next datagram while the ring goes on: 0, -ETIME, or -EILSEQ. */
static int receive_next(FIXTURE_DATA(full) *self, unsigned int i)
{
	char got[LEN];
	int ret;

	ret = receive_with_ring(&self->ring, self->net.rx, got, LEN);
	return ret ?: memcmp(got, dgram_data(self->data, i), LEN) ? -EILSEQ : 0;
}

/* All are sent, in order, in line and by io-wq, whatever sort of CQE it is. */
TEST_F(full, contract_16_goes_on_where_it_was)
{
	unsigned int way, i;

	HOLD_BACK(SLOWLY);
	for (way = 0; way < 3; way++) {
		MANY(MAX_MANY, MERGED, 0)->flags = way == 1 ? IOSQE_ASYNC :
						   way == 2 ? IOSQE_CQE_SKIP_SUCCESS :
						   0;
		ASSERT_SUBMIT(&self->ring, 1);
		for (i = 0; i < MAX_MANY; i++)
			ASSERT_EQ(0, receive_next(self, i))
				TH_LOG("datagram %u", i);
		if (way < 2)
			ASSERT_CQE(&self->ring, REQ(0), MAX_MANY, 0);
		ASSERT_NO_MORE(self->net.rx);
	}
	ASSERT_QUIET(&self->ring);
}

/* The buffer is looked up once, and stays until the last datagram of it is free. */
TEST_F(full, contract_16_buffer_goes_as_it_waits)
{
	char *want = malloc(ALL_LEN);
	unsigned int i;

	memcpy(want, self->data, ALL_LEN);
	HOLD_BACK(SLOWLY);
	prep_many(&self->ring, self->net.tx, self->dgrams, MAX_MANY, MERGED,
		  IORING_RECVSEND_FIXED_BUF);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_EQ(0, ring_register(&self->ring, IORING_UNREGISTER_BUFFERS, NULL, 0));
	lose_pages(self->data, ALL_LEN);
	self->data = want;
	for (i = 0; i < MAX_MANY; i++)
		ASSERT_EQ(0, receive_next(self, i))
			TH_LOG("datagram %u", i);
	ASSERT_CQE(&self->ring, REQ(0), MAX_MANY, 0);
	ASSERT_NO_MORE(self->net.rx);
}

/* Two in turn on one socket: each sends its own, all of them. */
TEST_F(full, contract_16_two_wait)
{
	unsigned int next[2] = { 0, MAX_MANY / 2 }, i, which;
	struct answers all;
	char got[LEN];

	HOLD_BACK(SLOWLY);
	MANY(MAX_MANY / 2, MERGED, 0);
	prep_many(&self->ring, self->net.tx, self->dgrams + MAX_MANY / 2,
		  MAX_MANY / 2, MERGED, variant->fixed ?
		  IORING_RECVSEND_FIXED_BUF : 0)->user_data = REQ(1);
	ASSERT_SUBMIT(&self->ring, 2);
	for (i = 0; i < MAX_MANY; i++) {
		ASSERT_EQ(0, receive_with_ring(&self->ring, self->net.rx, got, LEN));
		for (which = 0; which < 2; which++)
			if (!memcmp(got, dgram_data(self->data, next[which]), LEN))
				break;
		ASSERT_LT(which, 2)
			TH_LOG("neither %u nor %u", next[0], next[1]);
		next[which]++;
	}
	ASSERT_EQ(MAX_MANY / 2, next[0]);
	TAKE(&all, 2);
	ASSERT_ANSWERED(&all, REQ(0), MAX_MANY / 2);
	ASSERT_ANSWERED(&all, REQ(1), MAX_MANY / 2);
}

/* Who may not wait says how many there was room for; then it is EAGAIN. */
TEST_F(full, contract_16_short_without_waiting)
{
	unsigned int seen = 0, i;
	struct io_uring_sqe *sqe;
	int sent = 0;

	HOLD_BACK(NEVER);
	for (i = 0; i < 3; i++) {
		sqe = MANY(MAX_MANY, MERGED, 0);
		sqe->msg_flags = MSG_DONTWAIT;
		sqe->flags = i == 0 ? IOSQE_IO_HARDLINK :
			     i == 1 ? IOSQE_IO_LINK : 0;
		sqe->user_data = REQ(i);
	}
	ASSERT_SUBMIT(&self->ring, 3);
	while (seen != 7) {
		struct io_uring_cqe cqe = {};

		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		i = cqe.user_data - REQ(0);
		ASSERT_LT(i, 3);
		ASSERT_EQ(0, seen & 1U << i);
		ASSERT_EQ(0, cqe.flags);
		if (!i)
			sent = cqe.res;
		ASSERT_TRUE(!i || cqe.res == (i == 1 ? -EAGAIN : -ECANCELED))
			TH_LOG("request %u: %d", i, cqe.res);
		seen |= 1U << i;
		/* the first one's memory is in use as long as it is held back */
		if (seen == 6)
			LET_GO();
		ASSERT_TRUE(i || seen == 7 || variant->family == AF_UNIX);
	}
	ASSERT_LT(0, sent);
	ASSERT_GT(MAX_MANY / 2, sent);
	if (variant->family != AF_UNIX)
		return;
	for (i = 0; i < (unsigned int)sent; i++)
		ASSERT_EQ(0, receive_next(self, i));
	ASSERT_NO_MORE(self->net.rx);
}

/* Cancelled as it waits: it says how many it has sent, and no more are. */
TEST_F(full, contract_16_cancelled_as_it_waits)
{
	struct io_uring_cqe cqe = {};
	struct answers all;
	unsigned int i;

	HOLD_BACK(NEVER);
	MANY(MAX_MANY, MERGED, 0)->flags = IOSQE_IO_LINK;
	prep_slot_send(&self->ring, self->net.tx, self->data, LEN, MERGED,
		       0)->user_data = REQ(1);
	ASSERT_SUBMIT(&self->ring, 2);
	ASSERT_QUIET(&self->ring);
	prep_cancel(&self->ring, REQ(0));
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_EQ(0, ring_next(&self->ring, &all.cqes[0]));
	/* what is held back is in use */
	if (variant->family != AF_UNIX)
		ASSERT_QUIET(&self->ring);
	LET_GO();
	ASSERT_EQ(0, ring_next(&self->ring, &all.cqes[1]));
	all.nr = 2;
	ASSERT_ANSWERED(&all, REQ(1), -ECANCELED);
	cqe = all.cqes[all.cqes[0].user_data == REQ(1)];
	ASSERT_EQ(REQ(0), cqe.user_data);
	ASSERT_EQ(0, cqe.flags);
	ASSERT_LT(0, cqe.res);
	ASSERT_GT(MAX_MANY / 2, cqe.res);
	if (variant->family != AF_UNIX)
		return;
	for (i = 0; i < (unsigned int)cqe.res; i++)
		ASSERT_EQ(0, receive_next(self, i));
	ASSERT_NO_MORE(self->net.rx);
}

/* The peer goes as it waits: what was sent is the result, and it ends. */
TEST_F(full, contract_16_peer_goes_as_it_waits)
{
	struct io_uring_cqe cqe = {};

	HOLD_BACK(SLOWLY);
	MANY(MAX_MANY, MERGED, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	close(self->net.rx);
	self->net.rx = -1;
	ASSERT_EQ(0, ring_next(&self->ring, &cqe));
	ASSERT_EQ(REQ(0), cqe.user_data);
	ASSERT_EQ(0, cqe.flags);
	ASSERT_LT(0, cqe.res);
	/* UDP hears of it when, and if, an ICMP message comes */
	ASSERT_GE(variant->family == AF_UNIX ? MAX_MANY / 2 : MAX_MANY, cqe.res);
}

NOTIF_TEST_MAIN
