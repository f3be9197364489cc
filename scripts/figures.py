# SPDX-License-Identifier: GPL-2.0
"""Documentation/figures.json: what the documents show of a benchmark, and the tables and bars made of it."""

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import bench
from bench import Results, Row, Work
from bench_report import reference
from common import PROJECT, Fail

FIGURES = PROJECT / "Documentation/figures.json"
README = PROJECT / "README.md"
# The places that are shown: a table each
PLACES = {
    "udp": Work("", "", None, 0, "udp4", 0, 128, "plain"),
    "tcp": Work("", "", None, 0, "tcp4", 0, 8, "plain"),
    "train": Work("", "", None, 0, "udp4", 0, 128, "plain", f"gso:{bench.TRAIN_SEGMENT}"),
}
# What the README compares, in its words: datagrams of a page
BAR_BYTES, BAR_WIDTH = 4000, 44
BARS = {"SEND": "SEND, which copies", "SEND_ZC registered": "SEND_ZC",
        "slot registered, flush batch": "slot, one notification for 128",
        "slot registered, 128 in an SQE": "slot, 128 datagrams in an SQE"}

# What the cover letter of the series compares
MAIL_BYTES = (600, 4000, 65435)
MAIL_WAYS = ("SEND", "MSG_ZEROCOPY", "SEND_ZC registered", "slot registered, flush every", "slot registered, merge",
             "slot registered, flush batch", "slot registered, 128 in an SQE")


def place_of(work: Work) -> str:
    """The table that a row stands in, or nothing."""
    gso = f"gso:{work.number('gso')}" if work.number("gso") else ""
    place = Work("", "", None, 0, work.proto, 0, work.batch, work.ring, gso)
    shown = not work.has("header") and not (work.proto == "tcp4" and work.mode == "slot" and work.flush in ("8", "after:8"))
    return next((name for name, one in PLACES.items() if shown and one == place), "")


def keep(results: Results, path: Path = FIGURES) -> None:
    """Write what is shown of a run: a line for each way of sending, with its figures by size."""
    if results.accel != "icount":
        raise Fail(f"BASE= was measured with ACCEL={results.accel}; the documents show instructions")
    lines: dict[Work, dict[str, float]] = {}
    for row in results.rows:
        if place_of(row.work):
            lines.setdefault(replace(row.work, bytes=0), {})[str(row.work.bytes)] = row.figure
    ways = []
    for work, figures in lines.items():
        fields = {name: value for name, value in asdict(work).items() if name != "bytes"}
        ways.append("\n  " + json.dumps(fields | {"instructions": figures}))
    head = json.dumps({"SPDX-License-Identifier": "GPL-2.0", "kernel": results.kernel})[:-1]
    path.write_text(f'{head}, "ways": [{",".join(ways)}\n]}}\n', encoding="utf-8")


def load(path: Path = FIGURES) -> Results:
    """The rows that are shown, as of a run."""
    found = json.loads(path.read_text(encoding="utf-8"))
    rows = []
    for way in found["ways"]:
        figures = way.pop("instructions")
        rows += [Row(Work(bytes=int(size), **way), figure) for size, figure in figures.items()]
    return Results(found["kernel"], "icount", rows)


def table(results: Results, place: str) -> Iterator[str]:
    """One table: figures per datagram or request, each with its ratio to SEND_ZC from registered buffers."""
    rows = [row for row in results.rows if place_of(row.work) == place]
    if not rows:
        raise Fail(f"{FIGURES} has no figures of {place}; `make docs BASE=bench.json` makes it of a run")
    figures = {row.work: row.figure for row in rows}
    sizes = sorted({row.work.bytes for row in rows})
    names = dict.fromkeys(row.work.name() for row in rows)
    cells = {}
    for row in rows:
        each = row.figure / row.work.datagrams
        ratio = row.figure / figures[reference(row.work)]
        cells[row.work.name(), row.work.bytes] = f"{each:.{1 if row.work.datagrams > 1 else 0}f} {ratio:.2f}"
    if len(sizes) > 1:
        yield " " * 42 + "".join(f"{size:>12}" for size in sizes)
    for name in names:
        yield f"{name:42}" + "".join(f"{cells[name, size]:>12}" for size in sizes)


def bars(results: Results) -> Iterator[str]:
    """The README's chart."""
    found = {row.work.name(): row.figure for row in results.rows
             if place_of(row.work) == "udp" and row.work.bytes == BAR_BYTES}
    most = max(found[name] for name in BARS)
    for name, said in BARS.items():
        yield f"    {said:32}{found[name]:5.0f}  {'█' * round(BAR_WIDTH * found[name] / most)}"


def mail(results: Results) -> Iterator[str]:
    """The cover letter's table: instructions for a datagram, within the width of a mail."""
    figures = {(row.work.name(), row.work.bytes): row.figure for row in results.rows if place_of(row.work) == "udp"}
    yield f"{'bytes':34}" + "".join(f"{size:>9}" for size in MAIL_BYTES)
    for name in MAIL_WAYS:
        yield f"{name:34}" + "".join(f"{figures[name, size]:9.0f}" for size in MAIL_BYTES)


def wrong() -> str:
    """Lines of the README that are not what the figures say."""
    shown = README.read_text(encoding="utf-8").splitlines()
    return "\n".join(f"README.md lacks the line `{line}` of figures.json" for line in bars(load()) if line not in shown)
