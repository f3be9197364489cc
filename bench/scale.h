/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What scale.c and the files of the scale program share: rings with many slots and
 * buffers, and the lines that it prints.
 */
#ifndef NOTIF_BENCH_SCALE_H
#define NOTIF_BENCH_SCALE_H

#include "bench.h"

/* Each buffer has pages of its own. */
#define BUFFER_BYTES	4096
#define MAX_BUFFERS	1024
#define SEND_BYTES	4000
#define SCALE_WINDOWS	40
#define TAG		0xf00dULL

extern const struct row scale_row;

char *scale_data(void);
void scale_ring(struct bench *b, unsigned int slots, unsigned int buffers);
void scale_slots(struct bench *b, unsigned int nr);
struct io_uring_sqe *scale_sqe(struct bench *b);
struct io_uring_sqe *scale_send(struct bench *b, int fd, unsigned int slot,
				unsigned int buffer);
void scale_see(struct bench *b, unsigned int requests, unsigned int notifs);
void scale_submit(struct bench *b, unsigned int requests);
unsigned int scale_number(const char *path, const char *name);
unsigned int scale_in_ring(const struct bench *b, const char *name);

void scale_begin(const char *kind, unsigned int number);
void scale_print(const char *kind, unsigned int number, __u64 *times);

void measure_memory(void);
void measure_links(void);
void measure_holds(void);

#endif
