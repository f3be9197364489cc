// SPDX-License-Identifier: GPL-2.0
/*
 * Each allocation and each copy of a system call fails once. What asked for it is
 * told why, nothing else is lost, nothing leaks, and it works as it is repeated.
 */
#include <pthread.h>

#include "inject.h"

/* Which numbers the slots' next notifiers get; how many are in flight. */
static int read_fdinfo(FIXTURE_DATA(inject) *self, unsigned int *next)
{
	unsigned int slot, seq;
	int in_flight = -EINVAL;
	char line[128];
	FILE *file;

	snprintf(line, sizeof(line), "/proc/self/fdinfo/%d", self->ring.ring_fd);
	file = fopen(line, "r");
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, " %u: tag:%*x, seq:%u", &slot, &seq) == 2 &&
		    slot < NR_SLOTS)
			next[slot] = seq;
		else if (!strncmp(line, "NotifsInFlight:", 15))
			in_flight = atoi(line + 15);
	}
	if (file)
		fclose(file);
	return in_flight;
}

/*
 * Flush, and each notifier answers: no number is missing. Then nothing is in flight
 * and nothing locked, and as the ring is closed the module is free.
 */
static void finish(struct __test_metadata *_metadata,
		   FIXTURE_DATA(inject) *self, struct pair *pair)
{
	unsigned int next[NR_SLOTS] = {}, all = 0, slot;
	struct io_uring_cqe cqe = {};

	receive_sent(_metadata, self, pair);
	ASSERT_FLUSH(&self->ring, 0, NR_SLOTS);
	ASSERT_LE(0, read_fdinfo(self, next));
	for (slot = 0; slot < NR_SLOTS; slot++)
		all += next[slot];
	while (self->notified < all) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe))
			TH_LOG("call %u failed, and %u of %u notifications came",
			       self->faults.nth, self->notified, all);
		take_cqe(_metadata, self, &cqe);
	}
	for (slot = 0; slot < NR_SLOTS; slot++)
		ASSERT_EQ((1U << next[slot]) - 1, self->seen[slot]);
	ring_wait(&self->ring, 0, 0);
	ASSERT_TRUE(ring_empty(&self->ring));
	ASSERT_EQ(0, read_fdinfo(self, next));
	ring_register(&self->ring, IORING_UNREGISTER_BUFFERS, NULL, 0);
	ASSERT_EQ(self->base, locked_pages(&self->probe, self->page))
		TH_LOG("call %u failed, and pages stay locked", self->faults.nth);
	ring_exit(&self->ring);
	ASSERT_EQ(0, module_unused());
}

#define FINISH(_pair)	finish(_metadata, self, _pair)

TEST_F(inject, contract_10_enomem_register)
{
	int ret;

	do {
		open_ring(_metadata, self, variant->setup, 32);
		WITH_FAULT(ret = register_all(self));
		if (ret) {
			ASSERT_TRUE(is_fault(self, ret) && ret != -ENOBUFS);
			ASSERT_EQ(-ENXIO, unregister_slots(&self->ring));
			ASSERT_EQ(0, module_unused());
			ASSERT_EQ(0, register_all(self));
		}
		SEND_WELL(&self->udp, 0, 0);
		FINISH(&self->udp);
	} while (MORE_FAULTS);
}

/* With a notifier of slots that have gone still in flight. */
TEST_F(inject, contract_10_enomem_register_again)
{
	int ret;

	do {
		OPEN_RING(32);
		ASSERT_BACKLOG();
		SEND_WELL(&self->tcp, 0, 0);
		ASSERT_EQ(0, unregister_slots(&self->ring));
		WITH_FAULT(ret = register_all(self));
		if (ret) {
			ASSERT_TRUE(is_fault(self, ret) && ret != -ENOBUFS);
			ASSERT_EQ(-ENXIO, unregister_slots(&self->ring));
			ASSERT_EQ(0, register_all(self));
		}
		ASSERT_DRAINED();
		receive_sent(_metadata, self, &self->tcp);
		ASSERT_NOTIF(&self->ring, TAG(0), 0);
		SEND_WELL(&self->udp, 0, 0);
		FINISH(&self->udp);
	} while (MORE_FAULTS);
}

TEST_F(inject, contract_10_enomem_unregister)
{
	unsigned int slot;
	int ret;

	do {
		OPEN_RING(32);
		for (slot = 0; slot < NR_SLOTS; slot++)
			SEND_WELL(&self->udp, slot, 0);
		WITH_FAULT(ret = unregister_slots(&self->ring));
		ASSERT_EQ(0, ret);
		ASSERT_NOTIFS(&self->ring, 0, NR_SLOTS, 0);
		ASSERT_EQ(0, register_all(self));
		SEND_WELL(&self->udp, 0, 0);
		FINISH(&self->udp);
	} while (MORE_FAULTS);
}

/* The ring's first one: its lane and a notifier are made. */
TEST_F(inject, contract_10_enomem_first_attach)
{
	do {
		OPEN_RING(32);
		SEND_WITH_FAULT(&self->udp, 0, 0);
		FINISH(&self->udp);
	} while (MORE_FAULTS);
}

TEST_F(inject, contract_10_enomem_further_attach)
{
	do {
		OPEN_RING(32);
		SEND_WELL(&self->udp, 0, 0);
		SEND_WITH_FAULT(&self->udp, 0, 0);
		FINISH(&self->udp);
	} while (MORE_FAULTS);
}

TEST_F(inject, contract_10_enomem_copied)
{
	do {
		OPEN_RING(32);
		SEND_WITH_FAULT(&self->udp, COPYING, 0);
		FINISH(&self->udp);
	} while (MORE_FAULTS);
}

/* A notifier that keeps 0, 4 and 8 buffers needs room for another one. */
TEST_F(inject, contract_10_enomem_pin)
{
	unsigned int kept, i;

	for (kept = 0; kept <= 8; kept += 4)
		do {
			OPEN_RING(32);
			ASSERT_EQ(0, register_pages(self));
			for (i = 0; i < kept; i++)
				SEND_WELL(&self->udp, 0, FIXED);
			SEND_WITH_FAULT(&self->udp, 0, FIXED);
			FINISH(&self->udp);
		} while (MORE_FAULTS);
}

TEST_F(inject, contract_10_enomem_vector)
{
	static const struct {
		bool message;
		unsigned int ioprio;
	} forms[] = {
		{ false, IORING_SEND_VECTORIZED }, { true, 0 },
		{ false, IORING_SEND_VECTORIZED | FIXED }, { true, FIXED },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(forms); i++)
		do {
			OPEN_RING(32);
			ASSERT_EQ(0, register_pages(self));
			self->message = forms[i].message;
			SEND_WITH_FAULT(&self->udp, 0, forms[i].ioprio);
			FINISH(&self->udp);
		} while (MORE_FAULTS);
}

/* Of a notifier with one request, and with two. */
TEST_F(inject, contract_10_enomem_flush_by_flag)
{
	unsigned int before;

	for (before = 0; before < 2; before++)
		do {
			OPEN_RING(32);
			if (before)
				SEND_WELL(&self->udp, 0, 0);
			SEND_WITH_FAULT(&self->udp, 0, FLUSH);
			FINISH(&self->udp);
		} while (MORE_FAULTS);
}

TEST_F(inject, contract_10_enomem_flush_by_update)
{
	int ret;

	do {
		OPEN_RING(32);
		SEND_WELL(&self->udp, 0, 0);
		SEND_WELL(&self->udp, 1, 0);
		prep_flush(&self->ring, 0, NR_SLOTS, 0)->user_data =
			REQ(self->nr++);
		WITH_FAULT(ret = ring_submit(&self->ring));
		ASSERT_EQ(1, ret);
		take_answers(_metadata, self);
		ASSERT_EQ(2, self->res[self->nr - 1]);
		FINISH(&self->udp);
	} while (MORE_FAULTS);
}

/*
 * The CQ has no room for four notifications, and one finds no memory to wait in: it
 * is dropped, counted and told as any CQE would be. Its notifier has ended all the
 * same.
 */
TEST_F(inject, contract_10_enomem_overflow)
{
	unsigned int i, dropped, told;
	struct io_uring_cqe cqe = {};
	int ret;

	do {
		OPEN_RING(8);
		for (i = 0; i < 8; i++)
			prep_next(self, self->udp.tx, i % NR_SLOTS, 0);
		ASSERT_SUBMIT(&self->ring, 8);
		prep_flush(&self->ring, 0, NR_SLOTS, 0)->flags =
			IOSQE_CQE_SKIP_SUCCESS;
		WITH_FAULT(ret = ring_submit(&self->ring));
		ASSERT_EQ(1, ret);
		dropped = *self->ring.cq.koverflow;
		ASSERT_LE(dropped, self->faults.failed);
		take_answers(_metadata, self);
		told = 0;
		while (self->notified + dropped < NR_SLOTS || told < dropped) {
			ret = ring_next(&self->ring, &cqe);
			if (ret == -EBADR) {
				told++;
				continue;
			}
			ASSERT_EQ(0, ret);
			take_cqe(_metadata, self, &cqe);
		}
		ASSERT_EQ(dropped, told);
		for (i = 0; i < NR_SLOTS && dropped; i++)
			if (!self->seen[i]) {
				self->seen[i] = 1;
				self->notified++;
			}
		SEND_WELL(&self->udp, 0, FLUSH);
		FINISH(&self->udp);
	} while (MORE_FAULTS);
}

/* How many links were made, of all rings; -1 if that can't be told. */
static long links_made(FIXTURE_DATA(inject) *self)
{
	char text[512] = "";
	const char *at;

	if (pread(self->totals, text, sizeof(text) - 1, 0) <= 0)
		return -1;
	at = strstr(text, "linked:");
	return at ? atol(at + 7) : -1;
}

/* So many notifiers are in the last skb of a stream, and another one comes to it. */
static void meet(struct __test_metadata *_metadata, FIXTURE_DATA(inject) *self,
		 unsigned int setup, unsigned int before)
{
	unsigned int slot;
	long made;

	do {
		open_ring(_metadata, self, setup, 32);
		ASSERT_EQ(0, register_all(self));
		ASSERT_BACKLOG();
		made = links_made(self);
		for (slot = 0; slot < before; slot++)
			SEND_WELL(&self->tcp, slot, 0);
		SEND_WITH_FAULT(&self->tcp, slot, 0);
		if (!self->faults.nth)
			ASSERT_LT(made, links_made(self));
		ASSERT_DRAINED();
		FINISH(&self->tcp);
	} while (MORE_FAULTS);
}

TEST_F(inject, contract_10_enomem_link)
{
	meet(_metadata, self, variant->setup, 1);
}

/* The link that is there has room for two. */
TEST_F(inject, contract_10_enomem_link_grows)
{
	meet(_metadata, self, variant->setup, 2);
}

/*
 * A third one comes after the skb of two was split, and so shares its link with the
 * part that is on its way. That is a full packet; a cork holds the rest back, and
 * the receiver takes its time to acknowledge.
 */
TEST_F(inject, contract_10_enomem_link_after_split)
{
	long made;

	do {
		OPEN_RING(32);
		ASSERT_EQ(0, setsockopt_int(self->tcp.rx, IPPROTO_TCP,
					    TCP_QUICKACK, 0));
		ASSERT_EQ(0, setsockopt_int(self->tcp.tx, IPPROTO_TCP, TCP_CORK, 1));
		made = links_made(self);
		prep_next(self, self->tcp.tx, 0, 0);
		prep_next(self, self->tcp.tx, 1, 0);
		ASSERT_SUBMIT(&self->ring, 2);
		take_answers(_metadata, self);
		SEND_WITH_FAULT(&self->tcp, 2, 0);
		if (!self->faults.nth && links_made(self) < made + 2)
			printf("# too slow: no link was shared\n");
		ASSERT_EQ(0, setsockopt_int(self->tcp.tx, IPPROTO_TCP, TCP_CORK, 0));
		FINISH(&self->tcp);
	} while (MORE_FAULTS);
}

/* Reads what is in front, a while later, by another task. */
static void *read_later(void *arg)
{
	FIXTURE_DATA(inject) *self = arg;

	sleep_ms(20);
	return (void *)(long)receive_and_compare(self->tcp.rx, self->backlog,
						 BACKLOG_LEN);
}

TEST_F(inject, contract_10_enomem_completed_by_the_network)
{
	pthread_t thread;
	void *err;
	int ret;

	do {
		OPEN_RING(32);
		ASSERT_BACKLOG();
		SEND_WELL(&self->tcp, 0, FLUSH);
		SEND_WELL(&self->tcp, 1, FLUSH);
		ASSERT_EQ(0, pthread_create(&thread, NULL, read_later, self));
		WITH_FAULT(ret = ring_wait(&self->ring, 2, LOST_MS));
		ASSERT_TRUE(!ret || ret == -EINTR || is_fault(self, ret))
			TH_LOG("call %u failed, the wait with %d",
			       self->faults.nth, ret);
		ASSERT_EQ(0, pthread_join(thread, &err));
		ASSERT_EQ(NULL, err);
		FINISH(&self->tcp);
	} while (MORE_FAULTS);
}

TEST_F(inject, contract_10_enomem_close)
{
	int fd, ret;

	do {
		OPEN_RING(32);
		ASSERT_BACKLOG();
		SEND_WELL(&self->tcp, 0, 0);
		SEND_WELL(&self->tcp, 1, FLUSH);
		fd = dup(self->ring.ring_fd);
		ASSERT_LE(0, fd);
		ring_exit(&self->ring);
		WITH_FAULT(ret = close(fd));
		ASSERT_EQ(0, ret);
		ASSERT_DRAINED();
		receive_sent(_metadata, self, &self->tcp);
		ASSERT_EQ(0, module_unused());
		ASSERT_EQ(self->base, locked_pages(&self->probe, self->page));
	} while (MORE_FAULTS);
}

NOTIF_TEST_MAIN
