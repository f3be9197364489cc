# SPDX-License-Identifier: GPL-2.0
"""Documentation/contract.rst and the selftests name the same tests."""

import re
import subprocess
import unittest
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
CLAUSES = 17
NAME = re.compile(r"\bcontract_(\d\d)_\w+")
DEFINED = re.compile(r"^TEST(?:_F|_F_TIMEOUT|_SIGNAL)?\((?:\w+, )?(contract_\d\d_\w+)", re.M)


def defined() -> set[str]:
    """The tests of the contract that there are: kselftests, and the kernel's own by our names."""
    names = subprocess.run(["bash", PROJECT / "selftests/mainline.sh", "--names"],
                           check=True, capture_output=True, text=True).stdout
    found = {m.group(0) for m in NAME.finditer(names)}
    for source in (PROJECT / "selftests").glob("*.c"):
        found |= set(DEFINED.findall(source.read_text(encoding="utf-8")))
    return found


def documented() -> Iterator[tuple[int, str]]:
    """The tests that the table names, with the clause under whose heading they stand."""
    clause = 0
    for line in (PROJECT / "Documentation/contract.rst").read_text(encoding="utf-8").splitlines():
        heading = re.match(r"(\d+)\. ", line)
        clause = int(heading.group(1)) if heading else clause
        for name in NAME.finditer(line):
            yield clause, name.group(0)


class ContractTest(unittest.TestCase):
    """The table of the contract."""

    def test_every_test_is_in_the_table(self) -> None:
        """contract: every test stands in the table of Documentation/contract.rst"""
        self.assertEqual(set(), defined() - {name for _, name in documented()})

    def test_every_test_exists(self) -> None:
        """contract: every test of the table exists"""
        self.assertEqual(set(), {name for _, name in documented()} - defined())

    def test_every_clause_has_tests(self) -> None:
        """contract: every clause has tests named after it"""
        named = {clause for clause, name in documented() if name.startswith(f"contract_{clause:02}_")}
        self.assertEqual(set(range(1, CLAUSES + 1)), named)

    def test_every_program_is_run(self) -> None:
        """contract: selftests/run.sh or paths.sh runs every program of selftests/"""
        script = "".join((PROJECT / f"selftests/{name}.sh").read_text(encoding="utf-8")
                         for name in ("run", "programs", "paths", "pathmore"))
        run = {name for part in re.findall(r'^PROGS_\w+="([^"]*)"', script, re.M) for name in part.split()}
        run |= set(re.findall(r"^\trun_prog (\w+)$", script, re.M))
        run |= set(re.findall(r'"\$BIN/([a-z]+)"', script))
        self.assertEqual(set(), {source.stem for source in (PROJECT / "selftests").glob("*.c")} - run)
