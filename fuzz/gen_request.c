// SPDX-License-Identifier: GPL-2.0
/* Requests of other opcodes: what comes between, before and after. */
#include <netinet/in.h>
#include <sys/socket.h>

#include "child.h"
#include "program.h"

static void gen_files_update(struct rnd *rnd, struct op *op)
{
	op->sqe.opcode = IORING_OP_FILES_UPDATE;
	op->fd_mode = FD_RAW;
	op->sqe.fd = -1;
	op->sqe.off = rnd_one_in(rnd, 16) ? value64(rnd) : rnd_below(rnd, 8);
	op->sqe.len = 1 + rnd_below(rnd, 4);
	op->addr_mode = ADDR_FDS;
}

static void gen_cancel(struct rnd *rnd, struct op *op)
{
	op->sqe.opcode = IORING_OP_ASYNC_CANCEL;
	op->addr_mode = ADDR_REQUEST;
	op->sqe.addr = 1 + rnd_below(rnd, 6);
	if (rnd_one_in(rnd, 2))
		op->sqe.cancel_flags = rnd_below(rnd, 64);
	op->sqe.len = rnd_one_in(rnd, 4) ? IORING_OP_SEND_ZC :
		      rnd_one_in(rnd, 4) ? IORING_OP_GET_BUF : 0;
}

static void gen_timeout(struct rnd *rnd, struct op *op)
{
	static const __u8 opcodes[] = {
		IORING_OP_TIMEOUT, IORING_OP_LINK_TIMEOUT, IORING_OP_LINK_TIMEOUT,
		IORING_OP_TIMEOUT_REMOVE,
	};

	op->sqe.opcode = opcodes[rnd_below(rnd, ARRAY_SIZE(opcodes))];
	op->fd_mode = FD_RAW;
	op->sqe.fd = -1;
	op->addr_mode = ADDR_TIME;
	op->sqe.len = 1;
	op->sqe.addr = rnd_below(rnd, 4);
	op->sqe.off = rnd_below(rnd, 3);
	if (op->sqe.opcode == IORING_OP_TIMEOUT_REMOVE) {
		op->addr_mode = ADDR_REQUEST;
		op->sqe.len = 0;
	}
	if (op->sqe.opcode == IORING_OP_LINK_TIMEOUT)
		op->sqe.off = 0;
	if (rnd_one_in(rnd, 8))
		op->sqe.timeout_flags = rnd_below(rnd, 256);
}

static void gen_other_net(struct rnd *rnd, struct op *op)
{
	static const __u8 opcodes[] = {
		IORING_OP_SEND, IORING_OP_SEND, IORING_OP_SENDMSG, IORING_OP_RECV,
		IORING_OP_RECV, IORING_OP_RECVMSG, IORING_OP_SHUTDOWN,
		IORING_OP_POLL_ADD, IORING_OP_CONNECT, IORING_OP_ACCEPT,
		IORING_OP_URING_CMD, IORING_OP_RECV_ZC, IORING_OP_SOCKET,
	};

	op->sqe.opcode = opcodes[rnd_below(rnd, ARRAY_SIZE(opcodes))];
	draw_data(rnd, op);
	op->sqe.msg_flags = rnd_one_in(rnd, 4) ? draw_msg_flags(rnd) : MSG_DONTWAIT;
	op->sqe.ioprio = rnd_one_in(rnd, 8) ? draw_slot_flags(rnd) : 0;
	switch (op->sqe.opcode) {
	case IORING_OP_SENDMSG:
	case IORING_OP_RECVMSG:
		op->addr_mode = ADDR_MSG;
		op->sqe.len = 1;
		break;
	case IORING_OP_SHUTDOWN:
		op->addr_mode = ADDR_RAW;
		op->sqe.addr = 0;
		op->sqe.len = rnd_below(rnd, 3);
		op->sqe.msg_flags = 0;
		break;
	case IORING_OP_POLL_ADD:
		op->addr_mode = ADDR_RAW;
		op->sqe.addr = 0;
		op->sqe.len = rnd_below(rnd, 4) & IORING_POLL_ADD_MULTI;
		op->sqe.poll32_events = rnd_below(rnd, 64);
		break;
	case IORING_OP_CONNECT:
		op->addr_mode = ADDR_NAME;
		op->sqe.len = 0;
		op->sqe.off = sizeof(struct sockaddr_in6);
		op->sqe.msg_flags = 0;
		break;
	case IORING_OP_SOCKET:
		op->addr_mode = ADDR_RAW;
		op->fd_mode = FD_RAW;
		op->sqe.fd = AF_INET;
		op->sqe.off = SOCK_DGRAM;
		op->sqe.len = 0;
		op->sqe.msg_flags = 0;
		op->sqe.file_index = rnd_below(rnd, 4);
		break;
	default:
		break;
	}
}

static void gen_nop(struct rnd *rnd, struct op *op)
{
	op->sqe.opcode = rnd_one_in(rnd, 3) ? IORING_OP_NOP128 : IORING_OP_NOP;
	op->sqe.len = rnd_below(rnd, 16);
	op->sqe.off = value64(rnd);
	op->sqe.addr = value64(rnd);
	op->sqe.nop_flags = rnd_below(rnd, 64);
	op->sqe.buf_index = small(rnd, 4);
}

static void gen_ring_request(struct rnd *rnd, struct op *op)
{
	op->sqe.opcode = IORING_OP_MSG_RING;
	op->fd_mode = FD_RING;
	op->fd = rnd_below(rnd, NR_RINGS);
	op->addr_mode = ADDR_RAW;
	op->sqe.addr = rnd_one_in(rnd, 4) ? IORING_MSG_SEND_FD : IORING_MSG_DATA;
	op->sqe.len = value32(rnd);
	op->sqe.addr3 = rnd_below(rnd, 4);
	op->addr2_mode = ADDR_TAG;
	op->sqe.file_index = rnd_below(rnd, 8);
	op->sqe.msg_ring_flags = rnd_below(rnd, 4) & rnd_below(rnd, 4);
}

static void gen_file_request(struct rnd *rnd, struct op *op)
{
	static const __u8 opcodes[] = {
		IORING_OP_CLOSE, IORING_OP_CLOSE, IORING_OP_READ_FIXED,
		IORING_OP_WRITE_FIXED, IORING_OP_WRITE, IORING_OP_READ,
		IORING_OP_SPLICE, IORING_OP_TEE, IORING_OP_FIXED_FD_INSTALL,
		IORING_OP_MADVISE, IORING_OP_FADVISE, IORING_OP_PROVIDE_BUFFERS,
		IORING_OP_REMOVE_BUFFERS, IORING_OP_FUTEX_WAKE,
		IORING_OP_EPOLL_CTL, IORING_OP_FSYNC, IORING_OP_POLL_REMOVE,
		IORING_OP_READV, IORING_OP_WRITEV_FIXED, IORING_OP_PIPE,
	};

	op->sqe.opcode = opcodes[rnd_below(rnd, ARRAY_SIZE(opcodes))];
	draw_data(rnd, op);
	op->sqe.buf_index = rnd_below(rnd, 4);
	/* from, or into, what was taken */
	if ((op->sqe.opcode == IORING_OP_WRITE_FIXED ||
	     op->sqe.opcode == IORING_OP_READ_FIXED) && rnd_one_in(rnd, 2)) {
		op->addr_mode = ADDR_RAW;
		op->sqe.addr = rnd_below(rnd, 64);
		op->sqe.len = rnd_size(rnd, 8192);
	}
	if (op->sqe.opcode == IORING_OP_CLOSE) {
		op->addr_mode = ADDR_RAW;
		op->sqe.addr = 0;
		op->sqe.len = 0;
		op->sqe.file_index = rnd_one_in(rnd, 2) ? 0 : rnd_below(rnd, 9);
	} else if (op->sqe.opcode == IORING_OP_MADVISE) {
		op->sqe.addr &= -4096ULL;
		op->sqe.fadvise_advice = rnd_below(rnd, 26);
	} else if (op->sqe.opcode == IORING_OP_READV ||
		   op->sqe.opcode == IORING_OP_WRITEV_FIXED) {
		op->addr_mode = ADDR_IOV;
		op->sqe.len = rnd_below(rnd, 8);
	}
}

/* Those that make files where a path says, or fill the memory, are left out. */
static bool is_harmless(__u8 opcode)
{
	switch (opcode) {
	case IORING_OP_FALLOCATE:
	case IORING_OP_FTRUNCATE:
	case IORING_OP_OPENAT:
	case IORING_OP_OPENAT2:
	case IORING_OP_RENAMEAT:
	case IORING_OP_UNLINKAT:
	case IORING_OP_MKDIRAT:
	case IORING_OP_SYMLINKAT:
	case IORING_OP_LINKAT:
		return false;
	default:
		return true;
	}
}

void gen_request(struct rnd *rnd, struct op *op)
{
	op->kind = OP_SQE;
	op->sqe.flags = draw_flags(rnd);
	draw_file(rnd, op);
	switch (rnd_below(rnd, 16)) {
	case 0 ... 2:
		gen_cancel(rnd, op);
		break;
	case 3 ... 4:
		gen_timeout(rnd, op);
		break;
	case 5 ... 8:
		gen_other_net(rnd, op);
		break;
	case 9:
		gen_nop(rnd, op);
		break;
	case 10:
		gen_ring_request(rnd, op);
		break;
	case 11 ... 12:
		gen_files_update(rnd, op);
		break;
	case 13 ... 14:
		gen_file_request(rnd, op);
		break;
	default:
		draw_data(rnd, op);
		do {
			op->sqe.opcode = rnd_one_in(rnd, 8) ? rnd_next(rnd) :
					 rnd_below(rnd, IORING_OP_LAST);
		} while (!is_harmless(op->sqe.opcode));
		break;
	}
	if (rnd_one_in(rnd, 10))
		change_sqe(rnd, op);
}
