// SPDX-License-Identifier: GPL-2.0
/* Rings: set up, fill, enter, empty. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "child.h"

/* For IORING_SETUP_NO_MMAP: what the program gives the ring to live in. */
#define OWN_LEN		(64 << 10)

int ring_register(struct ring *ring, unsigned int opcode, const void *arg,
		  unsigned int nr)
{
	int fd = ring ? ring->fd : -1, ret;

	if (ring && ring->registered)
		opcode |= IORING_REGISTER_USE_REGISTERED_RING;
	ret = syscall(__NR_io_uring_register, fd, opcode, arg, nr);
	return ret < 0 ? -errno : ret;
}

void ring_unmap(struct ring *ring)
{
	if (ring->map)
		munmap(ring->map, ring->map_len);
	if (ring->sqes)
		munmap(ring->sqes, ring->sqes_len);
	ring->map = NULL;
	ring->sqes = NULL;
}

static char *map_part(const struct ring *ring, size_t len, __u64 offset)
{
	char *map = mmap(NULL, len, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_POPULATE, ring->fd, offset);

	return map == MAP_FAILED ? NULL : map;
}

/* Find everything where ring->p says it is. */
int ring_map(struct ring *ring)
{
	const struct io_uring_params *p = &ring->p;
	size_t cq_len = (size_t)p->cq_entries * sizeof(struct io_uring_cqe);
	size_t len;

	if (ring->setup & IORING_SETUP_CQE32)
		cq_len *= 2;
	len = p->cq_off.cqes + cq_len;
	if (!(ring->setup & IORING_SETUP_NO_SQARRAY) &&
	    len < p->sq_off.array + p->sq_entries * sizeof(__u32))
		len = p->sq_off.array + p->sq_entries * sizeof(__u32);
	if (!(ring->setup & IORING_SETUP_NO_MMAP)) {
		ring->map_len = len;
		ring->map = map_part(ring, len, IORING_OFF_SQ_RING);
		ring->sqes_len = (size_t)p->sq_entries * sizeof(struct io_uring_sqe);
		if (ring->setup & IORING_SETUP_SQE128)
			ring->sqes_len *= 2;
		ring->sqes = map_part(ring, ring->sqes_len, IORING_OFF_SQES);
		if (!ring->map || !ring->sqes)
			return -ENOMEM;
	}
	ring->sq_head = (__u32 *)(ring->map + p->sq_off.head);
	ring->sq_tail = (__u32 *)(ring->map + p->sq_off.tail);
	ring->sq_flags = (__u32 *)(ring->map + p->sq_off.flags);
	ring->sq_array = ring->setup & IORING_SETUP_NO_SQARRAY ? NULL :
			 (__u32 *)(ring->map + p->sq_off.array);
	ring->cq_head = (__u32 *)(ring->map + p->cq_off.head);
	ring->cq_tail = (__u32 *)(ring->map + p->cq_off.tail);
	ring->cqes = ring->map + p->cq_off.cqes;
	return 0;
}

/* It has no other file, and goes with that. */
static void unregister_fd(struct ring *ring)
{
	struct io_uring_rsrc_update up = { .offset = ring->fd };

	ring_register(ring, IORING_UNREGISTER_RING_FDS, &up, 1);
}

void ring_close(struct ring *ring)
{
	if (!ring->open)
		return;
	ring_unmap(ring);
	if (ring->registered)
		unregister_fd(ring);
	else
		close(ring->fd);
	ring->open = false;
	ring->fd = -1;
}

static char *own_memory(void)
{
	char *map = mmap(NULL, OWN_LEN, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return map == MAP_FAILED ? NULL : map;
}

void exec_ring(const struct op *op)
{
	struct ring *ring = &child.rings[op->ring % NR_RINGS];
	const struct ring *other = &child.rings[op->a[3] % NR_RINGS];
	unsigned int gen = ring->gen + 1;
	struct io_uring_params p = {
		.flags = op->a[0],
		.cq_entries = op->a[2],
		.sq_thread_cpu = op->a[3],
		.sq_thread_idle = 1,
	};

	if (p.flags & IORING_SETUP_ATTACH_WQ)
		p.wq_fd = other->fd;
	ring_close(ring);
	memset(ring, 0, sizeof(*ring));
	ring->gen = gen;
	if (p.flags & IORING_SETUP_NO_MMAP) {
		ring->map = own_memory();
		ring->sqes = own_memory();
		ring->map_len = OWN_LEN;
		ring->sqes_len = OWN_LEN;
		p.cq_off.user_addr = (unsigned long)ring->map;
		p.sq_off.user_addr = (unsigned long)ring->sqes;
	}
	ring->fd = syscall(__NR_io_uring_setup, (unsigned int)op->a[1], &p);
	if (ring->fd < 0) {
		ring_unmap(ring);
		return;
	}
	ring->open = true;
	ring->p = p;
	ring->setup = p.flags;
	ring->registered = p.flags & IORING_SETUP_REGISTERED_FD_ONLY;
	if (ring_map(ring))
		ring_close(ring);
}

/* An opcode whose SQE takes the place of two. */
static bool is_large(const struct ring *ring, const struct io_uring_sqe *sqe)
{
	return ring->setup & IORING_SETUP_SQE_MIXED &&
	       (sqe->opcode == IORING_OP_NOP128 ||
		sqe->opcode == IORING_OP_URING_CMD128);
}

/* What the kernel has made of its size; where it lives now. */
void ring_remap(struct ring *ring, const struct io_uring_params *p)
{
	if (ring->setup & IORING_SETUP_NO_MMAP) {
		/* what was ours is the ring's no more */
		ring->wild = true;
		ring->open = false;
		if (!ring->registered)
			close(ring->fd);
		return;
	}
	ring_unmap(ring);
	ring->p.sq_entries = p->sq_entries;
	ring->p.cq_entries = p->cq_entries;
	ring->p.sq_off = p->sq_off;
	ring->p.cq_off = p->cq_off;
	if (ring_map(ring))
		ring_close(ring);
}

static void put_sqe(struct ring *ring, unsigned int tail,
		    const struct io_uring_sqe *sqe)
{
	unsigned int idx = tail & (ring->p.sq_entries - 1);
	unsigned int shift = ring->setup & IORING_SETUP_SQE128 ? 1 : 0;
	struct io_uring_sqe *to = (struct io_uring_sqe *)ring->sqes +
				  (idx << shift);

	*to = *sqe;
	if (shift)
		memset(to + 1, 0, sizeof(*to));
	if (ring->sq_array)
		ring->sq_array[idx] = idx;
}

/* Queue it, if there's room. */
void ring_queue(struct ring *ring, const struct io_uring_sqe *sqe)
{
	unsigned int nr = is_large(ring, sqe) ? 2 : 1;
	unsigned int head, tail, i;

	if (!ring->open)
		return;
	if (ring->setup & IORING_SETUP_SQ_REWIND) {
		for (i = 0; i < nr && ring->pending < ring->p.sq_entries; i++)
			put_sqe(ring, ring->pending++, sqe);
		return;
	}
	head = __atomic_load_n(ring->sq_head, __ATOMIC_ACQUIRE);
	tail = *ring->sq_tail;
	if (ring->p.sq_entries - (tail - head) < nr ||
	    tail - head > ring->p.sq_entries)
		return;
	for (i = 0; i < nr; i++)
		put_sqe(ring, tail + i, sqe);
	__atomic_store_n(ring->sq_tail, tail + nr, __ATOMIC_RELEASE);
}

/* Take what the CQ has, and look at each. */
void ring_reap(struct ring *ring)
{
	unsigned int shift = ring->setup & IORING_SETUP_CQE32 ? 1 : 0;
	unsigned int head, tail, left;

	if (!ring->open || !ring->map)
		return;
	head = *ring->cq_head;
	tail = __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE);
	left = ring->p.cq_entries;
	while (head != tail && left--) {
		unsigned int idx = head & (ring->p.cq_entries - 1);
		const struct io_uring_cqe *cqe = (void *)(ring->cqes +
			(sizeof(*cqe) << shift) * idx);
		bool mixed = ring->setup & IORING_SETUP_CQE_MIXED;
		bool large = mixed && cqe->flags & IORING_CQE_F_32;

		head++;
		if (mixed && cqe->flags & IORING_CQE_F_SKIP)
			continue;
		if (large)
			head++;
		/* what two processes take may be overwritten */
		if (!ring->wild && !child.shared)
			check_cqe(ring, cqe, large || shift);
	}
	__atomic_store_n(ring->cq_head, head, __ATOMIC_RELEASE);
}

static unsigned int queued(struct ring *ring)
{
	unsigned int nr = ring->pending;

	if (ring->setup & IORING_SETUP_SQ_REWIND) {
		ring->pending = 0;
		return nr;
	}
	return *ring->sq_tail - __atomic_load_n(ring->sq_head, __ATOMIC_ACQUIRE);
}

void exec_enter(const struct op *op)
{
	struct ring *ring = &child.rings[op->ring % NR_RINGS];
	struct __kernel_timespec ts = { .tv_nsec = op->a[3] % 8000 * 1000 };
	struct io_uring_getevents_arg arg = { .ts = (unsigned long)&ts };
	unsigned int flags = op->a[2], nr = op->a[0], wait = op->a[1];
	unsigned int mine;
	bool rewinds;

	child_lock();
	if (!ring->open) {
		child_unlock();
		return;
	}
	mine = queued(ring);
	rewinds = ring->setup & IORING_SETUP_SQ_REWIND;
	/* what is submitted twice would be answered twice */
	if (nr == ~0U || (rewinds && nr > mine))
		nr = mine;
	if (ring->setup & IORING_SETUP_SQPOLL &&
	    *ring->sq_flags & IORING_SQ_NEED_WAKEUP)
		flags |= IORING_ENTER_SQ_WAKEUP;
	/* the other thread would put its own where the kernel reads these from */
	if (!rewinds)
		child_unlock();
	if (ring->registered)
		flags |= IORING_ENTER_REGISTERED_RING;
	/* nobody waits without a limit, or with the lock; who polls does, for ever */
	if ((flags & IORING_ENTER_GETEVENTS && !(flags & IORING_ENTER_EXT_ARG)) ||
	    ring->setup & IORING_SETUP_IOPOLL || rewinds)
		wait = 0;
	syscall(__NR_io_uring_enter, ring->fd, nr, wait, flags, &arg,
		flags & IORING_ENTER_EXT_ARG ? sizeof(arg) : 0);
	if (rewinds)
		child_unlock();
	if (op->a[4] & 1)
		return;
	child_lock();
	ring_reap(ring);
	child_unlock();
}
