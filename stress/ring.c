// SPDX-License-Identifier: GPL-2.0
/* The rings of a worker: how they begin and end, and what changes meanwhile. */
#include "model.h"
#include "stream.h"

#define RING_COOP	(IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG)

static const struct {
	const char *name;
	unsigned int setup;
	bool one_task;		/* threads can't share it */
} kinds[] = {
	{ "plain", 0, false },
	{ "coop", IORING_SETUP_COOP_TASKRUN, false },
	{ "coop flag", RING_COOP, false },
	{ "cqe32", IORING_SETUP_CQE32, false },
	{ "mixed", IORING_SETUP_CQE_MIXED | IORING_SETUP_SQE_MIXED, false },
	{ "sqe128", IORING_SETUP_SQE128 | RING_COOP, false },
	{ "sqpoll", IORING_SETUP_SQPOLL, false },
	{ "single", IORING_SETUP_SINGLE_ISSUER, true },
	{ "defer", RING_DEFER, true },
	{ "defer flag", RING_DEFER | IORING_SETUP_TASKRUN_FLAG, true },
	{ "defer large", RING_DEFER | IORING_SETUP_CQE32 | IORING_SETUP_SQE128,
	  true },
	{ "defer mixed", RING_DEFER | IORING_SETUP_CQE_MIXED |
			 IORING_SETUP_SQE_MIXED | IORING_SETUP_NO_SQARRAY,
	  true },
	{ "defer disabled", RING_DEFER | IORING_SETUP_R_DISABLED, true },
};

#define NR_KINDS	ARRAY_SIZE(kinds)

/* Any of IORING_NOTIF_SLOT_MERGE, _SEGMENTS and _FALLBACK. */
#define NR_SLOT_FLAGS	8

/* All CQEs there are, those that did not fit into the CQ included. */
static unsigned int collect(struct ring *r)
{
	struct io_uring *ring = &r->ring;
	unsigned int nr = 0, tries = 0;

	for (;;) {
		while (nr < MAX_TAKEN && !ring_empty(ring))
			nr += ring_take(ring, &r->taken[nr]);
		if (nr == MAX_TAKEN || ++tries > 100 ||
		    !(__atomic_load_n(ring->sq.kflags, __ATOMIC_RELAXED) &
		      IORING_SQ_CQ_OVERFLOW))
			return nr;
		if (ring_wait(ring, 0, 0) == -EBADR)
			wrong_of(r, "the kernel has dropped a CQE");
	}
}

void ring_reap(struct ring *r)
{
	unsigned int nr = collect(r), i;

	for (i = 0; i < nr; i++)
		answer(r, &r->taken[i]);
}

static void submit_batch(struct ring *r)
{
	unsigned int tries;
	int ret = 0;

	for (tries = 0; tries < 1000; tries++) {
		ret = ring_submit(&r->ring);
		if (*r->ring.sq.khead == *r->ring.sq.ktail &&
		    r->ring.sq.sqe_head == r->ring.sq.sqe_tail)
			return;
		if (ret < 0 && ret != -EINTR && ret != -EAGAIN && ret != -EBUSY)
			break;
	}
	wrong_of(r, "a submission ends with %d", ret);
}

/*
 * A worker that may lock little memory sends requests one by one: only the CQE
 * of such a request tells whether it was attached, and what it has flushed.
 */
static bool was_refused(const struct ring *r, unsigned int nr)
{
	unsigned int i;

	for (i = 0; r->limited && r->nr_batch && i < nr; i++)
		if (r->taken[i].user_data == r->batch[0]->id &&
		    r->taken[i].res == -ENOMEM)
			return true;
	return false;
}

void ring_go(struct ring *r)
{
	struct request *silent = NULL;
	unsigned int nr, i;
	bool refused;

	if (!r->nr_batch)
		return;
	submit_batch(r);
	nr = collect(r);
	refused = was_refused(r, nr);
	if (refused) {
		count->refused++;
		r->batch[0]->want = -ENOMEM;
	}
	/* an update that is done by now, and of which no CQE tells */
	for (i = 0; i < r->nr_batch; i++)
		if (r->batch[i]->kind == KIND_UPDATE && r->batch[i]->skip)
			silent = r->batch[i];
	model_submitted(r, refused);
	if (silent) {
		silent->over = true;
		r->in_flight--;
		request_free(r, silent);
	}
	for (i = 0; i < nr; i++)
		answer(r, &r->taken[i]);
}

/*
 * The module can be unloaded as another ring gives it back; who finds it on its
 * way out is told that there is none.
 */
static int register_patiently(struct ring *r,
			      const struct io_uring_notification_slot *slots,
			      unsigned int nr, unsigned int flags)
{
	__u64 end = now_ms() + GONE_MS;
	int ret;

	while ((ret = register_slots_as(&r->ring, slots, nr, flags)) ==
	       -EOPNOTSUPP && now_ms() < end)
		sleep_ms(20);
	return ret;
}

void ring_register_slots(struct ring *r, struct rnd *rnd)
{
	static const unsigned int below[] = { 0, 0, 100, 1000, 4096, 65536 };
	static const unsigned int after[] = { 0, 0, 0, 1, 2, 3, 8, 64 };
	struct io_uring_notification_slot slots[MAX_SLOTS] = {};
	unsigned int nr = rnd_between(rnd, 1, MAX_SLOTS), i;
	bool raw = rnd_one_in(rnd, 3) &&
		   !(r->ring.flags & IORING_SETUP_CQE_MIXED);
	int ret;

	memset(r->slots, 0, sizeof(r->slots));
	for (i = 0; i < nr; i++) {
		slots[i].tag = model_tag(r, i);
		slots[i].copy_below = below[rnd_below(rnd, 6)];
		slots[i].flush_after = after[rnd_below(rnd, 8)];
		slots[i].flags = rnd_below(rnd, NR_SLOT_FLAGS);
		r->slots[i].tag = slots[i].tag;
		r->slots[i].flush_after = slots[i].flush_after;
		r->slots[i].merges = slots[i].flags & IORING_NOTIF_SLOT_MERGE;
		r->slots[i].copies = slots[i].flags & IORING_NOTIF_SLOT_FALLBACK;
	}
	ret = register_patiently(r, slots, nr, raw ? IORING_NOTIF_REG_RAW_SEQ : 0);
	out_of_memory(ret);
	if (ret)
		wrong_of(r, "no slots can be registered: %d", ret);
	r->raw = raw;
	r->nr_slots = nr;
}

/* A user may have locked too much; then all buffers are plain. */
void ring_register_pool(struct ring *r)
{
	struct iovec iov[MAX_BUFS];
	unsigned int i;
	int ret;

	for (i = 0; i < r->nr_bufs; i++)
		iov[i] = (struct iovec){ r->pool + i * MAX_SEND, MAX_SEND };
	ret = io_uring_register_buffers(&r->ring, iov, r->nr_bufs);
	out_of_memory(ret);
	if (ret && !(r->limited && ret == -ENOMEM))
		wrong_of(r, "no buffers can be registered: %d", ret);
	r->has_bufs = !ret;
	r->table++;
}

/*
 * Memory to send from. A huge page is back in its own pool only once nothing
 * refers to it any more, and is quick to make.
 */
static void make_pool(struct ring *r, struct rnd *rnd)
{
	int sharing = rnd_one_in(rnd, 2) ? MAP_SHARED : MAP_PRIVATE;
	bool huge = !rnd_one_in(rnd, 4);

	r->pool = MAP_FAILED;
	r->nr_bufs = MAX_BUFS;
	/* not private, where a child would need another one */
	if (huge)
		r->pool = mmap(NULL, MAX_BUFS * MAX_SEND, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (r->pool == MAP_FAILED) {
		r->nr_bufs = MIN_BUFS;
		r->pool = mmap(NULL, MIN_BUFS * MAX_SEND, PROT_READ | PROT_WRITE,
			       sharing | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	}
	if (r->pool == MAP_FAILED)
		wrong_of(r, "there is no memory: %m");
	memset(r->pool, OVER_BYTE, r->nr_bufs * MAX_SEND);
}

void ring_start(struct ring *r, struct rnd *rnd, enum role role)
{
	unsigned int nr = rnd_below(rnd, NR_KINDS), entries = 16 << rnd_below(rnd, 3);
	struct io_uring_params p = { .sq_thread_idle = 10 };
	bool drains = rnd_one_in(rnd, 3);
	int fd, ret;

	memset(r, 0, sizeof(*r));
	while ((role == ROLE_THREADS && kinds[nr].one_task) ||
	       (role == ROLE_LIMITED && kinds[nr].setup & IORING_SETUP_SQPOLL))
		nr = (nr + 1) % NR_KINDS;
	r->name = kinds[nr].name;
	r->limited = role == ROLE_LIMITED;
	/* an update must not be late there: who is refused flushes slots, too */
	r->drains = drains && !r->limited;
	p.flags = kinds[nr].setup | IORING_SETUP_SUBMIT_ALL;
	fd = io_uring_setup(entries, &p);
	if (fd < 0 && errno == ENOMEM && r->limited)
		return;
	out_of_memory(fd < 0 ? -errno : 0);
	if (fd < 0)
		wrong_of(r, "there is none: %m");
	ret = ring_open(&r->ring, fd, &p);
	out_of_memory(ret);
	if (ret)
		wrong_of(r, "it can't be mapped: %d", ret);
	make_pool(r, rnd);
	if (rnd_one_in(rnd, 4) || r->limited)
		r->has_bufs = false;
	else
		ring_register_pool(r);
	ring_register_slots(r, rnd);
	if (p.flags & IORING_SETUP_R_DISABLED)
		ring_register(&r->ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
	r->open = true;
	count->rings++;
}

/*
 * What becomes of its requests nobody will know, so neither what their streams
 * have sent. The memory of all of them is the kernel's alone from now on, and
 * one that still runs may find other memory in its place.
 */
void ring_stop(struct ring *r)
{
	unsigned int i;

	for (i = 0; i < MAX_REQUESTS; i++) {
		struct request *req = &r->requests[i];

		if (!req->id || req->over || !req->stream)
			continue;
		stream_close(req->stream);
		stream_sent(req->stream, req->extent, 0);
	}
	ring_exit(&r->ring);
	munmap(r->pool, r->nr_bufs * MAX_SEND);
	r->open = false;
}

/* The buffers of @from for @to, which has none. */
static int clone_buffers(struct io_uring *to, const struct io_uring *from)
{
	struct io_uring_clone_buffers arg = { .src_fd = from->ring_fd };

	return ring_register(to, IORING_REGISTER_CLONE_BUFFERS, &arg, 1);
}

/* There and back again, while requests use them. */
static void clone_pool(struct ring *r)
{
	struct io_uring other;
	int ret;

	/* huge pages that two rings had may be uncounted twice: the user is stuck then */
	if (r->limited && r->nr_bufs == MAX_BUFS)
		return;
	ret = ring_init(&other, 0);

	out_of_memory(ret);
	if (ret == -ENOMEM && r->limited)
		return;
	if (ret)
		wrong_of(r, "there is no ring to clone buffers for: %d", ret);
	ret = clone_buffers(&other, &r->ring);
	if (!ret)
		ring_register(&r->ring, IORING_UNREGISTER_BUFFERS, NULL, 0);
	if (!ret)
		ret = clone_buffers(&r->ring, &other);
	ring_exit(&other);
	out_of_memory(ret);
	if (ret)
		wrong_of(r, "the buffers can't be cloned: %d", ret);
	r->table++;
}

/* The same buffer again, as a new one. */
static void replace_buffer(struct ring *r, unsigned int nr)
{
	struct iovec iov = { r->pool + nr * MAX_SEND, MAX_SEND };
	struct io_uring_rsrc_update2 up = {
		.offset = nr, .data = (unsigned long)&iov, .nr = 1,
	};
	int ret = ring_register(&r->ring, IORING_REGISTER_BUFFERS_UPDATE, &up,
				sizeof(up));

	out_of_memory(ret);
	/* without memory for the new one there is none */
	if (ret == -ENOMEM && r->limited)
		r->has_bufs = false;
	else if (ret != 1)
		wrong_of(r, "a buffer can't be replaced: %d", ret);
	r->table++;
}

static void unregister_pool(struct ring *r)
{
	int ret = ring_register(&r->ring, IORING_UNREGISTER_BUFFERS, NULL, 0);

	if (ret)
		wrong_of(r, "the buffers can't be unregistered: %d", ret);
	r->has_bufs = false;
	r->table++;
}

void ring_change_pool(struct ring *r, struct rnd *rnd)
{
	unsigned int how = rnd_below(rnd, 4), nr = rnd_below(rnd, r->nr_bufs);

	if (!r->has_bufs) {
		ring_register(&r->ring, IORING_UNREGISTER_BUFFERS, NULL, 0);
		ring_register_pool(r);
	} else if (how == 0) {
		replace_buffer(r, nr);
	} else if (how == 1) {
		clone_pool(r);
	} else {
		unregister_pool(r);
		if (how == 2)
			ring_register_pool(r);
	}
}

void ring_resize(struct ring *r, struct rnd *rnd)
{
	struct io_uring_params p = { .flags = IORING_SETUP_CQSIZE };
	unsigned int setup = r->ring.flags, tail = *r->ring.sq.ktail;
	struct io_uring old = r->ring;
	int ret;

	p.sq_entries = 16 << rnd_below(rnd, 4);
	p.cq_entries = p.sq_entries << rnd_below(rnd, 3);
	if (!(setup & IORING_SETUP_DEFER_TASKRUN))
		return;
	ret = ring_register(&r->ring, IORING_REGISTER_RESIZE_RINGS, &p, 1);
	/* there are more CQEs than the new ring has room for, or no memory */
	if (ret == -EOVERFLOW || (ret == -ENOMEM && r->limited))
		return;
	if (!ret) {
		p.flags = setup;
		ret = ring_open(&r->ring, old.ring_fd, &p);
	}
	out_of_memory(ret);
	if (ret)
		wrong_of(r, "it can't be resized: %d", ret);
	r->ring.sq.sqe_head = tail;
	r->ring.sq.sqe_tail = tail;
	/* the file stays open: the new one has it too */
	old.ring_fd = -1;
	ring_exit(&old);
}
