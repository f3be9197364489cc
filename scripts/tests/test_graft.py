# SPDX-License-Identifier: GPL-2.0
"""The graft: all or nothing, and taken out without a trace."""

import os
import tempfile
import unittest
from pathlib import Path

import graft
from common import Fail
from source import Tree

MAKEFILE = "VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\n"
NET = "".join(f"line {n}\n" for n in range(1, 31))


def patch(old: str, new: str, name: str = "io_uring/net.c") -> str:
    """A git-format patch that changes line 10."""
    context = [f" line {n}\n" for n in range(7, 14)]
    context[3:4] = [f"-{old}\n", f"+{new}\n"]
    return (f"From 0 Mon Sep 17 00:00:00 2001\nSubject: [PATCH] a change\n\n---\ndiff --git a/{name} b/{name}\n"
            f"--- a/{name}\n+++ b/{name}\n@@ -7,7 +7,7 @@\n" + "".join(context) + "-- \n2.39\n")


def snapshot(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    """Every file of a folder: content, mode and time."""
    return {str(p.relative_to(folder)): (p.read_bytes(), p.stat().st_mode, p.stat().st_mtime_ns)
            for p in folder.rglob("*") if p.is_file()}


class GraftTest(unittest.TestCase):
    """A small project on a small tree."""

    def setUp(self) -> None:
        """Make both."""
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        self.tree, self.project = Path(temp.name) / "linux", Path(temp.name) / "project"
        for name, text in (("Makefile", MAKEFILE), ("io_uring/notif.c", "int x;\n"), ("io_uring/net.c", NET)):
            (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
            (self.tree / name).write_text(text, encoding="utf-8")
            os.utime(self.tree / name, (1000, 1000))
        for name in ("Kbuild", "rust/slot.rs", "vsock/Kbuild", "patches/0001-a.patch"):
            (self.project / name).parent.mkdir(parents=True, exist_ok=True)
            (self.project / name).write_text(name, encoding="utf-8")
        self.set_patch(patch("line 10", "line ten"))
        self.before = snapshot(self.tree)

    def set_patch(self, text: str, name: str = "0001-a.patch") -> None:
        """Give the project a patch."""
        (self.project / "patches" / name).write_text(text, encoding="utf-8")

    def net(self, root: Path | None = None) -> str:
        """The patched file."""
        return ((root or self.tree) / "io_uring/net.c").read_text(encoding="utf-8")

    def test_restores(self) -> None:
        """ungraft restores a grafted tree: content, modes and times"""
        graft.graft(self.tree, self.project)
        self.assertIn("line ten", self.net())
        self.assertTrue((self.tree / "io_uring/notif/rust/slot.rs").exists())
        self.assertTrue((self.tree / "net/vmw_vsock/maprx/Kbuild").exists())
        graft.ungraft(self.tree)
        self.assertEqual(snapshot(self.tree), self.before)

    def test_failing_patch(self) -> None:
        """a patch that does not apply is named with its file, and the tree is unchanged"""
        both = patch("int x;", "int y;", "io_uring/notif.c") + patch("line eleven", "line ten")
        self.set_patch(both.replace("@@ -7,7 +7,7 @@\n line 7\n line 8\n line 9\n-int x;\n+int y;\n"
                                    " line 11\n line 12\n line 13\n", "@@ -1 +1 @@\n-int x;\n+int y;\n"),
                       "0002-b.patch")
        with self.assertRaisesRegex(Fail, r"0002-b\.patch does not apply to io_uring/net\.c"):
            graft.graft(self.tree, self.project)
        self.assertEqual(snapshot(self.tree), self.before)

    def test_twice(self) -> None:
        """a tree that is grafted already is refused"""
        graft.graft(self.tree, self.project)
        with self.assertRaisesRegex(Fail, "grafted already"):
            graft.graft(self.tree, self.project)

    def test_changed_after(self) -> None:
        """ungraft refuses to throw away a change made after the graft"""
        graft.graft(self.tree, self.project)
        (self.tree / "io_uring/net.c").write_text("mine\n", encoding="utf-8")
        with self.assertRaisesRegex(Fail, "changed after the graft"):
            graft.ungraft(self.tree)
        self.assertEqual(self.net(), "mine\n")

    def test_interrupted(self) -> None:
        """a graft that was interrupted half way can be taken out"""
        graft.graft(self.tree, self.project)
        (self.tree / "io_uring/net.c").write_text(NET, encoding="utf-8")
        (self.tree / "io_uring/notif/Kbuild").unlink()
        graft.ungraft(self.tree)
        self.assertEqual({n: s[0] for n, s in snapshot(self.tree).items()},
                         {n: s[0] for n, s in self.before.items()})

    def test_sync(self) -> None:
        """the cached tree follows the patches, and writes only what differs"""
        folder = self.tree.parent / "cache"
        os.makedirs(folder)
        os.rename(self.tree, folder / "src")
        tree = Tree(folder, "7.3.4")
        self.assertEqual(graft.sync(tree, self.project), 4)
        self.assertIn("line ten", self.net(tree.src))
        self.assertEqual(graft.sync(tree, self.project), 0)
        self.set_patch(patch("line 10", "line X"))
        self.assertEqual(graft.sync(tree, self.project), 1)
        self.assertIn("line X", self.net(tree.src))
        (self.project / "patches/0001-a.patch").unlink()
        (self.project / "rust/slot.rs").unlink()
        self.assertEqual(graft.sync(tree, self.project), 2)
        self.assertEqual(self.net(tree.src), NET)
        self.assertFalse((tree.src / "io_uring/notif/rust/slot.rs").exists())
