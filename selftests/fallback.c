// SPDX-License-Identifier: GPL-2.0
/*
 * IORING_NOTIF_SLOT_FALLBACK with sockets that every kernel has and that can't send
 * without copying: AF_UNIX. fallpath.c is about those that not every kernel has.
 */
#include "fallback.h"

#define VARIANTS(name, _type)						\
	FIXTURE_VARIANT_ADD(fallback, name##_plain) {			\
		.setup = 0, .protocol = UNIX, .type = _type		\
	};								\
	FIXTURE_VARIANT_ADD(fallback, name##_defer) {			\
		.setup = RING_DEFER, .protocol = UNIX, .type = _type	\
	};								\
	FIXTURE_VARIANT_ADD(fallback, name##_sqpoll) {			\
		.setup = IORING_SETUP_SQPOLL, .protocol = UNIX,		\
		.type = _type						\
	}

VARIANTS(stream, SOCK_STREAM);
VARIANTS(dgram, SOCK_DGRAM);
VARIANTS(seqpacket, SOCK_SEQPACKET);

/* Every form, in line and by io-wq, and the notification that it was copied. */
TEST_F(fallback, contract_14_copied_in_place_of_refused)
{
	assert_copied(_metadata, self);
}

/* One path for every socket: one CQE, and the buffer is the program's at once. */
TEST_F(fallback, contract_14_merged)
{
	assert_merged(_metadata, self);
}

/* More than there is room for: it waits, is whole, and the chain goes on. */
TEST_F(fallback, contract_14_waits_for_space)
{
	assert_waits(_metadata, self, variant);
}

/* Who doesn't ask for it is refused as ever, with one CQE where slots merge. */
TEST_F(fallback, contract_14_refused_without_the_flag)
{
	char byte;

	prep_form(self, PLAIN, LEN, REFUSED, FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), -EOPNOTSUPP, 0);
	ASSERT_NOTIF(&self->ring, TAG(REFUSED), 0);
	prep_form(self, FIXED, LEN, MERGED_REFUSED, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), -EOPNOTSUPP, 0);
	ASSERT_EQ(-1, recv(self->net.rx, &byte, 1, MSG_DONTWAIT));
	ASSERT_EQ(EAGAIN, errno);
}

/* A notifier of both: it waits for the memory of what isn't copied. */
TEST_F(fallback, contract_14_among_others)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		const unsigned int slot = i ? MERGED_GROUP : FALLBACK;

		prep_form(self, PLAIN, LEN, slot, 0);
		prep_slot_send(&self->ring, self->good.tx, self->data, BIG_LEN,
			       slot, 0);
		prep_form(self, FIXED, LEN, slot, FLUSH)->user_data = REQ(1);
		ASSERT_SUBMIT(&self->ring, 3);
		ASSERT_CQE(&self->ring, REQ(0), LEN, 0);
		ASSERT_CQE(&self->ring, REQ(0), BIG_LEN, 0);
		if (!i)
			ASSERT_CQE(&self->ring, REQ(1), LEN, 0);
		ASSERT_RECEIVED(&self->net, self->data, LEN);
		ASSERT_RECEIVED(&self->net, self->data, LEN);
		ASSERT_QUIET(&self->ring);
		ASSERT_RECEIVED(&self->good, self->data, BIG_LEN);
		if (i)
			ASSERT_CQE(&self->ring, REQ(1), LEN, 0);
		else
			ASSERT_NOTIF(&self->ring, TAG(FALLBACK), 0);
	}
}

/* Errors are those of the socket, each told once. */
TEST_F(fallback, contract_14_errors)
{
	struct io_uring_sqe *sqe;
	struct answers all;
	unsigned int i;

	/* memory that isn't there, or not in the buffer */
	for (i = 0; i < 2; i++) {
		sqe = prep_form(self, i ? FIXED : PLAIN, 100, MERGED, 0);
		sqe->addr = 8;
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), -EFAULT, 0);
	}
	/* a chain that breaks */
	sqe = prep_form(self, PLAIN, 100, MERGED, 0);
	sqe->fd = -1;
	sqe->flags = IOSQE_IO_LINK;
	prep_form(self, PLAIN, 100, MERGED, 0)->user_data = REQ(1);
	ASSERT_SUBMIT(&self->ring, 2);
	TAKE(&all, 2);
	ASSERT_ANSWERED(&all, REQ(0), -EBADF);
	ASSERT_ANSWERED(&all, REQ(1), -ECANCELED);
	/* the peer has gone */
	close(self->net.rx);
	self->net.rx = -1;
	prep_form(self, PLAIN, 100, MERGED, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0),
		   variant->type == SOCK_DGRAM ? -ECONNREFUSED : -EPIPE, 0);
}

/* A socket that can send without copying does so, as without the flag. */
TEST_F(fallback, contract_14_no_copy_where_it_can)
{
	struct pair dummy;

	OPEN_PAIR(&dummy, NET_DUMMY, AF_INET, SOCK_DGRAM);
	prep_slot_send(&self->ring, dummy.tx, self->data, LEN, FALLBACK,
		       FLUSH | REPORT);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), LEN, 0);
	ASSERT_NOTIF(&self->ring, TAG(FALLBACK), 0);
	prep_slot_send(&self->ring, dummy.tx, self->data, LEN, MERGED, REPORT);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), LEN, 0);
	pair_close(&dummy);
}

NOTIF_TEST_MAIN
