// SPDX-License-Identifier: GPL-2.0
/*
 * IORING_NOTIF_SLOT_SEGMENTS: what is copied and what is not, seen behind a receiver
 * that doesn't read, and what the notification says of it.
 */
#include "shortseg.h"

#define VARIANTS(name, _link)						\
	FIXTURE_VARIANT_ADD(shortseg, name##_plain) {			\
		.setup = 0, .link = _link, .type = SOCK_STREAM		\
	};								\
	FIXTURE_VARIANT_ADD(shortseg, name##_defer) {			\
		.setup = RING_DEFER, .link = _link, .type = SOCK_STREAM	\
	}

VARIANTS(lo, NET_LO);
VARIANTS(nic, NET_NIC);
FIXTURE_VARIANT_ADD(shortseg, lo_sqpoll) {
	.setup = IORING_SETUP_SQPOLL, .link = NET_LO, .type = SOCK_STREAM
};

/* "Copied" is only what wasn't asked for: not a short segment, but a short whole. */
TEST_F(shortseg, contract_15_short_segments_are_not_told)
{
	unsigned int i, len, j;

	/* nothing makes a copy there but what is asked for, and nobody receives */
	pair_close(&self->net);
	OPEN_PAIR(&self->net, NET_DUMMY, AF_INET, SOCK_DGRAM);
	for (i = 0; i < 4 * ARRAY_SIZE(shapes); i++) {
		const struct shape *shape = &shapes[i / 4];
		const bool fixed = i & 2;

		len = make_vector(self, shape->len, shape->nr, i);
		for (j = 0; j < 2; j++) {
			const unsigned int slot = j ? WITHOUT : SEGMENTS;

			prep_vector(self, i & 1, slot, FLUSH | REPORT |
				    (fixed ? IORING_RECVSEND_FIXED_BUF : 0));
			ASSERT_SUBMIT(&self->ring, 1);
			ASSERT_CQE(&self->ring, REQ(0), len, 0);
			ASSERT_CQE(&self->ring, TAG(slot), len < SHORT ?
				   IORING_NOTIF_USAGE_ZC_COPIED : 0,
				   notif_flags(self->seq[slot]++));
		}
	}
}

/*
 * Behind a window that is full, the program writes to its segments after the
 * request's CQE, which it may not: what was copied arrives as it was, what wasn't
 * as it is.
 */
TEST_F(shortseg, contract_15_short_is_copied_and_long_is_not)
{
	const unsigned int lens[] = { 24, 4096, SHORT - 1, SHORT, 1 };
	char *zeroes = calloc(1, DATA_LEN), *got = malloc(DATA_LEN);
	unsigned int way, i, j, off, len;

	for (way = 0; way < 8; way++) {
		const unsigned int slot = way & 1 ? WITHOUT : SEGMENTS;
		const bool fixed = way & 2, msg = way & 4;

		/* 512 KiB: more than there is room for at the receiver */
		for (i = 0; i < 2; i++)
			ASSERT_EQ(DATA_LEN, send(self->net.tx, zeroes, DATA_LEN, 0));
		len = make_vector(self, lens, ARRAY_SIZE(lens), way);
		prep_vector(self, msg, slot, FLUSH |
			    (fixed ? IORING_RECVSEND_FIXED_BUF : 0));
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), len, 0);
		ASSERT_QUIET(&self->ring);
		for (i = 0; i < ARRAY_SIZE(lens); i++)
			for (j = 0; j < lens[i]; j++)
				((char *)self->iov[i].iov_base)[j] ^= 0xff;
		ASSERT_EQ(0, drain_socket(self->net.rx, 2 * DATA_LEN));
		ASSERT_EQ(0, receive_with_ring(&self->ring, self->net.rx, got, len));
		for (off = 0, i = 0; i < ARRAY_SIZE(lens); off += lens[i++]) {
			const bool copied = slot == SEGMENTS && !fixed &&
					    lens[i] < SHORT;

			ASSERT_EQ(0, memcmp(got + off, copied ?
					    self->want + off :
					    self->iov[i].iov_base, lens[i]))
				TH_LOG("way %u: segment %u", way, i);
		}
		ASSERT_NOTIF(&self->ring, TAG(slot), self->seq[slot]++);
	}
	free(zeroes);
	free(got);
}

/* The socket is full again and again in the middle of a segment; all of it arrives. */
TEST_F(shortseg, contract_15_waits_for_space)
{
	const unsigned int lens[] = { 24, 32000, 1, 32000, 200, 24, 32000, 255 };
	char *got = malloc(DATA_LEN);
	unsigned int i, j, len;

	pair_close(&self->net);
	OPEN_PAIR(&self->net, variant->link, AF_INET, SOCK_STREAM, .full = true);
	for (i = 0; i < 4; i++) {
		len = make_vector(self, lens, ARRAY_SIZE(lens), i);
		for (j = 0; j < 8; j++)
			prep_vector(self, i & 1, MERGED, 0)->flags =
				j < 7 ? IOSQE_IO_LINK : 0;
		ASSERT_SUBMIT(&self->ring, 8);
		for (j = 0; j < 8; j++) {
			ASSERT_EQ(0, receive_with_ring(&self->ring, self->net.rx,
						       got, len));
			ASSERT_EQ(0, memcmp(got, self->want, len));
		}
		for (j = 0; j < 8; j++)
			ASSERT_CQE(&self->ring, REQ(0), len, 0);
	}
	free(got);
}

/* The memory is in use until the notification, of the short segments too. */
TEST_F(shortseg, contract_15_notified_once_all_is_free)
{
	const unsigned int lens[] = { 24, 65536, 24, 65536, 24 };
	unsigned int i, len;

	for (i = 0; i < 4; i++) {
		len = make_vector(self, lens, ARRAY_SIZE(lens), i);
		prep_vector(self, i & 1, SEGMENTS, 0);
		prep_vector(self, i & 1, SEGMENTS, 0);
		prep_vector(self, i & 1, SEGMENTS, FLUSH);
		ASSERT_SUBMIT(&self->ring, 3);
		ASSERT_CQE(&self->ring, REQ(0), len, 0);
		ASSERT_CQE(&self->ring, REQ(0), len, 0);
		ASSERT_CQE(&self->ring, REQ(0), len, 0);
		ASSERT_QUIET(&self->ring);
		ASSERT_VECTOR_RECEIVED(len);
		ASSERT_VECTOR_RECEIVED(len);
		ASSERT_VECTOR_RECEIVED(len);
		ASSERT_NOTIF(&self->ring, TAG(SEGMENTS), i);
	}
}

NOTIF_TEST_MAIN
