// SPDX-License-Identifier: GPL-2.0
/*
 * The two modules don't need each other: without that of notification slots it works,
 * without its own a socket can't opt in. See without_module in run.sh.
 */
#include "vsockpair.h"

FIXTURE_VARIANT_ADD(vsock, stream) { .type = SOCK_STREAM };
FIXTURE_VARIANT_ADD(vsock, seqpacket) { .type = SOCK_SEQPACKET };

TEST_F(vsock, vsock_15_without_the_other_module)
{
	unsigned int i;

	if (module_refs() >= 0)
		SKIP(return, MODULE " is there");
	for (i = 0; i < 20; i++) {
		SEND(1 + i * 1000);
		SEND(3 * PAGE);
		RECEIVE_ALL();
		RECEIVE();
	}
	ASSERT_GT(0, module_refs());
}

NOTIF_TEST_MAIN
