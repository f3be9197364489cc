# SPDX-License-Identifier: GPL-2.0
"""The patch series that would go upstream: this folder's files, then the hooks that use them.

It is made with git in a temporary repository that holds just the files the
patches touch, so what is written has been applied, in this order.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import graft
from common import Fail, PROJECT, output
from source import PLACES, Tree

# Pages have the place here that they get in the kernel, and a line in the table of contents there
PAGES = "Documentation/networking"
TOCTREE, BEFORE = f"{PAGES}/index.rst", "   iou-zcrx\n"
NOTIF, MAPRX = PLACES
# The files come first: no build reads them before the last patches hook them in
GROUPS = (
    (NOTIF, ("shim",), "io_uring/notif: add the C shim of notification slots",
     "The shim is what io_uring calls when a request names a notification slot. It\n"
     "owns no policy and no state: it hands every call to the module's operations."),
    (NOTIF, ("rust", "Kbuild", "Kconfig"), "io_uring/notif: add notification slots, in Rust",
     "Slots, notifiers and their completion: one CQE tells that the kernel has let go\n"
     "of the pages of any number of zero-copy sends."),
    (NOTIF, ("selftests",), "io_uring/notif: add selftests", "They drive the module through io_uring, over veth and real NICs."),
    (NOTIF, (PAGES,), "Documentation: networking: add notification slots of io_uring",
     "What a program does with notification slots, and how they work."),
    (MAPRX, ("shim",), "vsock: add the C shim of zero-copy receive",
     "The shim is what vsock calls when a socket opts in, is mapped or receives. It\n"
     "maps pages, and owns no policy."),
    (MAPRX, ("rust", "Kbuild", "Kconfig"), "vsock: add zero-copy receive, in Rust",
     "Which packets go to which page of a mapping, and what becomes of a receive that\n"
     "fails."),
)


def author() -> list[str]:
    """The identity for the patches that add files: that of the first patch, else the person's own."""
    for patch in graft.patch_files():
        for line in patch.read_text(encoding="utf-8").splitlines():
            if line.startswith("From: ") and "<" in line:
                name, mail = line.removeprefix("From: ").rsplit("<", 1)
                return [name.strip(), mail.rstrip("> ")]
    return ["io_uring notif", "notif@localhost"]


class Repository:
    """A temporary git repository with the touched files of a kernel."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        name, mail = author()
        self.env = dict(os.environ, GIT_AUTHOR_NAME=name, GIT_AUTHOR_EMAIL=mail, GIT_COMMITTER_NAME=name,
                        GIT_COMMITTER_EMAIL=mail, GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_SYSTEM="/dev/null")
        self.signed = f"Signed-off-by: {name} <{mail}>"
        self.git("init", "-q", ".")

    def git(self, *arguments: str) -> str:
        """Run git in the repository."""
        return output(["git", *arguments], self.env, self.folder)

    def commit(self, subject: str, body: str) -> None:
        """Commit everything."""
        self.git("add", "-A", "-f")
        self.git("commit", "-q", "-m", f"{subject}\n\n{body}\n\n{self.signed}")

    def am(self, patch: Path) -> None:
        """Apply one of patches/ with its own message and author."""
        done = subprocess.run(["git", "am", "-q", str(patch)], cwd=self.folder, env=self.env, text=True,
                              capture_output=True, check=False)
        if done.returncode:
            raise Fail(f"patches/{patch.name} does not apply with git am; make it with git format-patch")


def place(where: str, parts: tuple[str, ...], root: Path) -> bool:
    """Put files of the project where the kernel has them; whether there are any."""
    files = {name: file for name, file in graft.in_tree(parts).items() if name.startswith(f"{where}/")}
    for placed, file in files.items():
        name = file.relative_to(PROJECT)
        target = root / name if name.is_relative_to(PAGES) else root / placed
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
        if name.is_relative_to(PAGES):
            toctree = (root / TOCTREE).read_text(encoding="utf-8")
            if BEFORE not in toctree:
                raise Fail(f"{TOCTREE} has no line `{BEFORE.strip()}` any more; say in scripts/series.py where a page goes")
            (root / TOCTREE).write_text(toctree.replace(BEFORE, f"   {name.stem}\n{BEFORE}"), encoding="utf-8")
    return bool(files)


def write(tree: Tree, out: Path) -> Path:
    """Write the series as mails into `out`, and return that folder."""
    patches = graft.patch_files()
    with tempfile.TemporaryDirectory(prefix="notif-series-") as temp:
        repository = Repository(Path(temp))
        for name in sorted({TOCTREE} | {n for p in patches for n in graft.touched(p)}):
            if tree.pristine(name).exists():
                (repository.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(tree.pristine(name), repository.folder / name)
        repository.commit(f"Linux {tree.version}", "The base of the series.")
        base = repository.git("rev-parse", "HEAD").strip()
        for where, parts, subject, body in GROUPS:
            if place(where, parts, repository.folder):
                repository.commit(subject, body)
        for patch in patches:
            repository.am(patch)
        shutil.rmtree(out, ignore_errors=True)
        repository.git("format-patch", "-q", "--cover-letter", "-o", str(out), base)
    return out
