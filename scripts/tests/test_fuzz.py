# SPDX-License-Identifier: GPL-2.0
"""From KCOV's program counters to lines, on small made-up outputs of the tools."""

import tempfile
import unittest
from pathlib import Path

import coverage
import points
from common import Fail

PRINTED = """# SEED=1 repeats it
# cover io_uring_notif 10 2f
# cover io_uring_notif 30
# cover vmlinux 1014
# coverage is something else
ok 1 fuzz
"""
READELF_R = """
Relocation section '.rela.text' at offset 0x2d7e8 contains 3 entries:
    Offset             Info             Type               Symbol's Value  Symbol's Name + Addend
000000000000000c  0000002300000004 R_X86_64_PLT32         0000000000000000 __sanitizer_cov_trace_pc - 4
0000000000000020  0000002400000004 R_X86_64_PLT32         0000000000000000 mutex_lock - 4

Relocation section '.rela.init.text' at offset 0x46730 contains 1 entry:
    Offset             Info             Type               Symbol's Value  Symbol's Name + Addend
0000000000000001  0000002300000004 R_X86_64_PLT32         0000000000000000 __sanitizer_cov_trace_pc - 4
"""
READELF_S = """  [Nr] Name              Type            Address          Off    Size   ES Flg Lk Inf Al
  [ 0]                   NULL            0000000000000000 000000 000000 00      0   0  0
  [ 2] .text             PROGBITS        0000000000000000 000040 000100 00  AX  0   0 16
"""
SYMBOLS = """   Num:    Value          Size Type    Bind   Vis      Ndx Name
     1: 0000000000000000     0 FILE    LOCAL  DEFAULT  ABS slot.c
     2: 0000000000000010    32 FUNC    LOCAL  DEFAULT    2 io_notif_ring_free
     3: 0000000000000030   0x20 FUNC    GLOBAL DEFAULT    2 io_notif_register
"""
NM = """ffffffff81000000 T _text
ffffffff81001000 t io_notif_ring_free
ffffffff81001000 t alias
ffffffff81001020 T io_notif_register
ffffffff81002000 t io_notif_ring_free
ffffffff81003000 D data
"""


class Coverage(unittest.TestCase):
    """Every step, but for the tools themselves."""

    def test_parse(self) -> None:
        """coverage: what a run has printed, by where it counts from"""
        found = coverage.parse(PRINTED)
        self.assertEqual(found, {"io_uring_notif": {0x10, 0x2f, 0x30}, "vmlinux": {0x1014}})

    def test_calls(self) -> None:
        """coverage: the calls of KCOV by section, and what follows them"""
        self.assertEqual(list(points.calls(READELF_R)), [(".text", 0x10), (".init.text", 5)])

    def test_functions(self) -> None:
        """coverage: functions and where they are"""
        self.assertEqual(points.functions(READELF_S, SYMBOLS), {
            ".text": [(0x10, 0x30, "io_notif_ring_free"), (0x30, 0x50, "io_notif_register")]})

    def test_in_kernel(self) -> None:
        """coverage: a call in a function becomes an offset in the kernel, of each function of that name"""
        calls = {("io_notif_ring_free", 0x14): ("shim/slot.c", 7), ("io_notif_register", 4): ("shim/slot.c", 9),
                 ("discarded", 4): ("shim/slot.c", 11)}
        self.assertEqual(points.in_kernel(calls, NM), {
            0x1014: ("shim/slot.c", 7), 0x2014: ("shim/slot.c", 7), 0x1024: ("shim/slot.c", 9)})

    def test_read(self) -> None:
        """coverage: an image without its lines says so before the run"""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / points.FILE
            self.assertRaises(Fail, points.read, file)
            file.write_text('{"0x1014": ["shim/slot.c", 7]}', encoding="utf-8")
            self.assertEqual(points.read(file), {0x1014: ("shim/slot.c", 7)})

    def test_wanted(self) -> None:
        """coverage: only kernels with KCOV have lines"""
        self.assertTrue(points.wanted("CONFIG_ARCH_HAS_KCOV=y\nCONFIG_KCOV=y\n"))
        self.assertFalse(points.wanted("CONFIG_ARCH_HAS_KCOV=y\n# CONFIG_KCOV is not set\n"))

    def test_table(self) -> None:
        """coverage: a line is reached if one of its blocks is"""
        lines = coverage.collect([(("rust/ring.rs", 3), False), (("rust/ring.rs", 3), True),
                                  (("rust/ring.rs", 4), False), (("rust/ring.rs", 5), False)])
        self.assertEqual(coverage.table(lines)[1].split(), ["1", "3", "rust/ring.rs:", "4-5"])

    def test_tests_are_no_code(self) -> None:
        """coverage: what only KUnit runs isn't looked for"""
        self.assertTrue(coverage.is_test("rust/notifier/tests.rs", 7))
        self.assertFalse(coverage.is_test("rust/notifier.rs", 70))

    def test_ranges(self) -> None:
        """coverage: lines are told in ranges"""
        self.assertEqual(coverage.ranges({7, 1, 3, 2}), "1-3, 7")
        self.assertEqual(coverage.ranges([]), "")
