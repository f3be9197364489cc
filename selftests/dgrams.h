/* SPDX-License-Identifier: GPL-2.0 */
/* Requests with IORING_SEND_ZC_MANY: arrays of datagrams, and slots for them. */
#ifndef NOTIF_TEST_DGRAMS_H
#define NOTIF_TEST_DGRAMS_H

#include "answers.h"

#define FLUSH		IORING_RECVSEND_NOTIF_FLUSH
#define REPORT		IORING_SEND_ZC_REPORT_USAGE
#define MAX_MANY	256
#define MAX_DGRAM	1400
#define ALL_LEN		(MAX_MANY * MAX_DGRAM)
#define THRESHOLD	1000

enum { PLAIN, BY_TWO, COPYING, MERGED, MERGED_COPYING, NR_SLOTS };

static const struct io_uring_notification_slot many_slots[NR_SLOTS] = {
	[PLAIN] = { .tag = TAG(PLAIN) },
	[BY_TWO] = { .tag = TAG(BY_TWO), .flush_after = 2 },
	[COPYING] = { .tag = TAG(COPYING), .copy_below = THRESHOLD },
	[MERGED] = { .tag = TAG(MERGED), .flush_after = 1,
		     .flags = IORING_NOTIF_SLOT_MERGE |
			      IORING_NOTIF_SLOT_FALLBACK },
	[MERGED_COPYING] = { .tag = TAG(MERGED_COPYING), .flush_after = 1,
			     .flags = IORING_NOTIF_SLOT_MERGE,
			     .copy_below = THRESHOLD },
};

/* Datagram @i of lengths that go up and down; some are empty, some in two pages. */
static inline unsigned int dgram_len(unsigned int i)
{
	return i % 17 == 16 ? 0 : 1 + i * 389 % MAX_DGRAM;
}

static inline char *dgram_data(char *data, unsigned int i)
{
	return data + i * MAX_DGRAM;
}

/* The first @nr, each to where the socket is connected to. */
static inline void fill_dgrams(struct io_uring_dgram *dgrams, char *data,
			       unsigned int nr)
{
	unsigned int i;

	memset(dgrams, 0, nr * sizeof(*dgrams));
	for (i = 0; i < nr; i++) {
		dgrams[i].addr = (unsigned long)dgram_data(data, i);
		dgrams[i].len = dgram_len(i);
	}
}

static inline struct io_uring_sqe *
prep_many(struct io_uring *ring, int fd, const struct io_uring_dgram *dgrams,
	  unsigned int nr, unsigned int slot, unsigned int ioprio)
{
	return prep_slot_send(ring, fd, dgrams, nr, slot,
			      ioprio | IORING_SEND_ZC_MANY);
}

/* The fixture's array through a slot, from the buffer as the variant has it. */
#define MANY(_nr, _slot, _ioprio)					\
	prep_many(&self->ring, self->net.tx, self->dgrams, _nr, _slot,	\
		  (_ioprio) | (variant->fixed ? IORING_RECVSEND_FIXED_BUF : 0))

/* The next datagram is this one: 0, -ETIME, -EMSGSIZE, -EILSEQ. */
static inline int receive_dgram(int fd, const void *want, size_t len)
{
	static char got[65536];
	ssize_t n;

	do {
		n = recv(fd, got, sizeof(got), 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? -ETIME : -errno;
	if ((size_t)n != len)
		return -EMSGSIZE;
	return memcmp(got, want, len) ? -EILSEQ : 0;
}

/* The first @nr of the array arrive, in order. */
#define ASSERT_DGRAMS_RECEIVED(_fd, _dgrams, _nr) do {			\
	unsigned int __i;						\
									\
	for (__i = 0; __i < (_nr); __i++)				\
		ASSERT_EQ(0, receive_dgram(_fd,				\
			  (void *)(unsigned long)(_dgrams)[__i].addr,	\
			  (_dgrams)[__i].len))				\
			TH_LOG("datagram %u of %u", __i, _nr);		\
} while (0)

/* No datagram is left. */
#define ASSERT_NO_MORE(_fd) do {					\
	char __byte;							\
									\
	ASSERT_EQ(-1, recv(_fd, &__byte, 1, MSG_DONTWAIT));		\
	ASSERT_EQ(EAGAIN, errno);					\
} while (0)

#endif
