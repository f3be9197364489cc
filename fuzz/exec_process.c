// SPDX-License-Identifier: GPL-2.0
/* Other processes and threads that do a part of the program, and its end. */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "fuzz.h"

#define STACK_LEN	(64 << 10)
#define MAX_THREADS	4

static unsigned int nr_threads;

struct part {
	unsigned int from, to;
};

static void __noreturn end(unsigned int how)
{
	switch (how) {
	case END_EXEC:
		execl("/proc/self/exe", "fuzz", "--nothing", NULL);
		_exit(0);
	case END_KILL:
		kill(getpid(), SIGKILL);
		_exit(0);
	case END_STOP_KILL:
		/* the worker finds it so, and kills it */
		kill(getpid(), SIGSTOP);
		_exit(0);
	default:
		_exit(0);
	}
}

void exec_end(const struct op *op)
{
	if (op->a[0] < NR_ENDS)
		end(op->a[0]);
}

/* The next few operations in another process, which has all files and rings. */
void exec_fork(const struct op *op, unsigned int at)
{
	unsigned int nr = 1 + op->a[0] % 8;
	int status;
	pid_t pid;

	/* children have none of their own */
	if (child.is_copy)
		return;
	common->workers[me].forked = true;
	child.shared = true;
	pid = fork();
	if (!pid) {
		child.is_copy = true;
		/* of them there's only one here, and the lock may be held */
		child.threads = false;
		run_ops(at + 1, at + 1 + nr);
		end(op->a[1] % (NR_ENDS - 1));
	}
	if (pid > 0 && op->a[2] & 1)
		waitpid(pid, &status, 0);
}

static void *thread_main(void *arg)
{
	struct part part = *(struct part *)arg;

	cover_enable(true);
	run_ops(part.from, part.to);
	return NULL;
}

void exec_thread(const struct op *op, unsigned int at)
{
	struct part *part = scratch(sizeof(*part));
	pthread_attr_t attr;
	pthread_t thread;
	int ret;

	if (__atomic_fetch_add(&nr_threads, 1, __ATOMIC_RELAXED) >= MAX_THREADS)
		return;
	part->from = at + 1;
	part->to = at + 1 + 1 + op->a[0] % 8;
	child.threads = true;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_LEN);
	ret = pthread_create(&thread, &attr, thread_main, part);
	pthread_attr_destroy(&attr);
	if (ret)
		return;
	if (op->a[2] & 1)
		pthread_join(thread, NULL);
	else
		pthread_detach(thread);
}
