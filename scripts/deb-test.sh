#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run by deb-test.service in a fresh Debian that has booted the package's kernel: the module comes by itself, a program
# sends through slots, and what is shipped to measure with works. Ends the machine; its status goes to a serial line.

fail() {
	echo "error: $*"
	exit 1
}

has_module() {
	grep -q '^io_uring_notif ' /proc/modules
}

look() {
	echo "Linux $(uname -r), $(sed -n 's/^PRETTY_NAME=//p' /etc/os-release), root on $(findmnt -no SOURCE,FSTYPE /)"
	dpkg -S "/boot/vmlinuz-$(uname -r)" >/dev/null || fail "the kernel that runs is of no package; see the console"
	lsmod | grep -q '^virtio_blk ' || fail "the disk's driver did not come from the initramfs; see update-initramfs's lines"
	has_module && fail "io_uring_notif is loaded before a program wants it; see what modules-load.d has"
	"$measure/minimal" || fail "samples/minimal does not send through slots; its last line says why"
	has_module || fail "the module was not loaded as slots were registered; try modprobe io_uring_notif"
	modprobe -r io_uring_notif || fail "modprobe -r io_uring_notif: its references say who uses it"
	modprobe io_uring_notif || fail "modprobe io_uring_notif: depmod and the package's modules.dep"
	for test in notif-register notif-send notif-get-buf; do
		said=$("$measure/$test") || fail "lib/tests/$test: $(grep '^not ok' <<<"$said" | head -n 3)"
		echo "lib/tests/$test: $(grep -c '^ok' <<<"$said") passed"
	done
	SECONDS_EACH=1 "$measure/measure.sh" || fail "measure.sh does not measure; its last line says why"
	systemctl --failed --no-legend | grep . && fail "units of Debian's own failed with this kernel (above)"
	return 0
}

for line in 1 2 3; do
	stty -F /dev/ttyS$line raw 115200
done
measure=/opt/measure
(look) >/dev/ttyS1 2>/dev/ttyS3
echo $? >/dev/ttyS2
systemctl poweroff --force
