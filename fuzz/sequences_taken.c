// SPDX-License-Identifier: GPL-2.0
/* What is taken from where, given on in other ways, and more at once than there is room for. */
#include "sequences.h"

/* More pages than a user may lock, files of other kinds, and what a NIC has received. */
void taken_from_all_sorts(struct program *p)
{
	unsigned int i;
	struct op *op;

	ring(p, 0, 0);
	p->ops[0].a[1] = 64;
	slots(p, 0, 0)->a[0] = 40;
	table(p, 0);
	file(p, 0, FILE_MEMORY);
	for (i = 0; i < 2; i++) {
		op = request(p, IORING_OP_WRITE);
		op->addr_mode = ADDR_DATA;
		op->sqe.off = i * DATA_LEN;
		op->sqe.len = DATA_LEN;
	}
	enter(p, 2);
	take(p, 0, 0, 0, 1 << 20);
	take(p, 0, 1, 0, 100)->sqe.off = ~0ULL >> 1;
	op = take(p, 0, 1, 0, 100);
	op->sqe.addr = 1ULL << 63;
	op->sqe.optlen = 50;
	file(p, 2, FILE_FOLDER);
	take(p, 2, 1, 0, 100);
	file(p, 4, FILE_DIRECT);
	take(p, 4, 1, 0, 10000);
	enter(p, 5);
	give_up(p, 0, 8);
	/* a page for each packet */
	file(p, 0, SOCKET_TCP4);
	by_turns(send_zc(p, 0, 0, 0, 1000), 40);
	enter(p, 41);
	take(p, 1, 2, 0, 60000);
	enter(p, 1);
	file(p, 6, SOCKET_TCP_NIC);
	for (i = 0; i < 3; i++) {
		come(p, 6, i ? 100000 : 100);
		take(p, 7, 3, IORING_GET_BUF_REPLACE, i ? 60000 : 50);
		enter(p, 1)->a[3] = 7999;
	}
	receive(p, 7);
	flush(p, 0, 40);
	enter(p, 1);
}

/* A vector of a short segment and a long one. */
static struct op *vector(struct program *p, unsigned int fd, unsigned int slot)
{
	struct op *op = send_zc(p, fd, slot, IORING_SEND_VECTORIZED, 2);

	op->addr_mode = ADDR_IOV;
	/* of 28 bytes, and of 2379 */
	op->seed = 91;
	return op;
}

/* Shorter than a slot sends without a copy, and registered in front of plain memory. */
void given_on_copied(struct program *p)
{
	unsigned int i;

	ring(p, 0, 0);
	slots(p, 1000, 0)->a[7] = 0x2222;
	table(p, 0);
	file(p, 0, SOCKET_TCP4);
	file(p, 2, SOCKET_TCP4);
	come(p, 0, 600);
	take(p, 1, 0, 0, 600);
	give_on(p, 2, 0, 0, 0, ~0U);
	come(p, 0, 5000);
	take(p, 1, 1, 0, 5000);
	give_on(p, 2, 1, 0, 0, 3000)->sqe.msg_flags = MSG_MORE;
	send_zc(p, 2, 0, 0, 3000);
	enter(p, 5);
	/* two notifiers by turns keep one buffer */
	for (i = 0; i < 10; i++)
		give_on(p, 2, 1, 0, 0, 2000)->sqe.notification_idx = i & 1;
	enter(p, 10);
	vector(p, 0, 0);
	/* what is copied for the other stream lies in between */
	for (i = 0; i < 4; i++) {
		send_zc(p, 0, 1, 0, 100)->sqe.msg_flags = MSG_MORE;
		send_zc(p, 2, 2, 0, 100)->sqe.msg_flags = MSG_MORE;
		vector(p, 0, 3)->sqe.msg_flags = i < 3 ? MSG_MORE : 0;
	}
	enter(p, 13);
	receive(p, 1);
	receive(p, 3);
	flush(p, 0, 4);
	enter(p, 5);
}

/* More than are posted, kept, delivered or given up at a time. */
void all_at_once(struct program *p)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		ring(p, 0, i ? DEFER : 0);
		p->ops[p->nr - 1].a[1] = 2048;
		slots(p, 100, 0)->a[0] = 1200;
		file(p, 0, SOCKET_UDP_DUMMY);
		by_turns(send_zc(p, 0, 0, 0, 50), 1100);
		flush(p, 0, 1200);
		enter(p, 1);
		by_turns(send_zc(p, 0, 0, 0, 50), 100);
		enter(p, 1);
		add(p, OP_UNSLOTS);
		enter(p, 100);
	}
	slots(p, 0, 0)->a[0] = 1200;
	do_register(p, IORING_REGISTER_BUFFERS2)->a[3] = 200;
	file(p, 0, SOCKET_TCP4);
	file(p, 2, SOCKET_TCP4);
	by_turns(send_zc(p, 2, 0, 0, 1), 1100)->sqe.msg_flags = MSG_MORE;
	enter(p, 1);
	come(p, 0, 20000);
	by_turns(take(p, 1, 0, 0, 50), 200);
	enter(p, 200);
	by_turns(give_on(p, 2, 0, 0, 0, ~0U), 200);
	enter(p, 200);
	receive(p, 3);
	flush(p, 0, 1200);
	give_up(p, 0, 200);
	enter(p, 3);
}
