// SPDX-License-Identifier: GPL-2.0
/*
 * IORING_NOTIF_SLOT_FALLBACK with protocols that not every kernel has, and with
 * sockets that turn into such ones: kTLS, sockmap, MPTCP, SCTP. paths.sh runs it.
 */
#include "fallback.h"

#define VARIANTS(name, _protocol, _type)				\
	FIXTURE_VARIANT_ADD(fallback, name##_plain) {			\
		.setup = 0, .protocol = _protocol, .type = _type	\
	};								\
	FIXTURE_VARIANT_ADD(fallback, name##_defer) {			\
		.setup = RING_DEFER, .protocol = _protocol, .type = _type \
	}

VARIANTS(tls, TLS, SOCK_STREAM);
VARIANTS(tls_keys, TLS_KEYS, SOCK_STREAM);
VARIANTS(sockmap, SOCKMAP, SOCK_STREAM);
VARIANTS(sockmap_udp, SOCKMAP_UDP, SOCK_DGRAM);
VARIANTS(mptcp, MPTCP, SOCK_STREAM);
VARIANTS(mptcp_accepted, MPTCP_ACCEPTED, SOCK_STREAM);
VARIANTS(mptcp_fallback, MPTCP_FALLBACK, SOCK_STREAM);
VARIANTS(sctp, SCTP, SOCK_STREAM);

TEST_F(fallback, path_copied_in_place_of_refused)
{
	assert_copied(_metadata, self);
}

TEST_F(fallback, path_copied_and_merged)
{
	assert_merged(_metadata, self);
}

TEST_F(fallback, path_copied_waits_for_space)
{
	assert_waits(_metadata, self, variant);
}

/*
 * A socket turns into such a one as a request of which a part has gone waits: the
 * rest is copied, and it is whole.
 */
TEST_F(fallback, path_converted_as_it_waits)
{
	struct pair full;

	/* with TLS's keys its receiver would see records in what comes */
	if (variant->protocol != TLS && variant->protocol != SOCKMAP)
		SKIP(return, "no TCP socket with data turns into one");
	OPEN_PAIR(&full, NET_LO, AF_INET, SOCK_STREAM, .full = true);
	prep_slot_send(&self->ring, full.tx, self->data, BIG_LEN, MERGED, REPORT);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_QUIET(&self->ring);
	ASSERT_EQ(0, convert(&full, variant->protocol));
	ASSERT_EQ(0, receive_with_ring(&self->ring, full.rx, self->got, BIG_LEN));
	ASSERT_EQ(0, memcmp(self->got, self->data, BIG_LEN));
	ASSERT_CQE(&self->ring, REQ(0), BIG_LEN, IORING_CQE_F_ZC_COPIED);
	pair_close(&full);
}

NOTIF_TEST_MAIN
