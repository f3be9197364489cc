/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What a program needs for receiving on vsock without a copy, where the headers of the
 * machine don't have it; Documentation/networking/vsock-map-rx.rst says how it is used.
 */
#ifndef VSOCK_MAP_RX_H
#define VSOCK_MAP_RX_H

#include <linux/types.h>
#include <sys/socket.h>
#include <linux/vm_sockets.h>

#ifndef SO_VM_SOCKETS_MAP_RX

/* getsockopt: struct vsock_map_rx */
#define SO_VM_SOCKETS_MAP_RX		9
/* setsockopt, getsockopt: __u64, 0 or 1 */
#define SO_VM_SOCKETS_ZEROCOPY		10

/* The first page of what is filled in: these, until one has length 0. */
struct vsock_rx_hdr {
	__u32 length;
	__u32 flags;
};

#define VSOCK_RX_HDR_EOM		(1U << 0)
#define VSOCK_RX_HDR_EOR		(1U << 1)
#define VSOCK_RX_HDR_COPIED		(1U << 31)

struct vsock_map_rx {
	__u64 address;
	__u32 length;
	__u32 flags;
	__u32 pages;
	__u32 headers;
	__u32 copied;
	__u32 inq;
	__u64 resv[2];
};

/* in */
#define VSOCK_MAP_RX_CLEAN		(1U << 0)
/* out */
#define VSOCK_MAP_RX_EOF		(1U << 0)
#define VSOCK_MAP_RX_MORE		(1U << 1)

#endif

#endif
