# SPDX-License-Identifier: GPL-2.0
"""`make stress`: everything at random and at once in the debug VM, with an oracle; a seed repeats what failed."""

import os
import random
import re
import shlex
from pathlib import Path

import build
import source
import suite
import toolchain
import vm
from common import PROJECT, Fail, log, say
from tap import Source, Tap

RUNNER = "stress/run.sh"
SEED = re.compile(r"SEED=(\d+)")
# Seconds to boot and to set up the network, and for what is stuck: the program says itself what it waited for
BOOT, STUCK = 300, 300


class Guest(suite.Guest):
    """A VM that runs stress: its progress is shown as it comes."""

    def __init__(self, tap: Tap, image: build.Image, virtme: Path, settings: vm.Settings, programs: Path,
                 seconds: int, seed: int) -> None:
        command = f"BIN={shlex.quote(str(programs))} {shlex.quote(str(PROJECT / RUNNER))} --seconds {seconds} --seed {seed}"
        super().__init__(tap, image, virtme, settings, command, "")
        self.source = Source(tap, RUNNER)
        # Of the round that runs, or was the last to
        self.seed = seed

    def output(self, data: bytes) -> None:
        """What run.sh printed: comments at once, results into the stream."""
        *whole, self.rest = (self.rest + data).split(b"\n")
        for text in whole:
            line = text.decode(errors="replace").rstrip("\r")
            found = SEED.search(line)
            if found:
                self.seed = int(found[1])
            if line.startswith("#"):
                with self.source.tap.lock:
                    self.source.tap.emit(line)
            else:
                self.source.line(line)


def number(name: str, default: float) -> float:
    """A variable of the Makefile that is a number above zero."""
    try:
        value = float(os.environ.get(name) or default)
    except ValueError as error:
        raise Fail(f"{name}={os.environ[name]} is no number; give one or leave it out") from error
    if value <= 0:
        raise Fail(f"{name}= wants a number above zero; give one or leave it out")
    return value


def seed_of_run() -> int:
    """SEED=, or another one each time."""
    return int(number("SEED", random.SystemRandom().randrange(1, 1 << 31)))


def run(tap: Tap, tree: source.Tree, tools: toolchain.Toolchain, image: build.Image, virtme: Path,
        seconds: int) -> int:
    """So many seconds of stress in a VM of this image, the results into a stream of TAP; the seed of the last round."""
    seed = seed_of_run()
    settings = vm.Settings.from_environment(BOOT + seconds + STUCK)
    programs = build.build_userland("stress", tree, tools, build.find_headers(tree, tools))
    say(f"  {seconds} s of stress in the {image.flavour.name} kernel; SEED={seed} draws the same again")
    vm.choose_accel(image, virtme, settings)
    guest = Guest(tap, image, virtme, settings, programs, seconds, seed)
    try:
        guest.start()
        guest.join()
    except KeyboardInterrupt:
        vm.CANCELLED.set()
        raise
    if guest.error:
        raise guest.error
    return guest.seed


def main(tree: source.Tree, tools: toolchain.Toolchain, image: build.Image, virtme: Path) -> None:
    """MINUTES= of stress; a Fail that says which seed repeats it."""
    tap = Tap(suite.emit)
    seed = run(tap, tree, tools, image, virtme, max(1, round(60 * number("MINUTES", 5))))
    if not tap.finish():
        raise Fail(f"make stress failed; SEED={seed} repeats it; the log is {log().path}")
