// SPDX-License-Identifier: GPL-2.0
/*
 * Changes the network while others use it: queueing disciplines that delay, lose,
 * repeat and reorder, links that go down, MTUs, packet taps, MTU probing. The
 * loopback device only delays: there nothing is ever lost.
 */
#include <stdbool.h>
#include <stdio.h>

#include "../selftests/netem.h"
#include "link.h"
#include "rnd.h"
#include "stress.h"

#define NR_TAPS		3
#define KEEP_ADDRESSES	"/proc/sys/net/ipv6/conf/all/keep_addr_on_down"

/* Both sides of the links, and the loopback device last. */
static struct device veth[2], nics[2], loopback;

static void find_devices(void)
{
	unsigned int side;

	for (side = 0; side < 2; side++) {
		device_find(&veth[side], NET_VETH, !side);
		device_find(&nics[side], NET_NIC, !side);
	}
	device_find(&loopback, NET_LO, true);
}

static void forget_devices(void)
{
	unsigned int side;

	for (side = 0; side < 2; side++) {
		device_close(&veth[side]);
		device_close(&nics[side]);
	}
	device_close(&loopback);
}

/* One of them; now and then a NIC, where it takes long. */
static const struct device *any_device(struct rnd *rnd)
{
	unsigned int side = rnd_below(rnd, 2);
	bool is_nic = rnd_one_in(rnd, 4);

	return is_nic && nics[side].socket >= 0 ? &nics[side] : &veth[side];
}

/* Sleep, but not into the next phase. */
static void sleep_within(unsigned int ms)
{
	__u64 end = now_ms() + ms;

	while (phase() == PHASE_RUN && now_ms() < end)
		sleep_ms(POLL_MS);
}

static void do_netem(struct rnd *rnd)
{
	static const struct netem ways[] = {
		{ .delay_us = 20000 },
		{ .delay_us = 5000, .jitter_us = 5000 },
		{ .delay_us = 200000 },
		{ .loss = 2 },
		{ .loss = 15 },
		{ .duplicate = 20 },
		{ .delay_us = 10000, .reorder = 25 },
		{ .delay_us = 3000, .jitter_us = 2000, .loss = 5, .duplicate = 5 },
		{ .delay_us = 30000, .limit = 3 },
		{ .mbit = 20 },
		{},
		{},
	};
	const struct device *dev = any_device(rnd);

	device_netem(dev, &ways[rnd_below(rnd, ARRAY_SIZE(ways))]);
}

static void do_loopback(struct rnd *rnd)
{
	struct netem how = { .delay_us = rnd_below(rnd, 40) * 1000 };

	if (how.delay_us < 10000)
		how.delay_us = 0;
	else
		how.limit = 100000;
	device_netem(&loopback, &how);
}

static void do_down(struct rnd *rnd)
{
	unsigned int ms = rnd_between(rnd, 10, 700);
	const struct device *dev = any_device(rnd);

	device_up(dev, false);
	sleep_within(ms);
	device_up(dev, true);
}

static void do_mtu(struct rnd *rnd)
{
	/* IPv6 wants 1280 */
	static const unsigned int mtus[] = { 1280, 1500, 1500, 4000, 9000, 65535 };
	bool of_nics = rnd_one_in(rnd, 4);
	unsigned int mtu = mtus[rnd_below(rnd, of_nics ? 5 : 6)], side;

	for (side = 0; side < 2; side++)
		device_mtu(of_nics ? &nics[side] : &veth[side], mtu);
}

/* The namespaces of all senders. */
static void set_mtu_probing(unsigned int how)
{
	static const char path[] = "/proc/sys/net/ipv4/tcp_mtu_probing";
	char text[] = { '0' + how, 0 };
	int fd = open(path, O_WRONLY);

	if (fd >= 0 && write(fd, text, 1) < 0)
		errno = 0;
	if (fd >= 0)
		close(fd);
	ns_write("a", path, text);
}

static void do_tap(struct rnd *rnd, int *taps)
{
	static const enum net_link links[] = { NET_LO, NET_VETH, NET_NIC };
	int *tap = &taps[rnd_below(rnd, NR_TAPS)];
	enum net_link link = links[rnd_below(rnd, 3)];

	if (*tap < 0) {
		*tap = tap_open(link);
		if (*tap >= 0)
			setsockopt_int(*tap, SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20);
		return;
	}
	close(*tap);
	*tap = -1;
}

/* Look into some of the packets, and leave the others there. */
static void read_taps(struct rnd *rnd, const int *taps)
{
	static char packet[70000];
	unsigned int i, nr = rnd_below(rnd, 50);

	for (i = 0; i < NR_TAPS * nr; i++)
		if (taps[i % NR_TAPS] >= 0)
			recv(taps[i % NR_TAPS], packet, sizeof(packet),
			     MSG_DONTWAIT);
}

static void restore(void)
{
	static const struct netem none;
	unsigned int side;

	device_netem(&loopback, &none);
	for (side = 0; side < 2; side++) {
		device_netem(&veth[side], &none);
		device_netem(&nics[side], &none);
		device_up(&veth[side], true);
		device_up(&nics[side], true);
		device_mtu(&veth[side], 1500);
		device_mtu(&nics[side], 1500);
	}
	set_mtu_probing(0);
}

void chaos_restore(void)
{
	find_devices();
	restore();
	forget_devices();
}

int chaos_main(void)
{
	int taps[NR_TAPS] = { -1, -1, -1 };
	struct rnd rnd;
	__u64 op;

	find_devices();
	/* a link that goes down would lose its IPv6 addresses */
	ns_write("a", KEEP_ADDRESSES, "1");
	ns_write("b", KEEP_ADDRESSES, "1");
	for (op = 0; phase() == PHASE_RUN; op++) {
		unsigned int what;

		rnd_seed(&rnd, common->seed, me, op);
		what = rnd_below(&rnd, 16);
		if (what < 5)
			do_netem(&rnd);
		else if (what < 7)
			do_loopback(&rnd);
		else if (what < 9)
			do_down(&rnd);
		else if (what < 11)
			do_mtu(&rnd);
		else if (what < 12)
			set_mtu_probing(rnd_below(&rnd, 3));
		else
			do_tap(&rnd, taps);
		read_taps(&rnd, taps);
		count->ops++;
		sleep_within(rnd_between(&rnd, 50, 1000));
	}
	for (op = 0; op < NR_TAPS; op++)
		if (taps[op] >= 0)
			close(taps[op]);
	restore();
	forget_devices();
	return 0;
}
