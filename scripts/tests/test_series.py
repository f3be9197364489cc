# SPDX-License-Identifier: GPL-2.0
"""The series: nothing is forgotten, nobody is named who isn't anybody."""

import tempfile
import unittest
from pathlib import Path

import series
import series_check
from common import Fail


class SeriesTest(unittest.TestCase):
    """patches/series, and what the mails are made of."""

    def test_nothing_is_forgotten(self) -> None:
        """series: every patch and every file that the kernel gets is in a list of patches/series"""
        self.assertEqual(set(), series.forgotten(series.load()))

    def test_no_mail_is_too_long(self) -> None:
        """series: files that go in one patch leave room for what a mail has besides"""
        for one in series.load():
            for patch in one.patches:
                data = b"".join(path.read_bytes() for path in series.files_of(one, patch))
                # Each line has a + before it
                self.assertLess(len(data) + data.count(b"\n") + 3000, series.LONGEST, patch.get("subject", patch))

    def test_a_machine_is_no_author(self) -> None:
        """series: an address that no mail reaches is not signed with"""
        for mail in ("root@host", "me@host.local", "me@users.noreply.a-host.example", "me@localhost"):
            self.assertTrue(series.NO_MAIL.search(mail), mail)
        for mail in ("me@example.org", "first.last@kernel.org"):
            self.assertFalse(series.NO_MAIL.search(mail), mail)

    def test_signed_by_one(self) -> None:
        """series: the sender of a mail is replaced also where it is folded, and whoever signed it"""
        mail = "From 0\nFrom: Somebody\n <with@long.address>\nDate: x\n\nSigned-off-by: Somebody <with@long.address>\n---\n"
        text = series.SIGNED.sub("Signed-off-by: A <a@b.c>", series.FROM.sub("From: A <a@b.c>", mail, 1))
        self.assertEqual("From 0\nFrom: A <a@b.c>\nDate: x\n\nSigned-off-by: A <a@b.c>\n---\n", text)

    def test_kbuild_has_what_is_there(self) -> None:
        """series: a Kbuild names no object whose source comes with a later patch"""
        kbuild = "obj-y += shim/a.o shim/b.o\nobj-$(CONFIG_X) += rust/x.o\nKCOV := y\n"
        with tempfile.TemporaryDirectory() as temp:
            (Path(temp) / "shim").mkdir()
            (Path(temp) / "shim/b.c").touch()
            self.assertEqual("obj-y += shim/b.o\nKCOV := y\n", series.buildable(kbuild, Path(temp)))
            (Path(temp) / "shim/a.c").touch()
            (Path(temp) / "rust").mkdir()
            (Path(temp) / "rust/x.rs").touch()
            self.assertEqual(kbuild, series.buildable(kbuild, Path(temp)))

    def test_a_line_has_its_place(self) -> None:
        """series: a line goes behind the one that is named, or it is said that there is none"""
        with tempfile.TemporaryDirectory() as temp:
            path = Path(temp) / "index.rst"
            path.write_text("x\n   a\n   c\n", encoding="utf-8")
            series.insert(path, "   a", "   b")
            self.assertEqual("x\n   a\n   b\n   c\n", path.read_text(encoding="utf-8"))
            with self.assertRaises(Fail):
                series.insert(path, "   d", "   e")

    def test_known_by_what_it_says(self) -> None:
        """series: a mail of another day is the same, one that says something else is not"""
        with tempfile.TemporaryDirectory() as temp:
            keys = []
            for day, what in (("Mon", "x"), ("Tue", "x"), ("Tue", "y")):
                path = Path(temp) / "mail"
                path.write_text(f"From 0\nFrom: A\nDate: {day}\nSubject: [PATCH] s\n\n{what}\n", encoding="utf-8")
                keys.append(series.key(path))
        self.assertEqual(keys[0], keys[1])
        self.assertNotEqual(keys[1], keys[2])

    def test_what_has_to_be_compiled(self) -> None:
        """series: the C of a patch has to be compiled by some kernel, its folder's from the patch on that builds it"""
        with tempfile.TemporaryDirectory() as temp:
            mail, home = Path(temp) / "mail", Path(temp) / "io_uring/notif"
            mail.write_text("".join(f"diff --git a/{name} b/{name}\n" for name in (
                "io_uring/net.c", "io_uring/notif/shim/a.c", "include/x.h", "tools/testing/t.c", "rust/helpers/helpers.c")),
                encoding="utf-8")
            one = series.Series("4", "PATCH", "", Path(temp), "io_uring/notif", "IO_URING_NOTIF", [], [])
            step = series_check.Applied(mail, one, "")
            (home / "shim").mkdir(parents=True)
            for name in ("a.c", "b.c", "rust_helpers.c"):
                (home / "shim" / name).touch()
            self.assertEqual({"io_uring/net.c"}, series_check.sources(Path(temp), step))
            (home / "Kconfig").touch()
            self.assertEqual({"io_uring/net.c", "io_uring/notif/shim/a.c", "io_uring/notif/shim/b.c"},
                             series_check.sources(Path(temp), step))
