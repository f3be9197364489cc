// SPDX-License-Identifier: GPL-2.0
/* What is sent, and what of it was received. */
#include <assert.h>
#include <string.h>

#include "data.h"
#include "rnd.h"

#define WORD	sizeof(__u64)
#define MAGIC	0x6e6f7469u

/* The beginning of a record; the rest is the data of @seed, from 0 on. */
struct record {
	__u32 magic, len;
	__u64 seed;
	__u64 sum;
};

static_assert(sizeof(struct record) == MIN_RECORD);

static __u64 data_word(__u64 seed, __u64 nr)
{
	return rnd_mix(seed + nr * 0x9e3779b97f4a7c15ULL);
}

void data_fill(void *buf, size_t len, __u64 seed, __u64 pos)
{
	unsigned char *to = buf;

	while (len) {
		__u64 word = data_word(seed, pos / WORD);
		size_t skip = pos % WORD, n = WORD - skip;

		if (n > len)
			n = len;
		memcpy(to, (unsigned char *)&word + skip, n);
		to += n;
		pos += n;
		len -= n;
	}
}

size_t data_check(const void *buf, size_t len, __u64 seed, __u64 pos)
{
	const unsigned char *got = buf;
	size_t done = 0;

	while (done < len) {
		__u64 word = data_word(seed, (pos + done) / WORD);
		const unsigned char *want = (unsigned char *)&word;
		size_t i = (pos + done) % WORD;

		for (; i < WORD && done < len; i++, done++)
			if (got[done] != want[i])
				return done;
	}
	return len;
}

static unsigned char small_byte(size_t len)
{
	return 0xc0 ^ len;
}

static __u64 record_sum(const struct record *record)
{
	return rnd_mix(record->seed + record->len);
}

void datagram_fill(void *buf, size_t len, size_t part, __u64 seed)
{
	char *to = buf;

	while (len) {
		size_t n = len < part ? len : part;
		struct record record = { MAGIC, n, seed++, 0 };

		if (n < sizeof(record)) {
			memset(to, small_byte(n), n);
		} else {
			record.sum = record_sum(&record);
			memcpy(to, &record, sizeof(record));
			data_fill(to + sizeof(record), n - sizeof(record),
				  record.seed, 0);
		}
		to += n;
		len -= n;
	}
}

const char *datagram_check(const void *buf, size_t len)
{
	const char *from = buf;

	while (len >= sizeof(struct record)) {
		struct record record;
		size_t n;

		memcpy(&record, from, sizeof(record));
		if (record.magic != MAGIC || record.sum != record_sum(&record))
			return "no record begins where one has to";
		if (record.len < sizeof(record) || record.len > len)
			return "a record is cut off";
		n = record.len - sizeof(record);
		if (data_check(from + sizeof(record), n, record.seed, 0) != n)
			return "a record has other bytes than were sent";
		from += record.len;
		len -= record.len;
	}
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)from[i] != small_byte(len))
			return "a small record has other bytes than were sent";
	return NULL;
}
