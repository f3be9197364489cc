/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The client of `make bench`: rows of work, and what a row runs on. client.c
 * measures, row.c reads rows, net.c has the sockets, work.c does the work, ways.c
 * that which says how, relay.c that which takes what it sends from somewhere.
 */
#ifndef NOTIF_BENCH_H
#define NOTIF_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <errno.h>
#include <signal.h>

#include <linux/compiler.h>
#include <io_uring/mini_liburing.h>

#include "fail.h"

#define MAX_BATCH	128
#define MAX_BYTES	65536
#define MAX_WINDOWS	1000
#define MAX_TAKEN	1048576		/* of what relay.c takes for a batch */
#define MAX_ENTRIES	8		/* requests of such a batch */
#define VECTOR_HEADER	24	/* bytes, in a buffer of their own */

enum mode { SEND, MSG_ZC, SENDMMSG, SENDFILE, IO_SEND, SEND_ZC, SLOT, SPLICE };
/* TAKEN: by IORING_OP_GET_BUF */
enum buffer { PLAIN, REGISTERED, HUGE, TAKEN };
/* What ends a slot's notifier */
enum flush { NEVER, BATCH, EIGHT, EVERY, AFTER };

struct row {
	enum mode mode;
	enum buffer buffer;
	enum flush flush;
	unsigned int after;	/* requests, of flush_after */
	unsigned int copy_below;
	bool tcp, v6;
	unsigned int bytes;
	unsigned int batch;
	bool defer;
	unsigned int windows;
	/* How, if not as ever: ways.c */
	bool merge;		/* IORING_NOTIF_SLOT_MERGE */
	bool segments;		/* IORING_NOTIF_SLOT_SEGMENTS */
	bool skip;		/* IOSQE_CQE_SKIP_SUCCESS, but where a CQE is needed */
	bool header;		/* the first VECTOR_HEADER bytes are elsewhere */
	unsigned int many;	/* datagrams of an SQE, IORING_SEND_ZC_MANY */
	unsigned int gso;	/* bytes of a datagram, UDP_SEGMENT */
	/* What it sends comes from somewhere, and where to: relay.c */
	unsigned int relay;	/* from a socket, in segments of so many bytes */
	bool file;		/* from a file */
	bool pread;		/* which is read by pread(2) */
	bool nic;		/* which it comes to over the e1000e pair */
	bool sink;		/* to nobody: sink.c */
	char text[128];		/* as it was given */
};

struct bench {
	const struct row *row;
	struct io_uring ring;
	int tx, rx;		/* rx: TCP only */
	char *data;
	void (*batch)(struct bench *b);
	unsigned int cqes, notifs;	/* expected of each batch */
	bool report;		/* ask whether the data was copied */
	bool copied;		/* it was */
	bool marked;		/* for scripts/hotspots.py: where a window begins and ends */
	unsigned int next_id;	/* of MSG_ZEROCOPY's notifications */
};

void row_parse(struct row *row, const char *text);

void net_enter(void);
void net_open(struct bench *b);
void net_open_in(const struct row *row, int *tx, int *rx);
void net_close(struct bench *b);
unsigned long long net_packets(const struct bench *b);
void net_receive(struct bench *b);

int sink_open(void);
void sink_close(void);
void sink_receive(int fd, size_t len);

void nic_open(unsigned int segment);

void work_open(struct bench *b);
void work_close(struct bench *b);
bool work_is_over(struct bench *b);

const char *ways_missing(const struct row *row);
unsigned int ways_requests(const struct row *row);
void ways_open(struct bench *b);

void relay_open(struct bench *b);
void relay_close(void);
void relay_feed(const struct bench *b);
const char *relay_missing(const struct row *row);

/* Whether ways.c has its batch: the others' do not grow by what they don't use. */
static inline bool has_way(const struct row *row)
{
	return row->mode == SENDMMSG || row->merge || row->segments ||
	       row->skip || row->header || row->many;
}

/* Whether relay.c has its batch, and the data is what it takes. */
static inline bool takes(const struct row *row)
{
	return row->relay || row->file;
}

static inline size_t data_bytes(const struct row *row)
{
	return takes(row) ? MAX_TAKEN : MAX_BYTES;
}

static inline bool uses_ring(const struct row *row)
{
	return row->mode >= IO_SEND;
}

#endif
