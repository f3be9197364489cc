/* SPDX-License-Identifier: GPL-2.0 */
/*
 * make fuzz: programs. A program is a short list of operations, and each says
 * all that is to be done: a program does the same each time that it runs, as far
 * as the kernel does.
 */
#ifndef NOTIF_FUZZ_PROGRAM_H
#define NOTIF_FUZZ_PROGRAM_H

#include <stdbool.h>

#include <linux/io_uring.h>
#include <linux/types.h>

#include "../stress/rnd.h"

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))
#endif

#define MAX_OPS		48
/* Of each a program has so many, by number. */
#define NR_RINGS	3
#define NR_FDS		12

enum op_kind {
	OP_RING,	/* set up a ring; closes the one that had the number */
	OP_SLOTS,	/* IORING_REGISTER_NOTIFIERS */
	OP_UNSLOTS,	/* IORING_UNREGISTER_NOTIFIERS */
	OP_SQE,		/* queue a request */
	OP_ENTER,	/* submit, wait, take CQEs */
	OP_REGISTER,	/* any other io_uring_register() */
	OP_SOCKET,	/* a socket, a pair of them, or another file */
	OP_SOCKOPT,
	OP_SHUTDOWN,
	OP_CLOSE,	/* a file, or a ring */
	OP_RECV,	/* what has come to a socket */
	OP_SEND,	/* send() beside the ring, with MSG_ZEROCOPY or not */
	OP_MEM,		/* change the memory that is sent from */
	OP_FORK,	/* the next few in another process */
	OP_THREAD,	/* the next few in another thread */
	OP_END,		/* exit, exec or be killed */
	OP_SLEEP,
	OP_FDINFO,	/* read what the kernel shows of the ring */
	OP_SCRIBBLE,	/* write into the ring's memory */
	NR_OP_KINDS,
};

/* What stands for the address in an SQE. */
enum addr_mode {
	ADDR_RAW,
	ADDR_DATA,	/* an offset into the memory that is sent from */
	ADDR_MSG,	/* a struct msghdr */
	ADDR_IOV,	/* an array of iovecs */
	ADDR_TIME,	/* a struct __kernel_timespec */
	ADDR_REQUEST,	/* user_data of the so manieth request before */
	ADDR_FDS,	/* an array of file descriptors */
	ADDR_TAG,	/* a tag */
	ADDR_NAME,	/* a socket address */
	ADDR_DGRAMS,	/* an array of struct io_uring_dgram */
	NR_ADDR_MODES,
};

enum fd_mode {
	FD_OURS,	/* the program's file of that number */
	FD_RING,	/* its ring of that number */
	FD_RAW,
};

struct op {
	__u8 kind;
	__u8 ring;
	__u8 fd;
	__u8 addr_mode, addr2_mode, fd_mode;
	/* a request, or to sleep, so many times; 0 is 1 */
	__u16 times;
	/* of what else is drawn as it runs */
	__u32 seed;
	union {
		__u64 a[8];
		struct io_uring_sqe sqe;
	};
};

struct program {
	unsigned int nr;
	/* kill it after so many ms, 0: don't */
	unsigned int kill_ms;
	struct op ops[MAX_OPS];
};

/* Which program: the @nr th of @worker, drawn with @known in the corpus. */
struct program_id {
	unsigned int worker, nr, known;
};

/* values.c */
__u64 value64(struct rnd *rnd);
__u32 value32(struct rnd *rnd);
unsigned int small(struct rnd *rnd, unsigned int usual);
bool is_kernel_address(__u64 value);

/* gen_sqe.c */
__u8 draw_flags(struct rnd *rnd);
__u16 draw_slot_flags(struct rnd *rnd);
__u32 draw_msg_flags(struct rnd *rnd);
void draw_file(struct rnd *rnd, struct op *op);
void draw_data(struct rnd *rnd, struct op *op);
void gen_send(struct rnd *rnd, struct op *op);
void gen_update(struct rnd *rnd, struct op *op);
void gen_get_buf(struct rnd *rnd, struct op *op);
void change_sqe(struct rnd *rnd, struct op *op);

/* gen_request.c */
void gen_request(struct rnd *rnd, struct op *op);

/* gen.c */
void gen_ring(struct rnd *rnd, struct op *op);
void gen_slots(struct rnd *rnd, struct op *op);
void gen_enter(struct rnd *rnd, struct op *op);
void gen_socket(struct rnd *rnd, struct op *op);
void gen_op(struct rnd *rnd, struct op *op);
struct op *add_op(struct program *p, struct rnd *rnd, enum op_kind kind);
void gen_program(struct rnd *rnd, struct program *p);

/* sequences.c */
unsigned int nr_sequences(void);
void sequence(unsigned int nr, struct program *p);

/* mutate.c */
void mutate(struct rnd *rnd, struct program *p, const struct program *other);

/* print.c */
void print_program(const struct program *p);

#endif
