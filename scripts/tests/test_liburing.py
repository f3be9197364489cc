# SPDX-License-Identifier: GPL-2.0
"""lib/ as liburing has it: that nothing of ours is left in it, and where it goes."""

import os
import tempfile
import unittest
from pathlib import Path

import deb
import liburing_text as text
from common import Fail

MAP = "LIBURING_2.14 {\n\tglobal:\n\t\told;\n} LIBURING_2.13;\n\nLIBURING_2.15 {\n\tglobal:\n\t\tnew;\n} LIBURING_2.14;\n"


class Text(unittest.TestCase):
    """What is made of the headers, the man pages and the tests."""

    def test_functions(self) -> None:
        """All of them, and the two that lib/ writes by offset have liburing's names of fields."""
        found = {f.name: f for name in ("liburing_notif.h", "liburing_get_buf.h") for f in text.functions(name)}
        self.assertEqual({f"io_uring_notif_{name}" for name in text.LIBRARY},
                         {name for name, f in found.items() if f.in_library})
        self.assertIn("\tsqe->notification_idx = (__u16)slot;\n", found["io_uring_notif_attach"].inline())
        self.assertIn("\tsqe->optlen = len;\n", found["io_uring_notif_get_buf_head"].inline())
        self.assertIn("do_register(ring, IORING_UNREGISTER_NOTIFIERS, NULL, 0)",
                      found["io_uring_notif_unregister"].compiled())
        for function in found.values():
            for line in (function.inline() + function.compiled()).splitlines():
                self.assertLessEqual(len(line.expandtabs(8)), 100, line)

    def test_texts(self) -> None:
        """Pages and tests can be made."""
        for name in ("io_uring_notif.7", "io_uring_notif_query.3"):
            self.assertIn('"liburing-2.16" "liburing Manual"', text.page(name, "2.16"))
        self.assertIn("T_EXIT_SKIP", text.test("notif.h"))
        self.assertTrue(text.test("notif-send.c").startswith("/* SPDX-License-Identifier: MIT */\n"))

    def test_changed(self) -> None:
        """What is not there any more, and what liburing has no name for, is said."""
        with self.assertRaisesRegex(Fail, "io_uring_notif_attach has no more `__u16 index"):
            text.changed("io_uring_notif_attach", "sqe->ioprio = 0;")
        with self.assertRaisesRegex(Fail, "liburing has no IO_URING_NOTIF_OP_GET_BUF"):
            text.changed("another", "sqe->opcode = IO_URING_NOTIF_OP_GET_BUF;")

    def test_map(self) -> None:
        """Names go into the section of their release."""
        self.assertTrue(text.map_section(MAP, ["a", "b"], "2.16").endswith(
            "\t\tnew;\n} LIBURING_2.14;\n\nLIBURING_2.16 {\n\tglobal:\n\t\ta;\n\t\tb;\n} LIBURING_2.15;\n"))
        self.assertEqual(text.map_section(MAP, ["a"], "2.15"), MAP.replace("\t\tnew;\n", "\t\tnew;\n\t\ta;\n"))

    def test_sorted_into(self) -> None:
        """Tests go where the alphabet has them."""
        makefile = "test_srcs := \\\n\ta.c \\\n\tnop.c \\\n\tz.c \\\n\t# EOL\nrest\n"
        self.assertEqual(text.sorted_into(makefile, ["b.c", "zz.c"]),
                         "test_srcs := \\\n\ta.c \\\n\tb.c \\\n\tnop.c \\\n\tz.c \\\n\tzz.c \\\n\t# EOL\nrest\n")


class Configuration(unittest.TestCase):
    """CONFIG= of make deb."""

    def test_chosen(self) -> None:
        """A configuration to begin with, or one line."""
        self.addCleanup(os.environ.pop, "CONFIG", None)
        os.environ["CONFIG"] = ""
        self.assertEqual(deb.chosen().name, "deb")
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
            os.environ["CONFIG"] = file.name
            with self.assertRaisesRegex(Fail, "is no configuration of a kernel"):
                deb.chosen()
            file.write("CONFIG_64BIT=y\n")
            file.flush()
            self.assertEqual(deb.chosen().start, Path(file.name))
            self.assertEqual([path.name for path in deb.chosen().fragments()], ["given.config"])
