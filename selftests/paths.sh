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

# Each path, and what notifications of TCP and UDP report on it: zc or copied,
# either where that depends on the packet, none where it is for the other one.
PATHS="
veth copied copied
nic zc zc
vlan either either
macvlan either either
macvlan_pair either either
bridge either either
bridge_veth either either
bond either either
bond_broadcast either either
vxlan either either
geneve either either
gre either either
gretap either either
ipip either either
wireguard either either
esp_transport either either
esp_tunnel either either
esp_cbc either either
ipcomp either either
ipip_esp either either
ipip_ipcomp either either
nat either either
dup either either
drop either none
queue either either
mirror either either
fq either either
tap either either
"
PROGS_SOCKETS="protocols sockmap"
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
	for _ in $(seq 100); do
		[ "$(net_nics | wc -l)" -lt "$nr_nics" ] || break
		sleep 0.1
	done
}

run_path() {
	"$BIN/paths" --names | grep -Fq -- "$TESTS" || matches "$1" || return
	PATH_TCP=$2 PATH_UDP=$3 PATH_TAP=yes
	export PATH_TCP PATH_UDP PATH_TAP
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
	echo "$PATHS" | while read -r name tcp udp; do
		[ -z "$name" ] || run_path "$name" "$tcp" "$udp"
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
RELAY=
RELAY_READY=$tmp/relay
export RELAY_READY
nr_nics=$(net_nics | wc -l)
ip link set lo up
run_all | awk -f "$here/tap.awk"
