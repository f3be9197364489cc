#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR MIT
"""relay_run.py PROGRAM FILE: one file through samples/relay in each way, and what each costs; for run.sh.

Runs in namespace a: from here over the e1000e pair to the relay in namespace b, and back.
"""

import hashlib
import mmap
import re
import socket
import sys

from relay_check import RELAY, TARGET, WAYS, at_once, receive
from sample_check import Program, Wrong, need

HERE, THERE = "10.2.0.1", "10.2.0.2"
LEGEND = """
One connection over the NICs; the relay takes up to 65536 bytes at a time. copy: RECV into a buffer, SEND. splice:
IORING_OP_SPLICE into a pipe and out of it. get_buf: IORING_OP_GET_BUF into a buffer of the kernel's, SEND_ZC from it through
a slot. CPU is the relay's, with its workers and the packets that are handled while it runs; in an emulated machine it is no
benchmark."""


def relayed(program: str, way: str, data: mmap.mmap, digest: str) -> tuple[str, float]:
    """What became of it at the far end, and the relay's CPU time in us for each MiB."""
    with Program("ip", "netns", "exec", "b", program, "--way", way, str(RELAY), HERE, str(TARGET)) as relay, \
            socket.create_server((HERE, TARGET)) as listener, socket.create_connection((THERE, RELAY), 20) as source:
        far, _ = listener.accept()

        def send() -> None:
            source.sendall(data)
            source.shutdown(socket.SHUT_WR)

        with far:
            _, got = at_once(send, lambda: receive(far))
        source.recv(1)
        relay.rests()
    found = re.search(r"(\d+) us of CPU", relay.said)
    need(found is not None, f"the relay says {relay.said!r}")
    assert found is not None
    return "verified" if got == (len(data), digest) else "DIFFERS", int(found.group(1)) / (len(data) / (1 << 20))


def main() -> int:
    """The table."""
    program, path = sys.argv[1:]
    failed = False
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        digest = hashlib.sha256(data).hexdigest()
        print(f"\n{'':<5} {'':<8} {'':>12}  {'SHA-256':<9} {'CPU us':>9}\n"
              f"{'relay':<5} {'way':<8} {'bytes':>12}  {'far end':<9} {'per MiB':>9}")
        for way in WAYS:
            try:
                said, cost = relayed(program, way, data, digest)
                print(f"{'tcp':<5} {way:<8} {len(data):>12}  {said:<9} {cost:>9.1f}", flush=True)
                failed |= said != "verified"
            except (Wrong, OSError) as error:
                print(f"{'tcp':<5} {way:<8} FAILED: {error}", flush=True)
                failed = True
    print(LEGEND)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
