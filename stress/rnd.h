/* SPDX-License-Identifier: GPL-2.0 */
/* Numbers that look random, and are the same for the same seed. */
#ifndef NOTIF_STRESS_RND_H
#define NOTIF_STRESS_RND_H

#include <stdbool.h>

#include <linux/types.h>

struct rnd {
	__u64 state;
};

/* SplitMix64 */
static inline __u64 rnd_mix(__u64 x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

static inline __u64 rnd_next(struct rnd *rnd)
{
	rnd->state += 0x9e3779b97f4a7c15ULL;
	return rnd_mix(rnd->state);
}

/* What is drawn next follows from these three. */
static inline void rnd_seed(struct rnd *rnd, __u64 seed, __u64 who, __u64 op)
{
	rnd->state = rnd_mix(rnd_mix(rnd_mix(seed) + who) + op);
}

/* 0 to @n - 1 */
static inline unsigned int rnd_below(struct rnd *rnd, unsigned int n)
{
	return (rnd_next(rnd) >> 32) * n >> 32;
}

/* @low to @high */
static inline unsigned int rnd_between(struct rnd *rnd, unsigned int low,
				       unsigned int high)
{
	return low + rnd_below(rnd, high - low + 1);
}

static inline bool rnd_one_in(struct rnd *rnd, unsigned int n)
{
	return !rnd_below(rnd, n);
}

/* 1 to @max, small ones as often as large ones; every now and then just @max. */
static inline unsigned int rnd_size(struct rnd *rnd, unsigned int max)
{
	unsigned int bits = rnd_below(rnd, 32 - __builtin_clz(max)) + 1;
	unsigned int size = 1 + (rnd_next(rnd) & ((1ULL << bits) - 1));

	if (rnd_one_in(rnd, 16))
		return max;
	return size < max ? size : max;
}

#endif
