// SPDX-License-Identifier: GPL-2.0
/*
 * Kernel-owned buffers: IORING_OP_GET_BUF. Takes what a TCP socket has received, or
 * pages of a file, into an entry of the ring's buffer table.
 *
 * Data that is taken from a socket can't be given back. So the entry is looked at and
 * the buffer is made before, under the ->uring_lock that is held until the buffer is
 * in the table.
 */
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <linux/net.h>
#include <linux/security.h>
#include <linux/shmem_fs.h>
#include <linux/socket.h>
#include <linux/uio.h>

#include <uapi/linux/io_uring.h>

#include "../../io_uring.h"
#include "../../rsrc.h"
#include "kbuf.h"
#include "slot.h"
#include "take.h"

struct io_get_buf {
	struct file	*file;
	void __user	*head;
	loff_t		off;
	u32		head_len;
	u32		len;
	u32		flags;
};

/**
 * io_get_buf_prep() - prepare IORING_OP_GET_BUF
 * @req:	the request
 * @sqe:	its SQE
 *
 * Return: 0 or -EINVAL.
 */
int io_get_buf_prep(struct io_kiocb *req, const struct io_uring_sqe *sqe)
{
	struct io_get_buf *gb = io_kiocb_to_cmd(req, struct io_get_buf);

	if (READ_ONCE(sqe->rw_flags) || READ_ONCE(sqe->addr3) ||
	    READ_ONCE(sqe->__pad2[0]))
		return -EINVAL;
	gb->flags = READ_ONCE(sqe->ioprio);
	if (gb->flags & ~(IORING_RECVSEND_POLL_FIRST | IORING_GET_BUF_REPLACE))
		return -EINVAL;
	gb->len = READ_ONCE(sqe->len);
	if (!gb->len || gb->len > IORING_GET_BUF_MAX)
		return -EINVAL;
	gb->off = READ_ONCE(sqe->off);
	if (gb->off < -1)
		return -EINVAL;
	gb->head = u64_to_user_ptr(READ_ONCE(sqe->addr));
	gb->head_len = READ_ONCE(sqe->optlen);
	if (gb->head_len > gb->len || !gb->head != !gb->head_len)
		return -EINVAL;
	req->buf_index = READ_ONCE(sqe->buf_index);
	/* to load the module takes its time */
	if (unlikely(!io_notif_available(false)))
		req->flags |= REQ_F_FORCE_ASYNC;
	return 0;
}

/* Put a buffer into the table if it was filled, or else free it. */
static ssize_t io_get_buf_end(struct io_kiocb *req, struct io_kbuf_take *take,
			      ssize_t ret)
{
	if (ret > 0)
		io_kbuf_install(req->ctx, req->buf_index, take->node);
	else
		io_put_rsrc_node(req->ctx, take->node);
	return ret;
}

static int io_get_buf_begin(struct io_kiocb *req, struct io_kbuf_take *take)
{
	struct io_get_buf *gb = io_kiocb_to_cmd(req, struct io_get_buf);
	int ret;

	ret = io_kbuf_check(req->ctx, req->buf_index,
			    gb->flags & IORING_GET_BUF_REPLACE);
	if (ret)
		return ret;
	ret = import_ubuf(ITER_DEST, gb->head, gb->head_len, &take->head);
	if (ret)
		return ret;
	return io_kbuf_begin(req->ctx, take, gb->len) ? 0 : -ENOMEM;
}

/* Without waiting, under ->uring_lock. */
static ssize_t io_get_buf_now(struct io_kiocb *req, io_kbuf_source *source,
			      void *from)
{
	struct io_kbuf_take take;
	ssize_t ret;

	ret = io_get_buf_begin(req, &take);
	if (ret)
		return ret;
	ret = io_kbuf_fill(req->ctx, &take, source, from);
	return io_get_buf_end(req, &take, ret);
}

static ssize_t io_get_buf_sock(struct io_kiocb *req, struct socket *sock,
			       unsigned int issue_flags, u32 *cflags)
{
	struct io_get_buf *gb = io_kiocb_to_cmd(req, struct io_get_buf);
	struct io_take_tcp tcp = { .sk = sock->sk };
	struct msghdr msg = {};
	ssize_t ret;

	if (gb->off)
		return -EINVAL;
	if ((gb->flags & IORING_RECVSEND_POLL_FIRST) &&
	    !(req->flags & REQ_F_POLLED))
		return -EAGAIN;
	ret = security_socket_recvmsg(sock, &msg, gb->len, 0);
	if (ret)
		return ret;

	for (;;) {
		io_ring_submit_lock(req->ctx, issue_flags);
		ret = io_get_buf_now(req, io_take_from_tcp, &tcp);
		io_ring_submit_unlock(req->ctx, issue_flags);
		if (ret != -EAGAIN || (issue_flags & IO_URING_F_NONBLOCK))
			break;
		ret = io_take_wait_tcp(sock->sk, req->file->f_flags & O_NONBLOCK);
		if (ret)
			break;
	}
	if (ret > 0 && tcp.more)
		*cflags |= IORING_CQE_F_SOCK_NONEMPTY;
	return ret;
}

/* Is the page cache of a file what its file system would read from? */
static bool io_get_buf_is_cached(struct file *file)
{
	if ((file->f_flags & O_DIRECT) || IS_DAX(file->f_mapping->host))
		return false;
	return file->f_op->fop_flags & FOP_BUFFER_RASYNC ||
	       shmem_mapping(file->f_mapping);
}

/* Read a file. In io-wq, as that waits. */
static ssize_t io_get_buf_read(struct io_kiocb *req, struct io_take_file *from,
			       unsigned int issue_flags)
{
	struct io_get_buf *gb = io_kiocb_to_cmd(req, struct io_get_buf);
	struct io_ring_ctx *ctx = req->ctx;
	struct io_kbuf_take take;
	ssize_t ret, busy;

	io_ring_submit_lock(ctx, issue_flags);
	ret = io_get_buf_begin(req, &take);
	io_ring_submit_unlock(ctx, issue_flags);
	if (ret)
		return ret;

	ret = io_kbuf_fill(ctx, &take, io_take_from_file, from);

	io_ring_submit_lock(ctx, issue_flags);
	/* another one may have come to the entry in the meantime */
	busy = io_kbuf_check(ctx, req->buf_index,
			     gb->flags & IORING_GET_BUF_REPLACE);
	ret = io_get_buf_end(req, &take, busy ?: ret);
	io_ring_submit_unlock(ctx, issue_flags);
	return ret;
}

static ssize_t io_get_buf_file(struct io_kiocb *req, unsigned int issue_flags)
{
	struct io_get_buf *gb = io_kiocb_to_cmd(req, struct io_get_buf);
	struct inode *inode = file_inode(req->file);
	struct file *file = req->file;
	struct io_take_file from = {
		.file	= file,
		.pos	= gb->off == -1 ? file->f_pos : gb->off,
	};
	ssize_t ret = -EAGAIN;

	if (gb->flags & IORING_RECVSEND_POLL_FIRST)
		return -EINVAL;
	if (!(file->f_mode & FMODE_READ))
		return -EBADF;
	if (S_ISDIR(inode->i_mode))
		return -EISDIR;
	if (!S_ISREG(inode->i_mode) && !S_ISBLK(inode->i_mode))
		return -EOPNOTSUPP;

	if (io_get_buf_is_cached(file)) {
		ret = rw_verify_area(READ, file, &from.pos, gb->len);
		if (ret)
			return ret;
		io_ring_submit_lock(req->ctx, issue_flags);
		ret = io_get_buf_now(req, io_take_from_cache, &from);
		io_ring_submit_unlock(req->ctx, issue_flags);
	}
	if (ret == -EAGAIN && !(issue_flags & IO_URING_F_NONBLOCK)) {
		from.pos = gb->off == -1 ? file->f_pos : gb->off;
		ret = io_get_buf_read(req, &from, issue_flags);
	}
	if (ret > 0 && gb->off == -1)
		file->f_pos = from.pos;
	return ret;
}

/**
 * io_get_buf() - issue IORING_OP_GET_BUF
 * @req:		the request
 * @issue_flags:	IO_URING_F_*
 *
 * Return: IOU_COMPLETE, or -EAGAIN as any ->issue().
 */
int io_get_buf(struct io_kiocb *req, unsigned int issue_flags)
{
	struct socket *sock = sock_from_file(req->file);
	u32 cflags = 0;
	ssize_t ret;

	if (issue_flags & IO_URING_F_IOWQ)
		io_notif_available(true);
	if (sock)
		ret = io_get_buf_sock(req, sock, issue_flags, &cflags);
	else
		ret = io_get_buf_file(req, issue_flags);
	if (ret == -EAGAIN && (issue_flags & IO_URING_F_NONBLOCK))
		return -EAGAIN;

	if (ret == -ERESTARTSYS)
		ret = -EINTR;
	/* at the end, too: who is linked must not send what was in the entry before */
	if (ret <= 0)
		req_set_fail(req);
	io_req_set_res(req, ret, cflags);
	return IOU_COMPLETE;
}
