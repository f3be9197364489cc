/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A ring, and what has to come of what was asked of it: the same that the
 * kernel's documentation promises, told in a simple way. One thread at a time.
 */
#ifndef NOTIF_STRESS_MODEL_H
#define NOTIF_STRESS_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <netinet/in.h>

#include "../selftests/ring.h"
#include "data.h"
#include "rnd.h"
#include "stress.h"

#define PAGE		4096U
#define BUF_PAGES	64U			/* of a registered buffer */
#define MAX_BUFS	8U			/* of a huge page */
#define MIN_BUFS	2U			/* of small pages, which take long */
#define MAX_PAGES	(MAX_BUFS * BUF_PAGES)
#define MAX_SEND	(BUF_PAGES * PAGE)

#define MAX_SLOTS	8U
#define MAX_REQUESTS	128U
#define MAX_BATCH	12U
#define MAX_TAKEN	1024U
#define MAX_MANY	32U
/* Requests of which nobody will know when their memory is free; their pages. */
#define MAX_MUTED	8U
#define MUTE_PAGES	4U

/* What the user_data of requests begins with; no tag does. */
#define REQ_MARK	(0x5e9dULL << 48)

static inline bool is_request_id(__u64 user_data)
{
	return user_data >> 48 == REQ_MARK >> 48;
}

struct stream;

enum kind {
	KIND_SEND,
	KIND_REFUSED,	/* a send that fails as it is prepared, with ->want */
	KIND_UPDATE,
	KIND_CANCEL,
	KIND_NOP,
};

/*
 * A request, until its memory is free: with the notification of its notifier, be it
 * the CQE of the one that bears it, or with its own CQE if it has no notifier.
 */
struct request {
	__u64 id;			/* user_data; 0: not in use */
	enum kind kind;
	struct notifier *notifier;
	struct request *prev, *next;	/* of the chain of linked ones */
	struct stream *stream;
	bool over;			/* its CQE has come, or it has none */
	bool linked, hard, skip;
	bool mute;			/* a bearer that skips its CQE */
	bool doomed;			/* one of its chain is refused */
	bool broken;			/* one before it in the chain failed */
	bool failed, went_well;		/* as the next of its chain tells */
	bool cancelled;			/* somebody has tried to */
	bool waitall, fixed, report, flush;
	bool again;			/* it may not wait for the socket */
	bool fallback;			/* its slot copies for any socket */
	bool segmented;			/* UDP cuts it up */
	__s32 want;			/* the only error that it may have, or 0 */
	unsigned int table;		/* the ring's ->table as it was sent */
	__u32 len, page, pages;
	__u32 whole;			/* the result if all of it is sent */
	unsigned int extent;		/* of its stream */
	__u64 seed, pos;
	unsigned int slot;		/* of a send */

	/* updates */
	__u32 off, nr;
	__u64 tag;
	bool later;			/* nobody knows when it is done */
	unsigned int flushes, notified;

	/* the kernel reads these as it prepares the request */
	struct iovec iov[4];
	struct msghdr msg;
	char control[CMSG_SPACE(sizeof(__u16))];
	struct io_uring_dgram many[MAX_MANY];
	unsigned int nr_many;		/* 0: it is one datagram, or a stream's */
};

/* From the first request that attaches to the notification. */
struct notifier {
	bool used, flushed, raw, report;
	struct request *update;		/* will flush it, or has */
	struct request *bearer;		/* has flushed it, and its CQE notifies */
	unsigned int slot, attached, ended;
	__u64 tag;
	__u32 seq;
};

struct slot {
	struct notifier *active;
	__u64 tag;			/* of the next notifier */
	__u32 seq;			/* of the next one that is flushed */
	__u32 flush_after;
	bool merges, copies;		/* IORING_NOTIF_SLOT_MERGE, _FALLBACK */
	bool frozen;			/* an update of it is on its way */
};

struct ring {
	bool open;
	const char *name;		/* of its kind */
	struct io_uring ring;
	bool limited;			/* to RLIMIT_MEMLOCK */
	bool drains;			/* IOSQE_IO_DRAIN, else CQE_SKIP_SUCCESS */
	bool raw;
	unsigned int nr_slots;		/* 0: none are registered */
	struct slot slots[MAX_SLOTS];
	__u64 serial;			/* of tags and requests */
	struct request requests[MAX_REQUESTS];
	struct notifier notifiers[MAX_REQUESTS];
	unsigned int in_flight;		/* requests that are not over */
	unsigned int unnotified;	/* notifiers */
	unsigned int muted;		/* requests of which no CQE is awaited */
	struct request *batch[MAX_BATCH];
	unsigned int nr_batch;
	struct io_uring_cqe taken[MAX_TAKEN];

	char *pool;			/* that requests send from */
	unsigned int nr_bufs;		/* of which it is made */
	bool page_used[MAX_PAGES];
	bool has_bufs;			/* the pool is registered */
	unsigned int table;		/* changes of the table of buffers */
};

/* model.c: a free request, NULL if there are too many. */
struct request *request_new(struct ring *r, enum kind kind);
/* Pages for @len bytes of a request, that lie in one buffer; NULL without. */
char *request_alloc(struct ring *r, struct request *req, struct rnd *rnd,
		    unsigned int len);
void request_free(struct ring *r, struct request *req);
/* Its CQE is the notification of its notifier. */
static inline bool request_bears(const struct request *req)
{
	return req->notifier && req->notifier->bearer == req;
}

/* A notifier has completed: so its requests' memory is free. */
void notifier_over(struct ring *r, struct notifier *n);
/* For how many requests one of the batch will bear the notification, or 0. */
unsigned int model_bears(const struct ring *r, const struct request *req);
/* The requests of a batch, all of which were submitted. */
void model_submitted(struct ring *r, bool refused);
void model_update_over(struct ring *r, struct request *req, __s32 res);
void model_unregistered(struct ring *r);
/* Whatever is in flight may have been cancelled. */
void model_cancelled(struct ring *r);
/* Whether some slot has a notifier, or may have one. */
bool model_frozen(const struct ring *r);
bool model_holds(const struct ring *r);
__u64 model_tag(struct ring *r, unsigned int slot);

/*
 * many.c: datagrams of up to @max bytes together, that lie in one buffer; NULL
 * without. The request then has the kernel's array of them.
 */
char *many_data(struct ring *r, struct request *req, const struct stream *s,
		struct rnd *rnd, unsigned int max);
void many_prep(struct io_uring_sqe *sqe, const struct request *req);

/* answer.c: what a CQE says, and whether it may. */
void answer(struct ring *r, const struct io_uring_cqe *cqe);

/* ring.c: have the kernel take the batch, and take what CQEs there are. */
void ring_go(struct ring *r);
void ring_reap(struct ring *r);
/* A ring of a random kind, with its slots and buffers. */
void ring_start(struct ring *r, struct rnd *rnd, enum role role);
/* Close it, with whatever it has in flight. */
void ring_stop(struct ring *r);
void ring_register_slots(struct ring *r, struct rnd *rnd);
void ring_register_pool(struct ring *r);
void ring_change_pool(struct ring *r, struct rnd *rnd);
void ring_resize(struct ring *r, struct rnd *rnd);

/* Fail with what is wrong with a ring. */
#define wrong_of(r, fmt, ...)						\
	wrong("%s ring%s: " fmt, (r)->name, (r)->raw ? ", raw" : "",	\
	      ##__VA_ARGS__)

#endif
