# SPDX-License-Identifier: GPL-2.0
"""The graft: this folder becomes io_uring/notif/ of a kernel tree, vsock/ its neighbour, patches/ change the rest.

Without git, as a tree may be an unpacked archive; and file by file, so that make builds only what changed.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import plants
import source
from cache import made_whole, write_if_changed
from common import Fail, PROJECT
from source import Tree, check_kernel

# A folder of the project, and where in a kernel tree it goes; the first one is the project itself
PLACES = dict(zip(("", "vsock"), source.PLACES, strict=True))
WHERE = PLACES[""]
KERNEL_PARTS = ("Kbuild", "Kconfig", "rust", "shim")
ALL_PARTS = (*KERNEL_PARTS, "selftests")
OUTPUT = re.compile(r"(^|/)(\.|__pycache__/)|\.(o|ko|pyc|cmd|d)$")


def in_tree(parts: tuple[str, ...] = ALL_PARTS, project: Path = PROJECT) -> dict[str, Path]:
    """The files of the project that belong to a kernel tree, by their names there, sorted."""
    found: dict[str, Path] = {}
    for home, place_ in PLACES.items():
        for path in (project / home / part for part in parts):
            files = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path] if path.is_file() else []
            found |= {f"{place_}/{p.relative_to(project / home)}": p for p in files}
    return {name: path for name, path in sorted(found.items()) if not OUTPUT.search(str(path.relative_to(project)))}


def project_files(parts: tuple[str, ...] = ALL_PARTS, project: Path = PROJECT) -> list[Path]:
    """The files of the project that belong to a kernel tree, sorted."""
    return sorted(in_tree(parts, project).values())


def grafted(file: Path, project: Path = PROJECT) -> bytes:
    """A file of the project as the cached tree gets it: with the bug that PLANT= puts there."""
    plant = plants.chosen()
    data = file.read_bytes()
    return plant.put_into(str(file.relative_to(project)), data) if plant else data


def patch_files(project: Path = PROJECT) -> list[Path]:
    """The patches to existing files, in the order in which they apply."""
    return sorted((project / "patches").glob("*.patch"))


def touched(patch: Path) -> list[str]:
    """The files that a git-format patch changes."""
    return re.findall(r"^diff --git a/\S+ b/(\S+)$", patch.read_text(encoding="utf-8"), re.M)


def apply_patches(patches: list[Path], pristine: Callable[[str], Path]) -> dict[str, bytes | None]:
    """Every touched file as the patches make it (None: deleted); nothing is written to a tree."""
    names = sorted({name for patch in patches for name in touched(patch)})
    with tempfile.TemporaryDirectory(prefix="notif-graft-") as folder:
        temp = Path(folder)
        for name in names:
            if pristine(name).exists():
                (temp / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(pristine(name), temp / name)
        for patch in patches:
            # No fuzz: a hunk whose surroundings have changed wants a person's eye
            done = subprocess.run(["patch", "-p1", "-f", "--fuzz=0", "--no-backup-if-mismatch", "-r", "-",
                                   "-d", folder, "-i", str(patch)], text=True, capture_output=True, check=False)
            if done.returncode:
                raise Fail(rejection(patch, done.stdout + done.stderr))
        return {name: (temp / name).read_bytes() if (temp / name).exists() else None for name in names}


def rejection(patch: Path, said: str) -> str:
    """One line about a patch that does not apply: which, where, what to do."""
    where = touched(patch)
    name, hunks = where[0] if len(where) == 1 else "one of its files", []
    for part in re.split(r"^(?=patching file )", said, flags=re.M):
        failed = re.findall(r"^Hunk #(\d+) FAILED at (\d+)", part, re.M)
        if failed or "hunks ignored" in part or "hunk ignored" in part:
            name, hunks = part.split("\n")[0].removeprefix("patching file ").strip(), failed
            break
    which = f" (hunk {hunks[0][0]} at line {hunks[0][1]})" if hunks else ""
    return (f"patches/{patch.name} does not apply to {name}{which}; "
            f"update the patch, or use a Linux tree it was made for; the tree is unchanged")


def sync(tree: Tree, project: Path = PROJECT) -> int:
    """Make the cached tree the kernel plus this project; how many files had to be written.

    Only files whose content differs are written, so that make rebuilds only what changed.
    """
    patches = patch_files(project)
    patched = apply_patches(patches, tree.pristine)
    before = set(tree.once_patched())
    write_if_changed(tree.folder / "patched", "".join(f"{n}\n" for n in sorted(before | set(patched))).encode())
    changed = 0
    for name in sorted(before - set(patched)):
        original = tree.pristine(name)
        changed += place(tree.src / name, original.read_bytes() if original.exists() else None)
    for name, data in patched.items():
        changed += place(tree.src / name, data)
    files = {tree.src / name: file for name, file in in_tree(project=project).items()}
    for target, file in files.items():
        changed += write_if_changed(target, grafted(file, project), file.stat().st_mode & 0o777)
    for old in [path for place_ in PLACES.values() for path in (tree.src / place_).rglob("*")]:
        if old.is_file() and old not in files:
            old.unlink()
            changed += 1
    return changed


def unpatched(tree: Tree, name: str = "plain") -> Tree:
    """A tree beside this one with every file as it was before the patches, and without the project."""
    if tree.user:
        raise Fail("what has no patches is made of Debian's kernel; leave KSRC= out, or build your tree as it is")
    plain = Tree(tree.folder / name, tree.version)
    if not plain.src.exists():
        # Files are shared: whoever changes one puts a new file in its place (write_if_changed)
        with made_whole(plain.src) as temp:
            shutil.copytree(tree.src, temp, copy_function=os.link, symlinks=True, dirs_exist_ok=True)
    for place_ in PLACES.values():
        shutil.rmtree(plain.src / place_, ignore_errors=True)
    for path in tree.once_patched():
        original = tree.pristine(path)
        place(plain.src / path, original.read_bytes() if original.exists() else None)
    return plain


def place(path: Path, data: bytes | None) -> bool:
    """Give a file its content, or remove it."""
    if data is not None:
        return write_if_changed(path, data, path.stat().st_mode & 0o777 if path.exists() else 0o644)
    there = path.exists()
    path.unlink(missing_ok=True)
    return there


def sha(data: bytes | None) -> str:
    """The content of a file as the record of a graft keeps it."""
    return hashlib.sha256(data).hexdigest() if data is not None else ""


def content(path: Path) -> bytes | None:
    """A file's bytes, None when there is no file."""
    return path.read_bytes() if path.is_file() else None


def graft(ksrc: Path, project: Path = PROJECT) -> None:
    """Graft a tree of the user's own; all of it or nothing, with a record for `ungraft`."""
    check_kernel(ksrc)
    home = ksrc / WHERE
    if home.exists():
        raise Fail(f"{ksrc} is grafted already; `make ungraft KSRC={ksrc}` takes the graft out")
    patched = apply_patches(patch_files(project), lambda name: ksrc / name)
    record = home / ".graft"
    record.mkdir(parents=True)
    for name in patched:
        if (ksrc / name).exists():
            (record / "orig" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ksrc / name, record / "orig" / name)
    files = in_tree(project=project)
    # The record is whole before the first change: an interrupted graft can be taken out
    write_if_changed(record / "record.json", json.dumps({
        "patched": {n: [sha(content(ksrc / n)), sha(d)] for n, d in patched.items()},
        "added": {n: sha(p.read_bytes()) for n, p in files.items()}}, indent=1).encode())
    for name, file in files.items():
        write_if_changed(ksrc / name, file.read_bytes(), file.stat().st_mode & 0o777)
    for name, data in patched.items():
        place(ksrc / name, data)


def ungraft(ksrc: Path) -> None:
    """Take the graft out of a tree: every file as it was, with its time."""
    home = ksrc / WHERE
    record = home / ".graft"
    if not home.exists():
        raise Fail(f"{ksrc} is not grafted; there is nothing to take out")
    try:
        known = json.loads((record / "record.json").read_text(encoding="utf-8"))
    except OSError as error:
        if record.exists() and [p.name for p in home.iterdir()] == [".graft"]:
            shutil.rmtree(home)  # interrupted before the first change
            return
        raise Fail(f"{home} was not made by `make graft`; remove it by hand if you do not want it") from error
    for name, (old, new) in known["patched"].items():
        if sha(content(ksrc / name)) not in (old, new):
            raise Fail(f"{ksrc / name} was changed after the graft; undo that change first, or keep it elsewhere")
    for name, new in known["added"].items():
        if sha(content(ksrc / name)) not in (new, ""):
            raise Fail(f"{ksrc / name} was changed after the graft; keep it elsewhere and remove it first")
    for name, (old, _) in known["patched"].items():
        (ksrc / name).unlink(missing_ok=True)
        if old:
            shutil.copy2(record / "orig" / name, ksrc / name)
    for place_ in reversed(PLACES.values()):
        shutil.rmtree(ksrc / place_, ignore_errors=place_ != WHERE)
