// SPDX-License-Identifier: GPL-2.0
/*
 * Mistakes that were made once. Each test failed before the fix, and its comment
 * says what the mistake was.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "stream.h"

/*
 * Notifiers are numbered from 1 again when slots are registered again. The mistake:
 * a buffer remembered the number of the notifier that had pinned it last, so the
 * second number 1 took the buffer for its own and didn't hold it.
 */
TEST_F(stream, contract_06_buffer_of_slots_registered_again)
{
	STREAM_SEND(0, 1000, 0, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 1000, 0);
	ASSERT_RECEIVED(&self->net, self->want, 1000);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_EQ(0, unregister_slots(&self->ring));
	ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));

	ASSERT_ALL_IN_FLIGHT(0, IORING_RECVSEND_NOTIF_FLUSH);
	if (variant->fixed)
		ASSERT_EQ(0, ring_register(&self->ring,
					   IORING_UNREGISTER_BUFFERS, NULL, 0));
	lose_data(self->data);
	ASSERT_RECEIVED(&self->net, self->want, DATA_LEN);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

/*
 * Two notifiers take turns with one buffer. The mistake: a buffer remembers only the
 * last one, so each turn adds it to a list again, which has to grow for that.
 */
TEST_F(stream, contract_06_buffer_by_turns)
{
	const unsigned int len = 256, turns = DATA_LEN / len;
	unsigned int i, j;

	for (i = 0; i < turns; i += 32) {
		for (j = i; j < i + 32; j++)
			STREAM_SEND(j * len, len, j % 2, 0);
		ASSERT_SUBMIT(&self->ring, 32);
		for (j = i; j < i + 32; j++)
			ASSERT_CQE(&self->ring, REQ(0), len, 0);
	}
	if (variant->fixed)
		ASSERT_EQ(0, ring_register(&self->ring,
					   IORING_UNREGISTER_BUFFERS, NULL, 0));
	lose_data(self->data);
	ASSERT_FLUSH(&self->ring, 0, 2);
	ASSERT_RECEIVED(&self->net, self->want, DATA_LEN);
	ASSERT_NOTIFS(&self->ring, 0, 2, 0);
}

/*
 * A notifier answers in the format of the slots that it belongs to. The mistake: it
 * answered in that of the slots that were registered when it was posted.
 */
TEST_F(stream, contract_03_format_of_its_own_slots)
{
	const struct io_uring_notification_slot slot = { .tag = TAG(9) };

	ASSERT_ALL_IN_FLIGHT(0, 0);
	ASSERT_EQ(0, unregister_slots(&self->ring));
	ASSERT_EQ(0, register_slots_as(&self->ring, &slot, 1,
				       IORING_NOTIF_REG_RAW_SEQ));
	ASSERT_RECEIVED(&self->net, self->want, DATA_LEN);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	STREAM_SEND(0, 1000, 0, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 1000, 0);
	ASSERT_RECEIVED(&self->net, self->want, 1000);
	ASSERT_CQE(&self->ring, TAG(9), 0, 0);
}

/*
 * When an skb is copied, all notifiers linked in it say so: always on lo, where the
 * receiver gets a copy, and never on the NIC. The mistake: only one of them did.
 */
TEST_F(stream, contract_03_linked_says_if_copied)
{
	const __s32 want = variant->link == NET_LO ?
			   (__s32)IORING_NOTIF_USAGE_ZC_COPIED : 0;
	const unsigned int flags = IORING_RECVSEND_NOTIF_FLUSH |
				   IORING_SEND_ZC_REPORT_USAGE;
	const unsigned int len = DATA_LEN / 32;
	unsigned int i, notifs = 0;

	for (i = 0; i < 32; i++)
		STREAM_SEND(i * len, len, 0, flags);
	ASSERT_SUBMIT(&self->ring, 32);
	ASSERT_RECEIVED(&self->net, self->want, DATA_LEN);
	for (i = 0; i < 64; i++) {
		struct io_uring_cqe cqe = {};

		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		if (cqe.user_data != TAG(0))
			continue;
		ASSERT_EQ(want, cqe.res);
		notifs++;
	}
	ASSERT_EQ(32, notifs);
}

/*
 * A request below copy_below makes its own notifier say "copied". The mistake: those
 * that were linked with it said so too.
 */
TEST_F(stream, contract_07_linked_with_a_copied_request)
{
	const struct io_uring_notification_slot slots[] = {
		{ .tag = TAG(0), .copy_below = 1000 }, { .tag = TAG(1) },
	};
	const unsigned int flags = IORING_RECVSEND_NOTIF_FLUSH |
				   IORING_SEND_ZC_REPORT_USAGE;
	const unsigned int rounds = 8, len = 30000, round = 100 + 2 * len;
	unsigned int i, notifs[2] = {};

	if (variant->link == NET_LO)
		SKIP(return, "the loopback device copies everything");
	ASSERT_EQ(0, unregister_slots(&self->ring));
	ASSERT_EQ(0, register_slots_as(&self->ring, slots, 2, 0));
	for (i = 0; i < rounds; i++) {
		STREAM_SEND(i * round, 100, 0, 0);
		STREAM_SEND(i * round + 100, len, 0, flags);
		STREAM_SEND(i * round + 100 + len, len, 1, flags);
	}
	ASSERT_SUBMIT(&self->ring, rounds * 3);
	ASSERT_RECEIVED(&self->net, self->want, rounds * round);
	for (i = 0; i < rounds * 5; i++) {
		struct io_uring_cqe cqe = {};

		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		if (cqe.user_data == REQ(0))
			continue;
		ASSERT_EQ(cqe.user_data == TAG(0) ?
			  (__s32)IORING_NOTIF_USAGE_ZC_COPIED : 0, cqe.res);
		notifs[cqe.user_data - TAG(0)]++;
	}
	ASSERT_EQ(rounds, notifs[0]);
	ASSERT_EQ(rounds, notifs[1]);
}

FIXTURE(ring)
{
	struct io_uring ring;
	struct pair net;
	char data[1000];
};

RING_VARIANTS(ring);

FIXTURE_SETUP(ring)
{
	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_DGRAM);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, register_slots(&self->ring, 1));
	fill_pattern(self->data, sizeof(self->data), 1);
}

FIXTURE_TEARDOWN(ring)
{
	ring_exit(&self->ring);
	pair_close(&self->net);
}

/* Fails as it is issued, and so has been attached. */
static void prep_failing(FIXTURE_DATA(ring) *self)
{
	prep_slot_send(&self->ring, -1, self->data, 1, 0, 0);
}

/* Have @nr CQEs posted that nobody reads. */
static void fill_cq(struct __test_metadata *_metadata,
		    FIXTURE_DATA(ring) *self, unsigned int nr)
{
	unsigned int i, batch;

	for (; nr; nr -= batch) {
		batch = nr < 32 ? nr : 32;
		for (i = 0; i < batch; i++)
			prep_failing(self);
		ASSERT_SUBMIT(&self->ring, batch);
	}
}

/*
 * A raw number may have the bit of IORING_CQE_F_32 set. The mistake: the CQE counted as
 * a large one then, and the last one of a CQ ring overwrote the first, which nobody had
 * read yet; so did one that had waited for room in the CQ.
 */
TEST_F(ring, contract_03_number_with_any_bit)
{
	const struct io_uring_notification_slot slot = { .tag = TAG(0) };
	const unsigned int entries = *self->ring.cq.kring_mask + 1;
	unsigned int seq, i;

	ASSERT_EQ(0, unregister_slots(&self->ring));
	ASSERT_EQ(0, register_slots_as(&self->ring, &slot, 1,
				       IORING_NOTIF_REG_RAW_SEQ));
	for (seq = 0; seq < 0x8000; seq += 32) {
		for (i = 0; i < 32; i++) {
			prep_failing(self);
			prep_flush(&self->ring, 0, 1, 0)->flags =
				IOSQE_CQE_SKIP_SUCCESS;
		}
		ASSERT_SUBMIT(&self->ring, 64);
		for (i = 0; i < 32; i++)
			ASSERT_CQE(&self->ring, REQ(0), -EBADF, 0);
		for (i = 0; i < 32; i++)
			ASSERT_CQE(&self->ring, TAG(0), 0, seq + i);
	}

	fill_cq(_metadata, self, entries - 1);
	ASSERT_FLUSH(&self->ring, 0, 1);
	for (i = 0; i < entries - 1; i++)
		ASSERT_CQE(&self->ring, REQ(0), -EBADF, 0);
	ASSERT_CQE(&self->ring, TAG(0), 0, 0x8000);

	fill_cq(_metadata, self, entries);
	ASSERT_FLUSH(&self->ring, 0, 1);
	for (i = 0; i < entries; i++)
		ASSERT_CQE(&self->ring, REQ(0), -EBADF, 0);
	ASSERT_CQE(&self->ring, TAG(0), 0, 0x8001);
}

/*
 * Requests that fail count their pages as well, and those that could never succeed
 * count the most: 2^32 pages need not exist to be counted. The mistake: a counter of
 * 32 bits, which wrapped.
 */
TEST_F(ring, contract_06_more_pages_than_32_bits)
{
	const unsigned int batch = 64;
	unsigned int nr, i;

	for (nr = 0; nr < 8192 + batch; nr += batch) {
		for (i = 0; i < batch; i++)
			prep_slot_send(&self->ring, -1, NULL, 0x7ffff000, 0, 0);
		ASSERT_SUBMIT(&self->ring, batch);
		for (i = 0; i < batch; i++)
			ASSERT_CQE(&self->ring, REQ(0), -EBADF, 0);
	}
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

/*
 * One wait for both CQEs of a request that waited for its socket. The mistake: the
 * first one was kept back until the task had as many as it waits for, but the second
 * one comes only once the first has been posted.
 */
TEST_F(ring, contract_12_one_wait_for_request_and_notification)
{
	const struct io_uring_notification_slot slot = {
		.tag = TAG(0), .flush_after = 1,
	};
	const size_t len = 1 << 20;
	char *data = calloc(1, len);
	struct pair tcp;
	size_t filled;
	pid_t pid;

	OPEN_PAIR(&tcp, NET_LO, AF_INET, SOCK_STREAM, .full = true);
	filled = fill_socket(tcp.tx);
	ASSERT_EQ(0, unregister_slots(&self->ring));
	ASSERT_EQ(0, register_slots_as(&self->ring, &slot, 1, 0));
	prep_slot_send(&self->ring, tcp.tx, data, len, 0, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_QUIET(&self->ring);

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(!!drain_socket(tcp.rx, filled + len));
	ASSERT_EQ(0, ring_wait(&self->ring, 2, LOST_MS));
	ASSERT_CQE(&self->ring, REQ(0), len, 0);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	pair_close(&tcp);
	free(data);
}

static atomic_bool stop_changing;

/* Have SQEs ask for a slot, and not, while the kernel reads them. */
static void *change_sqes(void *arg)
{
	struct io_uring *ring = arg;
	unsigned int i;

	while (!stop_changing)
		for (i = 0; i <= *ring->sq.kring_mask; i++)
			__atomic_fetch_xor(&ring->sq.sqes[i].ioprio,
					   IORING_SEND_ZC_NOTIF_SLOT,
					   __ATOMIC_RELAXED);
	return NULL;
}

/*
 * A request either attaches or has a notification of its own. The mistake: the SQE was
 * read twice, and a program that changed it in between got a request of one kind that
 * was cleaned up as the other. Only CPUs that really run at the same time show it.
 */
TEST_F(ring, contract_10_sqe_changes_as_it_is_read)
{
	unsigned int i, own = 0, notifs = 0;
	struct io_uring_cqe cqe;
	pthread_t thread;

	stop_changing = false;
	ASSERT_EQ(0, pthread_create(&thread, NULL, change_sqes, &self->ring));
	for (i = 0; i < 1000; i++) {
		prep_slot_send(&self->ring, self->net.tx, self->data, 1, 0,
			       0)->ioprio = 0;
		ASSERT_SUBMIT(&self->ring, 1);
		for (;;) {
			ASSERT_EQ(0, ring_next(&self->ring, &cqe));
			if (!(cqe.flags & IORING_CQE_F_NOTIF))
				break;
			notifs++;
		}
		ASSERT_TRUE(cqe.res == 1 || cqe.res == -EINVAL);
		own += !!(cqe.flags & IORING_CQE_F_MORE);
	}
	stop_changing = true;
	pthread_join(thread, NULL);
	while (notifs < own) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		notifs++;
	}
}

/*
 * No send takes more than MAX_RW_COUNT bytes. The mistake: from a registered buffer of
 * 2 GiB it did, where SEND_ZC says EFAULT. Here that is a few pages, mapped many times.
 */
TEST(contract_10_longer_than_any_send)
{
	static const unsigned int lens[] = { 0x7ffff000, 0x7ffff001, 0x7fffffff };
	const size_t piece = 2 << 20, all = 1UL << 31;
	struct iovec iov = { .iov_len = all };
	struct io_uring_cqe cqe;
	struct io_uring ring;
	struct pair udp;
	unsigned int i;
	size_t off;
	int fd;

	fd = memfd_create("piece", 0);
	ASSERT_EQ(0, ftruncate(fd, piece));
	iov.iov_base = mmap(NULL, all, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, iov.iov_base);
	for (off = 0; off < all; off += piece)
		ASSERT_NE(MAP_FAILED, mmap(iov.iov_base + off, piece,
					   PROT_READ | PROT_WRITE,
					   MAP_SHARED | MAP_FIXED, fd, 0));
	OPEN_PAIR(&udp, NET_LO, AF_INET, SOCK_DGRAM);
	ASSERT_EQ(0, ring_init(&ring, 0));
	ASSERT_EQ(0, register_slots(&ring, 1));
	ASSERT_EQ(0, io_uring_register_buffers(&ring, &iov, 1));
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		io_uring_prep_sendzc(ring_sqe(&ring), udp.tx, iov.iov_base, lens[i],
				     0, IORING_RECVSEND_FIXED_BUF);
		ASSERT_SUBMIT(&ring, 1);
		ASSERT_EQ(0, ring_next(&ring, &cqe));
		ASSERT_EQ(i ? -EFAULT : -EMSGSIZE, cqe.res);
		if (cqe.flags & IORING_CQE_F_MORE)
			ASSERT_CQE(&ring, 0, 0, IORING_CQE_F_NOTIF);

		prep_slot_send(&ring, udp.tx, iov.iov_base, lens[i], 0,
			       IORING_RECVSEND_FIXED_BUF);
		ASSERT_SUBMIT(&ring, 1);
		ASSERT_CQE(&ring, REQ(0), cqe.res, 0);
	}
	ASSERT_FLUSH(&ring, 0, 1);
	ASSERT_NOTIF(&ring, TAG(0), 0);
	ring_exit(&ring);
	pair_close(&udp);
	munmap(iov.iov_base, all);
	close(fd);
}

NOTIF_TEST_MAIN
