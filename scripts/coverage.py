# SPDX-License-Identifier: GPL-2.0
"""What fuzz/ has reached of rust/ and shim/, by line: from KCOV's program counters.

A line counts if a call of KCOV belongs to it (points.py), and is reached if one of these was made; KCOV
tells where they return to.

KCOV tells what tasks do in system calls. What softirqs, kernel threads, io-wq and SQPOLL threads
reach is not in it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import points
from build import Image
from cache import prune
from common import PROJECT, Fail, cache_dir, log

PREFIX = "# cover "
MODULE = "io_uring_notif"
# From there on a file of rust/ has only tests, which run as the module is loaded
TESTS = re.compile(r"^#\[(cfg\(CONFIG_IO_URING_NOTIF_KUNIT_TEST\)\]$|kunit_tests\()", re.M)
TESTING = "rust/sys/testing.rs"
KEEP = 20


@dataclass
class Lines:
    """The lines of a file that have a call, and those whose call was made."""

    all: set[int] = field(default_factory=set)
    reached: set[int] = field(default_factory=set)


def keep(image: Image, lines: list[str]) -> None:
    """Remember what a run has printed, with the image that it ran."""
    folder = cache_dir() / "coverage" / image.folder.name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{log().path.stem}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    prune(folder.parent, KEEP)


def parse(text: str) -> dict[str, set[int]]:
    """Offsets by where they count from: the module's .text, or the kernel's _text."""
    found: dict[str, set[int]] = {MODULE: set(), points.KERNEL: set()}
    for line in text.splitlines():
        if line.startswith(PREFIX):
            name, *offsets = line[len(PREFIX):].split()
            found.setdefault(name, set()).update(int(offset, 16) for offset in offsets)
    return found


@cache
def first_test(name: str) -> int:
    """The line of one of our files from which on it has only tests."""
    text = (PROJECT / name).read_text(encoding="utf-8")
    found = TESTS.search(text)
    return text.count("\n", 0, found.start()) + 1 if found else text.count("\n") + 2


def is_test(name: str, line: int) -> bool:
    """Whether it is code that no program reaches, but KUnit."""
    return name == TESTING or name.endswith("/tests.rs") or line >= first_test(name)


def collect(calls: Iterable[tuple[tuple[str, int], bool]]) -> dict[str, Lines]:
    """The lines of each file, from the place of each call and whether it was made."""
    found: dict[str, Lines] = {}
    for (name, line), reached in calls:
        lines = found.setdefault(name, Lines())
        lines.all.add(line)
        if reached:
            lines.reached.add(line)
    return found


def ranges(lines: Iterable[int]) -> str:
    """1, 2, 3, 7 as 1-3, 7."""
    found: list[list[int]] = []
    for line in sorted(lines):
        if found and found[-1][1] == line - 1:
            found[-1][1] = line
        else:
            found.append([line, line])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in found)


def table(found: dict[str, Lines]) -> list[str]:
    """How much of each file was reached, and the lines that were not."""
    said = [f"{'reached':>9} {'of lines':>8}  file, and the lines that nothing has reached"]
    for name in sorted(found):
        lines = found[name]
        missing = ranges(lines.all - lines.reached)
        said.append(f"{len(lines.reached):>9} {len(lines.all):>8}  {name}{': ' if missing else ''}{missing}")
    reached, everything = (sum(len(getattr(f, kind)) for f in found.values()) for kind in ("reached", "all"))
    said.append(f"{reached:>9} {everything:>8}  all; lines that have the beginning of a block, reached in system calls")
    return said


def shim_lines(image: Image) -> dict[int, tuple[str, int]]:
    """The calls of the shim of this image; asked before a run, so that it can be told of what it reaches."""
    kept = (image.folder / "config").read_text(encoding="utf-8")
    return points.read(image.folder / points.FILE) if points.wanted(kept) else {}


def report(image: Image, shim: dict[int, tuple[str, int]]) -> list[str]:
    """What all runs of this image together have reached."""
    files = sorted((cache_dir() / "coverage" / image.folder.name).glob("*.txt"))
    if not files:
        return []
    module = next((image.folder / "lib/modules").rglob(f"{MODULE}.ko"), None)
    if not module:
        raise Fail(f"{image.folder} has no {MODULE}.ko; coverage is told of a kernel with the module")
    pcs = parse("\n".join(file.read_text(encoding="utf-8", errors="replace") for file in files))
    if not pcs[MODULE]:
        raise Fail(f"{files[-1]} tells of no call in the module; it is from fuzz/cover.c, look there")
    calls = [(place, offset in pcs[MODULE]) for offset, place in points.module_points(module).items()]
    calls += [(place, offset in pcs[points.KERNEL]) for offset, place in shim.items()]
    calls = [(place, reached) for place, reached in calls if not is_test(*place)]
    return table(collect(calls)) if calls else [f"{module} has no lines; is CONFIG_KCOV set?"]
