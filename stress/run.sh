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

[ "$(id -u)" -eq 0 ] || die "this needs root"
[ -n "${NOTIF_ANY_MACHINE:-}" ] || grep -q virtme /proc/cmdline ||
	die "this is no virtme-ng guest (NOTIF_ANY_MACHINE=1 runs it all the same)"
[ -x "${BIN:-}/stress" ] || die "no stress in BIN=${BIN:-}"
mountpoint -q /sys/kernel/debug ||
	mount -t debugfs none /sys/kernel/debug 2>/dev/null
mountpoint -q /sys/fs/cgroup ||
	mount -t cgroup2 none /sys/fs/cgroup 2>/dev/null
# without CONFIG_MEMCG stress says so
{ echo +memory >/sys/fs/cgroup/cgroup.subtree_control; } 2>/dev/null || true
# what is built in needs no loading, and stress says what is missing
modprobe -q io_uring_notif || true
modprobe -q vsock_map_rx || true
net_up 1500 || die "no network"
# A link that goes down comes up when the machine has the time: 22 s have been seen.
# With the second at most between tries that stress asks for, TCP gives up before.
for ns in a b; do
	ip netns exec "$ns" sh -c 'echo 120 >/proc/sys/net/ipv4/tcp_retries2' ||
		die "no tcp_retries2"
done
exec "$BIN/stress" "$@"
