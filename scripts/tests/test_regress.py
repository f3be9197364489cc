# SPDX-License-Identifier: GPL-2.0
"""What makes a difference between two kernels a regression."""

import json
import os
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import build
import common
import flavour
import regress
import vm
from common import Fail
from neighbours import Test
from regress import Outcome, Row

CONSOLE = """[    1.0] WARNING: virtme
[    2.0] regress: 0 liburing/a
[    2.1] something
[    2.2] regress: 0 ended
[    3.0] regress: 1 liburing/b
[    3.1] WARNING: io_uring/net.c:10 at io_send_zc+0x1/0x2, CPU#0: b.t/7
[    3.2] Call Trace:
[    3.3] ---[ end trace 0 ]---
[    3.4] regress: 1 ended
"""


def row(plain: list[str], ours: list[str]) -> Row:
    """A test with these states on both kernels."""
    return Row("x", [Outcome(state, f"{state} of plain") for state in plain],
               [Outcome(state, f"{state} of ours") for state in ours])


class KindTest(unittest.TestCase):
    """Both kernels' outcomes put side by side."""

    def kind(self, plain: list[str], ours: list[str]) -> str:
        """What the outcomes make of a test."""
        return row(plain, ours).kind

    def test_same(self) -> None:
        """regress: what ends in the same way on both kernels is no difference, also where both fail"""
        self.assertEqual(self.kind(["pass"], ["pass"]), "both pass")
        self.assertEqual(self.kind(["skip"], ["skip"]), "both skip")
        self.assertEqual(self.kind(["FAIL"], ["TIMEOUT"]), "both fail")
        self.assertEqual(self.kind(["SPLAT"], ["SPLAT"]), "both fail")

    def test_regression(self) -> None:
        """regress: worse twice is a regression, a skip instead of a pass too"""
        self.assertEqual(self.kind(["pass", "pass"], ["FAIL", "TIMEOUT"]), "regression")
        self.assertEqual(self.kind(["skip", "skip"], ["FAIL", "FAIL"]), "regression")
        self.assertEqual(self.kind(["pass", "pass"], ["skip", "skip"]), "regression")

    def test_once(self) -> None:
        """regress: worse once is none"""
        self.assertEqual(self.kind(["pass", "pass"], ["FAIL", "pass"]), "once")
        self.assertEqual(self.kind(["pass", "FAIL"], ["FAIL", "FAIL"]), "once")
        self.assertEqual(self.kind(["pass", "FAIL"], ["FAIL", "pass"]), "once")
        self.assertEqual(self.kind(["pass", "pass"], ["GONE", "pass"]), "once")

    def test_better(self) -> None:
        """regress: what fails only without the patches is no regression"""
        self.assertEqual(self.kind(["FAIL", "FAIL"], ["pass", "pass"]), "better")

    def test_complaint(self) -> None:
        """regress: a splat or a crash of our kernel is a regression though it comes only once"""
        self.assertEqual(self.kind(["pass", "pass"], ["CRASH", "pass"]), "regression")
        self.assertEqual(self.kind(["FAIL"], ["SPLAT"]), "regression")
        self.assertEqual(row(["pass", "pass"], ["CRASH", "pass"]).remark, "REGRESSION: CRASH of ours")


class TableTest(unittest.TestCase):
    """What the person reads."""

    def test_table(self) -> None:
        """regress: both tries are in the table, and the numbers add up"""
        first = [{"a": Outcome("pass"), "b": Outcome("pass"), "c": Outcome("FAIL", "no luck\n\n")},
                 {"a": Outcome("pass"), "b": Outcome("FAIL", "why"), "c": Outcome("FAIL", "no luck\n\n")}]
        self.assertEqual(regress.differing(first), ["b"])
        rows = regress.compare(first, [{"b": Outcome("pass")}, {"b": Outcome("FAIL", "why again")}])
        self.assertEqual(regress.table(rows), ["test  plain       ours",
                                               "a     pass        pass",
                                               "b     pass, pass  FAIL, FAIL  REGRESSION: why again",
                                               "c     FAIL        FAIL        fails on both: no luck"])
        self.assertEqual(regress.counts(rows), "3 tests: 1 pass on both kernels, 0 skipped on both, 1 fail on both, "
                                               "0 differed once, 0 worse without the patches, 1 regressions")


class ReadTest(unittest.TestCase):
    """What the guest tells and the console shows."""

    def outcome(self, name: str, status: int, said: str = "", late: bool = False) -> Outcome:
        """What the host makes of a test that has ended."""
        ended = {"status": status, "said": said, "late": late, "seconds": 1}
        return regress.outcome(Test(name, ("./t",), "/", 7), ended)

    def test_outcome(self) -> None:
        """regress: a status means what the test's own project means by it"""
        self.assertEqual(self.outcome("liburing/x", 0).state, "pass")
        self.assertEqual(self.outcome("liburing/x", 77, "no such device").state, "skip")
        self.assertEqual(self.outcome("liburing/x", 4).state, "FAIL")
        self.assertEqual(self.outcome("net/x", 4).state, "skip")
        self.assertEqual(self.outcome("net/x", 77).state, "FAIL")
        self.assertEqual(self.outcome("net/x", 0, "ok 1 x # SKIP no sysctl").state, "skip")
        self.assertEqual(self.outcome("vsock/x", 124).state, "FAIL")
        self.assertEqual(self.outcome("vsock/x", 124, "half", late=True).reason, "no end within 7 s")
        self.assertEqual(self.outcome("net/x", -11).reason, "exits with status -11")

    def test_splats(self) -> None:
        """regress: a splat belongs to the test in which it came"""
        found = list(regress.splats(CONSOLE))
        self.assertEqual([number for number, _ in found], [1])
        self.assertIn("io_send_zc", found[0][1])
        self.assertNotIn("regress:", found[0][1])


class BootTest(unittest.TestCase):
    """A test may take the kernel with it."""

    def setUp(self) -> None:
        """A cache of its own, and a VM that is none."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.console = Path(folder.name) / "console"
        for patch in (mock.patch.dict(os.environ, NOTIF_CACHE=folder.name), mock.patch("regress.vm.in_vm", self.boot)):
            patch.start()
            self.addCleanup(patch.stop)
        self.boots: list[tuple[str, str, vm.Result]] = []

    def boot(self, _image: build.Image, _virtme: Path, _settings: vm.Settings, _command: str, _here: str,
             read: Callable[[bytes], None]) -> vm.Result:
        """The next boot: what the guest prints, in pieces, what the console has, and how it ends."""
        printed, console, result = self.boots.pop(0)
        self.console.write_text(console, encoding="utf-8")
        for at in range(0, len(printed), 7):
            read(printed[at:at + 7].encode())
        return result

    def run_tests(self, *names: str) -> dict[str, Outcome]:
        """Run tests of these names in the boots that are set."""
        image = build.Image(Path("/"), flavour.find_flavour("release"))
        kernel = regress.Kernel("ours", image, Path("/"), vm.Settings())
        with common.Step("test") as step:
            return kernel.run([Test(name, ("./t",), "/", 7) for name in names], regress.Progress([kernel], step))

    def ended(self, number: int, status: int = 0) -> str:
        """What the guest says of a test from its start to its end."""
        start, end = {"start": number}, {"end": number, "status": status, "late": False, "seconds": 1, "said": ""}
        return f"{json.dumps(start)}\n{json.dumps(end)}\n"

    def test_crash(self) -> None:
        """regress: a test that ends the VM has crashed it, and the rest runs in the next boot"""
        self.boots = [(self.ended(0) + '{"start": 1}\n', CONSOLE, vm.Result(None, console=self.console)),
                      (self.ended(2, 1) + '{"start": 3}\n', "", vm.Result(None, hung=True, console=self.console)),
                      ('{"start": 4}\n', "", vm.Result(None, console=self.console)),
                      (self.ended(5, 77), "", vm.Result(0, console=self.console))]
        found = self.run_tests(*(f"liburing/{letter}" for letter in "abcdef"))
        self.assertEqual([o.state for o in found.values()], ["pass", "CRASH", "FAIL", "GONE", "GONE", "skip"])
        self.assertTrue(found["liburing/b"].reason.startswith("WARNING: io_uring/net.c:10"))
        self.assertIn("hangs", found["liburing/d"].reason)
        self.assertIn("says nothing", found["liburing/e"].reason)

    def test_splat(self) -> None:
        """regress: a test that passes has failed when the kernel complained"""
        self.boots = [(self.ended(0) + self.ended(1), CONSOLE, vm.Result(0, console=self.console))]
        found = self.run_tests("liburing/a", "liburing/b")
        self.assertEqual([o.state for o in found.values()], ["pass", "SPLAT"])
        self.assertTrue(found["liburing/b"].reason.startswith("WARNING: io_uring/net.c:10"))

    def test_no_boot(self) -> None:
        """regress: a VM that starts no test is an error, not an endless loop"""
        for status in (None, 0, 1, vm.MODULE_FAILED):
            self.boots = [("", "", vm.Result(status, console=self.console))]
            with self.assertRaises(Fail):
                self.run_tests("liburing/a")
        self.boots = [(self.ended(0), "", vm.Result(1, console=self.console))]
        with self.assertRaises(Fail):
            self.run_tests("liburing/a", "liburing/b")
