/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The CQs that mini_liburing.h can't read: with CQEs of 32 bytes, or of both
 * sizes. What is read is overwritten with POISON, so that a CQE that is larger
 * than it says leaves its trace.
 */
#ifndef NOTIF_TEST_CQE_H
#define NOTIF_TEST_CQE_H

#include <stdbool.h>

#include "ring.h"

#define POISON	0xa5

struct any_cqe {
	__u64 user_data;
	__s32 res;
	__u32 flags;
	__u64 extra[2];		/* of a large one */
	bool large;
};

struct any_cq {
	struct io_uring *ring;
	char *map;
	size_t map_len;
	unsigned char *cqes;
	size_t cqes_len;
};

/* Map the CQ once more, as large as it is. The ring is new. */
static inline int any_cq_map(struct any_cq *cq, struct io_uring *ring)
{
	char *old = (char *)((unsigned long)ring->cq.khead & -4096UL);
	size_t off = (char *)ring->cq.cqes - old;

	cq->ring = ring;
	cq->cqes_len = (*ring->cq.kring_mask + 1) * sizeof(struct io_uring_cqe);
	if (ring->flags & IORING_SETUP_CQE32)
		cq->cqes_len *= 2;
	cq->map_len = off + cq->cqes_len;
	cq->map = mmap(NULL, cq->map_len, PROT_READ | PROT_WRITE, MAP_SHARED,
		       ring->ring_fd, IORING_OFF_CQ_RING);
	if (cq->map == MAP_FAILED)
		return -errno;
	cq->cqes = (unsigned char *)cq->map + off;
	memset(cq->cqes, POISON, cq->cqes_len);
	return 0;
}

static inline void any_cq_unmap(struct any_cq *cq)
{
	munmap(cq->map, cq->map_len);
}

/* Take @nr entries of @size off the CQ. */
static inline void any_cq_seen(struct any_cq *cq, void *entry, size_t size,
			       unsigned int nr)
{
	memset(entry, POISON, size * nr);
	__atomic_store_n(cq->ring->cq.khead, *cq->ring->cq.khead + nr,
			 __ATOMIC_RELEASE);
}

/* Take the next CQE off the CQ, -ETIME if none comes. */
static inline int any_cq_next(struct any_cq *cq, struct any_cqe *cqe)
{
	const bool all_large = cq->ring->flags & IORING_SETUP_CQE32;
	const size_t size = sizeof(struct io_uring_cqe) << all_large;
	struct io_uring_cqe *entry;
	int ret;

	for (;;) {
		while (ring_empty(cq->ring)) {
			ret = ring_wait(cq->ring, 1, LOST_MS);
			if (ret && ret != -EINTR)
				return ret;
		}
		entry = (void *)(cq->cqes + size * (*cq->ring->cq.khead &
						    *cq->ring->cq.kring_mask));
		/* before a large one that would not be in one piece */
		if (!(cq->ring->flags & IORING_SETUP_CQE_MIXED) ||
		    !(entry->flags & IORING_CQE_F_SKIP))
			break;
		any_cq_seen(cq, entry, size, 1);
	}
	cqe->user_data = entry->user_data;
	cqe->res = entry->res;
	cqe->flags = entry->flags;
	cqe->large = all_large || (cq->ring->flags & IORING_SETUP_CQE_MIXED &&
				   entry->flags & IORING_CQE_F_32);
	if (cqe->large)
		memcpy(cqe->extra, entry->big_cqe, sizeof(cqe->extra));
	any_cq_seen(cq, entry, size, 1 + (cqe->large && !all_large));
	return 0;
}

/* Whether every CQE was read, and nothing is written elsewhere. */
static inline bool any_cq_is_clean(struct any_cq *cq)
{
	size_t i;

	for (i = 0; i < cq->cqes_len; i++)
		if (cq->cqes[i] != POISON)
			return false;
	return ring_empty(cq->ring);
}

#endif
