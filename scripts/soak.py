# SPDX-License-Identifier: GPL-2.0
"""`make soak`: stress for MINUTES= in one boot; slab, module references and locked memory must stay as they are."""

import re
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import build
import source
import stress
import suite
import toolchain
import vm
from common import Fail, log, say
from tap import Tap

RUNNER = "stress/soak.sh"
SAMPLE = re.compile(r"^# soak: (.*)$", re.M)
# Between rounds there is nothing in flight, which stress asks for itself: these are what they were
EXACT = ("refs", "pins", "mlocked_kb")
# What a cache, or the kernel for reasons of its own, may have more in the end: a part of it, and so much anyway
PART, OBJECTS, KILOBYTES = 0.02, 300, 4096
# The first looks find caches that are still filling up; with fewer than LEAST in all nothing can be said
SKIPPED, LEAST = 3, 8
MINUTES = 60


@dataclass(frozen=True)
class Growth:
    """What has grown: from what it was early to what it is late."""

    name: str
    early: float
    late: float

    def __str__(self) -> str:
        return f"{self.name} grew from {self.early:.0f} to {self.late:.0f}"


def samples(text: str) -> list[dict[str, int]]:
    """The looks that soak.sh has printed, in the order of time."""
    return [{key: int(value) for key, value in (word.split("=") for word in line.split())}
            for line in SAMPLE.findall(text)]


def spare(name: str, early: float) -> float:
    """How much more of it there may be."""
    return PART * early + (KILOBYTES if name.endswith("_kb") else OBJECTS)


def growths(looks: list[dict[str, int]]) -> list[Growth]:
    """What isn't flat: medians of the first and the last third of the looks, so that a single one says nothing."""
    looks = looks[SKIPPED:]
    if len(looks) < LEAST - SKIPPED:
        raise Fail(f"soak had time for {len(looks) + SKIPPED} looks, and {LEAST} are the least; give it more MINUTES=")
    third = max(1, len(looks) // 3)
    found = []
    for name in looks[0]:
        if name == "seconds":
            continue
        values = [look.get(name, 0) for look in looks]
        if name in EXACT:
            early, late, more = float(min(values)), float(max(values)), 0.0
        else:
            early, late = median(values[:third]), median(values[-third:])
            more = spare(name, early)
        if late > early + more:
            found.append(Growth(name, early, late))
    return found


class Guest(stress.Guest):
    """A VM that soaks: what it prints is kept, to be judged in the end."""

    text = ""

    def line(self, line: str) -> None:
        """As stress does, and keep it."""
        self.text += line + "\n"
        super().line(line)


def judge(tap: Tap, text: str) -> None:
    """The figures of the first and the last look, and whether all is flat."""
    try:
        looks = samples(text)
        found = growths(looks)
    except Fail as error:
        tap.result(False, f"soak: {error}")
        return
    first, last = looks[SKIPPED], looks[-1]
    said = [f"# {name}: {first[name]} after {first['seconds']} s, {last.get(name, 0)} after {last['seconds']} s"
            for name in first if name != "seconds"]
    tap.result(not found, f"soak: nothing grows in {len(looks)} looks" if not found else
               f"soak: {'; '.join(map(str, found))}", said)


def main(tree: source.Tree, tools: toolchain.Toolchain, image: build.Image, virtme: Path) -> None:
    """MINUTES= of stress with a look after each round; a Fail that says which seed repeats it."""
    tap = Tap(suite.emit)
    minutes = max(1, round(stress.number("MINUTES", MINUTES)))
    seed = stress.seed_of_run()
    settings = vm.Settings.from_environment(stress.BOOT + 2 * stress.STUCK + 90 * minutes)
    programs = build.build_userland("stress", tree, tools, build.find_headers(tree, tools))
    say(f"  {minutes} min of stress in the {image.flavour.name} kernel; SEED={seed} draws the same again")
    guest = Guest(tap, image, virtme, settings, programs, f"--minutes {minutes}", seed, RUNNER)
    suite.run_all([guest])
    judge(tap, guest.text)
    if not tap.finish():
        raise Fail(f"make soak failed; SEED={guest.seed} repeats it; the log is {log().path}")
