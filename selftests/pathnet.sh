# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# The paths of paths.sh, to be sourced after net.sh. Each path_NAME puts something
# between the namespaces a and b, and gives its ends the addresses of net.sh's veth
# pair: 10.1.0.1 and 10.1.0.2, which is where the tests send.
#
#	a	p0	10.1.0.1  <-->	10.1.0.2	p0	b
#		e1000e	10.2.0.1  <-->	10.2.0.2	e1000e		below most of them
#		dummy0	10.3.0.1			what goes there is gone
#
# On failure a path's last line on stderr says why.

# The devices' addresses in both namespaces.
ends() {
	net_addr a "$1" 1 1 && net_addr b "$2" 1 2
}

# A device of the same name in both: ends_of_type TYPE OPTIONS..., where @A and @B
# stand for this end and the other one.
ends_of_type() {
	for path_side in "a 1 2" "b 2 1"; do
		# shellcheck disable=SC2086 # the three of them
		set -- $path_side "$@"
		path_in=$1 path_a=10.2.0.$2 path_b=10.2.0.$3
		shift 3
		# shellcheck disable=SC2046 # one word an option
		ip -n "$path_in" link add p0 $(echo "$@" |
			sed "s/@A/$path_a/; s/@B/$path_b/") || return
	done
	ends p0 p0
}

# The NICs, and their names: NIC_A and NIC_B.
nics() {
	# shellcheck disable=SC2046 # one word a NIC
	set -- $(net_nics)
	if [ $# -lt 2 ]; then
		echo "no two e1000e NICs here, not found" >&2
		return 1
	fi
	NIC_A=$1 NIC_B=$2
	net_nic_pair 1500
}

# Both NICs as ports of a device TYPE OPTIONS...
nics_in() {
	nics && ip -n a link add p0 type "$@" && ip -n b link add p0 type "$@" || return
	for path_nic in "a $NIC_A" "b $NIC_B"; do
		# shellcheck disable=SC2086 # a bond takes no port that is up
		set -- $path_nic
		ip -n "$1" link set "$2" down && ip -n "$1" link set "$2" master p0 &&
			ip -n "$1" link set p0 up && ip -n "$1" link set "$2" up || return
	done
	net_wait_nics "$NIC_A" "$NIC_B" && ends p0 p0
}

# An nft ruleset in a namespace.
rules() {
	ip netns exec "$1" nft -f - <<-END
		table ip t {
			chain c { $2 }
		}
	END
}

path_veth() {
	net_veth
}

path_nic() {
	nics && ends "$NIC_A" "$NIC_B"
}

path_vlan() {
	nics && ip -n a link add p0 link "$NIC_A" type vlan id 7 &&
		ip -n b link add p0 link "$NIC_B" type vlan id 7 && ends p0 p0
}

path_macvlan() {
	nics && ip -n a link add p0 link "$NIC_A" type macvlan mode private &&
		ip -n b link add p0 link "$NIC_B" type macvlan mode private && ends p0 p0
}

# From one macvlan to another one of the same device
path_macvlan_pair() {
	net_dummy && for path_side in a b; do
		ip -n a link add "p$path_side" link dummy0 type macvlan mode bridge &&
			ip -n a link set "p$path_side" netns "$path_side" mtu 1500 || return
	done
	ends pa pb
}

path_bridge() {
	nics_in bridge
}

# Two veth pairs on a bridge between them
path_bridge_veth() {
	ip netns add c && ip -n c link add p0 type bridge && ip -n c link set p0 up || return
	for path_side in a b; do
		ip link add p0 netns "$path_side" type veth peer name "$path_side" netns c &&
			ip -n c link set dev "$path_side" master p0 up || return
	done
	ends p0 p0
}

path_bond() {
	nics_in bond mode active-backup miimon 100
}

# What is sent goes through two veth pairs, the receiver takes one of both
path_bond_broadcast() {
	ip -n a link add p0 type bond mode broadcast &&
		ip -n b link add p0 type bond mode active-backup || return
	for path_pair in 1 2; do
		ip link add "v$path_pair" netns a type veth \
			peer name "v$path_pair" netns b || return
		for path_side in a b; do
			ip -n "$path_side" link set "v$path_pair" master p0 &&
				ip -n "$path_side" link set "v$path_pair" up || return
		done
	done
	ends p0 p0
}

path_vxlan() {
	nics && ends_of_type type vxlan id 7 dstport 4789 local @A remote @B
}

path_geneve() {
	nics && ends_of_type type geneve id 7 remote @B
}

path_gre() {
	nics && ends_of_type type gre local @A remote @B
}

path_gretap() {
	nics && ends_of_type type gretap local @A remote @B
}

path_ipip() {
	nics && ends_of_type type ipip local @A remote @B
}
