// SPDX-License-Identifier: GPL-2.0
/*
 * Every bad IORING_RSRC_UPDATE_NOTIF: what its CQE says, and that nothing came of it.
 */
#include "badslots.h"

static char buf[4096];

/* What is wrong with a flush of all slots. */
static const struct bad_request bad_flushes[] = {
	BAD(-EINVAL, TO(len, 0)),
	BAD(-EINVAL, TO(len, NR_SLOTS + 1)),
	BAD(-EINVAL, TO(off, 1)),
	BAD(-EINVAL, TO(off, NR_SLOTS), TO(len, 1)),
	BAD(-EINVAL, TO(off, 1U << 31), TO(len, 1)),
	BAD(-EINVAL, TO(off, 1), TO(len, 1U << 31)),
	/* the last sum in 32 bits, and the first that isn't */
	BAD(-EINVAL, TO(off, 0xfffffffe), TO(len, 1)),
	BAD(-EINVAL, TO(off, 0), TO(len, 0xffffffff)),
	BAD(-EOVERFLOW, TO(off, 0xffffffff), TO(len, 1)),
	BAD(-EOVERFLOW, TO(off, 1), TO(len, 0xffffffff)),
	BAD(-EOVERFLOW, TO(off, 1U << 31), TO(len, 1U << 31)),
	BAD(-EOVERFLOW, TO(off, 0xffffffff), TO(len, SLOT + 2)),
	BAD(-EOVERFLOW, TO(off, 0xffffffff), TO(len, 0xffffffff)),
	/* more than 32 bits of off */
	BAD(-EOVERFLOW, TO(off, 1ULL << 32)),
	BAD(-EOVERFLOW, TO(off, (1ULL << 32) + SLOT), TO(len, 1)),
	BAD(-EOVERFLOW, TO(off, 1ULL << 63)),
	BAD(-EOVERFLOW, TO(off, ~0ULL), TO(len, 1)),
	BAD(-EOVERFLOW, TO(off, ~0ULL), TO(len, SLOT + 2)),
	/* unknown updates */
	BAD(-EINVAL, TO(ioprio, 2)),
	BAD(-EINVAL, TO(ioprio, 3)),
	BAD(-EINVAL, TO(ioprio, 0x101)),
	BAD(-EINVAL, TO(ioprio, 0x8001)),
	/* what FILES_UPDATE refuses too, and what it passes over */
	BAD(-EINVAL, TO(rw_flags, 1)),
	BAD(-EINVAL, TO(rw_flags, 1U << 31)),
	BAD(-EINVAL, TO(file_index, 1)),
	BAD(-EINVAL, TO(file_index, 1U << 31)),
	BAD(-EINVAL, TO(addr3, 1)),
	BAD(-EINVAL, TO(__pad2[0], 1ULL << 63)),
	BAD(-EINVAL, TO(buf_index, 1)),
	BAD(-EINVAL, TO(flags, IOSQE_FIXED_FILE)),
	BAD(-EOPNOTSUPP, TO(flags, IOSQE_BUFFER_SELECT)),
};

/* None flushes or changes a tag, with a request attached that it would be for. */
TEST_F(slots, contract_10_bad_flushes)
{
	const struct bad_request *bad;
	unsigned int seq = 0;

	for (bad = bad_flushes; bad < bad_flushes + ARRAY_SIZE(bad_flushes); bad++) {
		struct io_uring_cqe cqe = {};

		prep_slot_send(&self->ring, self->net.tx, buf, 100, SLOT, 0);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), 100, 0);
		ASSERT_RECEIVED(&self->net, buf, 100);

		apply(prep_flush(&self->ring, 0, NR_SLOTS, TAG(77)), bad);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		ASSERT_EQ(FLUSH_REQ, cqe.user_data)
			TH_LOG("flushed: %s", bad->what);
		ASSERT_EQ(bad->res, cqe.res)
			TH_LOG("%s", bad->what);
		ASSERT_EQ(0, cqe.flags);
		ASSERT_UNCHANGED(SLOT, true, seq, bad->what);
	}
	ASSERT_ALL_UNCHANGED(seq);
}

NOTIF_TEST_MAIN
