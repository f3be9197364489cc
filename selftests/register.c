// SPDX-License-Identifier: GPL-2.0
/* Registering and unregistering notification slots, and every way it fails. */
#include "rings.h"

FIXTURE(reg)
{
	struct io_uring ring;
};

RING_VARIANTS(reg);

FIXTURE_SETUP(reg)
{
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
}

FIXTURE_TEARDOWN(reg)
{
	ring_exit(&self->ring);
}

/* A registration of two slots of which one thing is wrong. */
struct bad_registration {
	const char *what;
	unsigned int size;			/* 0: the right one */
	struct io_uring_notification_register reg;
	struct io_uring_notification_slot second;
	int err;
};

static const struct bad_registration bad_registrations[] = {
	{ .what = "no slots", .reg.nr_slots = 0, .err = -EINVAL },
	{ .what = "unknown flag", .reg = { .nr_slots = 2, .flags = 1U << 1 },
	  .err = -EINVAL },
	{ .what = "highest flag", .reg = { .nr_slots = 2, .flags = 1U << 31 },
	  .err = -EINVAL },
	{ .what = "resv2", .reg = { .nr_slots = 2, .resv2 = 1ULL << 63 },
	  .err = -EINVAL },
	{ .what = "resv3", .reg = { .nr_slots = 2, .resv3 = 1 },
	  .err = -EINVAL },
	{ .what = "slot flags", .reg.nr_slots = 2, .second.flags = 1,
	  .err = -EINVAL },
	{ .what = "slot resv[0]", .reg.nr_slots = 2, .second.resv[0] = 1,
	  .err = -EINVAL },
	{ .what = "slot resv[1]", .reg.nr_slots = 2, .second.resv[1] = 1,
	  .err = -EINVAL },
	{ .what = "slot resv[2]", .reg.nr_slots = 2, .second.resv[2] = 1U << 31,
	  .err = -EINVAL },
	{ .what = "size 0", .reg.nr_slots = 2, .size = ~0U, .err = -EINVAL },
	{ .what = "short", .reg.nr_slots = 2,
	  .size = sizeof(struct io_uring_notification_register) - 1,
	  .err = -EINVAL },
	{ .what = "long", .reg.nr_slots = 2,
	  .size = sizeof(struct io_uring_notification_register) + 1,
	  .err = -EINVAL },
};

static int register_bad(struct io_uring *ring, const struct bad_registration *bad)
{
	struct io_uring_notification_slot slots[2] = { { .tag = TAG(0) } };
	struct io_uring_notification_register reg = bad->reg;
	unsigned int size = bad->size ?: sizeof(reg);

	slots[1] = bad->second;
	reg.data = (unsigned long)slots;
	return ring_register(ring, IORING_REGISTER_NOTIFIERS, &reg,
			     size == ~0U ? 0 : size);
}

TEST_F(reg, contract_10_register_unregister)
{
	EXPECT_EQ(0, register_slots(&self->ring, 1));
	EXPECT_EQ(0, unregister_slots(&self->ring));
	EXPECT_EQ(0, register_slots(&self->ring, 1000));
	EXPECT_EQ(0, unregister_slots(&self->ring));
}

TEST_F(reg, contract_10_bad_fields)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad_registrations); i++) {
		const struct bad_registration *bad = &bad_registrations[i];

		EXPECT_EQ(bad->err, register_bad(&self->ring, bad))
			TH_LOG("registering: %s", bad->what);
		/* nothing came of it */
		EXPECT_EQ(-ENXIO, unregister_slots(&self->ring))
			TH_LOG("after registering: %s", bad->what);
	}
	EXPECT_EQ(0, register_slots(&self->ring, 2));
}

TEST_F(reg, contract_10_bad_pointers)
{
	struct io_uring_notification_register reg = { .nr_slots = 2 };
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ(0, munmap(page + 4096, 4096));

	EXPECT_EQ(-EFAULT, ring_register(&self->ring, IORING_REGISTER_NOTIFIERS,
					 page + 4096, sizeof(reg)));
	EXPECT_EQ(-EFAULT, ring_register(&self->ring, IORING_REGISTER_NOTIFIERS,
					 NULL, sizeof(reg)));
	EXPECT_EQ(-EFAULT, ring_register(&self->ring, IORING_REGISTER_NOTIFIERS,
					 &reg, sizeof(reg)));
	/* the first slot can be read, the second cannot */
	reg.data = (unsigned long)page + 4096 -
		   sizeof(struct io_uring_notification_slot);
	EXPECT_EQ(-EFAULT, ring_register(&self->ring, IORING_REGISTER_NOTIFIERS,
					 &reg, sizeof(reg)));
	EXPECT_EQ(-ENXIO, unregister_slots(&self->ring));
	EXPECT_EQ(0, register_slots(&self->ring, 2));
}

TEST_F(reg, contract_10_how_many)
{
	EXPECT_EQ(-EINVAL, register_slots(&self->ring, IORING_MAX_NOTIF_SLOTS + 1));
	EXPECT_EQ(-ENXIO, unregister_slots(&self->ring));
	EXPECT_EQ(0, register_slots(&self->ring, IORING_MAX_NOTIF_SLOTS));
	EXPECT_EQ(0, unregister_slots(&self->ring));
}

TEST_F(reg, contract_10_busy)
{
	ASSERT_EQ(0, register_slots(&self->ring, 2));
	EXPECT_EQ(-EBUSY, register_slots(&self->ring, 2));
	EXPECT_EQ(-EBUSY, register_slots(&self->ring, 1));
	EXPECT_EQ(0, unregister_slots(&self->ring));
	EXPECT_EQ(0, register_slots(&self->ring, 1));
}

TEST_F(reg, contract_10_unregister_nothing)
{
	EXPECT_EQ(-ENXIO, unregister_slots(&self->ring));
	ASSERT_EQ(0, register_slots(&self->ring, 2));
	EXPECT_EQ(0, unregister_slots(&self->ring));
	EXPECT_EQ(-ENXIO, unregister_slots(&self->ring));
}

TEST_F(reg, contract_10_unregister_takes_no_argument)
{
	char arg[sizeof(struct io_uring_notification_register)] = {};

	ASSERT_EQ(0, register_slots(&self->ring, 2));
	EXPECT_EQ(-EINVAL, ring_register(&self->ring,
					 IORING_UNREGISTER_NOTIFIERS, arg, 0));
	EXPECT_EQ(-EINVAL, ring_register(&self->ring,
					 IORING_UNREGISTER_NOTIFIERS, NULL, 1));
	/* the slots are still there */
	EXPECT_EQ(-EBUSY, register_slots(&self->ring, 2));
	EXPECT_EQ(0, unregister_slots(&self->ring));
}

TEST_F(reg, contract_10_slot_options)
{
	const struct io_uring_notification_slot slots[] = {
		{ .tag = ~0ULL, .copy_below = ~0U, .flush_after = ~0U },
		{ .tag = 0, .copy_below = 1, .flush_after = 1 },
	};

	EXPECT_EQ(0, register_slots_as(&self->ring, slots, 2,
				       IORING_NOTIF_REG_TYPED_CQE));
}

/* A CQE of 32 bits of flags could be taken for the first half of a big one. */
TEST(contract_10_cqe_mixed_needs_typed)
{
	const struct io_uring_notification_slot slot = { .tag = TAG(0) };
	struct io_uring ring;

	ASSERT_EQ(0, ring_init(&ring, IORING_SETUP_CQE_MIXED));
	EXPECT_EQ(-EINVAL, register_slots_as(&ring, &slot, 1, 0));
	EXPECT_EQ(-ENXIO, unregister_slots(&ring));
	EXPECT_EQ(0, register_slots_as(&ring, &slot, 1,
				       IORING_NOTIF_REG_TYPED_CQE));
	ring_exit(&ring);
}

#define ALLOW_REGISTER(op)						\
	{ .opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = op }
#define ALLOW_SQE(op)							\
	{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = op }

/* What a restriction leaves out is refused as anything else of io_uring is. */
TEST(contract_12_restricted_registering)
{
	const struct io_uring_restriction allow[] = {
		ALLOW_REGISTER(IORING_REGISTER_BUFFERS),
	};
	struct io_uring ring;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ring_init(&ring, IORING_SETUP_R_DISABLED));
		ASSERT_EQ(0, ring_restrict(&ring, allow, 1));
		/* before the ring is enabled everything is allowed */
		if (i)
			ASSERT_EQ(0, register_slots(&ring, 1));
		ASSERT_EQ(0, ring_enable(&ring));
		EXPECT_EQ(-EACCES, register_slots(&ring, 1));
		EXPECT_EQ(-EACCES, unregister_slots(&ring));
		prep_slot_send(&ring, -1, NULL, 1, 0, 0);
		ASSERT_SUBMIT(&ring, 1);
		ASSERT_CQE(&ring, REQ(0), i ? -EBADF : -EINVAL, 0);
		ASSERT_FLUSH(&ring, 0, 1);
		if (i)
			ASSERT_NOTIF(&ring, TAG(0), 0);
		else
			ASSERT_CQE(&ring, FLUSH_REQ, -EINVAL, 0);
		ring_exit(&ring);
	}
}

TEST(contract_12_restricted_requests)
{
	const struct io_uring_restriction allow[] = {
		ALLOW_SQE(IORING_OP_SEND_ZC),
	};
	struct io_uring ring;
	struct pair net;

	OPEN_PAIR(&net, NET_LO, AF_INET, SOCK_DGRAM);
	ASSERT_EQ(0, ring_init(&ring, IORING_SETUP_R_DISABLED));
	ASSERT_EQ(0, ring_restrict(&ring, allow, ARRAY_SIZE(allow)));
	ASSERT_EQ(0, ring_enable(&ring));
	ASSERT_EQ(0, register_slots(&ring, 3));

	prep_slot_send(&ring, net.tx, "data", 4, 0, 0);
	ASSERT_SUBMIT(&ring, 1);
	ASSERT_CQE(&ring, REQ(0), 4, 0);
	ASSERT_RECEIVED(&net, "data", 4);
	prep_slot_sendmsg(&ring, net.tx, NULL, 1, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&ring, 1);
	ASSERT_CQE(&ring, REQ(0), -EACCES, 0);
	prep_slot_send(&ring, net.tx, "data", 4, 2, 0)->flags = IOSQE_ASYNC;
	ASSERT_SUBMIT(&ring, 1);
	ASSERT_CQE(&ring, REQ(0), -EACCES, 0);
	prep_flush(&ring, 0, 3, 0);
	ASSERT_SUBMIT(&ring, 1);
	ASSERT_CQE(&ring, FLUSH_REQ, -EACCES, 0);
	ASSERT_QUIET(&ring);

	/* those that were refused were never attached */
	ASSERT_EQ(0, unregister_slots(&ring));
	ASSERT_NOTIF(&ring, TAG(0), 0);
	ASSERT_QUIET(&ring);
	ring_exit(&ring);
	pair_close(&net);
}

NOTIF_TEST_MAIN
