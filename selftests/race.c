// SPDX-License-Identifier: GPL-2.0
/*
 * Threads on both CPUs that send through one socket: each with a ring of its
 * own, or all with one. Every notification comes once, with the numbers of each
 * slot complete, and every byte arrives as it was when the buffer was in use.
 */
#include <pthread.h>

#include "fixture.h"

#define NR_SLOTS	4
#define NR_BUFS		4
#define NR_THREADS	4
#define NR_ROUNDS	16
/* requests of a round, a record each */
#define NR_PARTS	3
#define NR_RECORDS	(NR_THREADS * NR_ROUNDS * NR_PARTS)
/* a page: of less the receiver's memory would hold little */
#define WORDS		1024

/* What a request sends: nothing splits it, but the order is anyone's. */
struct record {
	unsigned int nr, words[WORDS - 1];
};

static void fill_record(struct record *record, unsigned int nr)
{
	record->nr = nr;
	fill_pattern(record->words, sizeof(record->words), nr);
}

FIXTURE(race)
{
	struct pair net;
};

FIXTURE_VARIANT(race)
{
	enum net_link link;
};

FIXTURE_VARIANT_ADD(race, lo) { .link = NET_LO, };
FIXTURE_VARIANT_ADD(race, nic) { .link = NET_NIC, };

FIXTURE_SETUP(race)
{
	OPEN_PAIR(&self->net, variant->link, AF_INET, SOCK_STREAM,
		  .unread = true);
}

FIXTURE_TEARDOWN(race)
{
	pair_close(&self->net);
}

/* Each record arrives once, as it was written: 0, or what is wrong. */
static const char *read_records(int fd)
{
	static bool seen[NR_RECORDS];
	struct record got, want;
	unsigned int i;

	for (i = 0; i < NR_RECORDS; i++) {
		size_t done = 0;

		while (done < sizeof(got)) {
			ssize_t n = recv(fd, (char *)&got + done,
					 sizeof(got) - done, 0);

			if (n < 0 && errno == EINTR)
				continue;
			if (n <= 0)
				return "data is lost";
			done += n;
		}
		if (got.nr >= NR_RECORDS || seen[got.nr])
			return "a record came twice, or what is none";
		seen[got.nr] = true;
		fill_record(&want, got.nr);
		if (memcmp(&got, &want, sizeof(got)))
			return "other bytes were received than sent";
	}
	return NULL;
}

struct sender {
	pthread_t thread;
	unsigned int nr, setup;
	int fd;
	struct shared *shared;
};

static void run_on_cpu(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu % sysconf(_SC_NPROCESSORS_ONLN), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* A thread's own ring: what has come of each round. */
struct rounds {
	unsigned int over, parts_sent[NR_ROUNDS];
	bool notified[NR_ROUNDS];
};

static const char *take_own_cqe(struct rounds *rounds,
				const struct io_uring_cqe *cqe)
{
	unsigned int nr;

	if (cqe->user_data < TAG(0)) {
		if (cqe->res != sizeof(struct record) || cqe->flags)
			return "a request failed";
		rounds->parts_sent[cqe->user_data - REQ(0)]++;
		return NULL;
	}
	nr = notif_seq(cqe) * NR_SLOTS + (cqe->user_data - TAG(0));
	if (nr >= NR_ROUNDS || rounds->notified[nr])
		return "a notification came twice, or with a wrong number";
	if (rounds->parts_sent[nr] != NR_PARTS)
		return "a notification came before the CQEs of its requests";
	rounds->notified[nr] = true;
	rounds->over++;
	return NULL;
}

/* Round after round, by turns flushed with a flag and with a request. */
static const char *send_rounds(struct sender *me, struct io_uring *ring)
{
	static struct record bufs[NR_THREADS][NR_BUFS][NR_PARTS];
	struct rounds rounds = {};
	struct io_uring_cqe cqe;
	const char *wrong;
	unsigned int nr, i;

	for (nr = 0; nr < NR_ROUNDS; nr++) {
		struct record *buf = bufs[me->nr][nr % NR_BUFS];

		while (nr >= NR_BUFS && !rounds.notified[nr - NR_BUFS]) {
			if (ring_next(ring, &cqe))
				return "a notification is lost";
			wrong = take_own_cqe(&rounds, &cqe);
			if (wrong)
				return wrong;
		}
		for (i = 0; i < NR_PARTS; i++) {
			fill_record(&buf[i], (me->nr * NR_ROUNDS + nr) * NR_PARTS + i);
			prep_slot_send(ring, me->fd, &buf[i], sizeof(buf[i]),
				       nr % NR_SLOTS, nr & 1 && i == NR_PARTS - 1 ?
				       IORING_RECVSEND_NOTIF_FLUSH : 0)
				->user_data = REQ(nr);
		}
		if (ring_submit(ring) != NR_PARTS)
			return "a submission failed";
		if (!(nr & 1) && flush_slots(ring, nr % NR_SLOTS, 1, 0) != 1)
			return "a flush failed";
	}
	while (rounds.over != NR_ROUNDS) {
		if (ring_next(ring, &cqe))
			return "a notification is lost";
		wrong = take_own_cqe(&rounds, &cqe);
		if (wrong)
			return wrong;
	}
	return ring_next_ms(ring, &cqe, QUIET_MS) == -ETIME ? NULL :
	       "a CQE too many";
}

static void *own_ring(void *arg)
{
	struct sender *me = arg;
	struct io_uring ring;
	const char *wrong;

	run_on_cpu(me->nr);
	if (ring_init(&ring, me->setup) || register_slots(&ring, NR_SLOTS))
		return "there is no such ring";
	wrong = send_rounds(me, &ring);
	ring_exit(&ring);
	return (void *)wrong;
}

static void start(struct sender *senders, void *(*run)(void *), int fd,
		  struct shared *shared)
{
	static const unsigned int setups[NR_THREADS] = {
		0, RING_DEFER, IORING_SETUP_SQPOLL,
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
	};
	unsigned int i;

	for (i = 0; i < NR_THREADS; i++) {
		senders[i] = (struct sender){
			.nr = i, .setup = setups[i], .fd = fd, .shared = shared,
		};
		pthread_create(&senders[i].thread, NULL, run, &senders[i]);
	}
}

#define ASSERT_ALL_WELL(_senders) do {					\
	unsigned int __i;						\
	void *__wrong;							\
									\
	for (__i = 0; __i < NR_THREADS; __i++) {			\
		pthread_join((_senders)[__i].thread, &__wrong);		\
		EXPECT_EQ(NULL, __wrong)				\
			TH_LOG("thread %u: %s", __i, (char *)__wrong);	\
	}								\
} while (0)

TEST_F(race, contract_03_rings_on_both_cpus)
{
	struct sender senders[NR_THREADS];
	const char *wrong;

	start(senders, own_ring, self->net.tx, NULL);
	wrong = read_records(self->net.rx);
	ASSERT_EQ(NULL, wrong)
		TH_LOG("%s", wrong);
	ASSERT_ALL_WELL(senders);
}

/* A notifier, as those who use the ring know it: they have the lock. */
struct notifier {
	unsigned int attached, ended;
	bool flushed, notified;
};

#define MAX_FLUSHES	(NR_THREADS * NR_ROUNDS + 1)

struct shared {
	pthread_mutex_t lock;
	struct io_uring ring;
	/* of each slot: the number of the notifier that it holds, or is next */
	unsigned int seq[NR_SLOTS];
	struct notifier notifiers[NR_SLOTS][MAX_FLUSHES];
	struct notifier *notifier_of[NR_RECORDS];
	struct record records[NR_RECORDS];
	unsigned int ended, notified;
	/* requests of each thread that have not ended */
	unsigned int in_flight[NR_THREADS];
};

static const char *take_shared_cqe(struct shared *shared,
				   const struct io_uring_cqe *cqe)
{
	struct notifier *notifier;
	unsigned int nr = cqe->user_data - REQ(0);

	if (cqe->user_data < TAG(0)) {
		if (cqe->res != sizeof(struct record) || cqe->flags)
			return "a request failed";
		shared->notifier_of[nr]->ended++;
		shared->in_flight[nr / NR_ROUNDS / NR_PARTS]--;
		return NULL;
	}
	if (notif_seq(cqe) >= MAX_FLUSHES)
		return "a notification has a wrong number";
	notifier = &shared->notifiers[cqe->user_data - TAG(0)][notif_seq(cqe)];
	if (!notifier->flushed || notifier->notified)
		return "a notification came twice, or unasked for";
	if (notifier->ended != notifier->attached)
		return "a notification came before the CQEs of its requests";
	notifier->notified = true;
	shared->notified++;
	return NULL;
}

static const char *take_shared_cqes(struct shared *shared)
{
	const char *wrong = NULL;
	struct io_uring_cqe cqe;

	while (!wrong && !ring_next_ms(&shared->ring, &cqe, 0))
		wrong = take_shared_cqe(shared, &cqe);
	return wrong;
}

/* Flush all slots, those of which hold a notifier answer. */
static void flush_shared(struct shared *shared)
{
	unsigned int slot;

	for (slot = 0; slot < NR_SLOTS; slot++) {
		struct notifier *held =
			&shared->notifiers[slot][shared->seq[slot]];

		held->flushed = held->attached;
		shared->seq[slot] += held->flushed;
	}
	prep_flush(&shared->ring, 0, NR_SLOTS, 0)->flags = IOSQE_CQE_SKIP_SUCCESS;
}

/* Some rounds go by io-wq: they may be in flight as another thread flushes. */
static bool share_round(struct sender *me, unsigned int round)
{
	struct shared *shared = me->shared;
	unsigned int nr = (me->nr * NR_ROUNDS + round) * NR_PARTS, i;

	for (i = nr; i < nr + NR_PARTS; i++) {
		unsigned int slot = (i + me->nr) % NR_SLOTS;
		struct io_uring_sqe *sqe;

		shared->notifier_of[i] =
			&shared->notifiers[slot][shared->seq[slot]];
		shared->notifier_of[i]->attached++;
		shared->in_flight[me->nr]++;
		fill_record(&shared->records[i], i);
		sqe = prep_slot_send(&shared->ring, me->fd, &shared->records[i],
				     sizeof(struct record), slot, 0);
		sqe->user_data = REQ(i);
		sqe->flags = me->nr < 2 && round % 3 == 0 ? IOSQE_ASYNC : 0;
	}
	if (me->nr & 1)
		flush_shared(shared);
	return ring_submit(&shared->ring) == (int)(NR_PARTS + (me->nr & 1));
}

/* Ends with the last of its requests, but not of its notifiers. */
static void *shared_ring(void *arg)
{
	struct sender *me = arg;
	struct shared *shared = me->shared;
	const char *wrong = NULL;
	unsigned int round = 0, idle_ms = 0;
	bool through = false;

	run_on_cpu(me->nr);
	while (!wrong && !through) {
		pthread_mutex_lock(&shared->lock);
		if (round < NR_ROUNDS && !share_round(me, round++))
			wrong = "a submission failed";
		wrong = wrong ?: take_shared_cqes(shared);
		through = round == NR_ROUNDS && !shared->in_flight[me->nr];
		pthread_mutex_unlock(&shared->lock);
		if (round < NR_ROUNDS) {
			sched_yield();
			continue;
		}
		if (idle_ms++ > LOST_MS)
			wrong = "the CQE of a request is lost";
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	return (void *)wrong;
}

/*
 * The receiver doesn't read before the threads have gone: what they have in
 * flight has to come without them.
 */
TEST_F(race, contract_03_one_ring_of_many_tasks)
{
	struct shared *shared = calloc(1, sizeof(*shared));
	unsigned int all = 0, slot, seq;
	struct sender senders[NR_THREADS];
	struct io_uring_cqe cqe;
	const char *wrong;

	pthread_mutex_init(&shared->lock, NULL);
	ASSERT_EQ(0, ring_init(&shared->ring, 0));
	ASSERT_EQ(0, register_slots(&shared->ring, NR_SLOTS));
	start(senders, shared_ring, self->net.tx, shared);
	ASSERT_ALL_WELL(senders);
	flush_shared(shared);
	ASSERT_SUBMIT(&shared->ring, 1);
	for (slot = 0; slot < NR_SLOTS; slot++)
		all += shared->seq[slot];
	ASSERT_LT(shared->notified, all);

	wrong = read_records(self->net.rx);
	ASSERT_EQ(NULL, wrong)
		TH_LOG("%s", wrong);
	while (shared->notified < all) {
		ASSERT_EQ(0, ring_next(&shared->ring, &cqe))
			TH_LOG("lost: %u notifications of %u",
			       all - shared->notified, all);
		wrong = take_shared_cqe(shared, &cqe);
		ASSERT_EQ(NULL, wrong)
			TH_LOG("%s", wrong);
	}
	ASSERT_QUIET(&shared->ring);
	for (slot = 0; slot < NR_SLOTS; slot++)
		for (seq = 0; seq < shared->seq[slot]; seq++)
			ASSERT_TRUE(shared->notifiers[slot][seq].notified);
	ring_exit(&shared->ring);
}

NOTIF_TEST_MAIN
