# SPDX-License-Identifier: GPL-2.0
"""`make regress`: the neighbours' tests on a kernel without the patches and on ours; what differs is a failure."""

import json
import os
import re
import shlex
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import build
import neighbours
import source
import splat
import toolchain
import vm
from common import PROJECT, Fail, Step, cache_dir, log, say
from neighbours import Test

RUNNER = PROJECT / "regress/guest.py"
MARK = re.compile(r"^regress: (\d+) ", re.M)
# What a test exits with that cannot run: liburing's, and the kernel's
SKIPS = {"liburing": 77, "net": 4, "vsock": 4}
KERNELS = ("plain", "ours")
# No more than this of a test's last words in the table
WORDS = 100


@dataclass(frozen=True)
class Outcome:
    """How a test ended on one kernel; what it said last is the reason."""

    state: str
    said: str = ""

    @property
    def rank(self) -> int:
        """The better, the higher: everything that is neither pass nor skip has failed."""
        return {"pass": 2, "skip": 1}.get(self.state, 0)

    @property
    def complains(self) -> bool:
        """Whether it is the kernel itself that says so, or that died of it."""
        return self.state in ("SPLAT", "CRASH")

    @property
    def reason(self) -> str:
        """The last line that says something."""
        lines = [line.strip() for line in self.said.splitlines() if re.search(r"\w", line)]
        return lines[-1][:WORDS] if lines else ""


def outcome(test: Test, ended: dict[str, object]) -> Outcome:
    """What regress/guest.py tells of a test that has ended."""
    status, said = ended["status"], str(ended["said"])
    if ended["late"]:
        return Outcome("TIMEOUT", f"{said}\nno end within {test.limit} s")
    if status == SKIPS[test.name.split("/")[0]] or (status == 0 and re.search(r"# SKIP\b", said)):
        return Outcome("skip", said if re.search(r"\w", said) else neighbours.SILENT.get(test.name, "does not say why"))
    if status == 0:
        return Outcome("pass", said)
    return Outcome("FAIL", said if re.search(r"\w", said) else f"exits with status {status}")


class Kernel:
    """One of the two kernels, and how the tests end on it."""

    def __init__(self, name: str, image: build.Image, virtme: Path, settings: vm.Settings) -> None:
        self.name, self.image, self.virtme, self.settings = name, image, virtme, settings
        self.now = ""

    def run(self, tests: list[Test], progress: "Progress") -> dict[str, Outcome]:
        """Run the tests, in one boot, and in one more each time that a test takes the kernel with it."""
        found: dict[str, Outcome] = {}
        with tempfile.TemporaryDirectory(prefix="regress.", dir=vm_folder()) as folder:
            plan = Path(folder) / "plan"
            plan.write_text(json.dumps([test.plan() for test in tests]), encoding="utf-8")
            while len(found) < len(tests):
                self.boot(plan, tests, found, progress)
        return found

    def boot(self, plan: Path, tests: list[Test], found: dict[str, Outcome], progress: "Progress") -> None:
        """One boot: the tests from the first that has no outcome to the end, or to a crash."""
        rest, first, started = b"", len(found), len(found)

        def read(data: bytes) -> None:
            nonlocal rest, started
            *whole, rest = (rest + data).split(b"\n")
            for line in whole:
                said = json.loads(line)
                if "start" in said:
                    started = said["start"] + 1
                    self.now = tests[said["start"]].name
                else:
                    test = tests[said["end"]]
                    found[test.name] = ended = outcome(test, said)
                    log().write(f"{self.name}: {test.name}: {ended.state}, {said['seconds']} s\n{said['said']}\n")
                progress.show(self)

        what = f"the {self.image.flavour.name} kernel"
        command = f"KSFT_MACHINE_SLOW=yes /usr/bin/python3 {RUNNER} {shlex.quote(str(plan))} {first}"
        result = vm.in_vm(self.image, self.virtme, self.settings, command, "/", read)
        if vm.CANCELLED.is_set():
            raise Fail(f"the tests on {what} were interrupted; run it again")
        if started == first:
            vm.verdict(result, f"the first test on {what}", self.settings.timeout)
            raise Fail(f"no test was started on {what}; the console is in {result.console}")
        if len(found) < started:
            how = "hangs" if result.hung else f"ends {'the VM' if result.status is None else RUNNER.name}"
            # Nothing on the console: that may have been somebody's kill, or a host that is too slow
            found[tests[started - 1].name] = Outcome("GONE", f"{how}, and the kernel says nothing")
        elif len(found) < len(tests):
            raise Fail(f"{RUNNER.name} ended with status {result.status} between two tests on {what}; see {log().path}")
        for number, text in splats(result.console.read_text(encoding="utf-8", errors="replace")):
            log().write(f"{self.name}: {tests[number].name}:\n{text}\n")
            state = "CRASH" if found[tests[number].name].state in ("GONE", "CRASH") else "SPLAT"
            found[tests[number].name] = Outcome(state, splat.message(text.splitlines()[0]))


def splats(console: str) -> Iterator[tuple[int, str]]:
    """Each splat of a console, with the number of the test in which it came."""
    marks = list(MARK.finditer("\n".join(map(splat.message, console.splitlines()))))
    text = "\n".join(map(splat.message, console.splitlines()))
    for mark, after in zip(marks, [*marks[1:], None]):
        for found in splat.find_splats(text[mark.end():after.start() if after else None]):
            yield int(mark[1]), found


def vm_folder() -> Path:
    """A folder that the guest sees."""
    folder = cache_dir() / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Progress:
    """How far both kernels are, in one line."""

    def __init__(self, kernels: list[Kernel], step: Step) -> None:
        self.kernels, self.step = kernels, step
        self.title = step.name
        self.lock = threading.Lock()
        self.found: dict[str, int] = {}

    def show(self, kernel: Kernel) -> None:
        """A kernel has started a test or ended one."""
        with self.lock:
            self.found[kernel.name] = self.found.get(kernel.name, 0) + 1
            running = ", ".join(f"{other.name} {other.now[:24]}" for other in self.kernels if other.now)
            self.step.name = f"{self.title} ({running})"
            # Each test is told of twice
            self.step.update(sum(count // 2 for count in self.found.values()))


def run_both(kernels: list[Kernel], tests: list[Test], title: str) -> list[dict[str, Outcome]]:
    """The tests on both kernels side by side; when one ends early, so does the other."""
    with Step(title, len(tests) * len(kernels), " tests") as step, ThreadPoolExecutor(len(kernels)) as pool:
        progress = Progress(kernels, step)
        try:
            jobs = [pool.submit(kernel.run, tests, progress) for kernel in kernels]
            return [job.result() for job in jobs]
        except BaseException:
            vm.CANCELLED.set()
            raise


@dataclass
class Row:
    """One test on both kernels: the first try and, where they differed, another."""

    name: str
    plain: list[Outcome]
    ours: list[Outcome]

    @property
    def kind(self) -> str:
        """What it says about our kernel; a difference counts when it comes twice, a complaint of the kernel at once."""
        pairs = list(zip(self.plain, self.ours))
        if any(o.complains for o in self.ours) and not any(o.complains for o in self.plain):
            return "regression"
        plain, ours = pairs[-1]
        if plain.rank == ours.rank:
            return "once" if len(pairs) > 1 else ("both fail", "both skip", "both pass")[ours.rank]
        return "regression" if all(b.rank < a.rank for a, b in pairs) else (
            "better" if all(b.rank > a.rank for a, b in pairs) else "once")

    @property
    def remark(self) -> str:
        """Why it is as it is."""
        plain, ours = self.plain[-1], next((o for o in self.ours if o.complains), self.ours[-1])
        return {"regression": f"REGRESSION: {ours.reason}", "both fail": f"fails on both: {ours.reason}",
                "both skip": ours.reason, "both pass": "", "once": "differed once, not twice in the same way",
                "better": f"worse without the patches: {plain.reason}"}[self.kind]


def compare(first: list[dict[str, Outcome]], again: list[dict[str, Outcome]]) -> list[Row]:
    """A row for each test, in the order in which they ran."""
    return [Row(name, *([found[name] for found in (once, more) if name in found]
                        for once, more in zip(first, again))) for name in first[0]]


def differing(first: list[dict[str, Outcome]]) -> list[str]:
    """The tests that end better on one kernel than on the other."""
    plain, ours = first
    return [name for name in plain if plain[name].rank != ours[name].rank]


def table(rows: list[Row]) -> list[str]:
    """The table: tests that were tried twice have two outcomes."""
    cells = [("test", *KERNELS, "")] + [
        (row.name, *(", ".join(o.state for o in tries) for tries in (row.plain, row.ours)), row.remark) for row in rows]
    widths = [max(len(cell[column]) for cell in cells) for column in range(3)]
    return ["  ".join(text.ljust(width) for text, width in zip(cell, [*widths, 0])).rstrip() for cell in cells]


def counts(rows: list[Row]) -> str:
    """The verdict in numbers."""
    number = {kind: sum(row.kind == kind for row in rows) for kind in (
        "both pass", "both skip", "both fail", "once", "better", "regression")}
    return (f"{len(rows)} tests: {number['both pass']} pass on both kernels, {number['both skip']} skipped on both, "
            f"{number['both fail']} fail on both, {number['once']} differed once, "
            f"{number['better']} worse without the patches, {number['regression']} regressions")


def find_tests(tree: source.Tree, tools: toolchain.Toolchain, picked: str) -> list[Test]:
    """All tests, built, whose name has `picked` in it."""
    liburing = neighbours.find_liburing()
    programs = neighbours.build_kernels(tree, tools, build.find_headers(tree, tools), liburing)
    left_out = neighbours.not_built(liburing)
    if left_out:
        say(f"  not built here, so not run: {', '.join(left_out)} of {liburing.parent.name} {liburing.name}")
    tests = neighbours.liburing_tests(liburing) + neighbours.kernel_tests(programs, tree)
    tests = [test for test in tests if picked in test.name]
    if not tests:
        raise Fail(f"TESTS={picked} is in the name of no test; say TESTS=liburing/, TESTS=net/ or TESTS=vsock/")
    return tests


def main(tree: source.Tree, tools: toolchain.Toolchain, virtme: Path, plain: build.Image, ours: build.Image) -> None:
    """Run the neighbours' tests on both images; the table, and a Fail when ours does worse."""
    tests = find_tests(tree, tools, os.environ.get("TESTS") or "")
    kernels = [Kernel(name, image, virtme, vm.Settings.from_environment(2400))
               for name, image in zip(KERNELS, (plain, ours))]
    kernels[0].settings.module = False
    # Whether KVM works is tried before they start, not by each of them
    vm.choose_accel(ours, virtme, kernels[1].settings)
    first = run_both(kernels, tests, "running the neighbours' tests")
    names = differing(first)
    again: list[dict[str, Outcome]] = [{}, {}]
    if names:
        say(f"  once more, as they differ: {', '.join(names)}")
        again = run_both(kernels, [test for test in tests if test.name in names], "running them again")
    rows = compare(first, again)
    for line in [*table(rows), counts(rows)]:
        print(line, flush=True)
        log().write(line + "\n")
    worse = [row.name for row in rows if row.kind == "regression"]
    if worse:
        raise Fail(f"{', '.join(worse)}: worse on the {ours.flavour.name} kernel than on one without the patches; "
                   f"what they said is in {log().path}, TESTS= runs one again")
    if not any(row.kind == "both pass" for row in rows):
        raise Fail(f"no test passed on both kernels, so nothing was compared; see {log().path}")
