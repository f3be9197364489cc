// SPDX-License-Identifier: GPL-2.0
/*
 * What the module counts of all rings: /sys/kernel/debug/io_uring_notif/totals.
 * Here, as whoever has the file open doesn't keep the module.
 */
#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/seq_file.h>

#include "slot.h"

DEFINE_PER_CPU(struct io_notif_totals, io_notif_totals);
EXPORT_PER_CPU_SYMBOL_GPL(io_notif_totals);

static const char * const io_notif_total_names[IO_NOTIF_NR_TOTALS] = {
	[IO_NOTIF_CREATED]		= "created",
	[IO_NOTIF_REUSED]		= "reused",
	[IO_NOTIF_COMPLETED_INLINE]	= "completed_inline",
	[IO_NOTIF_COMPLETED_TASK_WORK]	= "completed_task_work",
	[IO_NOTIF_LINKED]		= "linked",
	[IO_NOTIF_COPIED]		= "copied",
};

static int io_notif_totals_show(struct seq_file *m, void *unused)
{
	unsigned int i;
	int cpu;

	for (i = 0; i < IO_NOTIF_NR_TOTALS; i++) {
		u64 sum = 0;

		for_each_possible_cpu(cpu)
			sum += per_cpu(io_notif_totals, cpu).n[i];
		seq_printf(m, "%s: %llu\n", io_notif_total_names[i], sum);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(io_notif_totals);

static int __init io_notif_totals_init(void)
{
	debugfs_create_file("totals", 0444,
			    debugfs_create_dir("io_uring_notif", NULL), NULL,
			    &io_notif_totals_fops);
	return 0;
}
late_initcall(io_notif_totals_init);
