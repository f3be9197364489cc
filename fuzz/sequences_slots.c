// SPDX-License-Identifier: GPL-2.0
/* More of the corpus: what slots do with their flags, and many datagrams. */
#include "sequences.h"

/* One CQE for each request, and one for several, of which some are copied. */
void merged(struct program *p)
{
	unsigned int i;

	ring(p, 0, DEFER);
	slots(p, 500, 1)->a[7] = 0x1115;
	file(p, 0, SOCKET_TCP4);
	file(p, 2, SOCKET_UDP4);
	for (i = 0; i < 6; i++)
		send_zc(p, i & 2, i % 4, IORING_SEND_ZC_REPORT_USAGE, 100 << i)
			->sqe.flags = i & 1 ? 0 : IOSQE_IO_LINK;
	enter(p, 4);
	receive(p, 1);
	enter(p, 2);
	add(p, OP_UNSLOTS);
	slots(p, 0, 0)->a[7] = 0x1111;
	send_zc(p, 0, 0, 0, 3000)->sqe.flags = IOSQE_CQE_SKIP_SUCCESS;
	send_zc(p, 0, 0, IORING_RECVSEND_NOTIF_FLUSH, 3000)->sqe.flags = IOSQE_ASYNC;
	send_zc(p, 0, 1, IORING_RECVSEND_NOTIF_FLUSH, 3000)->sqe.flags =
		IOSQE_CQE_SKIP_SUCCESS;
	send_zc(p, 0, 2, 0, 3000);
	flush(p, 0, 4);
	enter(p, 3);
	receive(p, 1);
	enter(p, 2);
}

/* Bearers that fail, at once and later, by themselves and by their chain. */
void merged_and_broken(struct program *p)
{
	struct op *op;

	ring(p, 0, 0);
	slots(p, 0, 1)->a[7] = 0x1111;
	file(p, 0, SOCKET_TCP4_FULL);
	send_zc(p, 0, 0, 0, 200000)->sqe.flags = IOSQE_IO_LINK;
	op = request(p, IORING_OP_LINK_TIMEOUT);
	op->fd_mode = FD_RAW;
	op->sqe.fd = -1;
	op->addr_mode = ADDR_TIME;
	op->sqe.addr = 1;
	op->sqe.len = 1;
	op->sqe.flags = IOSQE_IO_LINK;
	send_zc(p, 0, 1, 0, 3000);
	enter(p, 1);
	send_zc(p, 4, 1, 0, 3000)->sqe.flags = IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
	send_zc(p, 0, 2, 0, 3000)->sqe.flags = IOSQE_IO_LINK;
	send_zc(p, 0, 3, 0, 3000)->sqe.flags = IOSQE_ASYNC;
	send_zc(p, 0, 2, 0, 200000);
	enter(p, 1);
	op = request(p, IORING_OP_ASYNC_CANCEL);
	op->sqe.cancel_flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
	enter(p, 2);
	add(p, OP_CLOSE)->a[0] = 1;
	enter(p, 4);
}

static struct op *many(struct program *p, unsigned int fd, unsigned int slot,
		       unsigned int ioprio, unsigned int nr)
{
	struct op *op = send_zc(p, fd, slot, IORING_SEND_ZC_MANY | ioprio, nr);

	op->addr_mode = ADDR_DGRAMS;
	return op;
}

void many_datagrams(struct program *p)
{
	ring(p, 0, 0);
	slots(p, 1000, 0)->a[7] = 0x1040;
	file(p, 0, SOCKET_UDP4);
	file(p, 2, SOCKET_UNIX_DGRAM);
	do_register(p, IORING_REGISTER_BUFFERS)->a[3] = 1;
	many(p, 0, 0, IORING_RECVSEND_FIXED_BUF | IORING_SEND_ZC_REPORT_USAGE, 20);
	many(p, 0, 1, 0, IORING_MAX_SEND_ZC_MANY);
	many(p, 2, 1, IORING_RECVSEND_NOTIF_FLUSH, 40);
	many(p, 2, 0, 0, 4);
	many(p, 0, 3, IORING_RECVSEND_NOTIF_FLUSH, 3)->sqe.flags = IOSQE_ASYNC;
	enter(p, 4);
	receive(p, 1);
	receive(p, 3);
	flush(p, 0, 4);
	enter(p, 4);
	many(p, 0, 0, 0, IORING_MAX_SEND_ZC_MANY + 1);
	many(p, 0, 0, 0, 0);
	many(p, 0, 0, IORING_SEND_VECTORIZED, 1);
	enter(p, 3);
}

/* Vectors with short segments, and sockets that copy. */
void segments_and_fallback(struct program *p)
{
	unsigned int i;

	ring(p, 0, 0);
	slots(p, 1000, 0)->a[7] = 0x2266;
	file(p, 0, SOCKET_TCP4);
	file(p, 2, SOCKET_UNIX);
	file(p, 4, SOCKET_UDP6);
	for (i = 0; i < 8; i++)
		send_zc(p, i % 3 * 2, i % 4, IORING_SEND_VECTORIZED |
			IORING_SEND_ZC_REPORT_USAGE, i)->addr_mode = ADDR_IOV;
	sendmsg_zc(p, 0, 0, 0);
	sendmsg_zc(p, 4, 1, IORING_RECVSEND_NOTIF_FLUSH);
	enter(p, 4);
	receive(p, 1);
	receive(p, 3);
	flush(p, 0, 4);
	enter(p, 4);
	receive(p, 1);
	enter(p, 2);
}

/* A stream of which some is unread at file @fd: to close that is to reset it. */
static void stream(struct program *p, unsigned int fd)
{
	struct op *op;

	file(p, fd, SOCKET_TCP4);
	op = request(p, IORING_OP_SEND);
	op->fd = fd + 1;
	op->addr_mode = ADDR_DATA;
	op->sqe.len = 10;
	enter(p, 1);
}

/* Notifiers of so many slots meet in an skb that stays unsent. */
static void meet(struct program *p, unsigned int fd, unsigned int nr)
{
	by_turns(send_zc(p, fd, 0, 0, 500), nr)->sqe.msg_flags = MSG_MORE;
	enter(p, nr);
}

/* What was in it is free at once, and not by way of the network. */
static void reset(struct program *p, unsigned int fd)
{
	struct op *op = add(p, OP_CLOSE);

	op->fd = fd;
	op->a[0] = 1;
}

/*
 * Links of many notifiers, and of a few, that end before and after these are flushed.
 * Behind another provider's data, and where an skb with a link was split.
 */
void reset_unsent(struct program *p)
{
	unsigned int many;
	struct op *op;

	ring(p, 0, 0);
	slots(p, 0, 0)->a[0] = 12;
	for (many = 0; many < 2; many++) {
		stream(p, 0);
		meet(p, 0, many ? 12 : 3);
		reset(p, 0);
		flush(p, 0, 12);
		stream(p, 2);
		meet(p, 2, many ? 12 : 3);
		flush(p, 0, 12);
		enter(p, 2);
		reset(p, 2);
	}
	file(p, 0, SOCKET_TCP4);
	op = send_zc(p, 0, 0, 0, 500);
	op->sqe.ioprio = 0;
	op->sqe.msg_flags = MSG_MORE;
	meet(p, 0, 2);
	file(p, 4, SOCKET_SINK);
	send_zc(p, 4, 0, 0, 100000);
	enter(p, 1);
	by_turns(send_zc(p, 4, 0, 0, 1500), 10)->sqe.msg_flags = MSG_MORE;
	enter(p, 10);
	add(p, OP_UNSLOTS);
	add(p, OP_FDINFO)->a[0] = 1;
	enter(p, 12);
}

/* All of them sent, or as far as there's room; and what is refused. */
void datagrams_to_the_end(struct program *p)
{
	ring(p, 0, 0);
	slots(p, 1000, 0)->a[7] = 0x4444;
	file(p, 0, SOCKET_UDP4);
	file(p, 2, SOCKET_UNIX_DGRAM);
	many(p, 0, 0, IORING_RECVSEND_FIXED_BUF, 3)->sqe.buf_index = 7;
	many(p, 0, 0, 0, 3)->sqe.addr2 = 8;
	many(p, 0, 0, 0, 3)->sqe.addr_len = 16;
	enter(p, 3);
	by_turns(many(p, 0, 0, 0, 100), 4);
	enter(p, 4);
	receive(p, 1);
	by_turns(many(p, 2, 0, 0, 40), 4);
	enter(p, 1);
	receive(p, 3);
	receive(p, 3);
	enter(p, 1);
	receive(p, 3);
	flush(p, ~0U, 2);
	flush(p, ~0U, 2)->sqe.ioprio = IORING_RSRC_UPDATE_BUF;
	flush(p, 0, 4);
	enter(p, 7);
	reset(p, 2);
	enter(p, 4);
}
