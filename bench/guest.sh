#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The network, the huge page and a quiet machine for the client, which is $1; the rest are its arguments.

set -e
# shellcheck source=/dev/null
. "$(dirname "$0")/../selftests/net.sh"

# The tables of neighbours, which all packets are looked up in, start with eight
# buckets and a random hash: as large as this nobody shares a bucket.
grow_neighbours() {
	ip -n a link add grow type dummy
	ip -n a link set grow up
	for ((i = 1; i <= 2048; i++)); do
		echo "neigh add 10.9.$((i >> 8)).$((i & 255)) lladdr 02:00:00:00:00:03 dev grow"
		echo "neigh add fd09::$i lladdr 02:00:00:00:00:03 dev grow"
	done | ip -n a -batch -
	ip -n a link del grow
}

# Devices without addresses made of their random MAC, which ask for no router: nobody
# else sends on them, and the routes are the same in each boot.
echo 1 >/proc/sys/net/core/devconf_inherit_init_net
echo 1 >/proc/sys/net/ipv6/conf/default/addr_gen_mode
echo 0 >/proc/sys/net/ipv6/conf/default/router_solicitations
net_up 1500
grow_neighbours
# A segment is acknowledged as it comes: no window waits for the timer of a delayed ACK
ip -n b route replace 10.1.0.0/24 dev vb src 10.1.0.2 quickack 1
ip -n b -6 route replace fd01::/64 dev vb metric 256 quickack 1
nic=$(ip -n b -o -4 addr show to 10.2.0.2 | awk '{ print $2 }')
[ -z "$nic" ] || ip -n b route replace 10.2.0.0/24 dev "$nic" src 10.2.0.2 quickack 1
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
