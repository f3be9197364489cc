// SPDX-License-Identifier: GPL-2.0
/* CQEs of requests: never IORING_CQE_F_MORE, and none if that is asked for. */
#include <sys/wait.h>

#include "slots.h"
#include "ways.h"

#define NR_REQS	8

/* How one among them fails, and whether the chain goes on after it. */
static const struct failure {
	const char *what;
	int fd, res;		/* fd -2: the right one */
	size_t len;
} failures[] = {
	{ "nothing", -2, 100, 100 },
	{ "bad descriptor", -1, -EBADF, 100 },
	{ "too long", -2, -EMSGSIZE, 1 << 20 },
};

static void prep_way(FIXTURE_DATA(slots) *self, const struct way *way,
		     const struct failure *failure, unsigned int i, bool skip)
{
	const bool fails = i == NR_REQS / 2;
	struct io_uring_sqe *sqe;

	sqe = prep_slot_send(&self->ring,
			     fails && failure->fd == -1 ? -1 : self->net.tx,
			     self->data, fails ? failure->len : 100, 0,
			     way->ioprio);
	sqe->flags = i == NR_REQS - 1 ? 0 : way->flags;
	if (skip)
		sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	sqe->user_data = REQ(i);
}

/* What the CQE of request @i says, if all goes as it must. */
static int expected_res(const struct way *way, const struct failure *failure,
			unsigned int i)
{
	if (i == NR_REQS / 2)
		return failure->res;
	if (i > NR_REQS / 2 && failure->res < 0 && way->flags & IOSQE_IO_LINK)
		return -ECANCELED;
	return 100;
}

/*
 * One notifier whose requests take one way, perhaps with a failure among them:
 * its notification is the last CQE, and which others there are is known.
 */
static void assert_way(struct __test_metadata *_metadata,
		       FIXTURE_DATA(slots) *self, const struct way *way,
		       const struct failure *failure, bool skip, unsigned int seq)
{
	unsigned int seen = 0, want = 0, i;
	struct io_uring_cqe cqe = {};

	for (i = 0; i < NR_REQS; i++) {
		int res = expected_res(way, failure, i);

		prep_way(self, way, failure, i, skip);
		/* mainline: what follows a failure in a chain is as quiet as it */
		if (!skip || (res < 0 && res != -ECANCELED))
			want |= 1 << i;
	}
	ASSERT_SUBMIT(&self->ring, NR_REQS);
	ASSERT_FLUSH(&self->ring, 0, 1);
	for (;;) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe))
			TH_LOG("%s, %s: lost", way->what, failure->what);
		if (cqe.user_data == TAG(0))
			break;
		i = cqe.user_data - REQ(0);
		ASSERT_LT(i, NR_REQS);
		ASSERT_EQ(expected_res(way, failure, i), cqe.res)
			TH_LOG("%s, %s: request %u", way->what, failure->what, i);
		ASSERT_EQ(0, cqe.flags);
		ASSERT_FALSE(seen & 1 << i);
		seen |= 1 << i;
	}
	ASSERT_EQ(want, seen)
		TH_LOG("%s, %s", way->what, failure->what);
	ASSERT_EQ(0, cqe.res);
	ASSERT_EQ(notif_flags(seq), cqe.flags);
	for (i = 0; i < NR_REQS; i++)
		if (expected_res(way, failure, i) > 0)
			ASSERT_RECEIVED(&self->net, self->data, 100);
}

static void assert_ways(struct __test_metadata *_metadata,
			FIXTURE_DATA(slots) *self, bool skip)
{
	unsigned int w, f, seq = 0;

	for (w = 0; w < ARRAY_SIZE(ways); w++)
		for (f = 0; f < ARRAY_SIZE(failures); f++)
			assert_way(_metadata, self, &ways[w], &failures[f], skip,
				   seq++);
}

TEST_F(slots, contract_05_never_more)
{
	assert_ways(_metadata, self, false);
}

TEST_F(slots, contract_05_skip_success)
{
	assert_ways(_metadata, self, true);
}

/* Success that comes late: the request waits for its peer to read. */
TEST_F(slots, contract_05_skip_success_poll_armed)
{
	const size_t len = 1 << 20;
	char *data = calloc(1, len);
	struct pair tcp;
	int status = 0;
	pid_t pid;

	OPEN_PAIR(&tcp, NET_LO, AF_INET, SOCK_STREAM, .full = true);
	prep_slot_send(&self->ring, tcp.tx, data, len, 0,
		       IORING_RECVSEND_NOTIF_FLUSH)->flags =
		IOSQE_CQE_SKIP_SUCCESS;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_QUIET(&self->ring);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(!!drain_socket(tcp.rx, len));
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	pair_close(&tcp);
	free(data);
}

/* Cancelled is not success. */
TEST_F(slots, contract_05_skip_success_cancelled)
{
	const size_t len = 1 << 20;
	char *data = calloc(1, len);
	struct io_uring_sqe *sqe;
	struct pair tcp;
	size_t filled;

	OPEN_PAIR(&tcp, NET_LO, AF_INET, SOCK_STREAM, .full = true);
	filled = fill_socket(tcp.tx);
	sqe = prep_slot_send(&self->ring, tcp.tx, data, len, 0, 0);
	sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
	sqe->msg_flags = 0;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_QUIET(&self->ring);

	prep_cancel(&self->ring, REQ(0));
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), -ECANCELED, 0);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_EQ(0, drain_socket(tcp.rx, filled));
	pair_close(&tcp);
	free(data);
}

NOTIF_TEST_MAIN
