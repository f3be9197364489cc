/* SPDX-License-Identifier: GPL-2.0 */
/*
 * make stress: what its processes share.
 *
 * A round is a number of processes that do things at random for a while, and
 * then check that all that they began has ended as it should. What a process
 * does is drawn from the round's seed, from which process it is and from how
 * many things it has done: the same seed draws the same again, whatever the
 * timing.
 */
#ifndef NOTIF_STRESS_H
#define NOTIF_STRESS_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>
#include <time.h>

#include <linux/compiler.h>
#include <linux/types.h>

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))
#endif

#define MODULE	"io_uring_notif"

/* Without any progress for so long something is lost, on a slow machine too. */
#define STUCK_MS	45000
/* What comes, but slowly, isn't awaited for longer: a round has to end. */
#define SLOW_MS		8000
/* What is outstanding after this is shown, whatever becomes of it. */
#define LATE_MS		15000
/* After that all has to be over, with progress or without. */
#define TAIL_MS		75000
/* A process that is killed is gone by then, if all others want the CPU too. */
#define GONE_MS		30000
/* Between looking whether something has happened: each look takes time too. */
#define POLL_MS		50

enum phase {
	PHASE_RUN,	/* everything at random */
	PHASE_QUIET,	/* the network is as it was; what was begun ends */
	PHASE_END,	/* who only looks on goes too */
};

enum role {
	ROLE_WORKER,	/* alone */
	ROLE_THREADS,	/* two threads with one set of rings */
	ROLE_LIMITED,	/* an unprivileged user with little RLIMIT_MEMLOCK */
	ROLE_RELAY,	/* takes from one connection, and gives on to others */
	ROLE_RELAY_LIMITED,	/* as a user like that */
	ROLE_VSOCK,	/* receives on vsock without a copy */
	ROLE_KEEPER,	/* starts processes and ends them */
	ROLE_CHAOS,	/* changes the network */
	ROLE_LOOKER,	/* reads fdinfo, tries to unload the module */
	ROLE_HOLDER,	/* keeps files of others for a while */
};

#define MAX_PROCS	16

/* What a process has done so far. */
struct counts {
	__u64 ops, requests, notifications, bytes, datagrams, refused, ends;
	__u64 rings, unloads, ooms, cuts, merged, many, taken, mapped;
};

/* Shared by all processes of a round. */
struct common {
	int phase;
	__u64 seed;
	pid_t pids[MAX_PROCS];
	/* the process that it keeps has been stopped, and may go on */
	bool stopped[MAX_PROCS];
	struct counts counts[MAX_PROCS];
};

extern struct common *common;
/* which process this is, and what it has counted */
extern unsigned int me;
extern struct counts *count;
/* to the process that keeps files of others, and from them */
extern int to_holder, from_senders;

static inline enum phase phase(void)
{
	return __atomic_load_n(&common->phase, __ATOMIC_ACQUIRE);
}

static inline __u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

static inline void sleep_ms(unsigned int ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000L }, NULL);
}

/* Something isn't as it has to be: say so, and end this process. */
void __noreturn __printf(1, 2) wrong(const char *fmt, ...);

int worker_main(enum role role);
int relay_main(bool limited);
int vsock_main(void);
int keeper_main(void);
int chaos_main(void);
int looker_main(void);
int holder_main(void);

/* Notifiers since the kernel was booted; 0 where nothing tells. */
struct totals {
	__u64 begun, completed;
};

void totals_read(struct totals *totals);

#define NR_CACHES	20

/* What is in use of the kernel's memory, and of the module. */
struct state {
	long refs;			/* of the module */
	struct totals totals;
	long pins;			/* pages of registered buffers */
	long huge_free;			/* huge pages that nobody refers to */
	long available_kb;
	long objects[NR_CACHES];
};

void state_read(struct state *state);
/*
 * What isn't back where it was at @before, with @nr notifications in between;
 * NULL if all is.
 */
const char *state_differs(const struct state *before, const struct state *now,
			  __u64 nr);
/* -errno, 0 once it has gone */
int module_unload(void);
/* Have as many huge pages as the rings of a round use, or none. */
void huge_pages_want(bool any);
/* Print where the tasks of a process are in the kernel, and its rings' slots. */
void tell_process(pid_t pid);

/* Or it isn't there just now. */
static inline bool module_is_built_in(int ret)
{
	return ret == -ENOENT;
}

/* The number behind @name in a file of lines like that, the last of them. */
long long number_of(const char *path, const char *name);

/* cgroup.c: false without CONFIG_MEMCG */
bool cgroup_make(void);
void cgroup_enter(void);
/* From now on there are just @more bytes more. */
void cgroup_squeeze(unsigned int more);
void cgroup_relax(void);
/* How often the kernel has killed for it. */
__u64 cgroup_kills(void);
void cgroup_remove(void);
/* This process has little memory: any call may end with -ENOMEM. */
extern bool starving;
/* If that is why, end as the kernel would have ended it. */
void out_of_memory(int ret);

/* Give the network back as it was. */
void chaos_restore(void);

#endif
