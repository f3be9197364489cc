# SPDX-License-Identifier: GPL-2.0
"""`make series CHECK=1`: the mails of series.py, one after the other, as those would who get them.

git am onto the pristine kernel, checkpatch, get_maintainer; then each step is built, with the option off, on and as
a module where there is one, and booted. All are built in one folder for each value of the option, step by step, so
that make compiles what a patch changes; what was built or booted before is known by its content, and isn't again.
At last the selftests run as they are in the kernel's tree.
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bare
import build
import check
import graft
import series
import vm
from cache import digest, lock
from common import Fail, PROJECT, Step, log, output, run
from flavour import FLAVOURS, Flavour
from source import Tree
from toolchain import Toolchain, find_virtme

# What is no part of a kernel
NO_SOURCE = ("Documentation", "MAINTAINERS", "tools")
# C that is a part of another file's object
INCLUDED = re.compile(r"rust_helpers\.c$|^rust/|^tools/")
SELFTESTS = "tools/testing/selftests"
# Programs of the series for net/ that need nothing but a kernel
NETDEV = ("zerocopy_mtu_probe", "zerocopy_mixed", "zerocopy_ipcomp.sh")
# Which the last of them runs
HELPERS = ("io_uring_zerocopy_tx", "msg_zerocopy")


class Smallest(Flavour):
    """The kernel that each patch is built in."""

    def fragments(self) -> list[Path]:
        """Its whole configuration."""
        return [PROJECT / "configs/series.config"]

    def must(self) -> tuple[str, ...]:
        """Options that kconfig must take as they are asked for."""
        return ("CONFIG_RUST", "CONFIG_NET", "CONFIG_INET", "CONFIG_IO_URING", "CONFIG_MODULES", "CONFIG_INET_IPCOMP",
                "CONFIG_IPV6")


SMALLEST = Smallest("series", "the smallest that the series can be built and booted in", (), objects=1000)


@dataclass(frozen=True)
class Applied:
    """One patch, applied: its mail, its series, and the kernel as it is then."""

    mail: Path
    one: series.Series
    key: str


def pristine(tree: Tree) -> Tree:
    """A git repository of the whole kernel, without any patch, at the tag `base`."""
    if tree.user:
        raise Fail("the series are checked on Debian's kernel; leave KSRC= out")
    own = graft.unpatched(tree, "series")
    if not (own.src / ".git/complete").exists():
        with Step("the kernel as a git repository"):
            shutil.rmtree(own.src / ".git", ignore_errors=True)
            for command in (["init", "-q"], ["config", "core.looseCompression", "1"], ["config", "gc.auto", "0"],
                            ["config", "user.name", "base"], ["config", "user.email", "base@example.org"],
                            ["add", "-A", "-f"], ["commit", "-q", "-m", f"Linux {tree.version}"], ["tag", "base"]):
                run(["git", "-C", str(own.src), *command], f"git {command[0]}")
            (own.src / ".git/complete").touch()
    return own


def source_key(src: Path) -> str:
    """A key of what a kernel is built from, at the commit that is checked out."""
    entries = output(["git", "-C", str(src), "ls-tree", "HEAD"]).splitlines()
    return digest(line for line in entries if line.split("\t")[1] not in NO_SOURCE)


def apply(src: Path, out: Path, known: list[series.Series]) -> Iterator[Applied]:
    """git am of each mail; the tree is that of the patch as long as the caller looks at it."""
    git = ["git", "-C", str(src)]
    output([*git, "checkout", "-q", "-f", "--detach", "base"])
    output([*git, "clean", "-q", "-d", "-f", "-x"])
    for one in known:
        for mail in sorted((out / one.name).glob("*.patch")):
            if mail.name.startswith("0000-"):
                continue
            output([*git, "am", "-q", str(mail)])
            yield Applied(mail, one, source_key(src))


def variants(src: Path, one: series.Series) -> list[dict[str, str]]:
    """The values that the option can have: none of them where it isn't there yet."""
    if not (src / one.home / "Kconfig").exists():
        return [{}]
    return [{one.option: value} for value in ("n", "m", "y")]


def sources(src: Path, step: Applied) -> set[str]:
    """The C that one of the kernels of a patch has to compile: its own, and its folder's as soon as that is built."""
    home, names = src / step.one.home, set(graft.touched(step.mail))
    if (home / "Kconfig").exists():
        names |= {str(path.relative_to(src)) for path in home.rglob("*.c")}
    else:
        names = {name for name in names if not name.startswith(step.one.home)}
    return {name for name in names if name.endswith(".c") and not INCLUDED.search(name)}


class Kernels:
    """Kernels that were built and booted, each in a folder for its variant."""

    def __init__(self, tree: Tree, tools: Toolchain) -> None:
        self.tree, self.tools, self.virtme = tree, tools, find_virtme()
        self.kept = tree.folder / "checked"
        self.known = set(self.kept.read_text(encoding="utf-8").split()) if self.kept.exists() else set[str]()

    def lint(self, mail: Path) -> str:
        """What checkpatch and get_maintainer have against a mail."""
        text, src = mail.read_text(encoding="utf-8"), self.tree.src
        ignored = check.IGNORED | (check.TEST_IGNORED if SELFTESTS in text else {}) \
            | (check.TRACE_IGNORED if "shim/trace.h" in text else {})
        key = digest([series.key(mail), *ignored])
        if key in self.known:
            return ""
        done = subprocess.run(["perl", "scripts/checkpatch.pl", "--strict", "--terse", "--show-types", "--no-summary",
                               f"--ignore={','.join(ignored)}", str(mail)], cwd=src, text=True, capture_output=True, check=False)
        said = done.stdout + done.stderr if done.returncode else ""
        asked = output(["perl", "scripts/get_maintainer.pl", "--no-git", "--no-git-fallback", "--no-rolestats", str(mail)],
                       cwd=src)
        log().write(f"{mail.name}\n{asked}")
        if not re.search(r"@", asked.replace("linux-kernel@vger.kernel.org", "")):
            said += "get_maintainer.pl names nobody but linux-kernel\n"
        if not said:
            self.keep(key)
        return said

    def check(self, step: Applied) -> list[str]:
        """Build and boot what one patch makes, unless the same was; the values of its option."""
        options = variants(self.tree.src, step.one)
        config = (PROJECT / "configs/series.config").read_bytes()
        key = digest([step.key, self.tools.ident(), config, str(options)])
        if key not in self.known:
            missing = sources(self.tree.src, step)
            for option in options:
                missing -= self.build(step, option)
            if missing:
                raise Fail(f"no kernel here compiles {', '.join(sorted(missing))}; add what it wants to configs/series.config")
            self.keep(key)
        return [value for option in options for value in option.values()]

    def build(self, step: Applied, options: dict[str, str]) -> set[str]:
        """Build one, and boot it when make has made something of this patch; the C that was compiled."""
        value = next(iter(options.values()), "n")
        out, first, what = self.tree.folder / f"build-{value}", self.tree.folder / "build-n", f"{step.mail.name[:40]} {value}"
        if not out.exists() and first.exists():
            # Only what the option changes is compiled again
            shutil.copytree(first, out, symlinks=True)
        build.configure(self.tree, self.tools, SMALLEST, out, options)
        with Step(f"building {what}", None, " objects") as shown:
            build.run_make(self.tree, self.tools, out, ["bzImage", "modules"], f"building {step.mail.name}", shown)
        made = (out / "modules.order").read_text(encoding="utf-8").split()
        modules = {f"modules/{Path(name).stem}.ko": (out / name).with_suffix(".ko") for name in made}
        key = digest(path.read_bytes() for path in (out / SMALLEST.boots, *modules.values()))
        if key not in self.known:
            self.boot(out, modules, what)
            self.keep(key)
        return {str(path.relative_to(out).with_suffix(".c")) for path in out.rglob("*.o")}

    def keep(self, key: str) -> None:
        """Nothing was wrong with it."""
        self.known.add(key)
        with self.kept.open("a", encoding="utf-8") as file:
            file.write(f"{key}\n")

    def boot(self, out: Path, modules: dict[str, Path], what: str) -> None:
        """Boot what was built, whose first process loads its modules; a Fail when one fails, or the kernel complains."""
        settings = vm.Settings(1, "512M", "icount", 600, module=False)
        with tempfile.TemporaryDirectory(prefix="notif-series-") as temp:
            shutil.copy2(out / SMALLEST.boots, temp)
            image = build.Image(Path(temp), SMALLEST)
            with Step(f"booting {what}"):
                result = bare.in_bare_vm(image, self.virtme, settings, modules, "uname -r", vm.ignore)
            vm.verdict(result, what, settings.timeout)


def kselftest(src: Path, image: build.Image, virtme: Path) -> None:
    """Run the selftests as they are in the kernel's tree, by its own make, in a kernel of the same files."""
    folder = src / SELFTESTS
    run(["make", "-C", str(src), "headers"], "make headers")
    run(["make", "-C", str(folder), "TARGETS=io_uring"], "building the selftests")
    net = folder / "net"
    programs = [f"{net}/{name}" for name in (*NETDEV, *HELPERS) if not name.endswith(".sh")]
    run(["make", "-C", str(net), f"OUTPUT={net}", *programs], "building net's selftests")
    said: list[bytes] = []

    def see(data: bytes) -> None:
        said.append(data)
        vm.to_stdout(data)

    # What a test says is for people; what counts is that none says `not ok`, and that all ran
    command = f"make -C {folder} TARGETS=io_uring run_tests && cd {net} && for t in {' '.join(NETDEV)}; do ./$t; done"
    settings = vm.Settings(timeout=5400, module=False)
    vm.verdict(vm.in_vm(image, virtme, settings, command, str(src), see), "the kernel's make run_tests", settings.timeout)
    lines = b"".join(said).decode(errors="replace").splitlines()
    ended = [line for line in lines if re.match(r"ok \d+ selftests: io_uring:", line)]
    wrong = [line for line in lines if re.match(r"[# ]*not ok ", line)]
    if wrong or not ended:
        raise Fail(f"{len(wrong)} of the kernel's own selftests fail{': ' + wrong[0] if wrong else ''}; see {log().path}")


def main(tree: Tree, tools: Toolchain, out: Path) -> None:
    """Check every patch, also when one fails; a line for each."""
    with lock("series", "make series CHECK=1"):
        own = pristine(tree)
        kernels, failed = Kernels(own, tools), list[str]()
        for step in apply(own.src, out, series.load()):
            name, said = f"{step.one.name}/{step.mail.name}", kernels.lint(step.mail)
            done = []
            try:
                done = kernels.check(step) or ["without the option"]
            except Fail as error:
                said += f"\n{error}"
            print(f"{'not ok' if said else 'ok'} {name} # built and booted: {', '.join(done) or 'none'}", flush=True)
            if said:
                print("\n".join(f"    {line}" for line in said.strip().splitlines()[:check.SHOWN]), flush=True)
                failed.append(step.mail.name)
        if failed:
            raise Fail(f"{len(failed)} patches fail, the first is {failed[0]}; see above and {log().path}")
        kselftest(own.src, build.find_image(tree, tools, FLAVOURS["net"]), kernels.virtme)
