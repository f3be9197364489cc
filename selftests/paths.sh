#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Run the tests of a path over everything that can be put between two namespaces,
# and those of sockets with a protocol of their own, as one stream of TAP. As root
# in the virtual machine.
#
#	BIN=<folder of the built programs> [TESTS=<part of a path or a name>] [MUST=1]
#	paths.sh
#
# Exit status: 0 when nothing failed.
set -u

here=$(cd "$(dirname "$0")" && pwd)
for part in net pathnet pathmore; do
	# shellcheck source=/dev/null
	. "$here/$part.sh"
done

# Each path, and what notifications report there of TCP, of UDP, and of UDP without
# a checksum: zc or copied, either where that depends on the packet, none where it is
# not for such sockets. What has to be checksummed or encrypted by the CPU is copied.
PATHS="
veth copied copied copied
nic zc zc zc
vlan zc zc zc
macvlan zc zc zc
macvlan_pair copied copied copied
bridge zc zc zc
bridge_veth copied copied copied
bond zc zc zc
bond_broadcast copied copied copied
vxlan copied copied zc
geneve copied copied zc
gre copied copied zc
gretap copied copied zc
ipip copied copied zc
wireguard either copied copied
esp_transport copied copied copied
esp_tunnel copied copied copied
esp_cbc copied copied copied
ipcomp either copied either
ipip_esp either copied zc
ipip_ipcomp either copied zc
nat zc zc zc
dup zc zc zc
drop zc none none
queue zc zc zc
mirror zc zc zc
fq zc zc zc
tap copied copied copied
"
PROGS_SOCKETS="protocols sockmap fallpath getproto"
# seconds that a program may take on one path
LIMIT=${LIMIT:-300}
TESTS=${TESTS:-}
# What says that the kernel, or the machine, has no such thing; with MUST= it has to
MISSING='Unknown device type|is unknown|not supported|not found|No such file|ingress queue'

die() {
	echo "Bail out! $*"
	exit 1
}

matches() {
	case $1 in *"$TESTS"*) ;; *) return 1 ;; esac
}

# picked PATH PROGRAM: the arguments that run what TESTS picks of it; 1: nothing
picked() {
	matches "$1" && return
	args=$("$BIN/$2" --names | grep -F -- "$TESTS" | sed 's/^/-r /')
	[ -n "$args" ] && echo "$args"
}

# Run a program between two lines for tap.awk.
run_prog() {
	args=$(picked "$1" "$2") || return
	echo "@begin $1"
	began=$(date +%s)
	# shellcheck disable=SC2086 # one word an argument
	timeout -k 5 "$LIMIT" "$BIN/$2" $args 2>&1 </dev/null
	echo "@end $1 $? $(($(date +%s) - began))"
}

# A path that can't be made: missing here, or a mistake
no_path() {
	reason=$(tail -n 1 "$tmp/why")
	echo "@begin $1"
	echo "1..1"
	if [ -z "${MUST:-}" ] && grep -Eq "$MISSING" "$tmp/why"; then
		echo "ok 1 the path # SKIP $reason"
	else
		sed 's/^/# /' "$tmp/why"
		echo "not ok 1 the path can be made"
	fi
	echo "@end $1 0"
}

path_up() {
	ip netns add a && ip netns add b && ip -n a link set lo up &&
		ip -n b link set lo up && "path_$1"
}

# The NICs come back a while after their namespace has gone.
path_down() {
	[ -z "$RELAY" ] || kill "$RELAY"
	RELAY=
	for space in a b c; do ip netns del $space 2>/dev/null; done
	for _ in $(seq 300); do
		[ "$(net_nics | wc -l)" -ge "$nr_nics" ] && return
		sleep 0.1
	done
}

run_path() {
	"$BIN/paths" --names | grep -Fq -- "$TESTS" || matches "$1" || return
	PATH_TCP=$2 PATH_UDP=$3 PATH_UNCHECKED=$4 PATH_TAP=yes
	export PATH_TCP PATH_UDP PATH_UNCHECKED PATH_TAP
	if path_up "$1" 2>"$tmp/why" >&2; then
		run_prog "$1" paths
	else
		no_path "$1"
	fi
	path_down
}

run_all() {
	for prog in $PROGS_SOCKETS; do
		run_prog "$prog" "$prog"
	done
	echo "$PATHS" | while read -r name reports; do
		# shellcheck disable=SC2086 # three of them
		[ -z "$name" ] || run_path "$name" $reports
	done
}

[ "$(id -u)" -eq 0 ] || die "this needs root"
[ -n "${NOTIF_ANY_MACHINE:-}" ] || grep -q virtme /proc/cmdline ||
	die "this is no virtme-ng guest (NOTIF_ANY_MACHINE=1 runs it all the same)"
[ -x "${BIN:-}/paths" ] || die "no programs in BIN=${BIN:-}"
mountpoint -q /sys/kernel/debug ||
	mount -t debugfs none /sys/kernel/debug 2>/dev/null
modprobe -q io_uring_notif || true # a built-in one needs no loading
tmp=$(mktemp -d)
RELAY=''
export RELAY_READY="$tmp/relay"
nr_nics=$(net_nics | wc -l)
ip link set lo up
run_all | awk -f "$here/tap.awk"
