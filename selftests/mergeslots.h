/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Slots with IORING_NOTIF_SLOT_MERGE: the CQE of the request that flushes such a
 * slot, its bearer, is the notification.
 */
#ifndef NOTIF_TEST_MERGESLOTS_H
#define NOTIF_TEST_MERGESLOTS_H

#include "fixture.h"

enum {
	EACH,		/* every request is one notifier's, */
	GROUP,		/* all up to the one with the flag, */
	BY_THREE,	/* or each three */
	COPIED,		/* as EACH, and all is copied */
	SOME_COPIED,	/* as GROUP, and what is small is copied */
	PLAIN,		/* doesn't merge */
	NR_SLOTS,
};

static const struct io_uring_notification_slot merge_slots[NR_SLOTS] = {
	[EACH] = { .tag = TAG(EACH), .flags = IORING_NOTIF_SLOT_MERGE,
		   .flush_after = 1 },
	[GROUP] = { .tag = TAG(GROUP), .flags = IORING_NOTIF_SLOT_MERGE },
	[BY_THREE] = { .tag = TAG(BY_THREE), .flags = IORING_NOTIF_SLOT_MERGE,
		       .flush_after = 3 },
	[COPIED] = { .tag = TAG(COPIED), .flags = IORING_NOTIF_SLOT_MERGE,
		     .flush_after = 1, .copy_below = ~0U },
	[SOME_COPIED] = { .tag = TAG(SOME_COPIED),
			  .flags = IORING_NOTIF_SLOT_MERGE, .copy_below = 1000 },
	[PLAIN] = { .tag = TAG(PLAIN) },
};

static inline int register_merge_slots(struct io_uring *ring, bool raw)
{
	return register_slots_as(ring, merge_slots, NR_SLOTS,
				 raw ? IORING_NOTIF_REG_RAW_SEQ : 0);
}

#endif
