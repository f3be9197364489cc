// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The pool's bookkeeping, with CQEs that the test makes up: nothing is ever
 * submitted, so it needs a kernel with io_uring, but none with slots.
 */
#include "notif_pool.h"

#include "tap.h"

#define BASE	77
#define NR	4

static struct io_uring ring;
static struct notif_pool pool;

/* Take all SQEs as the kernel would; how many there were. */
static unsigned int take_sqes(void)
{
	unsigned int nr = io_uring_sq_ready(&ring);

	ring.sq.sqe_head += nr;
	*ring.sq.khead = ring.sq.sqe_head;
	return nr;
}

/* The kernel answers the flush of @group that it flushed @res notifiers. */
static bool flush_cqe(__u32 group, __s32 res)
{
	struct io_uring_cqe cqe;

	memset(&cqe, 0, sizeof(cqe));
	cqe.user_data = notif_pool_id(&pool, group, NOTIF_POOL_IS_FLUSH);
	cqe.res = res;
	return notif_pool_cqe(&pool, &cqe);
}

static bool notif_cqe(__u32 group, __u32 res)
{
	struct io_uring_cqe cqe;

	memset(&cqe, 0, sizeof(cqe));
	cqe.user_data = notif_pool_id(&pool, group, NOTIF_POOL_IS_NOTIF);
	cqe.res = (__s32)res;
	cqe.flags = IORING_CQE_F_NOTIF;
	return notif_pool_cqe(&pool, &cqe);
}

static bool open_pool(unsigned int every)
{
	int ret = notif_pool_init(&pool, &ring, 3, BASE, NR, 100, every);

	return !ret && take_sqes() == 1 && flush_cqe(0, 0);
}

/* Send @nr buffers of one byte. */
static bool send_some(unsigned int nr)
{
	while (nr--)
		if (!notif_pool_send(&pool, 1, 1, 0))
			return false;
	return true;
}

static void refused(void)
{
	CHECK(notif_pool_init(&pool, &ring, 0, BASE, 3, 100, 1) == -EINVAL);
	CHECK(notif_pool_init(&pool, &ring, 0, BASE, 0, 100, 1) == -EINVAL);
	CHECK(notif_pool_init(&pool, &ring, 0, BASE, 4, 0, 1) == -EINVAL);
	CHECK(notif_pool_init(&pool, &ring, 0, BASE, 4, 100, 5) == -EINVAL);
	CHECK(notif_pool_init(&pool, &ring, 0, 0, 4, 100, 1) == -EINVAL);
	CHECK(io_uring_sq_ready(&ring) == 0);
}

static void requests(void)
{
	struct io_uring_sqe *sqe;
	char *first;

	CHECK(open_pool(2));
	first = (char *)notif_pool_next(&pool);
	CHECK(first == notif_pool_next(&pool));
	CHECK(!notif_pool_send(&pool, 1, 101, 0));
	sqe = notif_pool_send(&pool, 1, 100, MSG_MORE);
	CHECK(sqe->addr == (uintptr_t)first && sqe->len == 100);
	CHECK(sqe->ioprio == IORING_SEND_ZC_NOTIF_SLOT);
	CHECK((char *)notif_pool_next(&pool) == first + 100);
	CHECK(io_uring_sq_ready(&ring) == 1);
	CHECK(send_some(1));
	/* the second one is followed by a flush, which names group 2 */
	CHECK(io_uring_sq_ready(&ring) == 3);
	sqe += 2;
	CHECK(sqe->opcode == IORING_OP_FILES_UPDATE && sqe->off == 3 && sqe->len == 1);
	CHECK(sqe->user_data == ((__u64)BASE << 32 | 1 << 1));
	CHECK(sqe->addr == ((__u64)BASE << 32 | 2 << 1 | 1));
	CHECK(notif_pool_flush(&pool) == 0 && io_uring_sq_ready(&ring) == 3);
	take_sqes();
	notif_pool_exit(&pool);
}

static void in_order(void)
{
	struct io_uring_cqe other;

	CHECK(open_pool(1));
	CHECK(send_some(4));
	CHECK(!notif_pool_next(&pool) && notif_pool_away(&pool) == 4);
	take_sqes();
	CHECK(flush_cqe(1, 1) && flush_cqe(2, 1) && notif_pool_away(&pool) == 4);
	/* the second group is back before the first */
	CHECK(notif_cqe(2, 0) && notif_pool_away(&pool) == 4);
	CHECK(notif_cqe(1, 0) && notif_pool_away(&pool) == 2);
	/* a notification may come before its flush's own CQE */
	CHECK(notif_cqe(3, IORING_NOTIF_USAGE_ZC_COPIED));
	CHECK(notif_pool_away(&pool) == 1 && pool.copied == 1);
	CHECK(flush_cqe(3, 1) && notif_pool_away(&pool) == 1);
	/* nothing attached: all requests failed as they were prepared */
	CHECK(flush_cqe(4, 0) && notif_pool_away(&pool) == 0);
	/* what is not ours, or was answered already, changes nothing */
	memset(&other, 0, sizeof(other));
	other.user_data = 4 << 1;
	CHECK(!notif_pool_cqe(&pool, &other));
	CHECK(notif_cqe(1, 0) && flush_cqe(9, 0) && notif_pool_away(&pool) == 0);
	CHECK(pool.error == 0 && flush_cqe(4, -EINVAL) && pool.error == -EINVAL);
	notif_pool_exit(&pool);
}

/* A CQE of a group that is long back isn't taken for one whose place it had. */
static void stale(void)
{
	__u32 group;

	CHECK(open_pool(1));
	for (group = 1; group <= NR; group++)
		CHECK(send_some(1) && take_sqes() == 2 && notif_cqe(group, 0));
	CHECK(send_some(1) && take_sqes() == 2 && notif_pool_away(&pool) == 1);
	CHECK(notif_cqe(1, 0) && flush_cqe(1, 0) && notif_pool_away(&pool) == 1);
	CHECK(notif_cqe(NR + 1, 0) && notif_pool_away(&pool) == 0);
	notif_pool_exit(&pool);
}

/* Counters wrap; the pool goes on. */
static void wraps(void)
{
	bool good = open_pool(1);
	unsigned int i;

	pool.group = UINT32_MAX - 5;
	pool.oldest = pool.group;
	pool.out = UINT32_MAX - 9;
	pool.back = pool.out;
	pool.flushed = pool.out;
	for (i = 0; good && i < 16; i++) {
		good = send_some(1);
		take_sqes();
		good = good && notif_pool_away(&pool) == 1 &&
		       notif_cqe(pool.oldest, 0) && !notif_pool_away(&pool);
	}
	CHECK(good && i == 16);
	notif_pool_exit(&pool);
}

static void full_queue(void)
{
	CHECK(open_pool(4));
	CHECK(notif_pool_wait(&pool, NULL, NULL) == -ENOENT);
	CHECK(send_some(1));
	while (io_uring_sq_space_left(&ring) > 1)
		io_uring_prep_nop(io_uring_get_sqe(&ring));
	/* the room is kept for the flush */
	CHECK(!notif_pool_send(&pool, 1, 1, 0) && notif_pool_away(&pool) == 1);
	io_uring_prep_nop(io_uring_get_sqe(&ring));
	CHECK(notif_pool_flush(&pool) == -EAGAIN);
	take_sqes();
	CHECK(notif_pool_flush(&pool) == 0 && io_uring_sq_ready(&ring) == 1);
	take_sqes();
	notif_pool_exit(&pool);
}

int main(void)
{
	int ret = io_uring_queue_init(16, &ring, 0);

	if (ret) {
		printf("1..0 # SKIP no io_uring here: %s\n", strerror(-ret));
		return 0;
	}
	refused();
	requests();
	in_order();
	stale();
	wraps();
	full_queue();
	io_uring_queue_exit(&ring);
	return tap_end();
}
