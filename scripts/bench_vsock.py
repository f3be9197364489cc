# SPDX-License-Identifier: GPL-2.0
"""Receiving on vsock by recv() and by mapping: the boot that measures it, its lines of bench/vsock.c, and the RFC's table."""

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import bare
import vm
from build import Image
from common import Fail, say

LINE = re.compile(r"vsock (\w+) (\d+) (\d+) bytes=(\d+) receiver=(\d+) whole=(\d+) copied=(\d+) same=\d+$")
MISSING = re.compile(r"vsock missing (.*)$")
WAYS = {
    "recv": "recv()",
    "fixed": "map, the kernel drops what was there",
    "madvise": "map, madvise() after each call",
    "moving": "map, a window that moves",
}
COLUMNS = (8, 32, 64, 256, 512)
# What a log of instructions has room for
MOST_PROFILED, MOST_PACKET = 256, 65536
# Below a page, of which a batch has so many: no part of the table
BATCH, PAGE = 64, 4096


@dataclass(frozen=True)
class Receive:
    """One figure: instructions (or cycles) for so many bytes, of the receiver's calls and of all that there is."""

    way: str
    pages: int
    packet: int
    bytes: int
    receiver: int
    whole: int
    copied: int

    def to_json(self) -> dict[str, object]:
        """As bench.json has it."""
        return asdict(self)


@dataclass(frozen=True)
class Work:
    """A row that `make profile` runs: what it is to the program, and how a person calls it."""

    way: str
    pages: int
    packet: int
    program = "vsock"

    @classmethod
    def parse(cls, text: str) -> "Work":
        """A row as the program reads it, behind the word vsock; of a window that moves a call is no whole."""
        words = text.split()[1:]
        if len(words) != 3 or words[0] not in WAYS or words[0] == "moving" or not all(word.isdigit() for word in words[1:]):
            raise Fail(f"ROW={text} is no row; say vsock, then recv, fixed or madvise, pages, and bytes of a packet, "
                       "for example ROW='vsock fixed 64 4096'")
        work = cls(words[0], int(words[1]), int(words[2]))
        if not (1 <= work.pages <= MOST_PROFILED and 1 <= work.packet <= MOST_PACKET):
            raise Fail(f"ROW={text} is too large; pages are 1 to {MOST_PROFILED}, a packet has 1 to {MOST_PACKET} bytes")
        return work

    def commands(self, program: str, seconds: int) -> str:
        """What the guest runs: the figure, then the row over and over."""
        return f"{program} --instructions --row {seconds} {self.way} {self.pages} {self.packet}"

    @property
    def batch(self) -> int:
        """Of what the figures are: pages."""
        return self.pages

    def title(self) -> str:
        """What a person calls it."""
        return f"{WAYS[self.way]}, {self.pages} pages a call, packets of {self.packet} bytes; by page"

    def measured(self, line: str) -> float | None:
        """The program's own figure, if this line has it."""
        found = LINE.match(line)
        return int(found[5]) / self.pages if found else None


class Reader(vm.Lines):
    """Makes figures of what the program prints."""

    def __init__(self) -> None:
        self.found: list[Receive] = []
        self.missing = self.wrong = ""

    def line(self, line: str) -> None:
        """One whole line."""
        found, missing = LINE.match(line), MISSING.match(line)
        if found:
            self.found.append(Receive(found[1], *map(int, found.groups()[1:])))
        elif missing:
            self.missing = missing[1]
        elif line.startswith("error ") and not self.wrong:
            self.wrong = line.removeprefix("error ")
        else:
            say(f"  {line}")

    def all_of(self, result: vm.Result, settings: vm.Settings) -> list[Receive]:
        """The figures of a run that has ended."""
        if not (result.hung or result.splats) and self.wrong:
            raise Fail(f"the benchmark's own check failed: {self.wrong}")
        vm.verdict(result, "the benchmark of vsock", settings.timeout)
        if not (self.missing or any(one.way == "moving" for one in self.found)):
            raise Fail("bench/vsock.c ended before it had measured all; see the log")
        return self.found


def measure(image: Image, virtme: Path, settings: vm.Settings, program: Path, quick: bool) -> list[Receive]:
    """Boot a guest that nothing reaches from outside, and have the program measure."""
    files, command, reader = {"vsock": program}, "/vsock --instructions", Reader()
    if quick:
        command += " --quick"
    return reader.all_of(bare.in_bare_vm(image, virtme, settings, files, command, reader.data), settings)


def cycles(image: Image, virtme: Path, settings: vm.Settings, program: Path, quick: bool) -> list[Receive]:
    """The same in cycles of this machine's processor, where KVM boots a guest; nothing where it doesn't."""
    if not vm.kvm_boots(image, virtme):
        return []
    reader, settings = Reader(), replace(settings, accel="kvm")
    command = shlex.quote(str(program)) + (" --quick" if quick else "")
    return reader.all_of(vm.in_vm(image, virtme, settings, command, "/", reader.data), settings)


def table(found: list[Receive], packet: int, what: str) -> Iterator[str]:
    """The RFC's: a line for each way, a column for each size; what was copied where it's not all or nothing."""
    cells = {(one.way, one.pages): one for one in found if one.packet == packet}
    title = {"receiver": "the receiver's calls", "whole": "the whole path"}[what]
    yield f"{f'  {title}, packets of {packet} bytes':50}" + "".join(f"{pages:>13}" for pages in COLUMNS)
    for way, name in WAYS.items():
        shown = ""
        for pages in COLUMNS:
            one = cells.get((way, pages))
            base = cells.get(("recv", pages))
            if not one or not base:
                break
            figure, other = (getattr(row, what) / row.bytes for row in (one, base))
            shown += f"{figure:>7.4f} {figure / other:5.2f}"
        else:
            copied = {one.copied / one.bytes for (by, _), one in cells.items() if by == way}
            share = f", {min(copied):.0%} to {max(copied):.0%} copied" if way != "recv" and max(copied) else ""
            yield f"    {name + share:46}{shown}"


def reports(found: Iterable[Receive], hardware: Iterable[Receive]) -> Iterator[str]:
    """Instructions, and beside them cycles, if there are any: a TLB flush is one instruction."""
    found, hardware = list(found), list(hardware)
    yield from report(found)
    yield from report(hardware, "cycles")
    if found and not hardware:
        yield "vsock over loopback: cycles n/a, as KVM boots no guest here"
        yield ""


def report(found: Iterable[Receive], unit: str = "instructions") -> Iterator[str]:
    """What a person reads."""
    found = list(found)
    if not found:
        return
    yield f"vsock over loopback: {unit} per byte and the ratio to recv(), by the pages of a call"
    for packet in dict.fromkeys(one.packet for one in found if one.packet >= PAGE):
        for what in ("receiver", "whole"):
            yield from table(found, packet, what)
    small = [one for one in found if one.packet < PAGE]
    yield f"  {'nobody has opted in, recv() of 64 packets of':48}" + "".join(f"{one.packet:>13}" for one in small)
    for what, title in (("receiver", "the receiver's calls"), ("whole", "the whole path")):
        yield f"    {f'{unit} per packet, {title}':46}" + "".join(f"{getattr(one, what) / BATCH:>13.2f}" for one in small)
    yield ""


def changes(before: list[Receive], after: list[Receive]) -> Iterator[str]:
    """What changed between two runs of recv(), which is what a kernel without all this has as well."""
    old = {(one.way, one.pages, one.packet): one for one in before}
    new = {(one.way, one.pages, one.packet): one for one in after}
    common = [key for key in new if key in old]
    moved = [key for key in common if (old[key].receiver, old[key].whole) != (new[key].receiver, new[key].whole)]
    if common:
        yield f"vsock: {len(moved)} of {len(common)} figures changed, the others are the same to the digit"
    for key in moved:
        yield (f"  {old[key].receiver:>10} {new[key].receiver:>10}  whole {old[key].whole:>10} {new[key].whole:>10}  "
               f"{WAYS[key[0]]}, {key[1]} pages, packets of {key[2]}")
