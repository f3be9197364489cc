// SPDX-License-Identifier: GPL-2.0
/* A program runs: one operation after the other. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <unistd.h>

#include "child.h"
#include "fuzz.h"

struct child child;
__thread struct rnd aux;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

void child_lock(void)
{
	if (child.threads)
		pthread_mutex_lock(&mutex);
}

void child_unlock(void)
{
	if (child.threads)
		pthread_mutex_unlock(&mutex);
}

void wrong(const char *fmt, ...)
{
	char *text = common->workers[me].wrong;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(common->workers[me].wrong), fmt, ap);
	va_end(ap);
	_exit(1);
}

static void exec_shutdown(const struct op *op)
{
	shutdown(child.fds[op->fd % NR_FDS], op->a[0] % 3);
}

static void exec_close(const struct op *op)
{
	int *fd = &child.fds[op->fd % NR_FDS];

	if (op->a[0] % 4 == 0) {
		child_lock();
		ring_close(&child.rings[op->ring % NR_RINGS]);
		child_unlock();
		return;
	}
	close(*fd);
	*fd = -1;
}

static void exec_fdinfo(const struct op *op)
{
	const struct ring *ring = &child.rings[op->ring % NR_RINGS];
	char path[64], buf[4096];
	ssize_t n;
	int fd;

	if (op->a[0] % 8)
		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", ring->fd);
	else
		snprintf(path, sizeof(path),
			 "/sys/kernel/debug/io_uring_notif/totals");
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return;
	do {
		n = read(fd, buf, sizeof(buf));
	} while (n > 0);
	close(fd);
}

/* Heads, tails, flags and requests, as a broken program may leave them. */
static void exec_scribble(const struct op *op)
{
	struct ring *ring = &child.rings[op->ring % NR_RINGS];

	if (!ring->open || op->a[0] % 3)
		return;
	child_lock();
	ring->wild = true;
	switch (op->a[1] % 4) {
	case 0:
		*ring->cq_head = value32(&aux);
		break;
	case 1:
		*ring->sq_tail += rnd_below(&aux, 8);
		break;
	case 2:
		if (ring->sq_array)
			ring->sq_array[0] = value32(&aux);
		break;
	default:
		((__u64 *)ring->sqes)[rnd_below(&aux, 8)] = value64(&aux);
		break;
	}
	child_unlock();
}

static void exec_sleep(const struct op *op)
{
	if (op->a[0] & 1)
		sched_yield();
	else
		usleep(op->a[1] % 64 * 50 * (op->times ?: 1));
}

/* Run it. Returns how many of the following it has given to somebody else. */
static unsigned int exec_op(const struct op *op, unsigned int at)
{
	rnd_seed(&aux, op->seed, op->kind, 0);
	switch (op->kind % NR_OP_KINDS) {
	case OP_RING:
		child_lock();
		exec_ring(op);
		child_unlock();
		break;
	case OP_SLOTS:
		exec_slots(op);
		break;
	case OP_UNSLOTS:
		exec_unslots(op);
		break;
	case OP_SQE:
		exec_sqe(op);
		break;
	case OP_ENTER:
		exec_enter(op);
		break;
	case OP_REGISTER:
		exec_register(op);
		break;
	case OP_SOCKET:
		exec_socket(op);
		break;
	case OP_SOCKOPT:
		exec_sockopt(op);
		break;
	case OP_SHUTDOWN:
		exec_shutdown(op);
		break;
	case OP_CLOSE:
		exec_close(op);
		break;
	case OP_RECV:
		exec_recv(op);
		break;
	case OP_SEND:
		exec_send(op);
		break;
	case OP_MEM:
		exec_memory(op);
		break;
	case OP_FORK:
		exec_fork(op, at);
		return 1 + op->a[0] % 8;
	case OP_THREAD:
		exec_thread(op, at);
		return 1 + op->a[0] % 8;
	case OP_END:
		exec_end(op);
		break;
	case OP_SLEEP:
		exec_sleep(op);
		break;
	case OP_FDINFO:
		exec_fdinfo(op);
		break;
	case OP_SCRIBBLE:
		exec_scribble(op);
		break;
	}
	return 0;
}

void run_ops(unsigned int from, unsigned int to)
{
	unsigned int at;

	if (to > child.p->nr)
		to = child.p->nr;
	for (at = from; at < to; at++) {
		__atomic_fetch_add(&common->workers[me].ops, 1, __ATOMIC_RELAXED);
		at += exec_op(&child.p->ops[at], at);
	}
}

/* So that a splat says which program it was. */
static void name_process(void)
{
	const struct program_id *id = &common->workers[me].id;
	char name[16];

	snprintf(name, sizeof(name), "%u:%u:%u", id->worker, id->nr, id->known);
	prctl(PR_SET_NAME, name);
}

/* What there is at the beginning: nothing of the programs before. */
static void begin(const struct program *p)
{
	struct itimerval timer = { .it_value.tv_usec = p->kill_ms * 1000 };
	unsigned int i;

	child.p = p;
	child.nr_requests = 0;
	child.nr_odd = 0;
	for (i = 0; i < NR_FDS; i++)
		child.fds[i] = -1;
	for (i = 0; i < NR_RINGS; i++) {
		unsigned int gen = child.rings[i].gen;

		memset(&child.rings[i], 0, sizeof(child.rings[i]));
		child.rings[i].gen = gen;
		child.rings[i].fd = -1;
	}
	data_map();
	if (p->kill_ms)
		setitimer(ITIMER_REAL, &timer, NULL);
}

static void finish(void)
{
	static const struct itimerval none;
	unsigned int i;

	/* what has come to the rings is looked at, also if the program doesn't */
	for (i = 0; i < NR_RINGS; i++) {
		struct op op = {
			.kind = OP_ENTER,
			.ring = i,
			.a = { ~0U, 0, IORING_ENTER_GETEVENTS |
			       IORING_ENTER_EXT_ARG },
		};

		exec_enter(&op);
	}
	if (child.p->kill_ms)
		setitimer(ITIMER_REAL, &none, NULL);
}

bool run_program(const struct program *p)
{
	unsigned int i;

	name_process();
	begin(p);
	run_ops(0, p->nr);
	finish();
	if (child.stays || child.shared || child.threads)
		return false;
	for (i = 0; i < NR_RINGS; i++)
		ring_close(&child.rings[i]);
	/* also what a request has opened */
	close_range(3, OUT_FD - 1, 0);
	data_unmap();
	return true;
}
