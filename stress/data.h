/* SPDX-License-Identifier: GPL-2.0 */
/* What is sent: bytes that show which they are. */
#ifndef NOTIF_STRESS_DATA_H
#define NOTIF_STRESS_DATA_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

/* What a buffer is filled with once its notification has come. */
#define OVER_BYTE	0xee

/* Datagrams of fewer bytes only say how many they are. */
#define MIN_RECORD	24

/* Write @len bytes of the data that @seed stands for, from @pos on. */
void data_fill(void *buf, size_t len, __u64 seed, __u64 pos);
/* Compare with them: the first byte that differs, @len if none does. */
size_t data_check(const void *buf, size_t len, __u64 seed, __u64 pos);
/* What to say of one that differs. */
static inline const char *data_differs(unsigned char byte)
{
	return byte == OVER_BYTE ? "is what its buffer had after the notification" :
				   "isn't what was sent";
}

/*
 * A datagram, or one of several in one: records of up to @part bytes that each
 * say how long they are and what is in them.
 */
void datagram_fill(void *buf, size_t len, size_t part, __u64 seed);
/* What is wrong with a datagram that was received, NULL if nothing is. */
const char *datagram_check(const void *buf, size_t len);

#endif
