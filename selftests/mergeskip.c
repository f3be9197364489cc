// SPDX-License-Identifier: GPL-2.0
/*
 * Merged requests with IOSQE_CQE_SKIP_SUCCESS: the CQE of a bearer comes only if
 * it failed, and the bearer may be the only one of a group that has a CQE.
 */
#include <sys/wait.h>

#include "merge.h"
#include "ways.h"

#define NR_REQS	8
#define SKIP_IT	IOSQE_CQE_SKIP_SUCCESS

/* Who of the group has the flag. */
enum who { ALL, ALL_BUT_BEARER, BEARER, NR_WHO };

static const char * const who_names[] = {
	"all skip", "all but the bearer skip", "the bearer skips",
};

static bool skips(enum who who, unsigned int i)
{
	const bool bears = i == NR_REQS - 1;

	return who == ALL || (who == BEARER) == bears;
}

struct group {
	const struct way *way;
	enum who who;
	int failing;		/* the one to no file, -1: none */
};

static int result_of(const struct group *g, int i)
{
	if (i == g->failing)
		return -EBADF;
	if (g->failing >= 0 && i > g->failing && g->way->flags & IOSQE_IO_LINK)
		return -ECANCELED;
	return SMALL_LEN;
}

/* Mainline: what follows a failure in a chain is as quiet as that would have been. */
static bool has_cqe(const struct group *g, int i)
{
	const int res = result_of(g, i);

	return res == -ECANCELED ? !skips(g->who, g->failing) :
	       res < 0 || !skips(g->who, i);
}

#define IN_GROUP							\
	TH_LOG("%s, %s, %d fails", g->way->what, who_names[g->who], g->failing)

static void assert_group(struct __test_metadata *_metadata,
			 FIXTURE_DATA(merge) *self,
			 const FIXTURE_VARIANT(merge) *variant,
			 const struct group *g)
{
	unsigned int want = 0, seen = 0, left = 0;
	struct io_uring_cqe cqe = {};
	char got[SMALL_LEN];
	int i;

	for (i = 0; i < NR_REQS; i++) {
		struct io_uring_sqe *sqe;

		sqe = SEND_SMALL(GROUP, g->way->ioprio |
				 (i == NR_REQS - 1 ? FLUSH : 0));
		if (i == g->failing)
			sqe->fd = -1;
		sqe->flags = i == NR_REQS - 1 ? g->way->flags & IOSQE_ASYNC :
						g->way->flags;
		sqe->flags |= skips(g->who, i) ? SKIP_IT : 0;
		sqe->user_data = REQ(i);
		want |= has_cqe(g, i) << i;
		left += has_cqe(g, i);
	}
	ASSERT_SUBMIT(&self->ring, NR_REQS);
	for (; left; left--) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe)) IN_GROUP;
		i = cqe.user_data - REQ(0);
		ASSERT_LT(i, NR_REQS) IN_GROUP;
		ASSERT_EQ(result_of(g, i), cqe.res) IN_GROUP;
		ASSERT_EQ(0, cqe.flags) IN_GROUP;
		ASSERT_EQ(0, seen & 1U << i) IN_GROUP;
		seen |= 1U << i;
		/* the bearer's is the last */
		ASSERT_TRUE(i != NR_REQS - 1 || left == 1) IN_GROUP;
	}
	ASSERT_EQ(want, seen) IN_GROUP;
	/* a chain of which nobody waits for anything goes on as the ring does */
	for (i = 0; i < NR_REQS; i++) {
		if (result_of(g, i) < 0)
			continue;
		ASSERT_EQ(0, receive_with_ring(&self->ring, self->udp.rx, got,
					       SMALL_LEN)) IN_GROUP;
		ASSERT_EQ(0, memcmp(got, self->data, SMALL_LEN)) IN_GROUP;
	}
	ASSERT_EQ(-ETIME, ring_next_ms(&self->ring, &cqe, QUIET_MS / 10))
		IN_GROUP;
}

TEST_F(merge, contract_13_skip_success)
{
	static const int failing[] = { -1, 0, 2, NR_REQS - 1 };
	struct group g = {};
	unsigned int w, f;

	for (w = 0; w < ARRAY_SIZE(ways); w++)
		for (g.who = 0; g.who < NR_WHO; g.who++)
			for (f = 0; f < ARRAY_SIZE(failing); f++) {
				g.way = &ways[w];
				g.failing = failing[f];
				assert_group(_metadata, self, variant, &g);
			}
	ASSERT_QUIET(&self->ring);
	/* none of them was lost on the slot */
	ASSERT_SLOT_FLUSHED(GROUP, ARRAY_SIZE(ways) * NR_WHO *
			    ARRAY_SIZE(failing));
}

/* Not even that the memory is free is told: the program doesn't want to know. */
TEST_F(merge, contract_13_skip_of_a_bearer_that_succeeds)
{
	unsigned int i;

	for (i = 0; i < 4; i++) {
		SEND_BIG(i & 1 ? EACH : GROUP, i & 1 ? 0 : FLUSH)->flags =
			SKIP_IT | (i & 2 ? IOSQE_ASYNC : 0);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_QUIET(&self->ring);
		ASSERT_BIG_RECEIVED();
		ASSERT_QUIET(&self->ring);
		/* the next one has its own as ever */
		SEND_SMALL(i & 1 ? EACH : GROUP, FLUSH);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_MERGED(REQ(0), SMALL_LEN);
		ASSERT_SMALL_RECEIVED();
	}
}

/* All that a group posts is one CQE, once all of its memory is free. */
TEST_F(merge, contract_13_skip_of_all_but_the_bearer)
{
	unsigned int i;

	for (i = 0; i < 4; i++) {
		SEND_BIG(GROUP, 0)->flags = SKIP_IT;
		SEND_SMALL(GROUP, 0)->flags = SKIP_IT;
		SEND_SMALL(GROUP, FLUSH)->user_data = REQ(i);
		ASSERT_SUBMIT(&self->ring, 3);
		ASSERT_QUIET(&self->ring);
		ASSERT_BIG_RECEIVED();
		ASSERT_MERGED(REQ(i), SMALL_LEN);
		ASSERT_SMALL_RECEIVED();
		ASSERT_SMALL_RECEIVED();
	}
}

/* A bearer that fails is heard, and not before the memory of the others is free. */
TEST_F(merge, contract_13_skip_of_a_bearer_that_fails)
{
	SEND_BIG(GROUP, 0)->flags = SKIP_IT;
	prep_slot_send(&self->ring, -1, self->data, SMALL_LEN, GROUP,
		       FLUSH)->flags = SKIP_IT;
	ASSERT_SUBMIT(&self->ring, 2);
	ASSERT_QUIET(&self->ring);
	ASSERT_BIG_RECEIVED();
	ASSERT_MERGED(REQ(0), -EBADF);
	/* in its preparation: at once */
	SEND_BIG(GROUP, 0)->flags = SKIP_IT;
	prep_slot_send(&self->ring, -1, self->data, SMALL_LEN, GROUP,
		       FLUSH)->addr3 = 1;
	ASSERT_SUBMIT(&self->ring, 2);
	ASSERT_CQE(&self->ring, REQ(0), -EINVAL, 0);
	ASSERT_BIG_RECEIVED();
	ASSERT_QUIET(&self->ring);
	ASSERT_FLUSH(&self->ring, GROUP, 1);
	ASSERT_NOTIF(&self->ring, TAG(GROUP), 1);
}

/* Success that comes late: the request waits for its peer to read. */
TEST_F(merge, contract_13_skip_of_a_bearer_that_waits)
{
	const size_t len = 1 << 20;
	char *data = calloc(1, len);
	struct pair tcp;
	int status = 0;
	pid_t pid;

	OPEN_PAIR(&tcp, NET_LO, AF_INET, SOCK_STREAM, .full = true);
	prep_slot_send(&self->ring, tcp.tx, data, len, EACH, 0)->flags = SKIP_IT;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_QUIET(&self->ring);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(!!drain_socket(tcp.rx, len));
	for (;;) {
		ring_wait(&self->ring, 1, QUIET_MS);
		ASSERT_TRUE(ring_empty(&self->ring));
		if (waitpid(pid, &status, WNOHANG) == pid)
			break;
	}
	ASSERT_EQ(0, status);
	ASSERT_QUIET(&self->ring);
	pair_close(&tcp);
	free(data);
}

/* Cancelled is not success. */
TEST_F(merge, contract_13_skip_of_a_bearer_that_is_cancelled)
{
	const size_t len = 1 << 20;
	char *data = calloc(1, len);
	struct pair tcp;
	size_t filled;

	OPEN_PAIR(&tcp, NET_LO, AF_INET, SOCK_STREAM, .full = true);
	filled = fill_socket(tcp.tx);
	prep_slot_send(&self->ring, tcp.tx, data, len, EACH, 0)->flags = SKIP_IT;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_QUIET(&self->ring);
	prep_cancel(&self->ring, REQ(0));
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_MERGED(REQ(0), -ECANCELED);
	ASSERT_EQ(0, drain_socket(tcp.rx, filled));
	pair_close(&tcp);
	free(data);
}

NOTIF_TEST_MAIN
