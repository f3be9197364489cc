/* SPDX-License-Identifier: GPL-2.0 */
/* Bad requests in a table of slots, and what shows that they changed none. */
#ifndef NOTIF_TEST_BADSLOTS_H
#define NOTIF_TEST_BADSLOTS_H

#include "bad.h"
#include "slots.h"

/* the slot that the requests name unless a row says otherwise */
#define SLOT		1

/*
 * The slots are as they were: nothing is attached but what @attached says, and
 * a good request gets the same tag and the next sequence number.
 */
#define ASSERT_UNCHANGED(_slot, _attached, _seq, _what) do {		\
	ASSERT_TRUE(ring_empty(&self->ring))				\
		TH_LOG("flushed: %s", _what);				\
	ASSERT_FLUSH(&self->ring, 0, NR_SLOTS);				\
	if (_attached)							\
		ASSERT_NOTIF(&self->ring, TAG(_slot), (_seq)++);	\
	prep_slot_send(&self->ring, self->net.tx, buf, 100, _slot,	\
		       IORING_RECVSEND_NOTIF_FLUSH);			\
	ASSERT_SUBMIT(&self->ring, 1);					\
	ASSERT_CQE(&self->ring, REQ(0), 100, 0);			\
	ASSERT_NOTIF(&self->ring, TAG(_slot), (_seq)++);		\
	ASSERT_RECEIVED(&self->net, buf, 100);				\
} while (0)

#define ASSERT_ALL_UNCHANGED(_seq) do {					\
	unsigned int _slot, _s;						\
	for (_slot = 0; _slot < NR_SLOTS; _slot++) {			\
		_s = _slot == SLOT ? (_seq) : 0;			\
		ASSERT_UNCHANGED(_slot, false, _s, "all");		\
	}								\
} while (0)

#endif
