# SPDX-License-Identifier: GPL-2.0
"""make bench's guest: what is in its initramfs."""

import subprocess
import tempfile
import unittest
from pathlib import Path

import bare
from common import Fail


def cpio(archive: bytes, *args: str) -> bytes:
    """What busybox finds in an archive."""
    return subprocess.run(["busybox", "cpio", *args], input=archive, capture_output=True, check=True).stdout


class BareTest(unittest.TestCase):
    """Everything but the boot."""

    def test_archive(self) -> None:
        """Folders come before what is in them, and every byte is there, of odd lengths as well."""
        with tempfile.TemporaryDirectory() as folder:
            paths = {}
            for n in range(5):
                paths[f"a/b{n}/file{'x' * n}"] = Path(folder) / str(n)
                paths[f"a/b{n}/file{'x' * n}"].write_bytes(b"\0data\n" * 700 + b"y" * n)
            archive = bare.archive(paths)
            names = cpio(archive, "-t").decode().split()
            self.assertEqual(len(set(names)), len(names))
            for name, path in paths.items():
                self.assertLess(names.index("a"), names.index(name))
                self.assertLess(names.index(str(Path(name).parent)), names.index(name))
                self.assertEqual(cpio(archive, "-i", "--to-stdout", name), path.read_bytes())
            self.assertEqual(archive, bare.archive(dict(reversed(paths.items()))))

    def test_libraries(self) -> None:
        """A program comes with the linker that it names, and what that looks for."""
        files = dict(bare.host_files())
        self.assertIn("bin/bash", files)
        self.assertTrue(any(Path(name).name.startswith("ld-linux") for name in files))
        self.assertTrue(any(Path(name).name.startswith("libc.so") for name in files))

    def test_missing_program(self) -> None:
        """One line says which program is missing."""
        with self.assertRaisesRegex(Fail, "no program surely-not-there"):
            bare.find_program("surely-not-there")
