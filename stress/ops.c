// SPDX-License-Identifier: GPL-2.0
/* What a worker does beside sending. */
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "worker.h"

static struct stream *any_stream(struct worker *w)
{
	return &w->streams[rnd_below(&w->rnd, NR_STREAMS)];
}

void op_receive(struct worker *w)
{
	unsigned int max = rnd_size(&w->rnd, 1 << 20);
	bool uncorks = rnd_one_in(&w->rnd, 4);
	struct stream *s = any_stream(w);

	if (uncorks)
		stream_uncork(s);
	stream_receive(s, max);
}

void op_wait(struct worker *w)
{
	struct ring *r = &w->rings[rnd_below(&w->rnd, NR_RINGS)];
	unsigned int nr = rnd_below(&w->rnd, 4), ms = rnd_below(&w->rnd, 5);

	if (!r->open)
		return;
	ring_wait(&r->ring, nr, ms);
	ring_reap(r);
}

/* A new one, or an end of one. */
void op_stream(struct worker *w)
{
	struct stream *s = any_stream(w);
	bool ends = rnd_one_in(&w->rnd, 3);

	if (s->open && s->net.tx >= 0) {
		if (ends && !w->victim)
			stream_end(s, &w->rnd);
		return;
	}
	/* what has ended gets some time for its last bytes */
	if (s->open && (s->busy || (!stream_complete(s) && !ends)))
		return;
	stream_close(s);
	if (!w->victim)
		stream_open(s, &w->rnd, w->role == ROLE_LIMITED);
}

void op_pool(struct worker *w)
{
	struct ring *r = worker_ring(w);

	if (r)
		ring_change_pool(r, &w->rnd);
}

/* Other slots in their place, with notifiers of the old ones in flight. */
void op_slots(struct worker *w)
{
	struct ring *r = worker_ring(w);
	int ret;

	if (!r || model_frozen(r))
		return;
	ret = unregister_slots(&r->ring);
	if (ret)
		wrong_of(r, "the slots can't be unregistered: %d", ret);
	model_unregistered(r);
	ring_reap(r);
	ring_register_slots(r, &w->rnd);
}

void op_ring(struct worker *w)
{
	struct ring *r = &w->rings[rnd_below(&w->rnd, NR_RINGS)];

	if (r->open)
		ring_stop(r);
	ring_start(r, &w->rnd, w->role);
}

void op_resize(struct worker *w)
{
	struct ring *r = worker_ring(w);

	if (r)
		ring_resize(r, &w->rnd);
}

/* All that this process has open, it has too for a while. */
static void child_main(struct rnd *rnd)
{
	bool execs = rnd_one_in(rnd, 4);
	unsigned int ms = rnd_below(rnd, 400);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sleep_ms(ms);
	if (execs)
		execl("/proc/self/exe", "stress", "--nothing", NULL);
	_exit(0);
}

void op_child(struct worker *w)
{
	pid_t *child = &w->children[rnd_below(&w->rnd, NR_CHILDREN)];
	bool kills = rnd_one_in(&w->rnd, 2);

	if (*child > 0) {
		if (kills)
			kill(*child, SIGKILL);
		if (waitpid(*child, NULL, kills ? 0 : WNOHANG) == *child)
			*child = 0;
		return;
	}
	*child = fork();
	if (!*child)
		child_main(&w->rnd);
}

void children_end(struct worker *w)
{
	unsigned int i;

	for (i = 0; i < NR_CHILDREN; i++) {
		if (w->children[i] <= 0)
			continue;
		kill(w->children[i], SIGKILL);
		while (waitpid(w->children[i], NULL, 0) < 0 && errno == EINTR)
			;
		w->children[i] = 0;
	}
}

/*
 * Give the holder a socket, or have it take a ring: those can't be sent. It
 * keeps them for a while, also beyond our own close().
 */
void op_pass(struct worker *w)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {};
	int numbers[2] = { getpid(), -1 };
	struct iovec iov = { numbers, sizeof(numbers) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct ring *r = &w->rings[rnd_below(&w->rnd, NR_RINGS)];
	struct stream *s = any_stream(w);
	bool ring = rnd_one_in(&w->rnd, 2), tx = rnd_one_in(&w->rnd, 2);
	int fd = tx ? s->net.tx : s->net.rx;

	if (ring && r->open) {
		numbers[1] = r->ring.ring_fd;
	} else if (!ring && s->open && fd >= 0) {
		struct cmsghdr *cmsg = &control.align;

		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof(control.buf);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	} else {
		return;
	}
	/* there may be too many on their way */
	sendmsg(to_holder, &msg, MSG_DONTWAIT);
}

void set_limit(unsigned int pages)
{
	const struct rlimit limit = { pages * PAGE, MAX_LOCKED * PAGE };

	if (setrlimit(RLIMIT_MEMLOCK, &limit))
		wrong("RLIMIT_MEMLOCK can't be set to %u pages: %m", pages);
}

void op_limit(struct worker *w)
{
	unsigned int pages = rnd_size(&w->rnd, MAX_LOCKED);

	set_limit(rnd_one_in(&w->rnd, 2) ? MAX_LOCKED : pages);
}

/* One less than the least limit under which another page can be locked. */
long locked_pages(void)
{
	long low = 1, high = MAX_LOCKED;
	static char page[PAGE] __aligned(PAGE);
	struct iovec iov = { page, PAGE };
	struct io_uring probe;

	set_limit(MAX_LOCKED);
	if (ring_init(&probe, 0))
		return MAX_LOCKED;
	while (low < high) {
		long middle = (low + high) / 2;
		int ret;

		set_limit(middle);
		ret = io_uring_register_buffers(&probe, &iov, 1);
		if (ret && ret != -ENOMEM)
			wrong("a page can't be locked: %d", ret);
		if (ret) {
			low = middle + 1;
			continue;
		}
		ring_register(&probe, IORING_UNREGISTER_BUFFERS, NULL, 0);
		high = middle;
	}
	set_limit(MAX_LOCKED);
	ring_exit(&probe);
	return low - 1;
}
