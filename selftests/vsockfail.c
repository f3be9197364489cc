// SPDX-License-Identifier: GPL-2.0
/*
 * Each allocation and each copy of a call fails once: the program is told why, and
 * what was queued is received by the next call, all of it.
 */
#include "faults.h"
#include "vsock.h"

#define SMALL	4

FIXTURE(vsockfail)
{
	struct faults faults;
	int tx, rx;
	char *map, *sent, *got;
	size_t len;	/* queued */
	struct vsock_map_rx arg;
};

FIXTURE_VARIANT(vsockfail) { int type; };
FIXTURE_VARIANT_ADD(vsockfail, stream) { .type = SOCK_STREAM };
FIXTURE_VARIANT_ADD(vsockfail, seqpacket) { .type = SOCK_SEQPACKET };

FIXTURE_SETUP(vsockfail)
{
	const char *missing = faults_open(&self->faults);
	int ret;

	if (missing)
		SKIP(return, "no %s here", missing);
	/* the module is loaded before anything fails */
	ASSERT_EQ(0, vsock_pair(variant->type, &self->tx, &self->rx));
	ret = vsock_opt_in(self->rx);
	if (ret == -ENOPROTOOPT || ret == -EOPNOTSUPP)
		SKIP(return, "this kernel has no CONFIG_VSOCK_MAP_RX");
	ASSERT_EQ(0, ret);
	close(self->tx);
	close(self->rx);
	self->sent = map_pages(64 * PAGE);
	self->got = map_pages(64 * PAGE);
	ASSERT_NE(NULL, self->sent);
	ASSERT_NE(NULL, self->got);
	fill_pattern(self->sent, 64 * PAGE, 17);
}

FIXTURE_TEARDOWN(vsockfail)
{
}

/* A fresh connection for each round, and nothing has happened yet. */
static void open_round(struct __test_metadata *_metadata,
		       FIXTURE_DATA(vsockfail) *self, int type)
{
	ASSERT_EQ(0, vsock_pair(type, &self->tx, &self->rx));
	self->map = NULL;
	self->len = 0;
}

static void map_round(struct __test_metadata *_metadata,
		      FIXTURE_DATA(vsockfail) *self, int type)
{
	open_round(_metadata, self, type);
	ASSERT_EQ(0, vsock_opt_in(self->rx));
	self->map = map_socket(self->rx, MAP_LEN);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
}

static void close_round(FIXTURE_DATA(vsockfail) *self)
{
	if (self->map)
		munmap(self->map, MAP_LEN);
	close(self->tx);
	close(self->rx);
}

static void send_one(struct __test_metadata *_metadata,
		     FIXTURE_DATA(vsockfail) *self, size_t len)
{
	ASSERT_EQ((ssize_t)len, send(self->tx, self->sent + self->len, len, 0));
	self->len += len;
	ASSERT_EQ(0, wait_queued(self->rx, self->len));
}

/* What the last call has placed comes after the first @done bytes; how many those are now. */
static size_t check_next(struct __test_metadata *_metadata,
			 FIXTURE_DATA(vsockfail) *self, size_t done)
{
	gather(_metadata, self->map, &self->arg, self->got);
	ASSERT_EQ(0, memcmp(self->got, self->sent + done, self->arg.length));
	return done + self->arg.length;
}

/*
 * The rest is still there, and is received by recv() or this call: together it is
 * what was sent.
 */
static void check_rest(struct __test_metadata *_metadata,
		       FIXTURE_DATA(vsockfail) *self, size_t done)
{
	ASSERT_EQ((int)(self->len - done), queued(self->rx))
		TH_LOG("call %u failed, and bytes are lost", self->faults.nth);
	while (done < self->len) {
		ASSERT_EQ(0, map_rx(self->rx, self->map, 0, 0, &self->arg));
		ASSERT_LT(0, self->arg.length);
		done = check_next(_metadata, self, done);
	}
	ASSERT_EQ(self->len, done);
}

/* Receive with a fault. If the call fails, it has taken nothing. */
static void receive_with_fault(struct __test_metadata *_metadata,
			       FIXTURE_DATA(vsockfail) *self, unsigned int flags)
{
	size_t done = 0;
	int ret;

	WITH_FAULT(ret = map_rx(self->rx, self->map, 0, flags, &self->arg));
	if (ret) {
		ASSERT_TRUE(self->faults.failed &&
			    (ret == -ENOMEM || ret == -EFAULT))
			TH_LOG("call %u failed, getsockopt() with %d",
			       self->faults.nth, ret);
	} else {
		done = check_next(_metadata, self, done);
	}
	check_rest(_metadata, self, done);
	close_round(self);
}

TEST_F(vsockfail, vsock_14_fault_opt_in)
{
	int ret;

	do {
		open_round(_metadata, self, variant->type);
		WITH_FAULT(ret = vsock_opt_in(self->rx));
		if (ret) {
			ASSERT_TRUE(self->faults.failed &&
				    (ret == -ENOMEM || ret == -EFAULT));
			ASSERT_EQ(0, vsock_opted_in(self->rx));
			ASSERT_EQ(0, vsock_opt_in(self->rx));
		}
		self->map = map_socket(self->rx, MAP_LEN);
		ASSERT_NE(MAP_FAILED, (void *)self->map);
		send_one(_metadata, self, 3 * PAGE);
		check_rest(_metadata, self, 0);
		close_round(self);
	} while (MORE_FAULTS);
}

TEST_F(vsockfail, vsock_14_fault_mmap)
{
	do {
		open_round(_metadata, self, variant->type);
		ASSERT_EQ(0, vsock_opt_in(self->rx));
		WITH_FAULT(self->map = map_socket(self->rx, MAP_LEN));
		if (self->map == MAP_FAILED) {
			ASSERT_TRUE(self->faults.failed && errno == ENOMEM);
			self->map = map_socket(self->rx, MAP_LEN);
		}
		ASSERT_NE(MAP_FAILED, (void *)self->map);
		send_one(_metadata, self, 3 * PAGE);
		check_rest(_metadata, self, 0);
		close_round(self);
	} while (MORE_FAULTS);
}

/* Into a fresh mapping, which has no page tables yet. */
TEST_F(vsockfail, vsock_14_fault_mapped)
{
	do {
		map_round(_metadata, self, variant->type);
		send_one(_metadata, self, 3 * PAGE);
		send_one(_metadata, self, PAGE);
		receive_with_fault(_metadata, self, 0);
	} while (MORE_FAULTS);
}

TEST_F(vsockfail, vsock_14_fault_clean)
{
	do {
		map_round(_metadata, self, variant->type);
		send_one(_metadata, self, 3 * PAGE);
		receive_with_fault(_metadata, self, VSOCK_MAP_RX_CLEAN);
	} while (MORE_FAULTS);
}

/* A fresh page for each packet, or for several. */
TEST_F(vsockfail, vsock_14_fault_copied)
{
	unsigned int i;

	do {
		map_round(_metadata, self, variant->type);
		for (i = 0; i < SMALL; i++)
			send_one(_metadata, self, 1500);
		receive_with_fault(_metadata, self, 0);
	} while (MORE_FAULTS);
}

TEST_F(vsockfail, vsock_14_fault_mixture)
{
	do {
		map_round(_metadata, self, variant->type);
		send_one(_metadata, self, 56);
		send_one(_metadata, self, 4096);
		send_one(_metadata, self, 8200);
		send_one(_metadata, self, 10);
		receive_with_fault(_metadata, self, 0);
	} while (MORE_FAULTS);
}

/* Two batches of pages, so that a failure has something before it. */
TEST_F(vsockfail, vsock_14_fault_many_pages)
{
	do {
		map_round(_metadata, self, variant->type);
		send_one(_metadata, self, 16 * PAGE);
		send_one(_metadata, self, 16 * PAGE);
		send_one(_metadata, self, 16 * PAGE);
		receive_with_fault(_metadata, self, 0);
	} while (MORE_FAULTS);
}

/* What the sender's side allocates while somebody has opted in. */
TEST_F(vsockfail, vsock_14_fault_send)
{
	ssize_t ret;

	do {
		map_round(_metadata, self, variant->type);
		WITH_FAULT(ret = send(self->tx, self->sent, 5 * PAGE, 0));
		if (ret < 0) {
			ASSERT_TRUE(self->faults.failed &&
				    (errno == ENOMEM || errno == EFAULT));
			ret = send(self->tx, self->sent, 5 * PAGE, 0);
		}
		ASSERT_LT(0, ret);
		self->len = ret;
		ASSERT_EQ(0, wait_queued(self->rx, self->len));
		check_rest(_metadata, self, 0);
		close_round(self);
	} while (MORE_FAULTS);
}

TEST_F(vsockfail, vsock_14_fault_end)
{
	int ret;

	do {
		map_round(_metadata, self, variant->type);
		send_one(_metadata, self, 3 * PAGE);
		ASSERT_EQ(0, map_rx(self->rx, self->map, 0, 0, &self->arg));
		WITH_FAULT(ret = munmap(self->map, MAP_LEN));
		/* a system call that may say so has done nothing then */
		if (ret) {
			ASSERT_TRUE(self->faults.failed && errno == ENOMEM);
			ASSERT_EQ(0, munmap(self->map, MAP_LEN));
		}
		self->map = NULL;
		close_round(self);
	} while (MORE_FAULTS);
}

NOTIF_TEST_MAIN
