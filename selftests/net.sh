# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# The network of the tests and of samples/run.sh, to be sourced by a root shell.
#
#	namespace a			namespace b
#	va	10.1.0.1 fd01::1  <-->	vb	10.1.0.2 fd01::2	veth pair
#	e1000e	10.2.0.1 fd02::1  <-->	e1000e	10.2.0.2 fd02::2	if there are two
#	dummy0	10.3.0.1 fd03::1  --> 	(nobody, but a neighbour entry for 10.3.0.2)
#
# net_up [MTU of the e1000e pair]; a second call finds everything there.

# The names of the first two e1000e NICs of this namespace.
net_nics() {
	for net_dev in /sys/class/net/*; do
		net_driver=$(readlink "$net_dev/device/driver") || continue
		[ "${net_driver##*/}" = e1000e ] && echo "${net_dev##*/}"
	done | head -n 2
}

# net_addr NAMESPACE DEVICE LINK HOST: give a device its addresses.
net_addr() {
	ip -n "$1" addr add "10.$3.0.$4/24" dev "$2"
	# the hub has nobody else who could have it: no waiting for an answer
	ip -n "$1" addr add "fd0$3::$4/64" dev "$2" nodad
	ip -n "$1" link set "$2" up
}

net_veth() {
	ip link add va netns a type veth peer name vb netns b
	net_addr a va 1 1
	net_addr b vb 1 2
}

net_dummy() {
	ip -n a link add dummy0 mtu 65535 type dummy && net_nobody
}

# Somebody to send to behind dummy0, whatever that is
net_nobody() {
	net_addr a dummy0 3 1
	ip -n a neigh add 10.3.0.2 lladdr 02:00:00:00:00:02 dev dummy0
	ip -n a neigh add fd03::2 lladdr 02:00:00:00:00:02 dev dummy0
}

net_nic_pair() {
	# shellcheck disable=SC2046 # one word a NIC
	set -- "$1" $(net_nics)
	[ $# -eq 3 ] || return 0
	ip link set "$2" netns a mtu "$1"
	ip link set "$3" netns b mtu "$1"
	net_addr a "$2" 2 1
	net_addr b "$3" 2 2
	net_wait_nics "$2" "$3"
}

# The link comes up by an interrupt, some time after "up".
net_wait_nics() {
	net_tries=100
	while ! net_carrier a "$1" || ! net_carrier b "$2"; do
		net_tries=$((net_tries - 1))
		if [ "$net_tries" -eq 0 ]; then
			echo "net.sh: the e1000e pair has no link" >&2
			return 1
		fi
		sleep 0.1
	done
}

net_carrier() {
	ip -n "$1" -o link show dev "$2" | grep -q LOWER_UP
}

net_up() {
	ip link set lo up
	[ -e /run/netns/a ] && return
	ip netns add a && ip netns add b || return
	ip -n a link set lo up
	ip -n b link set lo up
	net_veth && net_dummy && net_nic_pair "${1:-1500}"
}
