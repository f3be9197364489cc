// SPDX-License-Identifier: GPL-2.0
/*
 * What an administrator, or a program that sandboxes itself, puts in front of slots:
 * seccomp, io_uring's BPF filters, and restrictions that a task passes on. Those of
 * a ring are in register.c.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/io_uring/bpf_filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "fixture.h"

#define NR_SLOTS	4
#define FLUSH		IORING_RECVSEND_NOTIF_FLUSH
#define DENIED		REQ(7)

FIXTURE(filters)
{
	struct io_uring ring;
	struct pair net;
	bool is_open;
};

RING_VARIANTS_SQPOLL(filters);

/* A filter of the task is to be there before the ring: the tests open it. */
FIXTURE_SETUP(filters)
{
	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_DGRAM);
	ASSERT_EQ(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

FIXTURE_TEARDOWN(filters)
{
	if (self->is_open) {
		EXPECT_TRUE(ring_empty(&self->ring))
			TH_LOG("a CQE that the test did not expect");
		ring_exit(&self->ring);
	}
	pair_close(&self->net);
}

#define OPEN_RING() do {						\
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));		\
	self->is_open = true;						\
} while (0)

#define SEND(_user_data, _slot, _ioprio)				\
	(prep_slot_send(&self->ring, self->net.tx, "data", 4, _slot,	\
			_ioprio)->user_data = (_user_data))

#define ASSERT_SENT(_user_data, _slot, _ioprio) do {			\
	SEND(_user_data, _slot, _ioprio);				\
	ASSERT_SUBMIT(&self->ring, 1);					\
	ASSERT_CQE(&self->ring, _user_data, 4, 0);			\
	ASSERT_RECEIVED(&self->net, "data", 4);				\
} while (0)

#define ASSERT_DENIED(_user_data, _slot, _ioprio) do {			\
	SEND(_user_data, _slot, _ioprio);				\
	ASSERT_SUBMIT(&self->ring, 1);					\
	ASSERT_CQE(&self->ring, _user_data, -EACCES, 0);		\
} while (0)

/* A system call fails with EACCES if the lower bits of an argument are @value. */
static int deny_call(unsigned int nr, unsigned int arg, unsigned int value)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, args[arg])),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K,
			 ~IORING_REGISTER_USE_REGISTERED_RING),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { ARRAY_SIZE(code), code };

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) ? -errno : 0;
}

/* Registering is a system call of its own, with the operation as an argument. */
TEST_F(filters, security_seccomp_sees_who_registers)
{
	struct io_uring_notification_register reg = { .nr_slots = 1 };
	struct iovec iov = { map_pages(4096), 4096 };
	int ret;

	OPEN_RING();
	ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));
	ret = deny_call(__NR_io_uring_register, 1, IORING_UNREGISTER_NOTIFIERS);
	if (ret == -EINVAL)
		SKIP(return, "the kernel has no seccomp with filters");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(-EACCES, unregister_slots(&self->ring));
	ASSERT_EQ(-EBUSY, register_slots(&self->ring, 1));
	ASSERT_EQ(0, deny_call(__NR_io_uring_register, 1,
			       IORING_REGISTER_NOTIFIERS));
	ASSERT_EQ(-EACCES, register_slots(&self->ring, 1));
	/* nor by a ring that is named otherwise */
	ASSERT_EQ(-EACCES, ring_register(&self->ring,
					 IORING_REGISTER_NOTIFIERS |
					 IORING_REGISTER_USE_REGISTERED_RING,
					 &reg, sizeof(reg)));
	/* what else there is goes on */
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	ASSERT_SENT(REQ(0), 0, FLUSH);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

/* Requests are seen as one call for all; SQPOLL does without, and has a flag for it. */
TEST_F(filters, security_seccomp_sees_who_submits)
{
	int ret;

	if (variant->setup & IORING_SETUP_SQPOLL)
		SKIP(return, "the kernel's thread submits without a system call");
	OPEN_RING();
	ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));
	ret = deny_call(__NR_io_uring_enter, 1, 2);
	if (ret == -EINVAL)
		SKIP(return, "the kernel has no seccomp with filters");
	ASSERT_EQ(0, ret);
	ASSERT_SENT(REQ(0), 0, 0);
	SEND(REQ(1), 1, 0);
	prep_flush(&self->ring, 0, 2, 0);
	ASSERT_EQ(-EACCES, ring_submit(&self->ring));
	ASSERT_TRUE(ring_empty(&self->ring));
}

/* A filter of io_uring: requests of @opcode with this user_data are denied. */
static int deny_request(int fd, unsigned int opcode, __u32 user_data,
			unsigned int flags)
{
	struct sock_filter code[] = {
		/* its lower word, as a word is all that can be loaded */
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct io_uring_bpf_ctx, user_data)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, user_data, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, 1),
	};
	struct io_uring_bpf bpf = {
		.cmd_type = IO_URING_BPF_CMD_FILTER,
		.filter = {
			.opcode = opcode,
			.flags = flags,
			.filter_len = ARRAY_SIZE(code),
			.filter_ptr = (unsigned long)code,
		},
	};

	return syscall(__NR_io_uring_register, fd, IORING_REGISTER_BPF_FILTER,
		       &bpf, 1) ? -errno : 0;
}

/*
 * A request that is denied has attached by then, as one that fails later: it sends
 * nothing, and its notifier answers. An explicit flush that is denied flushes
 * nothing.
 */
TEST_F(filters, security_bpf_filter_sees_requests)
{
	struct iovec iov = { "data", 4 };
	const struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	char more[16];

	OPEN_RING();
	ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));
	ASSERT_EQ(0, deny_request(self->ring.ring_fd, IORING_OP_SEND_ZC, DENIED, 0));
	ASSERT_EQ(0, deny_request(self->ring.ring_fd, IORING_OP_RSRC_UPDATE,
				  DENIED, 0));
	ASSERT_SENT(REQ(0), 0, 0);
	ASSERT_DENIED(DENIED, 0, 0);
	/* of the notifier that the flush takes out, or the only one in it */
	ASSERT_DENIED(DENIED, 1, FLUSH);
	ASSERT_NOTIF(&self->ring, TAG(1), 0);
	ASSERT_DENIED(DENIED, 2, 0);

	prep_flush(&self->ring, 0, NR_SLOTS, TAG(9))->user_data = DENIED;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, DENIED, -EACCES, 0);
	ASSERT_QUIET(&self->ring);
	prep_flush(&self->ring, 0, NR_SLOTS, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, FLUSH_REQ, 2, 0);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_NOTIF(&self->ring, TAG(2), 0);

	/* another opcode is another filter, and one may deny all without */
	prep_slot_sendmsg(&self->ring, self->net.tx, &msg, 0, 0)->user_data =
		DENIED;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, DENIED, 4, 0);
	ASSERT_EQ(0, deny_request(self->ring.ring_fd, IORING_OP_SEND_ZC, DENIED,
				  IO_URING_BPF_FILTER_DENY_REST));
	prep_slot_sendmsg(&self->ring, self->net.tx, &msg, 0, FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), -EACCES, 0);
	ASSERT_NOTIF(&self->ring, TAG(0), 1);
	ASSERT_RECEIVED(&self->net, "data", 4);
	/* only what was allowed has arrived */
	ASSERT_EQ(-1, recv(self->net.rx, more, sizeof(more), MSG_DONTWAIT));
}

/* Of a chain, too: the rest of it is cancelled, and all of it answers. */
TEST_F(filters, security_bpf_filter_denies_in_a_chain)
{
	unsigned int i;

	OPEN_RING();
	ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));
	ASSERT_EQ(0, deny_request(self->ring.ring_fd, IORING_OP_SEND_ZC, DENIED, 0));
	for (i = 0; i < 3; i++) {
		struct io_uring_sqe *sqe;

		sqe = prep_slot_send(&self->ring, self->net.tx, "data", 4, i, 0);
		sqe->flags = i < 2 ? IOSQE_IO_LINK : 0;
		sqe->user_data = i == 1 ? DENIED : REQ(i);
	}
	ASSERT_SUBMIT(&self->ring, 3);
	for (i = 0; i < 3; i++) {
		struct io_uring_cqe cqe = {};

		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		ASSERT_EQ(cqe.user_data == DENIED ? -EACCES : -ECANCELED, cqe.res);
		ASSERT_EQ(0, cqe.flags);
	}
	ASSERT_FLUSH(&self->ring, 0, NR_SLOTS);
	ASSERT_NOTIFS(&self->ring, 0, 3, 0);
}

/* Filters of a task hold in every ring that it makes, and its children do. */
TEST_F(filters, security_bpf_filter_of_a_task)
{
	ASSERT_EQ(0, deny_request(-1, IORING_OP_SEND_ZC, DENIED, 0));
	OPEN_RING();
	ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));
	ASSERT_SENT(REQ(0), 0, 0);
	ASSERT_DENIED(DENIED, 0, FLUSH);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	/* a filter of the ring comes on top */
	ASSERT_EQ(0, deny_request(self->ring.ring_fd, IORING_OP_SEND_ZC, REQ(0), 0));
	ASSERT_DENIED(DENIED, 0, FLUSH);
	ASSERT_NOTIF(&self->ring, TAG(0), 1);
	ASSERT_DENIED(REQ(0), 0, FLUSH);
	ASSERT_NOTIF(&self->ring, TAG(0), 2);
}

/* So do restrictions: without an operation in their list there is none. */
TEST_F(filters, security_restrictions_of_a_task)
{
	struct {
		struct io_uring_task_restriction head;
		struct io_uring_restriction list[2];
	} res = {
		.head = { .nr_res = 2 },
		.list = {
			{ .opcode = IORING_RESTRICTION_SQE_OP,
			  .sqe_op = IORING_OP_SENDMSG_ZC },
			{ .opcode = IORING_RESTRICTION_REGISTER_OP,
			  .register_op = IORING_REGISTER_BUFFERS },
		},
	};

	ASSERT_EQ(0, syscall(__NR_io_uring_register, -1,
			     IORING_REGISTER_RESTRICTIONS, &res, 1));
	OPEN_RING();
	ASSERT_EQ(-EACCES, register_slots(&self->ring, NR_SLOTS));
	ASSERT_EQ(-EACCES, unregister_slots(&self->ring));
	ASSERT_DENIED(REQ(0), 0, 0);
	prep_flush(&self->ring, 0, 1, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, FLUSH_REQ, -EACCES, 0);
}

NOTIF_TEST_MAIN
