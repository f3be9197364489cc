# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# More paths of paths.sh: those that encrypt, filter or hold packets. See pathnet.sh.

path_wireguard() {
	path_keys=$(mktemp -d)
	nics && ends_of_type type wireguard || return
	(umask 077 && wg genkey >"$path_keys/a" && wg genkey >"$path_keys/b") || return
	wireguard_peer a b 10.1.0.2 10.2.0.2 && wireguard_peer b a 10.1.0.1 10.2.0.1
}

# wireguard_peer HERE THERE ADDRESS ENDPOINT
wireguard_peer() {
	path_key=$(wg pubkey <"$path_keys/$2") &&
		ip netns exec "$1" wg set p0 listen-port 51820 private-key "$path_keys/$1" \
			peer "$path_key" allowed-ips "$3/32" endpoint "$4:51820"
}

# xfrm PROTO MODE ALGORITHM...: between the addresses 10.$XFRM_NET.0.x, on the NICs
xfrm() {
	path_proto=$1 path_mode=$2 path_level=required
	shift 2
	# what can't be compressed goes, and comes, as it is
	[ "$path_proto" = comp ] && path_level=use
	# shellcheck disable=SC2034 # paths.sh exports it
	[ "$XFRM_NET" = 1 ] && PATH_TAP=no
	path_src=10.$XFRM_NET.0.1 path_dst=10.$XFRM_NET.0.2
	[ "$path_mode" = tunnel ] && path_src=10.2.0.1 path_dst=10.2.0.2
	for path_side in a b; do
		ip -n "$path_side" xfrm state add src "$path_src" dst "$path_dst" \
			proto "$path_proto" spi 7 mode "$path_mode" "$@" &&
			ip -n "$path_side" xfrm state add src "$path_dst" dst "$path_src" \
				proto "$path_proto" spi 8 mode "$path_mode" "$@" || return
	done
	xfrm_policy a out 1 2 "$path_src" "$path_dst" &&
		xfrm_policy b in 1 2 "$path_src" "$path_dst" &&
		xfrm_policy b out 2 1 "$path_dst" "$path_src" &&
		xfrm_policy a in 2 1 "$path_dst" "$path_src"
}

# xfrm_policy NAMESPACE DIRECTION FROM TO SRC DST
xfrm_policy() {
	ip -n "$1" xfrm policy add src "10.$XFRM_NET.0.$3/32" dst "10.$XFRM_NET.0.$4/32" \
		dir "$2" tmpl src "$5" dst "$6" proto "$path_proto" \
		mode "$path_mode" level "$path_level"
}

esp() {
	xfrm esp "$1" aead 'rfc4106(gcm(aes))' 0x0102030405060708090a0b0c0d0e0f1011121314 128
}

path_esp_transport() {
	XFRM_NET=1
	path_nic && esp transport
}

path_esp_tunnel() {
	XFRM_NET=1
	path_nic && esp tunnel
}

path_esp_cbc() {
	XFRM_NET=1
	path_nic && xfrm esp transport auth 'hmac(sha256)' 0x000102030405060708090a0b0c0d0e0f \
		enc 'cbc(aes)' 0x000102030405060708090a0b0c0d0e0f
}

path_ipcomp() {
	XFRM_NET=1
	path_nic && xfrm comp transport comp deflate
}

# Below a tunnel, which doesn't know of it and hands it what wasn't copied
path_ipip_esp() {
	XFRM_NET=2
	path_ipip && esp transport
}

path_ipip_ipcomp() {
	XFRM_NET=2
	path_ipip && xfrm comp transport comp deflate
}

# What leaves has another address, which the answers go to
path_nat() {
	path_nic && ip -n a addr add 10.1.0.3/24 dev "$NIC_A" &&
		rules a "type nat hook postrouting priority 100;
			ip daddr 10.1.0.2 snat to 10.1.0.3;"
}

# What leaves goes to nobody as well
path_dup() {
	path_nic && net_dummy &&
		rules a "type filter hook output priority 0;
			ip daddr 10.1.0.2 dup to 10.3.0.2 device dummy0;"
}

# Of a stream a twentieth is lost before its receiver; a datagram would be for ever
path_drop() {
	path_nic &&
		rules b "type filter hook input priority 0;
			ip protocol tcp meta random < 214748364 drop;"
}

# A program is asked about each packet, and takes its time
path_queue() {
	path_nic &&
		rules a "type filter hook output priority 0; ip daddr 10.1.0.2 queue num 7;" &&
		relay a queue 7
}

# tc copies each packet to a device
path_mirror() {
	path_nic && net_dummy && tc -n a qdisc add dev "$NIC_A" clsact &&
		tc -n a filter add dev "$NIC_A" egress matchall \
			action mirred egress mirror dev dummy0
}

# Each packet has its time
path_fq() {
	path_nic && ip netns exec a sh -c 'echo bbr >/proc/sys/net/ipv4/tcp_congestion_control' &&
		tc -n a qdisc replace dev "$NIC_A" root fq maxrate 80mbit
}

# A program carries the frames from one tap to the other, and back, some late
path_tap() {
	relay a tap b && ends p0 p0
}

# Start a relay in a namespace, which paths.sh ends; go on once it is ready.
relay() {
	rm -f "$RELAY_READY"
	ip netns exec "$1" "$BIN/relay" "$2" "$3" "$RELAY_READY" &
	RELAY=$!
	while [ ! -e "$RELAY_READY" ]; do
		if ! kill -0 "$RELAY" 2>/dev/null; then
			RELAY=
			return 1
		fi
		sleep 0.1
	done
}
