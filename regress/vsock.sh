#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# One of the kernel's vsock tests over loopback, where this machine is its own peer:
#
#	vsock.sh PROGRAM [OPTION]...
#
# The server waits for the client at a TCP port, by which they agree on each step.
set -u

PORT=1234

program=$1
shift

# A listening socket at the port, as /proc/net/tcp writes it
listens() {
	grep -qs ":$(printf %04X $PORT) 0*:0000 0A" /proc/net/tcp /proc/net/tcp6
}

"$program" --mode=server --control-port=$PORT --peer-cid=1 "$@" &
server=$!
tries=200
until listens || [ $((tries--)) -eq 0 ]; do
	kill -0 $server 2>/dev/null || break
	sleep 0.1
done

"$program" --mode=client --control-host=127.0.0.1 --control-port=$PORT --peer-cid=1 "$@"
client=$?
[ $client -eq 0 ] || kill $server 2>/dev/null
wait $server && exit $client
