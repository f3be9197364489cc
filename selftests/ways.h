/* SPDX-License-Identifier: GPL-2.0 */
/* The ways that the requests of one notifier take. */
#ifndef NOTIF_TEST_WAYS_H
#define NOTIF_TEST_WAYS_H

#include <linux/io_uring.h>

static const struct way {
	const char *what;
	unsigned int flags;	/* of all but the last */
	unsigned int ioprio;
} ways[] = {
	{ "inline", 0, 0 },
	{ "io-wq", IOSQE_ASYNC, 0 },
	{ "linked", IOSQE_IO_LINK, 0 },
	{ "hard linked", IOSQE_IO_HARDLINK, 0 },
	{ "linked in io-wq", IOSQE_IO_LINK | IOSQE_ASYNC, 0 },
	{ "poll first", 0, IORING_RECVSEND_POLL_FIRST },
};

#endif
