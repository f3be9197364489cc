// SPDX-License-Identifier: GPL-2.0
/* Registering and unregistering notification slots, and every way it fails. */
#include <stddef.h>

#include "rings.h"

FIXTURE(reg)
{
	struct io_uring ring;
};

RING_VARIANTS_SQPOLL(reg);
FIXTURE_VARIANT_ADD(reg, disabled) { .setup = IORING_SETUP_R_DISABLED };

FIXTURE_SETUP(reg)
{
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
}

FIXTURE_TEARDOWN(reg)
{
	ring_exit(&self->ring);
}

#define KERNEL_ADDR	0xffff888000001000ULL

/* A field of which each of these bits makes the registration a bad one. */
struct bad_field {
	const char *what;
	bool in_slot;
	unsigned int off, first_bit, last_bit;
};

#define REG_FIELD(_field, _first, _last)				\
	{ "register " #_field, false,					\
	  offsetof(struct io_uring_notification_register, _field), _first, _last }
#define SLOT_FIELD(_field, _first)					\
	{ "slot " #_field, true,					\
	  offsetof(struct io_uring_notification_slot, _field), _first, 31 }

static const struct bad_field bad_fields[] = {
	REG_FIELD(flags, 1, 31),
	REG_FIELD(resv2, 0, 63),
	REG_FIELD(resv3, 0, 63),
	SLOT_FIELD(flags, 3),
	SLOT_FIELD(resv[0], 0),
	SLOT_FIELD(resv[1], 0),
	SLOT_FIELD(resv[2], 0),
};

/* A registration of which one number is wrong. */
struct bad_registration {
	const char *what;
	unsigned int nr_slots, size;
	__u64 arg, data;	/* 0: the right pointers */
	int err;
};

#define SIZE	sizeof(struct io_uring_notification_register)

static const struct bad_registration bad_registrations[] = {
	{ "no slots", 0, SIZE, 0, 0, -EINVAL },
	{ "one too many", IORING_MAX_NOTIF_SLOTS + 1, SIZE, 0, 0, -EINVAL },
	{ "2^31 slots", 1U << 31, SIZE, 0, 0, -EINVAL },
	{ "UINT_MAX slots", ~0U, SIZE, 0, 0, -EINVAL },
	{ "size 0", 2, 0, 0, 0, -EINVAL },
	{ "size 1", 2, 1, 0, 0, -EINVAL },
	{ "half the size", 2, SIZE / 2, 0, 0, -EINVAL },
	{ "short", 2, SIZE - 1, 0, 0, -EINVAL },
	{ "long", 2, SIZE + 1, 0, 0, -EINVAL },
	{ "twice the size", 2, 2 * SIZE, 0, 0, -EINVAL },
	{ "size UINT_MAX", 2, ~0U, 0, 0, -EINVAL },
	{ "arg near NULL", 2, SIZE, 8, 0, -EFAULT },
	{ "arg in the kernel", 2, SIZE, KERNEL_ADDR, 0, -EFAULT },
	{ "arg at the end of memory", 2, SIZE, -SIZE, 0, -EFAULT },
	{ "data near NULL", 2, SIZE, 0, 8, -EFAULT },
	{ "data in the kernel", 2, SIZE, 0, KERNEL_ADDR, -EFAULT },
	{ "data at the end of memory", 2, SIZE, 0, -64ULL, -EFAULT },
	{ "data wraps", IORING_MAX_NOTIF_SLOTS, SIZE, 0, -4096ULL, -EFAULT },
};

/* Two slots, of which the second may be spoilt. */
struct two_slots {
	struct io_uring_notification_slot slot[2];
	struct io_uring_notification_register reg;
};

static void two_slots_init(struct two_slots *two)
{
	*two = (struct two_slots){
		.slot = { { .tag = TAG(7) }, { .tag = TAG(8) } },
		.reg = {
			.nr_slots = 2,
			.data = (unsigned long)two->slot,
		},
	};
}

static int register_bad_bit(struct io_uring *ring, const struct bad_field *bad,
			    unsigned int slot, unsigned int bit)
{
	struct two_slots two;
	char *base = (char *)&two.reg;

	two_slots_init(&two);
	if (bad->in_slot)
		base = (char *)&two.slot[slot];
	base[bad->off + bit / 8] |= 1 << bit % 8;
	return ring_register(ring, IORING_REGISTER_NOTIFIERS, &two.reg, SIZE);
}

static int register_bad(struct io_uring *ring, const struct bad_registration *bad)
{
	struct two_slots two;

	two_slots_init(&two);
	two.reg.nr_slots = bad->nr_slots;
	if (bad->data)
		two.reg.data = bad->data;
	return ring_register(ring, IORING_REGISTER_NOTIFIERS,
			     bad->arg ? (void *)bad->arg : &two.reg, bad->size);
}

/* A page that ends where nothing is mapped. */
static char *last_page(void)
{
	char *page = mmap(NULL, 2 * page_size(), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return page == MAP_FAILED || munmap(page + page_size(), page_size()) ?
	       NULL : page;
}

/* A pointer to what ends @len bytes before the page does. */
static int register_near_end(struct io_uring *ring, char *page, bool is_arg,
			     unsigned int len)
{
	struct two_slots two;
	void *arg = &two.reg;

	two_slots_init(&two);
	if (is_arg) {
		arg = page + page_size() - len;
		memcpy(arg, &two.reg, len);
	} else {
		two.reg.data = (unsigned long)page + page_size() - len;
	}
	return ring_register(ring, IORING_REGISTER_NOTIFIERS, arg, SIZE);
}

/*
 * All that can be wrong with a registration. @slots: there are some, and with
 * them every registration fails, the good one too, with EBUSY.
 */
static void assert_refused(struct __test_metadata *_metadata,
			   struct io_uring *ring, bool slots)
{
	unsigned int i, bit, slot;
	char *page = last_page();

#define ASSERT_NOTHING_OF(_err, _ret, _what) do {			\
	int __ret = _ret;						\
	ASSERT_EQ(slots ? -EBUSY : (_err), __ret)			\
		TH_LOG("registering: %s", _what);			\
	if (!slots)							\
		ASSERT_EQ(-ENXIO, unregister_slots(ring))		\
			TH_LOG("after registering: %s", _what);		\
} while (0)

	for (i = 0; i < ARRAY_SIZE(bad_registrations); i++) {
		const struct bad_registration *bad = &bad_registrations[i];

		ASSERT_NOTHING_OF(bad->err, register_bad(ring, bad), bad->what);
	}
	for (i = 0; i < ARRAY_SIZE(bad_fields); i++) {
		const struct bad_field *bad = &bad_fields[i];

		for (bit = bad->first_bit; bit <= bad->last_bit; bit++)
			for (slot = 0; slot <= bad->in_slot; slot++)
				ASSERT_NOTHING_OF(-EINVAL,
						  register_bad_bit(ring, bad, slot, bit),
						  bad->what);
	}
	ASSERT_NE(NULL, page);
	for (i = 0; i < 2 * sizeof(struct io_uring_notification_slot); i += 8)
		ASSERT_NOTHING_OF(-EFAULT,
				  register_near_end(ring, page, false, i),
				  "part of the slots");
	for (i = 0; i < SIZE; i += 8)
		ASSERT_NOTHING_OF(-EFAULT,
				  register_near_end(ring, page, true, i),
				  "part of the argument");
	ASSERT_NOTHING_OF(-EFAULT, ring_register(ring, IORING_REGISTER_NOTIFIERS,
						 NULL, SIZE), "NULL");
}

TEST_F(reg, contract_10_register_unregister)
{
	EXPECT_EQ(0, register_slots(&self->ring, 1));
	EXPECT_EQ(0, unregister_slots(&self->ring));
	EXPECT_EQ(0, register_slots(&self->ring, 1000));
	EXPECT_EQ(0, unregister_slots(&self->ring));
}

TEST_F(reg, contract_10_bad_registrations)
{
	const unsigned int edges[] = { 1, 2, IORING_MAX_NOTIF_SLOTS };
	unsigned int i;

	assert_refused(_metadata, &self->ring, false);
	for (i = 0; i < ARRAY_SIZE(edges); i++) {
		ASSERT_EQ(0, register_slots(&self->ring, edges[i]));
		ASSERT_EQ(-EBUSY, register_slots(&self->ring, edges[i]));
		ASSERT_EQ(0, unregister_slots(&self->ring));
		ASSERT_EQ(-ENXIO, unregister_slots(&self->ring));
	}
}

/* What is registered stays: the slots have their tags and go on counting. */
TEST_F(reg, contract_10_busy)
{
	char arg[SIZE] = {};
	unsigned int seq;

	ASSERT_EQ(0, register_slots(&self->ring, 2));
	for (seq = 0; seq < 2; seq++) {
		EXPECT_EQ(-EBUSY, register_slots(&self->ring, 1));
		assert_refused(_metadata, &self->ring, true);
		EXPECT_EQ(-EINVAL, ring_register(&self->ring,
						 IORING_UNREGISTER_NOTIFIERS, arg, 0));
		EXPECT_EQ(-EINVAL, ring_register(&self->ring,
						 IORING_UNREGISTER_NOTIFIERS, NULL, 1));
		EXPECT_EQ(-EINVAL, ring_register(&self->ring,
						 IORING_UNREGISTER_NOTIFIERS, arg, SIZE));
		if (variant->setup & IORING_SETUP_R_DISABLED)
			continue;
		prep_slot_send(&self->ring, -1, arg, 1, 1, 0);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, REQ(0), -EBADF, 0);
		ASSERT_FLUSH(&self->ring, 0, 2);
		ASSERT_NOTIF(&self->ring, TAG(1), seq);
	}
	EXPECT_EQ(0, unregister_slots(&self->ring));
	EXPECT_EQ(-ENXIO, unregister_slots(&self->ring));
}

/* Slots that were registered on a ring that runs only later. */
TEST(contract_10_disabled_ring)
{
	struct io_uring ring;

	ASSERT_EQ(0, ring_init(&ring, IORING_SETUP_R_DISABLED));
	ASSERT_EQ(0, register_slots(&ring, 2));
	prep_slot_send(&ring, -1, NULL, 1, 1, IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_EQ(-EBADFD, ring_submit(&ring));
	ASSERT_EQ(0, ring_register(&ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0));
	ASSERT_SUBMIT(&ring, 1);
	ASSERT_CQE(&ring, REQ(0), -EBADF, 0);
	ASSERT_NOTIF(&ring, TAG(1), 0);
	ring_exit(&ring);
}

TEST_F(reg, contract_10_slot_options)
{
	const struct io_uring_notification_slot slots[] = {
		{ .tag = ~0ULL, .copy_below = ~0U, .flush_after = ~0U },
		{ .tag = 0, .copy_below = 1, .flush_after = 1 },
	};

	EXPECT_EQ(0, register_slots_as(&self->ring, slots, 2,
				       IORING_NOTIF_REG_RAW_SEQ));
}

/* Each of the flags of a slot, and all of them together with any other. */
TEST_F(reg, contract_10_slot_flags)
{
	struct io_uring_notification_slot slot = { .tag = TAG(0) };
	unsigned int all = IORING_NOTIF_SLOT_MERGE | IORING_NOTIF_SLOT_SEGMENTS |
			   IORING_NOTIF_SLOT_FALLBACK, bit;

	for (slot.flags = 0; slot.flags <= all; slot.flags++) {
		slot.flush_after = slot.flags & 1;
		EXPECT_EQ(0, register_slots_as(&self->ring, &slot, 1, 0));
		EXPECT_EQ(0, unregister_slots(&self->ring));
		EXPECT_EQ(0, register_slots_as(&self->ring, &slot, 1,
					       IORING_NOTIF_REG_RAW_SEQ));
		EXPECT_EQ(0, unregister_slots(&self->ring));
	}
	for (bit = 0; bit < 32; bit++) {
		slot.flags = all | 1U << bit;
		EXPECT_EQ(slot.flags == all ? 0 : -EINVAL,
			  register_slots_as(&self->ring, &slot, 1, 0));
		EXPECT_EQ(slot.flags == all ? 0 : -ENXIO,
			  unregister_slots(&self->ring));
	}
}

/* A CQE of 32 bits of flags could be taken for the first half of a big one. */
TEST(contract_10_raw_seq_on_cqe_mixed)
{
	const struct io_uring_notification_slot slot = { .tag = TAG(0) };
	struct io_uring ring;

	ASSERT_EQ(0, ring_init(&ring, IORING_SETUP_CQE_MIXED));
	EXPECT_EQ(-EINVAL, register_slots_as(&ring, &slot, 1,
					     IORING_NOTIF_REG_RAW_SEQ));
	EXPECT_EQ(-ENXIO, unregister_slots(&ring));
	EXPECT_EQ(0, register_slots_as(&ring, &slot, 1, 0));
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
