#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Run stress in the network that it changes. As root in the virtual machine: it
# sets links up and down, unloads the module, kills what it has started.
#
#	BIN=<folder of the built program> run.sh [--seconds N] [--seed N]
#
# Prints TAP. Exit status: 0 when nothing failed.
set -u

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=/dev/null
. "$here/../selftests/net.sh"

die() {
	echo "Bail out! $*"
	exit 1
}

# The device of namespace $1 that has the address $2.
device_of() {
	ip -n "$1" -o -4 addr show to "$2" | awk '{ print $2 }'
}

[ "$(id -u)" -eq 0 ] || die "this needs root"
[ -n "${NOTIF_ANY_MACHINE:-}" ] || grep -q virtme /proc/cmdline ||
	die "this is no virtme-ng guest (NOTIF_ANY_MACHINE=1 runs it all the same)"
[ -x "${BIN:-}/stress" ] || die "no stress in BIN=${BIN:-}"
mountpoint -q /sys/kernel/debug ||
	mount -t debugfs none /sys/kernel/debug 2>/dev/null
modprobe -q io_uring_notif || true # a built-in one needs no loading
net_up 1500 || die "no network"
for ns in a b; do
	# a link that goes down would lose its IPv6 addresses
	ip netns exec "$ns" sh -c \
		'echo 1 >/proc/sys/net/ipv6/conf/all/keep_addr_on_down'
done
NIC_A=$(device_of a 10.2.0.1)
NIC_B=$(device_of b 10.2.0.2)
export NIC_A NIC_B
exec "$BIN/stress" "$@"
