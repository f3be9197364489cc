/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sockets whose protocol can't send without copying: made so, or turned into such
 * by the program that has them.
 */
#ifndef NOTIF_TEST_PROTOCOLS_H
#define NOTIF_TEST_PROTOCOLS_H

#include "sock.h"
#include "sockmap.h"

#include <linux/tls.h>

#ifndef TCP_ULP
#define TCP_ULP		31
#endif
#ifndef SOL_TLS
#define SOL_TLS		282
#endif
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP	262
#endif

enum protocol {
	TLS, TLS_KEYS, SOCKMAP, SOCKMAP_UDP, MPTCP, MPTCP_ACCEPTED,
	MPTCP_FALLBACK, MPTCP_ACCEPTED_TCP, SCTP,
};

/* kTLS without keys: from then on it is TLS's to send. */
static inline int set_tls(int fd)
{
	return setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) ?
		-errno : 0;
}

static inline int set_tls_keys(int fd, int direction)
{
	struct tls12_crypto_info_aes_gcm_128 info = {
		.info = { .version = TLS_1_2_VERSION,
			  .cipher_type = TLS_CIPHER_AES_GCM_128 },
		.key = "sixteen bytes ..", .iv = "eight ..", .salt = "four",
	};

	return setsockopt(fd, SOL_TLS, direction, &info, sizeof(info)) ?
		-errno : 0;
}

/*
 * Turn what sends, a TCP socket or a connected UDP one, into one of @protocol.
 * An error of is_missing() if the kernel has no such thing.
 */
static inline int convert(struct pair *p, enum protocol protocol)
{
	int map, ret;

	if (protocol == SOCKMAP || protocol == SOCKMAP_UDP) {
		map = sockmap_create(1);
		/* the socket stays in it, as long as the test has it open */
		return map < 0 ? map : sockmap_put(map, 0, p->tx);
	}
	ret = set_tls(p->tx);
	if (ret || protocol == TLS)
		return ret;
	return set_tls(p->rx) ?: set_tls_keys(p->tx, TLS_TX) ?:
		set_tls_keys(p->rx, TLS_RX);
}

static inline int stream_socket(int protocol)
{
	int fd = socket(AF_INET, SOCK_STREAM, protocol);

	return fd < 0 ? -errno : fd;
}

/* Connect sockets of two protocols over the loopback device. */
static inline int open_protocols(struct pair *p, int tx, int rx)
{
	struct timeval tv = { .tv_sec = 15 };
	int fd, ret = -EIO;

	p->rx = -1;
	p->tx = stream_socket(tx);
	if (p->tx < 0)
		return p->tx;
	p->rx = stream_socket(rx);
	if (p->rx < 0)
		return p->rx;
	p->to_len = make_addr(&p->to, AF_INET, "127.0.0.1", 0);
	if (bind(p->rx, (struct sockaddr *)&p->to, p->to_len) ||
	    listen(p->rx, 1) ||
	    getsockname(p->rx, (struct sockaddr *)&p->to, &p->to_len) ||
	    connect(p->tx, (struct sockaddr *)&p->to, p->to_len))
		goto failed;
	fd = accept(p->rx, NULL, NULL);
	if (fd < 0)
		goto failed;
	close(p->rx);
	p->rx = fd;
	setsockopt(p->rx, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(p->tx, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	return 0;
failed:
	ret = -errno;
	pair_close(p);
	return ret;
}

static inline void pair_turn(struct pair *p)
{
	int tx = p->tx;

	p->tx = p->rx;
	p->rx = tx;
}

static inline int open_protocol(struct pair *p, enum protocol protocol)
{
	int ret;

	switch (protocol) {
	case MPTCP:
		return open_protocols(p, IPPROTO_MPTCP, IPPROTO_MPTCP);
	case MPTCP_ACCEPTED:
		ret = open_protocols(p, IPPROTO_MPTCP, IPPROTO_MPTCP);
		pair_turn(p);
		return ret;
	case MPTCP_FALLBACK:
		return open_protocols(p, IPPROTO_MPTCP, IPPROTO_TCP);
	case MPTCP_ACCEPTED_TCP:
		ret = open_protocols(p, IPPROTO_TCP, IPPROTO_MPTCP);
		pair_turn(p);
		return ret;
	case SCTP:
		return open_protocols(p, IPPROTO_SCTP, IPPROTO_SCTP);
	default:
		return pair_open(p, NET_LO, AF_INET, protocol == SOCKMAP_UDP ?
				 SOCK_DGRAM : SOCK_STREAM, (struct pair_opts){}) ?:
			convert(p, protocol);
	}
}

/* What says that the kernel has been built without it. */
static inline bool is_missing(int ret)
{
	return ret == -ENOENT || ret == -EPROTONOSUPPORT || ret == -EOPNOTSUPP;
}

#endif
