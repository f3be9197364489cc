// SPDX-License-Identifier: GPL-2.0
/* A program, for a person to read. */
#include "fuzz.h"

static const char * const names[NR_OP_KINDS] = {
	"ring", "slots", "unslots", "request", "enter", "register", "socket",
	"sockopt", "shutdown", "close", "recv", "send", "memory", "fork", "thread",
	"end", "sleep", "fdinfo", "scribble",
};

static void print_request(const struct op *op)
{
	const struct io_uring_sqe *sqe = &op->sqe;

	fprintf(out, " opcode %u flags %#x ioprio %#x fd %d (%u) off %#llx (%u) ",
		sqe->opcode, sqe->flags, sqe->ioprio, sqe->fd, op->fd_mode,
		(unsigned long long)sqe->off, op->addr2_mode);
	fprintf(out, "addr %#llx (%u) len %#x msg_flags %#x buf_index %u personality %u ",
		(unsigned long long)sqe->addr, op->addr_mode, sqe->len,
		sqe->msg_flags, sqe->buf_index, sqe->personality);
	fprintf(out, "addr_len %u notification_idx %u addr3 %#llx pad %#llx\n",
		sqe->addr_len, sqe->notification_idx,
		(unsigned long long)sqe->addr3, (unsigned long long)sqe->__pad2[0]);
}

void print_program(const struct program *p)
{
	unsigned int i, j;

	if (p->kill_ms)
		fprintf(out, "#   killed after %u ms\n", p->kill_ms);
	for (i = 0; i < p->nr; i++) {
		const struct op *op = &p->ops[i];

		fprintf(out, "#   %2u %s: ring %u file %u seed %#x", i,
			names[op->kind % NR_OP_KINDS], op->ring, op->fd, op->seed);
		if (op->kind == OP_SQE) {
			print_request(op);
			continue;
		}
		for (j = 0; j < ARRAY_SIZE(op->a); j++)
			fprintf(out, " %#llx", (unsigned long long)op->a[j]);
		fprintf(out, "\n");
	}
}
