# SPDX-License-Identifier: GPL-2.0
"""ARCH=arm64: which kernel is meant, where packaged files go, what the guest gets of them."""

import io
import subprocess
import tarfile
import tempfile
import unittest
from pathlib import Path

import arm64
from common import Fail
from flavour import FLAVOURS, flavour_name


def package(folder: Path, members: dict[str, str]) -> Path:
    """A Debian package with these files; a member that ends in @ is a link."""
    control, data = folder / "control.tar", folder / "data.tar"
    for path in (control, data):
        with tarfile.open(path, "w") as archive:
            for name, text in members.items() if path == data else {"./control": "Package: x\n"}.items():
                info = tarfile.TarInfo(name.rstrip("@"))
                if name.endswith("@"):
                    info.type, info.linkname = tarfile.SYMTYPE, text
                    archive.addfile(info)
                else:
                    info.size, info.mode = len(text), 0o755
                    archive.addfile(info, io.BytesIO(text.encode()))
    (folder / "debian-binary").write_text("2.0\n", encoding="utf-8")
    subprocess.run(["ar", "rc", "x.deb", "debian-binary", "control.tar", "data.tar"], cwd=folder, check=True)
    return folder / "x.deb"


class FlavourTest(unittest.TestCase):
    """What the Makefile's variables mean together."""

    def test_names(self) -> None:
        """ARCH= and PAGES= pick the kernel, FLAVOUR= that of x86"""
        self.assertEqual(flavour_name("", "debug", "", ""), "debug")
        self.assertEqual(flavour_name("kcsan", "debug", "x86_64", "4k"), "kcsan")
        self.assertEqual(flavour_name("", "debug", "arm64", ""), "arm64")
        self.assertEqual(flavour_name("", "debug", "arm64", "64k"), "arm64-64k")
        for name in ("arm64", "arm64-64k"):
            self.assertEqual(FLAVOURS[name].arch, "arm64")
            self.assertTrue(all(path.is_file() for path in FLAVOURS[name].fragments()))

    def test_nonsense(self) -> None:
        """one line for what makes no sense"""
        for name, arch, pages in (("", "mips", ""), ("", "", "64k"), ("", "arm64", "16k"), ("debug", "arm64", "")):
            with self.assertRaises(Fail):
                flavour_name(name, "release", arch, pages)


class UserlandTest(unittest.TestCase):
    """Packages become the files of a guest."""

    def test_unpack(self) -> None:
        """a packaged file is below /usr, and links still lead to it"""
        with tempfile.TemporaryDirectory() as name:
            folder, root = Path(name), Path(name) / "root"
            arm64.unpack(package(folder, {
                "./bin/prog": "prog", "./lib/arch/libx.so.1": "x", "./usr/lib/arch/libx.so@": "/lib/arch/libx.so.1",
                "./bin/other@": "prog", "./lib/near@": "../usr/lib/far", "./usr/lib/far": "far",
                "./usr/include/x.h": "h", "./usr/lib/arch/libx.a": "a"}), root)
            arm64.finish(root)
            self.assertEqual((root / "bin/other").read_text(encoding="utf-8"), "prog")
            self.assertEqual((root / "usr/lib/arch/libx.so").read_text(encoding="utf-8"), "x")
            self.assertEqual((root / "lib/near").read_text(encoding="utf-8"), "far")
            names = list(arm64.guest_files(root))
            self.assertIn("usr/bin/prog", names)
            self.assertLess(names.index("usr/bin"), names.index("usr/bin/prog"))
            self.assertNotIn("usr/include", names)
            self.assertNotIn("usr/lib/arch/libx.a", names)
            arm64.pack(root, folder / "initramfs")
            with (folder / "initramfs").open("rb") as archive:
                listed = subprocess.run(["busybox", "cpio", "-t"], stdin=archive, capture_output=True, check=True)
            self.assertEqual(set(listed.stdout.decode().split()), {*names, "dev/console", "init"})
