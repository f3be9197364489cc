# SPDX-License-Identifier: GPL-2.0 OR MIT
"""What relay_check.py and serve_check.py have in common: TAP, and a program that must leave nothing behind."""

import os
import re
import signal
import subprocess
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

MODULE = Path("/sys/module/io_uring_notif/refcnt")
# Seconds, until what should have come never will: a debug kernel on a loaded machine is slow
PATIENCE = 240.0


class Wrong(Exception):
    """What a check found."""


def need(is_so: bool, otherwise: str) -> None:
    """Fail the check unless it is so."""
    if not is_so:
        raise Wrong(otherwise)


def eventually(is_so: Callable[[], bool], otherwise: str) -> None:
    """Wait until it is so, or fail the check."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        need(time.monotonic() < deadline, otherwise)
        time.sleep(0.02)


class Checks:
    """Results, printed as TAP."""

    def __init__(self, prefix: str) -> None:
        self.prefix, self.number, self.failed = prefix, 0, 0

    def run(self, name: str, check: Callable[[], str | None]) -> None:
        """One check; what it returns is worth telling."""
        self.number += 1
        begin = time.monotonic()
        try:
            said, status = check(), "ok"
        except Exception as error:  # pylint: disable=broad-except
            # whatever it is, the other checks are run as well
            said, status = "".join(traceback.format_exception(error)), "not ok"
            self.failed += 1
        for line in (said or "").splitlines():
            print(f"# {line}")
        print(f"{status} {self.number} {self.prefix}: {name} # {time.monotonic() - begin:.1f} s", flush=True)

    def finish(self) -> int:
        """The plan, and the exit status."""
        print(f"1..{self.number}", flush=True)
        return 1 if self.failed else 0


def is_ring(fd: Path) -> bool:
    """Whether a descriptor of another process is a ring's; one that has just been closed is none."""
    try:
        return "io_uring" in os.readlink(fd)
    except FileNotFoundError:
        return False


class Program:
    """A program with a ring, which is told to end at the end, and must do so with status 0."""

    def __init__(self, *command: str) -> None:
        self.said = ""
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.ring = self.find_ring()
        self.descriptors = self.count()

    def find_ring(self) -> Path:
        """Its ring's fdinfo, once it has one and waits."""
        fds = Path(f"/proc/{self.process.pid}/fd")

        def ring() -> Path | None:
            for fd in fds.iterdir() if fds.exists() else ():
                if is_ring(fd):
                    return fds.parent / "fdinfo" / fd.name
            return None

        eventually(lambda: self.process.poll() is not None or ring() is not None, "the program makes no ring")
        found = ring()
        if found is None:
            raise Wrong(f"the program ended at once: {self.process.communicate()[0]}")
        # it listens before it makes the ring, and a signal before the handler would be deadly
        time.sleep(0.2)
        return found

    def count(self) -> int:
        """Its descriptors."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def kernel_bufs(self) -> int:
        """Buffers of GET_BUF that its ring has, wherever they are."""
        found = re.search(r"^KernelBufs:\s*(\d+)", self.ring.read_text(encoding="utf-8"), re.MULTILINE)
        return int(found.group(1)) if found else 0

    def rests(self, most: int = 0) -> None:
        """Check that nothing is held for connections that are over."""
        eventually(lambda: self.count() <= self.descriptors, f"{self.count() - self.descriptors} descriptors are left open")
        eventually(lambda: self.kernel_bufs() <= most, f"{self.kernel_bufs()} kernel buffers are held")

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: BaseException | None,
                 _where: TracebackType | None) -> None:
        self.process.send_signal(signal.SIGTERM if kind is None else signal.SIGKILL)
        try:
            self.said, _ = self.process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            if kind is None:
                raise Wrong("the program doesn't end when it is told to") from None
        if kind is None:
            need(self.process.returncode == 0, f"the program ended with status {self.process.returncode}")


def module_is_free() -> None:
    """Check that nothing keeps the module."""
    if MODULE.exists():
        eventually(lambda: int(MODULE.read_text(encoding="ascii")) == 0, f"the module is held {MODULE.read_text()}times")
