// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Slots: what the kernel says of them, registering them, and what it refuses
 */
#include "notif.h"

static void errors(void)
{
	struct io_uring_notif_slot slot = { .flags = 1U << 31 };

	CHECK(io_uring_notif_unregister(&ring) == -ENXIO);
	CHECK(io_uring_notif_register(&ring, &slot, 1, 0) == -EINVAL);
	CHECK(io_uring_notif_register(&ring, NULL, 1, 0) == -EFAULT);
	CHECK(io_uring_notif_register(&ring, &slot, 0, 0) == -EINVAL);
	CHECK(register_slots(0, 0) && !register_slots(0, 0));
	io_uring_notif_prep_send(io_uring_get_sqe(&ring), tx, data, LEN, 0, NR_SLOTS, 0);
	CHECK(next() == IO_URING_NOTIF_REQUEST && res == -EINVAL);
	CHECK(io_uring_notif_unregister(&ring) == 0);
}

int main(void)
{
	if (!begin())
		return tap_end();
	CHECK(caps.slot_size == 32 && caps.max_slots == IORING_MAX_NOTIF_SLOTS);
	errors();
	io_uring_queue_exit(&ring);
	return tap_end();
}
