// SPDX-License-Identifier: GPL-2.0
/* Can the oracle fail of slots that merge, and of many datagrams in a request? */
#include "played.h"

/* A bearer, and what is linked behind it, whose CQE is the first. */
static struct two bearer_and_next(void)
{
	struct two t = { .w = new_worker() };

	t.r = &t.w->rings[0];
	t.r->slots[0].merges = true;
	t.first = add_send(t.w, 0, true);
	t.first->waitall = true;
	t.second = add_send(t.w, 1, true);
	link_requests(t.first, t.second);
	model_submitted(t.r, false);
	return t;
}

static void merged_right(void)
{
	struct two t = merge_two(false);

	say_over(t.r, t.first);
	say_over(t.r, t.second);
	/* the number that the bearer's CQE doesn't have is taken all the same */
	t.r->slots[0].merges = false;
	t.first = add_send(t.w, 0, true);
	t.first->report = true;
	t.r->slots[0].merges = true;
	t.second = add_send(t.w, 0, true);
	t.second->report = true;
	if (model_bears(t.r, t.first) != 1 || model_bears(t.r, t.second) != 1)
		wrong("who bears isn't known beforehand");
	model_submitted(t.r, false);
	say(t.r, t.second->id, t.second->len, IORING_CQE_F_ZC_COPIED);
	say_over(t.r, t.first);
	/* what nobody flushes but an update is a notification as ever */
	t.first = add_send(t.w, 0, false);
	add_update(t.r, 0);
	model_submitted(t.r, false);
	say_over(t.r, t.first);
	say_notified(t.r, t.tag, 3);
	t = bearer_and_next();
	say_over(t.r, t.second);
	say_notified(t.r, t.r->slots[1].tag, 0);
	say_over(t.r, t.first);
}

static void bearer_lost(void)
{
	struct two t = merge_two(false);

	say_over(t.r, t.first);
	if (worker_is_quiet(t.w))
		return;
	tell_worker(t.w);
	_exit(1);
}

static void bearer_twice(void)
{
	struct two t = merge_two(false);
	struct request bearer = *t.second;

	say_over(t.r, t.first);
	say_over(t.r, &bearer);
	say_over(t.r, &bearer);
}

static void bearer_early(void)
{
	struct two t = merge_two(false);

	say_over(t.r, t.second);
}

static void bearer_and_notification(void)
{
	struct two t = merge_two(false);

	say_over(t.r, t.first);
	say_notified(t.r, t.tag, 0);
}

static void bearer_is_notification(void)
{
	struct two t = merge_two(false);

	say_over(t.r, t.first);
	say(t.r, t.second->id, t.second->len, notif_flags(0));
}

static void bearer_usage_not_asked(void)
{
	struct two t = merge_two(false);

	say_over(t.r, t.first);
	say(t.r, t.second->id, t.second->len, IORING_CQE_F_ZC_COPIED);
}

static void bearer_short(void)
{
	struct two t = merge_two(false);

	say_over(t.r, t.first);
	say(t.r, t.second->id, t.second->len - 1, 0);
}

static void bearer_well_but_next_cancelled(void)
{
	struct two t = bearer_and_next();

	say(t.r, t.second->id, -ECANCELED, 0);
	say_over(t.r, t.first);
}

static void bearer_failed_but_next_ran(void)
{
	struct two t = bearer_and_next();

	t.first->cancelled = true;
	say_over(t.r, t.second);
	say(t.r, t.first->id, -ECANCELED, 0);
}

/* All of a chain is cancelled with the first, and the last one tells it first. */
static void broken_behind_hard_link(void)
{
	struct two t = bearer_and_next();
	struct request *last = add_send(t.w, 0, false);

	t.r->slots[1].merges = true;
	t.first->cancelled = true;
	t.second->notifier->bearer = t.second;
	t.second->hard = true;
	link_requests(t.second, last);
	model_submitted(t.r, false);
	say(t.r, last->id, -ECANCELED, 0);
	say(t.r, t.second->id, -ECANCELED, 0);
	say(t.r, t.first->id, -ECANCELED, 0);
}

/* It skips its CQE, and may only fail. */
static void mute_right(void)
{
	struct two t = { .w = new_worker() };

	t.r = &t.w->rings[0];
	t.r->slots[0].merges = true;
	t.first = add_send(t.w, 0, true);
	t.second = add_send(t.w, 0, true);
	t.first->mute = true;
	t.second->mute = true;
	model_submitted(t.r, false);
	t.first->cancelled = true;
	say(t.r, t.first->id, -ECANCELED, 0);
	if (!worker_is_quiet(t.w) || t.r->muted != 1)
		wrong("something is outstanding");
}

static void mute_tells(void)
{
	struct two t = { .w = new_worker() };

	t.r = &t.w->rings[0];
	t.r->slots[0].merges = true;
	t.first = add_send(t.w, 0, true);
	t.first->mute = true;
	model_submitted(t.r, false);
	say_over(t.r, t.first);
}

/* One that fails and skips its CQE silences the chain: what bears alone ends too. */
static void silenced_bearer_tells(void)
{
	struct two t = bearer_and_next();
	struct request *bearer = add_send(t.w, 0, true);
	__u64 id = bearer->id;

	link_requests(t.second, bearer);
	t.second->skip = true;
	t.second->cancelled = true;
	model_submitted(t.r, false);
	say_over(t.r, t.first);
	say(t.r, t.second->id, -ECANCELED, 0);
	say(t.r, id, -ECANCELED, 0);
}

static void many_short(void)
{
	struct two t = send_two();

	t.first->stream->type = SOCK_DGRAM;
	t.first->nr_many = 7;
	t.first->whole = 7;
	link_requests(t.first, t.second);
	say(t.r, t.first->id, 6, 0);
	say_over(t.r, t.second);
}

static void many_too_many(void)
{
	struct two t = send_two();

	t.first->stream->type = SOCK_DGRAM;
	t.first->nr_many = 7;
	t.first->whole = 7;
	say(t.r, t.first->id, 8, 0);
}

TEST(right_is_no_fault)
{
	EXPECT_EQ(NULL, said_by(merged_right));
	EXPECT_EQ(NULL, said_by(mute_right));
	EXPECT_EQ(NULL, said_by(broken_behind_hard_link));
}

TEST(bearer_lost_twice_or_early)
{
	EXPECT_SAYS(bearer_lost, "1 requests, 1 notifications of a played ring");
	EXPECT_SAYS(bearer_lost, "5000 bytes, a bearer");
	EXPECT_SAYS(bearer_twice, "of a request that is none, or over");
	EXPECT_SAYS(bearer_early, "the CQE of request 0x5e9d000000000180 is missing");
}

TEST(bearer_with_wrong_contents)
{
	EXPECT_SAYS(bearer_and_notification, "a notification that nobody waits for");
	EXPECT_SAYS(bearer_is_notification, "has flags 0x8");
	EXPECT_SAYS(bearer_usage_not_asked, "has flags 0x10000");
	EXPECT_SAYS(bearer_short, "ended with 4999");
	EXPECT_SAYS(bearer_well_but_next_cancelled, "what is behind it was cancelled");
	EXPECT_SAYS(bearer_failed_but_next_ran, "what is behind it ran");
	EXPECT_SAYS(mute_tells, "a CQE that it skips");
	EXPECT_SAYS(silenced_bearer_tells, "of a request that is none, or over");
}

TEST(many_with_wrong_result)
{
	EXPECT_SAYS(many_short, "broken ended with 5000");
	EXPECT_SAYS(many_too_many, "in many");
}

TEST_HARNESS_MAIN
