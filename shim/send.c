// SPDX-License-Identifier: GPL-2.0
/*
 * Notification slots: sending. IORING_OP_SEND_ZC and IORING_OP_SENDMSG_ZC that
 * ask for a slot, as ../../net.c does those that don't. A request attaches to a
 * notifier, and passes the notifier's ubuf_info to the socket in place of one of
 * its own.
 */
#include <linux/errno.h>
#include <linux/io_uring.h>
#include <linux/net.h>
#include <linux/skbuff.h>
#include <linux/socket.h>
#include <linux/uio.h>

#include <uapi/linux/io_uring.h>

#include "../../io_uring.h"
#include "../../net.h"
#include "../../rsrc.h"
#include "slot.h"

/* Requests that are issued by a function of their own, so that others don't pay. */
#define IO_SLOT_SEND_SPECIAL	(IORING_RECVSEND_POLL_FIRST | \
				 IORING_SEND_VECTORIZED | IORING_SEND_ZC_MANY | \
				 IORING_SEND_ZC_COPY | IORING_SEND_ZC_SEGMENTS | \
				 IORING_SEND_ZC_BEARER)

static __always_inline int io_slot_send_setup(struct io_kiocb *req,
					      const struct io_uring_sqe *sqe,
					      bool many)
{
	struct io_sr_msg *zc = io_kiocb_to_cmd(req, struct io_sr_msg);

	zc->len = READ_ONCE(sqe->len);
	zc->msg_flags = READ_ONCE(sqe->msg_flags) | MSG_NOSIGNAL | MSG_ZEROCOPY;
	req->buf_index = READ_ONCE(sqe->buf_index);
	if (zc->msg_flags & MSG_DONTWAIT)
		req->flags |= REQ_F_NOWAIT;

	if (io_is_compat(req->ctx))
		zc->msg_flags |= MSG_CMSG_COMPAT;

	if (unlikely(!io_msg_alloc_async(req)))
		return -ENOMEM;

	if (many)
		return io_slot_many_prep(req, sqe);
	if (likely(req->opcode == IORING_OP_SEND_ZC))
		return __io_send_setup(req, sqe);
	if (unlikely(READ_ONCE(sqe->addr2) || READ_ONCE(sqe->addr_len)))
		return -EINVAL;
	return io_sendmsg_setup(req, sqe);
}

/* What the slot asks for besides, of a request that has just been attached. */
static noinline void io_slot_send_prep_flags(struct io_kiocb *req)
{
	struct io_sr_msg *zc = io_kiocb_to_cmd(req, struct io_sr_msg);
	struct io_notif_head *notif = zc->slot_notif;
	struct io_async_msghdr *kmsg = req->async_data;

	if (notif->flags & IORING_NOTIF_SLOT_MERGE) {
		/* or who isn't told until the end would not know of the rest */
		zc->msg_flags |= MSG_WAITALL;
		if (notif->bearer) {
			zc->flags |= IORING_SEND_ZC_BEARER;
			req->flags |= REQ_F_CQE_DEFER;
		}
	}
	if ((notif->flags & IORING_NOTIF_SLOT_SEGMENTS) &&
	    !(zc->flags & (IORING_RECVSEND_FIXED_BUF | IORING_SEND_ZC_MANY)) &&
	    iter_is_iovec(&kmsg->msg.msg_iter)) {
		zc->flags |= IORING_SEND_ZC_SEGMENTS;
		kmsg->msg.sg_from_iter = io_slot_sg_from_segments;
	}
}

static __always_inline int __io_slot_send_prep(struct io_kiocb *req,
					       const struct io_uring_sqe *sqe,
					       bool many)
{
	struct io_sr_msg *zc = io_kiocb_to_cmd(req, struct io_sr_msg);
	struct io_async_msghdr *kmsg;
	unsigned long nr_pages = 0;
	struct io_notif_head *notif;
	size_t len;
	int ret;

	ret = io_slot_send_setup(req, sqe, many);
	if (unlikely(ret))
		return ret;

	kmsg = req->async_data;
	if (zc->flags & IORING_RECVSEND_FIXED_BUF) {
		kmsg->msg.sg_from_iter = io_slot_sg_from_iter;
		/* how long those of a vector are is not known yet */
		len = zc->flags & IORING_SEND_VECTORIZED ? SIZE_MAX :
							   (u32)zc->len;
	} else {
		kmsg->msg.sg_from_iter = io_slot_sg_from_iter_iovec;
		len = iov_iter_count(&kmsg->msg.msg_iter);
		if (req->ctx->user && !many)
			nr_pages = iov_iter_npages(&kmsg->msg.msg_iter, INT_MAX);
	}
	if (many)
		len = io_slot_many_measure(req, &nr_pages);
	notif = io_notif_attach(req->ctx, READ_ONCE(sqe->notification_idx), len,
				zc->flags, nr_pages);
	if (IS_ERR(notif))
		return PTR_ERR(notif);
	zc->slot_notif = notif;
	/* a notification may come along with the CQE of the request */
	req->flags |= REQ_F_NEED_CLEANUP | REQ_F_POLL_NO_LAZY;
	if (unlikely(len < notif->copy_below))
		zc->flags |= IORING_SEND_ZC_COPY;
	if (unlikely(notif->flags))
		io_slot_send_prep_flags(req);
	return 0;
}

static noinline int io_slot_send_prep_many(struct io_kiocb *req,
					   const struct io_uring_sqe *sqe)
{
	struct io_sr_msg *zc = io_kiocb_to_cmd(req, struct io_sr_msg);

	if (zc->flags & ~(IO_ZC_FLAGS_VALID | IO_ZC_FLAGS_SLOT |
			  IORING_SEND_ZC_MANY))
		return -EINVAL;
	return __io_slot_send_prep(req, sqe, true);
}

/**
 * io_slot_send_prep() - prepare a request that asks for a slot
 * @req:	the request; the flags of its struct io_sr_msg are those of @sqe
 * @sqe:	its SQE
 *
 * Attaches last, as what fails in here has never been attached. From then on the
 * request stays with the notifier until it is over, whichever way it takes.
 *
 * Return: 0, or why it can't be sent.
 */
int io_slot_send_prep(struct io_kiocb *req, const struct io_uring_sqe *sqe)
{
	struct io_sr_msg *zc = io_kiocb_to_cmd(req, struct io_sr_msg);

	zc->slot_notif = NULL;
	/* the tag comes from the slot */
	if (unlikely(READ_ONCE(sqe->addr3) | READ_ONCE(sqe->__pad2[0])) ||
	    !(zc->flags & IORING_SEND_ZC_NOTIF_SLOT))
		return -EINVAL;
	if (unlikely(zc->flags & ~(IO_ZC_FLAGS_VALID | IO_ZC_FLAGS_SLOT)))
		return io_slot_send_prep_many(req, sqe);
	return __io_slot_send_prep(req, sqe, false);
}

static __always_inline int io_slot_import(struct io_kiocb *req,
					  struct io_async_msghdr *kmsg,
					  unsigned int issue_flags,
					  bool special)
{
	struct io_sr_msg *sr = io_kiocb_to_cmd(req, struct io_sr_msg);
	struct iov_iter *iter = &kmsg->msg.msg_iter;
	struct io_rsrc_node *node;

	if (special && (sr->flags & IORING_SEND_VECTORIZED))
		return io_slot_import_vec(req, kmsg, issue_flags);

	node = io_notif_buf_node(req, sr->slot_notif, issue_flags);
	if (IS_ERR(node))
		return PTR_ERR(node);
	if (likely(io_import_send_buf(node->buf, iter,
				      (u64)(uintptr_t)sr->buf, sr->len)))
		return 0;
	return io_slot_import_other(req, iter, node->buf);
}

/* Detach a request that is over, with its result and its flags as they are to be. */
static __always_inline void io_slot_detach(struct io_kiocb *req, bool remote,
					   bool special)
{
	struct io_sr_msg *sr = io_kiocb_to_cmd(req, struct io_sr_msg);

	if (special && (sr->flags & IORING_SEND_ZC_BEARER))
		io_notif_detach_bearer(req->ctx, sr->slot_notif,
				       req->cqe.user_data, req->cqe.res,
				       req->flags & REQ_F_CQE_SKIP, remote);
	else
		io_notif_detach(req->ctx, sr->slot_notif, remote);
	sr->slot_notif = NULL;
}

/*
 * io_slot_send_cleanup() would be too late: once the request has been freed it has
 * REQ_F_CQE_SKIP, whatever its SQE had.
 */
static noinline void io_slot_detach_in_wq(struct io_kiocb *req)
{
	struct io_sr_msg *sr = io_kiocb_to_cmd(req, struct io_sr_msg);

	if (!(sr->flags & IORING_SEND_ZC_BEARER))
		return;
	mutex_lock(&req->ctx->uring_lock);
	io_slot_detach(req, true, true);
	mutex_unlock(&req->ctx->uring_lock);
}

static noinline int io_slot_send_special(struct io_kiocb *req,
					 unsigned int issue_flags);

static __always_inline int __io_slot_send(struct io_kiocb *req,
					  unsigned int issue_flags,
					  bool special)
{
	struct io_sr_msg *sr = io_kiocb_to_cmd(req, struct io_sr_msg);
	struct io_async_msghdr *kmsg = req->async_data;
	struct socket *sock;
	unsigned int msg_flags;
	int ret, min_ret = 0;

	sock = sock_from_file(req->file);
	if (unlikely(!sock))
		return -ENOTSOCK;
	if (unlikely(!test_bit(SOCK_SUPPORT_ZC, &sock->flags))) {
		if (!(sr->slot_notif->flags & IORING_NOTIF_SLOT_FALLBACK))
			return -EOPNOTSUPP;
		sr->flags |= IORING_SEND_ZC_COPY;
		if (!special)
			return io_slot_send_special(req, issue_flags);
	}
	if (special && unlikely(sr->flags & (IORING_RECVSEND_POLL_FIRST |
					     IORING_SEND_ZC_MANY))) {
		if ((sr->flags & IORING_RECVSEND_POLL_FIRST) &&
		    !(req->flags & REQ_F_POLLED))
			return -EAGAIN;
		if (sr->flags & IORING_SEND_ZC_MANY) {
			ret = io_slot_many_send(req, sock, issue_flags);
			if (ret == -EAGAIN && (issue_flags & IO_URING_F_NONBLOCK))
				return -EAGAIN;
			if (ret < sr->len)
				req_set_fail(req);
			goto done;
		}
	}
	if (req->flags & REQ_F_IMPORT_BUFFER) {
		ret = io_slot_import(req, kmsg, issue_flags, special);
		if (unlikely(ret < 0))
			return ret;
		req->flags &= ~REQ_F_IMPORT_BUFFER;
		if (unlikely(ret) && !special)
			return io_slot_send_special(req, issue_flags);
	}

	msg_flags = sr->msg_flags;
	if (issue_flags & IO_URING_F_NONBLOCK)
		msg_flags |= MSG_DONTWAIT;
	if (msg_flags & MSG_WAITALL)
		min_ret = iov_iter_count(&kmsg->msg.msg_iter);

	kmsg->zc_len = 0;
	kmsg->msg.msg_ubuf = &sr->slot_notif->ubuf;
	if (special && (sr->flags & IORING_SEND_ZC_COPY)) {
		kmsg->msg.msg_ubuf = NULL;
		/* kTLS refuses both; that all is sent is up to us, by min_ret */
		msg_flags &= ~(MSG_ZEROCOPY | MSG_WAITALL);
	} else if (special) {
		kmsg->sk = sock->sk;
	}

	if (likely(req->opcode == IORING_OP_SEND_ZC)) {
		msg_flags &= ~MSG_INTERNAL_SENDMSG_FLAGS;
		kmsg->msg.msg_flags = msg_flags;
		ret = sock_sendmsg(sock, &kmsg->msg);
	} else {
		kmsg->msg.msg_control_user = sr->msg_control;
		ret = __sys_sendmsg_sock(sock, &kmsg->msg, msg_flags);
	}

	if (ret > 0 && unlikely(kmsg->zc_len < ret))
		io_notif_copied(sr->slot_notif);

	if (unlikely(ret < min_ret)) {
		if (ret == -EAGAIN && (issue_flags & IO_URING_F_NONBLOCK))
			return -EAGAIN;

		if (ret > 0 && io_net_retry(sock, sr->msg_flags)) {
			sr->done_io += ret;
			return -EAGAIN;
		}
		if (ret == -ERESTARTSYS)
			ret = -EINTR;
		req_set_fail(req);
	}

	if (ret >= 0)
		ret += sr->done_io;
	else if (sr->done_io)
		ret = sr->done_io;

done:
	io_req_set_res(req, ret, 0);
	/* nobody flushes completions in io-wq: io_slot_send_cleanup() detaches */
	if (likely(!(issue_flags & IO_URING_F_UNLOCKED))) {
		io_slot_detach(req, false, special);
		io_req_msg_cleanup(req, 0);
	} else if (special) {
		io_slot_detach_in_wq(req);
	}
	return IOU_COMPLETE;
}

static noinline int io_slot_send_special(struct io_kiocb *req,
					 unsigned int issue_flags)
{
	return __io_slot_send(req, issue_flags, true);
}

static noinline int io_slot_send_plain(struct io_kiocb *req,
				       unsigned int issue_flags)
{
	return __io_slot_send(req, issue_flags, false);
}

/**
 * io_slot_send() - issue a request that is attached to a notifier
 * @req:		the request
 * @issue_flags:	IO_URING_F_*
 *
 * Return: IOU_COMPLETE, or a negative error as any ->issue().
 */
int io_slot_send(struct io_kiocb *req, unsigned int issue_flags)
{
	struct io_sr_msg *sr = io_kiocb_to_cmd(req, struct io_sr_msg);

	if (unlikely(sr->flags & IO_SLOT_SEND_SPECIAL))
		return io_slot_send_special(req, issue_flags);
	return io_slot_send_plain(req, issue_flags);
}

/**
 * io_slot_send_fail() - detach a bearer that failed, as its result is known
 * @req:	the request, of a ring with ->uring_lock held, whose completions
 *		are flushed next; may never have been attached
 */
void io_slot_send_fail(struct io_kiocb *req)
{
	struct io_sr_msg *sr = io_kiocb_to_cmd(req, struct io_sr_msg);

	if (sr->slot_notif)
		io_slot_detach(req, false, true);
}

/**
 * io_slot_send_cleanup() - detach a request that is over
 * @req:	the request, of a ring with ->uring_lock held; may have been
 *		detached, or never been attached
 */
void io_slot_send_cleanup(struct io_kiocb *req)
{
	struct io_sr_msg *sr = io_kiocb_to_cmd(req, struct io_sr_msg);

	if (sr->slot_notif)
		io_slot_detach(req, true, true);
}
