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
from tap import Tap

RUNNER = "stress/run.sh"
SEED = re.compile(r"SEED=(\d+)")
# Seconds to boot and to set up the network, and for what is stuck: the program says itself what it waited for
BOOT, STUCK = 300, 300


class Guest(suite.LiveGuest):
    """A VM that runs stress."""

    def __init__(self, tap: Tap, image: build.Image, virtme: Path, settings: vm.Settings, programs: Path,
                 options: str, seed: int, runner: str = RUNNER) -> None:
        command = f"BIN={shlex.quote(str(programs))} {shlex.quote(str(PROJECT / runner))} {options} --seed {seed}"
        super().__init__(tap, image, virtme, settings, command, runner)
        # Of the round that runs, or was the last to
        self.seed = seed

    def line(self, line: str) -> None:
        """Remember the seed of each round."""
        found = SEED.search(line)
        if found:
            self.seed = int(found[1])
        super().line(line)


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
    guest = Guest(tap, image, virtme, settings, programs, f"--seconds {seconds}", seed)
    suite.run_all([guest])
    return guest.seed


def main(tree: source.Tree, tools: toolchain.Toolchain, image: build.Image, virtme: Path) -> None:
    """MINUTES= of stress; a Fail that says which seed repeats it."""
    tap = Tap(suite.emit)
    seed = run(tap, tree, tools, image, virtme, max(1, round(60 * number("MINUTES", 5))))
    if not tap.finish():
        raise Fail(f"make stress failed; SEED={seed} repeats it; the log is {log().path}")
