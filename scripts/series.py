# SPDX-License-Identifier: GPL-2.0
"""The series that would go upstream, as mails: patches/series/ says which, and in what order.

Each is a branch of commits in a temporary repository of the files that are touched, written by git
format-patch. A patch is a mail of patches/, files of the project, or both; the tree in the end is the grafted one.
"""

import os
import re
import shutil
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import figures
import graft
from common import Fail, PROJECT, log, output, say
from source import Tree

LISTS = PROJECT / "patches/series"
# Who has no address that mail reaches is nobody: the name of a machine is no author
NEUTRAL = ("io_uring notification slots", "io-uring-notif@example.org")
NO_MAIL = re.compile(r"@[^.]*$|\.(example|invalid|test|local|localdomain|localhost|internal|lan)$")
FROM, SIGNED = re.compile(r"^From: .*(\n[ \t].*)*$", re.M), re.compile(r"^Signed-off-by: .*$", re.M)
# Mailing lists take no longer ones
LONGEST = 100_000


@dataclass(frozen=True)
class Series:
    """One series: what goes together to the same maintainers."""

    name: str
    prefix: str
    cover: str
    # The folder of the project that becomes this one in the kernel, and the option that builds it
    folder: Path
    home: str
    option: str
    # Files of the folder that the kernel has others for
    left_out: list[str]
    patches: list[dict[str, Any]]


def load() -> list[Series]:
    """All series, in the order in which they apply."""
    found = []
    for path in sorted(LISTS.glob("*.toml")):
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        found.append(Series(path.stem, data.get("prefix", "PATCH"), data.get("cover", ""),
                            PROJECT / data.get("folder", "."), data.get("home", graft.WHERE),
                            data.get("option", "IO_URING_NOTIF"), data.get("left_out", []), data["patches"]))
    return found


def author() -> tuple[str, str]:
    """Who signs: as git's configuration says, unless that is no address."""
    said = [output(["git", "config", "--default", "", f"user.{key}"], cwd=PROJECT).strip() for key in ("name", "email")]
    if said[0] and said[1] and not NO_MAIL.search(said[1]):
        return said[0], said[1]
    say(f"  signed by {NEUTRAL[1]}: git config user.name and user.email name nobody who gets mail")
    return NEUTRAL


def mail_of(patch: dict[str, Any]) -> Path:
    """The mail in patches/ that a patch names by how its name begins."""
    found = list((PROJECT / "patches").glob(f"{patch['mail']}*.patch"))
    if len(found) != 1:
        raise Fail(f"patches/series names {patch['mail']}, and patches/ has {len(found)} of it; say more of its name")
    return found[0]


def key(mail: Path) -> str:
    """What a mail says and changes, without who sent it, and when."""
    return mail.read_text(encoding="utf-8").partition("\nSubject: ")[2]


def files_of(one: Series, patch: dict[str, Any]) -> list[Path]:
    """The files of the project that a patch adds."""
    found: list[Path] = []
    for pattern in patch.get("files", ()):
        # What is named is meant, what a pattern finds may be the output of a build
        names = sorted(p for p in one.folder.glob(pattern)
                       if p.is_file() and not ("*" in pattern and graft.OUTPUT.search(p.name)))
        if not names:
            raise Fail(f"patches/series/{one.name}.toml names {pattern}, and there is no such file; correct it")
        found += names
    return found


class Repository:
    """A git repository in which a series grows, or is applied."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        name, mail = author()
        # The same series has the same mails
        date = output(["git", "log", "-1", "--format=%cI"], cwd=PROJECT).strip()
        self.env = dict(os.environ, GIT_AUTHOR_NAME=name, GIT_AUTHOR_EMAIL=mail, GIT_COMMITTER_NAME=name,
                        GIT_COMMITTER_EMAIL=mail, GIT_AUTHOR_DATE=date, GIT_COMMITTER_DATE=date,
                        GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_SYSTEM="/dev/null")
        self.author = f"{name} <{mail}>"
        self.signed = f"Signed-off-by: {self.author}"
        self.git("init", "-q", ".")

    def git(self, *arguments: str) -> str:
        """Run git in the repository."""
        return output(["git", *arguments], self.env, self.folder)

    def am(self, mail: Path, what: str) -> None:
        """Apply a mail, with no fuzz."""
        try:
            self.git("am", "-q", str(mail))
        except Fail as error:
            raise Fail(f"{what} does not apply with git am, after those before it; see {log().path}") from error

    def commit(self, subject: str, body: str) -> None:
        """Commit everything, if there is something; what is ignored too."""
        self.git("add", "-A", "-f")
        if self.git("status", "--porcelain"):
            self.git("commit", "-q", "-m", f"{subject}\n\n{body.strip()}\n\n{self.signed}")

    def add(self, one: Series, patch: dict[str, Any]) -> None:
        """Make one patch of a series."""
        if "mail" in patch:
            path, mail = mail_of(patch), self.folder / ".git/mail"
            mail.write_text(SIGNED.sub(self.signed, FROM.sub(f"From: {self.author}", path.read_text(encoding="utf-8"), 1)), encoding="utf-8")
            self.am(mail, f"patches/{path.name}")
        for path in files_of(one, patch):
            place(self.folder, one, path, patch.get("into", ""))
        for name, after, line in patch.get("lines", ()):
            insert(self.folder / name, after, line.replace("@AUTHOR@", self.author))
        if "mail" in patch:
            self.git("add", "-A", "-f")
            self.git("commit", "-q", "--amend", "--no-edit")
        else:
            self.commit(patch["subject"], patch["body"])


def place(root: Path, one: Series, path: Path, into: str) -> None:
    """Put a file of the project where the kernel has it."""
    name = path.relative_to(one.folder)
    target = root / into / name.name if into else root / one.home / name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, target)
    if name.name == "Kbuild":
        target.write_text(buildable(target.read_text(encoding="utf-8"), target.parent), encoding="utf-8")


def buildable(kbuild: str, folder: Path) -> str:
    """A Kbuild without the objects whose source is not there yet."""
    def line(found: re.Match[str]) -> str:
        there = [o for o in found[2].split() if any((folder / o).with_suffix(s).exists() for s in (".c", ".rs"))]
        return f"{found[1]} {' '.join(there)}\n" if there else ""

    return re.sub(r"^(obj-\S+ [+:]=) (.*)\n", line, kbuild, flags=re.M).rstrip("\n") + "\n"


def insert(path: Path, after: str, line: str) -> None:
    """Add a line behind another one: to a table of contents, a list of targets."""
    text = path.read_text(encoding="utf-8")
    if f"\n{after}\n" not in text:
        raise Fail(f"{path} has no line `{after}` any more; say in patches/series behind what `{line}` goes")
    path.write_text(text.replace(f"\n{after}\n", f"\n{after}\n{line}\n", 1), encoding="utf-8")


def forgotten(all_series: list[Series]) -> set[str]:
    """Patches and files of the project that no series has."""
    mails_of = {mail_of(p).name for s in all_series for p in s.patches if "mail" in p}
    added = {path for s in all_series for p in s.patches for path in files_of(s, p)}
    added |= {s.folder / name for s in all_series for name in s.left_out}
    files = set(graft.project_files())
    return {p.name for p in graft.patch_files()} - mails_of | {str(p.relative_to(PROJECT)) for p in files - added}


def complete(tree: Tree, root: Path, all_series: list[Series]) -> None:
    """Compare with what the graft makes: whatever is not in a series would be forgotten."""
    expected: dict[str, bytes | None] = dict(graft.apply_patches(graft.patch_files(), tree.pristine))
    for path in graft.project_files(graft.KERNEL_PARTS):
        one = max((s for s in all_series if path.is_relative_to(s.folder)), key=lambda s: len(s.folder.parts))
        expected[f"{one.home}/{path.relative_to(one.folder)}"] = path.read_bytes()
    wrong = {name for name, data in expected.items() if graft.content(root / name) != data}
    wrong -= {name for s in all_series for p in s.patches for name, *_ in p.get("lines", ())}
    wrong |= forgotten(all_series)
    if wrong:
        raise Fail(f"the series make another tree than the graft, by {', '.join(sorted(wrong)[:5])}; "
                   "add what is missing to patches/series")


def write(tree: Tree, out: Path) -> Path:
    """Write every series as mails into a folder of `out`."""
    all_series = load()
    names = {n for p in graft.patch_files() for n in graft.touched(p)}
    names |= {n for s in all_series for p in s.patches for n, *_ in p.get("lines", ())}
    with tempfile.TemporaryDirectory(prefix="notif-series-") as temp:
        repository = Repository(Path(temp))
        for name in sorted(n for n in names if tree.pristine(n).exists()):
            (repository.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(tree.pristine(name), repository.folder / name)
        repository.commit(f"Linux {tree.version}", "As it was released.")
        shutil.rmtree(out, ignore_errors=True)
        for one in all_series:
            repository.git("checkout", "-q", "-b", one.name)
            repository.git("tag", f"base-{one.name}")
            for patch in one.patches:
                repository.add(one, patch)
            mails(repository, one, out / one.name)
        complete(tree, repository.folder, all_series)
    return out


def mails(repository: Repository, one: Series, folder: Path) -> None:
    """Write one series, with its cover letter when it has more than one patch."""
    cover = one.cover.replace("@FIGURES@", "\n".join(figures.mail(figures.load())))
    options = []
    if cover:
        repository.git("config", f"branch.{one.name}.description", cover)
        options = ["--cover-letter", "--cover-from-description=subject"]
    repository.git("format-patch", "-q", "--zero-commit", f"--subject-prefix={one.prefix}", *options,
                   "-o", str(folder), f"base-{one.name}")
    for path in sorted(folder.iterdir()):
        if path.stat().st_size > LONGEST:
            raise Fail(f"{path.name} has {path.stat().st_size} bytes, and lists take {LONGEST}; split it in patches/series")
