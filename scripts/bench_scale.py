# SPDX-License-Identifier: GPL-2.0
"""What many slots, buffers and notifiers cost: the lines of bench/scale.c, and what a person reads of them."""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from common import Fail

BATCH = 128
LINE = re.compile(r"scale (\w+) (\d+) (?:least=(\d+) same=\d+|bytes=(\d+))$")
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
}


@dataclass(frozen=True)
class Scale:
    """So many of a kind: instructions per request with them, or the memory that one of them takes."""

    kind: str
    number: int
    instructions_per_request: float | None = None
    bytes_each: float | None = None

    def to_json(self) -> dict[str, object]:
        """As bench.json has it."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def parse(line: str) -> Scale:
    """One line of the program."""
    found = LINE.match(line)
    if not found or found[1] not in KINDS:
        raise Fail(f"bench/scale.c printed `{line}`, which is no measurement; see the log")
    number = int(found[2])
    if found[3]:
        return Scale(found[1], number, instructions_per_request=int(found[3]) / BATCH)
    return Scale(found[1], number, bytes_each=int(found[4]) / number)


def check(scales: list[Scale]) -> None:
    """Fail unless each kind was measured."""
    missing = [kind for kind in KINDS if kind not in {scale.kind for scale in scales}]
    if missing:
        raise Fail(f"bench/scale.c ended before it measured {missing[0]}; see the log")


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
        for row in rows:
            if row.bytes_each is not None:
                yield f"  {title:44}{row.bytes_each:>12.0f} bytes"
    if scales:
        yield ""
