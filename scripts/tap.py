# SPDX-License-Identifier: GPL-2.0
"""TAP: several sources of test results made one numbered stream, and counted."""

import re
from collections.abc import Callable

RESULT = re.compile(r"^(not )?ok\b\s*(\d+)?\s*(?:- )?(.*)$")
PLAN = re.compile(r"^1\.\.(\d+)")
SKIP = re.compile(r"#\s*SKIP\b", re.I)


class Tap:
    """The one stream that `make test` prints, and its verdict."""

    def __init__(self, emit: Callable[[str], None]) -> None:
        self.emit = emit
        self.passed = self.failed = self.skipped = 0
        self.plan: int | None = None
        self.seen = 0
        emit("TAP version 13")

    @property
    def total(self) -> int:
        """How many results were printed."""
        return self.passed + self.failed + self.skipped

    def result(self, ok: bool, name: str) -> None:
        """Print and count one result."""
        if SKIP.search(name) and ok:
            self.skipped += 1
        elif ok:
            self.passed += 1
        else:
            self.failed += 1
        self.emit(f"{'ok' if ok else 'not ok'} {self.total} {name}")

    def begin(self) -> None:
        """A new source of TAP starts: its plan and its results are checked against each other."""
        self.plan, self.seen = None, 0

    def line(self, line: str) -> None:
        """One line of a source: results are renumbered, the plan kept, the rest passed on."""
        found, plan = RESULT.match(line), PLAN.match(line)
        if found:
            self.seen += 1
            self.result(not found.group(1), found.group(3))
        elif plan:
            self.plan = int(plan.group(1))
        elif not line.startswith("TAP version"):
            self.emit(line)

    def end(self, source: str) -> None:
        """A source has ended: no tests, no plan, or fewer than planned is a failure."""
        if self.plan is None:
            self.result(False, f"{source} ended without a plan: it crashed or was cut short")
        elif self.seen != self.plan:
            self.result(False, f"{source} planned {self.plan} tests and ran {self.seen}")
        elif not self.seen:
            self.result(False, f"{source} ran no test")

    def finish(self) -> bool:
        """Print the plan and the last line; whether all is well."""
        self.emit(f"1..{self.total}")
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        self.emit(f"{self.passed} passed, {self.failed} failed{skipped}")
        return not self.failed and self.passed > 0
