#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# IPComp puts pages of its own into packets, in place of those of a registered
# buffer of io_uring's, which belong to the buffer. The new ones must come back.

# shellcheck disable=SC1091,SC2154 # lib.sh is the folder's, and has these
source lib.sh

readonly BIN_TX="./io_uring_zerocopy_tx"
readonly BIN_RX="./msg_zerocopy"
readonly SADDR=192.168.1.1
readonly DADDR=192.168.1.2

trap cleanup_all_ns EXIT

# kilobytes that no one holds, with what waits to be freed
available()
{
	sleep 1
	awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo
}

# xfrm NS: compress what goes from SADDR to DADDR
compress()
{
	ip -n "$1" xfrm state add src $SADDR dst $DADDR proto comp spi 0x1001 \
		mode transport comp deflate &&
	ip -n "$1" xfrm policy add src $SADDR dst $DADDR proto udp dir "$2" \
		tmpl src $SADDR dst $DADDR proto comp spi 0x1001 \
		mode transport level use
}

setup_ns ns1 ns2 || exit "$ksft_skip"
ip link add veth0 mtu 65535 netns "$ns1" type veth \
	peer name veth0 mtu 65535 netns "$ns2"
ip -n "$ns1" addr add $SADDR/24 dev veth0
ip -n "$ns2" addr add $DADDR/24 dev veth0
ip -n "$ns1" link set veth0 up
ip -n "$ns2" link set veth0 up
if ! compress "$ns1" out 2>/dev/null || ! compress "$ns2" in 2>/dev/null; then
	echo "SKIP: no IPComp"
	exit "$ksft_skip"
fi

# once, so that what is allocated for good is there; mode 2 is registered buffers
send()
{
	ip netns exec "$ns2" "$BIN_RX" -4 -s 8000 -t 4 -C 1 -S $SADDR -D $DADDR -r udp \
		>/dev/null &
	sleep 0.5
	ip netns exec "$ns1" "$BIN_TX" -4 -m 2 -s 8000 -n 32 -t 2 -D $DADDR udp 2>&1 |
		sed -n 's/^tx=\([0-9]*\).*/\1/p'
	wait
}

send >/dev/null
before=$(available)
sent=$(send)
lost=$((before - $(available)))
echo "$sent datagrams, $lost kB not back"
# each that leaks does so with a page at least
[ "${sent:-0}" -gt 0 ] && [ "$lost" -lt $((sent * 2)) ] || exit "$ksft_fail"
