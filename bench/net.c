// SPDX-License-Identifier: GPL-2.0
/*
 * The sockets of a row, over the links that net.sh makes: UDP to a neighbour on the
 * dummy device, TCP over the veth pair; what a relay takes may come over the NICs.
 * Ports are fixed, and a TCP connection is reset at its end: each row finds the same.
 */
#include <stdbool.h>
#include <stdio.h>

#include <linux/udp.h>

#include "../selftests/sock.h"
#include "bench.h"

#define TX_PORT		8000
#define RX_PORT		9000
#define IN_PORT		7000	/* what is to be relayed */
#define SOCKET_BUFFER	(32 << 20)

/* The sender's namespace is ours from here on. */
void net_enter(void)
{
	int fd = open("/run/netns/a", O_RDONLY);

	if (fd < 0 || setns(fd, CLONE_NEWNET))
		fail("namespace a: %m; net.sh makes it");
	close(fd);
}

static void set(int fd, int level, int name, int val)
{
	if (setsockopt_int(fd, level, name, val))
		fail("setsockopt %d %d: %m", level, name);
}

static int bound(const char *ns, int family, int type, const char *addr,
		 int port)
{
	struct sockaddr_storage ss;
	socklen_t len = make_addr(&ss, family, addr, port);
	int fd = socket_in(ns, family, type);

	if (fd < 0)
		fail("socket: %s", strerror(-fd));
	set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	set(fd, SOL_SOCKET, SO_SNDBUFFORCE, SOCKET_BUFFER);
	set(fd, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BUFFER);
	if (bind(fd, (struct sockaddr *)&ss, len))
		fail("bind: %m");
	return fd;
}

/*
 * TCP compares sequence numbers with one that is 0 until something is lost, so
 * that half of the initial ones, which are random, cost more.
 */
static void fix_sequence(int fd)
{
	set(fd, IPPROTO_TCP, TCP_REPAIR, 1);
	set(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE);
	set(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, 1);
	set(fd, IPPROTO_TCP, TCP_REPAIR, 0);
}

void net_open(struct bench *b)
{
	const bool tcp = b->row->tcp, v6 = b->row->v6;
	const int link = tcp ? NET_VETH : NET_DUMMY;
	const char *from = v6 ? net_links[link].tx6 : net_links[link].tx4;
	const char *to = v6 ? net_links[link].rx6 : net_links[link].rx4;
	const int family = v6 ? AF_INET6 : AF_INET;
	const int type = tcp ? SOCK_STREAM : SOCK_DGRAM;
	struct sockaddr_storage ss;
	socklen_t len = make_addr(&ss, family, to, RX_PORT);
	int listener = -1;

	b->rx = -1;
	if (b->row->sink) {
		b->tx = sink_open();
		return;
	}
	if (tcp) {
		listener = bound(net_links[link].ns_rx, family, type, to, RX_PORT);
		if (listen(listener, 1))
			fail("listen: %m");
	}
	b->tx = bound(NULL, family, type, from, TX_PORT);
	if (tcp)
		fix_sequence(b->tx);
	if (connect(b->tx, (struct sockaddr *)&ss, len))
		fail("connect: %m");
	if (tcp) {
		b->rx = accept(listener, NULL, NULL);
		if (b->rx < 0)
			fail("accept: %m");
		close(listener);
		set(b->tx, IPPROTO_TCP, TCP_NODELAY, 1);
	}
	if (b->row->mode == MSG_ZC)
		set(b->tx, SOL_SOCKET, SO_ZEROCOPY, 1);
	/* each entry of IORING_SEND_ZC_MANY says so itself */
	if (b->row->gso && !b->row->many)
		set(b->tx, IPPROTO_UDP, UDP_SEGMENT, b->row->gso);
}

/* The connection that a relay takes from, and who sends on it. */
void net_open_in(const struct row *row, int *tx, int *rx)
{
	const enum net_link link = row->nic ? NET_NIC : NET_VETH;
	const char *from = row->v6 ? net_links[link].rx6 : net_links[link].rx4;
	const char *to = row->v6 ? net_links[link].tx6 : net_links[link].tx4;
	const int family = row->v6 ? AF_INET6 : AF_INET;
	struct sockaddr_storage ss;
	socklen_t len = make_addr(&ss, family, to, IN_PORT);
	int listener;

	if (row->nic)
		nic_open(row->relay);
	listener = bound(NULL, family, SOCK_STREAM, to, IN_PORT);
	if (listen(listener, 1))
		fail("listen: %m");
	*tx = bound(net_links[link].ns_rx, family, SOCK_STREAM, from, TX_PORT);
	fix_sequence(*tx);
	if (connect(*tx, (struct sockaddr *)&ss, len))
		fail("connect: %m");
	*rx = accept(listener, NULL, NULL);
	if (*rx < 0)
		fail("accept: %m");
	close(listener);
	set(*tx, IPPROTO_TCP, TCP_NODELAY, 1);
}

void net_close(struct bench *b)
{
	struct linger reset = { .l_onoff = 1 };

	if (b->row->tcp)
		setsockopt(b->tx, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(b->tx);
	if (b->rx >= 0)
		close(b->rx);
	if (b->row->sink)
		sink_close();
}

/* How many packets the device of the row has sent. */
unsigned long long net_packets(const struct bench *b)
{
	const char *device = b->row->tcp && !b->row->sink ? "va" : "dummy0";
	unsigned long long packets = 0;
	char line[256], name[16];
	bool found = false;
	FILE *file;

	file = fopen("/proc/self/net/dev", "r");
	if (!file)
		fail("/proc/self/net/dev: %m");
	while (!found && fgets(line, sizeof(line), file))
		found = sscanf(line, " %15[^:]: %*u %*u %*u %*u %*u %*u %*u %*u %*u %llu",
			       name, &packets) == 2 && !strcmp(name, device);
	fclose(file);
	if (!found)
		fail("there is no device %s", device);
	return packets;
}

/* Take what the peer of a TCP connection got of one batch. */
void net_receive(struct bench *b)
{
	static char got[MAX_BYTES];
	size_t left = (size_t)b->row->bytes * b->row->batch;

	while (left) {
		ssize_t n = recv(b->rx, got, left < sizeof(got) ? left : sizeof(got),
				 MSG_DONTWAIT);

		if (n <= 0)
			fail("%zu bytes of a batch did not arrive: %m", left);
		left -= n;
	}
}
