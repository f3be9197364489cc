#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Stream FILE from one network namespace to another, across the two e1000e NICs
# of the virtual machine, in every mode; without options also through the relay,
# in each of its ways. As root in the virtual machine.
#
#	BIN=<folder of the built programs> run.sh FILE [options of "stream send"]
set -u

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=/dev/null
. "$here/../selftests/net.sh"

die() {
	echo "samples/run.sh: $*" >&2
	exit 1
}

[ $# -ge 1 ] || die "which file?"
[ -r "$1" ] || die "cannot read $1"
[ "$(id -u)" -eq 0 ] || die "this needs root"
grep -q virtme /proc/cmdline || [ -n "${NOTIF_ANY_MACHINE:-}" ] ||
	die "this is no virtme-ng guest (NOTIF_ANY_MACHINE=1 runs it all the same)"
[ -x "${BIN:-}/stream" ] || die "no stream in BIN=${BIN:-}"
file=$1
shift

modprobe -q io_uring_notif || true # a built-in one needs no loading
# a datagram of the default 8192 bytes must fit a packet: the kernel copies
# what it has to fragment
net_up 9000 || die "no network"
[ -n "$(ip -n b -o addr show to 10.2.0.2)" ] || die "no two e1000e NICs here"

ip netns exec b "$BIN/stream" recv --bind 10.2.0.2 &
receiver=$!
ip netns exec a "$BIN/stream" send --to 10.2.0.2 --file "$file" "$@"
status=$?
kill "$receiver"
# one mode or another of it was asked for, or its usage
[ $# -gt 0 ] && exit "$status"
ip netns exec a /usr/bin/python3 "$here/relay_run.py" "$BIN/relay" "$file" || status=1
exit "$status"
