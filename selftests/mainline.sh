#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The kernel's own tests of zero-copy send, unchanged, with the module there:
# io_uring_zerocopy_tx.sh and msg_zerocopy.sh of tools/testing/selftests/net.
# The Makefile puts them and their programs into kernel/ beside this file.
#
#	mainline [--names] [-r NAME]...		as the other programs here
#
# They make namespaces and veth pairs of their own. Without arguments
# io_uring_zerocopy_tx.sh also runs mode 1 (SEND_ZC) and 2 (with registered
# buffers) by themselves, which mode 3 mixes with SEND, and both run either
# protocol on either IP version: half a minute each, ten times that in a debug
# kernel. ALL=1 does so here.
set -u

here=$(cd "$(dirname "$0")" && pwd)
PREFIX=contract_11_kernel_

# "name arguments" of what to run
cases() {
	if [ -n "${ALL:-}" ]; then
		echo "io_uring_zerocopy_tx"
		echo "msg_zerocopy"
		return
	fi
	echo "io_uring_zerocopy_tx 4 udp -m 3 -t 1 -n 32"
	echo "io_uring_zerocopy_tx 6 tcp -m 3 -t 1 -n 1"
	echo "msg_zerocopy 6 udp -t 1"
	echo "msg_zerocopy 4 tcp -t 1"
}

# name_of SCRIPT [IP PROTOCOL ...]
name_of() {
	echo "$PREFIX$1${3:+_$3$2}"
}

# The scripts start the receiver and sleep for 0.2 s, which is not enough in a
# slow machine. Wait for it to be bound to its port, 8000: it is their $! then.
# shellcheck disable=SC2317 # they call it
sleep() {
	local tries=200 table line

	while [ $((tries--)) -gt 0 ]; do
		for table in /proc/$!/net/{udp,udp6,tcp,tcp6}; do
			while read -r line; do
				case $line in *:1F40\ *) return ;; esac
			done 2>/dev/null <"$table"
		done
		command sleep 0.05
	done
}
export -f sleep

# run_script SCRIPT [ARGUMENT]...: it does not ask how its receiver ended, whose
# errors, by error(3), start with the name of the program
run_script() {
	local said status

	said=$(timeout -k 5 "${LIMIT:-120}" "./$1.sh" "${@:2}" 2>&1)
	status=$?
	echo "$said"
	[ $status -eq 0 ] && grep -q '^rx=[1-9]' <<<"$said" &&
		! grep -q '^\./[a-z_]*: ' <<<"$said"
}

# run_case NUMBER SCRIPT [ARGUMENT]...
run_case() {
	local name

	name=$(name_of "${@:2}")
	echo "#  RUN           $name ..."
	if ! command -v sysctl >/dev/null; then
		echo "ok $1 $name # SKIP sysctl is not installed"
	elif run_script "${@:2}"; then
		echo "ok $1 $name"
	else
		echo "not ok $1 $name"
		failed=1
	fi
}

names=
while [ $# -gt 0 ]; do
	case $1 in
	--names)
		cases | while read -r args; do
			# shellcheck disable=SC2086 # one word an argument
			name_of $args
		done
		exit
		;;
	-r)
		names="$names $2 "
		shift
		;;
	esac
	shift
done

mapfile -t all < <(cases)
picked=()
for args in "${all[@]}"; do
	# shellcheck disable=SC2086 # one word an argument
	case ${names:- $(name_of $args) } in
	*" $(name_of $args) "*) picked+=("$args") ;;
	esac
done

# In a slow machine the receiver's two seconds are over before the sender is
# through, whose datagrams are refused then. Here it gets RECEIVE seconds.
work=$(mktemp -d) && cd "$work" && ln -s "$here"/kernel/* . || exit
trap 'rm -r "$work"' EXIT
rm msg_zerocopy
cat >msg_zerocopy <<-EOF
	#!/bin/bash
	case " \$* " in *" -r "*) set -- "\$@" -t ${RECEIVE:-6} ;; esac
	exec -a ./msg_zerocopy "$here/kernel/msg_zerocopy" "\$@"
EOF
chmod +x msg_zerocopy

failed=0
echo "TAP version 13"
echo "1..${#picked[@]}"
for i in "${!picked[@]}"; do
	# shellcheck disable=SC2086 # one word an argument
	run_case $((i + 1)) ${picked[i]}
done
exit $failed
