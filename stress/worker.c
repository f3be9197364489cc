// SPDX-License-Identifier: GPL-2.0
/*
 * A process that does things at random until it is told to stop, and then sees
 * that all it began comes to its end.
 */
#include <sys/resource.h>

#include "worker.h"

static const struct {
	const char *name;
	unsigned int weight;
	void (*run)(struct worker *w);
} ops[] = {
	{ "send", 36, op_send },
	{ "receive", 26, op_receive },
	{ "wait", 10, op_wait },
	{ "flush", 7, op_flush },
	{ "cancel", 4, op_cancel },
	{ "stream", 5, op_stream },
	{ "pool", 2, op_pool },
	{ "slots", 2, op_slots },
	{ "pass", 2, op_pass },
	{ "resize", 2, op_resize },
	{ "ring", 2, op_ring },
	{ "child", 1, op_child },
	{ "limit", 1, op_limit },
};

#define ALL_WEIGHTS	100

struct ring *worker_ring(struct worker *w)
{
	unsigned int nr = rnd_below(&w->rnd, NR_RINGS), i;

	for (i = 0; i < NR_RINGS; i++) {
		struct ring *r = &w->rings[(nr + i) % NR_RINGS];

		if (r->open && r->nr_slots)
			return r;
	}
	return NULL;
}

/* Another process has the other side of a victim's streams: they stay. */
static bool may_do(const struct worker *w, unsigned int op)
{
	if (ops[op].run == op_limit)
		return w->role == ROLE_LIMITED;
	if (w->victim)
		return ops[op].run != op_cancel && ops[op].run != op_ring;
	return true;
}

void worker_step(struct worker *w)
{
	unsigned int at, op = 0;

	rnd_seed(&w->rnd, common->seed, me, ++w->op);
	at = rnd_below(&w->rnd, ALL_WEIGHTS);
	while (at >= ops[op].weight)
		at -= ops[op++].weight;
	if (may_do(w, op))
		ops[op].run(w);
	count->ops++;
}

/* Take what there is, on all rings and sockets. Any? */
static bool take_all(struct worker *w)
{
	__u64 before = count->requests + count->notifications + count->bytes;
	bool any = false;
	unsigned int i;

	for (i = 0; i < NR_RINGS; i++) {
		struct ring *r = &w->rings[i];

		if (!r->open)
			continue;
		ring_wait(&r->ring, 1, 2);
		ring_reap(r);
	}
	for (i = 0; i < NR_STREAMS; i++) {
		struct stream *s = &w->streams[i];

		any |= stream_receive(s, 1 << 20);
		stream_uncork(s);
	}
	return any || before != count->requests + count->notifications +
				count->bytes;
}

static void __noreturn stuck(const struct worker *w, unsigned int ms)
{
	tell_worker(w);
	wrong("nothing has come for %u s; what is outstanding is shown above",
	      ms / 1000);
}

/*
 * A bad link may have left a stream with a small window and long timeouts. As
 * long as anything comes nothing is lost, and what is in flight can end early.
 */
static void cut_slow(struct worker *w)
{
	unsigned int i;

	for (i = 0; i < NR_STREAMS; i++) {
		struct stream *s = &w->streams[i];

		if (s->busy || s->by_position || !stream_complete(s))
			stream_cut(s);
	}
}

void worker_quiesce(struct worker *w)
{
	__u64 begun = now_ms(), last = begun;
	bool told = false;
	unsigned int i;

	for (i = 0; i < NR_RINGS; i++)
		if (w->rings[i].open)
			flush_all(&w->rings[i]);
	while (!worker_is_quiet(w)) {
		if (take_all(w))
			last = now_ms();
		if (now_ms() - begun > SLOW_MS && now_ms() - last < SLOW_MS / 2)
			cut_slow(w);
		if (now_ms() - begun > LATE_MS && !told) {
			tell_worker(w);
			told = true;
		}
		if (now_ms() - last > STUCK_MS || now_ms() - begun > TAIL_MS)
			stuck(w, now_ms() - last);
		/* slots that were about to be flushed, by what was cancelled */
		for (i = 0; i < NR_RINGS; i++)
			if (w->rings[i].open && model_holds(&w->rings[i]))
				flush_all(&w->rings[i]);
	}
	for (i = 0; i < 10; i++) {
		sleep_ms(5);
		take_all(w);
	}
	for (i = 0; i < NR_RINGS; i++)
		if (w->rings[i].open)
			ring_stop(&w->rings[i]);
	for (i = 0; i < NR_STREAMS; i++)
		stream_close(&w->streams[i]);
}

/* The other thread may have gone, and another one come. */
static void *second_thread(void *arg)
{
	struct worker *w = arg;
	unsigned int nr;

	for (nr = 0; nr < 200 && phase() < PHASE_QUIET; nr++) {
		pthread_mutex_lock(&w->lock);
		worker_step(w);
		pthread_mutex_unlock(&w->lock);
		sched_yield();
	}
	/* io_uring cancels what a task began that ends */
	pthread_mutex_lock(&w->lock);
	for (nr = 0; nr < NR_RINGS; nr++)
		model_cancelled(&w->rings[nr]);
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void run_threads(struct worker *w)
{
	pthread_t other;

	while (phase() < PHASE_QUIET) {
		unsigned int nr;

		if (pthread_create(&other, NULL, second_thread, w))
			wrong("there is no second thread: %m");
		for (nr = 0; nr < 200 && phase() < PHASE_QUIET; nr++) {
			pthread_mutex_lock(&w->lock);
			worker_step(w);
			pthread_mutex_unlock(&w->lock);
			sched_yield();
		}
		pthread_join(other, NULL);
	}
}

/* One of whom nobody else has anything locked: how much that seems to be. */
long become_user(void)
{
	const struct rlimit limit = { MAX_LOCKED * PAGE, MAX_LOCKED * PAGE };
	uid_t uid = 20000 + getpid() % 40000;

	if (setrlimit(RLIMIT_MEMLOCK, &limit) || setresuid(uid, uid, uid))
		wrong("this is no unprivileged user: %m");
	return locked_pages();
}

void nothing_is_locked(long before)
{
	__u64 end = now_ms() + STUCK_MS;
	long pages;

	while ((pages = locked_pages()) != before) {
		if (now_ms() > end)
			wrong("%ld pages are locked, there were %ld", pages, before);
		sleep_ms(100);
	}
}

int worker_main(enum role role)
{
	struct worker *w = calloc(1, sizeof(*w));
	long locked = 0;
	unsigned int i;

	if (!w)
		wrong("there is no memory");
	w->role = role;
	pthread_mutex_init(&w->lock, NULL);
	if (role == ROLE_LIMITED)
		locked = become_user();
	/* the others come with time: all at once they take long */
	for (i = 0; i < NR_RINGS - 1; i++) {
		rnd_seed(&w->rnd, common->seed, me, ~(__u64)i);
		ring_start(&w->rings[i], &w->rnd, role);
		stream_open(&w->streams[i], &w->rnd, role == ROLE_LIMITED);
	}
	if (role == ROLE_THREADS)
		run_threads(w);
	while (phase() < PHASE_QUIET)
		worker_step(w);
	children_end(w);
	worker_quiesce(w);
	if (role == ROLE_LIMITED)
		nothing_is_locked(locked);
	return 0;
}
