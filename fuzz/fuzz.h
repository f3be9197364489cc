/* SPDX-License-Identifier: GPL-2.0 */
/* make fuzz: what its processes share. */
#ifndef NOTIF_FUZZ_FUZZ_H
#define NOTIF_FUZZ_FUZZ_H

#include <stdio.h>
#include <sys/types.h>
#include <time.h>

#include "program.h"

#define MODULE		"io_uring_notif"

#define NR_WORKERS	4
/* Where no program finds it: workers print there. */
#define OUT_FD		200
#define MAX_CORPUS	4096
/* Places for the PCs that were reached; what is instrumented has a few thousand. */
#define MAX_PCS		65536

/* A program ends by itself, or is killed, after so long. */
#define PROGRAM_MS	4000
/* It is gone by then, if all others want the CPU too. */
#define GONE_MS		60000

struct worker_state {
	pid_t pid;
	__u64 ops, programs, overdue, crashed, requests, notifications;
	struct program_id id;	/* what runs */
	bool forked;		/* it has, or had, other processes */
	pid_t hung;		/* can't be killed */
	char wrong[256];	/* empty: all is well */
};

struct entry {
	struct program_id id;
	struct program program;
};

/* Shared by all processes. */
struct common {
	__u64 seed, ops;
	bool stop;
	struct worker_state workers[NR_WORKERS];
	/* sequences first, then what found something new */
	unsigned int nr_corpus;
	int corpus_lock;
	struct entry corpus[MAX_CORPUS];
	__u64 pcs[MAX_PCS];
	unsigned int nr_pcs;
	bool has_coverage;
};

extern struct common *common;
/* which worker this process is, or belongs to */
extern unsigned int me;

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

/* corpus.c */
void corpus_init(void);
void corpus_draw(struct program *p, const struct program_id *id);
void corpus_join(const struct program *p, const struct program_id *id,
		 unsigned int new_pcs);
bool corpus_read(const char *path);

/* worker.c */
int worker_main(void);
/* one program, so many times: to find out what was wrong with it */
int worker_repeat(const struct program_id *id, unsigned int times);
extern FILE *out;

/* cover.c */
void cover_open(void);
void cover_enable(bool thread);
unsigned int cover_take(void);
void cover_print(void);

/* sink.c: a process in the other network namespace */
#define SINK_READS	7001	/* what comes to this port is read, to the next it is not */
#define SINK_DEAF	7002
int sink_main(void);

/* check.c: what the kernel has in use */
struct state {
	int refs;
	long long begun, completed, pins;
};

void state_read(struct state *state);
const char *state_differs(const struct state *before);
/* what a user may lock can be locked; -errno */
int limit_is_free(unsigned int worker);
#define LIMIT_BYTES	(512 << 10)
#define LIMITED_UID	2000
/* half of the workers are users with little RLIMIT_MEMLOCK */
static inline bool is_limited(unsigned int worker)
{
	return worker & 1;
}

bool enter_namespace(const char *name);

#endif
