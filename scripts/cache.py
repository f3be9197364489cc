# SPDX-License-Identifier: GPL-2.0
"""The cache folder: locks, atomic writes, and throwing away what is old."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from common import PROJECT, cache_dir, say


@contextlib.contextmanager
def lock(name: str, what: str) -> Iterator[None]:
    """Hold the lock `name`; say who holds it while waiting. It goes with the process."""
    folder = cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            say(f"  waiting for {file.read().strip() or 'another process'}")
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(f"process {os.getpid()} ({what}, from {PROJECT})\n")
        file.flush()
        yield


def write_if_changed(path: Path, data: bytes, mode: int = 0o644) -> bool:
    """Give `path` this content; leave it untouched, with its time, when it has it already.

    The new file replaces the old one whole, and a symbolic link is replaced, never followed.
    """
    if not path.is_symlink() and path.is_file() and path.read_bytes() == data:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    temp = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temp.write_bytes(data)
        temp.chmod(mode)
        os.replace(temp, path)
    finally:
        temp.unlink(missing_ok=True)
    return True


@contextlib.contextmanager
def made_whole(path: Path) -> Iterator[Path]:
    """A temporary folder that becomes `path` when the block ends well, and goes when not.

    The caller holds the lock under which `path` is made: what another run left behind is dead.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{path.name}.*"):
        shutil.rmtree(left, ignore_errors=True)
    temp = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield temp
        temp.chmod(0o755)
        if path.exists():
            shutil.rmtree(path)
        os.rename(temp, path)
    finally:
        shutil.rmtree(temp, ignore_errors=True)


def prune(folder: Path, keep: int) -> None:
    """Keep the newest entries of a folder; the caller holds the lock under which they are made."""
    for old in sorted(folder.iterdir(), key=lambda p: p.stat().st_mtime, reverse=True)[keep:]:
        shutil.rmtree(old, ignore_errors=True)


def digest(parts: Iterable[bytes | str]) -> str:
    """A short key of everything given, in order."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "little") + data)
    return total.hexdigest()[:16]


def files_digest(paths: Iterable[Path], root: Path) -> str:
    """A key of these files: their names below `root` and their content."""
    parts: list[bytes | str] = []
    for path in paths:
        parts += [str(path.relative_to(root)), path.read_bytes()]
    return digest(parts)
