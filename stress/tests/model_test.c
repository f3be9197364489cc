// SPDX-License-Identifier: GPL-2.0
/* Can the oracle of stress fail? Each mistake that CQEs can be is reported. */
#include "played.h"

/* What goes wrong, as the kernel that is played does it. */
static void right(void)
{
	struct two t = send_two();

	say_over(t.r, t.second);
	say_over(t.r, t.first);
	say_notified(t.r, t.tag, 0);
	t.first = add_send(t.w, 0, true);
	t.second = add_send(t.w, 0, true);
	model_submitted(t.r, false);
	say_over(t.r, t.first);
	say_over(t.r, t.second);
	/* of two that are flushed either may come first */
	say_notified(t.r, t.tag, 2);
	say_notified(t.r, t.tag, 1);
	if (t.r->in_flight || t.r->unnotified)
		wrong("something is outstanding");
}

static void early(void)
{
	struct two t = send_two();

	say_over(t.r, t.first);
	say_notified(t.r, t.tag, 0);
}

static void early_not_flushed(void)
{
	struct worker *w = new_worker();
	struct ring *r = &w->rings[0];
	struct request *req = add_send(w, 1, false);

	model_submitted(r, false);
	say_over(r, req);
	say_notified(r, r->slots[1].tag, 0);
}

static void twice(void)
{
	struct two t = send_two();

	say_over(t.r, t.first);
	say_over(t.r, t.second);
	say_notified(t.r, t.tag, 0);
	say_notified(t.r, t.tag, 0);
}

static void number_missing(void)
{
	struct two t = send_two();

	say_over(t.r, t.first);
	say_over(t.r, t.second);
	say_notified(t.r, t.tag, 1);
}

static void other_tag(void)
{
	struct two t = send_two();

	say_over(t.r, t.first);
	say_over(t.r, t.second);
	say_notified(t.r, t.r->slots[1].tag, 0);
}

static void usage_not_asked(void)
{
	struct two t = send_two();

	say_over(t.r, t.first);
	say_over(t.r, t.second);
	say(t.r, t.tag, IORING_NOTIF_USAGE_ZC_COPIED, notif_flags(0));
}

static void lost(void)
{
	struct two t = send_two();

	say_over(t.r, t.first);
	say_over(t.r, t.second);
	if (worker_is_quiet(t.w))
		return;
	tell_worker(t.w);
	_exit(1);
}

static void request_lost(void)
{
	struct two t = send_two();

	say_over(t.r, t.first);
	if (worker_is_quiet(t.w))
		return;
	tell_worker(t.w);
	_exit(1);
}

static void request_twice(void)
{
	struct two t = send_two();

	say_over(t.r, t.first);
	say_over(t.r, t.first);
}

static void request_missing_in_chain(void)
{
	struct worker *w = new_worker();
	struct ring *r = &w->rings[0];
	struct request *first = add_send(w, 0, false);
	struct request *second = add_send(w, 0, true);

	link_requests(first, second);
	model_submitted(r, false);
	say_over(r, second);
}

static void request_fails(void)
{
	struct two t = send_two();

	say(t.r, t.first->id, -EIO, 0);
}

static void more_than_asked(void)
{
	struct two t = send_two();

	say(t.r, t.first->id, t.first->len + 1, 0);
}

/* The second of two that are linked, when the first was sent in part. */
static void part_of_a_chain(bool stopped)
{
	struct worker *w = new_worker();
	struct ring *r = &w->rings[0];
	struct request *first = add_send(w, 0, false);
	struct request *second = add_send(w, 0, true);

	link_requests(first, second);
	first->waitall = true;
	shared.stopped[me] = stopped;
	model_submitted(r, false);
	say(r, first->id, 1000, 0);
	say(r, second->id, -ECANCELED, 0);
}

static void part_once_stopped(void)
{
	part_of_a_chain(true);
}

static void part_without_a_reason(void)
{
	part_of_a_chain(false);
}

static void broken_chain_goes_on(void)
{
	struct worker *w = new_worker();
	struct ring *r = &w->rings[0];
	struct request *first = add_send(w, 0, false);
	struct request *second = add_send(w, 0, true);

	link_requests(first, second);
	first->cancelled = true;
	model_submitted(r, false);
	say(r, first->id, -ECANCELED, 0);
	say_over(r, second);
}

static void flushed_too_many(void)
{
	struct worker *w = new_worker();
	struct ring *r = &w->rings[0];
	struct request *update;

	add_send(w, 0, false);
	update = add_update(r, 0);
	model_submitted(r, false);
	say(r, update->id, 2, 0);
}

TEST(right_is_no_fault)
{
	EXPECT_EQ(NULL, said_by(right));
	EXPECT_EQ(NULL, said_by(part_once_stopped));
}

TEST(notification_early)
{
	EXPECT_SAYS(early, "the CQE of request 0x5e9d000000000201 is missing");
	EXPECT_SAYS(early_not_flushed, "a notification that nobody waits for");
}

TEST(notification_lost)
{
	EXPECT_SAYS(lost, "0 requests, 1 notifications of a played ring");
	EXPECT_SAYS(lost, "notification: slot 0, tag 0xf00d");
	EXPECT_SAYS(lost, "number 0, 2 of 2 requests over");
}

TEST(notification_twice)
{
	EXPECT_SAYS(twice, "a notification that nobody waits for");
}

TEST(notification_with_wrong_contents)
{
	EXPECT_SAYS(number_missing, "a notification that nobody waits for");
	EXPECT_SAYS(other_tag, "a notification that nobody waits for");
	EXPECT_SAYS(usage_not_asked, "a notification has res");
}

TEST(request_lost_or_twice)
{
	EXPECT_SAYS(request_lost, "1 requests, 1 notifications");
	EXPECT_SAYS(request_twice, "a second CQE of request");
	EXPECT_SAYS(request_missing_in_chain, "is missing");
}

TEST(request_with_wrong_result)
{
	EXPECT_SAYS(request_fails, "ended with -5");
	EXPECT_SAYS(more_than_asked, "ended with 5001");
	EXPECT_SAYS(part_without_a_reason, "waitall, linked ended with 1000");
	EXPECT_SAYS(broken_chain_goes_on, "broken ended with 5000");
	EXPECT_SAYS(flushed_too_many, "an update flushed 2 notifiers, not 1");
}

TEST_HARNESS_MAIN
