/* SPDX-License-Identifier: GPL-2.0 */
/*
 * CQEs in whatever order they came, where the contract leaves that open: two
 * sockets, io-wq, or several notifiers at once.
 */
#ifndef NOTIF_TEST_ANSWERS_H
#define NOTIF_TEST_ANSWERS_H

#include "fixture.h"

struct answers {
	struct io_uring_cqe cqes[16];
	unsigned int nr;
};

#define TAKE(_answers, _nr) do {					\
	struct answers *__all = (_answers);				\
									\
	__all->nr = 0;							\
	while (__all->nr < (_nr))					\
		ASSERT_EQ(0, ring_next(&self->ring,			\
				       &__all->cqes[__all->nr++]))	\
			TH_LOG("lost: CQE %u of %u", __all->nr, _nr);	\
} while (0)

/* At which place this CQE came; -1 unless it came once. */
static inline int place_of(const struct answers *all, __u64 user_data, int res,
			   unsigned int flags)
{
	int place = -1;
	unsigned int i;

	for (i = 0; i < all->nr; i++) {
		const struct io_uring_cqe *cqe = &all->cqes[i];

		if (cqe->user_data != user_data || cqe->res != res ||
		    cqe->flags != flags)
			continue;
		if (place >= 0)
			return -1;
		place = i;
	}
	return place;
}

/* Among them the CQE of a request, */
#define ASSERT_ANSWERED(_answers, _user_data, _res)			\
	ASSERT_LE(0, place_of(_answers, _user_data, _res, 0))

/* a notification, */
#define ASSERT_HAS_NOTIF(_answers, _tag, _seq)				\
	ASSERT_LE(0, place_of(_answers, _tag, 0, notif_flags(_seq)))

/* and a notification, with the CQE of one of its requests before. */
#define ASSERT_NOTIFIED(_answers, _tag, _seq, _user_data, _res) do {	\
	ASSERT_ANSWERED(_answers, _user_data, _res);			\
	ASSERT_LT(place_of(_answers, _user_data, _res, 0),		\
		  place_of(_answers, _tag, 0, notif_flags(_seq)));	\
} while (0)

#endif
