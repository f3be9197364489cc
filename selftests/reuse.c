// SPDX-License-Identifier: GPL-2.0
/*
 * Buffers that are written as soon as they are free, over a network that is
 * slow, loses packets, has a reader that stops or a tap that reads along: nobody
 * ever sees the new bytes.
 */
#include "reuse.h"

FIXTURE_VARIANT_ADD(reuse, veth_tcp_plain) {
	.link = NET_VETH, .type = SOCK_STREAM, .tapped = true,
};

FIXTURE_VARIANT_ADD(reuse, veth_tcp_sqpoll) {
	.setup = IORING_SETUP_SQPOLL,
	.link = NET_VETH, .type = SOCK_STREAM, .fixed = true,
};

FIXTURE_VARIANT_ADD(reuse, veth_udp_defer) {
	.setup = RING_DEFER,
	.link = NET_VETH, .type = SOCK_DGRAM, .fixed = true,
};

FIXTURE_VARIANT_ADD(reuse, nic_tcp_defer) {
	.setup = RING_DEFER,
	.link = NET_NIC, .type = SOCK_STREAM, .fixed = true, .tapped = true,
};

FIXTURE_VARIANT_ADD(reuse, nic_udp_plain) {
	.link = NET_NIC, .type = SOCK_DGRAM, .tapped = true,
};

#define EVERYTHING_IS_OVER() do {					\
	GO_ON(self->over == self->started);				\
	GO_ON(self->received == self->to_come);				\
} while (0)

TEST_F(reuse, contract_03_buffers_reused)
{
	const bool tcp = variant->type == SOCK_STREAM;
	size_t arrived;

	/* slow, and TCP's packets overtake each other and get lost */
	NETEM(tcp ? "delay 8ms 6ms loss 2%" : "delay 5ms");
	STREAM(NR_CHUNKS / 3);
	EVERYTHING_IS_OVER();

	/*
	 * Nothing gets through. TCP keeps the pages and sends them again; those
	 * of datagrams are free as they are dropped.
	 */
	arrived = self->received;
	NETEM("loss 100%");
	START_ALL();
	if (!tcp)
		GO_ON(self->over == self->started);
	ASSERT_QUIET(&self->ring);
	read_some(self, tcp);
	ASSERT_EQ(arrived, self->received);
	if (!tcp)
		self->to_come = arrived;
	NO_NETEM();
	EVERYTHING_IS_OVER();

	/*
	 * Nobody reads. TCP keeps what is beyond the window at the sender;
	 * datagrams wait at the receiver, which has copies.
	 */
	self->reads = false;
	do {
		START_ALL();
		while (go_on(_metadata, self, variant, QUIET_MS))
			START_ALL();
		ASSERT_FALSE(tcp && self->over == NR_CHUNKS);
	} while (tcp && self->over == self->started);
	self->reads = true;
	STREAM_TO_THE_END();
}

/*
 * What gives the test above its teeth: a buffer that is written before its
 * notification is seen changes what is received. The request CQE was early.
 */
TEST_F(reuse, contract_03_pages_in_use_until_notified)
{
	const bool tcp = variant->type == SOCK_STREAM;
	char args[40] = "loss 100%";
	unsigned int delay_ms = 200;
	struct io_uring_cqe cqe;
	unsigned int i;

	do {
		EVERYTHING_IS_OVER();
		if (!tcp)
			snprintf(args, sizeof(args), "delay %ums", delay_ms);
		NETEM(args);
		start_chunk(self, variant);
		ASSERT_SUBMIT(&self->ring, NR_PARTS);
		for (i = 0; i < NR_PARTS; i++) {
			ASSERT_EQ(0, ring_next(&self->ring, &cqe));
			take_cqe(_metadata, self, &cqe);
		}
		for (i = 0; i < NR_PARTS; i++)
			memset(self->bufs + i * self->part + NUMBER_LEN,
			       NEW_BYTE, self->part - NUMBER_LEN);
		delay_ms *= 4;
		/* a machine so slow that it was too late for that? once more */
	} while (!tcp && read_some(self, false) && delay_ms < 4000);
	if (tcp) {
		ASSERT_QUIET(&self->ring);
		NO_NETEM();
	}
	GO_ON(self->received == self->to_come);
	GO_ON(self->over == self->started);
	for (i = self->to_come - self->chunk_len; i < self->to_come; i++) {
		if (i % self->part < NUMBER_LEN)
			continue;
		ASSERT_EQ(NEW_BYTE, (unsigned char)self->got[i])
			TH_LOG("byte %u was copied before", i);
	}
}

NOTIF_TEST_MAIN
