// SPDX-License-Identifier: GPL-2.0
/*
 * One and only one CQE of a merged request that doesn't succeed: it fails, in
 * its preparation or later, is cancelled, or is part of a chain that breaks.
 */
#include "merge.h"

#define KERNEL_ADDR	0xffff888000001000ULL
#define UNMAPPED	8ULL

/* descriptors of whatever is no connected UDP socket */
enum { FD_PIPE = 100, FD_UNIX, FD_UNCONNECTED, FD_SHUT };

/* A request with what is wrong in it. */
static const struct failure {
	const char *what;
	int res;
	bool refused;		/* in its preparation: it is never attached */
	int fd;			/* 0: the right one */
	size_t len;
	__u64 addr, addr3;
	unsigned int ioprio, slot, buf_index, msg_flags;
} failures[] = {
	{ "no file", -EBADF, .fd = -1 },
	{ "no socket", -ENOTSOCK, .fd = FD_PIPE },
	{ "can't send without copying", -EOPNOTSUPP, .fd = FD_UNIX },
	{ "not connected", -EDESTADDRREQ, .fd = FD_UNCONNECTED },
	{ "shut down", -EPIPE, .fd = FD_SHUT },
	{ "too long", -EMSGSIZE, .len = BIG_LEN },
	{ "out of band", -EOPNOTSUPP, .msg_flags = MSG_OOB },
	{ "unmapped", -EFAULT, .addr = UNMAPPED },
	{ "outside of the buffer", -EFAULT, .addr = UNMAPPED,
	  .ioprio = IORING_RECVSEND_FIXED_BUF },
	{ "no such buffer", -EFAULT, .buf_index = 7,
	  .ioprio = IORING_RECVSEND_FIXED_BUF },
	{ "kernel's memory", -EFAULT, true, .addr = KERNEL_ADDR },
	{ "reserved field", -EINVAL, true, .addr3 = 1 },
	{ "bad flag", -EINVAL, true, .ioprio = 1U << 9 },
	{ "no such slot", -EINVAL, true, .slot = 0x7fff },
};

static void open_bad_files(struct __test_metadata *_metadata,
			   FIXTURE_DATA(merge) *self)
{
	int fds[2];

	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(FD_PIPE, dup2(fds[1], FD_PIPE));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
	ASSERT_EQ(FD_UNIX, dup2(fds[0], FD_UNIX));
	ASSERT_EQ(FD_UNCONNECTED,
		  dup2(socket(AF_INET, SOCK_DGRAM, 0), FD_UNCONNECTED));
	fds[0] = socket(AF_INET, SOCK_DGRAM, 0);
	ASSERT_EQ(0, connect(fds[0], (struct sockaddr *)&self->udp.to,
			     self->udp.to_len));
	ASSERT_EQ(0, shutdown(fds[0], SHUT_RDWR));
	ASSERT_EQ(FD_SHUT, dup2(fds[0], FD_SHUT));
}

static struct io_uring_sqe *prep_failure(FIXTURE_DATA(merge) *self,
					 const struct failure *f,
					 unsigned int slot, unsigned int ioprio)
{
	struct io_uring_sqe *sqe;

	sqe = prep_slot_send(&self->ring, f->fd ?: self->udp.tx, self->data,
			     f->len ?: SMALL_LEN, f->slot ?: slot,
			     f->ioprio | ioprio);
	if (f->addr)
		sqe->addr = f->addr;
	sqe->addr3 = f->addr3;
	sqe->buf_index = f->buf_index;
	sqe->msg_flags |= f->msg_flags;
	return sqe;
}

/* Each for itself, in line and by io-wq, in both kinds of slot. */
TEST_F(merge, contract_13_failed_has_one_cqe)
{
	unsigned int i, way, seq = 0;

	open_bad_files(_metadata, self);
	for (i = 0; i < ARRAY_SIZE(failures); i++) {
		const struct failure *f = &failures[i];

		for (way = 0; way < 4; way++) {
			struct io_uring_cqe cqe = {};
			struct io_uring_sqe *sqe;

			sqe = prep_failure(self, f, way & 1 ? EACH : GROUP,
					   way & 1 ? 0 : FLUSH);
			sqe->flags = way & 2 ? IOSQE_ASYNC : 0;
			sqe->user_data = REQ(i);
			ASSERT_SUBMIT(&self->ring, 1);
			ASSERT_EQ(0, ring_next(&self->ring, &cqe))
				TH_LOG("%s, %u: lost", f->what, way);
			ASSERT_EQ(REQ(i), cqe.user_data)
				TH_LOG("%s, %u", f->what, way);
			ASSERT_EQ(f->res, cqe.res)
				TH_LOG("%s, %u", f->what, way);
			ASSERT_EQ(0, cqe.flags)
				TH_LOG("%s, %u", f->what, way);
			seq += !(way & 1) && !f->refused;
		}
	}
	ASSERT_QUIET(&self->ring);
	/* those that were attached have flushed, the others have not */
	ASSERT_SLOT_FLUSHED(GROUP, seq);
}

/* A failure among the others of a group is told by its own CQE, at once. */
TEST_F(merge, contract_13_third_of_eight_fails)
{
	unsigned int round, i;

	open_bad_files(_metadata, self);
	for (round = 0; round < ARRAY_SIZE(failures); round++) {
		const struct failure *f = &failures[round];
		struct answers all;

		for (i = 0; i < 8; i++) {
			struct io_uring_sqe *sqe;

			if (i == 2)
				sqe = prep_failure(self, f, GROUP, 0);
			else
				sqe = SEND_SMALL(GROUP, i == 7 ? FLUSH : 0);
			sqe->user_data = REQ(i);
		}
		ASSERT_SUBMIT(&self->ring, 8);
		TAKE(&all, 8);
		for (i = 0; i < 8; i++) {
			int res = i == 2 ? f->res : SMALL_LEN;

			ASSERT_ANSWERED(&all, REQ(i), res)
				TH_LOG("%s: request %u", f->what, i);
			if (res > 0)
				ASSERT_SMALL_RECEIVED();
		}
		ASSERT_EQ(7, place_of(&all, REQ(7), SMALL_LEN, 0));
	}
	ASSERT_QUIET(&self->ring);
}

/* The bearer fails, and yet it tells of the memory of all the others. */
TEST_F(merge, contract_13_bearer_fails_with_memory_in_use)
{
	unsigned int i;

	open_bad_files(_metadata, self);
	for (i = 0; i < ARRAY_SIZE(failures); i++) {
		if (failures[i].refused)
			continue;
		SEND_BIG(GROUP, 0);
		prep_failure(self, &failures[i], GROUP, FLUSH)->user_data = REQ(1);
		ASSERT_SUBMIT(&self->ring, 2);
		ASSERT_CQE(&self->ring, REQ(0), BIG_LEN, 0);
		ASSERT_QUIET(&self->ring);
		ASSERT_BIG_RECEIVED();
		ASSERT_MERGED(REQ(1), failures[i].res);
	}
}

/* What fails in front, whether it is in a slot or not: all of it is answered. */
TEST_F(merge, contract_13_chain_broken_in_front)
{
	unsigned int way, i;

	for (way = 0; way < 8; way++) {
		const unsigned int async = way & 1 ? IOSQE_ASYNC : 0;
		const unsigned int slot = way & 2 ? EACH : GROUP;
		const bool nop = way & 4;
		struct answers all;

		if (nop) {
			prep_nop(&self->ring, -EIO)->flags = IOSQE_IO_LINK | async;
		} else {
			struct io_uring_sqe *sqe = SEND_SMALL(PLAIN, 0);

			sqe->fd = -1;
			sqe->flags = IOSQE_IO_LINK | async;
			sqe->user_data = NOP_DONE;
		}
		for (i = 0; i < 3; i++) {
			struct io_uring_sqe *sqe = SEND_SMALL(slot, FLUSH);

			sqe->flags = (i < 2 ? IOSQE_IO_LINK : 0) | async;
			sqe->user_data = REQ(i);
		}
		ASSERT_SUBMIT(&self->ring, 4);
		TAKE(&all, 4);
		ASSERT_ANSWERED(&all, NOP_DONE, nop ? -EIO : -EBADF);
		for (i = 0; i < 3; i++)
			ASSERT_ANSWERED(&all, REQ(i), -ECANCELED)
				TH_LOG("way %u: request %u", way, i);
	}
	ASSERT_QUIET(&self->ring);
	ASSERT_SLOT_FLUSHED(GROUP, 3 * 4);
}

/* It is the merged request itself that fails, and what follows is cancelled. */
TEST_F(merge, contract_13_chain_broken_at_it)
{
	unsigned int round, i;

	open_bad_files(_metadata, self);
	for (round = 0; round < 2 * ARRAY_SIZE(failures); round++) {
		const struct failure *f = &failures[round / 2];
		const unsigned int async = round & 1 ? IOSQE_ASYNC : 0;
		struct answers all;

		SEND_SMALL(EACH, 0)->flags = IOSQE_IO_LINK | async;
		for (i = 1; i < 4; i++) {
			struct io_uring_sqe *sqe;

			if (i == 1)
				sqe = prep_failure(self, f, GROUP, FLUSH);
			else
				sqe = SEND_SMALL(EACH, 0);
			sqe->flags = (i < 3 ? IOSQE_IO_LINK : 0) | async;
			sqe->user_data = REQ(i);
		}
		ASSERT_SUBMIT(&self->ring, 4);
		TAKE(&all, 4);
		/* a chain of which a part can't be prepared doesn't even begin */
		ASSERT_ANSWERED(&all, REQ(0),
				f->refused ? -ECANCELED : SMALL_LEN)
			TH_LOG("%s", f->what);
		ASSERT_ANSWERED(&all, REQ(1), f->res)
			TH_LOG("%s", f->what);
		for (i = 2; i < 4; i++)
			ASSERT_ANSWERED(&all, REQ(i), -ECANCELED)
				TH_LOG("%s: request %u", f->what, i);
		if (!f->refused)
			ASSERT_SMALL_RECEIVED();
	}
	ASSERT_QUIET(&self->ring);
}

/* The chain goes on behind a failure: each has its own result, once. */
TEST_F(merge, contract_13_hard_chain_goes_on)
{
	unsigned int round, i;

	open_bad_files(_metadata, self);
	for (round = 0; round < ARRAY_SIZE(failures); round++) {
		const struct failure *f = &failures[round];
		struct answers all;

		if (f->refused)
			continue;
		for (i = 0; i < 4; i++) {
			struct io_uring_sqe *sqe;

			if (i == 1)
				sqe = prep_failure(self, f, EACH, 0);
			else
				sqe = SEND_SMALL(i == 2 ? GROUP : EACH,
						 i == 2 ? FLUSH : 0);
			sqe->flags = i < 3 ? IOSQE_IO_HARDLINK : 0;
			sqe->user_data = REQ(i);
		}
		ASSERT_SUBMIT(&self->ring, 4);
		TAKE(&all, 4);
		for (i = 0; i < 4; i++) {
			ASSERT_ANSWERED(&all, REQ(i), i == 1 ? f->res : SMALL_LEN)
				TH_LOG("%s: request %u", f->what, i);
			if (i != 1)
				ASSERT_SMALL_RECEIVED();
		}
	}
	ASSERT_QUIET(&self->ring);
}

/*
 * In a chain that breaks each has flushed its notifier, and the bearer of one that
 * has memory in use waits for it, cancelled as it is.
 */
TEST_F(merge, contract_13_cancelled_bearer_waits_for_memory)
{
	SEND_BIG(GROUP, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), BIG_LEN, 0);
	prep_nop(&self->ring, -EIO)->flags = IOSQE_IO_LINK;
	SEND_SMALL(GROUP, FLUSH)->user_data = REQ(1);
	ASSERT_SUBMIT(&self->ring, 2);
	ASSERT_CQE(&self->ring, NOP_DONE, -EIO, 0);
	ASSERT_QUIET(&self->ring);
	SEND_SMALL(GROUP, FLUSH)->user_data = REQ(2);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_MERGED(REQ(2), SMALL_LEN);
	ASSERT_QUIET(&self->ring);
	ASSERT_BIG_RECEIVED();
	ASSERT_MERGED(REQ(1), -ECANCELED);
}

NOTIF_TEST_MAIN
