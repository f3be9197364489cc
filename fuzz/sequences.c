// SPDX-License-Identifier: GPL-2.0
/* What the corpus begins with: each gets as far as something that matters. */
#include "sequences.h"

struct rnd rnd;

static void udp_flushed_by_update(struct program *p)
{
	ring(p, 0, 0);
	slots(p, 0, 0);
	file(p, 0, SOCKET_UDP4);
	send_zc(p, 0, 0, IORING_SEND_ZC_REPORT_USAGE, 1000);
	send_zc(p, 0, 0, 0, 9000);
	send_zc(p, 0, 1, 0, 100);
	flush(p, 0, 4)->addr_mode = ADDR_TAG;
	enter(p, 3);
	receive(p, 1);
	enter(p, 2);
	send_zc(p, 0, 0, IORING_RECVSEND_NOTIF_FLUSH, 100);
	enter(p, 2);
}

static void deferred_registered(struct program *p)
{
	ring(p, 0, DEFER);
	slots(p, 0, 2);
	file(p, 0, SOCKET_TCP4);
	do_register(p, IORING_REGISTER_BUFFERS)->a[3] = 1;
	send_zc(p, 0, 0, IORING_RECVSEND_FIXED_BUF, 20000);
	send_zc(p, 0, 0, IORING_RECVSEND_FIXED_BUF, 20000);
	send_zc(p, 0, 1, IORING_RECVSEND_FIXED_BUF, 100);
	enter(p, 2);
	receive(p, 1);
	do_register(p, IORING_UNREGISTER_BUFFERS);
	enter(p, 3);
	add(p, OP_UNSLOTS);
	enter(p, 1);
}

/* Two slots by turns: notifiers meet in one skb, and are linked. */
static void tcp_linked(struct program *p)
{
	unsigned int i;

	ring(p, 0, 0);
	slots(p, 0, 0);
	file(p, 0, SOCKET_TCP4_FULL);
	do_register(p, IORING_REGISTER_BUFFERS)->a[3] = 1;
	for (i = 0; i < 12; i++)
		send_zc(p, 0, i % 4, i % 3 ? IORING_RECVSEND_FIXED_BUF : 0, 700)
			->sqe.msg_flags = MSG_MORE;
	enter(p, 4);
	flush(p, 0, 4);
	enter(p, 1);
	receive(p, 1);
	enter(p, 4);
	add(p, OP_CLOSE)->a[0] = 1;
	enter(p, 4);
}

static void full_and_cancelled(struct program *p)
{
	struct op *op;

	ring(p, 0, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG);
	slots(p, 0, 0);
	file(p, 0, SOCKET_TCP4_FULL);
	op = add(p, OP_SEND);
	op->a[0] = 1;
	send_zc(p, 0, 0, IORING_RECVSEND_NOTIF_FLUSH, 60000);
	send_zc(p, 0, 1, IORING_RECVSEND_POLL_FIRST, 60000);
	enter(p, 0);
	op = request(p, IORING_OP_ASYNC_CANCEL);
	op->sqe.cancel_flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
	enter(p, 2);
	add(p, OP_UNSLOTS);
	slots(p, 0, 0);
	send_zc(p, 0, 0, IORING_RECVSEND_NOTIF_FLUSH, 60000);
	enter(p, 1);
	receive(p, 1);
	add(p, OP_CLOSE);
}

static void tagged_buffers_change(struct program *p)
{
	ring(p, 0, IORING_SETUP_CQE32);
	slots(p, 0, 0)->a[1] = IORING_NOTIF_REG_RAW_SEQ;
	file(p, 0, SOCKET_SINK);
	do_register(p, IORING_REGISTER_BUFFERS2);
	send_zc(p, 0, 0, IORING_RECVSEND_FIXED_BUF, 5000);
	send_zc(p, 0, 0, IORING_RECVSEND_FIXED_BUF, 5000)->sqe.buf_index = 1;
	send_zc(p, 0, 0, IORING_RECVSEND_FIXED_BUF, 5000);
	enter(p, 2);
	do_register(p, IORING_REGISTER_BUFFERS_UPDATE);
	send_zc(p, 0, 0, IORING_RECVSEND_FIXED_BUF | IORING_RECVSEND_NOTIF_FLUSH,
		5000);
	enter(p, 3);
	do_register(p, IORING_UNREGISTER_BUFFERS);
	enter(p, 3);
}

static void vectors_cloned(struct program *p)
{
	struct op *op;

	ring(p, 0, IORING_SETUP_SQE128);
	ring(p, 1, IORING_SETUP_CQE_MIXED | IORING_SETUP_SQE_MIXED);
	do_register(p, IORING_REGISTER_BUFFERS)->a[3] = 1;
	slots(p, 0, 0)->ring = 1;
	slots(p, 3000, 0);
	file(p, 0, SOCKET_UDP6);
	op = do_register(p, IORING_REGISTER_CLONE_BUFFERS);
	op->ring = 1;
	op->a[3] = 1;
	op = send_zc(p, 0, 0, IORING_RECVSEND_FIXED_BUF | IORING_SEND_VECTORIZED, 3);
	op->addr_mode = ADDR_IOV;
	op->ring = 1;
	op = sendmsg_zc(p, 0, 1, IORING_RECVSEND_FIXED_BUF);
	op->ring = 1;
	request(p, IORING_OP_NOP128)->ring = 1;
	enter(p, 2)->ring = 1;
	sendmsg_zc(p, 0, 1, IORING_RECVSEND_FIXED_BUF);
	sendmsg_zc(p, 0, 1, 0);
	enter(p, 2);
	op = flush(p, 0, 4);
	op->ring = 1;
	enter(p, 3)->ring = 1;
}

/* By io-wq: attached, flushed and detached there. */
static void async(struct program *p)
{
	unsigned int i;

	ring(p, 0, 0);
	slots(p, 0, 0);
	file(p, 0, SOCKET_UDP4);
	do_register(p, IORING_REGISTER_BUFFERS)->a[3] = 1;
	for (i = 0; i < 4; i++)
		send_zc(p, 0, i % 2, i % 2 ? IORING_RECVSEND_FIXED_BUF : 0, 3000)
			->sqe.flags = IOSQE_ASYNC;
	flush(p, 0, 4)->sqe.flags = IOSQE_ASYNC | IOSQE_IO_DRAIN;
	enter(p, 6);
	enter(p, 2);
}

static void chain_with_timeout(struct program *p)
{
	struct op *op;

	ring(p, 0, IORING_SETUP_NO_SQARRAY);
	slots(p, 0, 0);
	file(p, 0, SOCKET_SINK_DEAF);
	send_zc(p, 0, 0, 0, 100000)->sqe.flags = IOSQE_IO_LINK;
	op = request(p, IORING_OP_LINK_TIMEOUT);
	op->fd_mode = FD_RAW;
	op->sqe.fd = -1;
	op->addr_mode = ADDR_TIME;
	op->sqe.addr = 1;
	op->sqe.len = 1;
	op->sqe.flags = IOSQE_IO_LINK;
	send_zc(p, 0, 1, IORING_RECVSEND_NOTIF_FLUSH, 100000)->sqe.flags =
		IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
	flush(p, 0, 2)->sqe.flags = IOSQE_CQE_SKIP_SUCCESS;
	enter(p, 2);
	enter(p, 2);
	add(p, OP_CLOSE)->a[0] = 1;
	enter(p, 2);
}

static void threads_and_processes(struct program *p)
{
	struct op *op;

	ring(p, 0, 0);
	slots(p, 0, 0);
	file(p, 0, SOCKET_TCP6);
	op = add(p, OP_THREAD);
	op->a[0] = 1;
	send_zc(p, 0, 0, 0, 3000);
	enter(p, 1);
	op = add(p, OP_FORK);
	op->a[0] = 1;
	op->a[1] = END_EXEC;
	send_zc(p, 0, 1, 0, 3000);
	enter(p, 1);
	send_zc(p, 0, 1, 0, 3000);
	flush(p, 0, 4);
	enter(p, 4);
	add(p, OP_FDINFO)->a[0] = 1;
	receive(p, 1);
	enter(p, 2);
}

static void ends_in_flight(struct program *p)
{
	ring(p, 0, IORING_SETUP_SINGLE_ISSUER);
	slots(p, 0, 0);
	file(p, 0, SOCKET_SINK_DEAF);
	send_zc(p, 0, 0, 0, 100000);
	send_zc(p, 0, 1, IORING_RECVSEND_NOTIF_FLUSH, 100000);
	enter(p, 0);
	add(p, OP_END)->a[0] = END_EXEC;
}

static void by_kernel_thread(struct program *p)
{
	ring(p, 0, IORING_SETUP_SQPOLL);
	slots(p, 0, 3);
	file(p, 0, SOCKET_UDP_SINK);
	send_zc(p, 0, 0, 0, 100);
	send_zc(p, 0, 0, 0, 100);
	send_zc(p, 0, 0, 0, 100);
	enter(p, 4);
	flush(p, 0, 4);
	enter(p, 1);
}

static void disabled_and_restricted(struct program *p)
{
	ring(p, 0, IORING_SETUP_R_DISABLED);
	do_register(p, IORING_REGISTER_RESTRICTIONS);
	do_register(p, IORING_REGISTER_ENABLE_RINGS);
	slots(p, 0, 0);
	file(p, 0, SOCKET_UDP4);
	send_zc(p, 0, 0, IORING_RECVSEND_NOTIF_FLUSH, 1000);
	enter(p, 2);
	do_register(p, IORING_REGISTER_QUERY);
}

/* More than the CQ holds, and a ring that is made larger meanwhile. */
static void overflowing(struct program *p)
{
	unsigned int i;

	ring(p, 0, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
	     IORING_SETUP_CQSIZE);
	p->ops[0].a[1] = 4;
	p->ops[0].a[2] = 4;
	slots(p, 0, 0);
	file(p, 0, SOCKET_UDP4);
	for (i = 0; i < 8; i++) {
		send_zc(p, 0, 0, IORING_RECVSEND_NOTIF_FLUSH, 10);
		if (i % 4 == 3)
			enter(p, 0)->a[4] = 1;
	}
	do_register(p, IORING_REGISTER_RESIZE_RINGS);
	enter(p, 8);
	enter(p, 8);
}

/* Corked datagrams, segments, other providers in between. */
static void corked(struct program *p)
{
	struct op *op;

	ring(p, 0, 0);
	slots(p, 0, 0);
	file(p, 0, SOCKET_UDP4);
	op = add(p, OP_SOCKOPT);
	op->a[0] = 6;
	send_zc(p, 0, 0, 0, 1000)->sqe.msg_flags = MSG_MORE;
	send_zc(p, 0, 1, IORING_SEND_ZC_REPORT_USAGE, 1000)->sqe.msg_flags = MSG_MORE;
	enter(p, 2);
	add(p, OP_SEND)->a[0] = 3;
	send_zc(p, 0, 0, 0, 1000);
	flush(p, 0, 4);
	enter(p, 2);
	add(p, OP_SOCKOPT)->a[0] = 8;
	sendmsg_zc(p, 0, 2, IORING_RECVSEND_NOTIF_FLUSH);
	enter(p, 2);
}

/* The memory goes while it is sent. */
static void memory_goes(struct program *p)
{
	struct op *op;

	ring(p, 0, 0);
	slots(p, 0, 1);
	file(p, 0, SOCKET_NIC);
	send_zc(p, 0, 0, 0, 60000);
	enter(p, 1);
	op = add(p, OP_MEM);
	op->a[0] = MEM_UNMAP;
	op->a[2] = DATA_LEN;
	send_zc(p, 0, 0, 0, 60000);
	enter(p, 1);
	op = add(p, OP_MEM);
	op->a[0] = MEM_HUGE;
	do_register(p, IORING_REGISTER_BUFFERS)->a[3] = 1;
	send_zc(p, 0, 1, IORING_RECVSEND_FIXED_BUF, 100000);
	enter(p, 2);
	op = add(p, OP_MEM);
	op->a[0] = MEM_ADVISE;
	op->a[2] = DATA_LEN;
	op->a[4] = MADV_DONTNEED;
	enter(p, 2);
}

/* RLIMIT_MEMLOCK is full: slots that flush themselves give back. */
static void limited(struct program *p)
{
	unsigned int i;

	ring(p, 0, 0);
	slots(p, 0, 100);
	file(p, 0, SOCKET_SINK_DEAF);
	for (i = 0; i < 8; i++)
		send_zc(p, 0, i % 4, 0, DATA_LEN);
	enter(p, 4);
	enter(p, 4);
	receive(p, 1);
	add(p, OP_UNSLOTS);
	enter(p, 4);
}

static void many_slots(struct program *p)
{
	struct op *op;

	ring(p, 0, IORING_SETUP_CQE_MIXED);
	slots(p, 0, 0)->a[0] = IORING_MAX_NOTIF_SLOTS;
	file(p, 0, SOCKET_VSOCK);
	send_zc(p, 0, 32767, 0, 3000);
	send_zc(p, 0, 1, 0, 3000);
	op = request(p, IORING_OP_NOP);
	op->sqe.nop_flags = IORING_NOP_CQE32;
	flush(p, 0, 32768);
	enter(p, 3);
	receive(p, 1);
	enter(p, 2);
}

static void (* const sequences[])(struct program *p) = {
	udp_flushed_by_update, deferred_registered, tcp_linked, full_and_cancelled,
	tagged_buffers_change, vectors_cloned, async, chain_with_timeout,
	threads_and_processes, ends_in_flight, by_kernel_thread,
	disabled_and_restricted, overflowing, corked, memory_goes, limited,
	many_slots, merged, merged_and_broken, many_datagrams, segments_and_fallback,
	relayed, taken_by_all_ways, taken_from_files, taken_and_cloned,
	taken_while_tables_change, takers_that_wait, taken_to_the_limit,
	takers_that_end, reset_unsent, datagrams_to_the_end, taken_from_all_sorts,
	given_on_copied, all_at_once,
};

unsigned int nr_sequences(void)
{
	return ARRAY_SIZE(sequences);
}

void sequence(unsigned int nr, struct program *p)
{
	rnd_seed(&rnd, 0, nr, 0);
	p->nr = 0;
	p->kill_ms = 0;
	sequences[nr](p);
}
