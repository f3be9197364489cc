# SPDX-License-Identifier: GPL-2.0
"""What many slots, buffers and notifiers cost: the lines of bench/scale.c, and what a person reads of them."""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from common import Fail

BATCH = 128
LINE = re.compile(r"scale (\w+) (\d+) (?:least=(\d+) same=\d+|bytes=(\d+)|held=(\d+))$")
# Instructions first, then memory
KINDS = {
    "slots": "slots used round robin, each request flushes",
    "buffers": "registered buffers used round robin, one notification a batch",
    "in_flight": "other notifiers in flight, each request flushes",
    "slot": "a registered slot",
    "in_flight_plain": "a notifier in flight, plain buffers",
    "idle_plain": "an idle one, plain buffers",
    "in_flight_registered": "a notifier in flight, registered buffers",
    "idle_registered": "an idle one, registered buffers",
    "pairs_send_zc": "TCP, header and body of a segment, SEND_ZC",
    "pairs_slot": "TCP, header and body of a segment, each through the next of so many slots",
}
# With two slots in turn each pair of requests has a link
PAIRS = "pairs_slot"
# Of each there is a kind for SEND_ZC and one for slots
HELD = {
    "held_closed": "requests waiting for a socket, their ring is closed",
    "held_closed_defer": "the same, DEFER_TASKRUN",
    "held_acked": "requests of one byte, all acknowledged at once",
    "held_acked_defer": "the same, DEFER_TASKRUN",
}
WAYS = {"send_zc": "SEND_ZC", "slot": "slot"}
ALL = [*KINDS, *(f"{kind}_{way}" for kind in HELD for way in WAYS)]


@dataclass(frozen=True)
class Scale:
    """So many of a kind: instructions per request with them, memory that one takes, or how long all hold the CPU."""

    kind: str
    number: int
    instructions_per_request: float | None = None
    bytes_each: float | None = None
    instructions_held: int | None = None

    def to_json(self) -> dict[str, object]:
        """As bench.json has it."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def parse(line: str) -> Scale:
    """One line of the program."""
    found = LINE.match(line)
    if not found or found[1] not in ALL:
        raise Fail(f"bench/scale.c printed `{line}`, which is no measurement; see the log")
    number = int(found[2])
    if found[3]:
        return Scale(found[1], number, instructions_per_request=int(found[3]) / BATCH)
    if found[4]:
        return Scale(found[1], number, bytes_each=int(found[4]) / number)
    return Scale(found[1], number, instructions_held=int(found[5]))


def check(scales: list[Scale]) -> None:
    """Fail unless each kind was measured."""
    missing = [kind for kind in ALL if kind not in {scale.kind for scale in scales}]
    if missing:
        raise Fail(f"bench/scale.c ended before it measured {missing[0]}; see the log")


def held(scales: list[Scale]) -> Iterator[str]:
    """How long many notifiers that go at once keep everybody else from running, SEND_ZC's and slots' side by side."""
    figures = {scale.kind: scale for scale in scales if scale.instructions_held is not None}
    if figures:
        yield f"  {'the longest time without rescheduling, in 1000 instructions':66}" + "".join(
            f"{name:>10}" for name in WAYS.values())
    for kind, title in HELD.items():
        both = [figures[f"{kind}_{way}"] for way in WAYS if f"{kind}_{way}" in figures]
        if both:
            yield f"    {both[0].number:<8}{title:56}" + "".join(
                f"{(scale.instructions_held or 0) / 1000:>10.0f}" for scale in both)


def report(scales: list[Scale]) -> Iterator[str]:
    """The figures of each kind with the change against the first one, and what one takes of memory."""
    if scales:
        yield f"udp4, plain ring, batch of {BATCH}, 4000 bytes, registered: instructions per request, against the first"
    for kind, title in KINDS.items():
        rows = [scale for scale in scales if scale.kind == kind]
        counted = [(row.number, row.instructions_per_request) for row in rows if row.instructions_per_request]
        if counted:
            yield f"  {title}"
        for number, figure in counted:
            yield f"    {number:<42}{figure:>12.0f} {100 * (figure / counted[0][1] - 1):+6.2f}%"
        if kind == PAIRS and len(counted) == 2:
            yield f"    {'a link':42}{2 * (counted[1][1] - counted[0][1]):>12.0f}"
        for row in rows:
            if row.bytes_each is not None:
                yield f"  {title:44}{row.bytes_each:>12.0f} bytes"
    yield from held(scales)
    if scales:
        yield ""
