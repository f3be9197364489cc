#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Run the selftests, and show what KUnit said of the module, as one stream of
# TAP. As root in the virtual machine: it sets up a network and loads and
# unloads the module.
#
#	BIN=<folder of the built programs> [TESTS=<part of a name>] [PART=1|2|device]
#	[KO=<module file, to insmod instead of modprobe>] [WITHOUT=<programs>] run.sh
#
# TESTS picks the programs, and of the others the tests, whose name it is part
# of; PART one of two halves that take about as long in a debug kernel, or the
# programs that want a vsock device. Exit status: 0 when nothing failed.
set -u

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=/dev/null
. "$here/net.sh"

MODULE=io_uring_notif
VSOCK_MODULE=vsock_map_rx
# shellcheck source=/dev/null
. "$here/programs.sh"
# seconds that a program may take in all, each of its tests has its own limit
LIMIT=${LIMIT:-1200}
TESTS=${TESTS:-}
PART=${PART:-}

die() {
	echo "Bail out! $*"
	exit 1
}

# matches NAME: does TESTS pick it?
matches() {
	case $1 in *"$TESTS"*) return 0 ;; esac
	return 1
}

# pick PROGRAM FILE: the arguments that make it run what TESTS picks; 1: nothing.
pick() {
	matches "$1" && return
	picked=$("$2" --names | grep -F -- "$TESTS" | sed 's/^/-r /')
	[ -n "$picked" ] && echo "$picked"
}

# run_prog PROGRAM [FILE]: between two lines for tap.awk, which numbers its tests.
run_prog() {
	file=${2:-$BIN/$1}
	if [ ! -x "$file" ]; then
		printf '@begin %s\n@end %s 127\n' "$1" "$1"
		return
	fi
	args=$(pick "$1" "$file") || return
	echo "@begin $1"
	began=$(date +%s)
	# shellcheck disable=SC2086 # one word an argument
	timeout -k 5 "$LIMIT" "$file" $args 2>&1 </dev/null
	echo "@end $1 $? $(($(date +%s) - began))"
}

# run_prog_32 PROGRAM: of 32 bits, where there are and can be such programs.
run_prog_32() {
	why="the kernel runs no programs of 32 bits"
	[ -x "$BIN/abi32/$1" ] || why="no C library of 32 bits (gcc-multilib)"
	if "$BIN/abi32/$1" --names >/dev/null 2>&1; then
		run_prog "${1}32" "$BIN/abi32/$1"
	elif matches "${1}32"; then
		printf '@begin %s\n1..1\nok 1 all # SKIP %s\n@end %s 0\n' \
			"${1}32" "$why" "${1}32"
	fi
}

# The tests for which the module must not be there, and must not come.
without_module() {
	loader=/proc/sys/kernel/modprobe
	was=$(cat "$loader")
	rmmod "$MODULE" 2>/dev/null
	echo /bin/false >"$loader"
	run_prog nomodule
	run_prog query
	rmmod "$VSOCK_MODULE" 2>/dev/null
	run_prog vsocknone
	modprobe -q "$VSOCK_MODULE"
	run_prog vsockalone
	echo "$was" >"$loader"
}

insert_module() {
	if [ -n "${KO:-}" ]; then
		insmod "$KO"
	else
		modprobe "$MODULE"
	fi
}

# Load the module; one that is built in cannot be loaded, but works.
load_module() {
	reason=$(insert_module 2>&1) && return
	"$BIN/register" -r reg.plain.contract_10_register_unregister \
		>/dev/null 2>&1 && return
	printf '@begin module\n1..1\nnot ok 1 load # %s\n@end module 1\n' "$reason"
	return 1
}

# Is there somebody to read what KUnit says?
wants_kunit() {
	[ "$PART" != 2 ] && matches kunit
}

# The results of KUnit suites that came with the modules.
kunit() {
	echo "@kunit"
	for results in /sys/kernel/debug/kunit/*/results; do
		[ -e "$results" ] || continue
		suite=$(basename "$(dirname "$results")")
		case $suite in
		*notif* | *vsock*) ;;
		*) grep -q "# module: $MODULE\$" "$results" || continue ;;
		esac
		echo "@suite $suite"
		cat "$results"
	done
	echo "@end kunit 0"
}

run_all() {
	if [ "$PART" = device ]; then
		for prog in $PROGS_DEVICE; do
			run_prog "$prog"
		done
		return
	fi
	# each time that a module is loaded they would take seconds in a debug kernel
	wants_kunit || { echo none >/sys/module/kunit/parameters/filter_glob; } 2>/dev/null
	[ "$PART" = 2 ] || without_module
	load_module || return
	case $PART in
	1) progs=$PROGS_1 ;;
	2) progs=$PROGS_2 ;;
	*) progs="$PROGS_1 $PROGS_2" ;;
	esac
	for prog in $progs; do
		case " ${WITHOUT:-} " in *" $prog "*) continue ;; esac
		run_prog "$prog"
	done
	[ "$PART" = 1 ] || for prog in $PROGS_ABI32; do
		run_prog_32 "$prog"
	done
	! wants_kunit || kunit
}

[ "$(id -u)" -eq 0 ] || die "this needs root"
[ -n "${NOTIF_ANY_MACHINE:-}" ] || grep -q virtme /proc/cmdline ||
	die "this is no virtme-ng guest (NOTIF_ANY_MACHINE=1 runs it all the same)"
[ -n "${BIN:-}" ] || die "BIN is not set"
mountpoint -q /sys/kernel/debug ||
	mount -t debugfs none /sys/kernel/debug 2>/dev/null
net_up 1500 || die "no network for the tests"
run_all | awk -f "$here/tap.awk"
