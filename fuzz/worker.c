// SPDX-License-Identifier: GPL-2.0
/* Workers: each has processes that run one program after the other. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "fuzz.h"

/* A stopped process is left that for a while. */
#define STOPPED_MS	3
/* So many programs a process runs: to start one takes longer than most of them. */
#define BATCH		32

FILE *out;

/* What programs read, write and close by chance is nobody's. */
static void hide_output(void)
{
	int null = open("/dev/null", O_RDWR);
	unsigned int i;

	fflush(NULL);
	out = fdopen(dup2(1, OUT_FD), "w");
	for (i = 0; i < 3; i++)
		dup2(null, i);
	if (null > 2)
		close(null);
}

static void become_limited(void)
{
	struct rlimit limit = { LIMIT_BYTES, LIMIT_BYTES };
	/* another user each: what one locks leaves the others alone */
	uid_t uid = LIMITED_UID + me;

	if (setrlimit(RLIMIT_MEMLOCK, &limit) || setgroups(0, NULL) ||
	    setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
		exit(1);
	prctl(PR_SET_DUMPABLE, 1);
}

static void become_worker(void)
{
	struct rlimit none = { 0, 0 };
	sigset_t set;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	cover_open();
	hide_output();
	setrlimit(RLIMIT_CORE, &none);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (!enter_namespace("a"))
		exit(1);
	if (is_limited(me))
		become_limited();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void wait_signal(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigtimedwait(&set, NULL, &ts);
}

/*
 * Wait for the process that runs programs: false if it has to be killed, as one
 * of them takes too long, or as it was stopped.
 */
static bool wait_ended(pid_t pid)
{
	struct worker_state *state = &common->workers[me];
	unsigned int nr = state->id.nr;
	__u64 end = now_ms() + PROGRAM_MS, now;
	int status;
	pid_t got;

	while ((got = waitpid(pid, &status, WNOHANG | WUNTRACED)) != pid ||
	       WIFSTOPPED(status)) {
		now = now_ms();
		if (nr != __atomic_load_n(&state->id.nr, __ATOMIC_RELAXED)) {
			nr = state->id.nr;
			end = now + PROGRAM_MS;
		}
		/* it doesn't end by itself any more */
		if (got == pid) {
			sleep_ms(STOPPED_MS);
			return false;
		}
		if (now >= end) {
			state->overdue++;
			return false;
		}
		wait_signal(100);
	}
	/* it uses no memory but its own: then it's a mistake of ours */
	if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL &&
	    WTERMSIG(status) != SIGALRM)
		state->crashed++;
	return true;
}

/* Wait for @pid, or all, after they were killed. */
static bool wait_gone(pid_t pid)
{
	__u64 end = now_ms() + GONE_MS;
	pid_t got;

	for (;;) {
		got = waitpid(pid, NULL, WNOHANG);
		if ((got < 0 && errno == ECHILD) || (got > 0 && got == pid))
			return true;
		if (now_ms() >= end)
			return false;
		if (!got)
			wait_signal(100);
	}
}

static bool kill_all(pid_t pid)
{
	struct worker_state *state = &common->workers[me];

	kill(-pid, SIGKILL);
	/* what was forked off is ours now */
	if (wait_gone(state->forked ? -1 : pid))
		return true;
	state->hung = pid;
	snprintf(state->wrong, sizeof(state->wrong),
		 "a process is still there %u s after it was killed",
		 GONE_MS / 1000);
	return false;
}

/* A program has ended, whichever way: was it the first to reach something? */
static void look_at(const struct program_id *id)
{
	static struct program p;
	unsigned int new_pcs = cover_take();

	if (!new_pcs || id->nr < nr_sequences())
		return;
	corpus_draw(&p, id);
	corpus_join(&p, id, new_pcs);
}

/* Run one program after the other, until one leaves something behind; or one. */
static void __noreturn child_main(bool only)
{
	struct program_id *id = &common->workers[me].id;
	static struct program p;
	unsigned int left = only ? 1 : BATCH;

	setpgid(0, 0);
	cover_enable(false);
	do {
		if (!only)
			id->known = __atomic_load_n(&common->nr_corpus,
						    __ATOMIC_ACQUIRE);
		corpus_draw(&p, id);
		common->workers[me].programs++;
		if (!run_program(&p))
			break;
		look_at(id);
	} while (--left && __atomic_add_fetch(&id->nr, 1, __ATOMIC_RELAXED));
	_exit(0);
}

/* False: something is wrong. */
static bool run(const struct program_id *first, bool only)
{
	struct worker_state *state = &common->workers[me];
	static struct program p;
	bool ended;
	pid_t pid;

	state->id = *first;
	state->forked = false;
	pid = fork();
	if (!pid)
		child_main(only);
	if (pid < 0) {
		sleep_ms(10);
		return true;
	}
	setpgid(pid, pid);
	ended = (wait_ended(pid) && !state->forked) || kill_all(pid);
	if (ended && !state->wrong[0]) {
		look_at(&state->id);
		return true;
	}
	fprintf(out, "# program %u:%u:%u: %s\n", state->id.worker, state->id.nr,
		state->id.known, state->wrong);
	corpus_draw(&p, &state->id);
	print_program(&p);
	fflush(out);
	return false;
}

int worker_main(void)
{
	struct worker_state *state = &common->workers[me];
	struct program_id id = { .worker = me };
	__u64 mine = common->ops / NR_WORKERS;

	become_worker();
	while (state->ops < mine && !common->stop) {
		id.known = __atomic_load_n(&common->nr_corpus, __ATOMIC_ACQUIRE);
		if (!run(&id, false))
			return 1;
		id.nr = state->id.nr + 1;
	}
	return 0;
}

int worker_repeat(const struct program_id *id, unsigned int times)
{
	become_worker();
	while (times--)
		if (!run(id, true))
			return 1;
	return 0;
}
