# SPDX-License-Identifier: GPL-2.0
"""Where the instructions of a request go, by function: from QEMU's log of all that it executed.

The log has a line for each instruction. It is cut into windows of one batch, each from the
system call that begins a batch to the next such one. As in the benchmark the windows with the
least instructions count, those without an interrupt: what they have in each function, divided
by their requests, is the profile. An inlined function counts for the one that it is inlined in.
"""

import re
from array import array
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from common import Fail

# An instruction; or that the one before was not executed after all, and comes again
LINE = re.compile(rb"^(?:Trace \d+: 0x[0-9a-f]+ \[[0-9a-f]+/([0-9a-f]+)/|Stopped execution)", re.M)
KALLSYMS = re.compile(r"^([0-9a-f]+) ([tTwW]) (\S+)(?:\t\[(\S+)\])?$", re.M)
CHUNK = 1 << 24
KERNEL = 1 << 63
ENTRY = re.compile(r"entry_SYSCALL_64$")
# Each request comes to one of these once
SENDS = re.compile(r"(udp_sendmsg|udpv6_sendmsg|tcp_sendmsg)$")
# The client makes these before and after a window whose data comes from somewhere
BEGINS, ENDS = re.compile(r"__x64_sys_getpgid$"), re.compile(r"__x64_sys_getsid$")
SMALLEST = 0.5
USER = "user space"
UNKNOWN = "code without a name"
MODULE = "[io_uring_notif]"
# What a function belongs to: the first of these that its file begins with
GROUPS = (
    (MODULE, "slots: module and shim"),
    ("io_uring/notif/", "slots: module and shim"),
    ("rust/", "slots: module and shim"),
    ("io_uring/net.", "io_uring/net.c"),
    ("io_uring/notif.", "io_uring/notif.c: mainline's own"),
    ("io_uring/", "io_uring, the rest"),
    ("net/core/", "net/core: skbs, sockets, devices"),
    ("net/", "net, the rest: UDP, TCP, IP"),
    ("drivers/", "drivers"),
    ("mm/", "memory: slab and pages"),
    ("fs/", "files"),
    ("arch/x86/entry/", "system call entry"),
    ("arch/x86/lib/", "lib/ and copying"),
    ("lib/", "lib/ and copying"),
    ("kernel/", "kernel/: locks, RCU, tasks, time"),
)
OTHER = "other"


@dataclass(frozen=True)
class Function:
    """A function, and its object file or module, if known."""

    name: str
    file: str = ""

    @property
    def group(self) -> str:
        """The part of the system that it belongs to."""
        if self.name == USER:
            return USER
        return next((group for start, group in GROUPS if self.file.startswith(start)), OTHER)


def parse_objects(text: str, root: str) -> dict[str, set[str]]:
    """From `nm -A vmlinux.a`: the object files, below `root`, that have a function of this name."""
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        where, kind, name = line.rsplit(" ", 2)
        if kind in "tTwW":
            found.setdefault(name, set()).add(where.split(":")[-2].removeprefix(root).lstrip("/"))
    return found


class Symbols:
    """The functions of a running kernel and of its modules, by address."""

    def __init__(self, kallsyms: str, objects: dict[str, set[str]]) -> None:
        """`kallsyms` is the guest's /proc/kallsyms, as root reads it."""
        names: dict[int, tuple[str, str]] = {}
        for address, kind, name, module in KALLSYMS.findall(kallsyms):
            # A function may have several names: the global one is known to more people
            if int(address, 16) not in names or kind == "T":
                names[int(address, 16)] = (name, module)
        if not any(names):
            raise Fail("the guest's /proc/kallsyms has no addresses; it has to be read by root, with kptr_restrict=0")
        self.starts = sorted(names)
        self.functions = []
        near = ""
        for start in self.starts:
            name, module = names[start]
            where = objects.get(name, set())
            # Of files with a static function of this name it is the one that its neighbour is from;
            # so is one that is new since or was before the build that the names are from
            near = next(iter(where)) if len(where) == 1 else near if near in where or not where else ""
            self.functions.append(Function(name, f"[{module}]" if module else near))

    def at(self, pc: int) -> tuple[Function, bool]:
        """The function that has this instruction, and whether it is its first."""
        if pc < KERNEL:
            return Function(USER), False
        place = bisect_right(self.starts, pc) - 1
        if place < 0 or self.functions[place].name == "_etext":
            return Function(UNKNOWN), False
        return self.functions[place], self.starts[place] == pc

    def starts_of(self, names: re.Pattern[str]) -> set[int]:
        """Where the functions of these names start."""
        return {start for start, function in zip(self.starts, self.functions) if names.match(function.name)}


def read_trace(path: Path) -> "array[int]":
    """The address of each instruction, in the order in which they were executed."""
    pcs: "array[int]" = array("Q")
    rest = b""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            whole, _, rest = (rest + chunk).rpartition(b"\n")
            for found in LINE.findall(whole):
                if found:
                    pcs.append(int(found, 16))
                elif pcs:
                    pcs.pop()
    return pcs


def cut_marked(pcs: "array[int]", symbols: Symbols) -> list[tuple[int, int]]:
    """The windows between two marks: what feeds them, and reads what came of them, is outside."""
    entries, begins, ends = (symbols.starts_of(names) for names in (ENTRY, BEGINS, ENDS))
    windows = []
    entered = start = None
    marked = False
    for place, pc in enumerate(pcs):
        if pc in entries:
            entered = place
        elif pc in begins:
            marked, start = True, None
        elif pc in ends:
            if start is not None and entered is not None:
                windows.append((start, entered))
            marked, start = False, None
        elif marked and start is None and pc < KERNEL:
            start = place
    return windows


def cut(pcs: "array[int]", symbols: Symbols, batch: int) -> list[tuple[int, int]]:
    """The windows: the first instruction of each, and the first after it."""
    entries, sends = symbols.starts_of(ENTRY), symbols.starts_of(SENDS)
    windows = []
    entered = start = None
    requests = 0
    for place, pc in enumerate(pcs):
        if pc in entries:
            entered = place
        elif pc in sends and entered is not None:
            if start is None:
                start = entered
            elif requests == batch:
                windows.append((start, entered))
                start, requests = entered, 0
            requests += 1
    return windows


@dataclass
class Profile:
    """Instructions and calls of each function, for one request."""

    batch: int
    windows: int
    chosen: int
    functions: dict[Function, float] = field(default_factory=dict)
    calls: dict[Function, float] = field(default_factory=dict)
    name: str = ""
    # What the benchmark says of the same row in the same boot
    measured: float = 0

    @property
    def total(self) -> float:
        """Instructions of a request."""
        return sum(self.functions.values())

    def groups(self) -> dict[str, float]:
        """Instructions of each part of the system."""
        sums: dict[str, float] = {}
        for function, number in self.functions.items():
            sums[function.group] = sums.get(function.group, 0) + number
        return sums

    def rename(self, names: dict[str, str]) -> None:
        """Give functions other names."""
        self.functions, self.calls = ({replace(f, name=names.get(f.name, f.name)): n for f, n in found.items()}
                                      for found in (self.functions, self.calls))


def profile(pcs: "array[int]", symbols: Symbols, batch: int) -> Profile:
    """The profile of a log."""
    windows = cut_marked(pcs, symbols) or cut(pcs, symbols, batch)
    if not windows:
        raise Fail(f"the log of {len(pcs)} instructions has no whole batch of {batch} requests; "
                   "choose a row with fewer instructions")
    least = min(after - first for first, after in windows)
    chosen = [(first, after) for first, after in windows if after - first == least]
    result = Profile(batch, len(windows), len(chosen))
    requests = batch * len(chosen)
    counts: Counter[int] = Counter()
    for first, after in chosen:
        counts.update(pcs[first:after])
    for pc, number in counts.items():
        function, is_first = symbols.at(pc)
        result.functions[function] = result.functions.get(function, 0) + number / requests
        if is_first:
            result.calls[function] = result.calls.get(function, 0) + number / requests
    return result


def head(found: Profile) -> list[str]:
    """What was profiled, and how well that agrees with the benchmark."""
    return [found.name, f"{found.total:.2f} instructions per request; the benchmark counts {found.measured:.2f}",
            f"{found.windows} batches of {found.batch} in the log; the {found.chosen} with the least instructions "
            "are shown", ""]


def report_one(found: Profile) -> list[str]:
    """The parts, then the functions, the largest first."""
    def line(number: float, calls: str, what: str) -> str:
        return f"{number:10.2f}  {100 * number / found.total:5.1f}%  {calls:>6}  {what}".rstrip()

    lines = [*head(found), "    instr.       %   calls"]
    lines += [line(n, "", name) for name, n in sorted(found.groups().items(), key=lambda item: (-item[1], item[0]))]
    shown = sorted(found.functions.items(), key=lambda item: (-item[1], item[0].name))
    large = [(function, number) for function, number in shown if number >= SMALLEST]
    lines.append("")
    for function, number in large:
        calls = f"{found.calls[function]:.2f}" if function in found.calls else ""
        lines.append(line(number, calls, f"{function.name:<39} {function.file}"))
    small = found.total - sum(number for _, number in large)
    return [*lines, line(small, "", f"{len(shown) - len(large)} functions with less than {SMALLEST} each"),
            line(found.total, "", "all")]


def side_by_side(one: dict[str, float], two: dict[str, float]) -> list[str]:
    """A line for each name, the largest difference first; the small ones as one."""
    def line(first: float, second: float, what: str) -> str:
        return f"{first:10.2f} {second:10.2f} {second - first:+10.2f}  {what}".rstrip()

    rows = [(one.get(name, 0), two.get(name, 0), name) for name in {**one, **two}]
    small = [row for row in rows if max(row[:2]) < SMALLEST]
    large = sorted(set(rows) - set(small), key=lambda row: (-round(abs(row[1] - row[0]), 2), -row[0], row[2]))
    rest = [line(sum(row[0] for row in small), sum(row[1] for row in small),
                 f"{len(small)} with less than {SMALLEST} each")] if small else []
    return [*(line(*row) for row in large), *rest, line(sum(one.values()), sum(two.values()), "all")]


def report_two(one: Profile, two: Profile) -> list[str]:
    """Both beside each other, the parts and then the functions."""
    functions = [{f"{f.name:<39} {f.file}": number for f, number in found.functions.items()} for found in (one, two)]
    return ["1: " + head(one)[0], *head(one)[1:], "2: " + head(two)[0], *head(two)[1:],
            "         1          2      2 - 1", *side_by_side(one.groups(), two.groups()), "", *side_by_side(*functions)]


def report(found: list[Profile]) -> str:
    """One profile, or two beside each other, for a person."""
    return "\n".join(report_one(*found) if len(found) == 1 else report_two(*found)) + "\n"
