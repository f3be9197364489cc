# SPDX-License-Identifier: GPL-2.0
"""The neighbours' tests, fetched, built and listed: liburing's, from Debian's newest package, and the kernel's own."""

import os
import re
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import apt
import source
import toolchain
from build import KEEP
from cache import digest, lock, made_whole, prune
from common import PROJECT, Fail, Step, cache_dir, log, run

# The suite whose liburing is the newest; a source package needs nothing else of it
SUITE = "unstable"
PACKAGE = "liburing"
# Seconds for a test that usually takes one, in a slow machine
LIMIT = 120
LONGER = {"liburing/send-zerocopy": 1200, "net/udpgso_bench.sh": 600, "net/io_uring_zerocopy_tx": 600,
          "net/msg_zerocopy": 600, "net/tcp_fastopen_backup_key.sh": 300}
# Why tests are skipped that say nothing themselves: what their sources look for
SILENT = {"liburing/cmd-discard": "wants a block device", "liburing/uring_cmd_ublk": "wants a ublk device",
          "liburing/io_uring_passthrough": "wants an NVMe device",
          "liburing/sqe-mixed-uring_cmd": "wants an NVMe device",
          "liburing/fsnotify": "wants fanotify", "liburing/timens-abs-timer": "wants time namespaces",
          "liburing/read-mshot-stdin": "wants a terminal as its input",
          "liburing/eeed8b54e0df": "wants a file system that reads without waiting",
          "liburing/ring-leak": "no kernel sends a ring through a socket any more"}
# Programs that liburing's tests start, which are no tests
HELPERS = ("exec-target",)


@dataclass(frozen=True)
class Test:
    """One test: a command in a folder, and how long it may take."""

    name: str
    command: tuple[str, ...]
    folder: str
    limit: int

    def plan(self) -> dict[str, object]:
        """What regress/guest.py reads."""
        return asdict(self)


class Sources(apt.Repository):
    """Debian's source packages, of a suite that the machine need not have."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        uri, key = apt.machine_mirror()
        (folder / "parts/kernel.sources").unlink()
        (folder / "parts/sources.sources").write_text(
            f"Types: deb-src\nURIs: {uri}\nSuites: {SUITE}\nComponents: main\nSigned-By: {key}\n", encoding="utf-8")

    def fetched(self, name: str) -> tuple[Path, str] | None:
        """The newest upstream part of a source package that is here; its file and its version."""
        for file in sorted(self.folder.glob("download/*"), key=lambda p: p.stat().st_mtime, reverse=True):
            found = re.match(rf"{name}_(.+)\.orig\.tar\.(gz|xz|bz2)$", file.name)
            if found:
                return file, found[1]
        return None

    def tarball(self, name: str) -> tuple[Path, str]:
        """Download it, if that was not done."""
        if found := self.fetched(name):
            return found
        with Step(f"reading the list of sources of {SUITE}") as step:
            try:
                self.run(["apt-get", "update", "-q"], step)
            except Fail as error:
                raise Fail(f"this machine's mirror does not answer, or this machine has not the key of its {SUITE}; "
                           f"try again (log: {log().path})") from error
        with Step(f"downloading the source of {name}") as step:
            self.run(["apt-get", "source", "-q", "--download-only", "--tar-only", name], step)
        if found := self.fetched(name):
            return found
        raise Fail(f"{SUITE} of this machine's mirror has no {name} with an upstream archive; see {log().path}")


def find_archive() -> tuple[Path, str]:
    """liburing's archive and its version; to have a newer one remove the folder that it is in."""
    with lock(PACKAGE, f"fetching {PACKAGE}"):
        return Sources(cache_dir() / f"apt-{PACKAGE}").tarball(PACKAGE)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack it into a folder that is there."""
    run(["tar", "-xf", str(archive), "-C", str(folder), "--strip-components=1"], f"unpacking {PACKAGE}")


def find_liburing() -> Path:
    """liburing's folder in the cache, built."""
    archive, version = find_archive()
    folder = cache_dir() / PACKAGE / version
    with lock(PACKAGE, f"building {PACKAGE}"):
        if not folder.exists():
            with made_whole(folder) as temp:
                unpack(archive, temp)
        if not (folder / ".notif-built").exists():
            make_liburing(folder)
            (folder / ".notif-built").touch()
    return folder


def make_liburing(folder: Path, on_line: Callable[[str], None] = lambda line: None, tests: str = "test") -> None:
    """Build the library and, unless that is "", its tests."""
    env = {name: value for name, value in os.environ.items()
           if name not in ("CC", "CFLAGS", "CPPFLAGS", "LDFLAGS", "MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS", "MAKELEVEL")}
    with Step(f"building {PACKAGE} {folder.name}{' and its tests' if tests else ''}", None, " programs") as step:

        def count(line: str) -> None:
            step.update(step.done + line.lstrip().startswith(("CC ", "CXX ")))
            on_line(line)

        jobs = f"-j{os.cpu_count() or 1}"
        if not (folder / "config-host.mak").exists():
            run(["./configure", "--cc=gcc", "--cxx=g++"], f"configuring {PACKAGE}", env, folder)
        run(["make", jobs, "-C", "src"], f"building {PACKAGE}", env, folder, count)
        # A test that this machine's compiler or headers cannot make is left out, not the others
        try:
            if tests:
                run(["make", jobs, "-k", "-C", tests], f"building {PACKAGE}'s tests", env, folder, count)
        except Fail:
            if not list((folder / "test").glob("*.t")):
                raise


def build_kernels(tree: source.Tree, tools: toolchain.Toolchain, headers: Path, liburing: Path) -> Path:
    """Build the kernel's own tests of sockets; the folder of the programs."""
    folder = cache_dir() / "userland" / f"{digest([str(PROJECT)])}-{headers.name}" / "regress"
    command = ["make", f"-j{os.cpu_count() or 1}", "-C", str(PROJECT / "regress"), f"OUT={folder}",
               f"UAPI={headers}/include", f"KSRC={tree.src}", f"LIBURING={liburing}"]
    with lock("userland", "building the kernel's tests"), Step("building the kernel's tests"):
        run(command, "building the kernel's tests", tools.env())
        prune(cache_dir() / "userland", KEEP)
    return folder


def sources(folder: Path) -> set[str]:
    """liburing's tests by name; those that must fail are for a build with sanitizers."""
    found = {path.stem for kind in ("*.c", "*.cc") for path in (folder / "test").glob(kind)}
    return {name for name in found if name != "helpers" and not name.startswith("xfail")}


def not_built(folder: Path) -> list[str]:
    """liburing's tests that were not built: their sources are there, their programs are not."""
    return sorted(sources(folder) - {path.stem for path in (folder / "test").glob("*.t")})


def test(name: str, command: list[str], folder: Path) -> Test:
    """A test with the limit that it has."""
    return Test(name, tuple(command), str(folder), LONGER.get(name, LIMIT))


def liburing_tests(folder: Path) -> list[Test]:
    """All that liburing's own runner would run."""
    return [test(f"{PACKAGE}/{path.stem}", [f"./{path.name}"], folder / "test")
            for path in sorted((folder / "test").glob("*.t")) if path.stem not in HELPERS]


def kernel_tests(folder: Path, tree: source.Tree) -> list[Test]:
    """The kernel's: each line of regress/net is a test, and each one that a vsock program lists."""
    tests = [test(f"net/{name}", [str(folder / "mainline"), "-r", f"contract_11_kernel_{name}"], folder)
             for name in ("io_uring_zerocopy_tx", "msg_zerocopy")]
    for line in (PROJECT / "regress/net").read_text(encoding="utf-8").splitlines():
        words = shlex.split(line, comments=True)
        if words:
            command = [word.replace("TREE", str(tree.src)) for word in words[1:]]
            tests.append(test(f"net/{words[0]}", command, folder / "kernel"))
    return tests + vsock_tests(folder)


def vsock_tests(folder: Path) -> list[Test]:
    """vsock_test's, one by one, and vsock_uring_test, over loopback."""
    runner = str(PROJECT / "regress/vsock.sh")
    # It exits with 1 when it has listed them
    listed = subprocess.run([str(folder / "vsock_test"), "--list"], text=True, capture_output=True, check=False).stdout
    tests = [test(f"vsock/{number} {name}", [runner, "./vsock_test", f"--pick={number}"], folder)
             for number, name in re.findall(r"^(\d+)\t(.+)$", listed, re.M)]
    return [*tests, test("vsock/vsock_uring_test", [runner, "./vsock_uring_test"], folder)]
