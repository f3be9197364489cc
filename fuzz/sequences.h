/* SPDX-License-Identifier: GPL-2.0 */
/* What sequences are made of: each function adds one operation to a program. */
#ifndef NOTIF_FUZZ_SEQUENCES_H
#define NOTIF_FUZZ_SEQUENCES_H

#include <string.h>
#include <sys/mman.h>

#include "child.h"

/* What is drawn for the rest of a sequence is the same in each run. */
extern struct rnd rnd;

/* sequences_slots.c */
void merged(struct program *p);
void merged_and_broken(struct program *p);
void many_datagrams(struct program *p);
void segments_and_fallback(struct program *p);
void reset_unsent(struct program *p);
void datagrams_to_the_end(struct program *p);

/* sequences_getbuf.c */
void relayed(struct program *p);
void taken_by_all_ways(struct program *p);
void taken_from_files(struct program *p);
void taken_and_cloned(struct program *p);
void taken_while_tables_change(struct program *p);
void takers_that_wait(struct program *p);
void taken_to_the_limit(struct program *p);
void takers_that_end(struct program *p);
void taken_from_all_sorts(struct program *p);
void given_on_copied(struct program *p);
void all_at_once(struct program *p);

#define DEFER	(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN)

static inline struct op *add(struct program *p, enum op_kind kind)
{
	struct op *op = add_op(p, &rnd, kind);

	if (!op)
		return &p->ops[MAX_OPS - 1];
	/* what was drawn for it as for any of its kind */
	op->fd = 0;
	op->fd_mode = FD_OURS;
	op->addr_mode = ADDR_RAW;
	op->addr2_mode = ADDR_RAW;
	memset(op->a, 0, sizeof(op->a));
	return op;
}

static inline void ring(struct program *p, unsigned int nr, __u32 setup)
{
	struct op *op = add(p, OP_RING);

	op->ring = nr;
	op->a[0] = setup | IORING_SETUP_SUBMIT_ALL;
	op->a[1] = 32;
}

static inline struct op *slots(struct program *p, unsigned int copy_below,
			       unsigned int flush_after)
{
	struct op *op = add(p, OP_SLOTS);

	op->a[0] = 4;
	op->a[2] = copy_below;
	op->a[3] = flush_after;
	return op;
}

static inline void file(struct program *p, unsigned int nr, enum socket_kind kind)
{
	struct op *op = add(p, OP_SOCKET);

	op->fd = nr;
	op->a[0] = kind;
}

static inline struct op *do_register(struct program *p, unsigned int opcode)
{
	struct op *op = add(p, OP_REGISTER);

	op->a[0] = opcode;
	return op;
}

static inline struct op *request(struct program *p, __u8 opcode)
{
	struct op *op = add(p, OP_SQE);

	op->sqe.opcode = opcode;
	return op;
}

static inline struct op *send_zc(struct program *p, unsigned int fd, unsigned int slot,
				 unsigned int ioprio, unsigned int len)
{
	struct op *op = request(p, IORING_OP_SEND_ZC);

	op->fd = fd;
	op->addr_mode = ADDR_DATA;
	op->sqe.ioprio = IORING_SEND_ZC_NOTIF_SLOT | ioprio;
	op->sqe.len = len;
	op->sqe.msg_flags = MSG_WAITALL;
	op->sqe.notification_idx = slot;
	return op;
}

static inline struct op *sendmsg_zc(struct program *p, unsigned int fd, unsigned int slot,
				    unsigned int ioprio)
{
	struct op *op = send_zc(p, fd, slot, ioprio, 1);

	op->sqe.opcode = IORING_OP_SENDMSG_ZC;
	op->addr_mode = ADDR_MSG;
	return op;
}

/* The same so many times, each by the next slot or of the next registered buffer. */
static inline struct op *by_turns(struct op *op, unsigned int times)
{
	op->times = times;
	return op;
}

static inline struct op *flush(struct program *p, unsigned int first, unsigned int nr)
{
	struct op *op = request(p, IORING_OP_RSRC_UPDATE);

	op->fd_mode = FD_RAW;
	op->sqe.fd = -1;
	op->sqe.ioprio = IORING_RSRC_UPDATE_NOTIF;
	op->sqe.off = first;
	op->sqe.len = nr;
	return op;
}

static inline struct op *enter(struct program *p, unsigned int wait)
{
	struct op *op = add(p, OP_ENTER);

	op->a[0] = ~0U;
	op->a[1] = wait;
	op->a[2] = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
	op->a[3] = 3000;
	return op;
}

static inline void receive(struct program *p, unsigned int fd)
{
	struct op *op = add(p, OP_RECV);

	op->fd = fd;
	op->a[0] = 7;
	op->a[2] = 1;
}

/* A table of empty entries. */
static inline void table(struct program *p, unsigned int ring)
{
	struct op *op = do_register(p, IORING_REGISTER_BUFFERS2);

	op->ring = ring;
	op->a[3] = 8;
}

/* @len bytes come from file @fd to the other one of the pair. */
static inline void come(struct program *p, unsigned int fd, unsigned int len)
{
	struct op *op = request(p, IORING_OP_SEND);

	op->fd = fd;
	op->addr_mode = ADDR_DATA;
	op->sqe.len = len;
	op->sqe.msg_flags = MSG_DONTWAIT;
	enter(p, 1);
}

static inline struct op *take(struct program *p, unsigned int fd, unsigned int index,
			      unsigned int ioprio, unsigned int len)
{
	struct op *op = request(p, IORING_OP_GET_BUF);

	op->fd = fd;
	op->sqe.ioprio = ioprio;
	op->sqe.buf_index = index;
	op->sqe.len = len;
	return op;
}

/* All of an entry, or a part of it. */
static inline struct op *give_on(struct program *p, unsigned int fd, unsigned int index,
				 unsigned int ioprio, unsigned int from, unsigned int len)
{
	struct op *op = send_zc(p, fd, index % 4,
				IORING_RECVSEND_FIXED_BUF | ioprio, len);

	op->addr_mode = ADDR_RAW;
	op->sqe.addr = from;
	op->sqe.buf_index = index;
	return op;
}

static inline struct op *give_up(struct program *p, unsigned int first, unsigned int nr)
{
	struct op *op = flush(p, first, nr);

	op->sqe.ioprio = IORING_RSRC_UPDATE_BUF;
	return op;
}

#endif
