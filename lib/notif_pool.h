/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * A pool of buffers that go out through a notification slot and come back with
 * its notifications, in order. On top of liburing_notif.h; see notif_pool(7).
 *
 *	while (!(buf = notif_pool_next(&pool)))		... the oldest come back
 *		notif_pool_wait(&pool, on_other_cqe, arg);
 *	fill(buf, len);
 *	sqe = notif_pool_send(&pool, fd, len, 0);	... every Nth flushes
 *	io_uring_submit(&ring);
 *
 * A pool belongs to one slot, and its buffers come back in the order in which
 * they went out: a peer that never acknowledges keeps those that are younger.
 * So one pool for each TCP connection; any number of peers with UDP.
 */
#ifndef NOTIF_POOL_H
#define NOTIF_POOL_H

#include "liburing_notif.h"

#include <stdlib.h>
#include <sys/mman.h>

/* What one notification gives back: all buffers before @end */
struct notif_pool_group {
	__u32 end;
	bool done;
};

struct notif_pool {
	struct io_uring *ring;
	unsigned char *mem;	/* nr * size bytes */
	struct notif_pool_group *groups;
	__u64 base;		/* upper half of user_data of the pool's CQEs */
	__u32 slot;
	__u32 nr, size;	/* of the buffers */
	__u32 every;		/* flush after so many */
	int buf_index;		/* of @mem, if it is registered, else -1 */
	unsigned int zc_flags;	/* for every request */
	/* These count up and wrap around: out - back buffers are away. */
	__u32 out, back;
	__u32 flushed;	/* buffers before it are in a group */
	__u32 group, oldest;	/* the one that is being filled, the first away */
	__u64 copied;	/* notifications that said so, if asked for */
	int error;		/* of a flush: the slot isn't there any more */
};

enum { NOTIF_POOL_IS_FLUSH = 0, NOTIF_POOL_IS_NOTIF = 1 };

static inline __u64 notif_pool_id(const struct notif_pool *pool, __u32 group, unsigned int kind)
{
	return pool->base << 32 | (__u32)(group << 1) | kind;
}

/* Whether @nr more requests fit the ring's submission queue */
static inline bool notif_pool_fits(struct notif_pool *pool, unsigned int nr)
{
	return io_uring_sq_space_left(pool->ring) >= nr;
}

/*
 * The slot is flushed by a request of its own, as that names the next group, in
 * the tag, and as its result says whether there is a notification to come: not
 * if all requests of the group failed as they were prepared.
 */
static inline void notif_pool_prep_flush(struct notif_pool *pool)
{
	struct notif_pool_group *group = &pool->groups[pool->group % pool->nr];
	struct io_uring_sqe *sqe = io_uring_get_sqe(pool->ring);

	io_uring_notif_prep_flush(sqe, pool->slot, 1,
				  notif_pool_id(pool, pool->group + 1,
						NOTIF_POOL_IS_NOTIF));
	sqe->user_data = notif_pool_id(pool, pool->group, NOTIF_POOL_IS_FLUSH);
	group->end = pool->out;
	group->done = false;
	pool->flushed = pool->out;
	pool->group++;
}

/*
 * Make a pool of @nr buffers (a power of two) of @size bytes on registered slot
 * @slot, which nothing else may use. @base, not 0, is the upper half of the
 * user_data of all CQEs that are for notif_pool_cqe(). Needs a free SQE.
 * 0, -EINVAL, -ENOMEM, or -EAGAIN for a full submission queue.
 */
static inline int notif_pool_init(struct notif_pool *pool, struct io_uring *ring,
				  unsigned int slot, __u32 base, unsigned int nr,
				  unsigned int size, unsigned int every)
{
	void *mem;

	memset(pool, 0, sizeof(*pool));
	if (!nr || nr & (nr - 1) || !size || !every || every > nr || !base)
		return -EINVAL;
	pool->ring = ring;
	pool->slot = slot;
	pool->base = base;
	pool->nr = nr;
	pool->size = size;
	pool->every = every;
	pool->buf_index = -1;
	if (!notif_pool_fits(pool, 1))
		return -EAGAIN;
	mem = mmap(NULL, (size_t)nr * size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		return -ENOMEM;
	pool->mem = (unsigned char *)mem;
	pool->groups = (struct notif_pool_group *)
		calloc(nr, sizeof(*pool->groups));
	if (!pool->groups) {
		munmap(mem, (size_t)nr * size);
		return -ENOMEM;
	}
	/* nothing is in group 0, its flush names group 1 */
	notif_pool_prep_flush(pool);
	pool->oldest = pool->group;
	return 0;
}

/*
 * Free the pool, also while buffers are away: the kernel keeps what it sends of
 * the pages, and nobody else gets them.
 */
static inline void notif_pool_exit(struct notif_pool *pool)
{
	munmap(pool->mem, (size_t)pool->nr * pool->size);
	free(pool->groups);
	pool->mem = NULL;
	pool->groups = NULL;
}

/* How many buffers are away */
static inline unsigned int notif_pool_away(const struct notif_pool *pool)
{
	return pool->out - pool->back;
}

/* The next buffer to fill, NULL if all are away; it doesn't block. */
static inline void *notif_pool_next(struct notif_pool *pool)
{
	if (notif_pool_away(pool) == pool->nr)
		return NULL;
	return pool->mem + (size_t)(pool->out % pool->nr) * pool->size;
}

/*
 * Flush what was sent since the last flush, so that it comes back. 0, also if
 * there is nothing; -EAGAIN for a full submission queue.
 */
static inline int notif_pool_flush(struct notif_pool *pool)
{
	if (pool->flushed == pool->out)
		return 0;
	if (!notif_pool_fits(pool, 1))
		return -EAGAIN;
	notif_pool_prep_flush(pool);
	return 0;
}

/*
 * Prepare the sending of @len bytes of the buffer that notif_pool_next() gave.
 * Returns the SQE, for user_data, an address or IOSQE_CQE_SKIP_SUCCESS, not for
 * IOSQE_IO_LINK, as a flush may follow; NULL if the submission queue is full, no
 * buffer is free, or one is too small.
 */
static inline struct io_uring_sqe *notif_pool_send(struct notif_pool *pool, int fd, size_t len,
						   int msg_flags)
{
	void *buf = notif_pool_next(pool);
	struct io_uring_sqe *sqe;

	/* with room for the flush, which must follow the Nth at once */
	if (!buf || len > pool->size || !notif_pool_fits(pool, 2))
		return NULL;
	sqe = io_uring_get_sqe(pool->ring);
	if (pool->buf_index >= 0)
		io_uring_notif_prep_send_fixed(sqe, fd, buf, len, msg_flags,
					       pool->slot, pool->zc_flags,
					       (unsigned int)pool->buf_index);
	else
		io_uring_notif_prep_send(sqe, fd, buf, len, msg_flags,
					 pool->slot, pool->zc_flags);
	sqe->user_data = 0;
	pool->out++;
	if (pool->out - pool->flushed >= pool->every)
		notif_pool_prep_flush(pool);
	return sqe;
}

/*
 * Give the pool a CQE. False if it isn't the pool's; true if it was, and buffers
 * may be free now. io_uring_cqe_seen() is the caller's in both cases.
 */
static inline bool notif_pool_cqe(struct notif_pool *pool, const struct io_uring_cqe *cqe)
{
	__u32 number = (__u32)cqe->user_data >> 1;
	__u32 nr_away = pool->group - pool->oldest;
	__u32 place = (number - pool->oldest) & (UINT32_MAX >> 1);
	bool is_notif = cqe->flags & IORING_CQE_F_NOTIF;
	struct notif_pool_group *group;

	if (cqe->user_data >> 32 != pool->base)
		return false;
	if (!is_notif && cqe->res < 0)
		pool->error = cqe->res;
	else if (is_notif && (__u32)cqe->res & IORING_NOTIF_USAGE_ZC_COPIED)
		pool->copied++;
	/* the flush of a group that is back, or that has its notification to come */
	if (place >= nr_away || (!is_notif && cqe->res))
		return true;
	pool->groups[(pool->oldest + place) % pool->nr].done = true;
	while (pool->oldest != pool->group) {
		group = &pool->groups[pool->oldest % pool->nr];
		if (!group->done)
			break;
		pool->back = group->end;
		pool->oldest++;
	}
	return true;
}

/* Takes a CQE that isn't the pool's, see notif_pool_wait(). */
typedef void (*notif_pool_other)(struct io_uring_cqe *cqe, void *arg);

/*
 * Wait until buffers come back. Before it sleeps it submits what is queued, and
 * flushes if nothing would come otherwise; CQEs that aren't the pool's are given to
 * @other, which must not wait. 0 or -errno; -ENOENT if no buffer is away.
 */
static inline int notif_pool_wait(struct notif_pool *pool, notif_pool_other other, void *arg)
{
	__u32 back = pool->back;
	struct io_uring_cqe *cqe;
	int ret;

	if (!notif_pool_away(pool))
		return -ENOENT;
	/* if no group is on its way, the buffers away are those not flushed yet */
	if (pool->oldest == pool->group) {
		if (!notif_pool_fits(pool, 1))
			io_uring_submit(pool->ring);
		ret = notif_pool_flush(pool);
		if (ret)
			return ret;
	}
	ret = 0;
	while ((ret >= 0 || ret == -EINTR) && !pool->error && pool->back == back) {
		ret = io_uring_peek_cqe(pool->ring, &cqe);
		if (ret == -EAGAIN) {
			ret = io_uring_submit_and_wait(pool->ring, 1);
			continue;
		}
		if (ret)
			break;
		if (!notif_pool_cqe(pool, cqe) && other)
			other(cqe, arg);
		io_uring_cqe_seen(pool->ring, cqe);
	}
	if (pool->error)
		return pool->error;
	return ret < 0 && ret != -EINTR ? ret : 0;
}

#endif
