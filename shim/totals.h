/* SPDX-License-Identifier: GPL-2.0 */
/* Notification slots: what is counted. */
#ifndef IOU_NOTIF_TOTALS_H
#define IOU_NOTIF_TOTALS_H

#include <linux/percpu.h>
#include <linux/types.h>

/* What is counted of all rings, see Documentation/networking/iou-notif.rst. */
enum io_notif_total {
	IO_NOTIF_CREATED,
	IO_NOTIF_REUSED,
	IO_NOTIF_COMPLETED_INLINE,
	IO_NOTIF_COMPLETED_TASK_WORK,
	IO_NOTIF_LINKED,
	IO_NOTIF_COPIED,
	IO_NOTIF_NR_TOTALS,
};

/**
 * struct io_notif_totals - what a CPU has counted
 * @n:	by enum io_notif_total
 */
struct io_notif_totals {
	u64	n[IO_NOTIF_NR_TOTALS];
};

DECLARE_PER_CPU(struct io_notif_totals, io_notif_totals);

#endif
