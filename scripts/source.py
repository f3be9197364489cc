# SPDX-License-Identifier: GPL-2.0
"""Where the kernel comes from: Debian's source package, or a tree of the user's own."""

import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import apt
from cache import digest, lock, made_whole
from common import Fail, Step, cache_dir, failure, log, need_space, output, say, stop

SERIES = "7.3"
# Where the graft goes, see graft.py
PLACES = ("io_uring/notif", "net/vmw_vsock/maprx")
FILES_IN_TREE = 102339


@dataclass(frozen=True)
class Tree:
    """A kernel tree in the cache, and where the unpatched files of it are."""

    folder: Path
    version: str
    user: Path | None = None

    @property
    def src(self) -> Path:
        """The working tree: the kernel, grafted."""
        return self.folder / "src"

    def build(self, flavour: str) -> Path:
        """The output folder of one flavour."""
        return self.folder / f"build-{flavour}"

    def pristine(self, path: str) -> Path:
        """A file as it was before any patch; kept aside the first time it is asked for."""
        if self.user:
            # A tree that `make graft` has grafted keeps its own originals
            grafted = self.user / "io_uring/notif/.graft/orig" / path
            return grafted if grafted.exists() else self.user / path
        kept = self.folder / "pristine" / path
        if not kept.exists() and (self.src / path).exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            temp = kept.with_name(kept.name + ".tmp")
            shutil.copy2(self.src / path, temp)
            os.replace(temp, kept)
        return kept

    def once_patched(self) -> list[str]:
        """Every file that some patch has touched in this tree."""
        listed = self.folder / "patched"
        return listed.read_text(encoding="utf-8").split("\n")[:-1] if listed.exists() else []


def unpack(package: Path, src: Path) -> None:
    """Unpack the tarball inside a Debian package into `src`, all of it or nothing."""
    member = f"./usr/src/linux-source-{SERIES}.tar.xz"
    script = ('set -o pipefail; dpkg-deb --fsys-tarfile "$1" | tar -xO "$2" | xz -dc -T0 '
              '| tar -xv -C "$3" --strip-components=1')
    with Step("unpacking the kernel", FILES_IN_TREE, " files") as step, made_whole(src) as temp:
        process = subprocess.Popen(["/bin/bash", "-c", script, "bash", str(package), member, str(temp)],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                   start_new_session=True)
        assert process.stdout and process.stderr
        try:
            for count, _ in enumerate(process.stdout, 1):
                step.update(count)
            errors = process.stderr.read().decode(errors="replace")
            process.wait()
        finally:
            stop(process)
        if process.returncode:
            log().write(errors)
            raise failure("unpacking the kernel", process.returncode, errors.splitlines()[:8])


def fetched() -> Tree | None:
    """The newest whole Debian tree in the cache."""
    stamps = sorted(cache_dir().glob(f"linux-{SERIES}.*/src.complete"), key=lambda p: p.stat().st_mtime)
    if not stamps:
        return None
    return Tree(stamps[-1].parent, stamps[-1].parent.name.removeprefix("linux-"))


def fetch() -> Tree:
    """Debian's kernel source, downloaded and unpacked once."""
    tree = fetched()
    if tree:
        return tree
    with lock("source", "fetching the kernel source"):
        tree = fetched()
        if tree:
            return tree
        need_space(cache_dir(), 6, "the kernel source and its builds")
        repository = apt.Repository(cache_dir() / "apt")
        package, version = repository.download(f"linux-source-{SERIES}")
        folder = cache_dir() / f"linux-{version}"
        unpack(package, folder / "src")
        (folder / "src.complete").write_text(f"{package.name} {time.ctime()}\n", encoding="utf-8")
        shutil.rmtree(package.parent, ignore_errors=True)
        return Tree(folder, version)


def check_kernel(ksrc: Path) -> str:
    """The version of the tree at `ksrc`; a Fail when it is none, or of another series."""
    try:
        head = (ksrc / "Makefile").read_text(encoding="utf-8")[:400]
        (ksrc / "io_uring/notif.c").stat()
    except OSError as error:
        raise Fail(f"{ksrc} is not a kernel tree; give KSRC= the top folder of a Linux {SERIES} tree") from error
    parts = [re.search(rf"^{name} = *(\S*)$", head, re.M) for name in ("VERSION", "PATCHLEVEL", "SUBLEVEL")]
    version = ".".join(part.group(1) if part else "?" for part in parts)
    if not version.startswith(SERIES + "."):
        say(f"  note: {ksrc} is Linux {version}; the patches are made for {SERIES}")
    return version


def source_files(ksrc: Path) -> list[str]:
    """The files of a tree that are source, not what a build in place has left there."""
    if (ksrc / ".git").exists():
        names = output(["git", "-C", str(ksrc), "ls-files", "-z", "-c", "-o", "--exclude-standard"]).split("\0")
    elif (ksrc / ".config").exists() or (ksrc / "include/config").exists():
        raise Fail(f"{ksrc} was built in place and is no git repository, so source and output cannot be told "
                   f"apart; run `make -C {ksrc} mrproper` (it removes .config), or give another copy")
    else:
        names = [os.path.relpath(os.path.join(folder, name), ksrc)
                 for folder, _, files in os.walk(ksrc) for name in files]
    return [n for n in names if n and not n.startswith(tuple(f"{place}/" for place in PLACES))]


def farm(ksrc: Path) -> Tree:
    """A tree of symbolic links to the user's own, so that theirs stays as it is.

    Patched files become real files of the farm; `graft.sync` puts them there afterwards.
    """
    ksrc = ksrc.resolve()
    version = check_kernel(ksrc)
    tree = Tree(cache_dir() / f"ksrc-{ksrc.name}-{digest([str(ksrc)])}", version, ksrc)
    patched = set(tree.once_patched())
    wanted = set()
    with Step(f"linking {ksrc}"):
        names = source_files(ksrc)
        for name in names:
            link, target = tree.src / name, str(ksrc / name)
            if name in patched or not os.path.lexists(target):
                continue
            wanted.add(str(link))
            try:
                if os.readlink(link) == target:
                    continue
                link.unlink()
            except FileNotFoundError:
                link.parent.mkdir(parents=True, exist_ok=True)
            except OSError:
                link.unlink()
            os.symlink(target, link)
        remove_stale(tree, wanted | {str(tree.src / name) for name in patched})
    return tree


def remove_stale(tree: Tree, wanted: set[str]) -> None:
    """Remove from a farm the links of files that the user's tree no longer has."""
    for folder, folders, names in os.walk(tree.src):
        folders[:] = [f for f in folders if os.path.relpath(os.path.join(folder, f), tree.src) not in PLACES]
        for name in names:
            path = os.path.join(folder, name)
            if path not in wanted:
                os.unlink(path)


def find_tree() -> Tree:
    """The tree to build: `KSRC=` when given, else Debian's."""
    ksrc = os.environ.get("KSRC")
    if not ksrc:
        return fetch()
    with lock("source", f"linking {ksrc}"):
        return farm(Path(ksrc))
