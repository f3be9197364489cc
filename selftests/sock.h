/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pairs of sockets over the links that net.sh sets up, and data whose way
 * through them can be checked.
 */
#ifndef NOTIF_TEST_SOCK_H
#define NOTIF_TEST_SOCK_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum net_link { NET_LO, NET_VETH, NET_NIC, NET_DUMMY };

static const struct {
	const char *name;
	const char *ns_tx, *ns_rx;
	const char *tx4, *rx4;
	const char *tx6, *rx6;
} net_links[] = {
	[NET_LO] = { "loopback", NULL, NULL,
		     "127.0.0.1", "127.0.0.1", "::1", "::1" },
	[NET_VETH] = { "veth", "a", "b",
		       "10.1.0.1", "10.1.0.2", "fd01::1", "fd01::2" },
	[NET_NIC] = { "e1000e", "a", "b",
		      "10.2.0.1", "10.2.0.2", "fd02::1", "fd02::2" },
	/* nobody is behind a dummy device */
	[NET_DUMMY] = { "dummy", "a", NULL,
			"10.3.0.1", "10.3.0.2", "fd03::1", "fd03::2" },
};

/* A sender, its receiver (-1 behind a dummy), and the receiver's address. */
struct pair {
	int tx, rx;
	struct sockaddr_storage to;
	socklen_t to_len;
};

/* What a pair_open() is asked for, other than the usual. */
struct pair_opts {
	bool unconnected;	/* UDP: the sender gives an address each time */
	bool unread;		/* TCP: most of what is sent stays at the sender
				 * until the receiver reads
				 */
	bool full;		/* TCP: small buffers on both sides */
};

static inline int setsockopt_int(int fd, int level, int name, int val)
{
	return setsockopt(fd, level, name, &val, sizeof(val)) ? -errno : 0;
}

/* A socket of the network namespace @ns, or of ours; -ENODEV without it. */
static inline int socket_in(const char *ns, int family, int type)
{
	char path[64];
	int here, there, fd, err;

	if (!ns)
		return socket(family, type, 0);
	snprintf(path, sizeof(path), "/run/netns/%s", ns);
	there = open(path, O_RDONLY);
	if (there < 0)
		return -ENODEV;
	here = open("/proc/self/ns/net", O_RDONLY);
	fd = setns(there, CLONE_NEWNET) ? -1 : socket(family, type, 0);
	err = fd < 0 ? -errno : 0;
	if (setns(here, CLONE_NEWNET))
		abort();
	close(here);
	close(there);
	return err ?: fd;
}

static inline socklen_t make_addr(struct sockaddr_storage *ss, int family,
				  const char *addr, int port)
{
	struct sockaddr_in *in = (void *)ss;
	struct sockaddr_in6 *in6 = (void *)ss;

	memset(ss, 0, sizeof(*ss));
	ss->ss_family = family;
	if (family == AF_INET) {
		in->sin_port = htons(port);
		inet_pton(family, addr, &in->sin_addr);
		return sizeof(*in);
	}
	in6->sin6_port = htons(port);
	inet_pton(family, addr, &in6->sin6_addr);
	return sizeof(*in6);
}

/* A socket bound to @addr; -ENODEV if the link is not there. */
static inline int bound_socket(const char *ns, int family, int type,
			       const char *addr)
{
	struct sockaddr_storage ss;
	socklen_t len = make_addr(&ss, family, addr, 0);
	int fd = socket_in(ns, family, type);
	int err;

	if (fd < 0)
		return fd;
	if (!bind(fd, (struct sockaddr *)&ss, len))
		return fd;
	err = errno == EADDRNOTAVAIL ? -ENODEV : -errno;
	close(fd);
	return err;
}

static inline void size_buffers(int tx, int rx, const struct pair_opts *opts)
{
	int snd = opts->full ? 32 << 10 : 8 << 20;
	int rcv = opts->full || opts->unread ? 64 << 10 : 4 << 20;

	setsockopt_int(tx, SOL_SOCKET, SO_SNDBUFFORCE, snd);
	setsockopt_int(rx, SOL_SOCKET, SO_RCVBUFFORCE, rcv);
}

static inline int pair_connect(struct pair *p, int type,
			       const struct pair_opts *opts)
{
	int fd;

	if (type == SOCK_STREAM && listen(p->rx, 1))
		return -errno;
	if (!opts->unconnected &&
	    connect(p->tx, (struct sockaddr *)&p->to, p->to_len))
		return -errno;
	if (type != SOCK_STREAM)
		return 0;
	fd = accept(p->rx, NULL, NULL);
	if (fd < 0)
		return -errno;
	close(p->rx);
	p->rx = fd;
	return setsockopt_int(p->tx, IPPROTO_TCP, TCP_NODELAY, 1);
}

static inline void pair_close(struct pair *p)
{
	if (p->tx >= 0)
		close(p->tx);
	if (p->rx >= 0)
		close(p->rx);
	p->tx = -1;
	p->rx = -1;
}

static inline int pair_open_dummy(struct pair *p, int family)
{
	bool v4 = family == AF_INET;

	p->rx = -1;
	p->to_len = make_addr(&p->to, family, v4 ? net_links[NET_DUMMY].rx4 :
			      net_links[NET_DUMMY].rx6, 9);
	p->tx = bound_socket(net_links[NET_DUMMY].ns_tx, family, SOCK_DGRAM,
			     v4 ? net_links[NET_DUMMY].tx4 :
			     net_links[NET_DUMMY].tx6);
	if (p->tx < 0)
		return p->tx;
	setsockopt_int(p->tx, SOL_SOCKET, SO_SNDBUFFORCE, 8 << 20);
	return connect(p->tx, (struct sockaddr *)&p->to, p->to_len) ? -errno : 0;
}

/* Connect two sockets over @link; -ENODEV if net.sh has not set it up. */
static inline int pair_open(struct pair *p, enum net_link link, int family,
			    int type, struct pair_opts opts)
{
	bool v4 = family == AF_INET;
	struct timeval tv = { .tv_sec = 15 };
	int ret;

	if (link == NET_DUMMY)
		return pair_open_dummy(p, family);
	p->rx = -1;
	p->tx = bound_socket(net_links[link].ns_tx, family, type,
			     v4 ? net_links[link].tx4 : net_links[link].tx6);
	if (p->tx < 0)
		return p->tx;
	p->rx = bound_socket(net_links[link].ns_rx, family, type,
			     v4 ? net_links[link].rx4 : net_links[link].rx6);
	if (p->rx < 0) {
		ret = p->rx;
		pair_close(p);
		return ret;
	}
	size_buffers(p->tx, p->rx, &opts);
	p->to_len = sizeof(p->to);
	getsockname(p->rx, (struct sockaddr *)&p->to, &p->to_len);
	ret = pair_connect(p, type, &opts);
	/* what has not arrived by then is lost */
	setsockopt(p->rx, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	return ret;
}

/* Bytes that depend on their place, so that none can take another's. */
static inline void fill_pattern(void *buf, size_t len, unsigned int seed)
{
	unsigned char *p = buf;
	unsigned int x = seed * 2654435761u + 1;

	while (len--) {
		x = x * 1103515245u + 12345;
		*p++ = x >> 16;
	}
}

/*
 * Read @len bytes (of a stream, or of as many datagrams) and compare:
 * 0, -ETIME when they do not come, -EILSEQ when they are not @want.
 */
static inline int receive_and_compare(int fd, const void *want, size_t len)
{
	char *got = malloc(len);
	size_t done = 0;
	int ret = 0;

	while (done < len) {
		ssize_t n = recv(fd, got + done, len - done, 0);

		/* a ring's work is a signal to a read with a time limit */
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			ret = n && errno == EAGAIN ? -ETIME : n ? -errno : -EPIPE;
			break;
		}
		done += n;
	}
	if (!ret && memcmp(got, want, len))
		ret = -EILSEQ;
	free(got);
	return ret;
}

/*
 * Send on a TCP socket whose receiver does not read until it takes no more.
 * That can seem so for a while: the peer's window opens again for a probe or
 * two. Returns how many bytes (of value 0) it took.
 */
static inline size_t fill_socket(int fd)
{
	static const char zeroes[4096];
	int quiet_ms = 0;
	size_t len = 0;

	while (quiet_ms < 1000) {
		ssize_t n = send(fd, zeroes, sizeof(zeroes), MSG_DONTWAIT);

		if (n > 0) {
			len += n;
			quiet_ms = 0;
			continue;
		}
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
		quiet_ms += 20;
	}
	return len;
}

/* Read @len bytes of zero. */
static inline int drain_socket(int fd, size_t len)
{
	char *want = calloc(1, len);
	int ret = receive_and_compare(fd, want, len);

	free(want);
	return ret;
}

#endif
