# SPDX-License-Identifier: GPL-2.0
"""TAP: several sources of test results made one numbered stream, and counted.

The kernel's kunit_parser.py reads one source, and prints it in a form of its own.
"""

import re
import threading
from collections.abc import Callable

RESULT = re.compile(r"^(not )?ok\b\s*(\d+)?\s*(?:- )?(.*)$")
PLAN = re.compile(r"^1\.\.(\d+)")
SKIP = re.compile(r"#\s*SKIP\b", re.I)


class Tap:
    """The one stream that `make test` prints, and its verdict."""

    def __init__(self, emit: Callable[[str], None]) -> None:
        self.emit = emit
        self.passed = self.failed = self.skipped = 0
        self.lock = threading.Lock()
        emit("TAP version 13")

    @property
    def total(self) -> int:
        """How many results were printed."""
        return self.passed + self.failed + self.skipped

    def result(self, ok: bool, name: str, said: list[str] | None = None) -> None:
        """Print and count one result, after the lines that were said of it."""
        with self.lock:
            if SKIP.search(name) and ok:
                self.skipped += 1
            elif ok:
                self.passed += 1
            else:
                self.failed += 1
            for line in said or []:
                self.emit(line)
            self.emit(f"{'ok' if ok else 'not ok'} {self.total} {name}")

    def finish(self) -> bool:
        """Print the plan and the last line; whether all is well."""
        self.emit(f"1..{self.total}")
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        self.emit(f"{self.passed} passed, {self.failed} failed{skipped}")
        return not self.failed and self.passed > 0


class Source:
    """One source of TAP, beside which others may run: its results go into the stream as they come."""

    def __init__(self, tap: Tap, name: str) -> None:
        self.tap, self.name = tap, name
        self.plan: int | None = None
        self.seen = self.failed = 0
        self.said: list[str] = []

    def line(self, line: str) -> None:
        """One line: results are renumbered, plans added up, the rest passed on before the next result."""
        found, plan = RESULT.match(line), PLAN.match(line)
        if found:
            self.seen += 1
            self.failed += bool(found.group(1))
            self.tap.result(not found.group(1), found.group(3), self.said)
            self.said = []
        elif plan:
            self.plan = (self.plan or 0) + int(plan.group(1))
        elif not line.startswith("TAP version"):
            self.said.append(line)

    def end(self) -> None:
        """The source has ended: no tests, no plan, or fewer than planned is a failure."""
        with self.tap.lock:
            for line in self.said:
                self.tap.emit(line)
        if self.plan is None:
            self.tap.result(False, f"{self.name} ended without a plan: it crashed or was cut short")
        elif self.seen != self.plan:
            self.tap.result(False, f"{self.name} planned {self.plan} tests and ran {self.seen}")
        elif not self.seen:
            self.tap.result(False, f"{self.name} ran no test")
