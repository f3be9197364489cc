// SPDX-License-Identifier: GPL-2.0
/* Several rings on one socket, one ring on many sockets. */
#include <sys/wait.h>

#include "fixture.h"

#define NR_SOCKETS	100
#define RECORD_LEN	500
#define NR_RECORDS	64	/* of each of two senders */
#define DATA_LEN	(2 * NR_RECORDS * RECORD_LEN)

FIXTURE(sockets)
{
	struct io_uring ring;
	char *data;
};

FIXTURE_VARIANT(sockets)
{
	unsigned int setup;
	int family, type;
};

#define VARIANTS(name, _type)						\
	FIXTURE_VARIANT_ADD(sockets, name##_plain) {			\
		.setup = 0, .family = AF_INET, .type = _type		\
	};								\
	FIXTURE_VARIANT_ADD(sockets, name##_defer) {			\
		.setup = RING_DEFER, .family = AF_INET6, .type = _type	\
	}

VARIANTS(udp, SOCK_DGRAM);
VARIANTS(tcp, SOCK_STREAM);

FIXTURE_SETUP(sockets)
{
	self->data = malloc(DATA_LEN);
	fill_pattern(self->data, DATA_LEN, 13);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
}

FIXTURE_TEARDOWN(sockets)
{
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
}

/*
 * Two rings, not of one kind, take turns on a socket. Each has its notification
 * when its own slot is flushed, whatever the other one does.
 */
TEST_F(sockets, contract_12_two_rings_interleaved)
{
	const unsigned int len = 100, nr = 8;
	struct io_uring other;
	struct pair net;
	unsigned int round, i;

	OPEN_PAIR(&net, NET_LO, variant->family, variant->type);
	ASSERT_EQ(0, register_slots(&self->ring, 1));
	ASSERT_EQ(0, ring_init(&other, variant->setup ? 0 : RING_DEFER));
	ASSERT_EQ(0, register_slots(&other, 1));
	for (round = 0; round < 6; round++) {
		/* the one that flushes this time: by its last request */
		struct io_uring *first = round % 2 ? &other : &self->ring;
		struct io_uring *second = round % 2 ? &self->ring : &other;

		for (i = 0; i < nr; i++) {
			struct io_uring *ring = i % 2 ? second : first;

			prep_slot_send(ring, net.tx, self->data + i * len, len,
				       0, i == nr - 2 ?
				       IORING_RECVSEND_NOTIF_FLUSH : 0);
			ASSERT_SUBMIT(ring, 1);
			ASSERT_CQE(ring, REQ(0), len, 0);
		}
		ASSERT_RECEIVED(&net, self->data, nr * len);
		ASSERT_NOTIF(first, TAG(0), round);
		ASSERT_QUIET(second);
		ASSERT_FLUSH(second, 0, 1);
		ASSERT_NOTIF(second, TAG(0), round);
	}
	ring_exit(&other);
	pair_close(&net);
}

/*
 * A process that sends its half of the records, 4 to a notifier, and takes the
 * CQEs as they come. Returns the line in which it failed, or 0.
 */
static int send_records(unsigned int setup, int fd, const char *records)
{
	unsigned int done = 0, notifs = 0, sent = 0;
	struct io_uring ring;

	if (ring_init(&ring, setup) || register_slots(&ring, 1))
		return __LINE__;
	while (notifs < NR_RECORDS / 4) {
		struct io_uring_cqe cqe;

		if (sent < NR_RECORDS && sent - done < 8) {
			prep_slot_send(&ring, fd, records + sent * RECORD_LEN,
				       RECORD_LEN, 0, sent % 4 == 3 ?
				       IORING_RECVSEND_NOTIF_FLUSH : 0);
			if (ring_submit(&ring) != 1)
				return __LINE__;
			sent++;
			if (ring_empty(&ring))
				continue;
		}
		if (ring_next(&ring, &cqe))
			return __LINE__;
		if (cqe.user_data == REQ(0)) {
			if (cqe.res != RECORD_LEN || cqe.flags)
				return __LINE__;
			done++;
			continue;
		}
		if (cqe.user_data != TAG(0) || cqe.res ||
		    notif_seq(&cqe) >= done / 4)
			return __LINE__;
		notifs++;
	}
	ring_wait(&ring, 0, 0);
	return ring_empty(&ring) ? 0 : __LINE__;
}

/* Two processes at once, each with a ring, on one socket. */
TEST_F(sockets, contract_12_two_rings_racing)
{
	unsigned char seen[2 * NR_RECORDS] = {};
	unsigned int last[2] = { 0, 0 }, i, j;
	char got[RECORD_LEN];
	struct pair net;
	pid_t pid[2];
	int status;

	OPEN_PAIR(&net, NET_LO, variant->family, variant->type);
	for (i = 0; i < 2; i++) {
		pid[i] = fork();
		ASSERT_GE(pid[i], 0);
		if (pid[i])
			continue;
		status = send_records(i ? 0 : variant->setup, net.tx,
				      self->data + i * NR_RECORDS * RECORD_LEN);
		if (status)
			printf("# sender %u failed in line %d\n", i, status);
		fflush(stdout);
		_exit(!!status);
	}
	for (i = 0; i < 2 * NR_RECORDS; i++) {
		ASSERT_EQ(RECORD_LEN, recv(net.rx, got, RECORD_LEN, MSG_WAITALL));
		for (j = 0; j < 2 * NR_RECORDS; j++)
			if (!memcmp(got, self->data + j * RECORD_LEN, RECORD_LEN))
				break;
		ASSERT_LT(j, 2 * NR_RECORDS);
		ASSERT_EQ(0, seen[j]);
		seen[j] = 1;
		/* each sender's come in order, in a stream at least */
		if (variant->type == SOCK_STREAM)
			ASSERT_EQ(last[j / NR_RECORDS]++, j % NR_RECORDS);
	}
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(pid[i], waitpid(pid[i], &status, 0));
		EXPECT_EQ(0, status);
	}
	pair_close(&net);
}

/* A request on each of 100 sockets, through one slot or one slot each. */
static void send_on_all(struct __test_metadata *_metadata,
			FIXTURE_DATA(sockets) *self, struct pair *pairs,
			unsigned int nr_slots, unsigned int seq)
{
	unsigned char seen[NR_SOCKETS] = {};
	struct io_uring_cqe cqe;
	unsigned int i;

	for (i = 0; i < NR_SOCKETS; i++)
		prep_slot_send(&self->ring, pairs[i].tx,
			       self->data + i * RECORD_LEN, RECORD_LEN,
			       i % nr_slots, 0)->user_data = REQ(i);
	ASSERT_SUBMIT(&self->ring, NR_SOCKETS);
	for (i = 0; i < NR_SOCKETS; i++) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		ASSERT_LT(cqe.user_data - REQ(0), NR_SOCKETS);
		ASSERT_EQ(0, seen[cqe.user_data - REQ(0)]++);
		ASSERT_EQ(RECORD_LEN, cqe.res);
		ASSERT_EQ(0, cqe.flags);
	}
	for (i = 0; i < NR_SOCKETS; i++)
		ASSERT_RECEIVED(&pairs[i], self->data + i * RECORD_LEN,
				RECORD_LEN);
	ASSERT_FLUSH(&self->ring, 0, nr_slots);
	memset(seen, 0, sizeof(seen));
	for (i = 0; i < nr_slots; i++) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe))
			TH_LOG("%u notifications of %u", i, nr_slots);
		ASSERT_LT(cqe.user_data - TAG(0), nr_slots);
		ASSERT_EQ(0, seen[cqe.user_data - TAG(0)]++);
		ASSERT_EQ(0, cqe.res);
		ASSERT_EQ(notif_flags(seq), cqe.flags);
	}
	ASSERT_QUIET(&self->ring);
}

TEST_F(sockets, contract_12_100_sockets)
{
	struct pair pairs[NR_SOCKETS];
	unsigned int i;

	for (i = 0; i < NR_SOCKETS; i++)
		OPEN_PAIR(&pairs[i], NET_LO, variant->family, variant->type);
	ASSERT_EQ(0, register_slots(&self->ring, 1));
	send_on_all(_metadata, self, pairs, 1, 0);
	send_on_all(_metadata, self, pairs, 1, 1);
	ASSERT_EQ(0, unregister_slots(&self->ring));
	ASSERT_EQ(0, register_slots(&self->ring, NR_SOCKETS));
	send_on_all(_metadata, self, pairs, NR_SOCKETS, 0);
	send_on_all(_metadata, self, pairs, NR_SOCKETS, 1);
	for (i = 0; i < NR_SOCKETS; i++)
		pair_close(&pairs[i]);
}

/* Sockets that SEND_ZC refuses, slots refuse in the same way, once attached. */
TEST(contract_12_refused_like_send_zc)
{
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };
	struct io_uring_cqe cqe;
	struct io_uring ring;
	unsigned int i;
	int fds[2];

	ASSERT_EQ(0, ring_init(&ring, 0));
	ASSERT_EQ(0, register_slots(&ring, 1));
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		struct io_uring_sqe *sqe;

		ASSERT_EQ(0, socketpair(AF_UNIX, types[i], 0, fds));
		sqe = ring_sqe(&ring);
		io_uring_prep_sendzc(sqe, fds[0], "data", 4, 0, 0);
		ASSERT_SUBMIT(&ring, 1);
		ASSERT_EQ(0, ring_next(&ring, &cqe));
		ASSERT_EQ(-EOPNOTSUPP, cqe.res);
		if (cqe.flags & IORING_CQE_F_MORE)
			ASSERT_CQE(&ring, 0, 0, IORING_CQE_F_NOTIF);

		prep_slot_send(&ring, fds[0], "data", 4, 0,
			       IORING_RECVSEND_NOTIF_FLUSH);
		ASSERT_SUBMIT(&ring, 1);
		ASSERT_CQE(&ring, REQ(0), -EOPNOTSUPP, 0);
		ASSERT_NOTIF(&ring, TAG(0), i);
		ASSERT_EQ(-1, recv(fds[1], &cqe, 1, MSG_DONTWAIT));
		ASSERT_EQ(EAGAIN, errno);
		close(fds[0]);
		close(fds[1]);
	}
	ring_exit(&ring);
}

NOTIF_TEST_MAIN
