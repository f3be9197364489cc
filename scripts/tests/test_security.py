# SPDX-License-Identifier: GPL-2.0
"""Documentation/security.rst and the selftests name the same tests."""

import re
import unittest
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
PAGE = PROJECT / "Documentation/security.rst"
# "program: ``test``, ``test``", up to the next program or the end of the sentence
PROGRAM = re.compile(r"\b(\w+): ((?:``(?:security|contract)_\w+``,?\s*)+)")
NAME = re.compile(r"``((?:security|contract)_\w+)``")
DEFINED = re.compile(r"^TEST(?:_F|_F_TIMEOUT|_SIGNAL)?\((?:\w+, )?((?:security|contract)_\w+)[,)]", re.M)


def defined(program: str) -> set[str]:
    """The tests of one program."""
    return set(DEFINED.findall((PROJECT / f"selftests/{program}.c").read_text(encoding="utf-8")))


class SecurityTest(unittest.TestCase):
    """The page about security."""

    def test_every_name_is_a_test(self) -> None:
        """security: every test that security.rst names is in the program that stands before it"""
        text = PAGE.read_text(encoding="utf-8")
        found: set[str] = set()
        for program, names in PROGRAM.findall(text):
            here = set(NAME.findall(names))
            self.assertEqual(set(), here - defined(program), program)
            found |= here
        self.assertEqual(set(NAME.findall(text)), found, "a test without its program")

    def test_every_test_is_named(self) -> None:
        """security: security.rst names every test that is called after it"""
        tests = {name for source in (PROJECT / "selftests").glob("*.c") for name in defined(source.stem)}
        self.assertEqual({name for name in tests if name.startswith("security_")},
                         {name for name in NAME.findall(PAGE.read_text(encoding="utf-8")) if name.startswith("security_")})
