// SPDX-License-Identifier: GPL-2.0
/* What has been delivered makes room for the sender, mapped or not. */
#include <pthread.h>

#include "vsockpair.h"

#define ROOM	(256U << 10)	/* what is queued unless one asks for more */

FIXTURE_VARIANT_ADD(vsock, stream) { .type = SOCK_STREAM };
FIXTURE_VARIANT_ADD(vsock, seqpacket) { .type = SOCK_SEQPACKET };

struct sending {
	int fd;
	const char *data;
	size_t len;
};

static void *send_all(void *arg)
{
	struct sending *all = arg;
	size_t done = 0;

	while (done < all->len) {
		size_t len = all->len - done;
		ssize_t n = send(all->fd, all->data + done,
				 len < MAX_PACKET ? len : MAX_PACKET, 0);

		if (n <= 0)
			return all;
		done += n;
	}
	return NULL;
}

/* A mapping of eight times what may be queued is filled, and nothing let go of. */
TEST_F(vsock, vsock_08_sender_continues_while_mapped)
{
	struct sending all = { .data = self->sent, .len = 7 * ROOM };
	struct pollfd pfd = { .events = POLLIN };
	unsigned int page = 0;
	pthread_t thread;
	void *ret;
	int rx;

	ASSERT_EQ(0, vsock_pair_of(variant->type, ROOM, &all.fd, &rx));
	ASSERT_EQ(0, vsock_opt_in(rx));
	close_connection(self);
	self->rx = rx;
	self->tx = all.fd;
	self->map = map_socket(rx, MAP_LEN);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
	ASSERT_EQ(0, pthread_create(&thread, NULL, send_all, &all));
	pfd.fd = rx;
	while (self->rx_at < all.len) {
		struct vsock_map_rx arg;

		ASSERT_EQ(1, poll(&pfd, 1, LOST_MS))
			TH_LOG("the sender stopped after %zu bytes",
			       self->rx_at);
		ASSERT_EQ(0, map_rx(rx, self->map + page * PAGE, 0,
				    VSOCK_MAP_RX_CLEAN, &arg));
		if (!arg.length)
			continue;
		gather(_metadata, self->map + page * PAGE, &arg, self->got);
		ASSERT_EQ(0, memcmp(self->got, self->sent + self->rx_at,
				    arg.length));
		self->rx_at += arg.length;
		page += 1 + arg.pages;
	}
	ASSERT_EQ(0, pthread_join(thread, &ret));
	ASSERT_EQ(NULL, ret);
}

/* Send pages until no more are taken; a while, as credit comes by a worker. */
static unsigned int send_pages(int fd, const char *data)
{
	unsigned int nr = 0, quiet_ms = 0;

	while (quiet_ms < 300) {
		if (send(fd, data, PAGE, MSG_DONTWAIT) == (ssize_t)PAGE) {
			nr++;
			quiet_ms = 0;
			continue;
		}
		sleep_ms(10);
		quiet_ms += 10;
	}
	return nr;
}

/* After the same was received, the same can be sent; and nothing is unsent. */
TEST_F(vsock, vsock_08_credit_as_recv)
{
	static const unsigned int take[] = { 1, 2, 8, 16, 48, 60, 40 };
	int tx, rx, unsent[2];
	unsigned int i, n;
	char *map;

	ASSERT_EQ(0, vsock_pair_of(variant->type, ROOM, &tx, &rx));
	close_connection(self);
	ASSERT_EQ(0, vsock_pair_of(variant->type, ROOM, &self->tx, &self->rx));
	ASSERT_EQ(0, vsock_opt_in(self->rx));
	map = map_socket(self->rx, MAP_LEN);
	ASSERT_NE(MAP_FAILED, (void *)map);
	self->map = map;
	ASSERT_EQ(ROOM / PAGE, send_pages(tx, self->sent));
	ASSERT_EQ(ROOM / PAGE, send_pages(self->tx, self->sent));
	for (i = 0; i < ARRAY_SIZE(take); i++) {
		unsigned int room[2], there = queued(rx) / PAGE;

		/* a stream's receiver lets it run low before it says so */
		ASSERT_EQ((int)(there * PAGE), queued(self->rx));
		if (there > take[i])
			there = take[i];
		for (n = 0; n < there; n++)
			ASSERT_EQ((ssize_t)PAGE, recv(rx, self->got, PAGE, 0));
		for (n = 0; n < there; n++) {
			ASSERT_EQ(0, map_rx(self->rx, map, 2 * PAGE, 0,
					    &self->arg));
			ASSERT_EQ(PAGE, self->arg.length);
		}
		room[0] = send_pages(tx, self->sent);
		room[1] = send_pages(self->tx, self->sent);
		ASSERT_EQ(room[0], room[1])
			TH_LOG("after %u pages", there);
	}
	ASSERT_EQ(0, ioctl(tx, SIOCOUTQ, &unsent[0]));
	ASSERT_EQ(0, ioctl(self->tx, SIOCOUTQ, &unsent[1]));
	ASSERT_EQ(unsent[0], unsent[1]);
	close(tx);
	close(rx);
}

/* Pages that come one by one may be put together, yet never hold back half a buffer. */
TEST_F(vsock, vsock_08_credit_of_a_small_buffer)
{
	const unsigned int room = 8;
	unsigned int i;

	close_connection(self);
	ASSERT_EQ(0, vsock_pair_of(variant->type, room * PAGE, &self->tx,
				   &self->rx));
	ASSERT_EQ(0, vsock_opt_in(self->rx));
	self->map = map_socket(self->rx, MAP_LEN);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
	ASSERT_EQ(room, send_pages(self->tx, self->sent));
	for (i = 0; i < room; i++) {
		unsigned int page;

		for (page = 0; page < room / 4; page++) {
			ASSERT_EQ(0, map_rx(self->rx, self->map, 2 * PAGE, 0,
					    &self->arg));
			ASSERT_EQ(PAGE, self->arg.length);
		}
		ASSERT_LE(1, send_pages(self->tx, self->sent))
			TH_LOG("%u of %u pages are free", room / 4, room);
	}
}

/* recv(), MSG_PEEK and this call count the same bytes. */
TEST_F(vsock, vsock_02_after_partial_recv)
{
	unsigned int i;

	if (variant->type != SOCK_STREAM)
		SKIP(return, "recv() takes a whole message");
	for (i = 0; i < 24; i++) {
		SEND(5 * PAGE);
		RECV(1 + i * 700);
		ASSERT_EQ(100, recv(self->rx, self->got, 100, MSG_PEEK));
		ASSERT_EQ(0, memcmp(self->got, self->sent + self->rx_at, 100));
		RECEIVE_ALL();
		/* the rest of a page is copied, the others needn't be */
		ASSERT_GE(PAGE, self->arg.copied);
	}
}

/* A window that is too small takes whole pages of a packet, in turn with recv(). */
TEST_F(vsock, vsock_02_parts_of_a_packet)
{
	if (variant->type != SOCK_STREAM)
		SKIP(return, "a message is never taken in parts");
	SEND(16 * PAGE);
	receive_at(_metadata, self, self->map, 4 * PAGE, 0);
	ASSERT_EQ(3 * PAGE, self->arg.length);
	ASSERT_EQ(0, self->arg.copied);
	RECV(PAGE / 2);
	receive_at(_metadata, self, self->map, 4 * PAGE, 0);
	ASSERT_LT(0, self->arg.length);
	RECV(PAGE);
	RECEIVE_ALL();
}

/* What MSG_PEEK has seen is mapped all the same, and isn't there twice. */
TEST_F(vsock, vsock_02_after_peek)
{
	SEND(3 * PAGE);
	ASSERT_EQ((ssize_t)(3 * PAGE), recv(self->rx, self->got, QUEUE_LEN,
					    MSG_PEEK));
	RECEIVE_ALL();
	ASSERT_EQ(0, self->arg.copied);
	ASSERT_EQ(-1, recv(self->rx, self->got, 1, MSG_DONTWAIT | MSG_PEEK));
	ASSERT_EQ(EAGAIN, errno);
}

NOTIF_TEST_MAIN
