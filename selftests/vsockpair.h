/* SPDX-License-Identifier: GPL-2.0 */
/* A fixture: a connection over loopback, opted in and mapped. */
#ifndef NOTIF_TEST_VSOCKPAIR_H
#define NOTIF_TEST_VSOCKPAIR_H

#include "vsock.h"

FIXTURE(vsock)
{
	int tx, rx;
	char *map;	/* of MAP_LEN bytes, rx's */
	char *sent;	/* QUEUE_LEN bytes, no two pages the same */
	char *got;
	size_t tx_at, rx_at;	/* so much of it was sent, and received */
	struct vsock_map_rx arg;	/* of the last call */
};

FIXTURE_VARIANT(vsock) { int type; };

/* Connected, opted in and mapped; a machine without it skips. */
static inline void open_connection(struct __test_metadata *_metadata,
				   FIXTURE_DATA(vsock) *self, int type)
{
	int ret;

	self->sent = map_pages(QUEUE_LEN);
	self->got = map_pages(QUEUE_LEN);
	ASSERT_NE(NULL, self->sent);
	ASSERT_NE(NULL, self->got);
	fill_pattern(self->sent, QUEUE_LEN, 13);
	ASSERT_EQ(0, vsock_pair(type, &self->tx, &self->rx));
	ret = vsock_opt_in(self->rx);
	if (ret == -ENOPROTOOPT || ret == -EOPNOTSUPP)
		SKIP(return, "this kernel has no CONFIG_VSOCK_MAP_RX");
	ASSERT_EQ(0, ret);
	self->map = map_socket(self->rx, MAP_LEN);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
}

static inline void close_connection(FIXTURE_DATA(vsock) *self)
{
	munmap(self->map, MAP_LEN);
	close(self->tx);
	close(self->rx);
}

FIXTURE_SETUP(vsock)
{
	open_connection(_metadata, self, variant->type);
}

FIXTURE_TEARDOWN(vsock)
{
	close_connection(self);
}

/* The next @len bytes, as one packet (or message) if there's room for it in one. */
static inline void send_next(struct __test_metadata *_metadata,
			     FIXTURE_DATA(vsock) *self, size_t len, int flags)
{
	ASSERT_GE(QUEUE_LEN, self->tx_at + len);
	ASSERT_EQ((ssize_t)len, send(self->tx, self->sent + self->tx_at, len,
				     flags));
	self->tx_at += len;
	ASSERT_EQ(0, wait_queued(self->rx, self->tx_at - self->rx_at));
}

/* What is there now is what was sent. */
static inline void receive_at(struct __test_metadata *_metadata,
			      FIXTURE_DATA(vsock) *self, char *at, size_t len,
			      unsigned int flags)
{
	size_t before = queued(self->rx);

	ASSERT_EQ(0, map_rx(self->rx, at, len, flags, &self->arg));
	/* nothing to receive: with the hint not even an empty header page */
	if (self->arg.length || !(flags & VSOCK_MAP_RX_CLEAN))
		gather(_metadata, at, &self->arg, self->got);
	ASSERT_EQ(0, memcmp(self->got, self->sent + self->rx_at,
			    self->arg.length));
	ASSERT_EQ(before - self->arg.length, self->arg.inq);
	self->rx_at += self->arg.length;
}

/* The same of recv(): so many bytes, or whole messages of @len. */
static inline void recv_next(struct __test_metadata *_metadata,
			     FIXTURE_DATA(vsock) *self, size_t len)
{
	ASSERT_EQ((ssize_t)len, recv(self->rx, self->got, len, 0));
	ASSERT_EQ(0, memcmp(self->got, self->sent + self->rx_at, len));
	self->rx_at += len;
}

#define SEND(_len)	send_next(_metadata, self, _len, 0)
#define RECEIVE()	receive_at(_metadata, self, self->map, 0, 0)
/* All of it, in one call. */
#define RECEIVE_ALL() do {						\
	RECEIVE();							\
	ASSERT_EQ(self->tx_at, self->rx_at);				\
	ASSERT_EQ(0, self->arg.inq);					\
} while (0)
#define RECV(_len)	recv_next(_metadata, self, _len)

#endif
