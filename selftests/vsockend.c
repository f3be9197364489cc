// SPDX-License-Identifier: GPL-2.0
/*
 * When there is nothing to receive, or the connection is over: what the call says is
 * what recv() says of a socket to which the same has happened.
 */
#include "vsockpair.h"

FIXTURE_VARIANT_ADD(vsock, stream) { .type = SOCK_STREAM };
FIXTURE_VARIANT_ADD(vsock, seqpacket) { .type = SOCK_SEQPACKET };

/* It returns at once, on a socket that blocks. */
TEST_F(vsock, vsock_13_empty)
{
	receive_at(_metadata, self, self->map, 0, 0);
	ASSERT_EQ(0, self->arg.length);
	ASSERT_EQ(0, self->arg.flags);
	ASSERT_EQ(0, self->arg.inq);
	SEND(PAGE);
	RECEIVE_ALL();
	ASSERT_EQ(0, self->arg.flags);
	receive_at(_metadata, self, self->map, 0, 0);
	ASSERT_EQ(0, self->arg.length);
}

/* Wait until the peer's shutdown is there. */
static int wait_rdhup(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLRDHUP };

	return poll(&pfd, 1, LOST_MS) == 1 ? 0 : -ETIME;
}

/* The data first, then the end, and that as often as it is asked for. */
TEST_F(vsock, vsock_13_shutdown_peer)
{
	unsigned int i;

	SEND(3 * PAGE);
	SEND(100);
	ASSERT_EQ(0, shutdown(self->tx, SHUT_WR));
	ASSERT_EQ(0, wait_rdhup(self->rx));
	RECEIVE_ALL();
	for (i = 0; i < 3; i++) {
		receive_at(_metadata, self, self->map, 0, 0);
		ASSERT_EQ(0, self->arg.length);
		ASSERT_EQ(VSOCK_MAP_RX_EOF, self->arg.flags);
	}
	ASSERT_EQ(0, recv(self->rx, self->got, 1, 0));
}

/* What is queued can't be received any more, by recv() neither. */
TEST_F(vsock, vsock_13_shutdown_local)
{
	SEND(3 * PAGE);
	ASSERT_EQ(0, shutdown(self->rx, SHUT_RD));
	ASSERT_EQ(0, recv(self->rx, self->got, 1, 0));
	receive_at(_metadata, self, self->map, 0, 0);
	ASSERT_EQ(0, self->arg.length);
	ASSERT_EQ(VSOCK_MAP_RX_EOF, self->arg.flags);
}

/* Two connections to which the same happens. */
struct twins {
	int tx[2], rx[2];
	char *map;	/* of the second one */
};

static void open_twins(struct __test_metadata *_metadata, int type,
		       struct twins *twins)
{
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, vsock_pair_of(type, 256 << 10, &twins->tx[i],
					   &twins->rx[i]));
		ASSERT_EQ(0, vsock_opt_in(twins->rx[i]));
	}
	twins->map = map_socket(twins->rx[1], MAP_LEN);
	ASSERT_NE(MAP_FAILED, (void *)twins->map);
}

static void close_twins(struct twins *twins)
{
	int i;

	munmap(twins->map, MAP_LEN);
	for (i = 0; i < 2; i++) {
		close(twins->tx[i]);
		close(twins->rx[i]);
	}
}

/* Until both are over: what recv() of the first says, the call of the second does. */
static void ask_twins(struct __test_metadata *_metadata,
		      FIXTURE_DATA(vsock) *self, struct twins *twins)
{
	size_t total[2] = {};
	struct vsock_map_rx arg;
	int said[2];

	do {
		said[0] = recv(twins->rx[0], self->got, QUEUE_LEN, MSG_DONTWAIT);
		if (said[0] < 0)
			said[0] = -errno;
		else
			total[0] += said[0];
	} while (said[0] > 0);
	do {
		said[1] = map_rx(twins->rx[1], twins->map, 0, 0, &arg);
		if (!said[1] && arg.length) {
			total[1] += arg.length;
			said[1] = arg.length;
		} else if (!said[1]) {
			said[1] = arg.flags & VSOCK_MAP_RX_EOF ? 0 : -EAGAIN;
		}
	} while (said[1] > 0);
	ASSERT_EQ(said[0], said[1])
		TH_LOG("recv() says %d, the call %d", said[0], said[1]);
	/* after an error recv() loses the message that it has taken */
	ASSERT_LE(total[0], total[1]);
}

#define ASK_TWINS	ask_twins(_metadata, self, &twins)
#define EACH_TWIN	for (i = 0; i < 2; i++)

/* Not reset yet, then the peer goes away, with nothing queued and with something. */
TEST_F(vsock, vsock_13_peer_closes)
{
	unsigned int queued_too;
	struct twins twins;
	int i;

	for (queued_too = 0; queued_too < 2; queued_too++) {
		open_twins(_metadata, variant->type, &twins);
		ASK_TWINS;
		EACH_TWIN {
			if (queued_too) {
				ASSERT_EQ(9000, send(twins.tx[i], self->sent,
						     9000, 0));
			}
			close(twins.tx[i]);
			ASSERT_EQ(0, wait_rdhup(twins.rx[i]));
			twins.tx[i] = -1;
		}
		ASK_TWINS;
		ASK_TWINS;
		close_twins(&twins);
	}
}

/*
 * More messages than the receiver wants to keep headers for: it resets the connection.
 * A stream's packets are merged instead.
 */
TEST_F(vsock, vsock_13_reset)
{
	struct pollfd pfd = { };
	struct twins twins;
	int i, n;

	open_twins(_metadata, variant->type, &twins);
	EACH_TWIN {
		int error = 0;

		for (n = 0; n < 2000 && !error; n++)
			if (send(twins.tx[i], self->sent, 8, MSG_NOSIGNAL |
				 MSG_DONTWAIT) < 0)
				error = errno;
		if (variant->type == SOCK_STREAM) {
			ASSERT_EQ(0, wait_queued(twins.rx[i], 8 * n));
			continue;
		}
		/* the sender may not know yet */
		pfd.fd = twins.rx[i];
		ASSERT_EQ(1, poll(&pfd, 1, LOST_MS));
	}
	ASK_TWINS;
	ASK_TWINS;
	close_twins(&twins);
}

TEST_F(vsock, vsock_13_not_connected)
{
	int fd = socket(AF_VSOCK, variant->type, 0);
	struct sockaddr_vm to;
	char *map;
	int listener;

	ASSERT_EQ(0, vsock_opt_in(fd));
	map = map_socket(fd, 4 * PAGE);
	ASSERT_NE(MAP_FAILED, (void *)map);
	ASSERT_EQ(-1, recv(fd, self->got, 1, 0));
	ASSERT_EQ(-errno, map_rx(fd, map, 0, 0, &self->arg));
	close(fd);
	munmap(map, 4 * PAGE);

	listener = vsock_listen(variant->type, QUEUE_LEN, &to);
	ASSERT_EQ(0, vsock_opt_in(listener));
	map = map_socket(listener, 4 * PAGE);
	ASSERT_NE(MAP_FAILED, (void *)map);
	ASSERT_EQ(-1, recv(listener, self->got, 1, 0));
	ASSERT_EQ(-errno, map_rx(listener, map, 0, 0, &self->arg));
	munmap(map, 4 * PAGE);
	close(listener);
}

/* poll() and SO_RCVLOWAT as ever, and the call takes what there is all the same. */
TEST_F(vsock, vsock_13_rcvlowat_poll)
{
	struct pollfd pfd = { .fd = self->rx, .events = POLLIN };
	const int lowat = 3 * PAGE;

	if (variant->type != SOCK_STREAM)
		SKIP(return, "a message is there or isn't");
	ASSERT_EQ(0, setsockopt(self->rx, SOL_SOCKET, SO_RCVLOWAT, &lowat,
				sizeof(lowat)));
	ASSERT_EQ(0, poll(&pfd, 1, 0));
	SEND(PAGE);
	ASSERT_EQ(0, poll(&pfd, 1, QUIET_MS));
	SEND(2 * PAGE);
	ASSERT_EQ(1, poll(&pfd, 1, LOST_MS));
	RECEIVE_ALL();
	ASSERT_EQ(0, poll(&pfd, 1, 0));
	SEND(2 * PAGE);
	ASSERT_EQ(0, poll(&pfd, 1, QUIET_MS));
	RECEIVE_ALL();
	ASSERT_EQ(0, poll(&pfd, 1, QUIET_MS));
}

NOTIF_TEST_MAIN
