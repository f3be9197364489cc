// SPDX-License-Identifier: GPL-2.0
/*
 * Who may use slots, and how far: a user without any right, here or as root of
 * namespaces of his own, can do all of it within RLIMIT_MEMLOCK and nothing past it.
 * See Documentation/security.rst; bounds.c is about memory, filters.c about what sees
 * the operations, leak.c about what they answer.
 */
#include <linux/io_uring/query.h>
#include <sys/wait.h>

#include "user.h"
#include "fdinfo.h"

#define NR_SLOTS	4
#define LEN		65536
#define FLUSH		IORING_RECVSEND_NOTIF_FLUSH
#define FIXED		IORING_RECVSEND_FIXED_BUF

FIXTURE(security)
{
	struct io_uring ring;
	struct io_uring probe;	/* see locked_pages() */
	struct pair udp, tcp;	/* nobody reads by himself */
	char *data;
	char *page;
	long base;
	unsigned int seq[NR_SLOTS];	/* of the slots' next notifications */
};

FIXTURE_VARIANT(security)
{
	unsigned int setup;
	bool own_namespaces;
};

FIXTURE_VARIANT_ADD(security, user) { .setup = 0 };
FIXTURE_VARIANT_ADD(security, user_defer) { .setup = RING_DEFER };
FIXTURE_VARIANT_ADD(security, user_sqpoll) { .setup = IORING_SETUP_SQPOLL };
FIXTURE_VARIANT_ADD(security, namespaces) { .setup = 0, .own_namespaces = true };
FIXTURE_VARIANT_ADD(security, namespaces_defer) {
	.setup = RING_DEFER, .own_namespaces = true
};

/* Sockets and all: nothing is left from when the test was root. */
FIXTURE_SETUP(security)
{
	int ret;

	ASSERT_EQ(0, become_nobody());
	if (variant->own_namespaces) {
		ret = enter_own_namespaces();
		if (ret == -EOPNOTSUPP)
			SKIP(return, "the kernel has no user namespaces");
		ASSERT_EQ(0, ret);
	}
	OPEN_PAIR(&self->udp, NET_LO, AF_INET, SOCK_DGRAM);
	OPEN_PAIR(&self->tcp, NET_LO, AF_INET, SOCK_STREAM, .unread = true);
	self->data = map_pages(LEN);
	self->page = map_pages(4096);
	ASSERT_NE(NULL, self->data);
	ASSERT_NE(NULL, self->page);
	fill_pattern(self->data, LEN, 41);
	ASSERT_EQ(0, ring_init(&self->probe, 0));
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
}

FIXTURE_TEARDOWN(security)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
	ring_exit(&self->probe);
	pair_close(&self->udp);
	pair_close(&self->tcp);
}

#define SEND(_net, _len, _slot, _ioprio)				\
	prep_slot_send(&self->ring, (_net)->tx, self->data, _len, _slot, _ioprio)

/* Send and be answered with @_res. */
#define ASSERT_SENT(_res, _len, _slot, _ioprio) do {			\
	SEND(&self->tcp, _len, _slot, _ioprio);				\
	ASSERT_SUBMIT(&self->ring, 1);					\
	ASSERT_CQE(&self->ring, REQ(0), _res, 0);			\
} while (0)

#define ASSERT_NEXT_NOTIF(_tag, _slot)					\
	ASSERT_NOTIF(&self->ring, _tag, self->seq[_slot]++)

/* What IO_URING_QUERY_NOTIF answers. */
static int query(struct io_uring_query_notif *answer)
{
	struct io_uring_query_hdr hdr = {
		.query_data = (unsigned long)answer,
		.query_op = IO_URING_QUERY_NOTIF,
		.size = sizeof(*answer),
	};

	if (syscall(__NR_io_uring_register, -1, IORING_REGISTER_QUERY, &hdr, 0))
		return -errno;
	return hdr.result;
}

/* All that there is to do with slots. */
TEST_F(security, security_unprivileged_can_do_all)
{
	const struct io_uring_notification_slot slots[NR_SLOTS] = {
		{ .tag = TAG(0) }, { .tag = TAG(1), .flush_after = 2 },
		{ .tag = TAG(2), .copy_below = 1000 }, { .tag = TAG(3) },
	};
	struct iovec iov[] = {
		{ self->data, 3000 }, { self->data + 3000, 7000 },
	};
	const struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	struct iovec buffer = { self->data, LEN };
	struct io_uring_query_notif answer = {};
	unsigned int round;

	ASSERT_EQ(0, query(&answer));
	ASSERT_EQ(32768, answer.max_slots);
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &buffer, 1));
	for (round = 0; round < 2; round++) {
		memset(self->seq, 0, sizeof(self->seq));
		ASSERT_EQ(0, register_slots_as(&self->ring, slots, NR_SLOTS, 0));

		/* plain and registered, a stream and datagrams, one notifier */
		ASSERT_SENT(LEN, LEN, 0, 0);
		ASSERT_SENT(1000, 1000, 0, FIXED);
		prep_slot_sendmsg(&self->ring, self->tcp.tx, &msg, 0, FLUSH);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), 10000, 0);
		ASSERT_RECEIVED(&self->tcp, self->data, LEN);
		ASSERT_RECEIVED(&self->tcp, self->data, 1000);
		ASSERT_RECEIVED(&self->tcp, self->data, 10000);
		ASSERT_NEXT_NOTIF(TAG(0), 0);

		/* flushed by itself, and copied */
		SEND(&self->udp, 1000, 1, 0);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), 1000, 0);
		ASSERT_RECEIVED(&self->udp, self->data, 1000);
		SEND(&self->udp, 1000, 1, FIXED);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), 1000, 0);
		ASSERT_RECEIVED(&self->udp, self->data, 1000);
		ASSERT_NEXT_NOTIF(TAG(1), 1);
		SEND(&self->udp, 999, 2, FLUSH | IORING_SEND_ZC_REPORT_USAGE);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), 999, 0);
		ASSERT_RECEIVED(&self->udp, self->data, 999);
		ASSERT_CQE(&self->ring, TAG(2), IORING_NOTIF_USAGE_ZC_COPIED,
			   notif_flags(self->seq[2]++));

		/* flushed explicitly, with another tag for the next one */
		SEND(&self->udp, 100, 3, 0);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), 100, 0);
		ASSERT_RECEIVED(&self->udp, self->data, 100);
		ASSERT_EQ(1, flush_slots(&self->ring, 0, NR_SLOTS, TAG(9)));
		ASSERT_NEXT_NOTIF(TAG(3), 3);

		if (!(variant->setup & IORING_SETUP_SQPOLL)) {
			ASSERT_EQ(NR_SLOTS, fdinfo_number(self->ring.ring_fd, "NotifSlots:"));
			ASSERT_EQ(0, fdinfo_number(self->ring.ring_fd, "NotifsInFlight:"));
		}
		/* unregistering flushes too */
		SEND(&self->udp, 100, 3, 0);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), 100, 0);
		ASSERT_RECEIVED(&self->udp, self->data, 100);
		ASSERT_EQ(0, unregister_slots(&self->ring));
		ASSERT_NEXT_NOTIF(TAG(9), 3);
	}
}

/* As another process of the same user, by a ring of its own. */
static int send_in_child(FIXTURE_DATA(security) *self)
{
	struct io_uring_cqe cqe = {};
	struct io_uring ring;
	int status;
	pid_t pid = fork();

	if (pid) {
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			return -errno;
		return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
	}
	if (ring_init(&ring, 0))
		_exit(ENOMEM);
	if (register_slots(&ring, 1))
		_exit(EIO);
	prep_slot_send(&ring, self->udp.tx, self->page, 1, 0, FLUSH);
	if (ring_submit(&ring) != 1 || ring_next(&ring, &cqe))
		_exit(EIO);
	_exit(cqe.res < 0 ? -cqe.res : 0);
}

/* To the last page, and nothing helps: not another ring, process or capability. */
TEST_F(security, security_nothing_past_memlock)
{
	const struct rlimit more = { MAX_BYTES, MAX_BYTES + page_size() };
	struct iovec buffer = { self->page, 4096 };
	long room, base;

	ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));
	ASSERT_EQ(0, register_slots(&self->probe, 1));
	base = locked_pages(&self->probe, self->page);
	ASSERT_LE(0, base);
	ASSERT_EQ(-1, setrlimit(RLIMIT_MEMLOCK, &more));
	ASSERT_EQ(EPERM, errno);
	/* room for 20 requests that touch a page each */
	room = 20;
	ASSERT_EQ(0, set_limit(base + room));
	while (room--)
		ASSERT_SENT(100, 100, room % 2, 0);
	ASSERT_SENT(-ENOMEM, 1, 2, 0);
	ASSERT_EQ(-ENOMEM, io_uring_register_buffers(&self->ring, &buffer, 1));
	/* by another ring, and by another process with one */
	prep_slot_send(&self->probe, self->udp.tx, self->page, 1, 0, 0);
	ASSERT_SUBMIT(&self->probe, 1);
	ASSERT_CQE(&self->probe, REQ(0), -ENOMEM, 0);
	ASSERT_EQ(-ENOMEM, send_in_child(self));

	/* the request that was refused has done nothing, nor to the others */
	for (room = 0; room < 20; room++)
		ASSERT_RECEIVED(&self->tcp, self->data, 100);
	ASSERT_EQ(1, flush_slots(&self->ring, 0, NR_SLOTS, 0));
	ASSERT_NOTIFS(&self->ring, 0, 2, 0);
	ASSERT_EQ(base, locked_pages(&self->probe, self->page));
	ASSERT_EQ(0, set_limit(base + 1));
	ASSERT_SENT(100, 100, 2, FLUSH);
	ASSERT_RECEIVED(&self->tcp, self->data, 100);
	ASSERT_NOTIF(&self->ring, TAG(2), 0);
}

NOTIF_TEST_MAIN
