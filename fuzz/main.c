// SPDX-License-Identifier: GPL-2.0
/*
 * fuzz [--ops N] [--seed N]: programs at random over the whole ABI of notification
 * slots, and of what is around them.
 *
 *	--only WORKER:NR:KNOWN [--times N]	one program again, with its seed; 0
 *			times: only say what it does
 *	--joined FILE	what the run that it comes from has printed
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz.h"

#define PROGRESS_MS	10000
/* For what was in flight to come back: a closed ring looks every second. */
#define BACK_MS		60000

struct common *common;
unsigned int me;

static unsigned int test_nr;
static bool failed;

static void verdict(bool ok, const char *what)
{
	printf("%sok %u fuzz: %s (seed %llu)\n", ok ? "" : "not ", ++test_nr, what,
	       (unsigned long long)common->seed);
	fflush(stdout);
	failed = failed || !ok;
}

static pid_t start(int (*run)(void))
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid)
		exit(run());
	return pid;
}

static void progress(__u64 ms)
{
	__u64 ops = 0, programs = 0, overdue = 0, crashed = 0, requests = 0;
	__u64 notifications = 0;
	unsigned int i;

	for (i = 0; i < NR_WORKERS; i++) {
		const struct worker_state *state = &common->workers[i];

		ops += state->ops;
		programs += state->programs;
		overdue += state->overdue;
		crashed += state->crashed;
		requests += state->requests;
		notifications += state->notifications;
	}
	printf("# %3llu s: %llu operations, %llu programs (%llu overdue, %llu crashed), ",
	       (unsigned long long)ms / 1000, (unsigned long long)ops,
	       (unsigned long long)programs, (unsigned long long)overdue,
	       (unsigned long long)crashed);
	printf("%llu requests, %llu notifications seen, corpus %u, PCs %u; at",
	       (unsigned long long)requests, (unsigned long long)notifications,
	       common->nr_corpus, common->nr_pcs);
	for (i = 0; i < NR_WORKERS; i++)
		printf(" %u:%u", i, common->workers[i].id.nr);
	printf("\n");
	fflush(stdout);
}

static void show_file(const char *path)
{
	FILE *file = fopen(path, "r");
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		printf("#     %s", line);
	if (file)
		fclose(file);
}

/* Where in the kernel it is. */
static void show_stuck(pid_t pid)
{
	char path[64];

	printf("#   process %d:\n", pid);
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	show_file(path);
	snprintf(path, sizeof(path), "/proc/%d/stack", pid);
	show_file(path);
}

/* Until all workers have ended, each with status 0. */
static bool look_after(__u64 begun)
{
	unsigned int left = NR_WORKERS;
	__u64 shown = now_ms();
	bool fine = true;

	while (left) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);
		unsigned int i = 0;

		while (pid > 0 && i < NR_WORKERS && common->workers[i].pid != pid)
			i++;
		if (pid > 0 && i < NR_WORKERS) {
			left--;
			if (status) {
				printf("# worker %u has ended with status %#x\n", i,
				       status);
				fine = false;
				common->stop = true;
			}
		}
		if (now_ms() - shown > PROGRESS_MS) {
			shown = now_ms();
			progress(shown - begun);
		}
		if (pid <= 0)
			sleep_ms(20);
	}
	return fine;
}

/* Everything comes back in its own time. */
static bool all_is_back(const struct state *before)
{
	__u64 end = now_ms() + BACK_MS;
	const char *differs;

	while ((differs = state_differs(before)) && now_ms() < end)
		sleep_ms(100);
	if (differs)
		printf("# %s\n", differs);
	return !differs;
}

static bool limits_are_free(void)
{
	bool fine = true;
	unsigned int i;

	for (i = 0; i < NR_WORKERS; i++) {
		int ret = is_limited(i) ? limit_is_free(i) : 0;

		if (!ret)
			continue;
		printf("# of what user %u may lock something is locked: error %d\n",
		       LIMITED_UID + i, ret);
		fine = false;
	}
	return fine;
}

/* Nobody uses it. It may be built in. */
static bool module_goes(void)
{
	if (!syscall(SYS_delete_module, MODULE, O_NONBLOCK))
		return system("modprobe " MODULE) == 0;
	if (errno == ENOENT)
		return true;
	printf("# unloading the module ends with %d\n", errno);
	return false;
}

static void fuzz(void)
{
	__u64 begun = now_ms();
	struct state before;
	bool ended = true;
	unsigned int i;
	pid_t sink;

	state_read(&before);
	sink = start(sink_main);
	for (i = 0; i < NR_WORKERS; i++) {
		me = i;
		common->workers[i].pid = start(worker_main);
	}
	verdict(look_after(begun), "no program had an answer that it must not have");
	progress(now_ms() - begun);
	for (i = 0; i < NR_WORKERS; i++) {
		if (!common->workers[i].hung)
			continue;
		show_stuck(common->workers[i].hung);
		ended = false;
	}
	verdict(ended, "every process could be ended");
	kill(sink, SIGKILL);
	waitpid(sink, NULL, 0);
	verdict(all_is_back(&before), "references, notifiers and pages are back");
	verdict(limits_are_free(), "what a user may lock can be locked again");
	if (common->has_coverage)
		cover_print();
	else
		printf("# there's no /sys/kernel/debug/kcov: blind, no coverage guides it\n");
	verdict(module_goes(), "the module can go");
	if (failed)
		printf("# failed: SEED=%llu repeats it\n",
		       (unsigned long long)common->seed);
}

static struct program_id only;
static unsigned int times = 1;

static int repeat(void)
{
	return worker_repeat(&only, times);
}

static void show_only(void)
{
	static struct program p;

	out = stdout;
	corpus_draw(&p, &only);
	print_program(&p);
}

static void run_only(void)
{
	pid_t sink = start(sink_main), pid;
	struct state before;
	int status = 0;

	state_read(&before);
	me = only.worker;
	pid = start(repeat);
	common->workers[me].pid = pid;
	waitpid(pid, &status, 0);
	verdict(!status, "the program has no answer that it must not have");
	if (common->workers[me].hung)
		show_stuck(common->workers[me].hung);
	kill(sink, SIGKILL);
	waitpid(sink, NULL, 0);
	verdict(all_is_back(&before), "references, notifiers and pages are back");
}

static bool parse(int argc, char **argv, const char **joined, bool *one)
{
	static const struct option options[] = {
		{ "ops", required_argument, NULL, 'o' },
		{ "seed", required_argument, NULL, 's' },
		{ "only", required_argument, NULL, 'p' },
		{ "times", required_argument, NULL, 't' },
		{ "joined", required_argument, NULL, 'j' },
		{ "nothing", no_argument, NULL, 'n' },
		{}
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'o':
			common->ops = strtoull(optarg, NULL, 0);
			break;
		case 's':
			common->seed = strtoull(optarg, NULL, 0);
			break;
		case 'p':
			*one = sscanf(optarg, "%u:%u:%u", &only.worker, &only.nr,
				      &only.known) == 3;
			if (!*one || only.worker >= NR_WORKERS)
				return false;
			break;
		case 't':
			times = strtoul(optarg, NULL, 0);
			break;
		case 'j':
			*joined = optarg;
			break;
		case 'n':
			/* a program that a program executes */
			exit(0);
		default:
			return false;
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	const char *joined = NULL;
	bool one = false;

	common = mmap(NULL, sizeof(*common), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (common == MAP_FAILED) {
		perror("# fuzz");
		return 1;
	}
	common->ops = 20000;
	common->seed = 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!parse(argc, argv, &joined, &one)) {
		fprintf(stderr,
			"fuzz: --ops N, --seed N, --only W:NR:KNOWN, --times N, --joined FILE\n");
		return 2;
	}
	printf("TAP version 13\n");
	corpus_init();
	if (joined && !corpus_read(joined)) {
		printf("Bail out! %s: %s\n", joined, strerror(errno));
		return 1;
	}
	printf("# SEED=%llu repeats it\n", (unsigned long long)common->seed);
	if (one && only.known > common->nr_corpus)
		printf("# %u were in the corpus, %u are: --joined FILE is missing\n",
		       only.known, common->nr_corpus);
	if (one && !times)
		show_only();
	else if (one)
		run_only();
	else
		fuzz();
	printf("1..%u\n", test_nr);
	return failed;
}
