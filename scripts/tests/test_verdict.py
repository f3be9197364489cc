# SPDX-License-Identifier: GPL-2.0
"""What decides between passed and failed: TAP, splats, and the machine's mirror."""

import unittest
from pathlib import Path

import apt
import splat
from tap import Source, Tap

KASAN = """[    1.0] e1000e: link up
[    2.1] ==================================================================
[    2.1] BUG: KASAN: slab-use-after-free in notif_complete+0x10/0x20
[    2.1] Read of size 8 at addr ffff by task x/1
[    2.1] Call Trace:

[    3.0] something else
"""
LEAK = """unreferenced object 0xffff88 (size 64):
  comm "send", pid 77
  backtrace:
"""


class TapTest(unittest.TestCase):
    """The stream and its counts."""

    def feed(self, *lines: str) -> tuple[Tap, list[str]]:
        """Read one source."""
        printed: list[str] = []
        tap = Tap(printed.append)
        source = Source(tap, "source")
        for line in lines:
            source.line(line)
        source.end()
        return tap, printed

    def test_counts(self) -> None:
        """TAP results are renumbered and counted, and the last line says so"""
        tap, printed = self.feed("TAP version 13", "1..3", "ok 7 a", "# note", "not ok 8 - b", "ok 9 c # SKIP no NIC")
        self.assertFalse(tap.finish())
        self.assertEqual(printed, ["TAP version 13", "ok 1 a", "# note", "not ok 2 b", "ok 3 c # SKIP no NIC",
                                   "1..3", "1 passed, 1 failed, 1 skipped"])

    def test_all_well(self) -> None:
        """a source that passes is a success"""
        tap, printed = self.feed("ok 1 a", "1..1")
        self.assertTrue(tap.finish())
        self.assertEqual(printed[-1], "1 passed, 0 failed")

    def test_crashes(self) -> None:
        """no plan, a plan not kept, and no test at all are failures"""
        for lines in (["ok 1 a"], ["1..2", "ok 1 a"], ["1..0"], []):
            tap, _ = self.feed(*lines)
            self.assertFalse(tap.finish(), lines)
            self.assertEqual(tap.failed, 1)

    def test_side_by_side(self) -> None:
        """what two sources say of their tests stays with the tests"""
        printed: list[str] = []
        tap = Tap(printed.append)
        first, second = Source(tap, "1"), Source(tap, "2")
        first.line("# of a")
        second.line("# of b")
        second.line("ok 1 b")
        first.line("not ok 1 a")
        self.assertEqual(printed[1:], ["# of b", "ok 1 b", "# of a", "not ok 2 a"])
        self.assertEqual((first.failed, second.failed), (1, 0))

    def test_last_words(self) -> None:
        """what a source says after its last result is not lost"""
        _, printed = self.feed("1..1", "ok 1 a", "# a took 3 s")
        self.assertEqual(printed[1:], ["ok 1 a", "# a took 3 s"])

    def test_nested(self) -> None:
        """results of subtests are passed on and not counted"""
        tap, _ = self.feed("1..1", "    ok 1 inner", "    not ok 2 inner", "ok 1 outer")
        self.assertEqual((tap.passed, tap.failed), (1, 0))


class SplatTest(unittest.TestCase):
    """The console."""

    def test_silent(self) -> None:
        """an ordinary console has no splat"""
        for line in ("[    0.5] e1000e 0000:00:03.0: PHY reset", "[    2.5] clocksource: Watchdog remote CPU 1 read timed out",
                     "[    2.5] virtme-ng-init: WARNING: no udev", "[    0.1] Linux version 7.3.4 (debug)"):
            self.assertEqual(splat.find_splats(line), [], line)

    def test_kasan(self) -> None:
        """a KASAN report is found with its ruler and its trace, and ends where it ends"""
        found = splat.find_splats(KASAN)
        self.assertEqual(len(found), 1)
        self.assertTrue(found[0].startswith("[    2.1] ====="))
        self.assertTrue(found[0].endswith("Call Trace:"))

    def test_kinds(self) -> None:
        """every kind of complaint is noticed"""
        for text in ("WARNING: CPU: 1 PID: 2 at io_uring/notif.c:1", "BUG: sleeping function called from invalid context",
                     "WARNING: possible circular locking dependency detected", "WARNING: inconsistent lock state",
                     "INFO: task sender:77 blocked for more than 120 seconds.", "refcount_t: underflow; use-after-free.",
                     "list_del corruption, ffff->next is LIST_POISON1", "ODEBUG: free active object", "kernel BUG at x.c:1!",
                     "rcu: INFO: rcu_preempt self-detected stall on CPU", "Kernel panic - not syncing: x",
                     "INFO: lockdep is turned off. turning off the locking correctness validator.",
                     "Oops: int3: 0000 [#1] SMP", "UBSAN: array-index-out-of-bounds", "WARNING: suspicious RCU usage",
                     "rust_kernel: panicked at io_uring/notif/rust/slot.rs:1"):
            self.assertTrue(splat.is_splat(f"[   12.345678] {text}"), text)
            self.assertTrue(splat.is_splat(f"[   12.345678][   T77] {text}"), text)

    def test_leak(self) -> None:
        """what kmemleak lists is a splat"""
        self.assertEqual(splat.find_splats(LEAK), [LEAK.rstrip()])


class MirrorTest(unittest.TestCase):
    """The machine's own mirror, of those that apt lists."""

    def test_release(self) -> None:
        """the mirror of the release is found, not that of its security updates or of another component"""
        listed = ("http://security.example/ trixie-security main\nhttp://other.example/ trixie contrib\n"
                  "http://mirror.example/debian/ trixie main\n")
        self.assertEqual(apt.mirror_of(listed, "trixie"), "http://mirror.example/debian/")
        self.assertEqual(apt.mirror_of(listed, "forky"), "")
