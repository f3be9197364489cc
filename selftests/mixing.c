// SPDX-License-Identifier: GPL-2.0
/*
 * A library that sends with MSG_ZEROCOPY on a connection on which another part of
 * the program sends through a ring, whose data isn't out yet.
 */
#include "errqueue.h"

#define BIG_LEN		(512 << 10)	/* more than the receiver takes */
#define SMALL_LEN	1000
#define DATA_LEN	(BIG_LEN + 3 * SMALL_LEN)

FIXTURE(mixing)
{
	struct io_uring ring;
	struct pair net;
	char *data;
};

RING_VARIANTS(mixing);

FIXTURE_SETUP(mixing)
{
	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_STREAM, .unread = true);
	ASSERT_EQ(0, setsockopt_int(self->net.tx, SOL_SOCKET, SO_ZEROCOPY, 1));
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, register_slots(&self->ring, 1));
	self->data = map_pages(DATA_LEN);
	ASSERT_NE(NULL, self->data);
	fill_pattern(self->data, DATA_LEN, 26);
}

FIXTURE_TEARDOWN(mixing)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
	pair_close(&self->net);
}

/* How many sends the next range has that the socket's error queue reports. */
static int reported_sends(int fd)
{
	unsigned int first = 0, last = 0;
	int ret = next_range(fd, &first, &last);

	return ret ? ret : (int)(last - first + 1);
}

static int send_zerocopy(int fd, const char *data)
{
	ssize_t n = send(fd, data, SMALL_LEN, MSG_ZEROCOPY | MSG_DONTWAIT);

	return n < 0 ? -errno : n;
}

/* Two such sends; a third part goes through the ring once more, behind them. */
TEST_F(mixing, contract_11_msg_zerocopy_behind_slot_data)
{
	int reported;

	prep_slot_send(&self->ring, self->net.tx, self->data, BIG_LEN, 0, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), BIG_LEN, 0);
	ASSERT_EQ(SMALL_LEN, send_zerocopy(self->net.tx, self->data + BIG_LEN));
	ASSERT_EQ(SMALL_LEN, send_zerocopy(self->net.tx, self->data + BIG_LEN +
					   SMALL_LEN));
	prep_slot_send(&self->ring, self->net.tx,
		       self->data + BIG_LEN + 2 * SMALL_LEN, SMALL_LEN, 0,
		       IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), SMALL_LEN, 0);
	ASSERT_QUIET(&self->ring);

	ASSERT_RECEIVED(&self->net, self->data, DATA_LEN);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	reported = reported_sends(self->net.tx);
	if (reported == 1)
		reported += reported_sends(self->net.tx);
	ASSERT_EQ(2, reported);
}

TEST_F(mixing, contract_11_msg_zerocopy_behind_send_zc_data)
{
	struct io_uring_sqe *sqe = ring_sqe(&self->ring);

	io_uring_prep_sendzc(sqe, self->net.tx, self->data, BIG_LEN, MSG_WAITALL,
			     0);
	sqe->user_data = REQ(1);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(1), BIG_LEN, IORING_CQE_F_MORE);
	ASSERT_EQ(SMALL_LEN, send_zerocopy(self->net.tx, self->data + BIG_LEN));
	ASSERT_QUIET(&self->ring);

	ASSERT_RECEIVED(&self->net, self->data, BIG_LEN + SMALL_LEN);
	ASSERT_CQE(&self->ring, REQ(1), 0, IORING_CQE_F_NOTIF);
	ASSERT_EQ(1, reported_sends(self->net.tx));
}

NOTIF_TEST_MAIN
