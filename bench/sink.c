// SPDX-License-Identifier: GPL-2.0
/*
 * A TCP connection with nobody at its other end: what is sent goes to the dummy device,
 * which drops it, and one packet of our own says that all of it arrived. So a row has
 * the sender's work only, over a device that copies nothing.
 */
#include <stdio.h>
#include <sys/ioctl.h>

#include <linux/sockios.h>
#include <netinet/ip.h>

#include "bench.h"
#include "../selftests/sock.h"

#define FROM_PORT	8000
#define TO_PORT		9000
#define SEGMENT		1448
#define WINDOW		(64 << 20)
#define WINDOW_SCALE	14
#define FIRST		1	/* the sequence number of the first byte, both ways */
#define SOCKET_BUFFER	(32 << 20)
#define TRIES		1000

/* What says that data arrived. */
union ack {
	struct {
		struct iphdr ip;
		struct tcphdr tcp;
	};
	__u16 words[20];
};

/* From the addresses on TCP's checksum has them. */
#define FIRST_WORD	(offsetof(struct iphdr, saddr) / sizeof(__u16))

static int raw = -1;
static struct sockaddr_in ours, theirs;
static __u32 sent;	/* bytes that were given to the socket */

static void set(int fd, int name, const void *value, socklen_t len)
{
	if (setsockopt(fd, IPPROTO_TCP, name, value, len))
		fail("TCP option %d: %m", name);
}

static void set_int(int fd, int name, int value)
{
	set(fd, name, &value, sizeof(value));
}

/* As both sides have agreed, had there been another. */
static void pretend(int fd)
{
	const struct tcp_repair_opt options[] = {
		{ TCPOPT_MAXSEG, SEGMENT },
		{ TCPOPT_WINDOW, WINDOW_SCALE | WINDOW_SCALE << 16 },
	};
	const struct tcp_repair_window window = {
		.snd_wl1 = FIRST,
		.snd_wnd = WINDOW,
		.max_window = WINDOW,
		.rcv_wnd = WINDOW,
		.rcv_wup = FIRST,
	};

	set(fd, TCP_REPAIR_OPTIONS, options, sizeof(options));
	set(fd, TCP_REPAIR_WINDOW, &window, sizeof(window));
}

static void set_queue(int fd, int queue)
{
	set_int(fd, TCP_REPAIR_QUEUE, queue);
	set_int(fd, TCP_QUEUE_SEQ, FIRST);
}

/* The sender's side of the connection. */
int sink_open(void)
{
	struct sockaddr_storage ss;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	make_addr(&ss, AF_INET, net_links[NET_DUMMY].tx4, FROM_PORT);
	ours = *(struct sockaddr_in *)&ss;
	make_addr(&ss, AF_INET, net_links[NET_DUMMY].rx4, TO_PORT);
	theirs = *(struct sockaddr_in *)&ss;
	raw = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	if (fd < 0 || raw < 0 ||
	    setsockopt_int(fd, SOL_SOCKET, SO_REUSEADDR, 1) ||
	    setsockopt_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, SOCKET_BUFFER) ||
	    bind(fd, (struct sockaddr *)&ours, sizeof(ours)))
		fail("a socket for the dummy device: %m");
	set_int(fd, TCP_MAXSEG, SEGMENT);
	set_int(fd, TCP_REPAIR, TCP_REPAIR_ON);
	set_queue(fd, TCP_SEND_QUEUE);
	set_queue(fd, TCP_RECV_QUEUE);
	if (connect(fd, (struct sockaddr *)&theirs, sizeof(theirs)))
		fail("connect: %m");
	pretend(fd);
	set_int(fd, TCP_REPAIR_QUEUE, TCP_NO_QUEUE);
	set_int(fd, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP);
	set_int(fd, TCP_NODELAY, 1);
	sent = 0;
	return fd;
}

void sink_close(void)
{
	close(raw);
}

static __u16 checksum(const union ack *ack)
{
	__u32 sum = htons(IPPROTO_TCP) + htons(sizeof(ack->tcp));
	unsigned int i;

	for (i = FIRST_WORD; i < sizeof(ack->words) / sizeof(*ack->words); i++)
		sum += ack->words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return ~(sum + (sum >> 16));
}

static void acknowledge(__u32 bytes)
{
	union ack ack = {
		.ip = {
			.ihl = 5,
			.version = 4,
			/* not 0, or the kernel chooses one at random */
			.id = htons(1),
			.ttl = 64,
			.protocol = IPPROTO_TCP,
			.saddr = theirs.sin_addr.s_addr,
			.daddr = ours.sin_addr.s_addr,
		},
		.tcp = {
			.source = theirs.sin_port,
			.dest = ours.sin_port,
			.seq = htonl(FIRST),
			.ack_seq = htonl(FIRST + bytes),
			.doff = sizeof(struct tcphdr) / 4,
			.ack = 1,
			.window = htons(WINDOW >> WINDOW_SCALE),
		},
	};

	ack.tcp.check = checksum(&ack);
	if (sendto(raw, &ack, sizeof(ack), 0, (struct sockaddr *)&ours,
		   sizeof(ours)) != sizeof(ack))
		fail("what says that data arrived was not sent: %m");
}

/* All that was sent arrives. Once TCP's window is open, that takes one packet. */
void sink_receive(int fd, size_t len)
{
	int unsent, left, tries = TRIES;

	sent += len;
	do {
		if (!tries--)
			fail("%d bytes are not acknowledged, %d of them not sent",
			     left, unsent);
		if (ioctl(fd, SIOCOUTQNSD, &unsent))
			fail("ioctl: %m");
		acknowledge(sent - unsent);
		if (ioctl(fd, SIOCOUTQ, &left))
			fail("ioctl: %m");
	} while (left);
}
