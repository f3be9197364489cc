#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR MIT
"""relay_check.py PROGRAM [MIB]: samples/relay between A and B of this process, in all three ways. Prints TAP.

Needs a network namespace of its own, as root: what is on loopback is delayed and lost.
"""

import hashlib
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sample_check import PATIENCE, Checks, Program, Wrong, module_is_free, need

WAYS = ("copy", "splice", "get_buf")
RELAY, TARGET = 7001, 7002
MIB = 1 << 20
NETEM = "delay 1ms loss 1%"
RESET = struct.pack("ii", 1, 0)
# what is sent, any part of it different from any other
DATA = bytearray(os.urandom(MIB) + bytes(MIB) + os.urandom(14 * MIB))


def sha256(data: bytes | bytearray | memoryview) -> str:
    """For comparing."""
    return hashlib.sha256(data).hexdigest()


class Pair:
    """A, who connects to the relay, and B, whom the relay connects to."""

    def __init__(self, listener: socket.socket, small: bool = False) -> None:
        self.a = socket.socket()
        if small:
            self.a.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        for end in (self.a, listener):
            end.settimeout(PATIENCE)
        self.a.connect(("127.0.0.1", RELAY))
        self.b, _ = listener.accept()
        self.b.settimeout(PATIENCE)

    def close(self) -> None:
        """Both."""
        self.a.close()
        self.b.close()


def send(end: socket.socket, data: memoryview | bytes) -> None:
    """Send all, and the end."""
    end.sendall(data)
    end.shutdown(socket.SHUT_WR)


def receive(end: socket.socket, pause: Callable[[int], None] | None = None) -> tuple[int, str]:
    """Receive up to the end: how much, and its SHA-256."""
    digest, total, buf = hashlib.sha256(), 0, bytearray(1 << 18)
    while n := end.recv_into(buf):
        digest.update(memoryview(buf)[:n])
        total += n
        if pause:
            pause(total)
    return total, digest.hexdigest()


def at_once(*parts: Callable[[], object]) -> list[object]:
    """Run these in threads of their own; their results."""
    results: list[object] = [None] * len(parts)

    def run(nr: int) -> None:
        try:
            results[nr] = parts[nr]()
        except (OSError, Wrong) as error:
            results[nr] = error

    threads = [threading.Thread(target=run, args=(nr,)) for nr in range(len(parts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def transfer(listener: socket.socket, size: int) -> str:
    """Both directions at once, all that arrives is what was sent."""
    pair = Pair(listener)
    up, down = memoryview(DATA)[:size], memoryview(DATA)[-size:]
    begin = time.monotonic()
    *_, at_b, at_a = at_once(lambda: send(pair.a, up), lambda: send(pair.b, down), lambda: receive(pair.b),
                             lambda: receive(pair.a))
    pair.close()
    need(at_b == (size, sha256(up)), f"B received {at_b}")
    need(at_a == (size, sha256(down)), f"A received {at_a}")
    return f"{size} bytes each way in {time.monotonic() - begin:.1f} s, SHA-256 equal"


def stops_reading(listener: socket.socket) -> str:
    """B stops for a while: A has to stop, too, and nothing is lost."""
    pair, sent, stopped_at = Pair(listener, small=True), [0], [0]
    # several times of what the sockets between them hold
    data = memoryview(DATA)[:8 * MIB]
    pair.b.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)

    def feed() -> None:
        while sent[0] < len(data):
            sent[0] += pair.a.send(data[sent[0]:sent[0] + 65536])
        pair.a.shutdown(socket.SHUT_WR)

    def pause(total: int) -> None:
        if total < MIB or stopped_at[0]:
            return
        deadline = time.monotonic() + PATIENCE
        while sent[0] != stopped_at[0]:
            need(time.monotonic() < deadline, f"A goes on while B doesn't read: {sent[0]} bytes")
            stopped_at[0] = sent[0]
            time.sleep(0.7)
        need(sent[0] < len(data), "A has sent all while B doesn't read")

    _, at_b = at_once(feed, lambda: receive(pair.b, pause))
    pair.close()
    need(at_b == (len(data), sha256(data)), f"B received {at_b}")
    return f"A stood still at {stopped_at[0]} of {len(data)} bytes"


def half_close(listener: socket.socket, a_first: bool) -> None:
    """One side ends what it sends; then the other answers with what it got."""
    pair = Pair(listener)
    first, second = (pair.a, pair.b) if a_first else (pair.b, pair.a)
    part = memoryview(DATA)[:300_001]
    _, got = at_once(lambda: send(first, part), lambda: receive(second))
    need(got == (len(part), sha256(part)), f"received {got}")
    _, answer = at_once(lambda: send(second, str(got).encode()), lambda: receive(first))
    need(answer == (len(str(got)), sha256(str(got).encode())), f"the answer is {answer}")
    pair.close()


def dies(listener: socket.socket, b_dies: bool) -> None:
    """One side is reset in the middle of it: the other must not take that for the end."""
    pair = Pair(listener)
    dying, other = (pair.b, pair.a) if b_dies else (pair.a, pair.b)

    def die() -> None:
        dying.recv(100_000)
        dying.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        dying.close()

    def reset() -> str:
        try:
            while True:
                other.sendall(memoryview(DATA)[:MIB])
        except (ConnectionResetError, BrokenPipeError):
            return "reset"

    _, seen = at_once(die, reset)
    pair.close()
    need(seen == "reset", f"the other side saw {seen}")


def nobody_there(listener: socket.socket) -> None:
    """B can't be connected to: A is told, and the relay goes on."""
    listener.close()
    try:
        with socket.create_connection(("127.0.0.1", RELAY), PATIENCE) as a:
            need(a.recv(1) == b"never", "A was not told")
    except ConnectionResetError:
        pass


def many(listener: socket.socket, turns: int) -> str:
    """More connections than the relay takes at a time, messages of all sizes, in turns."""
    nr = 40

    def echo() -> None:
        for _ in range(nr):
            b, _ = listener.accept()
            b.settimeout(PATIENCE)
            threading.Thread(target=answer, args=(b,)).start()

    def answer(b: socket.socket) -> None:
        with b:
            while data := b.recv(65536):
                b.sendall(data)

    def ask(first: int) -> int:
        with socket.create_connection(("127.0.0.1", RELAY), PATIENCE) as a:
            for turn in range(turns):
                size = 1 + (first * 997 + turn * turn * 313) % 40_000
                a.sendall(memoryview(DATA)[first:first + size])
                got = bytearray()
                while len(got) < size:
                    got += a.recv(size) or b"the end comes too early" * size
                need(got == DATA[first:first + size], f"message {turn} of connection {first} came back different")
        return 1

    listener.settimeout(PATIENCE)
    results = at_once(echo, *(lambda first=first: ask(first) for first in range(nr)))
    need(results[1:] == [1] * nr, f"{results}")
    return f"{nr} connections, {turns} messages each"


def listen() -> socket.socket:
    """B's socket."""
    return socket.create_server(("127.0.0.1", TARGET), backlog=64)


def netem(args: str = "") -> None:
    """What becomes of packets on loopback."""
    what = ["replace", "dev", "lo", "root", "netem", *args.split()] if args else ["del", "dev", "lo", "root"]
    subprocess.run(["tc", "qdisc", *what], check=True)


def lossy(listener: socket.socket, much: int) -> str:
    """transfer() where packets are late, and some lost."""
    netem(NETEM)
    try:
        return f"{NETEM}: {transfer(listener, much)}"
    finally:
        netem()


def memlock(program: str, checks: Checks) -> None:
    """Under a limit that is too low, for a user who has one: slower, and nothing lost."""
    def limited() -> str:
        # such a user may not get to where the program is
        copy = Path(shutil.copy(program, "/tmp"))
        copy.chmod(0o755)
        command = ("setpriv", "--reuid", "65534", "--clear-groups", "--bounding-set", "-all", "--inh-caps", "-all",
                   "prlimit", f"--memlock={256 << 10}", str(copy), "--connections", "2", str(RELAY), "127.0.0.1", str(TARGET))
        with Program(*command) as relay, listen() as listener:
            said = transfer(listener, 2 * MIB)
            relay.rests()
        need(", 0 waits for memory" not in relay.said, "the limit was not reached")
        return f"{said}\n{relay.said}"

    checks.run("get_buf: RLIMIT_MEMLOCK", limited)


def one_way(program: str, way: str, much: int, checks: Checks) -> None:
    """Everything, by one process of the relay; `much` bytes in each direction at once."""
    def checked(check: Callable[[socket.socket], str | None]) -> Callable[[], str | None]:
        def run() -> str | None:
            with listen() as listener:
                said = check(listener)
            relay.rests()
            return said
        return run

    with Program(program, "--way", way, "--connections", "24", str(RELAY), "127.0.0.1", str(TARGET)) as relay:
        for name, check in (("both directions", lambda s: transfer(s, much)), ("netem", lambda s: lossy(s, min(much, 3 * MIB))),
                            ("B stops reading", stops_reading),
                            ("A ends first", lambda s: half_close(s, True)),
                            ("B ends first", lambda s: half_close(s, False)), ("B dies", lambda s: dies(s, True)),
                            ("A dies", lambda s: dies(s, False)), ("nobody there", nobody_there),
                            ("many connections", lambda s: many(s, 12 if much >= 8 * MIB else 3))):
            checks.run(f"{way}: {name}", checked(check))

    def ended() -> str:
        module_is_free()
        return relay.said

    checks.run(f"{way}: nothing is left", ended)


def main() -> int:
    """All ways."""
    checks, much = Checks("relay"), MIB * int(sys.argv[2] if len(sys.argv) > 2 else 8)
    # what the kernel keeps for who doesn't read has to be less than what is sent
    for name in ("tcp_rmem", "tcp_wmem"):
        Path("/proc/sys/net/ipv4", name).write_text("4096 131072 1048576", encoding="ascii")
    for way in WAYS:
        try:
            one_way(sys.argv[1], way, much, checks)
        except Wrong as wrong:
            print(f"Bail out! {way}: {wrong}")
            return 1
    memlock(sys.argv[1], checks)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
