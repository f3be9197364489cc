#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# How fast this machine sends, with slots and without: requests per second, the time of a batch, CPU. As root:
#
#	[SECONDS_EACH=5] measure.sh [NIC]
#
# Without NIC datagrams end in a dummy device, and a TCP stream in its receiver over veth: what it costs the CPU, no
# device. NIC is a spare one that has a link: its datagrams go out, to a MAC address that nobody has, so that a switch
# sends them everywhere: best is a cable to another machine. It is given back at the end. Figures of a kernel without
# slots are of use too: what that lacks is left out.
#
# Beside this are client (make -C bench) and net.sh.

here=$(cd "$(dirname "$0")" && pwd)
seconds=${SECONDS_EACH:-5}
nic=${1-}
driver=
# shellcheck source=/dev/null
. "$here/net.sh"

die() {
	echo "error: $*" >&2
	exit 1
}

give_back() {
	[ -z "$driver" ] || ip -n a link set dummy0 netns 1 name "$nic"
	ip netns del a
	ip netns del b
}

take_nic() {
	if [ -z "$nic" ]; then
		net_dummy
		return
	fi
	driver=$(readlink "/sys/class/net/$nic/device/driver")
	ip link set "$nic" down && ip link set "$nic" netns a name dummy0 && net_nobody || return
	for ((tries = 100; tries; tries--)); do
		net_carrier a dummy0 && return
		sleep 0.1
	done
	echo "$nic has no link" >&2
	return 1
}

# Rows of bench/row.c: a way, the protocol, bytes of a request, requests of a batch, and how
rows() {
	if [ -n "$nic" ]; then
		# One after the other, and trains which the NIC cuts up (UDP_SEGMENT)
		ways udp4 1400 128 ""
		ways udp4 64400 16 gso:1400
	else
		for bytes in 1400 4000 65435; do
			ways udp4 $bytes 128 ""
			echo "slot registered batch 0 udp4 $bytes 128 plain 1 many:128"
		done
		ways tcp4 65536 8 ""
	fi
}

ways() {
	for way in "send plain - 0" "msg_zerocopy plain - 0" "io_send plain - 0" "send_zc plain - 0" \
		"send_zc registered - 0" "slot plain batch 0" "slot registered batch 0" "slot registered every 0"; do
		echo "$way $1 $2 $3 plain 1 $4"
	done
	echo "slot registered after:1 0 $1 $2 $3 plain 1 merge${4:+,$4}"
}

# A line of the client, for people
show() {
	awk -v row="$1" '
	$1 == "missing" { sub(/.*: /, ""); print "# " row ": this kernel has no " $0; next }
	$1 != "time" { print; wrong = 1; next }
	{
		for (i = NF - 4; i <= NF; i++) { split($i, part, "="); of[part[1]] = part[2] }
		printf "%-60s %11.0f %10.1f %10.1f %10.2f\n", row, of["requests"] * 1e9 / of["ns"],
			of["p50"] / 1e3, of["p99"] / 1e3, of["cpu"] / of["requests"] / 1e3
	}
	END { exit wrong || !NR }'
}

[ "$(id -u)" = 0 ] || die "measure.sh makes network namespaces; run it as root"
[ -x "$here/client" ] || die "no program client beside measure.sh; take all of the folder that make deb makes"
[ -e /run/netns/a ] || [ -e /run/netns/b ] &&
	die "network namespaces a and b are there, of somebody else or of a run that was killed; ip netns del a; ip netns del b"
if [ -n "$nic" ]; then
	[ -e "/sys/class/net/$nic/device" ] || die "$nic is no NIC of this machine; ip link lists them"
	[ -z "$(ip -o -4 addr show dev "$nic")" ] || die "$nic has an address, so it is in use; give a spare NIC"
fi
{ ip netns add a && ip netns add b; } || die "ip netns add failed; install iproute2, and a kernel with CONFIG_NET_NS"
trap give_back EXIT
ip -n a link set lo up
ip -n b link set lo up
net_veth || die "no pair of veth devices; the kernel wants CONFIG_VETH"
take_nic || die "no device to send to; the kernel wants CONFIG_DUMMY, or NIC=${nic:-none} a cable"
ip netns exec a sh -c 'echo 16777216 >/proc/sys/net/core/optmem_max'

echo "# Linux $(uname -r), $(nproc) CPUs, $(sed -n 's/^model name\t*: //p' /proc/cpuinfo | head -n 1)"
echo "# $(systemd-detect-virt 2>/dev/null || echo unknown) (virtualization), to ${nic:-a dummy device, TCP over veth} ${driver##*/}"
printf '%-60s %11s %10s %10s %10s\n' "# way, protocol, bytes, batch" requests/s "p50 us" "p99 us" "CPU us"
echo "# p50 and p99 are of a batch, with its notifications; CPU is of all CPUs, a request"
rows | while read -r row; do
	"$here/client" --time "$seconds" "$row" 2>&1 | show "${row/ plain 1/}" || die "the row \"$row\", see above"
done
