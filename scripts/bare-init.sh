#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0
# The first process of bare.py's guest: load the modules, run /command, say how that ended.
# Status: the command's own, 97 when the module does not load.

/bin/busybox --install -s /bin
# busybox's takes its own ip for iproute2's
/bin/busybox ln -sf bash /bin/sh
export PATH=/sbin:/bin HOME=/
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp

for line in 1 2 3; do
	stty -F /dev/ttyS$line raw 115200
done
exec >/dev/ttyS1 2>/dev/ttyS3

status=0
for module in /modules/*.ko; do
	[ ! -f "$module" ] || insmod "$module" || status=97
done
if [ $status = 0 ]; then
	bash /command </dev/null
	status=$?
fi
echo $status >/dev/ttyS2
# As their last user closes them, serial lines wait until all is sent
exec >/dev/console 2>&1
reboot -f
