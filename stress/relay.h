/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A relay, and what has to come of what it asks for: sources that IORING_OP_GET_BUF
 * takes from, entries of a ring's buffer table, and sinks that they are given on to.
 */
#ifndef NOTIF_STRESS_RELAY_H
#define NOTIF_STRESS_RELAY_H

#include "model.h"
#include "stream.h"

#define NR_ENTRIES	8U
#define NR_SOURCES	3U		/* the last one is a file */
#define NR_SINKS	3U
#define NR_JOBS		32U
#define RELAY_SLOTS	3U
#define FILE_LEN	(1024U * 1024)
#define MAX_HEAD	64U

/* A part of the data of a seed. */
struct piece {
	__u64 seed, pos;
	__u32 len;
};

struct entry {
	bool used;		/* there is a buffer, with this: */
	struct piece piece;
	bool unknown;		/* or perhaps not, or another one */
	unsigned int locked;	/* jobs that may change it, or have yet to find it */
};

struct source {
	bool open;
	struct pair net;	/* of the file rx only */
	bool file;
	__u64 seed, sent, taken;
	bool ends;		/* nothing more comes */
	bool lost;		/* nor all that was sent */
	bool busy;		/* a job takes from it, so its order is known */
};

enum task { TASK_TAKE, TASK_GIVE, TASK_WRITE, TASK_GIVE_UP, TASK_CANCEL };

/* A request that is not over. */
struct job {
	__u64 id;		/* user_data; 0: not in use */
	enum task task;
	unsigned int index, nr;	/* entries */
	struct source *source;
	struct stream *sink;
	unsigned int extent;	/* of the sink */
	struct job *next;	/* linked behind it: gives on what it has taken */
	struct job *prev;	/* of that one */
	bool replaces, waits, async, waitall, cancelled, broken, locks;
	unsigned int table;	/* the relay's as it was asked for */
	__u32 len;		/* to take at most */
	struct piece piece;	/* to be given on; where it is in a file */
	char head[MAX_HEAD];
	unsigned int head_len;
};

struct relay {
	struct io_uring ring;
	const char *name;
	struct rnd rnd;
	__u64 op, serial;
	bool limited, victim;
	struct entry entries[NR_ENTRIES];
	struct source sources[NR_SOURCES];
	struct stream sinks[NR_SINKS];
	struct job jobs[NR_JOBS];
	bool slot_used[RELAY_SLOTS];	/* it has a notifier */
	unsigned int flushed, notified;	/* notifiers */
	unsigned int table;		/* changes of the whole table */
	int copy;			/* a file that is written to */
	pid_t child;
};

/* taken.c: a free job for entry @index; NULL if there are too many. */
struct job *job_new(struct relay *r, enum task what, unsigned int index);
/* It was not asked for after all. */
void job_drop(struct job *job);
/* The entry is another one's until the job is over. */
void job_locks(struct relay *r, struct job *job);
bool relay_is_idle(const struct relay *r);
/* Whatever is outstanding may have been cancelled. */
void relay_cancelled(struct relay *r);
/* The table has gone, and nobody knows what of a job's came to which. */
void relay_table_gone(struct relay *r);
/* What a CQE says, and whether it may. */
void relay_answer(struct relay *r, const struct io_uring_cqe *cqe);
/* What is outstanding, for those who read why it failed. */
void relay_tell(const struct relay *r);

/* relay.c: requests that are submitted now, if they can be. */
void relay_reap(struct relay *r);
void relay_feed(struct relay *r);
void relay_take(struct relay *r);
void relay_take_and_give(struct relay *r);
void relay_give(struct relay *r);
void relay_write_copy(struct relay *r);
void relay_give_up(struct relay *r);
void relay_cancel(struct relay *r, bool all);

/* relay_ring.c */
void relay_ring_begin(struct relay *r);
/* Close it, with all of it in flight. */
void relay_ring_end(struct relay *r);
void relay_change_table(struct relay *r);

/* relays.c */
void source_close(struct source *s);

#define wrong_relay(r, fmt, ...)					\
	wrong("%s relay%s: " fmt, (r)->name, (r)->limited ? ", limited" : "", \
	      ##__VA_ARGS__)

#endif
