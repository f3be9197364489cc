// SPDX-License-Identifier: GPL-2.0
/* Requests: what stands for an address becomes one. */
#include <limits.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "child.h"
#include "fuzz.h"

/* as much as a program needs, or else it changes what the kernel has yet to read */
#define SCRATCH_LEN	(1024 << 10)
#define MAX_IOVECS	1026

/* Memory that nobody unmaps: what the kernel reads while it prepares a request. */
void *scratch(size_t len)
{
	static char pool[SCRATCH_LEN];
	static size_t used;
	size_t at;

	len = (len + 63) & -64UL;
	if (len > sizeof(pool)) {
		void *map = mmap(NULL, len, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		return map == MAP_FAILED ? NULL : map;
	}
	at = __atomic_fetch_add(&used, len, __ATOMIC_RELAXED);
	/* what is used twice has been read long ago, or should have been */
	return pool + (at + len > sizeof(pool) ? at % (sizeof(pool) - len + 1) & -64UL :
		       at);
}

unsigned int draw_iovecs(struct iovec *iov, unsigned int nr, bool aligned)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		unsigned long offset = rnd_one_in(&aux, 3) ? 0 :
				       rnd_below(&aux, DATA_LEN);
		size_t len = rnd_size(&aux, DATA_LEN);

		if (aligned)
			offset &= -4096UL;
		if (!rnd_one_in(&aux, 16) && len > DATA_LEN - offset)
			len = DATA_LEN - offset;
		if (rnd_one_in(&aux, 16))
			len = 0;
		/* side by side */
		if (i && rnd_one_in(&aux, 4))
			offset = (char *)iov[i - 1].iov_base - DATA + iov[i - 1].iov_len;
		iov[i].iov_base = DATA + offset;
		iov[i].iov_len = len;
		if (rnd_one_in(&aux, 64))
			iov[i].iov_base = (void *)value64(&aux);
		if (rnd_one_in(&aux, 64))
			iov[i].iov_len = value64(&aux);
	}
	return nr;
}

static struct iovec *make_iovecs(unsigned int *nr)
{
	const bool taken = rnd_one_in(&aux, 8);
	struct iovec *iov;
	unsigned int i;

	if (*nr > MAX_IOVECS)
		*nr = MAX_IOVECS;
	iov = scratch((*nr ?: 1) * sizeof(*iov));
	if (!iov)
		return NULL;
	draw_iovecs(iov, *nr, false);
	/* of a buffer that the kernel has made, which lies nowhere */
	for (i = 0; taken && i < *nr; i++) {
		iov[i].iov_base -= (unsigned long)DATA;
		iov[i].iov_len &= 0xfff;
	}
	return iov;
}

static void make_control(struct msghdr *msg)
{
	static const struct {
		int level, type, len;
	} kinds[] = {
		{ IPPROTO_UDP, UDP_SEGMENT, 2 },
		{ IPPROTO_UDP, UDP_SEGMENT, 2 },
		{ IPPROTO_IP, IP_TOS, 4 },
		{ IPPROTO_IP, IP_TTL, 4 },
		{ SOL_SOCKET, SO_MARK, 4 },
		{ SOL_SOCKET, SCM_RIGHTS, 4 },
		{ SOL_SOCKET, SO_TXTIME, 8 },
		{ IPPROTO_IPV6, IPV6_HOPLIMIT, 4 },
	};
	unsigned int kind = rnd_below(&aux, ARRAY_SIZE(kinds));
	struct cmsghdr *cmsg = scratch(64);
	__u64 value = rnd_one_in(&aux, 2) ? 1000 : value64(&aux);

	cmsg->cmsg_level = kinds[kind].level;
	cmsg->cmsg_type = kinds[kind].type;
	cmsg->cmsg_len = CMSG_LEN(kinds[kind].len);
	if (cmsg->cmsg_type == SCM_RIGHTS)
		value = child.rings[0].fd;
	memcpy(CMSG_DATA(cmsg), &value, 8);
	msg->msg_control = cmsg;
	msg->msg_controllen = rnd_one_in(&aux, 12) ? value32(&aux) :
			      CMSG_SPACE(kinds[kind].len);
}

static struct msghdr *make_msg(void)
{
	struct msghdr *msg = scratch(sizeof(*msg));
	unsigned int nr = rnd_one_in(&aux, 48) ? value32(&aux) : rnd_below(&aux, 9);

	memset(msg, 0, sizeof(*msg));
	msg->msg_iov = make_iovecs(&nr);
	msg->msg_iovlen = nr;
	if (rnd_one_in(&aux, 4))
		make_control(msg);
	if (rnd_one_in(&aux, 4)) {
		msg->msg_name = &child.names[rnd_below(&aux, NR_FDS)];
		msg->msg_namelen = rnd_one_in(&aux, 8) ? value32(&aux) :
				   sizeof(struct sockaddr_in);
	}
	return msg;
}

static void spoil_dgram(struct io_uring_dgram *one)
{
	switch (rnd_below(&aux, 6)) {
	case 0:
		one->addr = value64(&aux);
		break;
	case 1:
		one->name = value64(&aux);
		break;
	case 2:
		one->len = value32(&aux);
		break;
	case 3:
		one->name_len = rnd_below(&aux, 32);
		break;
	case 4:
		one->name_len = value32(&aux);
		break;
	default:
		one->resv = value64(&aux);
		break;
	}
}

static struct io_uring_dgram *make_dgrams(unsigned int nr)
{
	/* with all that there may be in them hardly any gets to its end */
	const bool plain = rnd_one_in(&aux, 2);
	struct io_uring_dgram *dgrams;
	unsigned int bad, i;

	/* one that is too many is read by nobody */
	if (nr > IORING_MAX_SEND_ZC_MANY)
		nr = IORING_MAX_SEND_ZC_MANY;
	bad = !plain && rnd_one_in(&aux, 6) ? rnd_below(&aux, nr) : nr;
	dgrams = scratch((nr ?: 1) * sizeof(*dgrams));
	memset(dgrams, 0, nr * sizeof(*dgrams));
	for (i = 0; i < nr; i++) {
		struct io_uring_dgram *one = &dgrams[i];

		one->len = rnd_one_in(&aux, 16) ? 0 :
			   rnd_size(&aux, !plain && rnd_one_in(&aux, 8) ? 65507 :
				    2000);
		one->addr = (unsigned long)DATA +
			    rnd_below(&aux, plain ? DATA_LEN - 2000 : DATA_LEN);
		if (plain)
			continue;
		if (rnd_one_in(&aux, 4)) {
			one->name = (unsigned long)&child.names[rnd_below(&aux, NR_FDS)];
			one->name_len = rnd_one_in(&aux, 2) ?
				sizeof(struct sockaddr_in) :
				sizeof(struct sockaddr_in6);
		}
		if (rnd_one_in(&aux, 8))
			one->gso_size = rnd_one_in(&aux, 8) ? value32(&aux) : 500;
	}
	if (bad < nr)
		spoil_dgram(&dgrams[bad]);
	return dgrams;
}

static __u64 request_before(const struct op *op, unsigned int nr)
{
	return ud(UD_REQUEST, op->ring % NR_RINGS, 0, child.nr_requests - nr);
}

static __u64 address(const struct op *op, enum addr_mode mode, __u64 raw)
{
	struct __kernel_timespec *ts;
	unsigned int nr = op->sqe.len;
	int *fds;

	switch (mode) {
	case ADDR_DATA:
		return (unsigned long)DATA + raw;
	case ADDR_MSG:
		return (unsigned long)make_msg();
	case ADDR_IOV:
		return (unsigned long)make_iovecs(&nr);
	case ADDR_DGRAMS:
		return (unsigned long)make_dgrams(nr);
	case ADDR_TIME:
		ts = scratch(sizeof(*ts));
		ts->tv_sec = 0;
		ts->tv_nsec = raw * 1000000;
		return (unsigned long)ts;
	case ADDR_REQUEST:
		return request_before(op, raw & 0xffffff);
	case ADDR_FDS:
		fds = scratch(8 * sizeof(int));
		for (nr = 0; nr < 8; nr++)
			fds[nr] = rnd_one_in(&aux, 6) ? -1 :
				  child.fds[rnd_below(&aux, NR_FDS)];
		return (unsigned long)fds;
	case ADDR_TAG:
		return raw ? odd_add(raw) :
		       ud(op->sqe.opcode == IORING_OP_MSG_RING ? UD_MESSAGE : UD_TAG,
			  op->ring, 0, op->seed);
	case ADDR_NAME:
		return (unsigned long)&child.names[raw % NR_FDS];
	default:
		return raw;
	}
}

static int file(const struct op *op)
{
	switch (op->fd_mode) {
	case FD_OURS:
		return child.fds[op->fd % NR_FDS];
	case FD_RING:
		return child.rings[op->fd % NR_RINGS].fd;
	default:
		return op->sqe.fd;
	}
}

/* What these have in these fields comes back as user_data, or goes on as it. */
static void note_odd(const struct op *op, struct io_uring_sqe *sqe)
{
	switch (sqe->opcode) {
	case IORING_OP_MSG_RING:
	case IORING_OP_POLL_REMOVE:
		if (op->addr2_mode != ADDR_TAG)
			sqe->off = odd_add(sqe->off);
		break;
	case IORING_OP_RSRC_UPDATE:
		if (op->addr_mode != ADDR_TAG && op->addr_mode != ADDR_FDS)
			sqe->addr = odd_add(sqe->addr);
		break;
	}
}

/* The answer to what cannot be attached comes once, too. */
static bool asks_for_slot(const struct io_uring_sqe *sqe)
{
	return (sqe->opcode == IORING_OP_SEND_ZC ||
		sqe->opcode == IORING_OP_SENDMSG_ZC) &&
	       sqe->ioprio & IORING_SEND_ZC_NOTIF_SLOT;
}

/* How many bytes it can take, or -1: it is refused. */
static int most_taken(const struct io_uring_sqe *sqe)
{
	if (sqe->rw_flags || sqe->addr3 || sqe->__pad2[0] || !sqe->len ||
	    sqe->len > IORING_GET_BUF_MAX || sqe->optlen > sqe->len ||
	    sqe->ioprio & ~(IORING_RECVSEND_POLL_FIRST | IORING_GET_BUF_REPLACE))
		return -1;
	return sqe->len;
}

/*
 * How many datagrams it can send, how many bytes take, how many buffers give up, of
 * those who say how many.
 */
static int most(const struct io_uring_sqe *sqe)
{
	if (sqe->opcode == IORING_OP_GET_BUF)
		return most_taken(sqe);
	if (sqe->opcode == IORING_OP_RSRC_UPDATE &&
	    sqe->ioprio == IORING_RSRC_UPDATE_BUF)
		return sqe->addr ? -1 : sqe->len > INT_MAX ? INT_MAX : (int)sqe->len;
	if ((sqe->opcode != IORING_OP_SEND_ZC &&
	     sqe->opcode != IORING_OP_SENDMSG_ZC) ||
	    !(sqe->ioprio & IORING_SEND_ZC_MANY))
		return INT_MAX;
	/* these are refused */
	if (sqe->opcode != IORING_OP_SEND_ZC || !asks_for_slot(sqe) ||
	    sqe->ioprio & IORING_SEND_VECTORIZED || sqe->addr2 || sqe->addr_len ||
	    !sqe->len || sqe->len > IORING_MAX_SEND_ZC_MANY)
		return -1;
	return sqe->len;
}

/* What comes after it in memory, the next slot, or the next registered buffer. */
static void go_on(const struct op *op, struct io_uring_sqe *sqe, unsigned int nth)
{
	if (op->addr_mode == ADDR_DATA)
		sqe->addr += (__u64)nth * sqe->len % DATA_LEN;
	if (sqe->opcode == IORING_OP_GET_BUF ||
	    sqe->ioprio & IORING_RECVSEND_FIXED_BUF)
		sqe->buf_index += nth;
	else if (asks_for_slot(sqe))
		sqe->notification_idx += nth;
}

static void queue_request(const struct op *op, unsigned int nth)
{
	struct ring *ring = &child.rings[op->ring % NR_RINGS];
	struct io_uring_sqe sqe = op->sqe;
	struct request *request;

	if (!ring->open)
		return;
	child_lock();
	if (nth)
		go_on(op, &sqe, nth);
	sqe.fd = file(op);
	sqe.addr = address(op, op->addr_mode, sqe.addr);
	if (op->addr2_mode)
		sqe.addr2 = address(op, op->addr2_mode, sqe.addr2);
	note_odd(op, &sqe);
	request = &child.requests[child.nr_requests % MAX_REQUESTS];
	request->cqes = 0;
	request->most = most(&sqe);
	request->takes = sqe.opcode == IORING_OP_GET_BUF;
	request->attached = asks_for_slot(&sqe);
	if (request->attached)
		ring->attached++;
	ring->reported |= sqe.ioprio & IORING_SEND_ZC_REPORT_USAGE;
	sqe.user_data = ud(UD_REQUEST, op->ring % NR_RINGS, 0, child.nr_requests++);
	ring_queue(ring, &sqe);
	common->workers[me].requests++;
	child_unlock();
}

void exec_sqe(const struct op *op)
{
	unsigned int nth = 0;

	do {
		queue_request(op, nth++);
	} while (nth < op->times);
}
