// SPDX-License-Identifier: GPL-2.0
/* Notifiers that outlive their slots, their buffers, their ring, their task. */
#include "process.h"
#include "stream.h"

TEST_F(stream, contract_03_not_before_the_pages_are_free)
{
	ASSERT_ALL_IN_FLIGHT(0, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_RECEIVED(&self->net, self->want, DATA_LEN);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

/* The notification says that the buffer can be written: write it. */
TEST_F(stream, contract_03_buffer_reused_at_notification)
{
	unsigned int round;

	for (round = 0; round < 4; round++) {
		STREAM_SEND(0, DATA_LEN, 0, IORING_RECVSEND_NOTIF_FLUSH);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), DATA_LEN, 0);
		ASSERT_RECEIVED(&self->net, self->want, DATA_LEN);
		ASSERT_NOTIF(&self->ring, TAG(0), round);
		fill_pattern(self->data, DATA_LEN, round);
		memcpy(self->want, self->data, DATA_LEN);
	}
}

TEST_F(stream, contract_08_unregister_in_flight)
{
	ASSERT_ALL_IN_FLIGHT(0, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_EQ(0, unregister_slots(&self->ring));
	ASSERT_QUIET(&self->ring);
	ASSERT_RECEIVED(&self->net, self->want, DATA_LEN);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

TEST_F(stream, contract_08_unregister_flushes)
{
	unsigned int slot;

	/* data in slot 1 in flight, 0 and 2 answered at once or soon */
	for (slot = 0; slot < 3; slot++)
		STREAM_SEND(slot * (DATA_LEN / 4), DATA_LEN / 4, slot, 0);
	ASSERT_SUBMIT(&self->ring, 3);
	for (slot = 0; slot < 3; slot++)
		ASSERT_CQE(&self->ring, REQ(0), DATA_LEN / 4, 0);
	ASSERT_QUIET(&self->ring);
	ASSERT_EQ(0, unregister_slots(&self->ring));
	ASSERT_RECEIVED(&self->net, self->want, 3 * (DATA_LEN / 4));
	/* and nothing of slot 3, which was empty */
	ASSERT_NOTIFS(&self->ring, 0, 3, 0);
}

/* The new slots count from 0; the old notifier still answers with its own. */
TEST_F(stream, contract_08_register_again)
{
	struct io_uring_cqe cqe;
	__u64 seen = 0;
	int i;

	ASSERT_ALL_IN_FLIGHT(2, 0);
	ASSERT_EQ(0, unregister_slots(&self->ring));
	ASSERT_EQ(0, register_slots(&self->ring, 1));

	STREAM_SEND(0, 1000, 0, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 1000, 0);
	ASSERT_RECEIVED(&self->net, self->want, DATA_LEN);
	ASSERT_RECEIVED(&self->net, self->want, 1000);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		ASSERT_EQ(0, cqe.res);
		ASSERT_EQ(notif_flags(0), cqe.flags);
		seen |= 1ULL << (cqe.user_data - TAG(0));
	}
	ASSERT_EQ(1 | 4, seen);
}

/* Over and over, each time with data of the slots before in flight. */
TEST_F(stream, contract_08_register_again_and_again)
{
	const unsigned int len = DATA_LEN / 16;
	unsigned int i;

	/* more than the receiver's window: what comes after it waits too */
	ASSERT_ALL_IN_FLIGHT(0, 0);
	for (i = 0; i < 16; i++) {
		const struct io_uring_notification_slot slot = {
			.tag = TAG(1 + i),
		};

		ASSERT_EQ(0, unregister_slots(&self->ring));
		ASSERT_EQ(0, register_slots_as(&self->ring, &slot, 1, 0));
		STREAM_SEND(i * len, len, 0,
			    i % 2 ? IORING_RECVSEND_NOTIF_FLUSH : 0);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), len, 0);
	}
	ASSERT_EQ(0, unregister_slots(&self->ring));
	ASSERT_EQ(-ENXIO, unregister_slots(&self->ring));
	ASSERT_QUIET(&self->ring);
	ASSERT_RECEIVED(&self->net, self->want, DATA_LEN);
	ASSERT_RECEIVED(&self->net, self->want, DATA_LEN);
	ASSERT_NOTIFS(&self->ring, 0, 17, 0);
}

/* Take the buffer from under the notifier: out of the table, and unmapped. */
#define LOSE_BUFFER() do {						\
	if (variant->fixed)						\
		ASSERT_EQ(0, ring_register(&self->ring,			\
					   IORING_UNREGISTER_BUFFERS,	\
					   NULL, 0));			\
	lose_data(self->data);						\
} while (0)

TEST_F(stream, contract_06_buffer_lost_in_flight)
{
	ASSERT_ALL_IN_FLIGHT(0, IORING_RECVSEND_NOTIF_FLUSH);
	LOSE_BUFFER();
	ASSERT_QUIET(&self->ring);
	ASSERT_RECEIVED(&self->net, self->want, DATA_LEN);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

TEST_F(stream, contract_06_buffer_lost_before_flush)
{
	ASSERT_ALL_IN_FLIGHT(0, 0);
	LOSE_BUFFER();
	ASSERT_RECEIVED(&self->net, self->want, DATA_LEN);
	ASSERT_QUIET(&self->ring);
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

TEST_F(stream, contract_08_close_unflushed_in_flight)
{
	unsigned int slot;

	for (slot = 0; slot < NR_SLOTS; slot++)
		STREAM_SEND(slot * (DATA_LEN / NR_SLOTS), DATA_LEN / NR_SLOTS,
			    slot, 0);
	ASSERT_SUBMIT(&self->ring, NR_SLOTS);
	for (slot = 0; slot < NR_SLOTS; slot++)
		ASSERT_CQE(&self->ring, REQ(0), DATA_LEN / NR_SLOTS, 0);
	CLOSE_RING();
	lose_data(self->data);
	ASSERT_RECEIVED(&self->net, self->want, DATA_LEN);
}

TEST_F(stream, contract_08_close_flushed_in_flight)
{
	ASSERT_ALL_IN_FLIGHT(0, IORING_RECVSEND_NOTIF_FLUSH);
	CLOSE_RING();
	lose_data(self->data);
	ASSERT_RECEIVED(&self->net, self->want, DATA_LEN);
}

/* Nothing is in flight any more, but nobody has flushed. */
TEST_F(stream, contract_08_close_unflushed)
{
	ASSERT_ALL_IN_FLIGHT(0, 0);
	ASSERT_RECEIVED(&self->net, self->want, DATA_LEN);
	ASSERT_QUIET(&self->ring);
	CLOSE_RING();
}

TEST_F(stream, contract_08_close_unused)
{
	CLOSE_RING();
}

/*
 * In a child: a ring of its own (only the task that made a SINGLE_ISSUER ring
 * may use it), all of the data in flight, and then the end, @flags flushed.
 * It says through @ready that it has come so far.
 */
static void send_and_wait_for_the_end(const FIXTURE_VARIANT(stream) *variant,
				      int fd, char *data, unsigned int flags,
				      int ready, bool wait)
{
	struct iovec iov = { data, DATA_LEN };
	struct io_uring_cqe cqe;
	struct io_uring ring;

	if (ring_init(&ring, variant->setup) || register_slots(&ring, 1) ||
	    (variant->fixed && io_uring_register_buffers(&ring, &iov, 1)))
		_exit(1);
	if (variant->fixed)
		flags |= IORING_RECVSEND_FIXED_BUF;
	prep_slot_send(&ring, fd, data, DATA_LEN, 0, flags);
	if (ring_submit(&ring) != 1 || ring_next(&ring, &cqe) ||
	    cqe.res != DATA_LEN || write(ready, "r", 1) != 1)
		_exit(2);
	if (wait)
		pause();
	_exit(0);
}

/* What a sender that ended, or was killed, had sent arrives nevertheless. */
#define ASSERT_SENDER_ENDS(_flags, _killed)				\
	assert_sender_ends(_metadata, self, variant, _flags, _killed)

static void assert_sender_ends(struct __test_metadata *_metadata,
			       FIXTURE_DATA(stream) *self,
			       const FIXTURE_VARIANT(stream) *variant,
			       unsigned int flags, bool killed)
{
	int ready[2], status = 0;
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(ready));
	pid = fork();
	if (!pid)
		send_and_wait_for_the_end(variant, self->net.tx, self->data,
					  flags, ready[1], killed);
	close(ready[1]);
	ASSERT_EQ(1, read(ready[0], &c, 1));
	if (killed)
		kill(pid, SIGKILL);
	ASSERT_EQ(0, wait_exit(pid, &status));
	ASSERT_EQ(killed, WIFSIGNALED(status));
	lose_data(self->data);
	ASSERT_RECEIVED(&self->net, self->want, DATA_LEN);
}

TEST_F(stream, contract_08_exit_unflushed)
{
	ASSERT_SENDER_ENDS(0, false);
}

TEST_F(stream, contract_08_exit_flushed)
{
	ASSERT_SENDER_ENDS(IORING_RECVSEND_NOTIF_FLUSH, false);
}

TEST_F(stream, contract_08_killed_unflushed)
{
	ASSERT_SENDER_ENDS(0, true);
}

TEST_F(stream, contract_08_killed_flushed)
{
	ASSERT_SENDER_ENDS(IORING_RECVSEND_NOTIF_FLUSH, true);
}

/* The peer goes instead of reading: the data has nowhere to go. */
TEST_F(stream, contract_03_peer_gone)
{
	ASSERT_ALL_IN_FLIGHT(0, IORING_RECVSEND_NOTIF_FLUSH);
	/* it has not read everything: closing sends a reset */
	close(self->net.rx);
	self->net.rx = -1;
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

TEST_F(stream, contract_03_sender_socket_closed)
{
	ASSERT_ALL_IN_FLIGHT(0, IORING_RECVSEND_NOTIF_FLUSH);
	close(self->net.tx);
	self->net.tx = -1;
	ASSERT_RECEIVED(&self->net, self->want, DATA_LEN);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

TEST_F(stream, contract_09_module_in_use)
{
	int ret;

	ASSERT_ALL_IN_FLIGHT(0, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_EQ(0, unregister_slots(&self->ring));
	/* no slots any more, but a notifier in flight */
	ret = syscall(__NR_delete_module, "io_uring_notif", O_NONBLOCK);
	ASSERT_EQ(-1, ret);
	if (errno != ENOENT)
		ASSERT_EQ(EAGAIN, errno);
	ASSERT_RECEIVED(&self->net, self->want, DATA_LEN);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

NOTIF_TEST_MAIN
