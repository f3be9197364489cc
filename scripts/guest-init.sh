#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0
# The VM's first process, before virtme-ng's own init, which is notif_init of the
# kernel's command line. In busybox: under emulation every other program costs seconds.

box=/bin/busybox

# udev and systemd-tmpfiles would take half of the boot, for nothing that is
# needed here; and without udev the NICs are eth0 and eth1 on every machine
for program in /usr/bin/udevadm /bin/udevadm /usr/bin/systemd-tmpfiles /bin/systemd-tmpfiles; do
	[ -f $program ] && $box mount -o bind /bin/true $program
done

# Naming the virtio ports is what virtme-ng's init wants of udev. They come up
# one by one; virtme.ret is the last
$box mount -t sysfs sysfs /sys
$box mkdir -p /dev/virtio-ports
tries=0
while [ ! -e /dev/virtio-ports/virtme.ret ] && [ $tries -lt 100 ]; do
	[ $tries = 0 ] || $box sleep 0.1
	tries=$((tries + 1))
	for port in /sys/class/virtio-ports/*; do
		[ -r "$port/name" ] && read -r name <"$port/name" &&
			[ ! -e "/dev/virtio-ports/$name" ] &&
			$box ln -s "../${port##*/}" "/dev/virtio-ports/$name"
	done
done
$box umount /sys

# shellcheck disable=SC2154
exec "$notif_init"
