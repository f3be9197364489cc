// SPDX-License-Identifier: GPL-2.0
/*
 * Which notifier a request attaches to, and when that is flushed. The only thing
 * that isn't known beforehand is when an update is done that is linked, drained
 * or left to io-wq: nothing is sent through its slots meanwhile.
 */
#include "model.h"
#include "stream.h"

struct request *request_new(struct ring *r, enum kind kind)
{
	unsigned int i;

	if (r->nr_batch == MAX_BATCH)
		return NULL;
	for (i = 0; i < MAX_REQUESTS; i++) {
		struct request *req = &r->requests[i];

		if (req->id)
			continue;
		memset(req, 0, sizeof(*req));
		req->id = REQ_MARK | ++r->serial * MAX_REQUESTS | i;
		req->kind = kind;
		req->table = r->table;
		r->batch[r->nr_batch++] = req;
		r->in_flight++;
		return req;
	}
	return NULL;
}

static bool pages_free(const struct ring *r, unsigned int first, unsigned int nr)
{
	while (nr--)
		if (r->page_used[first + nr])
			return false;
	return true;
}

char *request_alloc(struct ring *r, struct request *req, struct rnd *rnd,
		    unsigned int len)
{
	unsigned int offset = rnd_one_in(rnd, 2) ? rnd_below(rnd, PAGE) : 0;
	unsigned int buf = rnd_below(rnd, r->nr_bufs), i, page;

	if (offset + len > MAX_SEND)
		offset = 0;
	req->pages = (offset + len + PAGE - 1) / PAGE;
	for (i = 0; i < r->nr_bufs; i++, buf++) {
		for (page = 0; page + req->pages <= BUF_PAGES; page++) {
			req->page = buf % r->nr_bufs * BUF_PAGES + page;
			if (!pages_free(r, req->page, req->pages))
				continue;
			memset(&r->page_used[req->page], true, req->pages);
			req->len = len;
			return r->pool + req->page * PAGE + offset;
		}
	}
	req->pages = 0;
	return NULL;
}

/* Its buffer is free: other bytes in it show who still reads it. */
void request_free(struct ring *r, struct request *req)
{
	if (!req->over)
		r->in_flight--;
	if (req->pages) {
		memset(r->pool + req->page * PAGE, OVER_BYTE, req->pages * PAGE);
		memset(&r->page_used[req->page], false, req->pages);
	}
	if (req->prev)
		req->prev->next = NULL;
	if (req->next)
		req->next->prev = NULL;
	req->id = 0;
}

__u64 model_tag(struct ring *r, unsigned int slot)
{
	return TAG(++r->serial << 8 | slot);
}

static struct notifier *notifier_new(struct ring *r, unsigned int slot)
{
	unsigned int i = 0;

	/* each has a request, so there are never more */
	while (r->notifiers[i].used)
		i++;
	r->notifiers[i] = (struct notifier){
		.used = true, .raw = r->raw, .slot = slot,
		.tag = r->slots[slot].tag,
	};
	r->unnotified++;
	return &r->notifiers[i];
}

static void flush_slot(struct slot *slot)
{
	slot->active->flushed = true;
	slot->active->seq = slot->seq++;
	slot->active = NULL;
}

/* Whatever becomes of it is not awaited, nor is its memory until the ring goes. */
static void mute(struct ring *r, struct request *req)
{
	req->notifier->used = false;
	req->notifier = NULL;
	req->over = true;
	r->unnotified--;
	r->in_flight--;
	r->muted++;
	stream_sent(req->stream, req->extent, 0);
}

static void attach(struct ring *r, struct request *req)
{
	struct slot *slot = &r->slots[req->slot];

	if (!slot->active)
		slot->active = notifier_new(r, req->slot);
	req->notifier = slot->active;
	req->notifier->report |= req->report;
	if (++req->notifier->attached != slot->flush_after && !req->flush)
		return;
	if (slot->merges)
		req->notifier->bearer = req;
	flush_slot(slot);
	if (req->mute)
		mute(r, req);
}

void notifier_over(struct ring *r, struct notifier *n)
{
	unsigned int i;

	if (n->ended != n->attached)
		wrong_of(r, "a notification with %u requests over of %u",
			 n->ended, n->attached);
	for (i = 0; i < MAX_REQUESTS; i++)
		if (r->requests[i].id && r->requests[i].notifier == n)
			request_free(r, &r->requests[i]);
	n->used = false;
	r->unnotified--;
}

unsigned int model_bears(const struct ring *r, const struct request *req)
{
	const struct slot *slot = &r->slots[req->slot];
	unsigned int nr = slot->active ? slot->active->attached : 0, i;

	for (i = 0; slot->merges && i < r->nr_batch; i++) {
		const struct request *one = r->batch[i];
		bool flushes;

		/* one that is done later leaves its slots alone until then */
		if (one->kind == KIND_UPDATE && !one->later &&
		    req->slot - one->off < one->nr)
			nr = 0;
		if (one->kind != KIND_SEND || one->slot != req->slot)
			continue;
		flushes = ++nr == slot->flush_after || one->flush;
		if (one == req)
			return flushes ? nr : 0;
		if (flushes)
			nr = 0;
	}
	return 0;
}

/* It is done as it is submitted: all before it have attached, none after it. */
static void update_now(struct ring *r, struct request *req)
{
	unsigned int i;

	for (i = req->off; !req->want && i < req->off + req->nr; i++) {
		struct slot *slot = &r->slots[i];

		if (req->tag)
			slot->tag = req->tag;
		if (!slot->active)
			continue;
		flush_slot(slot);
		req->flushes++;
	}
}

/* Its notifiers may be notified from now on, with the numbers that are next. */
static void update_later(struct ring *r, struct request *req)
{
	unsigned int i;

	for (i = req->off; !req->want && i < req->off + req->nr; i++) {
		struct slot *slot = &r->slots[i];

		slot->frozen = true;
		if (!slot->active)
			continue;
		slot->active->update = req;
		slot->active->seq = slot->seq;
		slot->active = NULL;
		req->flushes++;
	}
}

/* A request of the ring was refused for RLIMIT_MEMLOCK. */
static void flush_locked(struct ring *r)
{
	unsigned int i;

	for (i = 0; i < r->nr_slots; i++)
		if (r->slots[i].flush_after && r->slots[i].active)
			flush_slot(&r->slots[i]);
}

/*
 * @refused: the only one, for RLIMIT_MEMLOCK. All of a chain attach before the
 * first of it runs, so what happens later is looked at last.
 */
void model_submitted(struct ring *r, bool refused)
{
	unsigned int i;

	if (refused)
		flush_locked(r);
	for (i = 0; i < r->nr_batch; i++) {
		struct request *req = r->batch[i];

		if (req->kind == KIND_SEND && !refused)
			attach(r, req);
		else if (req->kind == KIND_UPDATE && !req->later)
			update_now(r, req);
	}
	for (i = 0; i < r->nr_batch; i++)
		if (r->batch[i]->kind == KIND_UPDATE && r->batch[i]->later)
			update_later(r, r->batch[i]);
	r->nr_batch = 0;
}

/* How many notifiers it has flushed, or why none; known at last. */
void model_update_over(struct ring *r, struct request *req, __s32 res)
{
	unsigned int i;

	if (req->want)
		return;
	if (res >= 0 && res != (int)req->flushes)
		wrong_of(r, "an update flushed %d notifiers, not %u", res,
			 req->flushes);
	if (res < 0 && req->notified)
		wrong_of(r, "an update failed with %d, but %u are notified", res,
			 req->notified);
	if (!req->later)
		return;
	for (i = req->off; i < req->off + req->nr; i++) {
		r->slots[i].frozen = false;
		if (res >= 0 && req->tag)
			r->slots[i].tag = req->tag;
	}
	for (i = 0; i < MAX_REQUESTS; i++) {
		struct notifier *n = &r->notifiers[i];

		if (!n->used || n->update != req)
			continue;
		n->update = NULL;
		n->flushed = res >= 0;
		if (n->flushed)
			r->slots[n->slot].seq++;
		else
			r->slots[n->slot].active = n;
	}
}

void model_cancelled(struct ring *r)
{
	unsigned int i;

	for (i = 0; i < MAX_REQUESTS; i++)
		r->requests[i].cancelled = true;
}

bool model_frozen(const struct ring *r)
{
	unsigned int i;

	for (i = 0; i < r->nr_slots; i++)
		if (r->slots[i].frozen)
			return true;
	return false;
}

bool model_holds(const struct ring *r)
{
	unsigned int i;

	for (i = 0; i < r->nr_slots; i++)
		if (r->slots[i].active)
			return true;
	return false;
}

/* All slots are flushed, and gone. */
void model_unregistered(struct ring *r)
{
	unsigned int i;

	for (i = 0; i < r->nr_slots; i++)
		if (r->slots[i].active)
			flush_slot(&r->slots[i]);
	r->nr_slots = 0;
}
