// SPDX-License-Identifier: GPL-2.0
/* Links, by rtnetlink. */
#include <linux/if.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "link.h"

/* struct ifreq of linux/if.h, with room for the devices that net.sh makes */
#define MAX_DEVICES	8

struct message {
	struct nlmsghdr head;
	char body[512];
};

static void *message_put(struct message *m, const void *data, size_t len)
{
	char *end = (char *)m + NLMSG_ALIGN(m->head.nlmsg_len);

	memcpy(end, data, len);
	m->head.nlmsg_len = NLMSG_ALIGN(m->head.nlmsg_len) + len;
	return end;
}

static struct rtattr *attr_put(struct message *m, int type, const void *data,
			       size_t len)
{
	struct rtattr head = { .rta_len = RTA_LENGTH(len), .rta_type = type };
	struct rtattr *attr = message_put(m, &head, sizeof(head));

	message_put(m, data, len);
	return attr;
}

static int talk(int fd, struct message *m)
{
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
		char rest[1024];
	} answer;
	ssize_t n;

	m->head.nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	if (send(fd, m, m->head.nlmsg_len, 0) < 0)
		return -errno;
	do {
		n = recv(fd, &answer, sizeof(answer), 0);
	} while (n < 0 && errno == EINTR);
	if (n < (ssize_t)NLMSG_LENGTH(sizeof(answer.error.error)) ||
	    answer.head.nlmsg_type != NLMSG_ERROR)
		return -EIO;
	return answer.error.error;
}

/* The index of the device that has @addr in the namespace of @fd. */
static int index_of(int fd, const char *addr)
{
	struct ifreq all[MAX_DEVICES];
	struct ifconf conf = { .ifc_len = sizeof(all) };
	struct sockaddr_storage want;
	int i;

	make_addr(&want, AF_INET, addr, 0);
	conf.ifc_req = all;
	if (ioctl(fd, SIOCGIFCONF, &conf))
		return -errno;
	for (i = 0; i < conf.ifc_len / (int)sizeof(all[0]); i++) {
		if (memcmp(&all[i].ifr_addr, &want, sizeof(struct sockaddr)))
			continue;
		if (ioctl(fd, SIOCGIFINDEX, &all[i]))
			return -errno;
		return all[i].ifr_ifindex;
	}
	return -ENODEV;
}

void device_find(struct device *dev, enum net_link link, bool sender)
{
	int fd;

	dev->ns = sender ? net_links[link].ns_tx : net_links[link].ns_rx;
	dev->socket = -1;
	fd = socket_in(dev->ns, AF_INET, SOCK_DGRAM);
	if (fd < 0)
		return;
	dev->index = index_of(fd, sender ? net_links[link].tx4 :
			      net_links[link].rx4);
	close(fd);
	if (dev->index > 0)
		dev->socket = socket_in(dev->ns, AF_NETLINK, SOCK_RAW);
}

void device_close(struct device *dev)
{
	if (dev->socket >= 0)
		close(dev->socket);
	dev->socket = -1;
}

static __u32 share(unsigned int percent)
{
	return (__u64)UINT32_MAX * percent / 100;
}

static void put_netem(struct message *m, const struct netem *how)
{
	struct tc_netem_qopt opt = {
		.limit = how->limit ?: 1000,
		.loss = share(how->loss),
		.gap = how->reorder ? 1 : 0,
		.duplicate = share(how->duplicate),
	};
	struct tc_netem_reorder reorder = { .probability = share(how->reorder) };
	struct tc_netem_rate rate = { .rate = how->mbit * 125000 };
	__s64 latency = how->delay_us * 1000LL, jitter = how->jitter_us * 1000LL;
	struct rtattr *attr;

	attr_put(m, TCA_KIND, "netem", sizeof("netem"));
	attr = attr_put(m, TCA_OPTIONS, &opt, sizeof(opt));
	attr_put(m, TCA_NETEM_LATENCY64, &latency, sizeof(latency));
	attr_put(m, TCA_NETEM_JITTER64, &jitter, sizeof(jitter));
	if (how->reorder)
		attr_put(m, TCA_NETEM_REORDER, &reorder, sizeof(reorder));
	if (how->mbit)
		attr_put(m, TCA_NETEM_RATE, &rate, sizeof(rate));
	attr->rta_len = (char *)m + m->head.nlmsg_len - (char *)attr;
}

int device_netem(const struct device *dev, const struct netem *how)
{
	static const struct netem none;
	bool add = memcmp(how, &none, sizeof(none));
	struct message m = { .head = {
		.nlmsg_len = NLMSG_LENGTH(0),
		.nlmsg_type = add ? RTM_NEWQDISC : RTM_DELQDISC,
		.nlmsg_flags = add ? NLM_F_CREATE | NLM_F_REPLACE : 0,
	} };
	struct tcmsg tc = {
		.tcm_ifindex = dev->index, .tcm_parent = TC_H_ROOT,
	};

	if (dev->socket < 0)
		return -ENODEV;
	message_put(&m, &tc, sizeof(tc));
	if (add)
		put_netem(&m, how);
	return talk(dev->socket, &m);
}

static void link_message(struct message *m, const struct device *dev,
			 unsigned int change, unsigned int flags)
{
	struct ifinfomsg info = {
		.ifi_index = dev->index, .ifi_change = change,
		.ifi_flags = flags,
	};

	*m = (struct message){ .head = {
		.nlmsg_len = NLMSG_LENGTH(0), .nlmsg_type = RTM_NEWLINK,
	} };
	message_put(m, &info, sizeof(info));
}

int device_up(const struct device *dev, bool up)
{
	struct message m;

	if (dev->socket < 0)
		return -ENODEV;
	link_message(&m, dev, IFF_UP, up ? IFF_UP : 0);
	return talk(dev->socket, &m);
}

int device_mtu(const struct device *dev, unsigned int mtu)
{
	struct message m;

	if (dev->socket < 0)
		return -ENODEV;
	link_message(&m, dev, 0, 0);
	attr_put(&m, IFLA_MTU, &mtu, sizeof(mtu));
	return talk(dev->socket, &m);
}

void ns_write(const char *ns, const char *path, const char *text)
{
	int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), there, fd;
	char name[64];

	snprintf(name, sizeof(name), "/run/netns/%s", ns);
	there = open(name, O_RDONLY | O_CLOEXEC);
	if (here >= 0 && there >= 0 && !setns(there, CLONE_NEWNET)) {
		fd = open(path, O_WRONLY | O_CLOEXEC);
		/* without that sysctl there is less to test */
		if (fd >= 0 && write(fd, text, strlen(text)) < 0)
			errno = 0;
		if (fd >= 0)
			close(fd);
		if (setns(here, CLONE_NEWNET))
			abort();
	}
	if (there >= 0)
		close(there);
	if (here >= 0)
		close(here);
}
