/* SPDX-License-Identifier: GPL-2.0 */
/* The protocols that slots send through, each with a pair of sockets to do it. */
#ifndef NOTIF_TEST_PATHS_H
#define NOTIF_TEST_PATHS_H

#include <linux/vm_sockets.h>
#include <netinet/udp.h>

#include "sock.h"

#ifndef VMADDR_CID_LOCAL
#define VMADDR_CID_LOCAL	1
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT		103
#endif

struct path {
	const char *name;
	int family, type;
	unsigned int segment;	/* UDP GSO: bytes in a packet */
	bool second;		/* of a pair of paths that complement each other */
};

static inline bool path_is_stream(const struct path *path)
{
	return path->type == SOCK_STREAM;
}

/* vsock within this machine; @full: the receiver takes little. */
static inline int pair_open_vsock(struct pair *p, int type, bool full)
{
	struct sockaddr_vm addr = {
		.svm_family = AF_VSOCK,
		.svm_cid = VMADDR_CID_LOCAL,
		.svm_port = VMADDR_PORT_ANY,
	};
	socklen_t len = sizeof(addr);
	struct timeval tv = { .tv_sec = 15 };
	__u64 size = full ? 64 << 10 : 256 << 10;
	int listener, ret = -ENODEV;

	p->rx = -1;
	p->tx = socket(AF_VSOCK, type, 0);
	listener = socket(AF_VSOCK, type, 0);
	if (p->tx < 0 || listener < 0)
		goto out;
	/* what is accepted inherits it */
	setsockopt(listener, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &size,
		   sizeof(size));
	if (bind(listener, (struct sockaddr *)&addr, len) ||
	    listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&addr, &len))
		goto out;
	if (connect(p->tx, (struct sockaddr *)&addr, len))
		goto out;
	p->rx = accept(listener, NULL, NULL);
	if (p->rx < 0) {
		ret = -errno;
		goto out;
	}
	setsockopt(p->rx, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	ret = 0;
out:
	if (ret)
		pair_close(p);
	if (listener >= 0)
		close(listener);
	return ret;
}

/* Over the loopback device; -ENODEV when the kernel has no such protocol. */
static inline int path_open(struct pair *p, const struct path *path, bool full)
{
	if (path->family == AF_VSOCK)
		return pair_open_vsock(p, path->type, full);
	return pair_open(p, NET_LO, path->family, path->type,
			 (struct pair_opts){ .full = full });
}

static inline int path_cork(int fd, const struct path *path, bool on)
{
	if (path_is_stream(path))
		return setsockopt_int(fd, IPPROTO_TCP, TCP_CORK, on);
	return setsockopt_int(fd, IPPROTO_UDP, UDP_CORK, on);
}

/* Make @msg ask for GSO. */
static inline void msg_set_segment(struct msghdr *msg, void *control,
				   unsigned int segment)
{
	struct cmsghdr *cmsg = control;

	msg->msg_control = control;
	msg->msg_controllen = CMSG_SPACE(sizeof(__u16));
	cmsg->cmsg_level = IPPROTO_UDP;
	cmsg->cmsg_type = UDP_SEGMENT;
	cmsg->cmsg_len = CMSG_LEN(sizeof(__u16));
	*(__u16 *)CMSG_DATA(cmsg) = segment;
}

#endif
