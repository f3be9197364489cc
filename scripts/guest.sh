#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What runs in the VM, as root: load the module, run the command, look for leaks.
# $1: the folder of this run on the host, with `settings` (shell assignments).
# Exit: the command's own status, 97 when the module does not load.

run=$1
HERE="" MODULE="" COMMAND="" TERMINAL="" ROWS="" COLUMNS_="" LEAKS=""
# shellcheck source=/dev/null
. "$run/settings"

kmemleak=/sys/kernel/debug/kmemleak

if [ -n "$MODULE" ]; then
	if ! said=$(modprobe "$MODULE" 2>&1); then
		echo "$said" >&2
		dmesg 2>/dev/null | tail -n 5 >&2
		exit 97
	fi
fi

if ! cd "$HERE"; then
	echo "the VM does not see $HERE: the host's /run, /dev and /proc are not shared" >&2
	exit 98
fi

if [ -n "$TERMINAL" ]; then
	stty rows "$ROWS" cols "$COLUMNS_" <"/dev/$TERMINAL" 2>/dev/null
	setsid -c bash -i <"/dev/$TERMINAL" >"/dev/$TERMINAL" 2>&1
	exit 0
fi

[ -n "$LEAKS" ] && [ -w $kmemleak ] && echo clear >$kmemleak

# A process that outlives the command must not hold its output open: the VM ends with the command
bash -c "$COMMAND" </dev/null
status=$?

if [ -n "$LEAKS" ] && [ -w $kmemleak ]; then
	# An object is reported once it is five seconds old and two scans found nothing pointing to it
	echo scan >$kmemleak
	if [ -s $kmemleak ]; then
		sleep 1
	fi
	sleep 6
	echo scan >$kmemleak
	cat $kmemleak >/dev/console
fi
exit $status
