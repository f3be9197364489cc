/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Kernel-owned buffers for programs that use liburing: what a TCP socket has
 * received, or a part of a file, goes into an entry of the ring's buffer table and
 * from there to a socket or a file, without a copy. On top of liburing_notif.h;
 * see io_uring_notif_prep_get_buf(3).
 */
#ifndef LIBURING_GET_BUF_H
#define LIBURING_GET_BUF_H

#include "liburing_notif.h"

#ifndef LIBURING_HAVE_NOTIF

#ifndef IORING_GET_BUF_REPLACE		/* headers before GET_BUF */
#define IORING_GET_BUF_REPLACE	(1U << 1)
#define IORING_GET_BUF_MAX	(1U << 20)
#else
#define IO_URING_NOTIF_HAVE_GET_BUF	1
#endif

/* Numbers of the UAPI that are enums there */
enum {
	IO_URING_NOTIF_OP_GET_BUF		= 65,	/* IORING_OP_GET_BUF */
	IO_URING_NOTIF_UPDATE_BUF		= 2,	/* IORING_RSRC_UPDATE_BUF */
	IO_URING_NOTIF_OPTLEN_OFFSET	= 44	/* of sqe->optlen */
};

IO_URING_NOTIF_ASSERT(offsetof(struct io_uring_sqe, addr_len) == IO_URING_NOTIF_OPTLEN_OFFSET);

/*
 * Prepare to take up to @len bytes (1 to IORING_GET_BUF_MAX) into entry @buf_index
 * of the buffer table: from a TCP socket, @offset has to be 0, or from a file at
 * @offset, -1: where it is. @flags: IORING_GET_BUF_REPLACE,
 * IORING_RECVSEND_POLL_FIRST. res: how many were taken, 0 at the end.
 */
static inline void io_uring_notif_prep_get_buf(struct io_uring_sqe *sqe, int fd, size_t len,
					       __u64 offset, unsigned int buf_index,
					       unsigned int flags)
{
	/* as for a read, which liburing 2.3 clears all other fields for */
	io_uring_prep_read(sqe, fd, NULL, (unsigned int)len, offset);
	sqe->opcode = IO_URING_NOTIF_OP_GET_BUF;
	sqe->ioprio = (__u16)flags;
	sqe->buf_index = (__u16)buf_index;
}

/* Let a request of io_uring_notif_prep_get_buf() copy its first @len bytes to @head besides. */
static inline void io_uring_notif_get_buf_head(struct io_uring_sqe *sqe, void *head,
					       unsigned int len)
{
	__u32 optlen = len;

	sqe->addr = (uintptr_t)head;
	/* by its offset: older headers have no name for it */
	memcpy((unsigned char *)sqe + IO_URING_NOTIF_OPTLEN_OFFSET, &optlen, sizeof(optlen));
}

/*
 * Prepare a send from entry @buf_index through @slot: @len bytes from @from on,
 * (size_t)-1: all that there is. Else as io_uring_notif_prep_send_fixed().
 */
static inline void io_uring_notif_prep_send_taken(struct io_uring_sqe *sqe, int fd, size_t from,
						  size_t len, int msg_flags, unsigned int slot,
						  unsigned int zc_flags, unsigned int buf_index)
{
	io_uring_notif_prep_send_fixed(sqe, fd, (const void *)(uintptr_t)from, len, msg_flags,
				       slot, zc_flags, buf_index);
}

/*
 * Prepare to give up the buffers of GET_BUF in @nr entries from @first on; the
 * program's own are passed over. res: how many there were.
 */
static inline void io_uring_notif_prep_give_up(struct io_uring_sqe *sqe, unsigned int first,
					       unsigned int nr)
{
	io_uring_prep_files_update(sqe, NULL, nr, 0);
	sqe->off = first;
	sqe->ioprio = IO_URING_NOTIF_UPDATE_BUF;
}

#endif
#endif
