/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The CQEs of one batch: those of requests, which @see_request looks at, and
 * notifications.
 */
#ifndef NOTIF_BENCH_SEE_H
#define NOTIF_BENCH_SEE_H

#include <stdio.h>

#include "bench.h"

static inline void see_notif(struct bench *b, const struct io_uring_cqe *cqe)
{
	if (!cqe->res)
		return;
	if (!b->report || cqe->res != (int)IORING_NOTIF_USAGE_ZC_COPIED)
		fail("a notification's res is %d", cqe->res);
	b->copied = true;
}

static inline void see_cqes(struct bench *b, unsigned int requests,
			    unsigned int notifs,
			    void (*see_request)(struct bench *b,
						const struct io_uring_cqe *cqe))
{
	struct io_uring_cqe *cqe;
	int ret;

	while (requests || notifs) {
		ret = io_uring_wait_cqe(&b->ring, &cqe);
		if (ret)
			fail("wait: %s", strerror(-ret));
		if (cqe->flags & IORING_CQE_F_NOTIF) {
			if (!notifs--)
				fail("a notification too many");
			see_notif(b, cqe);
		} else {
			if (!requests--)
				fail("a CQE too many");
			see_request(b, cqe);
		}
		io_uring_cqe_seen(&b->ring);
	}
}

#endif
