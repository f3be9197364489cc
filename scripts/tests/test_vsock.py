# SPDX-License-Identifier: GPL-2.0
"""Zero-copy receive on vsock: its page and its tests name the same, its benchmark is read."""

import re
import unittest
from collections.abc import Iterator
from pathlib import Path

import bench_vsock
import vsockdev

PROJECT = Path(__file__).resolve().parent.parent.parent
CLAUSES = 17
# Of the last one there are figures
TESTED = CLAUSES - 1
NAME = re.compile(r"\bvsock_(\d\d)_\w+")
DEFINED = re.compile(r"^TEST(?:_F|_F_TIMEOUT)?\((?:\w+, )?(vsock_\d\d_\w+)", re.M)


def defined() -> set[str]:
    """The tests that there are."""
    return {name for source in (PROJECT / "selftests").glob("vsock*.c")
            for name in DEFINED.findall(source.read_text(encoding="utf-8"))}


def documented() -> Iterator[tuple[int, str]]:
    """The tests that the page names, with the clause under whose sentence they stand."""
    clause = 0
    for line in (PROJECT / "Documentation/networking/vsock-map-rx.rst").read_text(encoding="utf-8").splitlines():
        begin = re.match(r"(\d+)\. ", line)
        clause = int(begin.group(1)) if begin else clause
        for name in NAME.finditer(line):
            yield clause, name.group(0)


class VsockTest(unittest.TestCase):
    """The page, TESTS= and the benchmark."""

    def test_same_names(self) -> None:
        """vsock: the page names every test, and none that isn't there"""
        self.assertEqual({name for clause, name in documented() if clause}, defined())

    def test_every_clause(self) -> None:
        """vsock: every clause has tests named after it"""
        named = {clause for clause, name in documented() if name.startswith(f"vsock_{clause:02}_")}
        self.assertEqual(set(range(1, TESTED + 1)), named)

    def test_picks(self) -> None:
        """vsock: TESTS= of tests over the device boots no other VM, and that of others not the device's"""
        self.assertEqual(vsockdev.picks(""), (True, True))
        self.assertEqual(vsockdev.picks("vsock_16"), (True, False))
        self.assertEqual(vsockdev.picks("vsock_03"), (False, True))
        self.assertEqual(vsockdev.picks("contract_03"), (False, True))

    def test_bench(self) -> None:
        """vsock: the benchmark's lines become the RFC's table, and errors are told"""
        reader = bench_vsock.Reader()
        lines = [f"vsock {way} {pages} 4096 bytes={pages * 4096} receiver={pages * 100 * n} whole={pages * 900} copied=0 same=3"
                 for n, way in enumerate(bench_vsock.WAYS, 1) for pages in bench_vsock.COLUMNS]
        lines.append("vsock recv 1 1 bytes=64 receiver=6400 whole=64000 copied=0 same=24")
        reader.data("".join(line + "\r\n" for line in lines).encode())
        self.assertEqual(len(reader.found), len(lines))
        shown = "\n".join(bench_vsock.report(reader.found))
        self.assertIn(" 0.0488  2.00", shown)
        self.assertIn("100.00", shown)
        self.assertIn("cycles n/a", "\n".join(bench_vsock.reports(reader.found, [])))
        self.assertIn("cycles per byte", "\n".join(bench_vsock.reports(reader.found, reader.found)))
        self.assertEqual(list(bench_vsock.reports([], [])), [])
        self.assertEqual(list(bench_vsock.changes(reader.found, reader.found)),
                         [f"vsock: 0 of {len(lines)} figures changed, the others are the same to the digit"])
        reader.line("error vsock recv: send: Broken pipe")
        self.assertEqual(reader.wrong, "vsock recv: send: Broken pipe")
