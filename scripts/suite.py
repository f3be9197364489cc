# SPDX-License-Identifier: GPL-2.0
"""`make test`: self-checks of the tooling, then the selftests, in two VMs side by side; one stream of TAP."""

import shlex
import threading
import time
import unittest
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import build
import source
import toolchain
import vm
from common import PROJECT, Fail, log, say
from tap import Source, Tap

RUNNER = "selftests/run.sh"
# Before QEMU 8.1 a VM is one thread, and a machine that builds kernels has two CPUs
PARTS = ("1", "2")
SILENT = "the kernel was silent"


class HostResult(unittest.TestResult):
    """The self-checks of these scripts as lines of TAP."""

    def __init__(self, tap: Tap) -> None:
        super().__init__()
        self.tap = tap

    def addSuccess(self, test: unittest.TestCase) -> None:
        """One that passed."""
        self.tap.result(True, self.name(test))

    def addFailure(self, test: unittest.TestCase, err: object) -> None:
        """One that failed, with its trace as a comment."""
        super().addFailure(test, err)  # type: ignore[arg-type]
        self.report(test, self.failures[-1][1])

    def addError(self, test: unittest.TestCase, err: object) -> None:
        """One that broke."""
        super().addError(test, err)  # type: ignore[arg-type]
        self.report(test, self.errors[-1][1])

    def report(self, test: unittest.TestCase, trace: str) -> None:
        """A result that is not ok."""
        self.tap.result(False, self.name(test), [f"# {line}" for line in trace.splitlines()])

    @staticmethod
    def name(test: unittest.TestCase) -> str:
        """What a self-check is called in the stream."""
        return f"tooling: {test.shortDescription() or test.id()}"


def emit(line: str) -> None:
    """A line of TAP, at once."""
    print(line, flush=True)
    log().write(line + "\n")


class Guest(threading.Thread, vm.Lines):
    """A VM that runs what prints TAP, called `name` in the stream."""

    def __init__(self, tap: Tap, image: build.Image, virtme: Path, settings: vm.Settings, command: str, name: str) -> None:
        super().__init__()
        self.source = Source(tap, name)
        self.image, self.virtme, self.settings = image, virtme, settings
        self.command = command
        # more of QEMU's command line
        self.extra: list[str] = []
        self.error: Exception | None = None

    def line(self, line: str) -> None:
        """One line of it."""
        self.source.line(line)

    def run(self) -> None:
        """Boot, run the part, and say how the kernel took it."""
        start = time.monotonic()
        try:
            result = vm.in_vm(self.image, self.virtme, self.settings, self.command, str(PROJECT), self.data,
                              self.extra)
        except (Fail, OSError) as error:
            self.error = error
            return
        if self.rest:
            self.line(self.rest.decode(errors="replace"))
        self.source.end()
        self.judge(result)
        say(f"  {self.source.name} took {time.monotonic() - start:.0f} s; the console is in {result.console}")

    def judge(self, result: vm.Result) -> None:
        """A splat or a crash is a failed test."""
        # A test that failed makes run.sh fail: that is told already
        if result.status and self.source.failed and not (result.splats or result.hung):
            self.source.tap.result(True, f"{SILENT} ({self.source.name})")
            return
        try:
            vm.verdict(result, self.source.name, self.settings.timeout)
            self.source.tap.result(True, f"{SILENT} ({self.source.name}): no warning, no leak")
        except Fail as error:
            self.source.tap.result(False, f"{SILENT}: {error}")


class LiveGuest(Guest):
    """One that runs for long: its comments are shown as they come, and not with the next result."""

    def line(self, line: str) -> None:
        """Comments at once, results into the stream."""
        if line.startswith("#"):
            with self.source.tap.lock:
                self.source.tap.emit(line)
        else:
            super().line(line)


def run_all(guests: Sequence[Guest]) -> None:
    """Boot guests of one image side by side; the first error when all are over."""
    # Whether KVM works is tried before they start, not by each of them
    vm.choose_accel(guests[0].image, guests[0].virtme, guests[0].settings)
    try:
        for guest in guests:
            guest.start()
        for guest in guests:
            guest.join()
    except KeyboardInterrupt:
        vm.CANCELLED.set()
        raise
    for guest in guests:
        if guest.error:
            raise guest.error


def side_by_side(*jobs: Callable[[], object]) -> None:
    """Run what boots a VM each at the same time; the first error of one of them when all are over."""
    with ThreadPoolExecutor(len(jobs)) as pool:
        for job in [pool.submit(job) for job in jobs]:
            job.result()


def run_guests(tap: Tap, tree: source.Tree, tools: toolchain.Toolchain, image: build.Image, virtme: Path,
               picked: str) -> None:
    """The selftests in VMs of this image: all of them in two, those that are picked in one."""
    settings, arch = vm.Settings.from_environment(3600), image.flavour.arch
    programs = build.build_userland("selftests", tree, tools, build.find_headers(tree, tools, arch), arch)
    command = (f"BIN={shlex.quote(str(programs))} TESTS={shlex.quote(picked)} {shlex.quote(str(PROJECT / RUNNER))}")
    parts = [("", RUNNER)] if picked else [(part, f"{RUNNER} (part {part})") for part in PARTS]
    guests = [Guest(tap, image, virtme, settings, f"PART={part} {command}", name) for part, name in parts]
    say(f"  booting the {image.flavour.name} kernel{' in two VMs' if len(guests) > 1 else ''}")
    run_all(guests)
