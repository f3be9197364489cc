// SPDX-License-Identifier: GPL-2.0
/* What a relay's CQEs say, held against what was asked. No system calls. */
#include "data.h"
#include "relay.h"

struct job *job_new(struct relay *r, enum task what, unsigned int index)
{
	unsigned int i;

	for (i = 0; i < NR_JOBS; i++) {
		struct job *job = &r->jobs[i];

		if (job->id)
			continue;
		memset(job, 0, sizeof(*job));
		job->id = REQ_MARK | ++r->serial * NR_JOBS | i;
		job->task = what;
		job->index = index;
		job->nr = 1;
		job->table = r->table;
		return job;
	}
	return NULL;
}

void job_drop(struct job *job)
{
	job->id = 0;
}

void job_locks(struct relay *r, struct job *job)
{
	unsigned int i;

	job->locks = true;
	for (i = job->index; i < job->index + job->nr; i++)
		r->entries[i].locked++;
}

static void unlock(struct relay *r, struct job *job)
{
	unsigned int i;

	for (i = job->index; job->locks && i < job->index + job->nr; i++)
		r->entries[i].locked--;
	job->locks = false;
}

bool relay_is_idle(const struct relay *r)
{
	unsigned int i;

	for (i = 0; i < NR_JOBS; i++)
		if (r->jobs[i].id)
			return false;
	return true;
}

void relay_cancelled(struct relay *r)
{
	unsigned int i;

	for (i = 0; i < NR_JOBS; i++)
		r->jobs[i].cancelled = true;
}

void relay_table_gone(struct relay *r)
{
	unsigned int i;

	r->table++;
	for (i = 0; i < NR_ENTRIES; i++) {
		r->entries[i].used = false;
		/* a job may have come before it, or come behind it */
		r->entries[i].unknown = r->entries[i].locked;
	}
}

static bool ended_by_peer(__s32 res)
{
	return res == -ECONNRESET || res == -EPIPE || res == -ENOTCONN ||
	       res == -ETIMEDOUT || res == -EHOSTUNREACH || res == -ENETUNREACH;
}

/* May it end with this error? */
static bool may_fail(const struct relay *r, const struct job *job, __s32 res)
{
	const struct entry *entry = &r->entries[job->index];

	switch (res) {
	case -ECANCELED:
		/* also before that which it waits for, if that one fails */
		return job->cancelled || job->broken || job->prev;
	case -EINTR:
		return job->cancelled;
	case -ENOMEM:
		return r->limited;
	case -EAGAIN:
		return job->async;
	case -EBUSY:
		return job->task == TASK_TAKE && !job->replaces &&
		       (entry->used || entry->unknown);
	case -EINVAL:
		return job->task == TASK_TAKE && job->table != r->table;
	case -EFAULT:
		/* there is nothing to be sent */
		return (job->task == TASK_GIVE || job->task == TASK_WRITE) &&
		       (!job->piece.len || job->cancelled ||
			(job->async && job->table != r->table));
	case -ENOTSOCK:
		return job->sink && job->sink->net.tx < 0;
	default:
		return ended_by_peer(res) &&
		       ((job->sink && job->sink->ends) ||
			(job->source && job->source->ends));
	}
}

/* Bytes were taken: those that come next. */
static void note_taken(struct relay *r, struct job *job, __u32 len)
{
	struct entry *entry = &r->entries[job->index];
	struct source *s = job->source;
	__u64 pos = s->file ? job->piece.pos : s->taken;
	unsigned int n = len < job->head_len ? len : job->head_len;

	if (len > job->len)
		wrong_relay(r, "%u bytes were taken, no more than %u wanted", len,
			    job->len);
	if (pos + len > s->sent)
		wrong_relay(r, "%u bytes were taken, but only %llu sent", len,
			    (unsigned long long)(s->sent - pos));
	if (entry->used && !entry->unknown && !job->replaces)
		wrong_relay(r, "entry %u was not empty, and is filled", job->index);
	if (s->file && !r->limited && len != job->len && pos + len != s->sent)
		wrong_relay(r, "%u bytes of %u were taken from a file", len,
			    job->len);
	if (data_check(job->head, n, s->seed, pos) != n)
		wrong_relay(r, "the head of what was taken isn't what was sent");
	entry->used = true;
	entry->unknown = job->table != r->table;
	entry->piece = (struct piece){ s->seed, pos, len };
	if (!s->file)
		s->taken += len;
	count->taken++;
}

static void take_over(struct relay *r, struct job *job, __s32 res)
{
	const struct source *s = job->source;
	bool at_end = s->file ? job->piece.pos >= s->sent :
		      s->ends && (s->lost || s->taken == s->sent);

	if (res > 0)
		note_taken(r, job, res);
	else if (!res && !at_end)
		wrong_relay(r, "a source has ended at byte %llu of %llu",
			    (unsigned long long)s->taken,
			    (unsigned long long)s->sent);
	else if (res && !may_fail(r, job, res))
		wrong_relay(r, "taking%s%s into entry %u ended with %d",
			    job->async ? " in io-wq" : "",
			    job->replaces ? " in place of another" : "",
			    job->index, res);
	job->source->busy = false;
	if (!job->next)
		return;
	/* now it is known what the next one sends */
	job->next->prev = NULL;
	job->next->broken = res <= 0;
	if (r->entries[job->index].used)
		job->next->piece = r->entries[job->index].piece;
}

static void give_over(struct relay *r, struct job *job, __s32 res)
{
	struct stream *sink = job->sink;
	const struct piece *piece = &job->piece;

	if (job->broken && res != -ECANCELED)
		wrong_relay(r, "giving on ended with %d behind what failed", res);
	if (res < 0 && !may_fail(r, job, res))
		wrong_relay(r, "giving entry %u on%s ended with %d%s", job->index,
			    job->async ? " later" : "", res, stream_name(sink));
	if (res >= 0 && (__u32)res != piece->len &&
	    ((__u32)res > piece->len || !res ||
	     (job->waitall && !sink->ends && !job->cancelled)))
		wrong_relay(r, "%d bytes were given on, not %u%s", res, piece->len,
			    stream_name(sink));
	if (job->prev)
		job->prev->next = NULL;
	stream_says(sink, job->extent, piece->seed, piece->pos);
	stream_sent(sink, job->extent, res > 0 ? res : 0);
}

/* The file's bytes are looked at by who asked. */
static void write_over(struct relay *r, struct job *job, __s32 res)
{
	if (res < 0 ? !may_fail(r, job, res) : res != (__s32)job->piece.len)
		wrong_relay(r, "writing %u bytes ended with %d", job->piece.len,
			    res);
}

static void given_up(struct relay *r, struct job *job, __s32 res)
{
	unsigned int i, known = 0, perhaps = 0;

	if (res < 0) {
		if (!may_fail(r, job, res) && !(res == -EINVAL &&
						job->table != r->table))
			wrong_relay(r, "giving up ended with %d", res);
		for (i = job->index; i < job->index + job->nr; i++)
			r->entries[i].unknown |= job->table != r->table;
		return;
	}
	for (i = job->index; i < job->index + job->nr; i++) {
		struct entry *entry = &r->entries[i];

		if (entry->unknown)
			perhaps++;
		else
			known += entry->used;
		entry->used = false;
		entry->unknown = false;
	}
	if (job->table == r->table &&
	    ((unsigned int)res < known || (unsigned int)res > known + perhaps))
		wrong_relay(r, "%d buffers were given up, of %u", res, known);
}

static struct job *job_of(struct relay *r, __u64 id)
{
	struct job *job = &r->jobs[id % NR_JOBS];

	if (job->id != id)
		wrong_relay(r, "a CQE of a request that is none, or over: %#llx",
			    (unsigned long long)id);
	return job;
}

static void answer_job(struct relay *r, const struct io_uring_cqe *cqe)
{
	struct job *job = job_of(r, cqe->user_data);
	__u32 flags = cqe->flags;

	if (job->task == TASK_TAKE && cqe->res > 0 && !job->source->file)
		flags &= ~IORING_CQE_F_SOCK_NONEMPTY;
	if (flags)
		wrong_relay(r, "a CQE (task %d) has flags %#x", job->task,
			    cqe->flags);
	switch (job->task) {
	case TASK_TAKE:
		take_over(r, job, cqe->res);
		break;
	case TASK_GIVE:
		give_over(r, job, cqe->res);
		break;
	case TASK_WRITE:
		write_over(r, job, cqe->res);
		break;
	case TASK_GIVE_UP:
		given_up(r, job, cqe->res);
		break;
	case TASK_CANCEL:
		if (cqe->res < 0 && cqe->res != -ENOENT && cqe->res != -EALREADY)
			wrong_relay(r, "a cancel ended with %d", cqe->res);
		break;
	}
	unlock(r, job);
	job->id = 0;
	count->requests++;
}

void relay_answer(struct relay *r, const struct io_uring_cqe *cqe)
{
	if (is_request_id(cqe->user_data)) {
		answer_job(r, cqe);
		return;
	}
	if (cqe->user_data - TAG(0) >= RELAY_SLOTS || cqe->res ||
	    (cqe->flags & 0xffff) != IORING_CQE_F_NOTIF)
		wrong_relay(r, "a CQE of nobody: user_data %#llx, res %d, flags %#x",
			    (unsigned long long)cqe->user_data, cqe->res,
			    cqe->flags);
	if (++r->notified > r->flushed)
		wrong_relay(r, "%u notifications of %u notifiers", r->notified,
			    r->flushed);
	count->notifications++;
}

void relay_tell(const struct relay *r)
{
	static const char * const names[] = {
		"take", "give", "write", "give up", "cancel",
	};
	unsigned int i;

	printf("# outstanding: %u notifications of a %s relay (file %d)\n",
	       r->flushed - r->notified, r->name, r->ring.ring_fd);
	for (i = 0; i < NR_JOBS; i++) {
		const struct job *job = &r->jobs[i];

		if (job->id)
			printf("#   %s %#llx: entry %u%s%s%s\n", names[job->task],
			       (unsigned long long)job->id, job->index,
			       job->async ? ", in io-wq or linked" : "",
			       job->cancelled ? ", cancelled" : "",
			       job->sink ? stream_name(job->sink) : "");
	}
	for (i = 0; i < NR_SINKS; i++)
		if (!stream_complete(&r->sinks[i]))
			stream_tell(&r->sinks[i]);
}
