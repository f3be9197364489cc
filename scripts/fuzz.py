# SPDX-License-Identifier: GPL-2.0
"""`make fuzz`: programs at random over the whole ABI in the debug VM, guided by the coverage where the kernel has KCOV."""

import shlex
from pathlib import Path

import build
import coverage
import source
import stress
import suite
import toolchain
import vm
from common import PROJECT, Fail, log, say
from tap import Tap

RUNNER = "fuzz/run.sh"
OPS = 1_000_000
# Seconds to boot and to end, and operations in a second that a slow machine does too
BOOT, SLOWEST = 400, 20
# For the log, not for the screen: what joined the corpus, which repeats a program, and what was reached
QUIET = ("# joined ", coverage.PREFIX)


class Guest(suite.LiveGuest):
    """A VM that runs fuzz."""

    def __init__(self, tap: Tap, image: build.Image, virtme: Path, settings: vm.Settings, programs: Path,
                 ops: int, seed: int) -> None:
        command = f"BIN={shlex.quote(str(programs))} {shlex.quote(str(PROJECT / RUNNER))} --ops {ops} --seed {seed}"
        super().__init__(tap, image, virtme, settings, command, RUNNER)
        self.reached: list[str] = []

    def line(self, line: str) -> None:
        """What is for the log goes there, what was reached is kept."""
        if not line.startswith(QUIET):
            super().line(line)
            return
        log().write(line + "\n")
        if line.startswith(coverage.PREFIX):
            self.reached.append(line)


def run(tap: Tap, tree: source.Tree, tools: toolchain.Toolchain, image: build.Image, virtme: Path, ops: int) -> int:
    """So many operations in a VM of this image, the results into a stream of TAP; the seed that repeats them."""
    seed = stress.seed_of_run()
    settings = vm.Settings.from_environment(BOOT + ops / SLOWEST)
    programs = build.build_userland("fuzz", tree, tools, build.find_headers(tree, tools))
    say(f"  {ops} operations in the {image.flavour.name} kernel; SEED={seed} draws the same again")
    guest = Guest(tap, image, virtme, settings, programs, ops, seed)
    suite.run_all([guest])
    if guest.reached:
        coverage.keep(image, guest.reached)
    return seed


def main(tree: source.Tree, tools: toolchain.Toolchain, image: build.Image, virtme: Path) -> None:
    """OPS= operations; what was reached; a Fail that says which seed repeats it."""
    tap = Tap(suite.emit)
    shim = coverage.shim_lines(image)
    seed = run(tap, tree, tools, image, virtme, max(1, round(stress.number("OPS", OPS))))
    if not tap.finish():
        raise Fail(f"make fuzz failed; SEED={seed} repeats it; the log is {log().path}")
    for line in coverage.report(image, shim):
        suite.emit(f"# {line}")
