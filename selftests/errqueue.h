/* SPDX-License-Identifier: GPL-2.0 */
/* What a socket's error queue reports of send(MSG_ZEROCOPY). */
#ifndef NOTIF_TEST_ERRQUEUE_H
#define NOTIF_TEST_ERRQUEUE_H

#include <poll.h>
#include <time.h>

#include <linux/errqueue.h>

#include "fixture.h"

/* The next range of sends that are over; -ETIME if none comes. */
static inline int next_range(int fd, unsigned int *first, unsigned int *last)
{
	struct pollfd poll_for = { .fd = fd };
	char control[256];
	struct msghdr msg = {
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct sock_extended_err *err;
	struct cmsghdr *cmsg;

	if (poll(&poll_for, 1, LOST_MS) != 1)
		return -ETIME;
	if (recvmsg(fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
		return -errno;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!cmsg || cmsg->cmsg_level != IPPROTO_IP ||
	    cmsg->cmsg_type != IP_RECVERR)
		return -EPROTO;
	err = (void *)CMSG_DATA(cmsg);
	if (err->ee_errno || err->ee_origin != SO_EE_ORIGIN_ZEROCOPY)
		return -EPROTO;
	*first = err->ee_info;
	*last = err->ee_data;
	return 0;
}

#endif
