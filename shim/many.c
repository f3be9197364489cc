// SPDX-License-Identifier: GPL-2.0
/*
 * Notification slots: many datagrams in one request, IORING_SEND_ZC_MANY. What a
 * request costs, its SQE, its CQE, its notifier and its registered buffer, is
 * paid once for all of them.
 */
#include <linux/errno.h>
#include <linux/io_uring.h>
#include <linux/net.h>
#include <linux/sched.h>
#include <linux/socket.h>
#include <linux/uaccess.h>
#include <linux/udp.h>
#include <linux/uio.h>
#include <net/ipv6.h>

#include <uapi/linux/io_uring.h>

#include "../../io_uring.h"
#include "../../net.h"
#include "../../rsrc.h"
#include "slot.h"

/* Others get a chance to run after so many. */
#define IO_SLOT_MANY_BATCH	64

/* Where a datagram goes to. */
union io_slot_name {
	struct sockaddr_in6	in6;
	struct iovec		room[2];
};

/* The array is kept in kmsg->vec as it is, and followed by the names if any. */
static_assert(sizeof(struct io_uring_dgram) == 2 * sizeof(struct iovec));

static struct io_uring_dgram *io_slot_dgrams(struct io_async_msghdr *kmsg)
{
	return (struct io_uring_dgram *)kmsg->vec.iovec;
}

static union io_slot_name *io_slot_names(struct io_kiocb *req)
{
	struct io_sr_msg *sr = io_kiocb_to_cmd(req, struct io_sr_msg);
	struct io_async_msghdr *kmsg = req->async_data;

	return (union io_slot_name *)(io_slot_dgrams(kmsg) + sr->len);
}

/* Have kmsg->vec hold @nr iovecs, and what is in the first @used of them. */
static int io_slot_many_reserve(struct io_kiocb *req, unsigned int used,
				unsigned int nr)
{
	struct io_async_msghdr *kmsg = req->async_data;
	struct iou_vec vec = {};
	int ret;

	if (kmsg->vec.nr >= nr)
		return 0;
	ret = io_vec_realloc(&vec, nr);
	if (ret)
		return ret;
	if (used)
		memcpy(vec.iovec, kmsg->vec.iovec, used * sizeof(struct iovec));
	if (kmsg->vec.iovec)
		io_vec_free(&kmsg->vec);
	kmsg->vec = vec;
	req->flags |= REQ_F_NEED_CLEANUP;
	return 0;
}

static int io_slot_many_names(struct io_kiocb *req)
{
	struct io_sr_msg *sr = io_kiocb_to_cmd(req, struct io_sr_msg);
	unsigned int used = 2 * sr->len;
	struct io_uring_dgram *dgram;
	union io_slot_name *name;
	int i, ret;

	ret = io_slot_many_reserve(req, used, 2 * used);
	if (ret)
		return ret;
	dgram = io_slot_dgrams(req->async_data);
	name = io_slot_names(req);
	for (i = 0; i < sr->len; i++) {
		if (dgram[i].name_len &&
		    copy_from_user(&name[i], u64_to_user_ptr(dgram[i].name),
				   dgram[i].name_len))
			return -EFAULT;
	}
	return 0;
}

/**
 * io_slot_many_prep() - prepare a request with IORING_SEND_ZC_MANY
 * @req:	the request, with its async_data; sr->len and the flags are the SQE's
 * @sqe:	its SQE
 *
 * Copies the array and the names. Task context, may sleep.
 *
 * Return: 0, or why it can't be sent.
 */
int io_slot_many_prep(struct io_kiocb *req, const struct io_uring_sqe *sqe)
{
	struct io_sr_msg *sr = io_kiocb_to_cmd(req, struct io_sr_msg);
	struct io_async_msghdr *kmsg = req->async_data;
	void __user *array = u64_to_user_ptr(READ_ONCE(sqe->addr));
	struct io_uring_dgram *dgram;
	bool named = false;
	int i, ret;

	if (req->opcode != IORING_OP_SEND_ZC ||
	    (sr->flags & IORING_SEND_VECTORIZED) ||
	    READ_ONCE(sqe->addr2) || READ_ONCE(sqe->addr_len))
		return -EINVAL;
	if (sr->len <= 0 || sr->len > IORING_MAX_SEND_ZC_MANY)
		return -EINVAL;

	ret = io_slot_many_reserve(req, 0, 2 * sr->len);
	if (ret)
		return ret;
	dgram = io_slot_dgrams(kmsg);
	if (copy_from_user(dgram, array, sr->len * sizeof(*dgram)))
		return -EFAULT;

	for (i = 0; i < sr->len; i++) {
		if (dgram[i].resv || !dgram[i].name != !dgram[i].name_len ||
		    dgram[i].name_len > sizeof(struct sockaddr_in6))
			return -EINVAL;
		if (!(sr->flags & IORING_RECVSEND_FIXED_BUF) &&
		    !access_ok(u64_to_user_ptr(dgram[i].addr), dgram[i].len))
			return -EFAULT;
		named |= dgram[i].name_len;
	}
	if (sr->flags & IORING_RECVSEND_FIXED_BUF)
		req->flags |= REQ_F_IMPORT_BUFFER;
	kmsg->msg.msg_control = NULL;
	kmsg->msg.msg_controllen = 0;
	return named ? io_slot_many_names(req) : 0;
}

/**
 * io_slot_many_measure() - what a request with IORING_SEND_ZC_MANY sends
 * @req:	the request, prepared
 * @nr_pages:	how many pages it keeps, if its buffers are plain
 *
 * Return: how long the longest datagram is.
 */
size_t io_slot_many_measure(struct io_kiocb *req, unsigned long *nr_pages)
{
	struct io_sr_msg *sr = io_kiocb_to_cmd(req, struct io_sr_msg);
	struct io_uring_dgram *dgram = io_slot_dgrams(req->async_data);
	struct io_uring_dgram *end = dgram + sr->len;
	unsigned long pages = 0;
	u32 len = 0;

	for (; dgram < end; dgram++) {
		len = max(len, dgram->len);
		if (!(sr->flags & IORING_RECVSEND_FIXED_BUF))
			pages += DIV_ROUND_UP(offset_in_page(dgram->addr) +
					      (u64)dgram->len, PAGE_SIZE);
	}
	*nr_pages = pages;
	return len;
}

/* Have the request and its notifier keep the buffer that they are all in, once. */
static int io_slot_many_pin(struct io_kiocb *req, unsigned int issue_flags)
{
	struct io_sr_msg *sr = io_kiocb_to_cmd(req, struct io_sr_msg);
	struct io_rsrc_node *node;
	int ret;

	node = io_find_buf_node(req, issue_flags);
	if (!node)
		return -EFAULT;
	io_ring_submit_lock(req->ctx, issue_flags);
	ret = io_notif_pin(req->ctx, sr->slot_notif, node);
	io_ring_submit_unlock(req->ctx, issue_flags);
	if (!ret)
		req->flags &= ~REQ_F_IMPORT_BUFFER;
	return ret;
}

static int io_slot_many_import(struct iov_iter *iter,
			       const struct io_uring_dgram *dgram,
			       struct io_rsrc_node *node)
{
	if (!node)
		return import_ubuf(ITER_SOURCE, u64_to_user_ptr(dgram->addr),
				   dgram->len, iter);
	if (likely(io_import_send_buf(node->buf, iter, dgram->addr, dgram->len)))
		return 0;
	return io_import_fixed(ITER_SOURCE, iter, node->buf, dgram->addr,
			       dgram->len);
}

/* As a program's cmsg of UDP_SEGMENT. */
static int io_slot_send_segmented(struct socket *sock, struct msghdr *msg,
				  u16 gso_size)
{
	union {
		struct cmsghdr	header;
		char		room[CMSG_SPACE(sizeof(u16))];
	} control = {};
	int ret;

	/* others pass over a cmsg of UDP's */
	if (sock->sk->sk_protocol != IPPROTO_UDP)
		return -EOPNOTSUPP;
	control.header.cmsg_level = SOL_UDP;
	control.header.cmsg_type = UDP_SEGMENT;
	control.header.cmsg_len = CMSG_LEN(sizeof(u16));
	*(u16 *)CMSG_DATA(&control.header) = gso_size;
	msg->msg_control = &control;
	msg->msg_controllen = sizeof(control.room);
	msg->msg_control_is_user = false;
	ret = sock_sendmsg(sock, msg);
	msg->msg_control = NULL;
	msg->msg_controllen = 0;
	return ret;
}

static int io_slot_many_send_one(struct io_kiocb *req, struct socket *sock,
				 struct io_rsrc_node *node, unsigned int nr,
				 unsigned int msg_flags)
{
	struct io_sr_msg *sr = io_kiocb_to_cmd(req, struct io_sr_msg);
	struct io_async_msghdr *kmsg = req->async_data;
	struct io_uring_dgram *dgram = &io_slot_dgrams(kmsg)[nr];
	struct io_notif_head *notif = sr->slot_notif;
	struct msghdr *msg = &kmsg->msg;
	int ret;

	ret = io_slot_many_import(&msg->msg_iter, dgram, node);
	if (unlikely(ret))
		return ret;
	msg->msg_name = NULL;
	msg->msg_namelen = dgram->name_len;
	if (dgram->name_len) {
		/* a BPF program may write another, longer one over it */
		memcpy(&kmsg->addr, &io_slot_names(req)[nr], dgram->name_len);
		msg->msg_name = &kmsg->addr;
	}
	msg->msg_ubuf = &notif->ubuf;
	if (unlikely(dgram->len < notif->copy_below ||
		     (sr->flags & IORING_SEND_ZC_COPY))) {
		msg->msg_ubuf = NULL;
		msg_flags &= ~MSG_ZEROCOPY;
	}
	msg->msg_flags = msg_flags;
	kmsg->zc_len = 0;
	if (dgram->gso_size)
		ret = io_slot_send_segmented(sock, msg, dgram->gso_size);
	else
		ret = sock_sendmsg(sock, msg);
	if (ret > 0 && unlikely(kmsg->zc_len < ret))
		io_notif_copied(notif);
	return ret;
}

/**
 * io_slot_many_send() - issue a request with IORING_SEND_ZC_MANY
 * @req:		the request, attached to a notifier
 * @sock:		its socket
 * @issue_flags:	IO_URING_F_*
 *
 * Goes on with the first datagram that has not been sent.
 *
 * Return: how many have been sent, if all or if the next one failed after some;
 * a negative error if it is the first one that failed; -EAGAIN with
 * IO_URING_F_NONBLOCK if the socket is full.
 */
int io_slot_many_send(struct io_kiocb *req, struct socket *sock,
		      unsigned int issue_flags)
{
	struct io_sr_msg *sr = io_kiocb_to_cmd(req, struct io_sr_msg);
	unsigned int msg_flags = sr->msg_flags & ~MSG_INTERNAL_SENDMSG_FLAGS;
	struct io_rsrc_node *node = NULL;
	int ret = 0;

	if (unlikely(sock->type != SOCK_DGRAM))
		return -EOPNOTSUPP;
	if (req->flags & REQ_F_IMPORT_BUFFER) {
		ret = io_slot_many_pin(req, issue_flags);
		if (unlikely(ret))
			return ret;
	}
	if (sr->flags & IORING_RECVSEND_FIXED_BUF)
		node = req->buf_node;
	if (issue_flags & IO_URING_F_NONBLOCK)
		msg_flags |= MSG_DONTWAIT;

	while (sr->done_io < sr->len) {
		ret = io_slot_many_send_one(req, sock, node, sr->done_io,
					    msg_flags);
		if (unlikely(ret < 0))
			break;
		if (++sr->done_io % IO_SLOT_MANY_BATCH == 0)
			cond_resched();
	}
	if (likely(ret >= 0))
		return sr->done_io;
	if (ret == -EAGAIN && (issue_flags & IO_URING_F_NONBLOCK))
		return ret;
	if (ret == -ERESTARTSYS)
		ret = -EINTR;
	return sr->done_io ?: ret;
}
