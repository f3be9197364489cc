// SPDX-License-Identifier: GPL-2.0
/* The ring of a relay and its table: how they begin, change, and end. */
#include "relay.h"

#define NR_PARKED	64

static const struct {
	const char *name;
	unsigned int setup;
} kinds[] = {
	{ "plain", 0 },
	{ "coop", IORING_SETUP_COOP_TASKRUN },
	{ "single", IORING_SETUP_SINGLE_ISSUER },
	{ "defer", RING_DEFER },
	{ "sqpoll", IORING_SETUP_SQPOLL },
};

/*
 * A request of a ring that was closed may look for its file only now: the number must
 * not be another source's for a while.
 */
static void source_park(struct source *s)
{
	static int parked[NR_PARKED], null = -1;
	static unsigned int next;

	if (null < 0)
		null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (s->net.rx >= 0 && dup2(null, s->net.rx) == s->net.rx) {
		if (parked[next])
			close(parked[next]);
		parked[next] = s->net.rx;
		next = (next + 1) % NR_PARKED;
		s->net.rx = -1;
	}
	source_close(s);
}

static void register_table(struct relay *r)
{
	struct iovec iovs[NR_ENTRIES] = {};
	int ret = io_uring_register_buffers(&r->ring, iovs, NR_ENTRIES);

	if (ret)
		wrong_relay(r, "no table can be registered: %d", ret);
}

/* There and back again, while what was given on is in flight. */
static void clone_table(struct relay *r)
{
	struct io_uring_clone_buffers arg = { .src_fd = r->ring.ring_fd };
	struct io_uring other;
	unsigned int i;
	int ret;

	for (i = 0; i < NR_ENTRIES; i++)
		if (r->entries[i].locked || r->entries[i].unknown)
			return;
	if (ring_init(&other, 0))
		return;
	ret = ring_register(&other, IORING_REGISTER_CLONE_BUFFERS, &arg, 1);
	if (ret)
		wrong_relay(r, "the table can't be cloned: %d", ret);
	ring_register(&r->ring, IORING_UNREGISTER_BUFFERS, NULL, 0);
	arg.src_fd = other.ring_fd;
	ret = ring_register(&r->ring, IORING_REGISTER_CLONE_BUFFERS, &arg, 1);
	if (ret)
		wrong_relay(r, "the table can't be cloned back: %d", ret);
	ring_exit(&other);
}

void relay_change_table(struct relay *r)
{
	int ret;

	if (rnd_one_in(&r->rnd, 2)) {
		clone_table(r);
		return;
	}
	relay_reap(r);
	ret = ring_register(&r->ring, IORING_UNREGISTER_BUFFERS, NULL, 0);
	if (ret)
		wrong_relay(r, "the table can't be unregistered: %d", ret);
	relay_table_gone(r);
	register_table(r);
}

void relay_ring_begin(struct relay *r)
{
	unsigned int nr = rnd_below(&r->rnd, ARRAY_SIZE(kinds));
	__u64 end = now_ms() + GONE_MS;
	int ret;

	if (r->limited && kinds[nr].setup & IORING_SETUP_SQPOLL)
		nr = 0;
	r->name = kinds[nr].name;
	/* a ring that has just gone gives back what it had locked in its own time */
	while ((ret = ring_init(&r->ring, kinds[nr].setup)) == -ENOMEM &&
	       r->limited && now_ms() < end)
		sleep_ms(20);
	if (ret)
		wrong_relay(r, "there is no ring: %d", ret);
	register_table(r);
	/* the module may be on its way out */
	while ((ret = register_slots(&r->ring, RELAY_SLOTS)) == -EOPNOTSUPP &&
	       now_ms() < end)
		sleep_ms(20);
	if (ret)
		wrong_relay(r, "no slots can be registered: %d", ret);
	count->rings++;
}

/* Close it with all of it in flight: what becomes of that nobody will know. */
void relay_ring_end(struct relay *r)
{
	unsigned int i;

	ring_exit(&r->ring);
	for (i = 0; i < NR_JOBS; i++) {
		struct job *job = &r->jobs[i];

		if (!job->id)
			continue;
		if (job->task == TASK_TAKE && !job->source->file)
			source_park(job->source);
		if (job->task == TASK_TAKE)
			job->source->busy = false;
		if (job->task == TASK_GIVE) {
			stream_close(job->sink);
			stream_sent(job->sink, job->extent, 0);
		}
		job->id = 0;
	}
	memset(r->entries, 0, sizeof(r->entries));
	memset(r->slot_used, 0, sizeof(r->slot_used));
	r->flushed = 0;
	r->notified = 0;
}
