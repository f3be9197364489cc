# SPDX-License-Identifier: GPL-2.0
"""What a person reads of a benchmark: its table, and what changed against an earlier run."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import Results, Row, Work
from common import PROJECT, run
from toolchain import find_venv

MATPLOTLIB = "3.10.9"
SHOWN_ALONE = 6
# What a row of TCP changes by from boot to boot: its clock, and its random numbers
TCP_NOISE = 0.001
# From a NIC also how its packets came
NIC_NOISE = 0.01


def reference(work: Work) -> Work:
    """The row that the ratios of a place are to: SEND_ZC from a registered buffer, or from plain ones with a header.

    Of a relay it is the one that copies, of files sendfile(2).
    """
    if work.takes:
        mode = "io_send" if work.number("relay") else "sendfile"
        words = [word for word in work.how.split(",") if word != "pread"]
        return Work(mode, "plain", None, 0, work.proto, work.bytes, work.batch, work.ring, ",".join(words))
    how = "header" if work.has("header") else f"gso:{work.number('gso')}" if work.number("gso") else ""
    buffer = "plain" if work.has("header") else "registered"
    return Work("send_zc", buffer, None, 0, work.proto, work.bytes, work.batch, work.ring, how)


def one_table(rows: list[Row], title: str, cell: Callable[[Row], str]) -> Iterator[str]:
    """The rows of one place: a line for each way of sending, a column for each size."""
    sizes = sorted({row.work.bytes for row in rows})
    names = list(dict.fromkeys(row.work.name() for row in rows))
    cells = {(row.work.name(), row.work.bytes): cell(row) for row in rows}
    yield f"{title:50}" + "".join(f"{size:>15}" for size in sizes)
    for name in names:
        yield f"  {name:48}" + "".join(f"{cells.get((name, size), ''):>15}" for size in sizes)
    yield ""


def table(results: Results) -> Iterator[str]:
    """All figures, with their ratio to SEND_ZC registered at the same place."""
    figures = {row.work: row.figure for row in results.rows}
    counts = results.accel == "icount"

    def with_ratio(row: Row) -> str:
        """A figure, and its ratio where SEND_ZC was measured too."""
        base = figures.get(reference(row.work))
        each = row.figure / row.work.datagrams if counts else row.figure * row.work.datagrams
        return f"{each:.{1 if row.work.datagrams > 1 and counts else 0}f}" + (f" {row.figure / base:6.3f}" if base else "")

    def spread(row: Row) -> str:
        """The quartiles of a figure."""
        return f"{row.per_second['p25']:.0f}-{row.per_second['p75']:.0f}"

    yield (f"{'instructions' if counts else 'requests'} per {'request' if counts else 'second, the median'}, "
           "and the ratio to SEND_ZC registered (with a header: plain; of a relay to RECV, SEND; of files to "
           "sendfile(2)), by the bytes of a request")
    yield "where requests have many datagrams, and in trains: per datagram"
    yield ""
    for place in dict.fromkeys(row.work.place() for row in results.rows):
        rows = [row for row in results.rows if row.work.place() == place]
        yield from one_table(rows, place, with_ratio)
        if not counts:
            yield from one_table(rows, f"{place}: quartiles", spread)
        elif rows[0].receiver is not None:
            yield from one_table(rows, f"{place}: reading", lambda row: f"{row.receiver:.0f}")
        if any(row.work.has("header") and row.packets is not None for row in rows):
            yield from one_table(rows, f"{place}: packets per request", lambda row: f"{row.packets:.2f}")
    yield from not_measured(results)


def not_measured(results: Results) -> Iterator[str]:
    """What the kernel lacks, and for how many rows."""
    for what, nr in Counter(results.missing.values()).items():
        yield f"not measured: {nr} rows, this kernel has no {what}"


def only_in(rows: set[Work], where: str) -> Iterator[str]:
    """The rows that one of two runs lacks: how many, and the first."""
    if not rows:
        return
    yield f"only in {where}: {len(rows)} rows"
    for work in sorted(rows, key=Work.text)[:SHOWN_ALONE]:
        yield f"  {work.place()}, {work.bytes} bytes: {work.name()}"
    if len(rows) > SHOWN_ALONE:
        yield f"  and {len(rows) - SHOWN_ALONE} more"


def changes(before: Results, after: Results) -> Iterator[str]:
    """What changed between two runs, the biggest change first."""
    old = {row.work: row.figure for row in before.rows}
    new = {row.work: row.figure for row in after.rows}
    common = [work for work in new if work in old]
    moved = sorted((work for work in common if old[work] != new[work]),
                   key=lambda work: -abs(new[work] / old[work] - 1))
    yield f"against {before.kernel}: {len(moved)} of {len(common)} rows changed, the others are the same to the digit"
    if after.accel == "icount":
        noise = {work for work in moved if work.proto.startswith("tcp")
                 and abs(new[work] / old[work] - 1) < (NIC_NOISE if work.has("nic") else TCP_NOISE)}
        moved = [work for work in moved if work not in noise]
        if noise:
            yield (f"  {len(noise)} of them are TCP's, by less than {TCP_NOISE:.1%} ({NIC_NOISE:.0%} from NICs), "
                   "as from boot to boot: not shown")
    if moved:
        yield f"{'before':>12}{'after':>12}{'change':>10}"
    for work in moved:
        yield (f"{old[work]:12.2f}{new[work]:12.2f}{100 * (new[work] / old[work] - 1):+9.3f}%  "
               f"{work.place()}, {work.bytes} bytes: {work.name()}")
    yield from only_in(set(old) - set(new), "the earlier run")
    yield from only_in(set(new) - set(old), "this run")


def draw(folder: Path) -> None:
    """Draw the chart of folder/bench.json beside it."""
    python = find_venv(f"matplotlib-{MATPLOTLIB}", f"matplotlib=={MATPLOTLIB}", "python3")
    run([str(python), str(PROJECT / "scripts/bench_chart.py"), str(folder)], "drawing the chart")
