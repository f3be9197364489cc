/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The client of `make bench`: rows of work, and what a row runs on. client.c
 * measures, row.c reads rows, net.c has the sockets, work.c does the work.
 */
#ifndef NOTIF_BENCH_H
#define NOTIF_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <errno.h>
#include <signal.h>

#include <linux/compiler.h>
#include <io_uring/mini_liburing.h>

#define MAX_BATCH	128
#define MAX_BYTES	65536
#define MAX_WINDOWS	1000

enum mode { SEND, MSG_ZC, IO_SEND, SEND_ZC, SLOT };
enum buffer { PLAIN, REGISTERED, HUGE };
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
	char text[128];		/* as it was given */
};

struct bench {
	const struct row *row;
	struct io_uring ring;
	int tx, rx;		/* rx: TCP only */
	char *data;
	unsigned int notifs;	/* expected of each batch */
	bool report;		/* ask whether the data was copied */
	bool copied;		/* it was */
	unsigned int next_id;	/* of MSG_ZEROCOPY's notifications */
};

void __noreturn __printf(1, 2) fail(const char *fmt, ...);

void row_parse(struct row *row, const char *text);

void net_enter(void);
void net_open(struct bench *b);
void net_close(struct bench *b);
unsigned long long net_packets(const struct bench *b);
void net_receive(struct bench *b);

void work_open(struct bench *b);
void work_close(struct bench *b);
void work_batch(struct bench *b);
bool work_is_over(struct bench *b);

static inline bool uses_ring(const struct row *row)
{
	return row->mode >= IO_SEND;
}

#endif
