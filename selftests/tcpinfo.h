/* SPDX-License-Identifier: GPL-2.0 */
/* What TCP says of a socket: packets, and the memory that its data takes. */
#ifndef NOTIF_TEST_TCPINFO_H
#define NOTIF_TEST_TCPINFO_H

#include <assert.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* What the kernel's struct tcp_info has beyond that of the C library. */
struct tcp_info_more {
	struct tcp_info info;
	__u64 rates[2], bytes[2];
	__u32 segs_out, segs_in, notsent_bytes, min_rtt;
	__u32 data_segs_in, data_segs_out;
};

static_assert(sizeof(struct tcp_info) == 104, "tcpi_pacing_rate comes next");

static inline unsigned int data_segs_out(int fd)
{
	struct tcp_info_more more = {};
	socklen_t len = sizeof(more);

	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &more, &len);
	return more.data_segs_out;
}

/* A number of SK_MEMINFO_*; what the socket has ahead can only be less than none. */
static inline int socket_memory(int fd, unsigned int which)
{
	__u32 numbers[SK_MEMINFO_VARS] = {};
	socklen_t len = sizeof(numbers);

	getsockopt(fd, SOL_SOCKET, SO_MEMINFO, numbers, &len);
	return numbers[which];
}

/* Pages of all TCP sockets of the machine, as near as the CPUs tell; -1 without. */
static inline long tcp_pages(void)
{
	FILE *file = fopen("/proc/net/sockstat", "r");
	long pages = -1;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "TCP: inuse %*d orphan %*d tw %*d alloc %*d mem %ld",
			   &pages) == 1)
			break;
	if (file)
		fclose(file);
	return pages;
}

#endif
