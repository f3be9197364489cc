# SPDX-License-Identifier: GPL-2.0
"""What fuzz/ has reached of rust/ and shim/, by line: from KCOV's program counters.

The compiler calls KCOV at the beginning of blocks of code. A line counts if such a call belongs to
it, and is reached if one of these was made. The calls are known by their relocations in the module
and in the shim's object files; KCOV tells where they return to.

KCOV tells what tasks do in system calls. What softirqs, kernel threads, io-wq and SQPOLL threads
reach is not in it.
"""

import filecmp
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from build import Image
from cache import prune
from common import PROJECT, Fail, cache_dir, log, output

PREFIX = "# cover "
OURS = "io_uring/notif/"
MODULE = "io_uring_notif"
KERNEL = "vmlinux"
CALL = "__sanitizer_cov_trace_pc"
# From the relocation, which is within the call, to what follows
AFTER = 4
RELOCATIONS = re.compile(r"^Relocation section '\.rela(\S+)'")
RELOCATION = re.compile(rf"^([0-9a-f]+)\s+[0-9a-f]+\s+R_X86_64_(?:PLT|PC)32\s+[0-9a-f]+\s+{CALL}\b")
FUNCTION = re.compile(r"^\s*\d+:\s+([0-9a-f]+)\s+(\d+|0x[0-9a-f]+)\s+FUNC\s+\S+\s+\S+\s+(\d+)\s+(\S+)")
SECTION = re.compile(r"^\s*\[\s*(\d+)\]\s+(\S+)")
PLACE = re.compile(rf"{re.escape(OURS)}((?:rust|shim)/[\w/]+\.(?:rs|c|h)):(\d+)")
ADDRESS = re.compile(r"^0x[0-9a-f]+$", re.M)
# From there on a file of rust/ has only tests, which run as the module is loaded
TESTS = re.compile(r"^#\[cfg\(CONFIG_IO_URING_NOTIF_KUNIT_TEST\)\]$", re.M)
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
    found: dict[str, set[int]] = {MODULE: set(), KERNEL: set()}
    for line in text.splitlines():
        if line.startswith(PREFIX):
            name, *offsets = line[len(PREFIX):].split()
            found.setdefault(name, set()).update(int(offset, 16) for offset in offsets)
    return found


def calls(readelf: str) -> Iterator[tuple[str, int]]:
    """Section and offset of what follows each call, from `readelf -rW`."""
    section = ""
    for line in readelf.splitlines():
        begins = RELOCATIONS.match(line)
        if begins:
            section = begins[1]
        found = RELOCATION.match(line)
        if found:
            yield section, int(found[1], 16) + AFTER


def functions(sections: str, symbols: str) -> dict[str, list[tuple[int, int, str]]]:
    """Begin, end and name of the functions of each section, from `readelf -SW` and `-sW`."""
    names = {found[1]: found[2] for found in map(SECTION.match, sections.splitlines()) if found}
    result: dict[str, list[tuple[int, int, str]]] = {}
    for line in symbols.splitlines():
        found = FUNCTION.match(line)
        if found:
            begin, size = int(found[1], 16), int(found[2], 0)
            result.setdefault(names.get(found[3], ""), []).append((begin, begin + size, found[4]))
    return result


def text_section(name: str) -> bool:
    """Whether it has code that runs after the boot."""
    return name == ".text" or name.startswith(".text.")


def places(file: Path, section: str, offsets: list[int]) -> dict[int, tuple[str, int]]:
    """File and line of ours that the call before each offset is in, or is inlined in, where there is one."""
    found: dict[int, tuple[str, int]] = {}
    for at in range(0, len(offsets), 500):
        some = offsets[at:at + 500]
        # What follows the call may be another line's
        said = output(["addr2line", "-a", "-i", "-j", section, "-e", str(file), *(hex(offset - 1) for offset in some)])
        for offset, frames in zip(some, ADDRESS.split(said)[1:]):
            place = PLACE.search(frames)
            if place and not is_test(place[1], int(place[2])):
                found[offset] = (place[1], int(place[2]))
    return found


@cache
def first_test(name: str) -> int:
    """The line of one of our files from which on it has only tests."""
    text = (PROJECT / name).read_text(encoding="utf-8")
    found = TESTS.search(text)
    return text.count("\n", 0, found.start()) + 1 if found else text.count("\n") + 2


def is_test(name: str, line: int) -> bool:
    """Whether it is code that no program reaches, but KUnit."""
    return name == TESTING or line >= first_test(name)


def module_points(module: Path) -> dict[int, tuple[str, int]]:
    """The calls of the module: offsets in its .text, with their lines."""
    offsets = [offset for section, offset in calls(output(["readelf", "-rW", str(module)])) if section == ".text"]
    return places(module, ".text", offsets)


def shim_points(objects: Iterable[Path]) -> dict[tuple[str, int], tuple[str, int]]:
    """The calls of the shim: functions and offsets in them, with their lines."""
    found: dict[tuple[str, int], tuple[str, int]] = {}
    for file in objects:
        by_section = functions(output(["readelf", "-SW", str(file)]), output(["readelf", "-sW", str(file)]))
        here: dict[str, list[int]] = {}
        for section, offset in calls(output(["readelf", "-rW", str(file)])):
            if text_section(section):
                here.setdefault(section, []).append(offset)
        for section, offsets in here.items():
            lines = places(file, section, offsets)
            for offset, place in lines.items():
                for begin, end, name in by_section.get(section, []):
                    if begin <= offset <= end:
                        found[name, offset - begin] = place
    return found


def named(offsets: Iterable[int], nm: str) -> set[tuple[str, int]]:
    """Functions and offsets in them, of offsets from the kernel's _text; from `nm -n vmlinux`."""
    symbols = [(int(words[0], 16), words[2]) for words in map(str.split, nm.splitlines())
               if len(words) == 3 and words[1] in "tTwW"]
    base = next((address for address, name in symbols if name == "_text"), 0)
    found, at = set(), 0
    for offset in sorted(offsets):
        while at + 1 < len(symbols) and symbols[at + 1][0] < base + offset:
            at += 1
        # Several names of one address
        first = at
        while first >= 0 and symbols[first][0] == symbols[at][0]:
            found.add((symbols[first][1], base + offset - symbols[first][0]))
            first -= 1
    return found


def collect(points: Iterable[tuple[tuple[str, int], bool]]) -> dict[str, Lines]:
    """The lines of each file, from the place of each call and whether it was made."""
    found: dict[str, Lines] = {}
    for (name, line), reached in points:
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


def build_folder(image: Image) -> Path:
    """Where the image was built, with the objects that it was made of."""
    folder = Path(json.loads((image.folder / "info.json").read_text(encoding="utf-8"))["build"])
    kernel = folder / image.flavour.boots
    if not (kernel.exists() and filecmp.cmp(kernel, image.bzimage, shallow=False)):
        raise Fail(f"{folder} has another kernel by now; its lines are not those of {image.folder.name}")
    return folder


def report(image: Image) -> list[str]:
    """What all runs of this image together have reached."""
    files = sorted((cache_dir() / "coverage" / image.folder.name).glob("*.txt"))
    if not files:
        return []
    module = next((image.folder / "lib/modules").rglob(f"{MODULE}.ko"), None)
    if not module:
        raise Fail(f"{image.folder} has no {MODULE}.ko; coverage is told of a kernel with the module")
    pcs = parse("\n".join(file.read_text(encoding="utf-8", errors="replace") for file in files))
    built = build_folder(image)
    reached = named(pcs[KERNEL], output(["nm", "-n", str(built / KERNEL)]))
    points = [(place, offset in pcs[MODULE]) for offset, place in module_points(module).items()]
    points += [(place, point in reached) for point, place in
               shim_points(sorted((built / OURS / "shim").glob("*.o"))).items()]
    return table(collect(points)) if points else [f"{module} has no lines; is CONFIG_KCOV set?"]
