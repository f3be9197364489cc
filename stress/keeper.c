// SPDX-License-Identifier: GPL-2.0
/*
 * Processes that end in the middle of it: killed, stopped, by exec or exit. What
 * they have sent is received here, and goes by its position in the stream, so
 * that it can be checked without asking them.
 */
#include <sys/prctl.h>
#include <sys/wait.h>

#include "data.h"
#include "worker.h"

/* A sender without an owner may give up on a bad link, and tells nobody. */
#define SILENT_MS	3000

enum how {
	HOW_KILL,
	HOW_STOP_KILL,		/* while it is stopped */
	HOW_STOP_GO_KILL,	/* after it was */
	HOW_EXEC,
	HOW_EXIT,		/* with everything in flight */
	HOW_QUIET,		/* once all is over */
	NR_HOWS,
};

static const char * const how_names[] = {
	"killed", "killed while stopped", "stopped, then killed", "executing",
	"exiting", "ending well",
};

/* A victim, as seen from here. */
struct victim {
	pid_t pid;
	struct stream s;	/* we have its receiver */
	__u64 seed, received;
	bool ended;
	bool limited;		/* in a memory cgroup, the kernel may kill it */
	enum how *how;		/* that it is to end by itself, or NR_HOWS */
};

/* The nth of this keeper does the same each time. */
static void __noreturn victim_main(struct victim *v, unsigned int nr)
{
	struct worker *w = calloc(1, sizeof(*w));
	enum how how;
	unsigned int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (v->limited)
		cgroup_enter();
	if (!w)
		wrong("there is no memory");
	w->victim = true;
	w->op = (__u64)(nr + 1) << 32;
	w->streams[0] = v->s;
	w->streams[0].seed = v->seed;
	w->streams[0].by_position = true;
	close(v->s.net.rx);
	w->streams[0].net.rx = -1;
	for (i = 0; i < 1 + nr % 2; i++) {
		rnd_seed(&w->rnd, common->seed, me, w->op + i);
		ring_start(&w->rings[i], &w->rnd, ROLE_WORKER);
	}
	while ((how = __atomic_load_n(v->how, __ATOMIC_ACQUIRE)) == NR_HOWS)
		worker_step(w);
	if (how == HOW_EXEC)
		execl("/proc/self/exe", "stress", "--nothing", NULL);
	if (how == HOW_QUIET) {
		children_end(w);
		worker_quiesce(w);
	}
	_exit(how == HOW_EXEC);
}

static bool receive(struct victim *v)
{
	static char buf[256 << 10];
	ssize_t n = recv(v->s.net.rx, buf, sizeof(buf), MSG_DONTWAIT);
	size_t good;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		v->ended = true;
		return false;
	}
	good = data_check(buf, n, v->seed, v->received);
	if (good != (size_t)n)
		wrong("byte %llu of a victim's stream%s %s",
		      (unsigned long long)v->received + good, stream_name(&v->s),
		      data_differs(buf[good]));
	v->received += n;
	count->bytes += n;
	return true;
}

/* Receive for a while, with pauses in which the sender gets stuck. */
static void receive_for(struct victim *v, struct rnd *rnd, unsigned int ms)
{
	__u64 end = now_ms() + ms;

	while (now_ms() < end && phase() < PHASE_QUIET) {
		if (!receive(v) || rnd_one_in(rnd, 8))
			sleep_ms(1 + rnd_below(rnd, POLL_MS));
	}
}

/* The process is gone soon, whatever it had in flight. */
static void wait_gone(struct victim *v, enum how how)
{
	__u64 start = now_ms();
	int status;

	while (waitpid(v->pid, &status, WNOHANG) != v->pid) {
		if (now_ms() - start > (how == HOW_QUIET ? 2 * STUCK_MS : GONE_MS))
			wrong("a process (%s) is still there after %d s%s",
			      how_names[how], GONE_MS / 1000, stream_name(&v->s));
		/* who ends well needs a receiver */
		if (how == HOW_QUIET)
			receive(v);
		sleep_ms(10);
	}
	if (v->limited && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return;
	if (WIFSIGNALED(status) ? how > HOW_STOP_GO_KILL || WTERMSIG(status) != SIGKILL :
	    WEXITSTATUS(status) || how < HOW_EXEC)
		wrong("a process (%s) ended with status %#x", how_names[how],
		      status);
}

static void end_victim(struct victim *v, struct rnd *rnd, enum how how)
{
	unsigned int ms = rnd_between(rnd, 50, 1000);

	if (how == HOW_STOP_KILL || how == HOW_STOP_GO_KILL) {
		__atomic_store_n(&common->stopped[me], true, __ATOMIC_RELEASE);
		kill(v->pid, SIGSTOP);
		receive_for(v, rnd, ms);
	}
	if (how == HOW_STOP_GO_KILL) {
		kill(v->pid, SIGCONT);
		receive_for(v, rnd, ms);
	}
	if (how <= HOW_STOP_GO_KILL)
		kill(v->pid, SIGKILL);
	else
		__atomic_store_n(v->how, how, __ATOMIC_RELEASE);
	wait_gone(v, how);
	count->ends++;
}

/* What it has sent arrives, as far as it does, and is right. */
static void receive_rest(struct victim *v)
{
	__u64 last = now_ms();

	while (!v->ended && now_ms() - last < SILENT_MS) {
		if (receive(v))
			last = now_ms();
		else
			sleep_ms(20);
	}
}

static bool start_victim(struct victim *v, struct rnd *rnd, unsigned int nr)
{
	*v->how = NR_HOWS;
	common->stopped[me] = false;
	v->seed = rnd_next(rnd);
	v->received = 0;
	v->ended = false;
	do {
		stream_close(&v->s);
		stream_open(&v->s, rnd, false);
		if (!v->s.open)
			return false;
	} while (v->s.type != SOCK_STREAM);
	fflush(NULL);
	v->pid = fork();
	if (!v->pid)
		victim_main(v, nr);
	if (v->pid < 0)
		wrong("there is no process: %m");
	close(v->s.net.tx);
	v->s.net.tx = -1;
	return true;
}

/* Let it have little more memory than it has now. */
static void squeeze(struct victim *v, struct rnd *rnd)
{
	unsigned int more = rnd_size(rnd, 1 << 20);

	cgroup_squeeze(more);
	receive_for(v, rnd, 500);
}

int keeper_main(void)
{
	struct victim *v = calloc(1, sizeof(*v));
	bool has_cgroup = cgroup_make();
	unsigned int nr;

	if (v)
		v->how = mmap(NULL, sizeof(*v->how), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!v || v->how == MAP_FAILED)
		wrong("there is no memory");
	for (nr = 0; phase() < PHASE_QUIET; nr++) {
		struct rnd rnd;
		enum how how;

		rnd_seed(&rnd, common->seed, me, nr);
		how = rnd_below(&rnd, NR_HOWS);
		v->limited = rnd_one_in(&rnd, 3) && has_cgroup;
		if (!start_victim(v, &rnd, nr)) {
			sleep_ms(100);
			continue;
		}
		receive_for(v, &rnd, rnd_between(&rnd, 100, 3000));
		if (v->limited)
			squeeze(v, &rnd);
		end_victim(v, &rnd, how);
		if (v->limited)
			cgroup_relax();
		receive_rest(v);
		stream_close(&v->s);
	}
	if (has_cgroup) {
		count->ooms = cgroup_kills();
		cgroup_remove();
	}
	return 0;
}
