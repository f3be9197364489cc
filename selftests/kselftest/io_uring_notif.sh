#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Every program of this folder. They make network namespaces, and load and unload
# the module: not for a machine that is in use.
#
#	[TESTS=<part of a name>] io_uring_notif.sh
here=$(cd "$(dirname "$0")" && pwd)

if [ "$(id -u)" -ne 0 ]; then
	echo "1..0 # SKIP this needs root"
	exit 4
fi
# mainline runs tests of ../net, for who builds this folder alone
export BIN="${BIN:-$here}" NOTIF_ANY_MACHINE=1 WITHOUT=mainline
exec "$here/run.sh"
