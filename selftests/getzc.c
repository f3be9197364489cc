// SPDX-License-Identifier: GPL-2.0
/*
 * Senders on the same machine that don't copy, in front of IORING_OP_GET_BUF: what
 * they change once they are told that they may is not what the relay gives on.
 */
#include <sys/sendfile.h>

#include "errqueue.h"
#include "getbuf.h"

#define LEN	60000

enum sender { BY_MSG_ZEROCOPY, BY_SLOT, BY_SLOT_FIXED, BY_SENDFILE };

FIXTURE(getzc)
{
	struct io_uring ring;	/* the relay's */
	struct io_uring from;	/* the sender's */
	struct pair in, out;
	char *data, *want, *own;
};

FIXTURE_VARIANT(getzc)
{
	enum net_link link;
	enum sender sender;
};

#define VARIANTS(name, _sender)						\
	FIXTURE_VARIANT_ADD(getzc, name##_lo) {				\
		.link = NET_LO, .sender = _sender,			\
	};								\
	FIXTURE_VARIANT_ADD(getzc, name##_veth) {			\
		.link = NET_VETH, .sender = _sender,			\
	}

VARIANTS(msg_zerocopy, BY_MSG_ZEROCOPY);
VARIANTS(slot, BY_SLOT);
VARIANTS(slot_fixed, BY_SLOT_FIXED);
VARIANTS(sendfile, BY_SENDFILE);

FIXTURE_SETUP(getzc)
{
	struct iovec iov;

	OPEN_PAIR(&self->in, variant->link, AF_INET, SOCK_STREAM);
	OPEN_PAIR(&self->out, variant->link, AF_INET, SOCK_STREAM);
	ASSERT_EQ(0, ring_init(&self->ring, RING_DEFER));
	ASSERT_EQ(0, ring_init(&self->from, RING_DEFER));
	self->own = map_pages(page_size());
	self->data = map_pages(LEN);
	self->want = map_pages(LEN);
	ASSERT_TRUE(self->own && self->data && self->want);
	iov = (struct iovec){ self->data, LEN };
	ASSERT_EQ(0, io_uring_register_buffers(&self->from, &iov, 1));
	ASSERT_EQ(0, register_slots(&self->from, 1));
	ASSERT_EQ(0, register_table(&self->ring, self->own, page_size()));
	ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));
}

FIXTURE_TEARDOWN(getzc)
{
	ring_exit(&self->ring);
	ring_exit(&self->from);
	pair_close(&self->in);
	pair_close(&self->out);
}

/* Send @len bytes of the data. */
static void send_now(struct __test_metadata *_metadata,
		     FIXTURE_DATA(getzc) *self, enum sender sender, size_t len)
{
	off_t at = 0;
	int fd;

	switch (sender) {
	case BY_MSG_ZEROCOPY:
		ASSERT_EQ(0, setsockopt_int(self->in.tx, SOL_SOCKET,
					    SO_ZEROCOPY, 1));
		ASSERT_EQ(len, send(self->in.tx, self->data, len, MSG_ZEROCOPY));
		break;
	case BY_SENDFILE:
		fd = memfd_create("getzc", 0);
		ASSERT_EQ(len, write(fd, self->data, len));
		ASSERT_EQ(len, sendfile(self->in.tx, fd, &at, len));
		close(fd);
		break;
	default:
		prep_slot_send(&self->from, self->in.tx, self->data, len, 0,
			       IORING_RECVSEND_NOTIF_FLUSH |
			       (sender == BY_SLOT_FIXED ?
				IORING_RECVSEND_FIXED_BUF : 0));
		ASSERT_SUBMIT(&self->from, 1);
		ASSERT_CQE(&self->from, REQ(0), len, 0);
		break;
	}
}

/* The sender is told that its memory is its own again; @seq: how often before. */
static void wait_for_memory(struct __test_metadata *_metadata,
			    FIXTURE_DATA(getzc) *self, enum sender sender,
			    unsigned int seq)
{
	unsigned int first, last;

	if (sender == BY_SLOT || sender == BY_SLOT_FIXED)
		ASSERT_NOTIF(&self->from, TAG(0), seq);
	if (sender == BY_MSG_ZEROCOPY) {
		ASSERT_EQ(0, next_range(self->in.tx, &first, &last));
		ASSERT_EQ(seq, last);
	}
}

/* What was taken before the sender changes its memory, and after. */
TEST_F(getzc, contract_17_sender_goes_on)
{
	static const size_t sizes[] = { 100, 4096, 20000, LEN };
	unsigned int round, taken, i;
	int len[NR_BUFFERS];
	size_t done, at;

	for (round = 0; round < 2 * ARRAY_SIZE(sizes); round++) {
		const size_t size = sizes[round / 2];
		const bool early = round & 1;

		fill_pattern(self->data, LEN, round);
		memcpy(self->want, self->data, LEN);
		send_now(_metadata, self, variant->sender, size);
		if (!early) {
			wait_for_memory(_metadata, self, variant->sender, round);
			memset(self->data, 0xee, LEN);
		}
		for (done = 0, taken = 0; done < size; done += len[taken++]) {
			ASSERT_GT(OWN_BUFFER, taken);
			prep_get_buf(&self->ring, self->in.rx, size, taken);
			ASSERT_SUBMIT(&self->ring, 1);
			len[taken] = ASSERT_TAKEN(&self->ring, size);
			/* small pieces come together, while there is room */
			if (taken == OWN_BUFFER - 2)
				nanosleep(&(struct timespec){ .tv_nsec = 50000000 },
					  NULL);
		}
		if (early) {
			wait_for_memory(_metadata, self, variant->sender, round);
			memset(self->data, 0xee, LEN);
		}
		for (i = 0, at = 0; i < taken; at += len[i++]) {
			prep_send_buf(&self->ring, self->out.tx, 0, -1, i, 0, 0);
			ASSERT_SUBMIT(&self->ring, 1);
			ASSERT_CQE(&self->ring, REQ(0), len[i], 0);
			ASSERT_RECEIVED(&self->out, self->want + at, len[i]);
		}
		prep_give_up(&self->ring, 0, NR_BUFFERS);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, FLUSH_REQ, taken, 0);
	}
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_EQ(0, kernel_bufs(&self->ring));
}

NOTIF_TEST_MAIN
