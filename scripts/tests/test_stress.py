# SPDX-License-Identifier: GPL-2.0
"""`make stress`: which seed a failure is told with, and what may be given."""

import os
import unittest
from pathlib import Path
from unittest import mock

import build
import stress
import vm
from common import Fail
from flavour import FLAVOURS
from tap import Tap


class StressTest(unittest.TestCase):
    """What stress prints, and what of it is kept."""

    def guest(self, printed: list[str]) -> stress.Guest:
        """A VM that is never booted."""
        image = build.Image(Path("/nowhere"), FLAVOURS["debug"])
        return stress.Guest(Tap(printed.append), image, Path("/nowhere"), vm.Settings(), Path("/nowhere"), "--seconds 30", 5)

    def test_seed(self) -> None:
        """the seed of the last round is kept, wherever its line is cut"""
        guest = self.guest([])
        self.assertEqual(guest.seed, 5)
        for data in (b"# a round begins: SEE", b"D=5 repeats it\n# a round begins: SEED=6 rep", b"eats it\n"):
            guest.data(data)
        self.assertEqual(guest.seed, 6)

    def test_results(self) -> None:
        """comments come at once, results are counted, a run that is cut short fails"""
        printed: list[str] = []
        guest = self.guest(printed)
        guest.data(b"TAP version 13\n# 10 s: 3 steps\nok 1 stress: a (seed 5)\n")
        self.assertEqual(printed[1:], ["# 10 s: 3 steps", "ok 1 stress: a (seed 5)"])
        guest.source.end()
        self.assertFalse(guest.source.tap.finish())

    def test_numbers(self) -> None:
        """SEED= is the seed, words and zero are refused"""
        with mock.patch.dict(os.environ, {"SEED": "123"}):
            self.assertEqual(stress.seed_of_run(), 123)
        for bad in ("word", "0", "-1"):
            with mock.patch.dict(os.environ, {"SEED": bad}), self.assertRaises(Fail):
                stress.seed_of_run()
