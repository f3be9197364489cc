// SPDX-License-Identifier: GPL-2.0
/* Messages: whole ones, with their ends as they were sent. */
#include "vsockpair.h"

FIXTURE_VARIANT_ADD(vsock, seqpacket) { .type = SOCK_SEQPACKET };

#define EOM	VSOCK_RX_HDR_EOM
#define EOR	VSOCK_RX_HDR_EOR
#define COPIED	VSOCK_RX_HDR_COPIED

/* One packet or several: each message ends where it was sent to. */
TEST_F(vsock, vsock_07_bounds)
{
	static const size_t messages[] = {
		1, 100, 4096, 3 * 4096, 5000, MAX_PACKET,
		2 * MAX_PACKET, 200000, 7, 8,
	};
	unsigned int i, n = 0;

	for (i = 0; i < ARRAY_SIZE(messages); i++)
		SEND(messages[i]);
	RECEIVE_ALL();
	for (i = 0; i < ARRAY_SIZE(messages); i++) {
		size_t len = 0;

		do
			len += header(self->map, n)->length;
		while (!(header(self->map, n++)->flags & EOM));
		ASSERT_EQ(messages[i], len);
	}
	ASSERT_EQ(n, self->arg.headers);
}

TEST_F(vsock, vsock_07_eor)
{
	unsigned int i, n = 0;

	for (i = 0; i < 12; i++)
		send_next(_metadata, self, 1 + i * 9000,
			  i % 3 ? 0 : MSG_EOR);
	RECEIVE_ALL();
	for (i = 0; i < 12; i++) {
		while (!(header(self->map, n)->flags & EOM))
			n++;
		ASSERT_EQ(i % 3 ? 0 : EOR, header(self->map, n)->flags & EOR);
		n++;
	}
}

/* Messages are never packed into a page together. */
TEST_F(vsock, vsock_07_small_ones_apart)
{
	unsigned int i;

	for (i = 0; i < 50; i++)
		SEND(10);
	RECEIVE_ALL();
	ASSERT_EQ(50, self->arg.headers);
	ASSERT_EQ(50, self->arg.pages);
	for (i = 0; i < 50; i++) {
		ASSERT_EQ(10, header(self->map, i)->length);
		ASSERT_EQ(EOM | COPIED, header(self->map, i)->flags);
	}
}

/* What doesn't fit stays, for a larger window or for recv(). */
TEST_F(vsock, vsock_07_too_big_then_recv)
{
	SEND(20 * PAGE);
	ASSERT_EQ(-EMSGSIZE, map_rx(self->rx, self->map, 20 * PAGE, 0,
				    &self->arg));
	ASSERT_EQ(20 * PAGE, queued(self->rx));
	RECV(20 * PAGE);
	SEND(20 * PAGE);
	ASSERT_EQ(-EMSGSIZE, map_rx(self->rx, self->map, 2 * PAGE, 0,
				    &self->arg));
	receive_at(_metadata, self, self->map, 21 * PAGE, 0);
	ASSERT_EQ(20 * PAGE, self->arg.length);
	ASSERT_EQ(0, queued(self->rx));
}

/* Those before it are received, and the call says that there's more. */
TEST_F(vsock, vsock_07_second_too_big)
{
	SEND(3 * PAGE);
	SEND(20 * PAGE);
	receive_at(_metadata, self, self->map, 8 * PAGE, 0);
	ASSERT_EQ(3 * PAGE, self->arg.length);
	ASSERT_EQ(20 * PAGE, self->arg.inq);
	ASSERT_EQ(VSOCK_MAP_RX_MORE, self->arg.flags);
	ASSERT_EQ(-EMSGSIZE, map_rx(self->rx, self->map, 8 * PAGE, 0,
				    &self->arg));
	RECEIVE_ALL();
}

/*
 * A message of which a part has come is none yet. It is larger than what the
 * receiver queues, so that its end waits for credit.
 */
TEST_F(vsock, vsock_07_incomplete_message_waits)
{
	const size_t first = 500 * PAGE, second = QUEUE_LEN - first + PAGE;
	struct pollfd pfd = { .fd = self->rx, .events = POLLIN };
	pid_t child;
	int status;

	SEND(first);
	child = start_child();
	ASSERT_LE(0, child);
	if (!child)
		_exit(send(self->tx, self->sent, second, 0) != (ssize_t)second);
	/* all but a page of it comes */
	ASSERT_EQ(0, wait_queued(self->rx, QUEUE_LEN));
	RECEIVE();
	ASSERT_EQ(first, self->arg.length);
	/* what is queued can't be received at once */
	ASSERT_EQ(0, self->arg.flags);
	ASSERT_EQ(0, wait_exit(child, &status));
	ASSERT_EQ(0, status);
	ASSERT_EQ(1, poll(&pfd, 1, LOST_MS));
	ASSERT_EQ((ssize_t)second, recv(self->rx, self->got, QUEUE_LEN, 0));
	ASSERT_EQ(0, memcmp(self->got, self->sent, second));
}

/* recv() and this call see the same messages. */
TEST_F(vsock, vsock_07_with_recv)
{
	unsigned int i;

	for (i = 0; i < 30; i++) {
		SEND(1 + i * 777);
		SEND(1 + i * 555);
		SEND(1 + i * 333);
		RECV(1 + i * 777);
		receive_at(_metadata, self, self->map, 0, 0);
		ASSERT_EQ(self->tx_at, self->rx_at);
		ASSERT_LE(2, self->arg.headers);
		ASSERT_EQ(-1, recv(self->rx, self->got, 1, MSG_DONTWAIT));
		ASSERT_EQ(EAGAIN, errno);
	}
}

NOTIF_TEST_MAIN
