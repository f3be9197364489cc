// SPDX-License-Identifier: GPL-2.0
/*
 * Zero-copy requests, flushes, buffers that are taken, and what can be wrong with any
 * request.
 */
#include <string.h>
#include <sys/socket.h>

#include "child.h"
#include "program.h"

__u8 draw_flags(struct rnd *rnd)
{
	__u8 flags = 0;

	if (rnd_one_in(rnd, 6))
		flags |= IOSQE_ASYNC;
	if (rnd_one_in(rnd, 6))
		flags |= IOSQE_IO_LINK;
	if (rnd_one_in(rnd, 12))
		flags |= IOSQE_IO_HARDLINK;
	if (rnd_one_in(rnd, 24))
		flags |= IOSQE_IO_DRAIN;
	if (rnd_one_in(rnd, 5))
		flags |= IOSQE_CQE_SKIP_SUCCESS;
	if (rnd_one_in(rnd, 10))
		flags |= IOSQE_FIXED_FILE;
	if (rnd_one_in(rnd, 32))
		flags |= IOSQE_BUFFER_SELECT;
	if (rnd_one_in(rnd, 64))
		flags = rnd_next(rnd);
	return flags;
}

__u16 draw_slot_flags(struct rnd *rnd)
{
	__u16 flags = rnd_one_in(rnd, 8) ? 0 : IORING_SEND_ZC_NOTIF_SLOT;

	if (rnd_one_in(rnd, 3))
		flags |= IORING_RECVSEND_NOTIF_FLUSH;
	if (rnd_one_in(rnd, 3))
		flags |= IORING_RECVSEND_FIXED_BUF;
	if (rnd_one_in(rnd, 3))
		flags |= IORING_SEND_ZC_REPORT_USAGE;
	if (rnd_one_in(rnd, 8))
		flags |= IORING_RECVSEND_POLL_FIRST;
	if (rnd_one_in(rnd, 6))
		flags |= IORING_SEND_VECTORIZED;
	if (rnd_one_in(rnd, 40))
		flags ^= 1 << rnd_below(rnd, 16);
	return flags;
}

__u32 draw_msg_flags(struct rnd *rnd)
{
	static const __u32 some[] = {
		MSG_OOB, MSG_PEEK, MSG_DONTROUTE, MSG_EOR, MSG_CONFIRM,
		MSG_ZEROCOPY, MSG_FASTOPEN, MSG_TRUNC, MSG_ERRQUEUE,
	};
	__u32 flags = rnd_one_in(rnd, 2) ? MSG_WAITALL : 0;

	if (rnd_one_in(rnd, 8))
		flags |= MSG_DONTWAIT;
	if (rnd_one_in(rnd, 6))
		flags |= MSG_MORE;
	if (rnd_one_in(rnd, 24))
		flags |= some[rnd_below(rnd, ARRAY_SIZE(some))];
	if (rnd_one_in(rnd, 64))
		flags = value32(rnd);
	return flags;
}

void draw_file(struct rnd *rnd, struct op *op)
{
	op->fd_mode = FD_OURS;
	if (op->sqe.flags & IOSQE_FIXED_FILE || rnd_one_in(rnd, 48)) {
		op->fd_mode = FD_RAW;
		op->sqe.fd = rnd_one_in(rnd, 16) ? (int)value32(rnd) :
			     (int)rnd_below(rnd, NR_FDS);
	} else if (rnd_one_in(rnd, 64)) {
		op->fd_mode = FD_RING;
	}
}

/* Where the data is, and how much of it. */
void draw_data(struct rnd *rnd, struct op *op)
{
	op->addr_mode = ADDR_DATA;
	op->sqe.addr = rnd_one_in(rnd, 2) ? 0 : rnd_below(rnd, DATA_LEN);
	op->sqe.len = rnd_size(rnd, DATA_LEN);
	if (rnd_one_in(rnd, 32))
		op->sqe.len = value32(rnd);
	if (rnd_one_in(rnd, 64)) {
		op->addr_mode = ADDR_RAW;
		op->sqe.addr = value64(rnd);
	}
}

/* Of a buffer that the kernel has made, which lies nowhere. */
static void draw_taken(struct rnd *rnd, struct op *op)
{
	op->addr_mode = ADDR_RAW;
	op->sqe.addr = rnd_one_in(rnd, 2) ? 0 : rnd_size(rnd, 8192);
	op->sqe.len = rnd_one_in(rnd, 2) ? ~0U : rnd_size(rnd, 8192);
}

/* Many datagrams, in an array of them. */
static void draw_many(struct rnd *rnd, struct op *op)
{
	static const __u32 lens[] = {
		0, 1, IORING_MAX_SEND_ZC_MANY, IORING_MAX_SEND_ZC_MANY + 1,
	};
	struct io_uring_sqe *sqe = &op->sqe;

	sqe->ioprio |= IORING_SEND_ZC_MANY;
	if (!rnd_one_in(rnd, 32))
		sqe->ioprio &= ~IORING_SEND_VECTORIZED;
	sqe->len = rnd_one_in(rnd, 6) ? lens[rnd_below(rnd, ARRAY_SIZE(lens))] :
		   1 + rnd_below(rnd, rnd_one_in(rnd, 4) ? 100 : 8);
	op->addr_mode = ADDR_DGRAMS;
	/* partly, or wholly, where there is nothing */
	if (rnd_one_in(rnd, 24)) {
		op->addr_mode = rnd_one_in(rnd, 2) ? ADDR_RAW : ADDR_DATA;
		sqe->addr = op->addr_mode == ADDR_RAW ? value64(rnd) :
			    DATA_LEN - rnd_below(rnd, 64);
	}
}

void gen_send(struct rnd *rnd, struct op *op)
{
	struct io_uring_sqe *sqe = &op->sqe;
	bool msg = rnd_one_in(rnd, 3);

	op->kind = OP_SQE;
	sqe->opcode = msg ? IORING_OP_SENDMSG_ZC : IORING_OP_SEND_ZC;
	sqe->flags = draw_flags(rnd);
	sqe->ioprio = draw_slot_flags(rnd);
	draw_file(rnd, op);
	draw_data(rnd, op);
	if (sqe->ioprio & IORING_RECVSEND_FIXED_BUF && rnd_one_in(rnd, 3))
		draw_taken(rnd, op);
	if (msg) {
		op->addr_mode = ADDR_MSG;
		sqe->len = 1;
		sqe->ioprio &= ~IORING_SEND_VECTORIZED;
	} else if (rnd_one_in(rnd, 6)) {
		draw_many(rnd, op);
	} else if (sqe->ioprio & IORING_SEND_VECTORIZED) {
		op->addr_mode = ADDR_IOV;
		sqe->len = small(rnd, 9);
	} else if (rnd_one_in(rnd, 6)) {
		op->addr2_mode = ADDR_NAME;
		sqe->addr2 = rnd_below(rnd, 8);
		sqe->addr_len = rnd_one_in(rnd, 8) ? rnd_below(rnd, 200) :
				sizeof(struct sockaddr_storage);
	}
	sqe->msg_flags = draw_msg_flags(rnd);
	sqe->buf_index = small(rnd, 4);
	sqe->notification_idx = small(rnd, 4);
	if (!(sqe->ioprio & (IORING_SEND_ZC_NOTIF_SLOT)) && rnd_one_in(rnd, 2))
		sqe->notification_idx = 0;
	if (rnd_one_in(rnd, 10))
		change_sqe(rnd, op);
}

void gen_update(struct rnd *rnd, struct op *op)
{
	struct io_uring_sqe *sqe = &op->sqe;

	op->kind = OP_SQE;
	sqe->opcode = IORING_OP_RSRC_UPDATE;
	sqe->flags = draw_flags(rnd) & ~(IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT);
	sqe->ioprio = IORING_RSRC_UPDATE_NOTIF;
	op->fd_mode = FD_RAW;
	sqe->fd = -1;
	sqe->off = rnd_one_in(rnd, 24) ? value64(rnd) : rnd_below(rnd, 4);
	sqe->len = rnd_one_in(rnd, 24) ? value32(rnd) : rnd_below(rnd, 5);
	op->addr_mode = rnd_one_in(rnd, 3) ? ADDR_TAG : ADDR_RAW;
	if (op->addr_mode == ADDR_TAG && rnd_one_in(rnd, 8))
		sqe->addr = value64(rnd);
	/* kernel-owned buffers, given up */
	if (rnd_one_in(rnd, 3)) {
		sqe->ioprio = IORING_RSRC_UPDATE_BUF;
		op->addr_mode = ADDR_RAW;
		sqe->addr = rnd_one_in(rnd, 24) ? value64(rnd) : 0;
	}
	if (rnd_one_in(rnd, 12))
		change_sqe(rnd, op);
}

/* What has come to a socket, or is in a file, into the buffer table. */
void gen_get_buf(struct rnd *rnd, struct op *op)
{
	static const __u32 lens[] = {
		0, 1, IORING_GET_BUF_MAX, IORING_GET_BUF_MAX + 1,
	};
	struct io_uring_sqe *sqe = &op->sqe;

	op->kind = OP_SQE;
	sqe->opcode = IORING_OP_GET_BUF;
	sqe->flags = draw_flags(rnd) & ~IOSQE_BUFFER_SELECT;
	draw_file(rnd, op);
	/* the receiving side of a pair, mostly */
	if (!rnd_one_in(rnd, 4))
		op->fd |= 1;
	sqe->len = rnd_one_in(rnd, 6) ? lens[rnd_below(rnd, ARRAY_SIZE(lens))] :
		   rnd_size(rnd, DATA_LEN);
	if (rnd_one_in(rnd, 6))
		sqe->off = rnd_one_in(rnd, 2) ? ~0ULL : rnd_below(rnd, DATA_LEN);
	if (rnd_one_in(rnd, 24))
		sqe->off = value64(rnd);
	if (!rnd_one_in(rnd, 3))
		sqe->ioprio = IORING_GET_BUF_REPLACE;
	if (rnd_one_in(rnd, 8))
		sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
	sqe->buf_index = small(rnd, 6);
	/* the first bytes besides */
	if (rnd_one_in(rnd, 3)) {
		op->addr_mode = ADDR_DATA;
		sqe->addr = rnd_below(rnd, DATA_LEN);
		sqe->optlen = rnd_one_in(rnd, 8) ? value32(rnd) :
			      rnd_size(rnd, sqe->len ?: 1);
	}
	if (rnd_one_in(rnd, 8))
		change_sqe(rnd, op);
}

/* Change one field of a request, whatever it is. */
void change_sqe(struct rnd *rnd, struct op *op)
{
	struct io_uring_sqe *sqe = &op->sqe;

	switch (rnd_below(rnd, 16)) {
	case 0:
		sqe->flags ^= 1 << rnd_below(rnd, 8);
		break;
	case 1 ... 2:
		sqe->ioprio ^= 1 << rnd_below(rnd, rnd_one_in(rnd, 4) ? 16 : 9);
		break;
	case 3:
		op->fd_mode = rnd_below(rnd, 3);
		sqe->fd = value32(rnd);
		break;
	case 4:
		sqe->off = value64(rnd);
		break;
	case 5:
		op->addr_mode = rnd_below(rnd, NR_ADDR_MODES);
		break;
	case 6:
		sqe->addr = value64(rnd);
		break;
	case 7:
		sqe->len = value32(rnd);
		break;
	case 8:
		sqe->len = rnd_below(rnd, 2 * DATA_LEN);
		break;
	case 9:
		sqe->msg_flags ^= 1U << rnd_below(rnd, 32);
		break;
	case 10:
		sqe->buf_index = value32(rnd);
		break;
	case 11:
		sqe->personality = value32(rnd);
		break;
	case 12:
		sqe->file_index = value32(rnd);
		break;
	case 13:
		sqe->notification_idx = value32(rnd);
		break;
	case 14:
		sqe->addr3 = value64(rnd);
		break;
	default:
		sqe->__pad2[0] = value64(rnd);
		break;
	}
}
