// SPDX-License-Identifier: GPL-2.0
/*
 * What takes minutes. Where the clock counts instructions the time that nobody uses
 * passes at once: make test TESTS=late FLAVOUR=release ACCEL=icount.
 */
#include "process.h"

#define SENT_LEN	(512 << 10)
/* io_uring warns of a ring that is closed and doesn't go for five minutes. */
#define LATE_MS		(330 * 1000)
/* In /proc/sys/kernel/tainted: the kernel has warned of something. */
#define TAINT_WARN	0x200

FIXTURE(late)
{
	struct pair net;	/* its receiver doesn't read by itself */
	char *data;
	int refs;		/* of the module, without this test's ring */
};

FIXTURE_VARIANT(late)
{
	unsigned int setup;
};

FIXTURE_VARIANT_ADD(late, plain) { .setup = 0 };
FIXTURE_VARIANT_ADD(late, defer) { .setup = RING_DEFER };

/* As scripts/vm.py boots such a machine. */
static bool clock_counts_instructions(void)
{
	FILE *f = fopen("/proc/cmdline", "r");
	char line[4096] = "";
	bool found;

	if (!f)
		return false;
	found = fgets(line, sizeof(line), f) && strstr(line, "random.trust_cpu=off");
	fclose(f);
	return found;
}

FIXTURE_SETUP(late)
{
	if (!clock_counts_instructions())
		SKIP(return, "takes minutes; TESTS=late FLAVOUR=release ACCEL=icount does not");
	if (module_refs() == -ENOENT)
		SKIP(return, "the module is built in, and counts no rings");
	module_unused();
	self->refs = module_refs();
	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_STREAM, .unread = true);
	self->data = map_pages(SENT_LEN);
	ASSERT_NE(NULL, self->data);
	fill_pattern(self->data, SENT_LEN, 29);
}

FIXTURE_TEARDOWN(late)
{
	pair_close(&self->net);
}

static int kernel_taint(void)
{
	return number_in("/proc/sys/kernel/tainted");
}

/* A peer may take its time: that is nothing to warn of. */
TEST_F_TIMEOUT(late, contract_08_slow_peer_is_nothing_to_warn_of, 3600)
{
	struct io_uring ring;
	int before = kernel_taint();

	ASSERT_LE(0, before);
	if (before & TAINT_WARN)
		SKIP(return, "the kernel has warned of something before");
	ASSERT_EQ(0, ring_init(&ring, variant->setup));
	ASSERT_EQ(0, register_slots(&ring, 1));
	prep_slot_send(&ring, self->net.tx, self->data, SENT_LEN, 0,
		       IORING_RECVSEND_NOTIF_FLUSH);
	ASSERT_SUBMIT(&ring, 1);
	ASSERT_CQE(&ring, REQ(0), SENT_LEN, 0);
	ring_exit(&ring);

	sleep_ms(LATE_MS);
	ASSERT_LT(self->refs, module_refs())
		TH_LOG("the ring didn't wait for the peer");
	ASSERT_EQ(before, kernel_taint());
	ASSERT_RECEIVED(&self->net, self->data, SENT_LEN);
	ASSERT_EQ(0, module_unused());
}

NOTIF_TEST_MAIN
