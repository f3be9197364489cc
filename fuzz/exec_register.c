// SPDX-License-Identifier: GPL-2.0
/* io_uring_register(), but for slots. */
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <linux/io_uring/query.h>

#include "child.h"

#define ARG_LEN		4096

/* An argument, and how many or how large it is. */
struct arg {
	void *p;
	unsigned int nr;
};

static unsigned int tag_nr;

static __u64 *make_tags(unsigned int nr)
{
	__u64 *tags = scratch(nr * sizeof(*tags));
	unsigned int i;

	for (i = 0; i < nr; i++)
		tags[i] = rnd_one_in(&aux, 4) ? 0 : ud(UD_RSRC, 0, 0, tag_nr++);
	return tags;
}

static int *make_fds(unsigned int nr)
{
	int *fds = scratch(nr * sizeof(*fds));
	unsigned int i;

	for (i = 0; i < nr; i++)
		fds[i] = rnd_one_in(&aux, 12) ? (int)value32(&aux) :
			 rnd_one_in(&aux, 4) ? -1 - (int)rnd_below(&aux, 2) :
			 child.fds[i % NR_FDS];
	return fds;
}

static struct iovec *make_buffers(unsigned int nr)
{
	struct iovec *iov = scratch(nr * sizeof(*iov));
	unsigned int i;

	draw_iovecs(iov, nr, rnd_one_in(&aux, 2));
	/* all of it, mostly: what is sent is in there */
	if (!rnd_one_in(&aux, 4)) {
		iov[0].iov_base = DATA;
		iov[0].iov_len = DATA_LEN;
	}
	/* entries without one, for what is taken */
	for (i = 1; i < nr; i++)
		if (rnd_one_in(&aux, 3))
			memset(&iov[i], 0, sizeof(iov[i]));
	return iov;
}

static void make_register2(struct arg *arg, bool files)
{
	struct io_uring_rsrc_register *reg = arg->p;
	unsigned int nr = 1 + rnd_below(&aux, 6);

	reg->nr = nr;
	if (rnd_one_in(&aux, 5))
		reg->flags = IORING_RSRC_REGISTER_SPARSE;
	else
		reg->data = files ? (unsigned long)make_fds(nr) :
			    (unsigned long)make_buffers(nr);
	if (!reg->flags && !rnd_one_in(&aux, 3))
		reg->tags = (unsigned long)make_tags(nr);
	arg->nr = sizeof(*reg);
}

/* All of the data so many times: that can be registered. */
static void make_whole(struct arg *arg, unsigned int nr)
{
	struct iovec *iov = scratch(nr * sizeof(*iov));
	unsigned int i;

	for (i = 0; i < nr; i++)
		iov[i] = (struct iovec){ DATA, DATA_LEN };
	arg->p = iov;
	arg->nr = nr;
}

/* All that ring @nr has. */
static void make_clone_of(struct arg *arg, unsigned int nr)
{
	struct io_uring_clone_buffers *clone = arg->p;

	*clone = (struct io_uring_clone_buffers){
		.src_fd = child.rings[nr % NR_RINGS].fd,
	};
}

/* A table of so many entries without a buffer. */
static void make_empty(struct arg *arg, unsigned int nr)
{
	struct io_uring_rsrc_register *reg = arg->p;

	*reg = (struct io_uring_rsrc_register){
		.nr = nr, .flags = IORING_RSRC_REGISTER_SPARSE,
	};
}

static void make_update2(struct arg *arg, bool files)
{
	struct io_uring_rsrc_update2 *up = arg->p;
	unsigned int nr = 1 + rnd_below(&aux, 4);

	up->offset = small(&aux, 4);
	up->nr = nr;
	up->data = files ? (unsigned long)make_fds(nr) :
		   (unsigned long)make_buffers(nr);
	if (!rnd_one_in(&aux, 3))
		up->tags = (unsigned long)make_tags(nr);
	arg->nr = sizeof(*up);
}

static void make_clone(struct arg *arg)
{
	struct io_uring_clone_buffers *clone = arg->p;

	clone->src_fd = child.rings[rnd_below(&aux, NR_RINGS)].fd;
	if (rnd_one_in(&aux, 3))
		clone->flags = rnd_below(&aux, 4);
	if (rnd_one_in(&aux, 2)) {
		clone->src_off = small(&aux, 4);
		clone->dst_off = small(&aux, 4);
		clone->nr = small(&aux, 4);
	}
	arg->nr = 1;
}

static void make_restrictions(struct arg *arg)
{
	static const __u8 needed[] = {
		IORING_OP_SEND_ZC, IORING_OP_SENDMSG_ZC, IORING_OP_RSRC_UPDATE,
		IORING_OP_GET_BUF,
	};
	struct io_uring_restriction *list = arg->p;
	unsigned int i;

	arg->nr = ARRAY_SIZE(needed) + 1 + rnd_below(&aux, 8);
	for (i = 0; i < arg->nr; i++) {
		list[i].opcode = rnd_below(&aux, 3);
		list[i].sqe_op = rnd_below(&aux, IORING_OP_LAST);
	}
	for (i = 0; i < ARRAY_SIZE(needed); i++) {
		list[i].opcode = IORING_RESTRICTION_SQE_OP;
		list[i].sqe_op = needed[i];
	}
	list[i].opcode = IORING_RESTRICTION_REGISTER_OP;
	list[i].register_op = IORING_REGISTER_NOTIFIERS;
}

static void make_query(struct arg *arg)
{
	struct io_uring_query_hdr *hdr = arg->p;
	unsigned int i;

	/* the last one may lead back to any of them */
	for (i = 0; i < 3; i++) {
		hdr[i].query_op = rnd_below(&aux, 2) ? IO_URING_QUERY_NOTIF :
				  rnd_below(&aux, __IO_URING_QUERY_MAX + 1);
		hdr[i].query_data = (unsigned long)scratch(256);
		hdr[i].size = rnd_one_in(&aux, 4) ? value32(&aux) :
			      rnd_below(&aux, 80);
		if (i < 2)
			hdr[i].next_entry = (unsigned long)&hdr[i + 1];
		else if (rnd_one_in(&aux, 3))
			hdr[i].next_entry = (unsigned long)&hdr[rnd_below(&aux, 3)];
	}
	arg->nr = 0;
}

/* What was answered of buffers that are taken is what there is. */
static void check_query(const struct arg *arg)
{
	const struct io_uring_query_hdr *hdr = arg->p;
	const struct io_uring_query_notif *notif;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		notif = (void *)(unsigned long)hdr[i].query_data;
		if (hdr[i].query_op == IO_URING_QUERY_NOTIF && !hdr[i].result &&
		    hdr[i].size >= sizeof(*notif) &&
		    notif->get_buf_flags != (IORING_RECVSEND_POLL_FIRST |
					     IORING_GET_BUF_REPLACE))
			wrong("a query says that GET_BUF has the flags %#x",
			      notif->get_buf_flags);
	}
}

static void make_message(struct arg *arg)
{
	struct io_uring_sqe *sqe = arg->p;

	sqe->opcode = IORING_OP_MSG_RING;
	sqe->fd = child.rings[rnd_below(&aux, NR_RINGS)].fd;
	sqe->addr = IORING_MSG_DATA;
	sqe->off = ud(UD_MESSAGE, 0, 0, 0);
	sqe->len = value32(&aux);
	arg->nr = 1;
}

static void make_cancel(struct arg *arg)
{
	struct io_uring_sync_cancel_reg *cancel = arg->p;

	cancel->addr = ud(UD_REQUEST, 0, 0, child.nr_requests -
			  rnd_below(&aux, 8));
	cancel->fd = child.fds[rnd_below(&aux, NR_FDS)];
	cancel->flags = rnd_below(&aux, 64);
	cancel->timeout.tv_nsec = 1000000;
	cancel->opcode = rnd_one_in(&aux, 2) ? IORING_OP_SEND_ZC :
					       IORING_OP_GET_BUF;
	arg->nr = 1;
}

static void make_resize(struct arg *arg)
{
	struct io_uring_params *p = arg->p;

	p->sq_entries = 1 << rnd_below(&aux, 8);
	p->cq_entries = 1 << rnd_below(&aux, 8);
	p->flags = rnd_one_in(&aux, 3) ? 0 : IORING_SETUP_CQSIZE;
	arg->nr = 1;
}

/* Numbers that mean something to most of the rest. */
static void make_words(struct arg *arg, unsigned int nr)
{
	__u32 *words = arg->p;
	unsigned int i;

	for (i = 0; i < 16; i++)
		words[i] = rnd_one_in(&aux, 4) ? rnd_below(&aux, 8) : 0;
	arg->nr = nr;
}

static void make_files_update(struct arg *arg)
{
	struct io_uring_files_update *up = arg->p;

	up->offset = small(&aux, 4);
	arg->nr = 1 + rnd_below(&aux, 4);
	up->fds = (unsigned long)make_fds(arg->nr);
}

static void make_buf_ring(struct arg *arg)
{
	struct io_uring_buf_reg *reg = arg->p;

	reg->ring_addr = (unsigned long)DATA;
	reg->ring_entries = 1 << rnd_below(&aux, 8);
	reg->bgid = rnd_below(&aux, 4);
	reg->flags = rnd_below(&aux, 4);
	if (reg->flags & IOU_PBUF_RING_MMAP)
		reg->ring_addr = 0;
	arg->nr = 1;
}

/* Arguments that make sense, for the opcode. */
static void make(struct arg *arg, unsigned int opcode)
{
	switch (opcode) {
	case IORING_REGISTER_BUFFERS:
		arg->nr = 1 + rnd_below(&aux, 6);
		arg->p = make_buffers(arg->nr);
		break;
	case IORING_REGISTER_FILES:
		arg->nr = 1 + rnd_below(&aux, NR_FDS);
		arg->p = make_fds(arg->nr);
		break;
	case IORING_REGISTER_BUFFERS2:
	case IORING_REGISTER_FILES2:
		make_register2(arg, opcode == IORING_REGISTER_FILES2);
		break;
	case IORING_REGISTER_BUFFERS_UPDATE:
	case IORING_REGISTER_FILES_UPDATE2:
		make_update2(arg, opcode == IORING_REGISTER_FILES_UPDATE2);
		break;
	case IORING_REGISTER_FILES_UPDATE:
		make_files_update(arg);
		break;
	case IORING_REGISTER_EVENTFD:
	case IORING_REGISTER_EVENTFD_ASYNC:
		*(int *)arg->p = child.fds[rnd_below(&aux, NR_FDS)];
		arg->nr = 1;
		break;
	case IORING_REGISTER_CLONE_BUFFERS:
		make_clone(arg);
		break;
	case IORING_REGISTER_RESTRICTIONS:
		make_restrictions(arg);
		break;
	case IORING_REGISTER_QUERY:
		make_query(arg);
		break;
	case IORING_REGISTER_SEND_MSG_RING:
		make_message(arg);
		break;
	case IORING_REGISTER_SYNC_CANCEL:
		make_cancel(arg);
		break;
	case IORING_REGISTER_RESIZE_RINGS:
		make_resize(arg);
		break;
	case IORING_REGISTER_PBUF_RING:
		make_buf_ring(arg);
		break;
	case IORING_REGISTER_PROBE:
		arg->nr = rnd_below(&aux, 128);
		break;
	case IORING_REGISTER_IOWQ_AFF:
		*(__u64 *)arg->p = rnd_below(&aux, 4);
		arg->nr = 8;
		break;
	case IORING_REGISTER_IOWQ_MAX_WORKERS:
		make_words(arg, 2);
		break;
	case IORING_UNREGISTER_PERSONALITY:
		arg->p = NULL;
		arg->nr = rnd_below(&aux, 4);
		break;
	case IORING_UNREGISTER_BUFFERS:
	case IORING_UNREGISTER_FILES:
	case IORING_UNREGISTER_EVENTFD:
	case IORING_REGISTER_PERSONALITY:
	case IORING_REGISTER_ENABLE_RINGS:
	case IORING_UNREGISTER_IOWQ_AFF:
		arg->p = NULL;
		break;
	case IORING_REGISTER_FILE_ALLOC_RANGE:
	case IORING_REGISTER_CLOCK:
		make_words(arg, 0);
		break;
	default:
		make_words(arg, 1);
		break;
	}
}

void exec_register(const struct op *op)
{
	struct ring *ring = &child.rings[op->ring % NR_RINGS];
	unsigned int opcode = op->a[0];
	struct arg arg = { .p = scratch(ARG_LEN) };
	bool none = false;
	int ret;

	memset(arg.p, 0, ARG_LEN);
	/* some need no ring */
	if (opcode == IORING_REGISTER_QUERY || opcode == IORING_REGISTER_SEND_MSG_RING)
		none = rnd_one_in(&aux, 2);
	/* who uses the mapping while it changes reads what is nobody's */
	if (opcode == IORING_REGISTER_RESIZE_RINGS &&
	    (child.threads || child.shared))
		return;
	make(&arg, opcode);
	if (opcode == IORING_REGISTER_BUFFERS2 && op->a[3])
		make_empty(&arg, op->a[3]);
	if (opcode == IORING_REGISTER_BUFFERS && op->a[3])
		make_whole(&arg, 1 + (op->a[3] - 1) % 8);
	if (opcode == IORING_REGISTER_CLONE_BUFFERS && op->a[3])
		make_clone_of(&arg, op->a[3] - 1);
	if (op->a[1] == 1)
		arg.p = (void *)op->a[2];
	if (op->a[1] == 2)
		arg.nr = op->a[2];
	if (op->a[1] >= 3 && arg.p)
		((char *)arg.p)[op->a[2] % 64] ^= op->a[2] >> 8;
	/* tags that were drawn there, or changed, are anybody's */
	if (op->a[1] && (opcode == IORING_REGISTER_SEND_MSG_RING ||
			 opcode == IORING_REGISTER_BUFFERS2 ||
			 opcode == IORING_REGISTER_FILES2 ||
			 opcode == IORING_REGISTER_BUFFERS_UPDATE ||
			 opcode == IORING_REGISTER_FILES_UPDATE2))
		child.shared = true;
	/* these are the task's, without a ring; and its registered rings are too */
	if (opcode == IORING_REGISTER_RING_FDS ||
	    (ring->fd < 0 && (opcode == IORING_REGISTER_RESTRICTIONS ||
			      opcode == IORING_REGISTER_BPF_FILTER)))
		child.stays = true;
	ret = ring_register(none ? NULL : ring, opcode, arg.p, arg.nr);
	if (!ret && opcode == IORING_REGISTER_QUERY && !op->a[1])
		check_query(&arg);
	if (!ret && opcode == IORING_REGISTER_RESIZE_RINGS)
		ring_remap(ring, arg.p);
}
