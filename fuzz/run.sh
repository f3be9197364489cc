#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Run fuzz in the network of the tests. As root in the virtual machine.
#
#	BIN=<folder of the built program> run.sh [--ops N] [--seed N] ...
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
[ -x "${BIN:-}/fuzz" ] || die "no fuzz in BIN=${BIN:-}"
mountpoint -q /sys/kernel/debug ||
	mount -t debugfs none /sys/kernel/debug 2>/dev/null
modprobe -q io_uring_notif || true # a built-in one needs no loading
net_up 1500 || die "no network"
# buffers in huge pages, if there is memory for them
echo 16 >/proc/sys/vm/nr_hugepages 2>/dev/null
exec "$BIN/fuzz" "$@"
