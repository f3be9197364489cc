#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Stress for a long time in one boot, and after each of its rounds a look at what
# the kernel has in use. As root in the virtual machine.
#
#	BIN=<folder of the built program> soak.sh --minutes N --seed N
#
# Prints TAP, and for each look a line "# soak: seconds=60 refs=0 kmalloc-64=7421 ..."
# of which scripts/soak.py judges whether anything grows. Short of time there are
# rounds for LEAST looks all the same. Exit status: 0 when no round failed.
set -u

here=$(cd "$(dirname "$0")" && pwd)
minutes=60
seed=1
while [ $# -gt 1 ]; do
	case $1 in
	--minutes) minutes=$2 ;;
	--seed) seed=$2 ;;
	esac
	shift 2
done

# Seconds of a round, which takes as long again to end; of a short soak they are shorter
RUN=30
[ "$minutes" -ge 10 ] || RUN=15
# As in scripts/soak.py
LEAST=8
# What the module, io_uring and the network allocate from, and what tasks are made of
CACHES='^(kmalloc-(cg-)?[0-9]+k?|io_[a-z_]+|skbuff_[a-z_]+|TCP|TCPv6|UDP|UDPv6|sock_inode_cache|filp|task_struct|signal_cache|sighand_cache|mm_struct|pid|cred)$'

# number_in FILE KEY: what stands behind KEY, 0 without.
number_in() {
	awk -v key="$2" '$1 == key { n = $2 } END { print n + 0 }' "$1"
}

# What is freed after a grace period, or by a kworker, takes its time. KASAN keeps
# what is free for a while, until its cache is asked to shrink.
calm_down() {
	sleep 2
	for cache in $caches; do
		echo 1 >"/sys/kernel/slab/$cache/shrink"
	done 2>/dev/null
	echo 1 >/proc/sys/vm/stat_refresh
}

sample() {
	calm_down
	refs=$(cat /sys/module/io_uring_notif/refcnt 2>/dev/null || echo 0)
	pins=$(($(number_in /proc/vmstat nr_foll_pin_acquired) -
		$(number_in /proc/vmstat nr_foll_pin_released)))
	printf '# soak: seconds=%d refs=%d pins=%d mlocked_kb=%d' \
		$(($(date +%s) - began)) "$refs" "$pins" \
		"$(number_in /proc/meminfo Mlocked:)"
	for what in SUnreclaim VmallocUsed Percpu KernelStack; do
		printf ' %s_kb=%d' "$what" "$(number_in /proc/meminfo "$what:")"
	done
	awk -v caches="$CACHES" '$1 ~ caches { printf " %s=%d", $1, $2 }
				 END { print "" }' /proc/slabinfo
}

# Results come as they are; plans are added up, as there is one for each run.
results() {
	awk '!/^(TAP version|1\.\.)/ { print; fflush() }'
}

[ -r /proc/slabinfo ] || {
	echo "Bail out! this kernel has no /proc/slabinfo (CONFIG_SLUB_DEBUG)"
	exit 1
}
caches=$(awk -v caches="$CACHES" '$1 ~ caches { print $1 }' /proc/slabinfo)
tally=$(mktemp)
began=$(date +%s)
failed=0
looks=0
echo "TAP version 13"
while [ $(($(date +%s) - began)) -lt $((minutes * 60)) ] || [ "$looks" -lt "$LEAST" ]; do
	"$here/run.sh" --seconds "$RUN" --seed "$seed" 2>&1 | tee -a "$tally" | results
	grep -Eq '^(not ok|Bail out)' "$tally" && failed=1
	sample
	looks=$((looks + 1))
	[ "$failed" = 0 ] || break
	seed=$((seed + 1))
done
echo "1..$(grep -Ec '^(not )?ok ' "$tally")"
exit "$failed"
