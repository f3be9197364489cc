// SPDX-License-Identifier: GPL-2.0
/* More of the corpus: what is taken into the buffer table, and given on from there. */
#include "sequences.h"

/* From one connection to another, entry by entry, and at last all is given up. */
void relayed(struct program *p)
{
	unsigned int i;

	ring(p, 0, DEFER);
	slots(p, 0, 0);
	table(p, 0);
	file(p, 0, SOCKET_TCP4);
	file(p, 2, SOCKET_TCP6);
	for (i = 0; i < 4; i++) {
		come(p, 0, 1 + i * 5000);
		take(p, 1, i, IORING_GET_BUF_REPLACE, 1 << 20)->sqe.flags =
			IOSQE_IO_LINK;
		give_on(p, 2, i, i & 1 ? IORING_RECVSEND_NOTIF_FLUSH : 0, 0, ~0U);
		enter(p, 2);
	}
	receive(p, 3);
	give_up(p, 0, 8);
	flush(p, 0, 4);
	enter(p, 4);
	add(p, OP_FDINFO)->a[0] = 1;
}

/* With a head, in parts, by vectors, copied, written, and by mainline's SEND_ZC. */
void taken_by_all_ways(struct program *p)
{
	struct op *op;

	ring(p, 0, 0);
	slots(p, 1000, 0)->a[7] = 0x1124;
	table(p, 0);
	file(p, 0, SOCKET_TCP4);
	file(p, 2, SOCKET_UDP4);
	file(p, 4, FILE_MEMORY);
	come(p, 0, 30000);
	op = take(p, 1, 0, 0, 20000);
	op->addr_mode = ADDR_DATA;
	op->sqe.optlen = 500;
	take(p, 1, 0, 0, 100);
	take(p, 1, 8, 0, 100);
	enter(p, 3);
	give_on(p, 2, 0, 0, 10, 1400);
	give_on(p, 2, 0, IORING_SEND_VECTORIZED, 0, 3)->addr_mode = ADDR_IOV;
	sendmsg_zc(p, 2, 1, IORING_RECVSEND_FIXED_BUF);
	give_on(p, 1, 0, 0, 20000, 1);
	op = give_on(p, 0, 0, 0, 0, 3000);
	op->sqe.ioprio = IORING_RECVSEND_FIXED_BUF;
	op->sqe.notification_idx = 0;
	op = request(p, IORING_OP_WRITE_FIXED);
	op->fd = 4;
	op->sqe.len = 20000;
	op = request(p, IORING_OP_READ_FIXED);
	op->fd = 4;
	op->sqe.len = 20000;
	enter(p, 6);
	receive(p, 1);
	flush(p, 0, 4);
	enter(p, 4);
}

/* In line and by io-wq, at a place and where the file is, holes, and beyond the end. */
void taken_from_files(struct program *p)
{
	unsigned int i;
	struct op *op;

	ring(p, 0, 0);
	slots(p, 0, 1);
	table(p, 0);
	file(p, 0, FILE_MEMORY);
	file(p, 2, SOCKET_TCP4);
	op = request(p, IORING_OP_WRITE);
	op->addr_mode = ADDR_DATA;
	op->sqe.len = 50000;
	enter(p, 1);
	for (i = 0; i < 5; i++) {
		op = take(p, 0, i, 0, 40000);
		op->sqe.off = i == 4 ? ~0ULL : i * 40000 + 1;
		op->sqe.flags = i & 1 ? IOSQE_ASYNC : 0;
	}
	enter(p, 5);
	for (i = 0; i < 5; i++)
		give_on(p, 2, i, 0, 0, ~0U);
	add(p, OP_CLOSE)->a[0] = 1;
	enter(p, 5);
	receive(p, 3);
	take(p, 0, 0, IORING_GET_BUF_REPLACE, 1);
	enter(p, 4);
}

/* Another ring gets them, and the first one goes. */
void taken_and_cloned(struct program *p)
{
	struct op *op;

	ring(p, 0, 0);
	ring(p, 1, 0);
	slots(p, 0, 0)->ring = 1;
	table(p, 0);
	file(p, 0, SOCKET_TCP4);
	come(p, 0, 9000);
	take(p, 1, 0, 0, 9000);
	enter(p, 1);
	op = do_register(p, IORING_REGISTER_CLONE_BUFFERS);
	op->ring = 1;
	op->a[3] = 1;
	op = give_on(p, 0, 0, 0, 0, ~0U);
	op->ring = 1;
	enter(p, 1)->ring = 1;
	give_up(p, 0, 8);
	enter(p, 1);
	add(p, OP_CLOSE);
	/* until all of the first one has gone but what it took */
	op = add(p, OP_SLEEP);
	op->a[1] = 63;
	op->times = 60;
	op = give_on(p, 0, 0, 0, 0, ~0U);
	op->ring = 1;
	take(p, 1, 0, IORING_GET_BUF_REPLACE, 100)->ring = 1;
	enter(p, 2)->ring = 1;
	do_register(p, IORING_UNREGISTER_BUFFERS)->ring = 1;
	receive(p, 1);
	op = flush(p, 0, 4);
	op->ring = 1;
	enter(p, 2)->ring = 1;
}

/* Updated, unregistered and registered with all of it in flight. */
void taken_while_tables_change(struct program *p)
{
	struct op *op;

	ring(p, 0, IORING_SETUP_COOP_TASKRUN);
	slots(p, 0, 0);
	table(p, 0);
	file(p, 0, SOCKET_TCP4);
	file(p, 2, SOCKET_SINK_DEAF);
	come(p, 0, 60000);
	take(p, 1, 0, 0, 20000);
	take(p, 1, 1, 0, 20000);
	enter(p, 2);
	give_on(p, 2, 0, 0, 0, ~0U);
	give_on(p, 2, 1, IORING_RECVSEND_NOTIF_FLUSH, 0, ~0U);
	take(p, 1, 5, IORING_RECVSEND_POLL_FIRST, 20000)->sqe.flags = IOSQE_ASYNC;
	enter(p, 1);
	do_register(p, IORING_REGISTER_BUFFERS_UPDATE);
	give_on(p, 2, 0, 0, 0, 100);
	do_register(p, IORING_UNREGISTER_BUFFERS);
	give_on(p, 2, 1, 0, 0, 100);
	take(p, 1, 0, 0, 100);
	enter(p, 2);
	do_register(p, IORING_REGISTER_BUFFERS);
	take(p, 1, 0, IORING_GET_BUF_REPLACE, 100);
	take(p, 1, 1, IORING_GET_BUF_REPLACE, 100);
	enter(p, 2);
	op = add(p, OP_CLOSE);
	op->fd = 2;
	op->a[0] = 1;
	flush(p, 0, 4);
	enter(p, 3);
}

/* By poll, by io-wq, in chains with a time limit: cancelled, ended, and woken. */
void takers_that_wait(struct program *p)
{
	struct op *op;

	ring(p, 0, 0);
	slots(p, 0, 0);
	table(p, 0);
	file(p, 0, SOCKET_TCP4);
	take(p, 1, 0, 0, 100)->sqe.flags = IOSQE_IO_LINK;
	op = request(p, IORING_OP_LINK_TIMEOUT);
	op->fd_mode = FD_RAW;
	op->sqe.fd = -1;
	op->addr_mode = ADDR_TIME;
	op->sqe.addr = 1;
	op->sqe.len = 1;
	take(p, 1, 1, 0, 100)->sqe.flags = IOSQE_ASYNC;
	take(p, 1, 2, IORING_RECVSEND_POLL_FIRST, 100);
	enter(p, 1);
	op = request(p, IORING_OP_ASYNC_CANCEL);
	op->sqe.cancel_flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
	enter(p, 3);
	take(p, 1, 3, 0, 100);
	take(p, 1, 4, 0, 100)->sqe.flags = IOSQE_ASYNC;
	come(p, 0, 250);
	add(p, OP_SHUTDOWN)->a[0] = 1;
	take(p, 1, 5, 0, 100);
	take(p, 1, 6, 0, 100);
	enter(p, 4);
	receive(p, 1);
}

/* More than a user may lock: small packets, each with pages of its own. */
void taken_to_the_limit(struct program *p)
{
	unsigned int i;

	ring(p, 0, 0);
	table(p, 0);
	file(p, 0, SOCKET_TCP4);
	for (i = 0; i < 8; i++) {
		come(p, 0, DATA_LEN);
		take(p, 1, i, 0, 1 << 20);
		enter(p, 1);
	}
	receive(p, 1);
	give_up(p, 0, 8);
	enter(p, 1);
	come(p, 0, 100);
	take(p, 1, 0, 0, 100);
	enter(p, 1);
}

/* With buffers in the table, in notifiers, and requests that wait. */
void takers_that_end(struct program *p)
{
	ring(p, 0, IORING_SETUP_SINGLE_ISSUER);
	slots(p, 0, 0);
	table(p, 0);
	file(p, 0, SOCKET_TCP4);
	file(p, 2, SOCKET_SINK_DEAF);
	come(p, 0, 30000);
	take(p, 1, 0, 0, 20000);
	take(p, 1, 1, 0, 10000);
	enter(p, 2);
	give_on(p, 2, 0, 0, 0, ~0U);
	take(p, 1, 2, 0, 100);
	take(p, 1, 3, 0, 100)->sqe.flags = IOSQE_ASYNC;
	enter(p, 1);
	add(p, OP_END)->a[0] = END_KILL;
}
