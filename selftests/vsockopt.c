// SPDX-License-Identifier: GPL-2.0
/* Who has opted in to receiving on vsock without a copy, and what a call's arguments may be. */
#include "vsockpair.h"

FIXTURE_VARIANT_ADD(vsock, stream) { .type = SOCK_STREAM };
FIXTURE_VARIANT_ADD(vsock, seqpacket) { .type = SOCK_SEQPACKET };

/* A struct that a later kernel has made longer. */
struct longer {
	struct vsock_map_rx arg;
	__u64 more[2];
};

static int map_rx_raw(int fd, void *arg, socklen_t *len)
{
	return getsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_MAP_RX, arg, len) ?
	       -errno : 0;
}

TEST_F(vsock, vsock_01_not_opted_in)
{
	int tx, rx;

	ASSERT_EQ(0, vsock_pair(variant->type, &tx, &rx));
	ASSERT_EQ(0, vsock_opted_in(rx));
	ASSERT_EQ(MAP_FAILED, (void *)map_socket(rx, 2 * PAGE));
	ASSERT_EQ(ENODEV, errno);
	ASSERT_EQ(-EOPNOTSUPP, map_rx(rx, self->map, 0, 0, &self->arg));
	/* the peer's choice is its own */
	ASSERT_EQ(1, vsock_opted_in(self->rx));
	ASSERT_EQ(0, vsock_opted_in(self->tx));
	ASSERT_EQ(5000, send(tx, self->sent, 5000, 0));
	ASSERT_EQ(5000, recv(rx, self->got, QUEUE_LEN, 0));
	ASSERT_EQ(0, memcmp(self->got, self->sent, 5000));
	close(tx);
	close(rx);
}

TEST_F(vsock, vsock_01_inherited)
{
	struct sockaddr_vm to;
	int listener = vsock_listen(variant->type, QUEUE_LEN, &to);
	int tx, rx;

	ASSERT_LE(0, listener);
	ASSERT_EQ(0, vsock_opt_in(listener));
	tx = vsock_connect(variant->type, QUEUE_LEN, &to);
	ASSERT_LE(0, tx);
	rx = accept(listener, NULL, NULL);
	ASSERT_LE(0, rx);
	ASSERT_EQ(1, vsock_opted_in(rx));
	ASSERT_EQ(0, vsock_opted_in(tx));
	close_connection(self);
	close(listener);
	self->tx = tx;
	self->rx = rx;
	self->map = map_socket(rx, MAP_LEN);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
	SEND(3 * PAGE);
	RECEIVE_ALL();
	ASSERT_EQ(0, self->arg.copied);
}

TEST_F(vsock, vsock_01_value)
{
	const __u64 two = 2, one = 1;
	__u64 value = 7;
	socklen_t len = 4;

	ASSERT_EQ(-1, setsockopt(self->rx, AF_VSOCK, SO_VM_SOCKETS_ZEROCOPY,
				 &two, sizeof(two)));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(-1, setsockopt(self->rx, AF_VSOCK, SO_VM_SOCKETS_ZEROCOPY,
				 &one, 4));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(-1, setsockopt(self->rx, AF_VSOCK, SO_VM_SOCKETS_ZEROCOPY,
				 NULL, sizeof(one)));
	ASSERT_EQ(EFAULT, errno);
	ASSERT_EQ(-1, getsockopt(self->rx, AF_VSOCK, SO_VM_SOCKETS_ZEROCOPY,
				 &value, &len));
	ASSERT_EQ(EINVAL, errno);
	/* twice is no error */
	ASSERT_EQ(0, vsock_opt_in(self->rx));
	ASSERT_EQ(1, vsock_opted_in(self->rx));
}

/* And out again: mappings that there are stay, and what is in them. */
TEST_F(vsock, vsock_01_opt_out)
{
	const __u64 zero = 0;

	SEND(3 * PAGE);
	RECEIVE_ALL();
	SEND(4 * PAGE);
	ASSERT_EQ(0, setsockopt(self->rx, AF_VSOCK, SO_VM_SOCKETS_ZEROCOPY,
				&zero, sizeof(zero)));
	ASSERT_EQ(0, vsock_opted_in(self->rx));
	ASSERT_EQ(-EOPNOTSUPP, map_rx(self->rx, self->map, 0, 0, &self->arg));
	ASSERT_EQ(MAP_FAILED, (void *)map_socket(self->rx, 2 * PAGE));
	ASSERT_EQ(ENODEV, errno);
	ASSERT_EQ(0, memcmp(self->map + PAGE, self->sent, 3 * PAGE));
	RECV(4 * PAGE);
	ASSERT_EQ(0, vsock_opt_in(self->rx));
	SEND(5 * PAGE);
	RECEIVE_ALL();
}

/* Before the socket is connected, and what had arrived before it opts in. */
TEST_F(vsock, vsock_01_any_time)
{
	struct sockaddr_vm to;
	int listener = vsock_listen(variant->type, QUEUE_LEN, &to);
	int early = socket(AF_VSOCK, variant->type, 0);
	int peer;

	ASSERT_LE(0, listener);
	ASSERT_EQ(0, vsock_opt_in(early));
	ASSERT_EQ(0, vsock_buffer(early, QUEUE_LEN));
	ASSERT_EQ(0, connect(early, (void *)&to, sizeof(to)));
	peer = accept(listener, NULL, NULL);
	ASSERT_LE(0, peer);
	ASSERT_EQ(2 * PAGE, send(early, self->sent, 2 * PAGE, 0));
	ASSERT_EQ(0, wait_queued(peer, 2 * PAGE));
	ASSERT_EQ(3 * PAGE, send(peer, self->sent, 3 * PAGE, 0));
	ASSERT_EQ(0, wait_queued(early, 3 * PAGE));
	close_connection(self);
	self->tx = peer;
	self->rx = early;
	self->tx_at = 3 * PAGE;
	self->map = map_socket(early, MAP_LEN);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
	RECEIVE_ALL();
	close_connection(self);

	ASSERT_EQ(0, vsock_pair(variant->type, &self->tx, &self->rx));
	self->tx_at = 0;
	self->rx_at = 0;
	SEND(10000);
	ASSERT_EQ(0, vsock_opt_in(self->rx));
	self->map = map_socket(self->rx, MAP_LEN);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
	SEND(10000);
	RECEIVE_ALL();
	close(listener);
}

/* Datagrams have no stream of packets to map, vsock has no transport for them here. */
TEST_F(vsock, vsock_01_connectible_only)
{
	int fd = socket(AF_VSOCK, SOCK_DGRAM, 0);

	if (fd < 0)
		return;
	ASSERT_GT(0, vsock_opt_in(fd));
	close(fd);
}

/* A program of today in a later kernel, and the other way round. */
TEST_F(vsock, vsock_14_sizes_of_the_argument)
{
	struct longer arg = { .arg.address = (unsigned long)self->map };
	socklen_t len;

	SEND(5000);
	for (len = 0; len < 12; len++) {
		socklen_t size = len;

		if (len == 8)	/* an address alone, as the RFC had it */
			continue;
		ASSERT_EQ(-EINVAL, map_rx_raw(self->rx, &arg, &size));
	}
	len = sizeof(arg);
	arg.more[1] = 1;
	ASSERT_EQ(-EINVAL, map_rx_raw(self->rx, &arg, &len));
	arg.more[1] = 0;
	arg.arg.resv[0] = 1;
	ASSERT_EQ(-EINVAL, map_rx_raw(self->rx, &arg, &len));
	arg.arg.resv[0] = 0;
	arg.arg.flags = 1U << 30;
	ASSERT_EQ(-EINVAL, map_rx_raw(self->rx, &arg, &len));
	arg.arg.flags = 0;
	ASSERT_EQ(5000, queued(self->rx));

	ASSERT_EQ(0, map_rx_raw(self->rx, &arg, &len));
	ASSERT_EQ(5000, arg.arg.length);
	ASSERT_EQ(sizeof(arg), len);
	ASSERT_EQ(0, arg.more[0] | arg.more[1]);
	self->rx_at = 5000;
	SEND(6000);
	arg.arg = (struct vsock_map_rx) { .address = (unsigned long)self->map };
	len = offsetof(struct vsock_map_rx, pages);
	ASSERT_EQ(0, map_rx_raw(self->rx, &arg, &len));
	ASSERT_EQ(offsetof(struct vsock_map_rx, pages), len);
	ASSERT_EQ(6000, arg.arg.length);
	ASSERT_EQ(0, arg.arg.headers);
}

/* v2 and v3 of the RFC passed the address and no more. */
TEST_F(vsock, vsock_14_bare_address)
{
	__u64 address = (unsigned long)self->map;
	socklen_t len = sizeof(address);

	SEND(2 * PAGE);
	ASSERT_EQ(0, map_rx_raw(self->rx, &address, &len));
	ASSERT_EQ((unsigned long)self->map, address);
	ASSERT_EQ(2 * PAGE, header(self->map, 0)->length);
	ASSERT_EQ(0, header(self->map, 1)->length);
	ASSERT_EQ(0, memcmp(self->map + PAGE, self->sent, 2 * PAGE));
	ASSERT_EQ(0, queued(self->rx));
}

/* Nothing is taken that the program wouldn't be told of. */
TEST_F(vsock, vsock_14_efault)
{
	struct vsock_map_rx *arg = (void *)map_pages(PAGE);
	socklen_t len = sizeof(*arg);

	SEND(3 * PAGE);
	ASSERT_EQ(-EFAULT, map_rx_raw(self->rx, NULL, &len));
	arg->address = (unsigned long)self->map;
	ASSERT_EQ(0, mprotect(arg, PAGE, PROT_READ));
	ASSERT_EQ(-EFAULT, map_rx_raw(self->rx, arg, &len));
	ASSERT_EQ(3 * PAGE, queued(self->rx));
	RECEIVE_ALL();
	munmap(arg, PAGE);
}

/* Not even the length is written after data was taken: that could fail. */
TEST_F(vsock, vsock_14_length_is_not_written)
{
	static const socklen_t sizes[] = { 8, 12, 40, 48, 56, sizeof(struct longer) };
	socklen_t *len = (void *)map_pages(PAGE);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct longer arg = { .arg.address = (unsigned long)self->map };

		SEND(3 * PAGE);
		*len = sizes[i];
		ASSERT_EQ(0, mprotect(len, PAGE, PROT_READ));
		ASSERT_EQ(0, map_rx_raw(self->rx, &arg, len))
			TH_LOG("an argument of %u bytes", sizes[i]);
		ASSERT_EQ(0, mprotect(len, PAGE, PROT_READ | PROT_WRITE));
		ASSERT_EQ(0, queued(self->rx));
		ASSERT_EQ(0, memcmp(self->map + PAGE, self->sent + self->rx_at,
				    3 * PAGE));
		self->rx_at = self->tx_at;
	}
	munmap(len, PAGE);
}

NOTIF_TEST_MAIN
