/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A fixture for a program that streams: a few buffers, each written again the
 * moment that the notification of its requests is seen.
 */
#ifndef NOTIF_TEST_REUSE_H
#define NOTIF_TEST_REUSE_H

#include "fixture.h"
#include "netem.h"

#define NR_SLOTS	3
#define NR_BUFS		8
/* enough that what is left for a reader who stops is more than it has room for */
#define NR_CHUNKS	60
/* requests that send a chunk, attached to one notifier; they begin with a number */
#define NR_PARTS	3
#define MAX_PART	8192
#define MAX_CHUNK	(NR_PARTS * MAX_PART)
#define NUMBER_LEN	sizeof(unsigned int)
/* what a buffer is written with as its notification is seen */
#define NEW_BYTE	0xee

struct chunk {
	unsigned int buf, parts_sent;
	bool over;
};

FIXTURE(reuse)
{
	struct io_uring ring;
	struct pair net;
	unsigned int part, chunk_len;
	char *bufs, *want, *got;
	size_t to_come, received;	/* bytes of want and got */
	bool seen[NR_CHUNKS * NR_PARTS];	/* datagrams */
	struct chunk chunks[NR_CHUNKS];
	unsigned int started, over;	/* chunks */
	unsigned int busy;		/* a bit for each buffer */
	unsigned int bad_datagrams;
	int tap;
	__u32 first_seq;
	bool reads, netem;
};

FIXTURE_VARIANT(reuse)
{
	unsigned int setup;
	enum net_link link;
	int type;
	bool fixed;		/* the buffers are registered */
	bool tapped;
};

FIXTURE_SETUP(reuse)
{
	const size_t all = NR_CHUNKS * MAX_CHUNK;
	struct iovec iov = { .iov_len = NR_BUFS * MAX_CHUNK };

	OPEN_PAIR(&self->net, variant->link, AF_INET, variant->type,
		  .unread = variant->type == SOCK_STREAM);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));
	/* a datagram in one packet, or more than a packet */
	self->part = variant->type == SOCK_DGRAM ? 1200 : MAX_PART;
	self->chunk_len = NR_PARTS * self->part;
	self->bufs = mmap(NULL, iov.iov_len, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->bufs);
	iov.iov_base = self->bufs;
	if (variant->fixed)
		ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	self->want = malloc(all);
	self->got = malloc(all);
	self->reads = true;
	self->tap = -1;
	if (variant->tapped) {
		self->tap = tap_open(variant->link);
		ASSERT_LE(0, self->tap);
	}
	if (variant->type == SOCK_STREAM)
		self->first_seq = tcp_next_seq(self->net.tx);
}

FIXTURE_TEARDOWN(reuse)
{
	if (self->netem)
		set_netem(variant->link, NULL);
	ring_wait(&self->ring, 0, 0);
	EXPECT_TRUE(ring_empty(&self->ring))
		TH_LOG("a CQE that the test did not expect");
	ring_exit(&self->ring);
	pair_close(&self->net);
}

#define NETEM(args) do {						\
	if (set_netem(variant->link, args))				\
		SKIP(return, "no tc with netem here");			\
	self->netem = true;						\
} while (0)

#define NO_NETEM() do {							\
	ASSERT_EQ(0, set_netem(variant->link, NULL));			\
	self->netem = false;						\
} while (0)

/*
 * Write a free buffer, send it, and flush the slot with its last part. Each part
 * begins with its number, as datagrams may overtake each other.
 */
static inline void start_chunk(FIXTURE_DATA(reuse) *self,
			       const FIXTURE_VARIANT(reuse) *variant)
{
	unsigned int nr = self->started++, buf = 0, i;
	char *data;

	while (self->busy & 1U << buf)
		buf++;
	self->busy |= 1U << buf;
	self->chunks[nr] = (struct chunk){ .buf = buf };
	data = self->bufs + buf * MAX_CHUNK;
	fill_pattern(data, self->chunk_len, nr + 1);
	for (i = 0; i < NR_PARTS; i++)
		*(unsigned int *)(data + i * self->part) =
			self->to_come / self->part + i;
	memcpy(self->want + self->to_come, data, self->chunk_len);
	self->to_come += self->chunk_len;
	for (i = 0; i < NR_PARTS; i++)
		prep_slot_send(&self->ring, self->net.tx, data + i * self->part,
			       self->part, nr % NR_SLOTS,
			       (i == NR_PARTS - 1 ? IORING_RECVSEND_NOTIF_FLUSH : 0) |
			       (variant->fixed ? IORING_RECVSEND_FIXED_BUF : 0))
			->user_data = REQ(nr * NR_PARTS + i);
}

/* A CQE of a request, or a notification: its buffer is free, write it. */
static inline void take_cqe(struct __test_metadata *_metadata,
			    FIXTURE_DATA(reuse) *self,
			    const struct io_uring_cqe *cqe)
{
	struct chunk *chunk;
	unsigned int nr;

	if (cqe->user_data < TAG(0)) {
		nr = (cqe->user_data - REQ(0)) / NR_PARTS;
		ASSERT_LT(nr, self->started);
		ASSERT_EQ((int)self->part, cqe->res);
		ASSERT_EQ(0, cqe->flags);
		ASSERT_FALSE(self->chunks[nr].over);
		self->chunks[nr].parts_sent++;
		return;
	}
	ASSERT_LT(cqe->user_data - TAG(0), NR_SLOTS);
	ASSERT_EQ(0, cqe->res);
	nr = notif_seq(cqe) * NR_SLOTS + (cqe->user_data - TAG(0));
	ASSERT_LT(nr, self->started);
	chunk = &self->chunks[nr];
	memset(self->bufs + chunk->buf * MAX_CHUNK, NEW_BYTE, MAX_CHUNK);
	ASSERT_FALSE(chunk->over)
		TH_LOG("chunk %u has a second notification", nr);
	ASSERT_EQ(NR_PARTS, chunk->parts_sent)
		TH_LOG("notified before the CQEs of chunk %u", nr);
	chunk->over = true;
	self->over++;
	self->busy &= ~(1U << chunk->buf);
}

/* Put a datagram where it belongs; false if it doesn't. */
static inline bool take_datagram(FIXTURE_DATA(reuse) *self, const char *data,
				 size_t len)
{
	unsigned int nr = *(const unsigned int *)data;

	if (len != self->part || nr >= self->to_come / len || self->seen[nr])
		return false;
	self->seen[nr] = true;
	memcpy(self->got + nr * len, data, len);
	return true;
}

/* Read what has arrived. */
static inline bool read_some(FIXTURE_DATA(reuse) *self, bool stream)
{
	size_t before = self->received;
	char datagram[MAX_PART];
	ssize_t n;

	while (self->received < self->to_come) {
		if (stream)
			n = recv(self->net.rx, self->got + self->received,
				 self->to_come - self->received, MSG_DONTWAIT);
		else
			n = recv(self->net.rx, datagram, sizeof(datagram),
				 MSG_DONTWAIT);
		if (n <= 0)
			break;
		if (!stream && !take_datagram(self, datagram, n))
			self->bad_datagrams++;
		self->received += n;
	}
	return self->received != before;
}

/* Let the ring and the receiver go on for @ms, or as long as they do. */
static inline bool go_on(struct __test_metadata *_metadata,
			 FIXTURE_DATA(reuse) *self,
			 const FIXTURE_VARIANT(reuse) *variant, unsigned int ms)
{
	struct io_uring_cqe cqe;
	bool any = false;

	while (!ring_next_ms(&self->ring, &cqe, any ? 0 : ms)) {
		take_cqe(_metadata, self, &cqe);
		any = true;
	}
	if (self->reads && read_some(self, variant->type == SOCK_STREAM))
		any = true;
	return any;
}

#define GO_ON(_condition) do {						\
	unsigned int __idle_ms = 0;					\
									\
	while (!(_condition)) {						\
		bool __any = go_on(_metadata, self, variant, 10);	\
									\
		__idle_ms = __any ? 0 : __idle_ms + 10;			\
		ASSERT_LT(__idle_ms, LOST_MS)				\
			TH_LOG("lost: %u chunks of %u, %zu bytes of %zu", \
			       self->over, self->started, self->received, \
			       self->to_come);				\
	}								\
} while (0)

static inline bool all_sent(FIXTURE_DATA(reuse) *self)
{
	unsigned int i;

	for (i = 0; i < self->started; i++)
		if (self->chunks[i].parts_sent != NR_PARTS)
			return false;
	return true;
}

/* Send as many chunks as there are free buffers, see that they were taken. */
#define START_ALL() do {						\
	while (self->busy != (1U << NR_BUFS) - 1 &&			\
	       self->started < NR_CHUNKS) {				\
		start_chunk(self, variant);				\
		ASSERT_SUBMIT(&self->ring, NR_PARTS);			\
	}								\
	GO_ON(all_sent(self));						\
} while (0)

/* Stream on until @_nr chunks are over. */
#define STREAM(_nr) do {						\
	while (self->over < (_nr)) {					\
		unsigned int __over = self->over;			\
									\
		START_ALL();						\
		GO_ON(self->over != __over);				\
	}								\
} while (0)

/* Nothing but what the tap says here: it has had the bytes for long. */
static inline void check_tap(struct __test_metadata *_metadata,
			     FIXTURE_DATA(reuse) *self, bool stream)
{
	struct sockaddr_in *to = (void *)&self->net.to;
	static char packet[1 << 17];
	size_t seen = 0, off;
	char *data;
	ssize_t n;
	__u32 seq;

	while ((n = tap_next(self->tap, ntohs(to->sin_port), packet,
			     sizeof(packet), &data, &seq)) > 0) {
		off = stream ? seq - self->first_seq :
		      *(unsigned int *)data * self->part;
		ASSERT_LE(off + n, self->to_come);
		ASSERT_EQ(0, memcmp(data, self->want + off, n))
			TH_LOG("the tap saw other bytes from %zu on", off);
		seen += n;
	}
	ASSERT_EQ(0, n);
	/* and TCP may have sent some of it again */
	ASSERT_LE(self->to_come, seen);
}

/* The rest of the stream; all of it has arrived as it was written. */
#define STREAM_TO_THE_END() do {					\
	STREAM(NR_CHUNKS);						\
	GO_ON(self->received >= self->to_come);				\
	ASSERT_EQ(self->to_come, self->received);			\
	ASSERT_EQ(-1, recv(self->net.rx, self->want, 1, MSG_DONTWAIT));	\
	ASSERT_EQ(0, self->bad_datagrams);				\
	ASSERT_EQ(0, memcmp(self->got, self->want, self->to_come))	\
		TH_LOG("from byte %zu on others were received",		\
		       first_difference(self));				\
	if (variant->tapped)						\
		check_tap(_metadata, self, variant->type == SOCK_STREAM); \
} while (0)

static inline size_t first_difference(FIXTURE_DATA(reuse) *self)
{
	size_t i = 0;

	while (self->want[i] == self->got[i])
		i++;
	return i;
}

#endif
