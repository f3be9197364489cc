/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a test of notification slots needs of a ring, beyond the kernel's
 * mini_liburing.h: waiting with a deadline, slots, and requests that use them.
 */
#ifndef NOTIF_TEST_RING_H
#define NOTIF_TEST_RING_H

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include <io_uring/mini_liburing.h>

/* A CQE that has not come after so long is lost, on a slow machine too. */
#define LOST_MS		15000
/* How long to listen for a CQE that must not come. */
#define QUIET_MS	50

#define RING_ENTRIES	128

/* user_data of requests, and tags of slots: never the same number */
#define REQ(i)		(0x1000ULL + (i))
#define FLUSH_REQ	0x2000ULL
#define TAG(i)		(0xf00d00000000ULL + (i))

#define RING_DEFER	(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN)

/*
 * Use a ring with these parameters, which another process may have made.
 * mini_liburing maps SQEs of 64 bytes and CQEs of 16: larger ones are so many
 * more of them. It makes room for their indices too, which is in the last page.
 */
static inline int ring_open(struct io_uring *ring, int fd,
			    const struct io_uring_params *params)
{
	struct io_uring_params p = *params;

	if (p.flags & IORING_SETUP_CQE32)
		p.cq_entries *= 2;
	if (p.flags & IORING_SETUP_SQE128)
		p.sq_entries *= 2;
	memset(ring, 0, sizeof(*ring));
	ring->ring_fd = fd;
	ring->flags = p.flags;
	return io_uring_mmap(fd, &p, &ring->sq, &ring->cq);
}

/*
 * SUBMIT_ALL, because a test that submits a bad request among good ones wants
 * the answers of all.
 */
static inline int ring_init_params(struct io_uring *ring, unsigned int setup,
				   struct io_uring_params *p)
{
	int fd, ret;

	memset(p, 0, sizeof(*p));
	p->flags = setup | IORING_SETUP_SUBMIT_ALL;
	/* ms that an SQPOLL thread keeps a CPU from the rest */
	p->sq_thread_idle = 10;
	fd = io_uring_setup(RING_ENTRIES, p);
	if (fd < 0)
		return -errno;
	ret = ring_open(ring, fd, p);
	if (ret)
		close(fd);
	return ret;
}

static inline int ring_init(struct io_uring *ring, unsigned int setup)
{
	struct io_uring_params p;

	return ring_init_params(ring, setup, &p);
}

/* io_uring_queue_exit() leaves the CQ ring mapped, and with that the ring open. */
static inline void ring_exit(struct io_uring *ring)
{
	unsigned long cq = (unsigned long)ring->cq.khead & -4096UL;
	size_t cq_size = ring->cq.ring_sz;
	unsigned int entries = *ring->sq.kring_entries;

	if (ring->flags & IORING_SETUP_SQE128)
		munmap(ring->sq.sqes + entries, entries * sizeof(*ring->sq.sqes));
	io_uring_queue_exit(ring);
	munmap((void *)cq, cq_size);
}

static inline int ring_register(struct io_uring *ring, unsigned int opcode,
				const void *arg, unsigned int nr_args)
{
	int ret = syscall(__NR_io_uring_register, ring->ring_fd, opcode, arg,
			  nr_args);

	return ret < 0 ? -errno : ret;
}

/* Run what is pending for the ring, wait @ms for @nr CQEs. */
static inline int ring_wait(struct io_uring *ring, unsigned int nr,
			    unsigned int ms)
{
	struct __kernel_timespec ts = {
		.tv_sec = ms / 1000,
		.tv_nsec = ms % 1000 * 1000000LL,
	};
	struct io_uring_getevents_arg arg = {
		.ts = (unsigned long)&ts,
	};
	int ret = syscall(__NR_io_uring_enter, ring->ring_fd, 0, nr,
			  IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg,
			  sizeof(arg));

	return ret < 0 ? -errno : 0;
}

static inline bool ring_empty(struct io_uring *ring)
{
	return *ring->cq.khead ==
	       __atomic_load_n(ring->cq.ktail, __ATOMIC_ACQUIRE);
}

/* flags of the notification number @seq of a slot */
static inline __u32 notif_flags(unsigned int seq)
{
	return IORING_CQE_F_NOTIF | (seq & 0xffff) << IORING_CQE_BUFFER_SHIFT;
}

/* The lower 16 bits of a notification's number; UINT_MAX with any other flags. */
static inline unsigned int notif_seq(const struct io_uring_cqe *cqe)
{
	unsigned int seq = cqe->flags >> IORING_CQE_BUFFER_SHIFT;

	return cqe->flags == notif_flags(seq) ? seq : ~0U;
}

/* What is the CQ's next: *cqe is it, unless it only fills the ring up. */
static inline bool ring_take(struct io_uring *ring, struct io_uring_cqe *cqe)
{
	unsigned int idx = *ring->cq.khead & *ring->cq.kring_mask;

	if (ring->flags & IORING_SETUP_CQE32)
		idx *= 2;
	*cqe = ring->cq.cqes[idx];
	io_uring_cqe_seen(ring);
	if (!(ring->flags & IORING_SETUP_CQE_MIXED))
		return true;
	if (cqe->flags & IORING_CQE_F_32)
		io_uring_cqe_seen(ring);
	return !(cqe->flags & IORING_CQE_F_SKIP);
}

/* Take the next CQE off the ring, -ETIME if none comes within @ms. */
static inline int ring_next_ms(struct io_uring *ring, struct io_uring_cqe *cqe,
			       unsigned int ms)
{
	while (ring_empty(ring) || !ring_take(ring, cqe)) {
		int ret = ring_empty(ring) ? ring_wait(ring, 1, ms) : 0;

		if (ret && ret != -EINTR)
			return ret;
	}
	return 0;
}

static inline int ring_next(struct io_uring *ring, struct io_uring_cqe *cqe)
{
	return ring_next_ms(ring, cqe, LOST_MS);
}

/*
 * Submit what is prepared. The kernel's thread of an SQPOLL ring takes requests
 * when it likes: wake it and wait until it did, mini_liburing relies on that.
 */
static inline int ring_submit(struct io_uring *ring)
{
	int ret = io_uring_submit(ring);

	if (!(ring->flags & IORING_SETUP_SQPOLL))
		return ret;
	io_uring_enter(ring->ring_fd, 0, 0, IORING_ENTER_SQ_WAKEUP, NULL);
	while (__atomic_load_n(ring->sq.khead, __ATOMIC_ACQUIRE) !=
	       *ring->sq.ktail)
		sched_yield();
	return ret;
}

static inline int register_slots_as(struct io_uring *ring,
				    const struct io_uring_notification_slot *slots,
				    unsigned int nr, unsigned int flags)
{
	struct io_uring_notification_register reg = {
		.nr_slots = nr,
		.flags = flags,
		.data = (unsigned long)slots,
	};

	return ring_register(ring, IORING_REGISTER_NOTIFIERS, &reg, sizeof(reg));
}

/* @nr slots without any option, slot i with the tag TAG(i). */
static inline int register_slots(struct io_uring *ring, unsigned int nr)
{
	struct io_uring_notification_slot *slots = calloc(nr, sizeof(*slots));
	unsigned int i;
	int ret;

	if (!slots)
		return -ENOMEM;
	for (i = 0; i < nr; i++)
		slots[i].tag = TAG(i);
	ret = register_slots_as(ring, slots, nr, 0);
	free(slots);
	return ret;
}

static inline int unregister_slots(struct io_uring *ring)
{
	return ring_register(ring, IORING_UNREGISTER_NOTIFIERS, NULL, 0);
}

/* A free SQE; no test prepares more than the ring has. */
static inline struct io_uring_sqe *ring_sqe(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (!sqe) {
		printf("# the ring has no free SQE\n");
		abort();
	}
	if (ring->flags & IORING_SETUP_SQE128)
		sqe += sqe - ring->sq.sqes;
	return sqe;
}

/* A SEND_ZC through @slot; the caller may change the SQE before it submits. */
static inline struct io_uring_sqe *
prep_slot_send(struct io_uring *ring, int fd, const void *buf, size_t len,
	       unsigned int slot, unsigned int ioprio)
{
	struct io_uring_sqe *sqe = ring_sqe(ring);

	io_uring_prep_sendzc(sqe, fd, buf, len, MSG_WAITALL,
			     IORING_SEND_ZC_NOTIF_SLOT | ioprio);
	sqe->notification_idx = slot;
	sqe->user_data = REQ(0);
	return sqe;
}

/* The same as SENDMSG_ZC. */
static inline struct io_uring_sqe *
prep_slot_sendmsg(struct io_uring *ring, int fd, const struct msghdr *msg,
		  unsigned int slot, unsigned int ioprio)
{
	struct io_uring_sqe *sqe = prep_slot_send(ring, fd, msg, 1, slot, ioprio);

	sqe->opcode = IORING_OP_SENDMSG_ZC;
	return sqe;
}

static inline struct io_uring_sqe *
prep_flush(struct io_uring *ring, __u64 first, unsigned int nr, __u64 tag)
{
	struct io_uring_sqe *sqe = ring_sqe(ring);

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_RSRC_UPDATE;
	sqe->ioprio = IORING_RSRC_UPDATE_NOTIF;
	sqe->fd = -1;
	sqe->off = first;
	sqe->len = nr;
	sqe->addr = tag;
	sqe->user_data = FLUSH_REQ;
	return sqe;
}

/*
 * Flush, and post a CQE only if that fails: the notifications are then all
 * that the ring shows, wherever the request's own CQE would stand among them.
 */
static inline int flush_slots(struct io_uring *ring, unsigned int first,
			      unsigned int nr, __u64 tag)
{
	prep_flush(ring, first, nr, tag)->flags = IOSQE_CQE_SKIP_SUCCESS;
	return ring_submit(ring);
}

/* Cancel a request, and post a CQE only if that fails. */
static inline void prep_cancel(struct io_uring *ring, __u64 user_data)
{
	struct io_uring_sqe *sqe = ring_sqe(ring);

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_ASYNC_CANCEL;
	sqe->fd = -1;
	sqe->addr = user_data;
	sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
	sqe->user_data = REQ(99);
}

#endif
