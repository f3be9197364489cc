#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Run in a VM what was built on the host: the tests of lib/ that need slots, the samples, and the crate's tests and
# examples. Prints TAP.
#
#	BIN=<OUT of make -C lib> SAMPLES=<OUT of make -C samples> [CRATE=<cargo's target folder>/debug]
#	[WHY=<why there is none>] run.sh
set -u

nr=0
failed=0

die() {
	echo "Bail out! $*"
	exit 1
}

# try NAME COMMAND..: one test; what it prints is a comment.
try() {
	name=$1
	shift
	nr=$((nr + 1))
	said=$(timeout -k 5 120 "$@" 2>&1 </dev/null)
	status=$?
	printf '%s\n' "$said" | sed 's/^/# /'
	if [ "$status" -eq 0 ]; then
		echo "ok $nr $name"
	else
		failed=$((failed + 1))
		echo "not ok $nr $name # status $status"
	fi
}

skip() {
	nr=$((nr + 1))
	echo "ok $nr $1 # SKIP $2"
}

# Who receives what udp_blast sends
receiver() {
	python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 4000))
while True:
    s.recv(2048)' &
	receiver=$!
	until grep -q ":0FA0 " /proc/net/udp; do sleep 0.1; done
}

[ -x "${BIN:-}/notif-send" ] || die "no programs in BIN=${BIN:-}: make -C lib OUT=folder"
[ -x "${SAMPLES:-}/minimal" ] || die "no programs in SAMPLES=${SAMPLES:-}: make -C samples OUT=folder"
cd /tmp || die "no /tmp"
# On a kernel without slots they would skip all of it.
"$BIN/notif-send" | grep '^1\.\.0' && die "no slots in this kernel"
for name in notif-register notif-send notif-get-buf; do
	try "lib/tests/$name" "$BIN/$name"
done
try "samples/minimal" "$SAMPLES/minimal"
try "samples/merge" "$SAMPLES/merge"
try "samples/pool" "$BIN/pool" 1000
receiver
try "samples/udp_blast" "$SAMPLES/udp_blast" 127.0.0.1 4000 2
kill "$receiver"
if [ -n "${CRATE:-}" ]; then
	# the newest, as cargo keeps older ones
	test=$(find "$CRATE/deps" -name 'kernel-*' -perm -100 -type f -exec ls -t {} + | head -n 1)
	[ -n "$test" ] || die "no tests in CRATE=$CRATE: cargo build --tests --examples"
	try "crates/io-uring-notif: tests" env NOTIF_REQUIRED=1 "$test"
	try "crates/io-uring-notif: blocking" "$CRATE/examples/blocking"
	try "crates/io-uring-notif: with_tokio" "$CRATE/examples/with_tokio"
else
	skip "crates/io-uring-notif" "${WHY:-CRATE= is not set}"
fi
echo "1..$nr"
[ "$failed" -eq 0 ]
