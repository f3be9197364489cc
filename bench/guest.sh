#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The network, the huge page and a quiet machine for the client, which is $1; the rest are its arguments.

set -e
# shellcheck source=/dev/null
. "$(dirname "$0")/../selftests/net.sh"

net_up 1500
for ns in a b; do
	# Each row finds a device that nobody else sends on
	ip netns exec $ns sh -c "echo 0 | tee /proc/sys/net/ipv6/conf/*/router_solicitations >/dev/null"
done
# A segment is acknowledged as it comes: no window waits for the timer of a delayed ACK
ip -n b route replace 10.1.0.0/24 dev vb src 10.1.0.2 quickack 1
ip -n b -6 route replace fd01::/64 dev vb metric 256 quickack 1
# What MSG_ZEROCOPY may have in flight
ip netns exec a sh -c 'echo 16777216 >/proc/sys/net/core/optmem_max'
echo 8 >/proc/sys/vm/nr_hugepages
echo 0 >/proc/sys/kernel/randomize_va_space
# Every page of the client is the guest's own
cp "$1" /tmp/client
shift
# Until the last multicast report is out
sleep 4
exec /tmp/client "$@"
