#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Run the relay, the file server and the receiver on vsock in the VM, each in a network namespace of its own. Prints TAP,
# one after the other.
#
#	BIN=<folder of the built programs> [MIB=<through the relay>] [REQUESTS=<of the file server>]
#	check.sh [relay] [serve] [vsock_rx]
set -u

here=$(cd "$(dirname "$0")" && pwd)
status=0
cd /tmp || exit 1
[ $# -gt 0 ] || set -- relay serve vsock_rx
for program in "$@"; do
	[ -x "${BIN:-}/$program" ] || { echo "Bail out! no $program in BIN=${BIN:-}: make -C samples OUT=folder"; exit 1; }
	ip netns add "$program" && ip -n "$program" link set lo up mtu 1500 || exit 1
	case $program in
	relay) much=${MIB:-} ;;
	serve) much=${REQUESTS:-} ;;
	*) much= ;;
	esac
	# shellcheck disable=SC2086 # nothing, or a number
	timeout -k 5 1200 ip netns exec "$program" /usr/bin/python3 "$here/${program}_check.py" "$BIN/$program" $much || status=1
done
exit $status
