# SPDX-License-Identifier: GPL-2.0
"""Static branches of a module that the kernel cannot patch.

The kernel puts a jump in place of a no-op of the same size. clang 22 has assembled one of two
bytes whose target was 128 bytes away, which two bytes cannot say: enabling it is a BUG at
text-patching.h:117, so such a module is none.
"""

import re
from pathlib import Path

from common import Fail, output

SHORT_NOP, SHORT_JMP = b"\x66\x90", b"\xeb"
PLACE = re.compile(r"R_X86_64_PC32\s+\S+\s+(\S+) \+ ([0-9a-f]+)")
SECTION = re.compile(r"^\s*\[\s*\d+\]\s+(\S+)\s+PROGBITS\s+\S+\s+([0-9a-f]+)\s+([0-9a-f]+)", re.M)


def places(readelf: str) -> list[tuple[str, int, int]]:
    """Of what `readelf -rW` shows: the section, address and target of each static branch."""
    table = readelf.partition("'.rela__jump_table'")[2].partition("\nRelocation section")[0]
    found = [(name, int(at, 16)) for name, at in PLACE.findall(table)]
    return [(name, at, target) for (name, at), (_, target) in zip(found[::2], found[1::2])]


def out_of_reach(code: bytes, at: int, target: int) -> bool:
    """Whether a static branch has two bytes, and its target is where they cannot jump."""
    short = code[at:at + 2] == SHORT_NOP or code[at:at + 1] == SHORT_JMP
    return short and not -128 <= target - (at + 2) <= 127


def check(module: Path) -> None:
    """A Fail when a module of x86 has a static branch that cannot be patched; others have none in this form."""
    data = module.read_bytes()
    sections = {name: data[int(start, 16):int(start, 16) + int(size, 16)]
                for name, start, size in SECTION.findall(output(["readelf", "-SW", str(module)]))}
    for name, at, target in places(output(["readelf", "-rW", str(module)])):
        if out_of_reach(sections.get(name, b""), at, target):
            raise Fail(f"{module.name}: the static branch at {name}+{at:#x} has two bytes, and its target is "
                       f"{target - at - 2} away, which the kernel dies of; change the code around it a little")
