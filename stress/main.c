// SPDX-License-Identifier: GPL-2.0
/*
 * stress [--seconds N] [--seed N]: rounds of half a minute or less, each of its
 * own seed. That of the first one is the seed that is given, the others count up
 * from it: whichever fails is repeated by its own.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stress.h"

#define ROUND_MS	30000
/* with less than that left there is no further round */
#define MIN_ROUND_MS	10000
#define PROGRESS_MS	10000
/* for a phase to end, in which who is stuck says so after TAIL_MS */
#define PHASE_MS	(TAIL_MS + 15000)

struct common *common;
unsigned int me;
struct counts *count;
int to_holder, from_senders;

static const struct {
	const char *name;
	enum role role;
} procs[] = {
	{ "worker", ROLE_WORKER },
	{ "worker", ROLE_WORKER },
	{ "worker with threads", ROLE_THREADS },
	{ "worker with little memory", ROLE_LIMITED },
	{ "relay", ROLE_RELAY },
	{ "relay with little memory", ROLE_RELAY_LIMITED },
	{ "vsock", ROLE_VSOCK },
	{ "keeper of victims", ROLE_KEEPER },
	{ "keeper of victims", ROLE_KEEPER },
	{ "looker", ROLE_LOOKER },
	{ "holder", ROLE_HOLDER },
	{ "chaos", ROLE_CHAOS },
};

#define NR_PROCS	ARRAY_SIZE(procs)

static unsigned int test_nr;

void wrong(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printf("# %s %u (seed %llu), after %llu steps: %s\n", procs[me].name, me,
	       (unsigned long long)common->seed, (unsigned long long)count->ops,
	       text);
	fflush(NULL);
	_exit(1);
}

static int run_role(enum role role)
{
	switch (role) {
	case ROLE_RELAY:
	case ROLE_RELAY_LIMITED:
		return relay_main(role == ROLE_RELAY_LIMITED);
	case ROLE_VSOCK:
		return vsock_main();
	case ROLE_KEEPER:
		return keeper_main();
	case ROLE_CHAOS:
		return chaos_main();
	case ROLE_LOOKER:
		return looker_main();
	case ROLE_HOLDER:
		return holder_main();
	default:
		return worker_main(role);
	}
}

/* The phase after which a process has gone. */
static enum phase last_phase(enum role role)
{
	return role == ROLE_LOOKER || role == ROLE_HOLDER ? PHASE_END : PHASE_QUIET;
}

static void start(unsigned int nr)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		perror("# fork");
		exit(1);
	}
	if (pid) {
		common->pids[nr] = pid;
		return;
	}
	signal(SIGPIPE, SIG_IGN);
	me = nr;
	count = &common->counts[nr];
	exit(run_role(procs[nr].role));
}

static void sum(struct counts *all)
{
	unsigned int i;

	memset(all, 0, sizeof(*all));
	for (i = 0; i < NR_PROCS; i++) {
		const struct counts *one = &common->counts[i];

		all->ops += one->ops;
		all->requests += one->requests;
		all->notifications += one->notifications;
		all->bytes += one->bytes;
		all->datagrams += one->datagrams;
		all->refused += one->refused;
		all->ends += one->ends;
		all->rings += one->rings;
		all->unloads += one->unloads;
		all->ooms += one->ooms;
		all->cuts += one->cuts;
		all->merged += one->merged;
		all->many += one->many;
		all->taken += one->taken;
		all->mapped += one->mapped;
	}
}

static void progress(__u64 ms)
{
	struct counts all;

	sum(&all);
	printf("# %3llu s: %llu steps, %llu requests, %llu refused, %llu notifications, ",
	       (unsigned long long)ms / 1000, (unsigned long long)all.ops,
	       (unsigned long long)all.requests, (unsigned long long)all.refused,
	       (unsigned long long)all.notifications);
	printf("%llu merged, %llu of many, %llu taken, %llu KiB mapped, ",
	       (unsigned long long)all.merged, (unsigned long long)all.many,
	       (unsigned long long)all.taken, (unsigned long long)all.mapped >> 10);
	printf("%llu KiB and %llu datagrams received, %llu rings, ",
	       (unsigned long long)all.bytes >> 10,
	       (unsigned long long)all.datagrams, (unsigned long long)all.rings);
	printf("%llu ends, %llu killed for memory, %llu unloading, %llu cut\n",
	       (unsigned long long)all.ends, (unsigned long long)all.ooms,
	       (unsigned long long)all.unloads, (unsigned long long)all.cuts);
	fflush(stdout);
}

/* See who has ended: false if one should not have, or not like that. */
static bool look_after(void)
{
	bool fine = true;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		unsigned int i = 0;

		while (i < NR_PROCS && common->pids[i] != pid)
			i++;
		if (i == NR_PROCS)
			continue;
		common->pids[i] = 0;
		if (status || phase() < last_phase(procs[i].role)) {
			printf("# %s %u has ended with status %#x\n",
			       procs[i].name, i, status);
			fine = false;
		}
	}
	return fine;
}

/* Whether those that leave in this phase have gone. */
static bool phase_is_over(void)
{
	unsigned int i;

	for (i = 0; i < NR_PROCS; i++)
		if (common->pids[i] && last_phase(procs[i].role) <= phase())
			return false;
	return true;
}

static void tell_remaining(unsigned int seconds)
{
	unsigned int i;

	for (i = 0; i < NR_PROCS; i++) {
		if (!common->pids[i] || last_phase(procs[i].role) > phase())
			continue;
		printf("# %s %u has not ended within %u s:\n", procs[i].name, i,
		       seconds);
		tell_process(common->pids[i]);
	}
}

/* Until @ms have passed, or all are gone that have to: false if not so. */
static bool run_phase(enum phase which, unsigned int ms, __u64 start)
{
	__u64 begun = now_ms(), shown = begun;

	__atomic_store_n(&common->phase, which, __ATOMIC_RELEASE);
	while (which == PHASE_RUN || !phase_is_over()) {
		if (!look_after())
			return false;
		if (now_ms() - begun > ms && which == PHASE_RUN)
			break;
		if (now_ms() - begun > ms) {
			tell_remaining(ms / 1000);
			return false;
		}
		if (now_ms() - shown > PROGRESS_MS) {
			shown = now_ms();
			progress(shown - start);
		}
		sleep_ms(POLL_MS);
	}
	return true;
}

static void kill_all(void)
{
	unsigned int i;

	for (i = 0; i < NR_PROCS; i++)
		if (common->pids[i])
			kill(common->pids[i], SIGKILL);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	chaos_restore();
}

static void verdict(bool ok, const char *what, __u64 seed)
{
	printf("%sok %u %s (seed %llu)\n", ok ? "" : "not ", ++test_nr, what,
	       (unsigned long long)seed);
	fflush(stdout);
}

/* Everything is given back in its own time. */
static bool all_is_back(const struct state *before)
{
	__u64 end = now_ms() + STUCK_MS;
	const char *differs;
	struct counts all;
	struct state now;

	sum(&all);
	for (;;) {
		state_read(&now);
		differs = state_differs(before, &now,
					all.notifications + all.merged);
		if (!differs)
			return true;
		if (now_ms() > end)
			break;
		sleep_ms(200);
	}
	printf("# %s\n", differs);
	return false;
}

/* Nobody uses it any more. */
static bool module_goes(__u64 seed)
{
	int ret = module_unload();

	/* who tried to unload it may have done so */
	if (module_is_built_in(ret) && !system("modprobe -q " MODULE))
		ret = module_unload();
	if (module_is_built_in(ret)) {
		printf("ok %u stress: the module can go # SKIP it is built in\n",
		       ++test_nr);
		return true;
	}
	if (ret)
		printf("# unloading the module ends with %d\n", ret);
	verdict(!ret, "stress: the module can go", seed);
	/* as it was before */
	if (!ret && system("modprobe " MODULE) != 0)
		printf("# the module can't be loaded again\n");
	return !ret;
}

static bool do_round(__u64 seed, unsigned int ms)
{
	__u64 start_ms = now_ms();
	static long available_kb;
	struct state before;
	unsigned int i;
	bool ok;

	memset(common, 0, sizeof(*common));
	common->seed = seed;
	state_read(&before);
	/* little is lost in a round, but in many */
	available_kb = available_kb ?: before.available_kb;
	before.available_kb = available_kb;
	printf("# a round begins: SEED=%llu repeats it\n", (unsigned long long)seed);
	for (i = 0; i < NR_PROCS; i++)
		start(i);
	ok = run_phase(PHASE_RUN, ms, start_ms) &&
	     run_phase(PHASE_QUIET, PHASE_MS, start_ms) &&
	     run_phase(PHASE_END, PHASE_MS, start_ms);
	progress(now_ms() - start_ms);
	if (!ok)
		kill_all();
	verdict(ok, "stress: every request, notification and byte", seed);
	if (!ok)
		return false;
	ok = all_is_back(&before);
	verdict(ok, "stress: memory and references are back", seed);
	return ok;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seconds", required_argument, NULL, 's' },
		{ "seed", required_argument, NULL, 'S' },
		/* what is executed by those who have rings */
		{ "nothing", no_argument, NULL, 'n' },
		{}
	};
	__u64 seed = 1, ms = ROUND_MS, start = now_ms(), end;
	int opt, ends[2];
	bool ok;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 's')
			ms = strtoul(optarg, NULL, 0) * 1000;
		else if (opt == 'S')
			seed = strtoull(optarg, NULL, 0);
		else
			return opt == 'n' ? 0 : 2;
	}
	common = mmap(NULL, sizeof(*common), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (common == MAP_FAILED || socketpair(AF_UNIX, SOCK_DGRAM, 0, ends)) {
		perror("# stress");
		return 1;
	}
	to_holder = ends[0];
	from_senders = ends[1];
	count = &common->counts[0];
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n");
	if (access("/sys/fs/cgroup/memory.stat", F_OK))
		printf("ok %u stress: limits of a memory cgroup # SKIP no CONFIG_MEMCG\n",
		       ++test_nr);
	huge_pages_want(true);
	end = start + ms;
	for (;; seed++) {
		ms = end - now_ms();
		ok = do_round(seed, ms < ROUND_MS ? ms : ROUND_MS);
		if (!ok || now_ms() + MIN_ROUND_MS > end)
			break;
	}
	huge_pages_want(false);
	ok = ok && module_goes(seed);
	if (!ok)
		printf("# failed: SEED=%llu repeats it\n",
		       (unsigned long long)seed);
	printf("1..%u\n", test_nr);
	return !ok;
}
