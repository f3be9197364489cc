// SPDX-License-Identifier: GPL-2.0
/*
 * Every bad send: what its CQE says, and what came of it. Bad updates are in
 * badflush.c, bad calls of IORING_REGISTER_NOTIFIERS in register.c.
 */
#include "badslots.h"

#define KERNEL_ADDR	0xffff888000001000ULL
#define UNMAPPED	8ULL

/* descriptors of whatever is no connected UDP socket */
enum { FD_PIPE = 100, FD_UNIX, FD_UNCONNECTED, FD_SHUT };

static char buf[1 << 20];
static struct sockaddr_storage unknown_family = { .ss_family = AF_MAX };
static struct iovec iov = { buf, 100 };
static struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

static struct iovec iov_unmapped = { (void *)UNMAPPED, 100 };
static struct iovec iov_negative = { buf, -1 };
static struct iovec iov_long = { buf, sizeof(buf) };
static struct msghdr msg_bad_iov = { .msg_iov = (void *)UNMAPPED,
				     .msg_iovlen = 2 };
static struct msghdr msg_unmapped = { .msg_iov = &iov_unmapped,
				      .msg_iovlen = 1 };
static struct msghdr msg_negative = { .msg_iov = &iov_negative,
				      .msg_iovlen = 1 };
static struct msghdr msg_long = { .msg_iov = &iov_long, .msg_iovlen = 1 };
static struct msghdr msg_many = { .msg_iov = &iov, .msg_iovlen = 1025 };
static struct msghdr msg_bad_name = { .msg_iov = &iov, .msg_iovlen = 1,
				      .msg_name = (void *)UNMAPPED,
				      .msg_namelen = 16 };

/* What mainline refuses too: its SEND_ZC and SENDMSG_ZC have to answer alike. */
static const struct bad_request as_send_zc[] = {
	BAD_ATTACHED(-EBADF, TO(fd, -1)),
	BAD_ATTACHED(-ENOTSOCK, TO(fd, FD_PIPE)),
	BAD_ATTACHED(-EOPNOTSUPP, TO(fd, FD_UNIX)),
	BAD_ATTACHED(-EDESTADDRREQ, TO(fd, FD_UNCONNECTED)),
	BAD_ATTACHED(-EPIPE, TO(fd, FD_SHUT)),
	BAD_ATTACHED(-EBADF, TO(flags, IOSQE_FIXED_FILE)),
	BAD_ATTACHED(-EOPNOTSUPP, TO(msg_flags, MSG_OOB)),
	BAD(-EOPNOTSUPP, TO(flags, IOSQE_BUFFER_SELECT)),
	BAD(-EINVAL, TO(flags, 1 << 7)),
	BAD(-EINVAL, TO(personality, 77)),
	BAD(-EINVAL, TO(__pad2[0], 1)),
	BAD(-EINVAL, TO(__pad2[0], 1ULL << 63)),
	BAD_IOPRIO(1), BAD_IOPRIO(4), BAD_IOPRIO(9), BAD_IOPRIO(10),
	BAD_IOPRIO(11), BAD_IOPRIO(12), BAD_IOPRIO(13), BAD_IOPRIO(14),
	BAD_IOPRIO(15),
	/* buffer 0 is registered, and not what is sent; there is no buffer 7 */
	{ .what = "outside of the buffer", .ioprio = IORING_RECVSEND_FIXED_BUF,
	  .res = -EFAULT, .attached = true },
	{ .what = "buf_index 7", .ioprio = IORING_RECVSEND_FIXED_BUF,
	  .change = { TO(buf_index, 7) }, .res = -EFAULT, .attached = true },

	BAD_SEND(-EFAULT, false, 0, TO(addr, KERNEL_ADDR)),
	BAD_SEND(-EFAULT, true, 0, TO(addr, UNMAPPED)),
	BAD_SEND(-EMSGSIZE, true, 0, TO(len, sizeof(buf))),
	BAD_SEND(-EFAULT, false, 0, TO(addr2, UNMAPPED), TO(addr_len, 16)),
	BAD_SEND(-EFAULT, false, 0, TO(addr2, KERNEL_ADDR), TO(addr_len, 16)),
	BAD_SEND(-EINVAL, false, 0, TO(addr2, buf), TO(addr_len, 129)),
	BAD_SEND(-EINVAL, false, 0, TO(addr2, buf), TO(addr_len, 0xffff)),
	BAD_SEND(-EINVAL, true, 0, TO(addr2, buf), TO(addr_len, 1)),
	BAD_SEND(-EAFNOSUPPORT, true, 0, TO(addr2, &unknown_family),
		 TO(addr_len, 128)),
	BAD_SEND(-EFAULT, false, IORING_SEND_VECTORIZED,
		 TO(addr, UNMAPPED), TO(len, 2)),
	BAD_SEND(-EFAULT, true, IORING_SEND_VECTORIZED,
		 TO(addr, &iov_unmapped), TO(len, 1)),
	BAD_SEND(-EINVAL, false, IORING_SEND_VECTORIZED,
		 TO(addr, &iov), TO(len, 1025)),

	BAD_SENDMSG(-EINVAL, false, TO(addr2, 1)),
	BAD_SENDMSG(-EINVAL, false, TO(addr_len, 1)),
	BAD_SENDMSG(-EINVAL, false, TO(addr_len, 0x8000)),
	BAD_SENDMSG(-EFAULT, false, TO(addr, UNMAPPED)),
	BAD_SENDMSG(-EFAULT, false, TO(addr, KERNEL_ADDR)),
	BAD_SENDMSG(-EFAULT, false, TO(addr, &msg_bad_iov)),
	BAD_SENDMSG(-EFAULT, false, TO(addr, &msg_bad_name)),
	BAD_SENDMSG(-EINVAL, false, TO(addr, &msg_negative)),
	BAD_SENDMSG(-EMSGSIZE, false, TO(addr, &msg_many)),
	BAD_SENDMSG(-EFAULT, true, TO(addr, &msg_unmapped)),
	BAD_SENDMSG(-EMSGSIZE, true, TO(addr, &msg_long)),
};

/* What can only be wrong with a slot. */
static const struct bad_request bad_slot_sends[] = {
	BAD(-EINVAL, TO(notification_idx, NR_SLOTS)),
	BAD(-EINVAL, TO(notification_idx, NR_SLOTS + SLOT)),
	BAD(-EINVAL, TO(notification_idx, 0x7fff)),
	BAD(-EINVAL, TO(notification_idx, 0x8000)),
	BAD(-EINVAL, TO(notification_idx, 0xffff)),
	/* the tag is the slot's */
	BAD(-EINVAL, TO(addr3, 1)),
	BAD(-EINVAL, TO(addr3, 1ULL << 63)),
	BAD(-EINVAL, TO(ioprio, IORING_RECVSEND_NOTIF_FLUSH)),
	BAD(-EINVAL, TO(ioprio, IORING_RECVSEND_NOTIF_FLUSH),
	    TO(notification_idx, 0)),
};

static const int opcodes[] = { IORING_OP_SEND_ZC, IORING_OP_SENDMSG_ZC };

static void open_bad_files(struct __test_metadata *_metadata,
			   FIXTURE_DATA(slots) *self)
{
	static char other[4096];
	struct iovec registered = { other, sizeof(other) };
	int fds[2];

	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &registered, 1));
	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(FD_PIPE, dup2(fds[1], FD_PIPE));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
	ASSERT_EQ(FD_UNIX, dup2(fds[0], FD_UNIX));
	ASSERT_EQ(FD_UNCONNECTED,
		  dup2(socket(AF_INET, SOCK_DGRAM, 0), FD_UNCONNECTED));
	fds[0] = socket(AF_INET, SOCK_DGRAM, 0);
	ASSERT_EQ(0, connect(fds[0], (struct sockaddr *)&self->net.to,
			     self->net.to_len));
	ASSERT_EQ(0, shutdown(fds[0], SHUT_RDWR));
	ASSERT_EQ(FD_SHUT, dup2(fds[0], FD_SHUT));
}

/* A send of which only the row's change is wrong. */
static void prep_bad(FIXTURE_DATA(slots) *self, const struct bad_request *bad,
		     int opcode, unsigned int ioprio)
{
	bool is_msg = opcode == IORING_OP_SENDMSG_ZC;
	bool in_slot = ioprio & IORING_SEND_ZC_NOTIF_SLOT;
	struct io_uring_sqe *sqe;

	sqe = prep_slot_send(&self->ring, self->net.tx,
			     is_msg ? (void *)&msg : buf, is_msg ? 1 : 100,
			     in_slot ? SLOT : 0, 0);
	sqe->opcode = opcode;
	sqe->user_data = REQ(1);
	sqe->ioprio = ioprio | bad->ioprio;
	apply(sqe, bad);
}

/* Both flags are on a request that fails: one that was attached has flushed. */
static void assert_refused(struct __test_metadata *_metadata,
			   FIXTURE_DATA(slots) *self,
			   const struct bad_request *bad, int opcode,
			   unsigned int *seq)
{
	struct io_uring_cqe cqe = {};

	prep_bad(self, bad, opcode, IORING_SEND_ZC_NOTIF_SLOT |
				    IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_EQ(0, ring_next(&self->ring, &cqe));
	ASSERT_EQ(REQ(1), cqe.user_data);
	ASSERT_EQ(bad->res, cqe.res)
		TH_LOG("opcode %d: %s", opcode, bad->what);
	ASSERT_EQ(0, cqe.flags)
		TH_LOG("opcode %d: %s", opcode, bad->what);
	if (bad->attached)
		ASSERT_NOTIF(&self->ring, TAG(SLOT), (*seq)++);
	ASSERT_UNCHANGED(SLOT, false, *seq, bad->what);
}

/* Outside of slot mode: the same answer, and perhaps a notification after it. */
static void assert_mainline_alike(struct __test_metadata *_metadata,
				  FIXTURE_DATA(slots) *self,
				  const struct bad_request *bad, int opcode)
{
	struct io_uring_cqe cqe = {};

	prep_bad(self, bad, opcode, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_EQ(0, ring_next(&self->ring, &cqe));
	ASSERT_EQ(bad->res, cqe.res)
		TH_LOG("not in a slot: opcode %d: %s", opcode, bad->what);
	if (cqe.flags & IORING_CQE_F_MORE)
		ASSERT_CQE(&self->ring, REQ(1), 0, IORING_CQE_F_NOTIF);
}

/* All rows of a table, on each opcode that they are for. */
static void assert_table(struct __test_metadata *_metadata,
			 FIXTURE_DATA(slots) *self,
			 const struct bad_request *bad, unsigned int nr,
			 bool in_mainline)
{
	unsigned int seq = 0, i;

	for (; nr; nr--, bad++)
		for (i = 0; i < ARRAY_SIZE(opcodes); i++) {
			if (bad->opcode && bad->opcode != opcodes[i])
				continue;
			assert_refused(_metadata, self, bad, opcodes[i], &seq);
			if (in_mainline)
				assert_mainline_alike(_metadata, self, bad,
						      opcodes[i]);
		}
	ASSERT_ALL_UNCHANGED(seq);
}

TEST_F(slots, contract_10_as_send_zc)
{
	open_bad_files(_metadata, self);
	assert_table(_metadata, self, as_send_zc, ARRAY_SIZE(as_send_zc), true);
}

TEST_F(slots, contract_10_bad_slot_sends)
{
	assert_table(_metadata, self, bad_slot_sends, ARRAY_SIZE(bad_slot_sends),
		     false);
}

/* A request of another opcode in which at most the ioprio is wrong. */
static void prep_other(FIXTURE_DATA(slots) *self, int opcode,
		       unsigned int ioprio)
{
	bool is_msg = opcode == IORING_OP_SENDMSG || opcode == IORING_OP_RECVMSG;
	struct io_uring_sqe *sqe = ring_sqe(&self->ring);

	*sqe = (struct io_uring_sqe){
		.opcode = opcode,
		.fd = -1,
		.ioprio = ioprio,
		.addr = opcode == IORING_OP_ACCEPT ? 0 :
			(unsigned long)(is_msg ? (void *)&msg : buf),
		.len = opcode == IORING_OP_FILES_UPDATE,
		.user_data = REQ(1),
	};
}

static int other_result(FIXTURE_DATA(slots) *self, int opcode,
			unsigned int ioprio)
{
	struct io_uring_cqe cqe = {};

	prep_other(self, opcode, ioprio);
	if (ring_submit(&self->ring) != 1 || ring_next(&self->ring, &cqe))
		return 1;
	return cqe.user_data == REQ(1) && !cqe.flags ? cqe.res : 1;
}

/* These bits are a hint there: the request fails, but for its descriptor. */
static bool has_io_priority(int opcode)
{
	switch (opcode) {
	case IORING_OP_READ: case IORING_OP_READV:
	case IORING_OP_READ_FIXED: case IORING_OP_READV_FIXED:
	case IORING_OP_WRITE: case IORING_OP_WRITEV:
	case IORING_OP_WRITE_FIXED: case IORING_OP_WRITEV_FIXED:
		return true;
	}
	return false;
}

/* On all that there are; most take no ioprio at all. */
TEST_F(slots, contract_10_other_opcodes)
{
	static const struct {
		int opcode, res;	/* with no flag at all */
	} take_flags[] = {
		{ IORING_OP_SEND, -EBADF }, { IORING_OP_SENDMSG, -EBADF },
		{ IORING_OP_RECV, -EBADF }, { IORING_OP_RECVMSG, -EBADF },
		{ IORING_OP_ACCEPT, -EBADF }, { IORING_OP_FILES_UPDATE, -ENXIO },
	};
	unsigned int seq = 0, i;
	int opcode;

	for (i = 0; i < ARRAY_SIZE(take_flags); i++)
		ASSERT_EQ(take_flags[i].res,
			  other_result(self, take_flags[i].opcode, 0))
			TH_LOG("opcode %d", take_flags[i].opcode);
	for (opcode = 0; opcode < IORING_OP_LAST; opcode++) {
		if (opcode == IORING_OP_SEND_ZC ||
		    opcode == IORING_OP_SENDMSG_ZC)
			continue;
		for (i = 1; i < 8; i++) {
			int res = other_result(self, opcode, i << 6);

			if (has_io_priority(opcode) && res < 0)
				continue;
			ASSERT_EQ(-EINVAL, res)
				TH_LOG("opcode %d, ioprio %#x", opcode, i << 6);
		}
	}
	ASSERT_ALL_UNCHANGED(seq);
}

TEST_F(slots, contract_10_no_slots)
{
	const struct bad_request good = {};
	unsigned int i;

	ASSERT_EQ(0, unregister_slots(&self->ring));
	for (i = 0; i < ARRAY_SIZE(opcodes); i++) {
		prep_bad(self, &good, opcodes[i], IORING_SEND_ZC_NOTIF_SLOT);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(1), -EINVAL, 0);
	}
	prep_flush(&self->ring, 0, 1, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, FLUSH_REQ, -EINVAL, 0);

	/* and these begin with number 0 */
	ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));
	ASSERT_ALL_UNCHANGED(0);
}

NOTIF_TEST_MAIN
