# SPDX-License-Identifier: GPL-2.0
"""scripts/plants.py and scripts/jumps.py: the bugs fit the code, and what counts as found."""

import unittest
from pathlib import Path

import jumps
import plants
from common import PROJECT


class PlantsTest(unittest.TestCase):
    """Planted bugs."""

    def test_fit(self) -> None:
        """plants: each bug fits the code as it is"""
        for plant in plants.PLANTS:
            data = (PROJECT / plant.file).read_bytes()
            self.assertNotEqual(data, plant.put_into(plant.file, data))

    def test_told(self) -> None:
        """plants: only a failed result is a find"""
        self.assertEqual("not ok 3 stress: a", plants.told(["ok 1 b", "not ok 3 stress: a", "not ok 4 c"]))
        self.assertEqual(f"not ok 2 {plants.COMPLAINT}", plants.told(["not ok 1 a", f"not ok 2 {plants.COMPLAINT}"]))
        self.assertEqual("", plants.told([f"not ok 1 {plants.NOT_RUN}", "error: no disk"]))


class JumpsTest(unittest.TestCase):
    """Static branches."""

    def test_places(self) -> None:
        """jumps: a place and a target make a static branch"""
        text = ("Relocation section '.rela__jump_table' at offset 0x1 contains 3 entries:\n"
                "0000 0001 R_X86_64_PC32 0000 .text + 10\n0004 0001 R_X86_64_PC32 0000 .text + 9a\n"
                "0008 0001 R_X86_64_PC64 0000 key + 0\n"
                "\nRelocation section '.rela.text' at\n0000 0001 R_X86_64_PC32 0000 .text + 7\n")
        self.assertEqual([(".text", 0x10, 0x9a)], jumps.places(text))

    def test_reach(self) -> None:
        """jumps: two bytes reach 127 ahead and 128 back"""
        for code in (jumps.SHORT_NOP, jumps.SHORT_JMP + b"\x00"):
            self.assertEqual([False, True, False, True], [jumps.out_of_reach(bytes(200) + code, 200, 202 + way)
                                                          for way in (127, 128, -128, -129)])
        self.assertFalse(jumps.out_of_reach(b"\x0f\x1f\x44\x00\x00", 0, 1000))
