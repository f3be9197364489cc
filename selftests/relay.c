// SPDX-License-Identifier: GPL-2.0
/*
 * What holds packets back on two paths of paths.sh, as a program between the
 * sender and the receiver may:
 *
 *	relay tap NAMESPACE READY	frames between taps here and there
 *	relay queue NUMBER READY	what nft's "queue" asks about
 *
 * It makes the file READY once it can. Packets go on in order, when more than a
 * few are held, or none has come for a while.
 */
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "sock.h"

#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>

#define MAX_HELD	8
#define HOLD_MS		20
#define MAX_PACKET	(128 << 10)

static void die(const char *what)
{
	/* paths.sh tells a kernel without it by the text */
	fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void ready(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	if (fd < 0)
		die(path);
	close(fd);
}

struct frame {
	size_t len;
	char data[2048];
};

struct tap {
	int fd;
	struct frame held[MAX_HELD];	/* to be written to it */
	unsigned int nr;
};

static int tap_create(const char *ns)
{
	struct ifreq req = {
		.ifr_name = "p0", .ifr_flags = IFF_TAP | IFF_NO_PI,
	};
	int there, here = open("/proc/self/ns/net", O_RDONLY);
	char path[64];
	int fd;

	if (ns) {
		snprintf(path, sizeof(path), "/run/netns/%s", ns);
		there = open(path, O_RDONLY);
		if (there < 0 || setns(there, CLONE_NEWNET))
			die(path);
		close(there);
	}
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &req))
		die("/dev/net/tun");
	if (setns(here, CLONE_NEWNET))
		die("the namespace it came from");
	close(here);
	return fd;
}

static void tap_write_held(struct tap *tap)
{
	unsigned int i;

	/* a device that is down takes nothing */
	for (i = 0; i < tap->nr; i++)
		if (write(tap->fd, tap->held[i].data, tap->held[i].len) < 0 &&
		    errno != EIO)
			die("write to a tap");
	tap->nr = 0;
}

/* Take the frames that @from has, for @to. */
static void tap_read(struct tap *from, struct tap *to)
{
	struct frame *frame;
	ssize_t n;

	for (;;) {
		if (to->nr == MAX_HELD)
			tap_write_held(to);
		frame = &to->held[to->nr];
		n = read(from->fd, frame->data, sizeof(frame->data));
		if (n <= 0)
			return;
		frame->len = n;
		to->nr++;
	}
}

static void relay_taps(const char *ns, const char *path)
{
	static struct tap here, there;
	struct pollfd fds[2];

	here.fd = tap_create(NULL);
	there.fd = tap_create(ns);
	ready(path);
	fds[0] = (struct pollfd){ .fd = here.fd, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = there.fd, .events = POLLIN };
	for (;;) {
		if (!poll(fds, 2, HOLD_MS)) {
			tap_write_held(&here);
			tap_write_held(&there);
		}
		tap_read(&here, &there);
		tap_read(&there, &here);
	}
}

struct message {
	struct nlmsghdr nlh;
	struct nfgenmsg nfg;
	char attrs[64];
};

static void put_attr(struct message *msg, int type, const void *data, size_t len)
{
	struct nlattr *attr;

	if (!msg->nlh.nlmsg_len)
		msg->nlh.nlmsg_len = offsetof(struct message, attrs);
	attr = (void *)((char *)msg + msg->nlh.nlmsg_len);
	attr->nla_type = type;
	attr->nla_len = sizeof(*attr) + len;
	memcpy(attr + 1, data, len);
	msg->nlh.nlmsg_len += NLMSG_ALIGN(attr->nla_len);
}

static void queue_send(int fd, int queue, int type, int flags,
		       struct message *msg)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

	msg->nlh.nlmsg_type = NFNL_SUBSYS_QUEUE << 8 | type;
	msg->nlh.nlmsg_flags = NLM_F_REQUEST | flags;
	msg->nfg.res_id = htons(queue);
	if (sendto(fd, msg, msg->nlh.nlmsg_len, 0, (struct sockaddr *)&kernel,
		   sizeof(kernel)) < 0)
		die("netlink");
}

static void queue_accept(int fd, int queue, __be32 id)
{
	const struct nfqnl_msg_verdict_hdr verdict = {
		.verdict = htonl(NF_ACCEPT), .id = id,
	};
	struct message msg = {};

	put_attr(&msg, NFQA_VERDICT_HDR, &verdict, sizeof(verdict));
	queue_send(fd, queue, NFQNL_MSG_VERDICT, 0, &msg);
}

/* Packets as a whole, not cut up to the MTU nor copied to be checksummed. */
static void queue_bind(int fd, int queue)
{
	const struct nfqnl_msg_config_cmd cmd = { .command = NFQNL_CFG_CMD_BIND };
	const struct nfqnl_msg_config_params params = {
		.copy_range = htonl(0xffff), .copy_mode = NFQNL_COPY_PACKET,
	};
	const __be32 flags = htonl(NFQA_CFG_F_GSO);
	struct message msg = {};
	struct {
		struct nlmsghdr nlh;
		struct nlmsgerr err;
	} answer;

	put_attr(&msg, NFQA_CFG_CMD, &cmd, sizeof(cmd));
	put_attr(&msg, NFQA_CFG_PARAMS, &params, sizeof(params));
	put_attr(&msg, NFQA_CFG_FLAGS, &flags, sizeof(flags));
	put_attr(&msg, NFQA_CFG_MASK, &flags, sizeof(flags));
	queue_send(fd, queue, NFQNL_MSG_CONFIG, NLM_F_ACK, &msg);
	if (recv(fd, &answer, sizeof(answer), 0) < (ssize_t)sizeof(answer.nlh) +
	    (ssize_t)sizeof(answer.err.error))
		die("the answer of netlink");
	errno = -answer.err.error;
	if (answer.nlh.nlmsg_type != NLMSG_ERROR || errno)
		die("bind to the queue");
}

static bool queue_next(int fd, __be32 *id)
{
	static char buf[MAX_PACKET];
	const struct nlmsghdr *nlh = (void *)buf;
	const struct nlattr *attr;
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n < 0 && errno != EAGAIN)
		die("netlink");
	if (n < (ssize_t)(NLMSG_LENGTH(sizeof(struct nfgenmsg)) +
			  sizeof(*attr) + sizeof(*id)))
		return false;
	if (nlh->nlmsg_type != (NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET))
		return false;
	attr = NLMSG_DATA(nlh) + NLMSG_ALIGN(sizeof(struct nfgenmsg));
	/* the kernel puts it first */
	if (attr->nla_type != NFQA_PACKET_HDR)
		return false;
	*id = ((struct nfqnl_msg_packet_hdr *)(attr + 1))->packet_id;
	return true;
}

static void relay_queue(int queue, const char *path)
{
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER), i, nr = 0;
	struct pollfd poll_for = { .fd = fd, .events = POLLIN };
	__be32 held[MAX_HELD];

	if (fd < 0)
		die("netlink of netfilter");
	setsockopt_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20);
	queue_bind(fd, queue);
	ready(path);
	for (;;) {
		bool idle = !poll(&poll_for, 1, HOLD_MS);

		while (nr < MAX_HELD && queue_next(fd, &held[nr]))
			nr++;
		if (!idle && nr < MAX_HELD)
			continue;
		for (i = 0; i < nr; i++)
			queue_accept(fd, queue, held[i]);
		nr = 0;
	}
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "tap"))
		relay_taps(argv[2], argv[3]);
	if (argc == 4 && !strcmp(argv[1], "queue"))
		relay_queue(atoi(argv[2]), argv[3]);
	fprintf(stderr, "usage: relay tap NAMESPACE READY | relay queue NUMBER READY\n");
	return 2;
}
