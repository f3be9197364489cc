/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Kernel-owned buffers: a sender, a relay that takes what it sends by
 * IORING_OP_GET_BUF, and a receiver.
 */
#ifndef NOTIF_TEST_GETBUF_H
#define NOTIF_TEST_GETBUF_H

#include <sys/uio.h>

#include "fixture.h"

#include "fdinfo.h"

#define NR_SLOTS	4
/* the last one is the program's own */
#define NR_BUFFERS	8
#define OWN_BUFFER	(NR_BUFFERS - 1)
#define DATA_LEN	(256 << 10)

/* A table of empty entries but for the last one, which is @own. */
static inline int register_table(struct io_uring *ring, void *own, size_t len)
{
	struct iovec iovs[NR_BUFFERS] = {};

	iovs[OWN_BUFFER] = (struct iovec){ own, len };
	return io_uring_register_buffers(ring, iovs, NR_BUFFERS);
}

/* Take up to @len bytes into entry @index. */
static inline struct io_uring_sqe *prep_get_buf(struct io_uring *ring, int fd,
						size_t len, unsigned int index)
{
	struct io_uring_sqe *sqe = ring_sqe(ring);

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_GET_BUF;
	sqe->fd = fd;
	sqe->len = len;
	sqe->buf_index = index;
	sqe->user_data = REQ(50);
	return sqe;
}

/* Send a part of entry @index through @slot, -1: all there is. */
static inline struct io_uring_sqe *
prep_send_buf(struct io_uring *ring, int fd, unsigned long from, int len,
	      unsigned int index, unsigned int slot, unsigned int ioprio)
{
	struct io_uring_sqe *sqe;

	sqe = prep_slot_send(ring, fd, (void *)from, 0, slot,
			     IORING_RECVSEND_FIXED_BUF | ioprio);
	sqe->len = len;
	sqe->buf_index = index;
	return sqe;
}

/* Give up what is in @nr entries from @first on. */
static inline struct io_uring_sqe *prep_give_up(struct io_uring *ring,
						unsigned int first,
						unsigned int nr)
{
	struct io_uring_sqe *sqe = prep_flush(ring, first, nr, 0);

	sqe->ioprio = IORING_RSRC_UPDATE_BUF;
	return sqe;
}

/* Buffers that the ring has made and that are somewhere, 0 before the first. */
static inline long kernel_bufs(struct io_uring *ring)
{
	long nr = fdinfo_number(ring->ring_fd, "KernelBufs:");

	return nr < 0 ? 0 : nr;
}

static inline long kernel_buf_pages(struct io_uring *ring)
{
	long nr = fdinfo_number(ring->ring_fd, "KernelBufPages:");

	return nr < 0 ? 0 : nr;
}

/* Send all, while the other side may not read. */
static inline int send_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = send(fd, data, len, 0);

		if (n < 0)
			return -errno;
		data += n;
		len -= n;
	}
	return 0;
}

/* The CQE of a request that takes something; its result. */
#define ASSERT_TAKEN(_ring, _max) ({					\
	struct io_uring_cqe __cqe = {};					\
	ASSERT_EQ(0, ring_next(_ring, &__cqe))				\
		TH_LOG("lost: the CQE of GET_BUF");			\
	ASSERT_EQ(REQ(50), __cqe.user_data);				\
	ASSERT_GT(__cqe.res, 0)						\
		TH_LOG("GET_BUF: %d", __cqe.res);			\
	ASSERT_LE(__cqe.res, (int)(_max));				\
	ASSERT_EQ(0, __cqe.flags & ~IORING_CQE_F_SOCK_NONEMPTY);	\
	__cqe.res;							\
})

/* The CQE of a request that takes nothing. */
#define ASSERT_NOT_TAKEN(_ring, _res)					\
	ASSERT_CQE(_ring, REQ(50), _res, 0)

#endif
