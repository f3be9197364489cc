#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR MIT
"""vsock_rx_check.py PROGRAM: samples/vsock_rx over loopback, reading and mapping, in sizes of all kinds. Prints TAP."""

import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sample_check import Checks, Wrong, eventually, need

REFS = Path("/sys/module/vsock_map_rx/refcnt")
PORT = 4711
MB = 8
# --rx, --tx
SIZES = ((8, 8), (64, 64), (511, 512), (1, 3), (16, 1))


def transfer(program: str, zerocopy: bool, rx: int, tx: int) -> str:
    """One transfer; what the client says."""
    server = subprocess.Popen([program, "--mode", "server", "--mb", str(MB), "--tx", str(tx), "--port", str(PORT)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert server.stderr
    # it listens
    server.stderr.readline()
    try:
        client = subprocess.run([program, "--mode", "client", "--rx", str(rx), "--port", str(PORT),
                                 *(["--zerocopy"] if zerocopy else [])],
                                capture_output=True, text=True, timeout=120, check=False)
        need(client.returncode == 0, f"the client: {client.stderr}")
        said, wrong = server.communicate(timeout=120)
        need(server.returncode == 0, f"the server: {wrong}")
    finally:
        server.kill()
    need("verified" in client.stdout, client.stdout)
    sums = re.findall(r"checksum (\w+)", said + client.stdout)
    need(len(sums) == 2 and sums[0] == sums[1], f"checksums {sums}")
    return client.stdout.strip()


def reads(program: str) -> str:
    """By read()."""
    return "\n".join(transfer(program, False, rx, tx) for rx, tx in SIZES)


def maps(program: str) -> str:
    """By mapping; writes of whole pages are hardly copied, and those of one page neither."""
    said = []
    for rx, tx in SIZES:
        line = transfer(program, True, rx, tx)
        found = re.search(r"(\d+) bytes mapped, (\d+) copied", line)
        if not found or int(found[1]) < MB << 19:
            raise Wrong(f"hardly anything is mapped with --rx {rx} --tx {tx}: {line}")
        said.append(line)
    return "\n".join(said)


def advice(program: str) -> str:
    """Errors say what to do."""
    said = []
    for options, wanted in ((["--mode", "client", "--port", "1"], "start the server"), ([], "--mode"),
                            (["--mode", "client", "--rx", "512"], "from 1 to 511")):
        done = subprocess.run([program, *options], capture_output=True, text=True, timeout=60, check=False)
        need(done.returncode == 1 and wanted in done.stderr, f"{options}: {done.stderr}")
        said.append(done.stderr.strip())
    return "\n".join(said)


def free(_program: str) -> None:
    """Nothing keeps the module."""
    if REFS.exists():
        eventually(lambda: int(REFS.read_text(encoding="ascii")) == 0, f"the module is held {REFS.read_text()}times")


def main() -> int:
    """All of it."""
    checks = Checks("vsock_rx")
    todo: tuple[Callable[[str], str | None], ...] = (reads, maps, advice, free)
    for check in todo:
        checks.run((check.__doc__ or "").split(";")[0].rstrip("."), partial(check, sys.argv[1]))
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
