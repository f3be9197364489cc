// SPDX-License-Identifier: GPL-2.0
/* A patched kernel in which the module isn't there and cannot be loaded. */
#include "vsock.h"

FIXTURE(vsocknone)
{
	int tx, rx;
};

FIXTURE_VARIANT(vsocknone) { int type; };
FIXTURE_VARIANT_ADD(vsocknone, stream) { .type = SOCK_STREAM };
FIXTURE_VARIANT_ADD(vsocknone, seqpacket) { .type = SOCK_SEQPACKET };

FIXTURE_SETUP(vsocknone)
{
	int ret;

	ASSERT_EQ(0, vsock_pair(variant->type, &self->tx, &self->rx));
	ret = vsock_opt_in(self->rx);
	if (!ret)
		SKIP(return, VSOCK_MODULE " is there: loaded, or built in");
	if (ret == -ENOPROTOOPT)
		SKIP(return, "this kernel has no CONFIG_VSOCK_MAP_RX");
	ASSERT_EQ(-EOPNOTSUPP, ret);
}

FIXTURE_TEARDOWN(vsocknone)
{
	close(self->tx);
	close(self->rx);
}

/* A program is told, and receives as ever. */
TEST_F(vsocknone, vsock_01_no_module)
{
	char sent[5000], got[5000];
	struct vsock_map_rx arg;

	ASSERT_EQ(0, vsock_opted_in(self->rx));
	ASSERT_EQ(MAP_FAILED, (void *)map_socket(self->rx, 2 * PAGE));
	ASSERT_EQ(ENODEV, errno);
	ASSERT_EQ(-EOPNOTSUPP, map_rx(self->rx, NULL, 0, 0, &arg));
	fill_pattern(sent, sizeof(sent), 5);
	ASSERT_EQ(5000, send(self->tx, sent, sizeof(sent), 0));
	ASSERT_EQ(5000, recv(self->rx, got, sizeof(got), MSG_WAITALL));
	ASSERT_EQ(0, memcmp(sent, got, sizeof(got)));
}

NOTIF_TEST_MAIN
