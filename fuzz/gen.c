// SPDX-License-Identifier: GPL-2.0
/* Operations, and programs of them. */
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "child.h"
#include "program.h"

/* Every kind of ring that requests can be sent on, and some that it can't be. */
static const __u32 ring_kinds[] = {
	0,
	0,
	IORING_SETUP_COOP_TASKRUN,
	IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
	IORING_SETUP_SINGLE_ISSUER,
	IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
	IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
	IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
		IORING_SETUP_TASKRUN_FLAG,
	IORING_SETUP_CQE32,
	IORING_SETUP_CQE_MIXED,
	IORING_SETUP_SQE128,
	IORING_SETUP_SQE_MIXED | IORING_SETUP_CQE_MIXED,
	IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
		IORING_SETUP_CQE_MIXED | IORING_SETUP_SQE_MIXED |
		IORING_SETUP_NO_SQARRAY,
	IORING_SETUP_R_DISABLED,
	IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER |
		IORING_SETUP_DEFER_TASKRUN,
	IORING_SETUP_NO_SQARRAY,
	IORING_SETUP_NO_SQARRAY | IORING_SETUP_SQ_REWIND,
	IORING_SETUP_NO_MMAP,
	IORING_SETUP_NO_MMAP | IORING_SETUP_REGISTERED_FD_ONLY,
	IORING_SETUP_SQPOLL,
	IORING_SETUP_IOPOLL,
};

static const __u8 kinds[] = {
	OP_RING, OP_SLOTS, OP_SLOTS, OP_UNSLOTS, OP_UNSLOTS, OP_SQE, OP_SQE, OP_SQE,
	OP_SQE, OP_SQE, OP_SQE, OP_SQE, OP_SQE, OP_SQE, OP_SQE, OP_SQE, OP_SQE,
	OP_SQE, OP_SQE, OP_SQE, OP_SQE, OP_SQE, OP_SQE, OP_ENTER, OP_ENTER,
	OP_ENTER, OP_ENTER, OP_ENTER, OP_ENTER, OP_ENTER, OP_ENTER, OP_REGISTER,
	OP_REGISTER, OP_REGISTER, OP_SOCKET, OP_SOCKET, OP_SOCKOPT, OP_SHUTDOWN,
	OP_CLOSE, OP_CLOSE, OP_RECV, OP_RECV, OP_SEND, OP_SEND, OP_MEM, OP_MEM,
	OP_FORK, OP_THREAD, OP_END, OP_SLEEP, OP_FDINFO, OP_SCRIBBLE,
};

void gen_ring(struct rnd *rnd, struct op *op)
{
	op->kind = OP_RING;
	op->a[0] = ring_kinds[rnd_below(rnd, ARRAY_SIZE(ring_kinds))];
	/* its thread takes a CPU from the rest */
	if (op->a[0] & IORING_SETUP_SQPOLL && !rnd_one_in(rnd, 3))
		op->a[0] = 0;
	if (rnd_one_in(rnd, 3))
		op->a[0] |= IORING_SETUP_SUBMIT_ALL;
	if (rnd_one_in(rnd, 12))
		op->a[0] ^= 1ULL << rnd_below(rnd, 22);
	op->a[1] = 1 << rnd_below(rnd, 6);
	if (rnd_one_in(rnd, 32))
		op->a[1] = value32(rnd) & 0x1fff;
	if (rnd_one_in(rnd, 6)) {
		op->a[0] |= IORING_SETUP_CQSIZE;
		op->a[2] = rnd_one_in(rnd, 8) ? value32(rnd) & 0x3fff :
			   rnd_below(rnd, 65);
	}
	op->a[3] = rnd_below(rnd, NR_RINGS);
}

void gen_slots(struct rnd *rnd, struct op *op)
{
	op->kind = OP_SLOTS;
	op->a[0] = 1 + rnd_below(rnd, 4);
	if (rnd_one_in(rnd, 24))
		op->a[0] = value32(rnd);
	op->a[1] = rnd_one_in(rnd, 3) ? IORING_NOTIF_REG_RAW_SEQ : 0;
	if (rnd_one_in(rnd, 24))
		op->a[1] = value32(rnd);
	/* copy_below, flush_after */
	op->a[2] = rnd_one_in(rnd, 2) ? 0 : rnd_one_in(rnd, 8) ? value32(rnd) :
		   rnd_below(rnd, 10000);
	op->a[3] = rnd_one_in(rnd, 2) ? 0 : rnd_one_in(rnd, 12) ? value32(rnd) :
		   rnd_below(rnd, 5);
	/* whether tags are odd ones */
	op->a[4] = rnd_one_in(rnd, 16) ? value64(rnd) : 0;
	/* which field is wrong: see exec_ring.c */
	op->a[5] = rnd_one_in(rnd, 12) ? rnd_below(rnd, 10) : 0;
	op->a[6] = value64(rnd);
	/* four bits for each slot: those that there are, and now and then the next */
	if (rnd_one_in(rnd, 2))
		op->a[7] = rnd_next(rnd) & 0x7777777777777777ULL;
	else if (rnd_one_in(rnd, 2))
		op->a[7] = 0x1111111111111111ULL;
	if (rnd_one_in(rnd, 24))
		op->a[7] ^= 1ULL << rnd_below(rnd, 16);
}

void gen_enter(struct rnd *rnd, struct op *op)
{
	op->kind = OP_ENTER;
	/* all, or so many */
	op->a[0] = rnd_one_in(rnd, 12) ? value32(rnd) : ~0U;
	op->a[1] = rnd_one_in(rnd, 12) ? value32(rnd) : rnd_below(rnd, 3);
	op->a[2] = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
	if (rnd_one_in(rnd, 3))
		op->a[2] = 0;
	if (rnd_one_in(rnd, 16))
		op->a[2] ^= 1 << rnd_below(rnd, 9);
	/* us to wait */
	op->a[3] = rnd_below(rnd, 3) ? rnd_below(rnd, 300) : rnd_below(rnd, 4000);
	/* leave the CQEs where they are */
	op->a[4] = rnd_one_in(rnd, 3);
}

void gen_socket(struct rnd *rnd, struct op *op)
{
	op->kind = OP_SOCKET;
	/* the first ones are those that matter most */
	op->a[0] = rnd_one_in(rnd, 3) ? rnd_below(rnd, NR_SOCKET_KINDS) :
		   rnd_below(rnd, SOCKET_SINK_DEAF + 1);
}

static void gen_memory(struct rnd *rnd, struct op *op)
{
	static const int advices[] = {
		MADV_DONTNEED, MADV_DONTNEED, MADV_FREE, MADV_REMOVE,
		MADV_DONTFORK, MADV_COLD, MADV_PAGEOUT, MADV_POPULATE_WRITE,
		MADV_DONTNEED_LOCKED, MADV_WIPEONFORK, MADV_HUGEPAGE,
	};

	/* see exec_memory.c */
	op->a[0] = rnd_below(rnd, NR_MEM_KINDS);
	op->a[1] = rnd_below(rnd, DATA_LEN) & -4096;
	op->a[2] = rnd_one_in(rnd, 3) ? DATA_LEN : rnd_size(rnd, DATA_LEN);
	op->a[3] = rnd_below(rnd, 4);
	op->a[4] = advices[rnd_below(rnd, ARRAY_SIZE(advices))];
}

static void gen_request_of_any_kind(struct rnd *rnd, struct op *op)
{
	switch (rnd_below(rnd, 10)) {
	case 0 ... 3:
		gen_send(rnd, op);
		break;
	case 4:
		gen_update(rnd, op);
		break;
	case 5 ... 6:
		gen_get_buf(rnd, op);
		break;
	default:
		gen_request(rnd, op);
		break;
	}
}

/* The arguments of an operation of the kind that it has. */
static void gen_args(struct rnd *rnd, struct op *op)
{
	unsigned int i;

	switch (op->kind) {
	case OP_RING:
		gen_ring(rnd, op);
		break;
	case OP_SLOTS:
		gen_slots(rnd, op);
		break;
	case OP_UNSLOTS:
		op->a[0] = rnd_one_in(rnd, 24) ? value64(rnd) : 0;
		op->a[1] = rnd_one_in(rnd, 24) ? value32(rnd) : 0;
		break;
	case OP_SQE:
		gen_request_of_any_kind(rnd, op);
		break;
	case OP_ENTER:
		gen_enter(rnd, op);
		break;
	case OP_SOCKET:
		gen_socket(rnd, op);
		break;
	case OP_MEM:
		gen_memory(rnd, op);
		break;
	case OP_REGISTER:
		/* the opcode; what is wrong with the arguments */
		op->a[0] = rnd_one_in(rnd, 24) ? value32(rnd) :
			   rnd_below(rnd, IORING_REGISTER_LAST);
		if (rnd_one_in(rnd, 2))
			op->a[0] = rnd_one_in(rnd, 2) ? IORING_REGISTER_BUFFERS :
				   IORING_REGISTER_BUFFERS2;
		op->a[1] = rnd_one_in(rnd, 10) ? 1 + rnd_below(rnd, 4) : 0;
		op->a[2] = value64(rnd);
		/* so many entries, all empty */
		op->a[3] = rnd_one_in(rnd, 3) ? small(rnd, 8) : 0;
		break;
	case OP_END:
		/* programs are to get further than that */
		op->a[0] = rnd_one_in(rnd, 3) ? rnd_below(rnd, NR_ENDS) : NR_ENDS;
		break;
	default:
		for (i = 0; i < 3; i++)
			op->a[i] = rnd_below(rnd, 64);
		break;
	}
}

void gen_op(struct rnd *rnd, struct op *op)
{
	memset(op, 0, sizeof(*op));
	op->kind = kinds[rnd_below(rnd, ARRAY_SIZE(kinds))];
	op->ring = rnd_one_in(rnd, 4) ? rnd_below(rnd, NR_RINGS) : 0;
	op->fd = rnd_one_in(rnd, 3) ? rnd_below(rnd, NR_FDS) :
		 2 * rnd_below(rnd, 2);
	op->seed = rnd_next(rnd);
	gen_args(rnd, op);
}

/* One more operation, of this kind: NULL if there's no room for it. */
struct op *add_op(struct program *p, struct rnd *rnd, enum op_kind kind)
{
	struct op *op = &p->ops[p->nr];

	if (p->nr == MAX_OPS)
		return NULL;
	p->nr++;
	memset(op, 0, sizeof(*op));
	op->kind = kind;
	op->seed = rnd_next(rnd);
	gen_args(rnd, op);
	return op;
}

/* A ring with slots and sockets, mostly, and then whatever comes. */
void gen_program(struct rnd *rnd, struct program *p)
{
	unsigned int nr = 8 + rnd_below(rnd, MAX_OPS - 8);

	p->nr = 0;
	add_op(p, rnd, OP_RING);
	if (!rnd_one_in(rnd, 16))
		add_op(p, rnd, OP_SLOTS);
	if (rnd_one_in(rnd, 2))
		add_op(p, rnd, OP_REGISTER)->a[0] = IORING_REGISTER_BUFFERS;
	add_op(p, rnd, OP_SOCKET);
	if (rnd_one_in(rnd, 2))
		add_op(p, rnd, OP_SOCKET)->fd = 2;
	if (rnd_one_in(rnd, 6))
		add_op(p, rnd, OP_REGISTER)->a[0] = IORING_REGISTER_FILES;
	if (rnd_one_in(rnd, 4)) {
		add_op(p, rnd, OP_RING)->ring = 1;
		add_op(p, rnd, OP_SLOTS)->ring = 1;
	}
	while (p->nr < nr)
		gen_op(rnd, &p->ops[p->nr++]);
	p->kill_ms = rnd_one_in(rnd, 8) ? 1 + rnd_below(rnd, 24) : 0;
}
