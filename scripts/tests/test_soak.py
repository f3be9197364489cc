# SPDX-License-Identifier: GPL-2.0
"""scripts/soak.py finds what grows, and nothing else."""

import unittest
from pathlib import Path

import soak
from common import Fail


def run(name: str, values: list[int]) -> list[str]:
    """The names of what grows, as one figure takes these values."""
    text = "".join(f"# soak: seconds={60 * i} refs=0 {name}={value}\n# other\n" for i, value in enumerate(values))
    return [growth.name for growth in soak.growths(soak.samples(text))]


class SoakTest(unittest.TestCase):
    """Judging a soak."""

    def test_flat(self) -> None:
        """soak: what goes up and down does not grow"""
        self.assertEqual([], run("kmalloc-64", [100, 9000, 9200, 8900, 9100, 9050, 9150, 9000]))

    def test_first_look(self) -> None:
        """soak: caches may fill up in the first looks"""
        self.assertEqual([], run("SUnreclaim_kb", [1000, 60000, 80000, 90000, 90000, 90000, 90000, 90000]))

    def test_leak(self) -> None:
        """soak: a leak of a little each minute is found"""
        self.assertEqual(["kmalloc-64"], run("kmalloc-64", [9000 + 20 * i for i in range(60)]))

    def test_one_peak(self) -> None:
        """soak: a single look that is off says nothing"""
        self.assertEqual([], run("kmalloc-64", [9000] * 58 + [20000, 9000]))

    def test_exact(self) -> None:
        """soak: one pinned page that stays is found"""
        self.assertEqual(["pins"], run("pins", [0] * 20 + [1] * 20))

    def test_short(self) -> None:
        """soak: too few looks are an error, not a success"""
        with self.assertRaises(Fail):
            run("kmalloc-64", [1] * 7)
