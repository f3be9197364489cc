// SPDX-License-Identifier: GPL-2.0
/*
 * Notification slots: registered memory, where it is more than a part of one buffer.
 */
#include <linux/errno.h>
#include <linux/io_uring.h>
#include <linux/uio.h>

#include <uapi/linux/io_uring.h>

#include "../../io_uring.h"
#include "../../net.h"
#include "../../rsrc.h"
#include "slot.h"

/**
 * io_slot_import_vec() - import a vector of registered buffers
 * @req:		the request, which is attached to a notifier
 * @kmsg:		its message
 * @issue_flags:	IO_URING_F_*
 *
 * Return: 0 or an error.
 */
int io_slot_import_vec(struct io_kiocb *req, struct io_async_msghdr *kmsg,
		       unsigned int issue_flags)
{
	struct io_sr_msg *sr = io_kiocb_to_cmd(req, struct io_sr_msg);
	struct iov_iter *iter = &kmsg->msg.msg_iter;
	int ret;

	ret = io_import_reg_vec(ITER_SOURCE, iter, req, &kmsg->vec,
				iter->nr_segs, issue_flags);
	if (unlikely(ret))
		return ret;
	if (iov_iter_count(iter) < sr->slot_notif->copy_below) {
		/* the request's own reference is enough */
		sr->flags |= IORING_SEND_ZC_COPY;
		return 0;
	}
	io_ring_submit_lock(req->ctx, issue_flags);
	ret = io_notif_pin(req->ctx, sr->slot_notif, req->buf_node);
	io_ring_submit_unlock(req->ctx, issue_flags);
	return ret;
}

/**
 * io_slot_import_other() - import what io_import_send_buf() doesn't
 * @req:	the request, which is attached to a notifier
 * @iter:	of its message
 * @imu:	the registered buffer, which the notifier keeps
 *
 * That may be all of a kernel-owned buffer: with a length of -1 it is known only now
 * how much there is.
 *
 * Return: 0, 1 when it turns out to be so little that it is copied, or an error.
 */
int io_slot_import_other(struct io_kiocb *req, struct iov_iter *iter,
			 struct io_mapped_ubuf *imu)
{
	struct io_sr_msg *sr = io_kiocb_to_cmd(req, struct io_sr_msg);
	u64 addr = (u64)(uintptr_t)sr->buf;
	int ret;

	if (sr->len != -1)
		return io_import_fixed(ITER_SOURCE, iter, imu, addr, sr->len);
	if (addr < imu->ubuf || addr - imu->ubuf >= imu->len)
		return -EFAULT;
	sr->len = min_t(size_t, imu->len - (addr - imu->ubuf), MAX_RW_COUNT);
	ret = io_import_fixed(ITER_SOURCE, iter, imu, addr, sr->len);
	if (ret || sr->len >= sr->slot_notif->copy_below)
		return ret;
	sr->flags |= IORING_SEND_ZC_COPY;
	return 1;
}
