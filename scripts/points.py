# SPDX-License-Identifier: GPL-2.0
"""Where the compiler calls KCOV: at the beginning of blocks of code. Each call belongs to a line of ours.

The calls are known by their relocations in the module and in the shim's object files. Those of the module stay
with its image, as the module does; the object files are the next build's, so the shim's are written down with each.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from common import Fail, output

OURS = "io_uring/notif/"
KERNEL = "vmlinux"
CALL = "__sanitizer_cov_trace_pc"
# Of an image
FILE = "shim-lines.json"
# From the relocation, which is within the call, to what follows
AFTER = 4
RELOCATIONS = re.compile(r"^Relocation section '\.rela(\S+)'")
RELOCATION = re.compile(rf"^([0-9a-f]+)\s+[0-9a-f]+\s+R_X86_64_(?:PLT|PC)32\s+[0-9a-f]+\s+{CALL}\b")
FUNCTION = re.compile(r"^\s*\d+:\s+([0-9a-f]+)\s+(\d+|0x[0-9a-f]+)\s+FUNC\s+\S+\s+\S+\s+(\d+)\s+(\S+)")
SECTION = re.compile(r"^\s*\[\s*(\d+)\]\s+(\S+)")
CONTENT = re.compile(r"^\s*\[\s*\d+\]\s+(\S+)\s+PROGBITS\s+[0-9a-f]+\s+([0-9a-f]+)", re.M)
# A call says where it returns to. Where a jump ends a function, KCOV is told of the caller
IS_CALL = 0xe8
PLACE = re.compile(rf"{re.escape(OURS)}((?:rust|shim)/[\w/]+\.(?:rs|c|h)):(\d+)")
ADDRESS = re.compile(r"^0x[0-9a-f]+$", re.M)


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


def returning(file: Path, sections: str) -> list[tuple[str, int]]:
    """Section and offset of what follows each call in a file, without jumps; from it and `readelf -SW`."""
    data, begins = file.read_bytes(), {name: int(offset, 16) for name, offset in CONTENT.findall(sections)}
    return [(section, offset) for section, offset in calls(output(["readelf", "-rW", str(file)]))
            if data[begins[section] + offset - AFTER - 1] == IS_CALL]


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
            if place:
                found[offset] = (place[1], int(place[2]))
    return found


def module_points(module: Path) -> dict[int, tuple[str, int]]:
    """The calls of the module: offsets in its .text, with their lines."""
    offsets = [offset for section, offset in returning(module, output(["readelf", "-SW", str(module)])) if section == ".text"]
    return places(module, ".text", offsets)


def shim_points(objects: Iterable[Path]) -> dict[tuple[str, int], tuple[str, int]]:
    """The calls of the shim: functions and offsets in them, with their lines."""
    found: dict[tuple[str, int], tuple[str, int]] = {}
    for file in objects:
        sections = output(["readelf", "-SW", str(file)])
        by_section = functions(sections, output(["readelf", "-sW", str(file)]))
        here: dict[str, list[int]] = {}
        for section, offset in returning(file, sections):
            if text_section(section):
                here.setdefault(section, []).append(offset)
        for section, offsets in here.items():
            lines = places(file, section, offsets)
            for offset, place in lines.items():
                for begin, end, name in by_section.get(section, []):
                    if begin <= offset <= end:
                        found[name, offset - begin] = place
    return found


def in_kernel(points: Mapping[tuple[str, int], tuple[str, int]], nm: str) -> dict[int, tuple[str, int]]:
    """The calls by their offsets from the kernel's _text, which KCOV tells; from `nm -n vmlinux`."""
    symbols = [(int(words[0], 16), words[2]) for words in map(str.split, nm.splitlines())
               if len(words) == 3 and words[1] in "tTwW"]
    base = next((address for address, name in symbols if name == "_text"), 0)
    where: dict[str, list[int]] = {}
    for address, name in symbols:
        where.setdefault(name, []).append(address - base)
    return {begin + offset: place for (name, offset), place in points.items() for begin in where.get(name, [])}


def wanted(config: str) -> bool:
    """Whether a kernel with this .config calls KCOV."""
    return "CONFIG_KCOV=y\n" in config


def write(build: Path, file: Path) -> None:
    """Write down the calls of the shim in a build that has just ended."""
    points = in_kernel(shim_points(sorted((build / OURS / "shim").glob("*.o"))),
                       output(["nm", "-n", str(build / KERNEL)]))
    file.write_text(json.dumps({hex(offset): place for offset, place in points.items()}), encoding="utf-8")


def read(file: Path) -> dict[int, tuple[str, int]]:
    """What was written down: offsets from the kernel's _text, with their lines."""
    if not file.exists():
        raise Fail(f"{file.parent} was built before the lines of its calls of KCOV were kept with it; remove it")
    return {int(offset, 16): (str(name), int(line)) for offset, (name, line)
            in json.loads(file.read_text(encoding="utf-8")).items()}
