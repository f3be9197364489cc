// SPDX-License-Identifier: GPL-2.0
/* IORING_REGISTER_NOTIFIERS, in every wrong way too. */
#include <string.h>

#include "child.h"

#define MAX_NR	(IORING_MAX_NOTIF_SLOTS + 2)

/* What is wrong with it, if anything. */
enum wrong_with {
	FINE, SLOT_FLAGS, SLOT_RESV, REG_RESV2, REG_RESV3, REG_DATA, REG_NULL,
	REG_SIZE, REG_POINTER, REG_END_OF_MEMORY,
};

static void fill(struct ring *ring, const struct op *op,
		 struct io_uring_notification_slot *slots, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		memset(&slots[i], 0, sizeof(slots[i]));
		slots[i].tag = ud(UD_SLOT, ring - child.rings, ring->gen, i);
		slots[i].copy_below = op->a[2];
		slots[i].flush_after = op->a[3];
		slots[i].flags = op->a[7] >> 4 * (i % 16) & 0xf;
		ring->merged |= slots[i].flags & IORING_NOTIF_SLOT_MERGE;
	}
	if (op->a[4])
		slots[0].tag = odd_add(op->a[4]);
	if (op->a[5] == SLOT_FLAGS) {
		slots[nr - 1].flags = op->a[6];
		ring->merged = true;
	}
	if (op->a[5] == SLOT_RESV)
		slots[nr - 1].resv[op->a[6] % 3] = op->a[6] >> 2;
}

/* Slots whose requests all bear their notifications, a bit each. */
static unsigned int all_bear(const struct io_uring_notification_slot *slots,
			     unsigned int nr)
{
	unsigned int bits = 0, i;

	for (i = 0; i < nr && i < MAX_SLOTS; i++)
		if (slots[i].flags & IORING_NOTIF_SLOT_MERGE &&
		    slots[i].flush_after == 1)
			bits |= 1U << i;
	return bits;
}

void exec_slots(const struct op *op)
{
	struct ring *ring = &child.rings[op->ring % NR_RINGS];
	struct io_uring_notification_register reg = {
		.nr_slots = op->a[0],
		.flags = op->a[1],
	};
	unsigned int nr = reg.nr_slots, size = sizeof(reg), gen = ring->gen;
	unsigned int bear = ring->all_bear;
	struct io_uring_notification_slot *slots;
	const void *arg = &reg;

	if (nr > MAX_NR)
		nr = MAX_NR;
	if (!nr)
		nr = 1;
	slots = scratch(nr * sizeof(*slots));
	if (!slots)
		return;
	child_lock();
	ring->gen++;
	ring->all_bear = 0;
	fill(ring, op, slots, nr);
	reg.data = (unsigned long)slots;
	if (op->a[5] == REG_RESV2)
		reg.resv2 = op->a[6];
	if (op->a[5] == REG_RESV3)
		reg.resv3 = op->a[6];
	if (op->a[5] == REG_DATA)
		reg.data = op->a[6];
	if (op->a[5] == REG_END_OF_MEMORY)
		reg.data = (unsigned long)DATA + DATA_LEN - 8;
	if (op->a[5] == REG_NULL)
		arg = NULL;
	if (op->a[5] == REG_POINTER)
		arg = (void *)op->a[6];
	if (op->a[5] == REG_SIZE)
		size = op->a[6];
	child_unlock();
	if (ring_register(ring, IORING_REGISTER_NOTIFIERS, arg, size)) {
		if (!child.threads) {
			ring->gen = gen;
			ring->all_bear = bear;
		}
		return;
	}
	child_lock();
	ring->raw_seq = reg.flags & IORING_NOTIF_REG_RAW_SEQ;
	memset(ring->seen, 0, sizeof(ring->seen));
	ring->all_bear = child.threads ? 0 : all_bear(slots, nr);
	/* other memory than ours: nobody knows which tags they have */
	if (op->a[5] == REG_DATA || op->a[5] == REG_END_OF_MEMORY ||
	    op->a[5] == REG_POINTER)
		ring->wild = true;
	child_unlock();
}

void exec_unslots(const struct op *op)
{
	ring_register(&child.rings[op->ring % NR_RINGS],
		      IORING_UNREGISTER_NOTIFIERS, (void *)op->a[0], op->a[1]);
}
