// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Taking a part of a file into the buffer table, and sending it from there
 */
#include "notif.h"

/* A part of a file, by way of the table; the first bytes of it come here, too. */
static void taken(void)
{
	int fd = (int)syscall(__NR_memfd_create, "taken", 0);
	struct io_uring_sqe *sqe;
	char head[10];

	CHECK(write(fd, data, sizeof(data)) == sizeof(data));
	CHECK(io_uring_register_buffers_sparse(&ring, 4) == 0 && register_slots(0, 0));
	sqe = io_uring_get_sqe(&ring);
	io_uring_notif_prep_get_buf(sqe, fd, LEN, 50, 3, 0);
	io_uring_notif_get_buf_head(sqe, head, sizeof(head));
	CHECK(next() == IO_URING_NOTIF_REQUEST && res == LEN);
	CHECK(!memcmp(head, data + 50, sizeof(head)));
	io_uring_notif_prep_send_taken(io_uring_get_sqe(&ring), tx, 0, (size_t)-1, 0, 1, 0, 3);
	CHECK(next() == IO_URING_NOTIF_REQUEST && res == LEN && received(50, LEN));
	io_uring_notif_prep_get_buf(io_uring_get_sqe(&ring), fd, LEN, 0, 3, 0);
	CHECK(next() == IO_URING_NOTIF_REQUEST && res == -EBUSY);
	io_uring_notif_prep_get_buf(io_uring_get_sqe(&ring), fd, LEN, 0, 3,
				    IORING_GET_BUF_REPLACE);
	CHECK(next() == IO_URING_NOTIF_REQUEST && res == LEN);
	io_uring_notif_prep_send_taken(io_uring_get_sqe(&ring), tx, 10, 20, 0, 1,
				       IORING_RECVSEND_NOTIF_FLUSH, 3);
	CHECK(next() == IO_URING_NOTIF_REQUEST && res == 20 && received(10, 20));
	CHECK(next() == IO_URING_NOTIF_SLOT && notif.slot == 1);
	io_uring_notif_prep_give_up(io_uring_get_sqe(&ring), 0, 4);
	CHECK(next() == IO_URING_NOTIF_REQUEST && res == 1);
	CHECK(io_uring_notif_unregister(&ring) == 0);
	close(fd);
}

int main(void)
{
	if (!begin())
		return tap_end();
	if (caps.get_buf_flags & IORING_GET_BUF_REPLACE)
		taken();
	else
		tap_skip_all("this kernel has no IORING_OP_GET_BUF");
	io_uring_queue_exit(&ring);
	return tap_end();
}
