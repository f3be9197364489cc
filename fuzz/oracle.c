// SPDX-License-Identifier: GPL-2.0
/* What no CQE may be, whatever the program does. */
#include "child.h"
#include "fuzz.h"

/* A program passes @value as user_data or tag. Returns it, or what doesn't mislead. */
__u64 odd_add(__u64 value)
{
	if (value >> 56 >= UD_REQUEST && value >> 56 <= UD_MESSAGE)
		value &= ~0ULL >> 8;
	if (child.nr_odd < MAX_ODD)
		child.odd[child.nr_odd++] = value;
	return value;
}

static bool is_odd(__u64 value)
{
	unsigned int i;

	for (i = 0; i < child.nr_odd; i++)
		if (child.odd[i] == value)
			return true;
	/* too many of them to tell */
	return child.nr_odd == MAX_ODD;
}

static void show(const struct ring *ring, const struct io_uring_cqe *cqe,
		 const char *what)
{
	wrong("%s: ring %u (setup %#x), user_data %#llx, res %#x, flags %#x", what,
	      (unsigned int)(ring - child.rings), ring->setup,
	      (unsigned long long)cqe->user_data, cqe->res, cqe->flags);
}

static void check_pointers(const struct ring *ring, const struct io_uring_cqe *cqe,
			   bool large)
{
	__u64 both = (__u64)cqe->flags << 32 | (__u32)cqe->res;

	/* a message's result and flags are the sender's */
	if (cqe->user_data >> 56 == UD_MESSAGE)
		both = 0;
	if (is_kernel_address(cqe->user_data) || is_kernel_address(both))
		show(ring, cqe, "a CQE with a kernel address");
	if (large && (is_kernel_address(cqe->big_cqe[0]) ||
		      is_kernel_address(cqe->big_cqe[1])))
		show(ring, cqe, "a large CQE with a kernel address behind it");
}

static void check_request(struct ring *ring, const struct io_uring_cqe *cqe)
{
	unsigned int nr = cqe->user_data & 0xffffff;
	struct request *request = &child.requests[nr % MAX_REQUESTS];

	if (child.shared)
		return;
	if (nr >= child.nr_requests)
		show(ring, cqe, "a CQE of a request that was never made");
	if (child.nr_requests > MAX_REQUESTS)
		return;
	/* mainline's notification, also of a request that was refused, says nothing */
	if (!(cqe->flags & IORING_CQE_F_NOTIF) && cqe->res > request->most)
		show(ring, cqe, "a request has done more than it was asked for");
	if (request->takes) {
		if (cqe->flags & ~IORING_CQE_F_SOCK_NONEMPTY)
			show(ring, cqe, "what takes a buffer has other flags");
		if (cqe->res <= 0 && cqe->flags)
			show(ring, cqe, "what has taken nothing says that there is more");
		if (request->cqes++)
			show(ring, cqe, "what takes a buffer has a second CQE");
		return;
	}
	if (!request->attached)
		return;
	if (cqe->flags & (IORING_CQE_F_MORE | IORING_CQE_F_NOTIF))
		show(ring, cqe, "a request with a slot announces, or is, a notification");
	if (cqe->flags && !(cqe->flags == IORING_CQE_F_ZC_COPIED && ring->merged &&
			    ring->reported))
		show(ring, cqe, "a request with a slot has flags");
	if (request->cqes++)
		show(ring, cqe, "a request with a slot has a second CQE");
}

/* @unique: the tag is one slot's, no other's. */
static void check_notification(struct ring *ring, const struct io_uring_cqe *cqe,
			       bool unique)
{
	unsigned int slot = cqe->user_data & 0xffffff;
	unsigned int gen = cqe->user_data >> 40 & 0xff;
	unsigned int seq = cqe->flags;

	if (cqe->res && cqe->res != (int)IORING_NOTIF_USAGE_ZC_COPIED)
		show(ring, cqe, "a notification with a result");
	common->workers[me].notifications++;
	if (child.shared)
		return;
	if (++ring->notified > ring->attached)
		show(ring, cqe, "more notifications than requests with a slot");
	/* slots that were there before may have had the other format */
	if (!unique || gen != (ring->gen & 0xff))
		return;
	if (slot < MAX_SLOTS && ring->all_bear & 1U << slot)
		show(ring, cqe, "a notification where the request bears it");
	if (!ring->raw_seq) {
		seq >>= IORING_CQE_BUFFER_SHIFT;
		if ((cqe->flags & 0xffff) != IORING_CQE_F_NOTIF)
			show(ring, cqe, "a notification with other flags");
	}
	if (seq >= ring->attached)
		show(ring, cqe, "a number that no notifier has");
	if (slot >= MAX_SLOTS || seq >= MAX_SEQ)
		return;
	if (ring->seen[slot] & 1ULL << seq)
		show(ring, cqe, "a notifier is notified twice");
	ring->seen[slot] |= 1ULL << seq;
}

void check_cqe(struct ring *ring, const struct io_uring_cqe *cqe, bool large)
{
	unsigned int class = cqe->user_data >> 56;

	check_pointers(ring, cqe, large);
	if ((class == UD_REQUEST || class == UD_SLOT) &&
	    (cqe->user_data >> 48 & 0xff) != (__u64)(ring - child.rings))
		show(ring, cqe, "a CQE of another ring");
	switch (class) {
	case UD_REQUEST:
		check_request(ring, cqe);
		break;
	case UD_SLOT:
		check_notification(ring, cqe, true);
		break;
	case UD_TAG:
		check_notification(ring, cqe, false);
		break;
	case UD_RSRC:
		if (cqe->res)
			show(ring, cqe, "the tag of a buffer with a result");
		break;
	case UD_MESSAGE:
		break;
	default:
		if (!child.shared && !is_odd(cqe->user_data))
			show(ring, cqe, "a CQE of nobody");
		break;
	}
}
