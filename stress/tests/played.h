/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A kernel that is played, so that it can make mistakes: a worker with one ring
 * and one stream, and CQEs that are made up. No io_uring is used.
 */
#ifndef NOTIF_STRESS_PLAYED_H
#define NOTIF_STRESS_PLAYED_H

#include "../worker.h"

#include <kselftest_harness.h>

static struct common shared;
static struct counts counted;
struct common *common = &shared;
struct counts *count = &counted;
unsigned int me;
int to_holder = -1, from_senders = -1;

void wrong(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	fflush(stdout);
	_exit(1);
}

/* A worker with one ring and one stream, whose sockets are those of nobody. */
static inline struct worker *new_worker(void)
{
	static struct worker w;
	struct stream *s = &w.streams[0];
	struct ring *r = &w.rings[0];
	unsigned int i;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
		wrong("no sockets: %m");
	*s = (struct stream){
		.open = true, .net = { .tx = fds[0], .rx = fds[1] },
		.type = SOCK_STREAM, .number = -1, .cork = -1,
		.ahead = malloc(MAX_AHEAD),
	};
	for (i = 1; i < NR_STREAMS; i++)
		w.streams[i].net = (struct pair){ .tx = -1, .rx = -1 };
	r->open = true;
	r->name = "played";
	r->nr_bufs = MIN_BUFS;
	r->pool = malloc(MIN_BUFS * MAX_SEND);
	r->nr_slots = 2;
	r->slots[0].tag = model_tag(r, 0);
	r->slots[1].tag = model_tag(r, 1);
	rnd_seed(&w.rnd, 1, 2, 3);
	return &w;
}

static inline struct request *add_send(struct worker *w, unsigned int slot, bool flush)
{
	struct ring *r = &w->rings[0];
	struct request *req = request_new(r, KIND_SEND);
	char *buf = request_alloc(r, req, &w->rnd, 5000);

	req->slot = slot;
	req->flush = flush;
	req->whole = req->len;
	req->stream = &w->streams[0];
	req->seed = rnd_next(&w->rnd);
	req->extent = stream_begin(req->stream, req->seed);
	data_fill(buf, req->len, req->seed, 0);
	return req;
}

static inline struct request *add_update(struct ring *r, unsigned int slot)
{
	struct request *req = request_new(r, KIND_UPDATE);

	req->off = slot;
	req->nr = 1;
	return req;
}

static inline void link_requests(struct request *first, struct request *second)
{
	first->linked = true;
	first->next = second;
	second->prev = first;
}

static inline void say(struct ring *r, __u64 user_data, __s32 res, __u32 flags)
{
	answer(r, &(struct io_uring_cqe){
		.user_data = user_data, .res = res, .flags = flags,
	});
}

static inline void say_over(struct ring *r, const struct request *req)
{
	say(r, req->id, req->len, 0);
}

static inline void say_notified(struct ring *r, __u64 tag, __u32 seq)
{
	say(r, tag, 0, notif_flags(seq));
}

/* Two requests of slot 0, the second of which flushes it. */
struct two {
	struct worker *w;
	struct ring *r;
	struct request *first, *second;
	__u64 tag;
};

static inline struct two send_two(void)
{
	struct two t = { .w = new_worker() };

	t.r = &t.w->rings[0];
	t.tag = t.r->slots[0].tag;
	t.first = add_send(t.w, 0, false);
	t.second = add_send(t.w, 0, true);
	model_submitted(t.r, false);
	return t;
}

/* The second one bears the notification, of both. */
static inline struct two merge_two(bool linked)
{
	struct two t = { .w = new_worker() };

	t.r = &t.w->rings[0];
	t.r->slots[0].merges = true;
	t.tag = t.r->slots[0].tag;
	t.first = add_send(t.w, 0, false);
	t.second = add_send(t.w, 0, true);
	t.second->waitall = true;
	if (linked)
		link_requests(t.first, t.second);
	model_submitted(t.r, false);
	return t;
}

/* Run it in a process of its own: what it says, if it ends with an error. */
static inline const char *said_by(void (*what)(void))
{
	static char text[4096];
	size_t len = 0;
	int pipes[2], status;
	ssize_t n;
	pid_t pid;

	if (pipe(pipes))
		return "no pipe";
	fflush(NULL);
	pid = fork();
	if (!pid) {
		dup2(pipes[1], STDOUT_FILENO);
		what();
		_exit(0);
	}
	close(pipes[1]);
	while ((n = read(pipes[0], text + len, sizeof(text) - 1 - len)) > 0)
		len += n;
	close(pipes[0]);
	text[len] = 0;
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return "it crashed";
	return WEXITSTATUS(status) == 1 ? text : NULL;
}

/* @said begins, goes on or ends with @words. */
static inline bool has(const char *said, const char *words)
{
	if (said && strstr(said, words))
		return true;
	printf("# says: %s\n", said ?: "nothing");
	return false;
}

#define EXPECT_SAYS(what, words)	EXPECT_TRUE(has(said_by(what), words))

#endif
