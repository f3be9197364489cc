/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What can come between a sender and its receiver: a queueing discipline that
 * delays or drops on the sender's device, and a tap that reads along there.
 */
#ifndef NOTIF_TEST_NETEM_H
#define NOTIF_TEST_NETEM_H

#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sys/ioctl.h>

#include "sock.h"

/* The sender's device of @link; -ENODEV if net.sh has not set it up. */
static inline int link_device(enum net_link link, struct ifreq *dev)
{
	struct sockaddr_storage addr;
	struct ifreq all[8];
	struct ifconf conf = { .ifc_len = sizeof(all), .ifc_req = all };
	int fd = socket_in(net_links[link].ns_tx, AF_INET, SOCK_DGRAM);
	int ret = -ENODEV, i;

	if (fd < 0)
		return fd;
	make_addr(&addr, AF_INET, net_links[link].tx4, 0);
	ioctl(fd, SIOCGIFCONF, &conf);
	for (i = 0; i < conf.ifc_len / (int)sizeof(all[0]); i++) {
		if (memcmp(&all[i].ifr_addr, &addr, sizeof(struct sockaddr)))
			continue;
		*dev = all[i];
		ret = 0;
	}
	close(fd);
	return ret;
}

/*
 * Have the sender's device of @link treat what it sends as netem's @args say;
 * NULL: as before. Nonzero without tc, netem, or the link.
 */
static inline int set_netem(enum net_link link, const char *args)
{
	struct ifreq dev;
	char cmd[200];

	if (link_device(link, &dev))
		return -ENODEV;
	snprintf(cmd, sizeof(cmd), "tc -n %s qdisc %s dev %s root %s%s 2>/dev/null",
		 net_links[link].ns_tx, args ? "replace" : "del", dev.ifr_name,
		 args ? "netem " : "", args ?: "");
	return system(cmd);
}

/* A socket that gets a copy of whatever the sender's device of @link sends. */
static inline int tap_open(enum net_link link)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET };
	struct ifreq dev;
	int fd;

	if (link_device(link, &dev))
		return -ENODEV;
	fd = socket_in(net_links[link].ns_tx, AF_PACKET, SOCK_DGRAM);
	if (fd < 0)
		return fd;
	setsockopt_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20);
	/* none of what the NIC sent before the socket is bound to it */
	ioctl(fd, SIOCGIFINDEX, &dev);
	ll.sll_ifindex = dev.ifr_ifindex;
	ll.sll_protocol = htons(ETH_P_ALL);
	if (!bind(fd, (struct sockaddr *)&ll, sizeof(ll)))
		return fd;
	close(fd);
	return -errno;
}

/*
 * The next packet of the tap that goes to @port and has data: how much of it,
 * in @buf from *@data on, and the sequence number if it is TCP. 0 if there is
 * none, -ENOBUFS if the tap has missed any.
 */
static inline ssize_t tap_next(int fd, int port, char *buf, size_t size,
			       char **data, __u32 *seq)
{
	struct tpacket_stats lost = {};
	socklen_t len = sizeof(lost);
	struct sockaddr_ll from;
	socklen_t from_len = sizeof(from);
	ssize_t n;

	while ((n = recvfrom(fd, buf, size, MSG_DONTWAIT, (struct sockaddr *)&from,
			     &from_len)) > 0) {
		struct iphdr *ip = (void *)buf;
		struct tcphdr *tcp = (void *)(buf + ip->ihl * 4);
		char *end = buf + ntohs(ip->tot_len);

		if (from.sll_pkttype != PACKET_OUTGOING || ip->version != 4 ||
		    ntohs(tcp->dest) != port)
			continue;
		*seq = ntohl(tcp->seq);
		*data = (char *)tcp + (ip->protocol == IPPROTO_UDP ?
				       sizeof(struct udphdr) : tcp->doff * 4U);
		if (end > *data)
			return end - *data;
	}
	getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &lost, &len);
	return lost.tp_drops ? -ENOBUFS : 0;
}

/* The sequence number of the next byte that a TCP socket is given. */
static inline __u32 tcp_next_seq(int fd)
{
	socklen_t len = sizeof(__u32);
	__u32 seq = 0;

	setsockopt_int(fd, IPPROTO_TCP, TCP_REPAIR, 1);
	setsockopt_int(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE);
	getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &seq, &len);
	/* without the window probe that 0 means */
	setsockopt_int(fd, IPPROTO_TCP, TCP_REPAIR, -1);
	return seq;
}

#endif
