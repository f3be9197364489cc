#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0
# The first process of an arm64 guest, whose own files are an initramfs: show it the
# host's under the same paths, run guest.sh, report its status. The kernel's command
# line, scripts/arm64.py, has the notif_... that are variables here.
# shellcheck disable=SC2154

export PATH=/usr/sbin:/usr/bin:/sbin:/bin
# selftests/run.sh wants to be told that this is no machine of anybody's
export NOTIF_ANY_MACHINE=1
box=/bin/busybox
# What the packages do not have, as links; the others stay
$box --install -s 2>/dev/null

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
for folder in /dev/shm /run /tmp; do
	mount -t tmpfs -o mode=1777 tmpfs $folder
done
mount -t debugfs debugfs /sys/kernel/debug
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ln -s fd/1 /dev/stdout
ln -s fd/2 /dev/stderr

# share FOLDER: let it be here what it is on the host, if it is not that already
share() {
	[ -e "$1" ] && return
	mkdir -p "$1" && mount -o bind "/host$1" "$1"
}

mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,access=any,msize=524288 host /host
for folder in /host/*; do
	case $folder in
	/host/lib* | /host/lost+found) ;;
	*) [ ! -d "$folder" ] || share "${folder#/host}" ;;
	esac
done
share "$notif_project"
share "$notif_cache"
if [ -n "$notif_modules" ]; then
	mkdir -p /lib/modules
	ln -s "$notif_modules" /lib/modules/
fi

# port NAME: its device
port() {
	for found in /sys/class/virtio-ports/*; do
		[ "$(cat "$found/name")" = "notif.$1" ] && echo "/dev/${found##*/}"
	done
}

# They come up one by one
while [ -z "$(port status)" ] || [ -z "$(port stdout)" ] || [ -z "$(port stderr)" ]; do
	sleep 0.1
done
status=$(port status)
/bin/bash "$notif_project/scripts/guest.sh" "$notif_run" >"$(port stdout)" 2>"$(port stderr)"
echo $? >"$status"
poweroff -f
