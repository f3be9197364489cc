# SPDX-License-Identifier: GPL-2.0
"""The chart of a bench.json, as SVG and PNG: bench_chart.py FOLDER. Run by matplotlib's own Python."""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib  # type: ignore[import-not-found]
from matplotlib import pyplot
from matplotlib.ticker import NullLocator  # type: ignore[import-not-found]

# mode, buffer, flush, copied below a size, how; name, colour, line
LINES = (
    ("send", "plain", None, False, "", "send(2)", "#999999", "--"),
    ("msg_zerocopy", "plain", None, False, "", "MSG_ZEROCOPY", "#8c6d31", "--"),
    ("io_send", "plain", None, False, "", "IORING_OP_SEND", "#555555", "-"),
    ("send_zc", "registered", None, False, "", "IORING_OP_SEND_ZC", "#d62728", "-"),
    ("slot", "registered", "after:1", False, "merge", "slot, one CQE each", "#9ecae1", "-"),
    ("slot", "registered", "batch", False, "", "slot, one notification a batch", "#1f77b4", "-"),
    ("slot", "registered", "batch", False, "many:128", "slot, 128 datagrams a request", "#08306b", "-"),
    ("slot", "plain", "batch", True, "", "one notification a batch, plain buffers, copy_below", "#2ca02c", "-"),
)
# Beyond that a mode is out of the comparison
RATIO_TOP = 1.5


def points(rows: list[dict[str, Any]], line: tuple[Any, ...]) -> dict[int, float]:
    """The figures of one line by size: UDP/IPv4, batches of 128, a plain ring."""
    found = {}
    for row in rows:
        if ((row["proto"], row["batch"], row["ring"]) == ("udp4", 128, "plain")
                and (row["mode"], row["buffer"], row["flush"], row["copy_below"] > 0, row.get("how", "")) == line[:5]):
            figure = row.get("instructions_per_request")
            found[row["bytes"]] = row["requests_per_second"]["median"] if figure is None else figure
    return found


def draw(results: dict[str, Any], folder: Path) -> None:
    """Both panels, into both files."""
    counts = results["accel"] == "icount"
    # A kernel that lacks something has no points for it
    lines = [(line, found) for line in LINES if (found := points(results["rows"], line))]
    base = points(results["rows"], LINES[3])
    sizes = sorted({size for _, found in lines for size in found})
    place = {size: n for n, size in enumerate(sizes)}
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.6))
    for line, found in lines:
        style = {"label": line[5], "color": line[6], "linestyle": line[7], "marker": "o", "markersize": 4}
        shown = sorted(size for size in found if size in base)
        left.plot([place[size] for size in sorted(found)], [found[size] for size in sorted(found)], **style)
        right.plot([place[size] for size in shown], [found[size] / base[size] for size in shown], **style)
    left.set_yscale("log")
    low, high = left.get_ylim()
    ticks = [n for n in (1000, 2000, 3000, 4000, 5000, 6000, 8000, 10000, 14000, 20000) if low <= n <= high]
    if ticks:
        left.set_yticks(ticks, [f"{n:,}" for n in ticks])
        left.yaxis.set_minor_locator(NullLocator())
    what = "instructions per datagram" if counts else "datagrams per second"
    left.set_title(f"{what}, user and kernel" if counts else what)
    right.set_title(f"ratio to SEND_ZC ({'lower' if counts else 'higher'} is better)")
    if counts:
        right.set_ylim(top=min(RATIO_TOP, right.get_ylim()[1]))
    for axes in (left, right):
        axes.set_xticks(range(len(sizes)), [str(size) for size in sizes])
        axes.set_xlabel("bytes of a datagram")
        axes.grid(True, linewidth=0.4)
    figure.suptitle("UDP/IPv4 over a dummy device, batches of 128, plain ring, registered buffers unless said", fontsize=11)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=4, frameon=False, fontsize=9)
    figure.tight_layout(rect=(0, 0.12, 1, 1))
    figure.savefig(folder / "bench.svg", metadata={"Date": None})
    figure.savefig(folder / "bench.png", dpi=120, metadata={"Software": None})


def main() -> None:
    """Draw folder/bench.json."""
    folder = Path(sys.argv[1])
    matplotlib.use("Agg")
    # The same figures give the same file
    matplotlib.rcParams["svg.hashsalt"] = "bench"
    draw(json.loads((folder / "bench.json").read_text(encoding="utf-8")), folder)


if __name__ == "__main__":
    main()
