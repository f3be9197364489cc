// SPDX-License-Identifier: GPL-2.0
/* Can the oracle of the relays fail? Each mistake that their CQEs can be is reported. */
#include "played.h"

#include "../relay.h"

#define LEN	5000U

/* A relay with one source that has sent LEN bytes, and one sink. */
static struct relay *new_relay(void)
{
	static struct relay r;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
		wrong("no sockets: %m");
	r.name = "played";
	r.sources[0] = (struct source){ .open = true, .seed = 7, .sent = LEN };
	r.sinks[0] = (struct stream){
		.open = true, .net = { .tx = fds[0], .rx = fds[1] },
		.type = SOCK_STREAM, .number = -1, .cork = -1,
		.ahead = malloc(MAX_AHEAD),
	};
	return &r;
}

static struct job *take(struct relay *r, unsigned int index, __u32 len)
{
	struct job *job = job_new(r, TASK_TAKE, index);

	job->source = &r->sources[0];
	job->source->busy = true;
	job->len = len;
	job_locks(r, job);
	return job;
}

static struct job *give(struct relay *r, unsigned int index)
{
	struct job *job = job_new(r, TASK_GIVE, index);

	job->sink = &r->sinks[0];
	job->waitall = true;
	job->piece = r->entries[index].piece;
	job->extent = stream_begin(job->sink, 0);
	return job;
}

static void over(struct relay *r, const struct job *job, __s32 res)
{
	relay_answer(r, &(struct io_uring_cqe){ .user_data = job->id, .res = res });
}

/* Bytes of the source arrive at the sink. */
static void arrive(struct relay *r, __u64 pos, __u32 len)
{
	char *buf = malloc(len);

	data_fill(buf, len, r->sources[0].seed, pos);
	if (send(r->sinks[0].net.tx, buf, len, 0) != (ssize_t)len)
		wrong("no bytes: %m");
	stream_receive(&r->sinks[0], len);
	free(buf);
}

static struct job *give_up(struct relay *r, unsigned int nr)
{
	struct job *job = job_new(r, TASK_GIVE_UP, 0);

	job->nr = nr;
	return job;
}

static void right(void)
{
	struct relay *r = new_relay();
	struct job *job;

	over(r, take(r, 0, 3000), 3000);
	over(r, take(r, 1, 3000), 2000);
	over(r, take(r, 1, 3000), -EBUSY);
	over(r, give(r, 1), 2000);
	over(r, give(r, 0), 3000);
	arrive(r, 3000, 2000);
	arrive(r, 0, 3000);
	job = take(r, 1, 10);
	job->replaces = true;
	r->sources[0].ends = true;
	over(r, job, 0);
	over(r, give_up(r, 3), 2);
	over(r, give_up(r, 3), 0);
	if (!relay_is_idle(r) || !stream_complete(&r->sinks[0]))
		wrong("something is outstanding");
}

static void more_than_asked(void)
{
	struct relay *r = new_relay();

	over(r, take(r, 0, 100), 101);
}

static void more_than_sent(void)
{
	struct relay *r = new_relay();

	over(r, take(r, 0, 2 * LEN), LEN + 1);
}

static void end_too_early(void)
{
	struct relay *r = new_relay();

	r->sources[0].ends = true;
	over(r, take(r, 0, LEN), LEN - 1);
	over(r, take(r, 1, LEN), 0);
}

static void filled_what_was_not_empty(void)
{
	struct relay *r = new_relay();

	over(r, take(r, 0, 100), 100);
	over(r, take(r, 0, 100), 100);
}

static void busy_though_empty(void)
{
	struct relay *r = new_relay();

	over(r, take(r, 0, 100), -EBUSY);
}

static void no_memory_without_a_limit(void)
{
	struct relay *r = new_relay();

	over(r, take(r, 0, 100), -ENOMEM);
}

static void cancelled_by_itself(void)
{
	struct relay *r = new_relay();

	over(r, take(r, 0, 100), -ECANCELED);
}

static void wrong_head(void)
{
	struct relay *r = new_relay();
	struct job *job = take(r, 0, 100);

	job->head_len = 10;
	data_fill(job->head, 10, r->sources[0].seed, 1);
	over(r, job, 100);
}

static void short_from_a_file(void)
{
	struct relay *r = new_relay();

	r->sources[0].file = true;
	over(r, take(r, 0, 100), 99);
}

static void less_given_on(void)
{
	struct relay *r = new_relay();

	over(r, take(r, 0, 100), 100);
	over(r, give(r, 0), 99);
}

static void others_given_on(void)
{
	struct relay *r = new_relay();

	over(r, take(r, 0, 100), 100);
	over(r, take(r, 1, 100), 100);
	over(r, give(r, 0), 100);
	arrive(r, 100, 100);
}

static void chain_goes_on(void)
{
	struct relay *r = new_relay();
	struct job *first, *second;

	over(r, take(r, 0, 100), 100);
	first = take(r, 0, 100);
	first->replaces = true;
	second = give(r, 0);
	second->prev = first;
	first->next = second;
	second->async = true;
	first->cancelled = true;
	over(r, first, -ECANCELED);
	over(r, second, 100);
}

static void buffer_lost(void)
{
	struct relay *r = new_relay();

	over(r, take(r, 0, 100), 100);
	over(r, take(r, 1, 100), 100);
	over(r, give_up(r, 8), 1);
}

static void buffer_left(void)
{
	struct relay *r = new_relay();

	over(r, take(r, 0, 100), 100);
	over(r, give_up(r, 8), 1);
	over(r, give_up(r, 8), 1);
}

static void answered_twice(void)
{
	struct relay *r = new_relay();
	struct job job = *take(r, 0, 100);

	over(r, &job, 100);
	over(r, &job, 100);
}

static void with_other_flags(void)
{
	struct relay *r = new_relay();
	struct job *job = take(r, 0, 100);

	relay_answer(r, &(struct io_uring_cqe){
		.user_data = job->id, .res = 100, .flags = IORING_CQE_F_MORE,
	});
}

static void notified_too_often(void)
{
	struct relay *r = new_relay();
	struct io_uring_cqe cqe = {
		.user_data = TAG(1), .flags = notif_flags(0),
	};

	r->flushed = 1;
	relay_answer(r, &cqe);
	relay_answer(r, &cqe);
}

TEST(right_is_no_fault)
{
	EXPECT_EQ(NULL, said_by(right));
}

TEST(taken_wrongly)
{
	EXPECT_SAYS(more_than_asked, "no more than 100 wanted");
	EXPECT_SAYS(more_than_sent, "but only 5000 sent");
	EXPECT_SAYS(end_too_early, "a source has ended at byte 4999 of 5000");
	EXPECT_SAYS(filled_what_was_not_empty, "entry 0 was not empty");
	EXPECT_SAYS(wrong_head, "the head of what was taken");
	EXPECT_SAYS(short_from_a_file, "99 bytes of 100 were taken from a file");
}

TEST(failed_wrongly)
{
	EXPECT_SAYS(busy_though_empty, "ended with -16");
	EXPECT_SAYS(no_memory_without_a_limit, "ended with -12");
	EXPECT_SAYS(cancelled_by_itself, "ended with -125");
}

TEST(given_on_wrongly)
{
	EXPECT_SAYS(less_given_on, "99 bytes were given on, not 100");
	EXPECT_SAYS(others_given_on, "isn't what was sent");
	EXPECT_SAYS(chain_goes_on, "ended with 100 behind what failed");
}

TEST(given_up_wrongly)
{
	EXPECT_SAYS(buffer_lost, "1 buffers were given up, of 2");
	EXPECT_SAYS(buffer_left, "1 buffers were given up, of 0");
}

TEST(answered_wrongly)
{
	EXPECT_SAYS(answered_twice, "a CQE of a request that is none");
	EXPECT_SAYS(with_other_flags, "has flags 0x2");
	EXPECT_SAYS(notified_too_often, "2 notifications of 1 notifiers");
}

TEST_HARNESS_MAIN
