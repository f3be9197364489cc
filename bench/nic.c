// SPDX-License-Identifier: GPL-2.0
/*
 * The e1000e pair, which a relay receives from: frames of the size of its segments,
 * each for itself. What GRO makes of a few that come together depends on the clock.
 */
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include <linux/ethtool.h>
#include <linux/sockios.h>

#include "bench.h"
#include "../selftests/sock.h"

#define MTU		1500
/* IP, TCP, and its time stamps */
#define HEADERS		52
#define DEVICES		32
#define WAIT_MS		10000

/* The device that has an address, among those that @fd sees. */
static void find_device(int fd, const char *addr, struct ifreq *ifr)
{
	struct in_addr want;
	int i;

	inet_pton(AF_INET, addr, &want);
	for (i = 1; i < DEVICES; i++) {
		memset(ifr, 0, sizeof(*ifr));
		ifr->ifr_ifindex = i;
		if (ioctl(fd, SIOCGIFNAME, ifr) || ioctl(fd, SIOCGIFADDR, ifr))
			continue;
		if (!memcmp(&((struct sockaddr_in *)&ifr->ifr_addr)->sin_addr,
			    &want, sizeof(want)))
			return;
	}
	fail("no NIC has the address %s; net.sh gives it", addr);
}

static int open_device(const char *ns, const char *addr, struct ifreq *ifr)
{
	int fd = socket_in(ns, AF_INET, SOCK_DGRAM);

	if (fd < 0)
		fail("socket: %s", strerror(-fd));
	find_device(fd, addr, ifr);
	return fd;
}

static void wait_running(int fd, struct ifreq *ifr)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	int i;

	for (i = 0; i < WAIT_MS; i++) {
		if (ioctl(fd, SIOCGIFFLAGS, ifr))
			fail("the flags of %s: %m", ifr->ifr_name);
		if (ifr->ifr_flags & IFF_RUNNING)
			return;
		nanosleep(&ms, NULL);
	}
	fail("%s has no link", ifr->ifr_name);
}

static void set_mtu(int fd, struct ifreq *ifr, int mtu)
{
	if (ioctl(fd, SIOCGIFMTU, ifr))
		fail("the MTU of %s: %m", ifr->ifr_name);
	if (ifr->ifr_mtu == mtu)
		return;
	ifr->ifr_mtu = mtu;
	if (ioctl(fd, SIOCSIFMTU, ifr))
		fail("an MTU of %d: %m", mtu);
}

static void no_gro(int fd, struct ifreq *ifr)
{
	struct ethtool_value gro = { .cmd = ETHTOOL_SGRO };

	ifr->ifr_data = (void *)&gro;
	if (ioctl(fd, SIOCETHTOOL, ifr))
		fail("GRO of %s: %m", ifr->ifr_name);
}

/* To change the MTU takes the link down on both sides. */
void nic_open(unsigned int segment)
{
	const char * const ns[] = {
		net_links[NET_NIC].ns_tx, net_links[NET_NIC].ns_rx
	};
	const char * const addr[] = {
		net_links[NET_NIC].tx4, net_links[NET_NIC].rx4
	};
	const int mtu = segment + HEADERS > MTU ? segment + HEADERS : MTU;
	struct ifreq ifr[2];
	int fd[2], i;

	for (i = 0; i < 2; i++) {
		fd[i] = open_device(ns[i], addr[i], &ifr[i]);
		set_mtu(fd[i], &ifr[i], mtu);
		no_gro(fd[i], &ifr[i]);
	}
	for (i = 0; i < 2; i++) {
		wait_running(fd[i], &ifr[i]);
		close(fd[i]);
	}
}
