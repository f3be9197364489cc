// SPDX-License-Identifier: GPL-2.0
/*
 * Changes the network while others use it: queueing disciplines that delay, lose,
 * repeat and reorder, links that go down, MTUs, packet taps, MTU probing. The
 * loopback device only delays: there nothing is ever lost.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "../selftests/netem.h"
#include "rnd.h"
#include "stress.h"

#define NR_TAPS	3

static const char * const namespaces[] = { "a", "b" };

/* The NICs of both namespaces, from run.sh; NULL without. */
static const char *nic(unsigned int side)
{
	const char *name = getenv(side ? "NIC_B" : "NIC_A");

	return name && *name ? name : NULL;
}

/* A device of a namespace; now and then a NIC, where it takes long. */
static const char *device(struct rnd *rnd, unsigned int side)
{
	bool is_nic = rnd_one_in(rnd, 3);

	return is_nic && nic(side) ? nic(side) : side ? "vb" : "va";
}

static void __printf(1, 2) run(const char *fmt, ...)
{
	char cmd[256] = "exec >/dev/null 2>&1; ";
	size_t begun = strlen(cmd);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd + begun, sizeof(cmd) - begun, fmt, ap);
	va_end(ap);
	/* without tc, netem or the link there is less to test */
	if (system(cmd) < 0)
		wrong("there is no shell: %m");
}

/* Sleep, but not into the next phase. */
static void sleep_within(unsigned int ms)
{
	__u64 end = now_ms() + ms;

	while (phase() == PHASE_RUN && now_ms() < end)
		sleep_ms(10);
}

static void do_netem(struct rnd *rnd)
{
	static const char * const ways[] = {
		"delay 20ms", "delay 5ms 5ms", "delay 200ms", "loss 2%", "loss 15%",
		"duplicate 20%", "delay 10ms reorder 25% 50%",
		"delay 3ms 2ms loss 5% duplicate 5%", "limit 3 delay 30ms",
		"rate 20mbit",
	};
	unsigned int side = rnd_below(rnd, 2), way = rnd_below(rnd, 10);
	const char *dev = device(rnd, side);

	if (rnd_one_in(rnd, 3))
		run("tc -n %s qdisc del dev %s root", namespaces[side], dev);
	else
		run("tc -n %s qdisc replace dev %s root netem %s",
		    namespaces[side], dev, ways[way]);
}

static void do_loopback(struct rnd *rnd)
{
	unsigned int ms = rnd_below(rnd, 40);

	if (ms < 10)
		run("tc qdisc del dev lo root");
	else
		run("tc qdisc replace dev lo root netem limit 100000 delay %ums",
		    ms);
}

static void do_down(struct rnd *rnd)
{
	unsigned int side = rnd_below(rnd, 2), ms = rnd_between(rnd, 10, 700);
	const char *dev = device(rnd, side);

	run("ip -n %s link set dev %s down", namespaces[side], dev);
	sleep_within(ms);
	run("ip -n %s link set dev %s up", namespaces[side], dev);
}

static void set_mtu(bool of_nics, unsigned int mtu)
{
	unsigned int side;

	for (side = 0; side < 2; side++) {
		const char *dev = of_nics ? nic(side) : side ? "vb" : "va";

		if (dev)
			run("ip -n %s link set dev %s mtu %u", namespaces[side],
			    dev, mtu);
	}
}

static void do_mtu(struct rnd *rnd)
{
	/* IPv6 wants 1280 */
	static const unsigned int mtus[] = { 1280, 1500, 1500, 4000, 9000, 65535 };
	bool of_nics = rnd_one_in(rnd, 4);

	set_mtu(of_nics, mtus[rnd_below(rnd, of_nics ? 5 : 6)]);
}

/* The namespaces of all senders. */
static void set_mtu_probing(unsigned int how)
{
	run("echo %u >/proc/sys/net/ipv4/tcp_mtu_probing", how);
	run("ip netns exec a sh -c 'echo %u >/proc/sys/net/ipv4/tcp_mtu_probing'",
	    how);
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

void chaos_restore(void)
{
	unsigned int side;

	run("tc qdisc del dev lo root");
	for (side = 0; side < 2; side++) {
		const char *dev = nic(side);

		run("tc -n %s qdisc del dev v%s root", namespaces[side],
		    namespaces[side]);
		run("ip -n %s link set dev v%s up", namespaces[side],
		    namespaces[side]);
		if (!dev)
			continue;
		run("tc -n %s qdisc del dev %s root", namespaces[side], dev);
		run("ip -n %s link set dev %s up", namespaces[side], dev);
	}
	set_mtu(false, 1500);
	set_mtu(true, 1500);
	set_mtu_probing(0);
}

int chaos_main(void)
{
	int taps[NR_TAPS] = { -1, -1, -1 };
	struct rnd rnd;
	__u64 op;

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
		sleep_within(rnd_between(&rnd, 20, 600));
	}
	for (op = 0; op < NR_TAPS; op++)
		if (taps[op] >= 0)
			close(taps[op]);
	chaos_restore();
	return 0;
}
