// SPDX-License-Identifier: GPL-2.0
/*
 * IORING_SEND_ZC_MANY where all goes well: every datagram arrives, in order, where
 * it is to go, and all of them are one request.
 */
#include "many.h"
#include "paths.h"

#define NR_RECEIVERS	3
#define SEGMENT		500

static const unsigned int numbers[] = { 1, 2, 3, 63, 64, 65, 128, 255, 256 };

TEST_F(many, contract_16_all_in_order)
{
	unsigned int i, way, seq = 0;

	for (way = 0; way < 2; way++)
		for (i = 0; i < ARRAY_SIZE(numbers); i++) {
			const unsigned int nr = numbers[i];

			fill_dgrams(self->dgrams, self->data, nr);
			MANY(nr, PLAIN, FLUSH)->flags = way ? IOSQE_ASYNC : 0;
			ASSERT_SUBMIT(&self->ring, 1);
			ASSERT_CQE(&self->ring, REQ(0), nr, 0);
			ASSERT_NOTIF(&self->ring, TAG(PLAIN), seq++);
			ASSERT_DGRAMS_RECEIVED(self->net.rx, self->dgrams, nr);
		}
	ASSERT_NO_MORE(self->net.rx);
}

/* Read as the request is prepared: the program has its array and names again. */
TEST_F(many, contract_16_array_is_the_programs_again)
{
	struct io_uring_dgram want[MAX_MANY];
	struct sockaddr_storage to = self->net.to;
	unsigned int i, way;

	for (way = 0; way < 2; way++) {
		fill_dgrams(self->dgrams, self->data, MAX_MANY);
		for (i = 0; i < MAX_MANY; i += 3) {
			self->dgrams[i].name = (unsigned long)&to;
			self->dgrams[i].name_len = self->net.to_len;
		}
		memcpy(want, self->dgrams, sizeof(want));
		/* behind one of io-wq, so that it can't have run by then */
		prep_slot_send(&self->ring, self->net.tx, self->data, 1, PLAIN,
			       0)->flags = IOSQE_IO_LINK | IOSQE_ASYNC;
		MANY(MAX_MANY, PLAIN, FLUSH)->user_data = REQ(1);
		ASSERT_SUBMIT(&self->ring, 2);
		memset(self->dgrams, 0xff, sizeof(self->dgrams));
		memset(&to, 0xff, sizeof(to));
		ASSERT_CQE(&self->ring, REQ(0), 1, 0);
		ASSERT_CQE(&self->ring, REQ(1), MAX_MANY, 0);
		ASSERT_NOTIF(&self->ring, TAG(PLAIN), way);
		ASSERT_EQ(0, receive_dgram(self->net.rx, self->data, 1));
		ASSERT_DGRAMS_RECEIVED(self->net.rx, want, MAX_MANY);
		to = self->net.to;
	}
}

/* Who is named is sent to, from a socket that is connected and one that isn't. */
TEST_F(many, contract_16_destinations)
{
	struct sockaddr_storage names[NR_RECEIVERS];
	socklen_t len = sizeof(names[0]);
	struct pair other[NR_RECEIVERS];
	unsigned int i, way;

	for (i = 0; i < NR_RECEIVERS; i++) {
		OPEN_PAIR(&other[i], NET_LO, variant->family, SOCK_DGRAM,
			  .unconnected = true);
		len = sizeof(names[i]);
		ASSERT_EQ(0, getsockname(other[i].rx,
					 (struct sockaddr *)&names[i], &len));
	}
	for (way = 0; way < 2; way++) {
		struct io_uring_sqe *sqe;

		fill_dgrams(self->dgrams, self->data, MAX_MANY);
		for (i = 0; i < MAX_MANY; i++) {
			/* each fourth goes where the socket is connected to */
			if (!way && i % 4 == NR_RECEIVERS)
				continue;
			self->dgrams[i].name =
				(unsigned long)&names[i % 4 % NR_RECEIVERS];
			self->dgrams[i].name_len = len;
		}
		sqe = MANY(MAX_MANY, PLAIN, FLUSH);
		if (way)
			sqe->fd = other[0].tx;
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), MAX_MANY, 0);
		ASSERT_NOTIF(&self->ring, TAG(PLAIN), way);
		for (i = 0; i < MAX_MANY; i++) {
			int rx = other[i % 4 % NR_RECEIVERS].rx;

			if (!way && i % 4 == NR_RECEIVERS)
				rx = self->net.rx;
			ASSERT_EQ(0, receive_dgram(rx, dgram_data(self->data, i),
						   dgram_len(i)))
				TH_LOG("way %u, datagram %u", way, i);
		}
	}
	for (i = 0; i < NR_RECEIVERS; i++) {
		ASSERT_NO_MORE(other[i].rx);
		pair_close(&other[i]);
	}
	ASSERT_NO_MORE(self->net.rx);
}

/* Trains among others: each is one to the result, and many to the receiver. */
TEST_F(many, contract_16_trains)
{
	const unsigned int nr = 60;
	unsigned int i, off;

	fill_dgrams(self->dgrams, self->data, nr);
	for (i = 0; i < nr; i++) {
		self->dgrams[i].len = 1 + i * 467 % (5 * MAX_DGRAM);
		self->dgrams[i].gso_size = i % 3 ? SEGMENT : 0;
	}
	MANY(nr, PLAIN, FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), nr, 0);
	ASSERT_NOTIF(&self->ring, TAG(PLAIN), 0);
	for (i = 0; i < nr; i++) {
		char *data = dgram_data(self->data, i);
		unsigned int len = self->dgrams[i].len, part = len;

		for (off = 0; off < len; off += part) {
			if (i % 3)
				part = len - off < SEGMENT ? len - off : SEGMENT;
			ASSERT_EQ(0, receive_dgram(self->net.rx, data + off, part))
				TH_LOG("datagram %u from %u on", i, off);
		}
	}
	ASSERT_NO_MORE(self->net.rx);
	/* what the socket does by itself is not what an entry asks for */
	ASSERT_EQ(0, setsockopt_int(self->net.tx, IPPROTO_UDP, UDP_SEGMENT, 100));
	fill_dgrams(self->dgrams, self->data, 2);
	self->dgrams[0].len = 1000;
	self->dgrams[0].gso_size = SEGMENT;
	self->dgrams[1].len = 150;
	MANY(2, PLAIN, FLUSH);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 2, 0);
	ASSERT_NOTIF(&self->ring, TAG(PLAIN), 1);
	for (i = 0; i < 1000; i += SEGMENT)
		ASSERT_EQ(0, receive_dgram(self->net.rx, self->data + i, SEGMENT));
	ASSERT_EQ(0, receive_dgram(self->net.rx, dgram_data(self->data, 1), 100));
	ASSERT_EQ(0, receive_dgram(self->net.rx,
				   dgram_data(self->data, 1) + 100, 50));
}

/* copy_below counts for each; behind a dummy nothing else makes a copy. */
TEST_F(many, contract_16_copy_below_for_each)
{
	static const struct {
		unsigned int len[3];
		bool copied;
	} rounds[] = {
		{ { THRESHOLD, THRESHOLD + 1, MAX_DGRAM }, false },
		{ { THRESHOLD - 1, THRESHOLD, MAX_DGRAM }, true },
		{ { THRESHOLD, 1, MAX_DGRAM }, true },
		{ { 1, 2, 3 }, true },
		{ { THRESHOLD, THRESHOLD, THRESHOLD - 1 }, true },
	};
	unsigned int round, i, seq = 0;
	struct pair dummy;

	OPEN_PAIR(&dummy, NET_DUMMY, variant->family, SOCK_DGRAM);
	for (round = 0; round < 2 * ARRAY_SIZE(rounds); round++) {
		const bool copied = rounds[round / 2].copied;
		const bool merged = round & 1;

		fill_dgrams(self->dgrams, self->data, 3);
		for (i = 0; i < 3; i++)
			self->dgrams[i].len = rounds[round / 2].len[i];
		MANY(3, merged ? MERGED_COPYING : COPYING,
		     FLUSH | REPORT)->fd = dummy.tx;
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), 3,
			   merged && copied ? IORING_CQE_F_ZC_COPIED : 0);
		if (merged)
			continue;
		ASSERT_CQE(&self->ring, TAG(COPYING),
			   copied ? IORING_NOTIF_USAGE_ZC_COPIED : 0,
			   notif_flags(seq++));
	}
	pair_close(&dummy);
}

/* One attach: the whole of it is one of those that flush_after counts. */
TEST_F(many, contract_16_attaches_once)
{
	unsigned int i;

	fill_dgrams(self->dgrams, self->data, 10);
	for (i = 0; i < 6; i++) {
		MANY(10, BY_TWO, 0)->user_data = REQ(i);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(i), 10, 0);
		if (i & 1)
			ASSERT_NOTIF(&self->ring, TAG(BY_TWO), i / 2);
		else
			ASSERT_QUIET(&self->ring);
		ASSERT_DGRAMS_RECEIVED(self->net.rx, self->dgrams, 10);
	}
}

/* As any request: merged, without a CQE, linked, and beside those of one datagram. */
TEST_F(many, contract_16_as_any_request)
{
	struct io_uring_sqe *sqe;
	struct answers all;
	unsigned int i;

	fill_dgrams(self->dgrams, self->data, 100);
	MANY(100, MERGED, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 100, 0);
	ASSERT_DGRAMS_RECEIVED(self->net.rx, self->dgrams, 100);

	MANY(100, MERGED, 0)->flags = IOSQE_CQE_SKIP_SUCCESS;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_DGRAMS_RECEIVED(self->net.rx, self->dgrams, 100);
	ASSERT_QUIET(&self->ring);
	MANY(100, PLAIN, FLUSH)->flags = IOSQE_CQE_SKIP_SUCCESS;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_NOTIF(&self->ring, TAG(PLAIN), 0);
	ASSERT_DGRAMS_RECEIVED(self->net.rx, self->dgrams, 100);

	for (i = 0; i < 5; i++) {
		if (i & 1)
			sqe = prep_slot_send(&self->ring, self->net.tx,
					     self->data, 700, PLAIN, 0);
		else
			sqe = MANY(20, PLAIN, i == 4 ? FLUSH : 0);
		sqe->flags = i < 4 ? IOSQE_IO_LINK : 0;
		sqe->user_data = REQ(i);
	}
	ASSERT_SUBMIT(&self->ring, 5);
	TAKE(&all, 6);
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(i, place_of(&all, REQ(i), i & 1 ? 700 : 20, 0));
		if (i & 1) {
			ASSERT_EQ(0, receive_dgram(self->net.rx, self->data, 700));
			continue;
		}
		ASSERT_DGRAMS_RECEIVED(self->net.rx, self->dgrams, 20);
	}
	ASSERT_EQ(5, place_of(&all, TAG(PLAIN), 0, notif_flags(1)));
}

NOTIF_TEST_MAIN
