// SPDX-License-Identifier: GPL-2.0
/* Numbers that are worth a try. */
#include "program.h"

/* No CQE may have what looks like one of these, and so no program passes one. */
bool is_kernel_address(__u64 value)
{
	return value >= 0xffff800000000000ULL && value < 0xffffffffff000000ULL;
}

static __u64 draw(struct rnd *rnd)
{
	switch (rnd_below(rnd, 10)) {
	case 0:
		return 0;
	case 1:
		return rnd_below(rnd, 16);
	case 2:
		return 1ULL << rnd_below(rnd, 64);
	case 3:
		return (1ULL << rnd_below(rnd, 64)) - 1;
	case 4:
		return (1ULL << rnd_below(rnd, 64)) + 1;
	case 5:
		return -1ULL - rnd_below(rnd, 16);
	case 6:
		return (__u64)rnd_below(rnd, 1 << 20) << 12;
	case 7:
		return rnd_next(rnd) & 0xffffffff;
	case 8:
		return rnd_next(rnd) >> rnd_below(rnd, 64);
	default:
		return rnd_next(rnd) & rnd_next(rnd);
	}
}

__u64 value64(struct rnd *rnd)
{
	__u64 value = draw(rnd);

	return is_kernel_address(value) ? value >> 16 : value;
}

__u32 value32(struct rnd *rnd)
{
	return draw(rnd);
}

/* Mostly below @usual, else anything. */
unsigned int small(struct rnd *rnd, unsigned int usual)
{
	return rnd_one_in(rnd, 24) ? value32(rnd) : rnd_below(rnd, usual);
}
