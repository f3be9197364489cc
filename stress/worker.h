/* SPDX-License-Identifier: GPL-2.0 */
/* A worker: rings and sockets, and what it does with them. */
#ifndef NOTIF_STRESS_WORKER_H
#define NOTIF_STRESS_WORKER_H

#include <pthread.h>

#include "model.h"
#include "stream.h"

#define NR_RINGS	3U
#define NR_STREAMS	4U
#define NR_CHILDREN	3U

struct worker {
	enum role role;
	bool victim;		/* will be killed: another process receives */
	pthread_mutex_t lock;	/* of all that follows */
	__u64 op;		/* how many things it has done */
	struct rnd rnd;		/* for the one that it does */
	struct ring rings[NR_RINGS];
	struct stream streams[NR_STREAMS];
	pid_t children[NR_CHILDREN];
};

/* An open ring that has slots, or NULL. */
struct ring *worker_ring(struct worker *w);

/* send.c */
void op_send(struct worker *w);
void op_flush(struct worker *w);
void op_cancel(struct worker *w);
/* Flush all slots, so that what is in flight comes back. */
void flush_all(struct ring *r);
/* On rings that mix sizes: a request and a CQE of the larger size. */
void add_large(struct ring *r);

/* tell.c: is nothing outstanding? */
bool worker_is_quiet(const struct worker *w);
/* Print what is. */
void tell_worker(const struct worker *w);

/* Do the next thing. */
void worker_step(struct worker *w);
/* Everything that was begun has to end. */
void worker_quiesce(struct worker *w);

/* ops.c */
void op_receive(struct worker *w);
void op_wait(struct worker *w);
void op_stream(struct worker *w);
void op_pool(struct worker *w);
void op_slots(struct worker *w);
void op_ring(struct worker *w);
void op_resize(struct worker *w);
void op_child(struct worker *w);
void op_pass(struct worker *w);
void op_limit(struct worker *w);
void children_end(struct worker *w);
/* How many pages this user has locked; see ../selftests/account.h. */
long locked_pages(void);
void set_limit(unsigned int pages);

/* worker.c: an unprivileged user; how many pages he has locked, at first and at last. */
long become_user(void);
void nothing_is_locked(long before);

#define MAX_LOCKED	2048	/* pages, the hard limit */

#endif
