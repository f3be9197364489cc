// SPDX-License-Identifier: GPL-2.0
/* What a relay asks for: to take, to give on, to give up, at random. */
#include "data.h"
#include "relay.h"

#define MAX_FEED	65536U

static struct io_uring_sqe *prep(struct relay *r, const struct job *job,
				 unsigned int opcode)
{
	struct io_uring_sqe *sqe = ring_sqe(&r->ring);

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = opcode;
	sqe->fd = -1;
	sqe->buf_index = job->index;
	sqe->user_data = job->id;
	sqe->flags = job->async && !job->prev ? IOSQE_ASYNC : 0;
	return sqe;
}

/* What was written is what was taken. */
static void check_copy(struct relay *r, const struct io_uring_cqe *cqe)
{
	const struct job *job = &r->jobs[cqe->user_data % NR_JOBS];
	static char buf[IORING_GET_BUF_MAX];
	ssize_t n;

	if (!is_request_id(cqe->user_data) || job->id != cqe->user_data ||
	    job->task != TASK_WRITE || cqe->res <= 0)
		return;
	n = pread(r->copy, buf, cqe->res, (__u64)job->index << 20);
	if (n != cqe->res ||
	    data_check(buf, n, job->piece.seed, job->piece.pos) != (size_t)n)
		wrong_relay(r, "a file has other bytes than were written");
}

void relay_reap(struct relay *r)
{
	struct io_uring_cqe cqe;

	while (!ring_empty(&r->ring)) {
		if (!ring_take(&r->ring, &cqe))
			continue;
		check_copy(r, &cqe);
		relay_answer(r, &cqe);
	}
}

static void go(struct relay *r, int nr)
{
	int ret = ring_submit(&r->ring);

	if (ret != nr)
		wrong_relay(r, "a submission of %d ends with %d", nr, ret);
	relay_reap(r);
}

void relay_feed(struct relay *r)
{
	struct source *s = &r->sources[rnd_below(&r->rnd, NR_SOURCES - 1)];
	unsigned int len = rnd_size(&r->rnd, MAX_FEED);
	static char buf[MAX_FEED];
	ssize_t n;

	if (!s->open || s->ends)
		return;
	data_fill(buf, len, s->seed, s->sent);
	n = send(s->net.tx, buf, len, MSG_DONTWAIT);
	if (n > 0)
		s->sent += n;
}

/* An entry that nobody is about to change; -1 without. */
static int pick_entry(struct relay *r, bool used)
{
	unsigned int first = rnd_below(&r->rnd, NR_ENTRIES), i;

	for (i = 0; i < NR_ENTRIES; i++) {
		const struct entry *entry = &r->entries[(first + i) % NR_ENTRIES];

		if (!entry->locked &&
		    (!used || (entry->used && !entry->unknown)))
			return (first + i) % NR_ENTRIES;
	}
	return -1;
}

static struct stream *pick_sink(struct relay *r)
{
	struct stream *s = &r->sinks[rnd_below(&r->rnd, NR_SINKS)];

	return s->open && s->net.tx >= 0 && !s->busy && !STREAM_IS_FULL(s) ? s :
		NULL;
}

/* To be submitted: take into any entry. */
static struct job *prep_take(struct relay *r, bool linked)
{
	struct source *s = &r->sources[rnd_below(&r->rnd, NR_SOURCES)];
	struct rnd *rnd = &r->rnd;
	int index = pick_entry(r, false);
	struct io_uring_sqe *sqe;
	struct job *job;

	if (!s->open || s->busy || index < 0)
		return NULL;
	/* a chain must know what its entry has if nothing is taken */
	if (linked && r->entries[index].unknown)
		return NULL;
	job = job_new(r, TASK_TAKE, index);
	if (!job)
		return NULL;
	job->source = s;
	job->len = rnd_size(rnd, IORING_GET_BUF_MAX);
	job->replaces = !rnd_one_in(rnd, 4);
	job->async = rnd_one_in(rnd, 6);
	job_locks(r, job);
	sqe = prep(r, job, IORING_OP_GET_BUF);
	sqe->fd = s->net.rx;
	sqe->len = job->len;
	sqe->ioprio = job->replaces ? IORING_GET_BUF_REPLACE : 0;
	if (s->file) {
		job->piece.pos = rnd_below(rnd, FILE_LEN + 5000);
		sqe->off = job->piece.pos;
	} else {
		s->busy = true;
		if (rnd_one_in(rnd, 8))
			sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
	}
	if (rnd_one_in(rnd, 3)) {
		job->head_len = 1 + rnd_below(rnd, MAX_HEAD);
		if (job->head_len > job->len)
			job->head_len = job->len;
		sqe->addr = (unsigned long)job->head;
		sqe->optlen = job->head_len;
	}
	if (linked)
		sqe->flags |= IOSQE_IO_LINK;
	return job;
}

/* To be submitted: send what is in an entry, all of it or a part. */
static struct job *prep_give(struct relay *r, struct stream *sink,
			     unsigned int index, struct job *behind)
{
	struct job *job = job_new(r, TASK_GIVE, index);
	const struct piece *all = &r->entries[index].piece;
	unsigned int slot = rnd_below(&r->rnd, RELAY_SLOTS), from = 0, len;
	bool copies = rnd_one_in(&r->rnd, 4) && !behind;
	bool flush = rnd_one_in(&r->rnd, 2);
	struct io_uring_sqe *sqe;

	if (!job)
		return NULL;
	job->sink = sink;
	job->waitall = rnd_one_in(&r->rnd, 2);
	job->async = behind || rnd_one_in(&r->rnd, 6);
	job->prev = behind;
	if (behind) {
		behind->next = job;
		len = ~0U;
	} else {
		from = rnd_one_in(&r->rnd, 2) ? rnd_below(&r->rnd, all->len) : 0;
		len = 1 + rnd_below(&r->rnd, all->len - from);
		job->piece = (struct piece){ all->seed, all->pos + from, len };
		if (len == all->len - from && !copies)
			len = ~0U;
	}
	/* one that runs now has the buffer, whatever becomes of the entry */
	if (job->async)
		job_locks(r, job);
	sqe = prep(r, job, copies ? IORING_OP_SEND : IORING_OP_SEND_ZC);
	sqe->fd = sink->net.tx;
	sqe->addr = from;
	sqe->len = len;
	sqe->msg_flags = job->waitall ? MSG_WAITALL : 0;
	sqe->ioprio = IORING_RECVSEND_FIXED_BUF;
	job->extent = stream_begin(sink, 0);
	if (copies)
		return job;
	sqe->ioprio |= IORING_SEND_ZC_NOTIF_SLOT |
		       (flush ? IORING_RECVSEND_NOTIF_FLUSH : 0);
	sqe->notification_idx = slot;
	r->slot_used[slot] = !flush;
	r->flushed += flush;
	return job;
}

void relay_take(struct relay *r)
{
	if (prep_take(r, false))
		go(r, 1);
}

void relay_take_and_give(struct relay *r)
{
	struct stream *sink = pick_sink(r);
	struct job *first = sink ? prep_take(r, true) : NULL;

	if (!first)
		return;
	if (prep_give(r, sink, first->index, first))
		go(r, 2);
	else
		wrong_relay(r, "there are too many jobs");
}

void relay_give(struct relay *r)
{
	struct stream *sink = pick_sink(r);
	int index = pick_entry(r, true);

	if (sink && index >= 0 && prep_give(r, sink, index, NULL))
		go(r, 1);
}

void relay_write_copy(struct relay *r)
{
	int index = pick_entry(r, true);
	struct io_uring_sqe *sqe;
	struct job *job;

	job = index < 0 ? NULL : job_new(r, TASK_WRITE, index);
	if (!job)
		return;
	job->async = rnd_one_in(&r->rnd, 2);
	job->piece = r->entries[index].piece;
	job_locks(r, job);
	sqe = prep(r, job, IORING_OP_WRITE_FIXED);
	sqe->fd = r->copy;
	sqe->len = job->piece.len;
	sqe->off = (__u64)index << 20;
	go(r, 1);
}

void relay_give_up(struct relay *r)
{
	unsigned int first = rnd_below(&r->rnd, NR_ENTRIES), nr = 0;
	unsigned int max = rnd_between(&r->rnd, 1, NR_ENTRIES);
	struct io_uring_sqe *sqe;
	struct job *job;

	while (nr < max && first + nr < NR_ENTRIES && !r->entries[first + nr].locked)
		nr++;
	job = nr ? job_new(r, TASK_GIVE_UP, first) : NULL;
	if (!job)
		return;
	job->nr = nr;
	job->async = rnd_one_in(&r->rnd, 4);
	job_locks(r, job);
	sqe = prep(r, job, IORING_OP_RSRC_UPDATE);
	sqe->ioprio = IORING_RSRC_UPDATE_BUF;
	sqe->buf_index = 0;
	sqe->off = first;
	sqe->len = nr;
	go(r, 1);
}

void relay_cancel(struct relay *r, bool all)
{
	struct job *victim = &r->jobs[rnd_below(&r->rnd, NR_JOBS)], *job;
	struct io_uring_sqe *sqe;

	if (!all && !victim->id)
		return;
	job = job_new(r, TASK_CANCEL, 0);
	if (!job)
		return;
	sqe = prep(r, job, IORING_OP_ASYNC_CANCEL);
	sqe->buf_index = 0;
	sqe->addr = victim->id;
	victim->cancelled = true;
	if (victim->next)
		victim->next->cancelled = true;
	if (all) {
		sqe->addr = 0;
		sqe->cancel_flags = IORING_ASYNC_CANCEL_ANY |
				    IORING_ASYNC_CANCEL_ALL;
		relay_cancelled(r);
	}
	go(r, 1);
}
