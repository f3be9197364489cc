/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Zero-copy receive: what vsock and the module (../rust) do for each other.
 *
 * The module decides which bytes of a socket's queue go to which page of a
 * mapping. It writes that down as the page of headers that the program gets,
 * and vsock_map_rx_place() follows it.
 */
#ifndef VSOCK_MAP_RX_H
#define VSOCK_MAP_RX_H

#include <linux/mm_types.h>
#include <linux/net.h>
#include <linux/refcount.h>
#include <linux/skbuff.h>
#include <uapi/linux/vm_sockets.h>

struct module;
struct user_struct;
struct vsock_sock;

enum {
	/* so many headers fit in 4096 bytes, with one of length 0 at the end */
	VSOCK_MAP_RX_HEADERS	= 4096 / sizeof(struct vsock_rx_hdr) - 1,
};

/* What vsock_map_rx_state() returns */
enum {
	VSOCK_MAP_RX_NOTHING	= 0,	/* nothing queued now */
	VSOCK_MAP_RX_DATA	= 1,	/* data, or a whole message */
	VSOCK_MAP_RX_ENDED	= 2,	/* nothing queued, and nothing to come */
};

/**
 * struct vsock_map_rx_ops - what the module does for vsock
 * @owner:	the module; each socket that opted in has a reference to it
 * @mmap:	a socket is mapped. Checks @vma and its flags, and calls
 *		vsock_map_rx_window_new(). Called with the mmap_lock held for
 *		writing, and without the sk_lock
 * @receive:	getsockopt(SO_VM_SOCKETS_MAP_RX). Called with the sk_lock held,
 *		which is taken before the lock of a VMA, and that before the
 *		mmap_lock
 */
struct vsock_map_rx_ops {
	struct module *owner;

	int (*mmap)(struct vsock_sock *vsk, struct vm_area_struct *vma);
	int (*receive)(struct vsock_sock *vsk, sockopt_t *opt);
};

/**
 * struct vsock_rx_packet - a packet in a socket's queue, as the module sees it
 * @len:	bytes that nobody has received yet
 * @head:	so many of these, from the first one, can't be mapped: all that are
 *		left if nothing can. What follows starts a page
 * @flags:	VSOCK_RX_HDR_EOM and VSOCK_RX_HDR_EOR
 */
struct vsock_rx_packet {
	u32 len;
	u32 head;
	u32 flags;
};

/**
 * struct vsock_rx_window - a mapping of a socket
 * @refs:	VMAs; there are two while mremap() finds that it must not move one
 * @sk:		the socket, which the VMA's file keeps
 * @user:	whom the size counts against, NULL: nobody
 * @nr_pages:	its size
 * @headers:	the page of headers of the last call. Used again if nobody has it
 *		mapped any more. Under the sk_lock and the VMA's lock
 * @nr_headers:	so many entries of it may not be zero
 */
struct vsock_rx_window {
	refcount_t refs;
	struct sock *sk;
	struct user_struct *user;
	unsigned long nr_pages;
	struct page *headers;
	unsigned int nr_headers;
};

int vsock_map_rx_ops_register(const struct vsock_map_rx_ops *ops);
void vsock_map_rx_ops_unregister(const struct vsock_map_rx_ops *ops);

int vsock_map_rx_window_new(struct vsock_sock *vsk, struct vm_area_struct *vma);
struct vm_area_struct *vsock_map_rx_lock(struct vsock_sock *vsk,
					 unsigned long address,
					 bool *mmap_locked);
void vsock_map_rx_unlock(struct vm_area_struct *vma, bool mmap_locked);
struct vsock_rx_hdr *vsock_map_rx_headers(struct vm_area_struct *vma);

int vsock_map_rx_state(struct vsock_sock *vsk);
bool vsock_map_rx_has_messages(struct vsock_sock *vsk);
u32 vsock_map_rx_bytes(struct vsock_sock *vsk);
u32 vsock_map_rx_messages(struct vsock_sock *vsk);
unsigned int vsock_map_rx_packets(struct vsock_sock *vsk, struct sk_buff **next,
				  struct vsock_rx_packet *packets,
				  unsigned int max);
int vsock_map_rx_place(struct vsock_sock *vsk, struct vm_area_struct *vma,
		       unsigned long address, unsigned int nr_headers,
		       unsigned long *nr_pages);
void vsock_map_rx_consume(struct vsock_sock *vsk, u32 bytes);

#endif
