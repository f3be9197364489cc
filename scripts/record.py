# SPDX-License-Identifier: GPL-2.0
"""`make profile`: run one row of the benchmark, have QEMU log what it executes, and say where that goes."""

import json
import re
import shlex
import time
from dataclasses import dataclass, fields
from pathlib import Path

import bench_vsock
import hotspots
import vm
from bench import LINE, WINDOWS, Work
from build import Image
from common import PROJECT, Fail, Step, log, need_space, output, say
from monitor import Monitor, monitor_args

# To log of a row: a batch of the longest has 1.7 million, and the timer interrupts every 4 million
INSTRUCTIONS = 4_000_000
LINE_BYTES = 77
LOG_SECONDS = 120
DEFAULT = "slot registered batch 0 udp4 4000 128 plain"
BEGIN, END, LOOP = "begin of kallsyms", "end of kallsyms", "LOOP"
# Of the guest's clock: longer than anybody waits
LOOP_SECONDS = 1000


def parse_row(text: str) -> Work:
    """A row in the words of bench.json, in its order."""
    words = text.split()
    names = [f.name for f in fields(Work)]
    try:
        # `how` may be left out
        given = dict(zip(names, words + [""] * (len(words) == len(names) - 1), strict=True))
        work = Work(given["mode"], given["buffer"], None if given["flush"] == "-" else given["flush"],
                    int(given["copy_below"]), given["proto"], int(given["bytes"]), int(given["batch"]), given["ring"],
                    given["how"])
    except ValueError as error:
        raise Fail(f"ROW={text} is no row; say {' '.join(names)} as bench.json does (flush -: none), "
                   f"for example ROW='{DEFAULT}'") from error
    if work.batch not in WINDOWS:
        raise Fail(f"ROW={text} has a batch of {work.batch}; the benchmark has {', '.join(map(str, WINDOWS))}")
    return work


@dataclass(frozen=True)
class Client:
    """A row of bench/client.c, as bench_vsock.Work is one of bench/vsock.c."""

    work: Work
    program = "client"

    @property
    def batch(self) -> int:
        """Of what the figures are: requests."""
        return self.work.batch

    def commands(self, program: str, seconds: int) -> str:
        """What the guest runs: the figure, then the row over and over."""
        row = shlex.quote(self.work.text())
        start = f"{shlex.quote(str(PROJECT / 'bench/guest.sh'))} {program} --instructions"
        return f"{start} {row} && {start} --loop {seconds} {row}"

    def title(self) -> str:
        """What a person calls it."""
        return f"{self.work.name()}; {self.work.bytes} bytes, {self.work.place()}"

    def measured(self, line: str) -> float | None:
        """The program's own figure, if this line has it; a TCP receiver's is with it in the loop."""
        found = LINE.match(line)
        return (int(found[2]) + (0 if self.work.takes else int(found[7]))) / self.batch if found else None


Row = Client | bench_vsock.Work


def find_row(text: str) -> Row:
    """What a row is run by."""
    return bench_vsock.Work.parse(text) if text.split()[:1] == ["vsock"] else Client(parse_row(text))


class Recorder(vm.Lines):
    """One boot, whose machine ends once enough of the row is logged."""

    def __init__(self, image: Image, virtme: Path, settings: vm.Settings, work: Row, step: Step) -> None:
        self.step, self.work = step, work
        self.run = vm.Run(image, virtme, settings)
        self.socket, self.trace = self.run.folder / "monitor", self.run.folder / "trace"
        self.lines: list[str] = []
        self.done = False

    def line(self, line: str) -> None:
        """One of the guest's; the one before the loop starts the log."""
        self.lines.append(line)
        if line == LOOP and not self.done:
            self.record()

    def record(self) -> None:
        """Log so many instructions as the client loops, and end the machine."""
        with Monitor(self.socket) as monitor:
            monitor.log_instructions()
            end = time.monotonic() + LOG_SECONDS
            while (size := self.trace.stat().st_size if self.trace.exists() else 0) < INSTRUCTIONS * LINE_BYTES:
                if time.monotonic() > end:
                    raise Fail(f"QEMU logged only {size} bytes in {LOG_SECONDS} s; see {log().path}")
                self.step.update(size // LINE_BYTES)
                time.sleep(0.05)
            monitor.command("stop")
            monitor.human("log none")
            monitor.command("quit")
        self.done = True

    def boot(self, programs: Path) -> None:
        """Measure the row as the benchmark does, then loop in it."""
        need_space(self.run.folder, 2 * INSTRUCTIONS * LINE_BYTES / 1e9, "the log of a profile")
        program = shlex.quote(str(programs / self.work.program))
        guest = (f"echo 0 >/proc/sys/kernel/kptr_restrict; echo {BEGIN}; cat /proc/kallsyms; echo {END}\n"
                 f"{self.work.commands(program, LOOP_SECONDS)}")
        self.run.extra = [*monitor_args(self.socket), "-D", str(self.trace)]
        self.run.write_settings(HERE=str(PROJECT), COMMAND=guest, MODULE=vm.MODULE, LEAKS="")
        result = vm.boot(self.run, "icount", self.data, vm.to_stderr)
        wrong = next((line for line in self.lines if line.startswith("error ")), "")
        if wrong and not self.done:
            raise Fail(f"the client says: {wrong.removeprefix('error ')}; see `make bench` for the rows there are")
        if result.splats or not self.done:
            vm.verdict(result, "the row", self.run.settings.timeout)
            raise Fail(f"the client ended before it looped; the console is in {result.console}")

    def kallsyms(self) -> str:
        """The guest's symbols."""
        return "\n".join(self.lines[self.lines.index(BEGIN) + 1:self.lines.index(END)])

    def measured(self) -> float:
        """Instructions per request, as the benchmark counts them in this boot."""
        found = next((found for line in self.lines if (found := self.work.measured(line)) is not None), None)
        if found is None:
            raise Fail(f"the client printed no row; what it printed is in {log().path}")
        return found


def find_objects(image: Image) -> dict[str, set[str]]:
    """Which object file has which function; nothing when the image's build is no longer there."""
    root = json.loads((image.folder / "info.json").read_text(encoding="utf-8"))["build"]
    archive = Path(root) / "vmlinux.a"
    if not archive.exists():
        say(f"  {archive} is not there any more: functions are shown without their files")
        return {}
    return hotspots.parse_objects(output(["nm", "-A", "--defined-only", str(archive)]), root)


def demangle(names: list[str]) -> dict[str, str]:
    """Rust's names as a person writes them, without the hash of the crate."""
    mangled = [name for name in names if name.startswith("_R")]
    said = output(["c++filt", *mangled]) if mangled else ""
    return dict(zip(mangled, re.sub(r"\[[0-9a-f]{12,16}\]", "", said).splitlines()))


def profile(image: Image, virtme: Path, settings: vm.Settings, programs: Path, work: Row) -> hotspots.Profile:
    """The profile of one row."""
    with Step(f"logging {work.title()}", INSTRUCTIONS, " instructions") as step:
        recorder = Recorder(image, virtme, settings, work, step)
        try:
            recorder.boot(programs)
            symbols = hotspots.Symbols(recorder.kallsyms(), find_objects(image))
            found = hotspots.profile(hotspots.read_trace(recorder.trace), symbols, work.batch)
        finally:
            recorder.run.close()
    found.rename(demangle([function.name for function in found.functions]))
    found.name = work.title()
    found.measured = recorder.measured()
    return found


def main(rows: str, image: Image, virtme: Path, settings: vm.Settings, programs: Path) -> None:
    """Print the profile of one row, or of two side by side."""
    works = [find_row(row) for row in (rows or DEFAULT).split(";")]
    if len(works) > 2:
        raise Fail(f"ROW= has {len(works)} rows; give one, or two with a semicolon between them")
    print(hotspots.report([profile(image, virtme, settings, programs, work) for work in works]), end="")
