/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The network devices between senders and receivers, changed without a program
 * for it: starting one takes a second on a slow machine.
 */
#ifndef NOTIF_STRESS_LINK_H
#define NOTIF_STRESS_LINK_H

#include <stdbool.h>

#include <linux/types.h>

#include "../selftests/sock.h"

/* What a queueing discipline does to packets; all zero: nothing. */
struct netem {
	unsigned int delay_us, jitter_us;
	unsigned int loss, duplicate;	/* percent */
	unsigned int reorder;		/* percent that go without delay */
	unsigned int limit;		/* packets; 0: 1000 */
	unsigned int mbit;		/* a second; 0: any */
};

/* One side of a link. */
struct device {
	const char *ns;			/* NULL: ours */
	int socket;			/* for requests; -1: no such device */
	int index;
};

/* The device of @link on the sender's side, or on the other one. */
void device_find(struct device *dev, enum net_link link, bool sender);
void device_close(struct device *dev);
/* -errno; what can't be done is left */
int device_netem(const struct device *dev, const struct netem *how);
int device_up(const struct device *dev, bool up);
int device_mtu(const struct device *dev, unsigned int mtu);

/* Write to a file in the namespace @ns: of /proc/sys/net there is one in each. */
void ns_write(const char *ns, const char *path, const char *text);

#endif
