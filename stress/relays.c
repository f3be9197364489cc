// SPDX-License-Identifier: GPL-2.0
/*
 * A process that relays at random, see relay.c, and changes all there is meanwhile:
 * sources and sinks, the table and the ring. What the kernel may make of it is in
 * taken.c.
 */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "data.h"
#include "relay.h"
#include "worker.h"

#define MAX_RELAY_PAGES	600	/* of who may lock little */

void source_close(struct source *s)
{
	pair_close(&s->net);
	s->open = false;
}

/* A source that ends, well or not; another one in place of one that has ended. */
static void change_source(struct relay *r)
{
	static const enum net_link links[] = { NET_LO, NET_VETH, NET_NIC };
	struct source *s = &r->sources[rnd_below(&r->rnd, NR_SOURCES - 1)];
	struct linger linger = { .l_onoff = 1 };
	unsigned int link = rnd_below(&r->rnd, 3);
	bool full = rnd_one_in(&r->rnd, 3), reset = rnd_one_in(&r->rnd, 2);
	__u64 seed = rnd_next(&r->rnd);

	if (s->open && !s->ends) {
		s->ends = true;
		s->lost = reset;
		if (reset)
			setsockopt(s->net.tx, SOL_SOCKET, SO_LINGER, &linger,
				   sizeof(linger));
		else
			shutdown(s->net.tx, SHUT_WR);
		if (reset)
			close(s->net.tx);
		if (reset)
			s->net.tx = -1;
		return;
	}
	if (s->busy)
		return;
	if (s->open)
		source_close(s);
	memset(s, 0, sizeof(*s));
	s->seed = seed;
	s->open = !connect_pair(&s->net, r->limited ? NET_LO : links[link],
				AF_INET, SOCK_STREAM,
				(struct pair_opts){ .full = full });
}

static void change_sink(struct relay *r)
{
	struct stream *s = &r->sinks[rnd_below(&r->rnd, NR_SINKS)];
	bool ends = rnd_one_in(&r->rnd, 3);

	if (s->open && s->net.tx >= 0) {
		if (ends)
			stream_end(s, &r->rnd);
		return;
	}
	if (s->open && (s->busy || (!stream_complete(s) && !ends)))
		return;
	do {
		stream_close(s);
		stream_open(s, &r->rnd, r->limited);
	} while (s->open && (s->type != SOCK_STREAM || s->local));
}

static void take_file(struct relay *r)
{
	struct source *s = &r->sources[NR_SOURCES - 1];
	char *data = malloc(FILE_LEN);

	s->file = true;
	s->seed = rnd_next(&r->rnd);
	s->sent = FILE_LEN;
	s->net = (struct pair){ .tx = -1, .rx = memfd_create("relay", 0) };
	data_fill(data, FILE_LEN, s->seed, 0);
	s->open = write(s->net.rx, data, FILE_LEN) == FILE_LEN;
	free(data);
	r->copy = memfd_create("copy", 0);
	if (!s->open || r->copy < 0)
		wrong_relay(r, "there is no file: %m");
}

static struct relay *relay_new(bool limited, __u64 op)
{
	struct relay *r = calloc(1, sizeof(*r));
	unsigned int i;

	if (!r)
		wrong("there is no memory");
	r->limited = limited;
	r->op = op;
	rnd_seed(&r->rnd, common->seed, me, ~op);
	for (i = 0; i < NR_SOURCES; i++)
		r->sources[i].net = (struct pair){ .tx = -1, .rx = -1 };
	relay_ring_begin(r);
	take_file(r);
	return r;
}

static void receive(struct relay *r)
{
	stream_receive(&r->sinks[rnd_below(&r->rnd, NR_SINKS)],
		       rnd_size(&r->rnd, 1 << 20));
}

static void wait_a_little(struct relay *r)
{
	ring_wait(&r->ring, rnd_below(&r->rnd, 3), rnd_below(&r->rnd, 4));
}

static void change_slots(struct relay *r)
{
	unsigned int i;

	if (unregister_slots(&r->ring))
		wrong_relay(r, "the slots can't be unregistered");
	for (i = 0; i < RELAY_SLOTS; i++) {
		r->flushed += r->slot_used[i];
		r->slot_used[i] = false;
	}
	while (register_slots(&r->ring, RELAY_SLOTS) == -EOPNOTSUPP)
		sleep_ms(20);
}

static void cancel_some(struct relay *r)
{
	relay_cancel(r, rnd_one_in(&r->rnd, 4));
}

static void change_ring(struct relay *r)
{
	relay_ring_end(r);
	relay_ring_begin(r);
}

static void change_limit(struct relay *r)
{
	if (r->limited)
		set_limit(rnd_between(&r->rnd, 200, MAX_RELAY_PAGES));
}

static void relay_step(struct relay *r);

/* Another one that is killed in the middle of it. */
static void change_child(struct relay *r)
{
	int status;

	if (r->victim)
		return;
	if (r->child > 0) {
		kill(r->child, SIGKILL);
		while (waitpid(r->child, &status, 0) < 0 && errno == EINTR)
			;
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
			wrong_relay(r, "a child ended with status %#x", status);
		count->ends++;
		r->child = 0;
		return;
	}
	fflush(NULL);
	r->child = fork();
	if (r->child)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (status = 0; status < (int)NR_SINKS; status++)
		pair_close(&r->sinks[status].net);
	for (status = 0; status < (int)NR_SOURCES; status++)
		pair_close(&r->sources[status].net);
	close(r->ring.ring_fd);
	r = relay_new(r->limited, r->op << 20);
	r->victim = true;
	for (;;)
		relay_step(r);
}

static void change_others(struct relay *r)
{
	if (rnd_one_in(&r->rnd, 2))
		change_ring(r);
	else
		change_child(r);
}

static const struct {
	unsigned int weight;
	void (*run)(struct relay *r);
} ops[] = {
	{ 22, relay_feed }, { 18, relay_take }, { 10, relay_take_and_give },
	{ 16, relay_give }, { 12, receive }, { 6, wait_a_little },
	{ 3, relay_write_copy }, { 3, relay_give_up }, { 2, cancel_some },
	{ 2, change_source }, { 2, change_sink }, { 1, relay_change_table },
	{ 1, change_slots }, { 1, change_limit }, { 1, change_others },
};

#define ALL_WEIGHTS	100

static void relay_step(struct relay *r)
{
	unsigned int at, op = 0;

	rnd_seed(&r->rnd, common->seed, me, ++r->op);
	at = rnd_below(&r->rnd, ALL_WEIGHTS);
	while (at >= ops[op].weight)
		at -= ops[op++].weight;
	ops[op].run(r);
	relay_reap(r);
	count->ops++;
}

static bool is_quiet(const struct relay *r)
{
	unsigned int i;

	for (i = 0; i < NR_SINKS; i++)
		if (!stream_complete(&r->sinks[i]))
			return false;
	return relay_is_idle(r) && r->notified == r->flushed;
}

/* Everything ends, what was given on arrives, and nothing is held any more. */
static void quiesce(struct relay *r)
{
	__u64 begun = now_ms();
	char path[64];
	unsigned int i;

	change_slots(r);
	while (!is_quiet(r)) {
		relay_cancel(r, true);
		ring_wait(&r->ring, 1, 5);
		relay_reap(r);
		for (i = 0; i < NR_SINKS; i++) {
			stream_receive(&r->sinks[i], 1 << 20);
			if (now_ms() - begun > SLOW_MS &&
			    !(stream_complete(&r->sinks[i]) && !r->sinks[i].busy))
				stream_cut(&r->sinks[i]);
		}
		/* who waits for a notification of a receiver that has gone */
		if (now_ms() - begun > 2 * SLOW_MS)
			for (i = 0; i < NR_SINKS; i++)
				stream_close(&r->sinks[i]);
		if (now_ms() - begun > TAIL_MS) {
			relay_tell(r);
			wrong_relay(r, "something has not ended");
		}
	}
	while (!relay_is_idle(r)) {
		ring_wait(&r->ring, 1, 5);
		relay_reap(r);
	}
	ring_register(&r->ring, IORING_UNREGISTER_BUFFERS, NULL, 0);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", r->ring.ring_fd);
	if (number_of(path, "KernelBufs:") || number_of(path, "KernelBufPages:"))
		wrong_relay(r, "%lld buffers of %lld pages are left",
			    number_of(path, "KernelBufs:"),
			    number_of(path, "KernelBufPages:"));
	ring_exit(&r->ring);
	for (i = 0; i < NR_SINKS; i++)
		stream_close(&r->sinks[i]);
	for (i = 0; i < NR_SOURCES; i++)
		source_close(&r->sources[i]);
}

int relay_main(bool limited)
{
	long locked = limited ? become_user() : 0;
	struct relay *r;

	if (limited)
		set_limit(MAX_RELAY_PAGES);
	r = relay_new(limited, 0);
	while (phase() < PHASE_QUIET)
		relay_step(r);
	if (r->child > 0)
		change_child(r);
	quiesce(r);
	if (limited)
		nothing_is_locked(locked);
	return 0;
}
