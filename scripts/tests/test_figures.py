# SPDX-License-Identifier: GPL-2.0
"""What the documents show of a benchmark."""

import tempfile
import unittest
from pathlib import Path

import bench
import figures
from common import Fail


def row(mode: str, buffer: str, size: int, figure: float, batch: int = 128, how: str = "") -> bench.Row:
    """A row of UDP on a plain ring."""
    return bench.Row(bench.Work(mode, buffer, "batch" if mode == "slot" else None, 0, "udp4", size, batch, "plain", how),
                     figure)


class FiguresTest(unittest.TestCase):
    """From a run to a table."""

    def kept(self, *rows: bench.Row, accel: str = "icount") -> bench.Results:
        """What is left of a run."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "figures.json"
            figures.keep(bench.Results("a kernel", accel, list(rows)), path)
            return figures.load(path)

    def test_kept(self) -> None:
        """figures: rows of the places that are shown are kept as they were, others are not"""
        shown = [row("send_zc", "registered", 1, 100.25), row("send_zc", "registered", 600, 100.5),
                 row("slot", "registered", 600, 80)]
        found = self.kept(*shown, row("slot", "registered", 600, 90, batch=8), row("send_zc", "plain", 600, 9, how="header"))
        self.assertEqual(found.rows, shown)
        self.assertEqual(found.kernel, "a kernel")

    def test_table(self) -> None:
        """figures: a table has a line for each way of sending, and the ratio to SEND_ZC"""
        found = list(figures.table(self.kept(row("send_zc", "registered", 600, 100), row("slot", "registered", 600, 80)), "udp"))
        self.assertEqual([line.split() for line in found],
                         [["SEND_ZC", "registered", "100", "1.00"], ["slot", "registered,", "flush", "batch", "80", "0.80"]])

    def test_train(self) -> None:
        """figures: of a train of datagrams the figure is that of one of them"""
        how = f"gso:{bench.TRAIN_SEGMENT}"
        found = list(figures.table(self.kept(row("send_zc", "registered", bench.TRAIN_BYTES, 460, how=how)), "train"))
        self.assertEqual(found[0].split(), ["SEND_ZC", "registered", "10.0", "1.00"])

    def test_not_instructions(self) -> None:
        """figures: a run that counted no instructions is refused"""
        with self.assertRaisesRegex(Fail, "instructions"):
            self.kept(accel="kvm")
