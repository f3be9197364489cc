# SPDX-License-Identifier: GPL-2.0
"""`make liburing-series`: lib/ and man/ as patches for liburing; applied to its newest release, built, and tested."""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import build
import graft
import liburing_text as text
import neighbours
import regress
import series
import vm
from cache import digest
from common import PROJECT, Fail, Step, cache_dir, log, output, say
from source import Tree

OUT = PROJECT / "liburing-series"
UAPI = {"io_uring.h": "include/uapi/linux/io_uring.h", "query.h": "include/uapi/linux/io_uring/query.h"}
TESTS = ("notif-get-buf", "notif-register", "notif-send")
# Behind these in src/include/liburing.h
PROTOTYPES = "int io_uring_register_query(struct io_uring_query_hdr *query) LIBURING_NOEXCEPT;\n"
HELPERS = ("\tio_uring_prep_sendmsg_zc(sqe, fd, msg, flags);\n\tsqe->ioprio |= IORING_RECVSEND_FIXED_BUF;\n"
           "\tsqe->buf_index = buf_index;\n}\n")
# By which lib/liburing_notif.h knows that it has nothing to add
HAVE = "\n/* io_uring_notif_*(), of which liburing_notif.h has others for older versions */\n#define LIBURING_HAVE_NOTIF\t1\n"
COVER = """\
Kernels with notification slots let any number of zero-copy sends share one
notification, see io_uring_notif(7), and take what a socket received, or a part
of a file, into the buffer table, from where it is sent without a copy.

These are the functions of liburing_notif.h and liburing_get_buf.h, which programs
use on top of any liburing so far, under the same names: where LIBURING_HAVE_NOTIF
is defined those headers add nothing, and programs compile as they are. On kernels
without slots the tests are skipped.
"""


class Library(series.Repository):
    """liburing as a git repository."""

    def __init__(self, folder: Path, archive: Path, version: str) -> None:
        super().__init__(folder)
        self.version = version
        neighbours.unpack(archive, folder)
        self.commit(f"liburing {version}", "As it was released.")

    def edit(self, name: str, after: str, new: str) -> None:
        """Put something into a file."""
        path = self.folder / name
        path.write_text(text.insert(path.read_text(encoding="utf-8"), after, new, name), encoding="utf-8")

    def write(self, name: str, data: str) -> None:
        """Give a file its content."""
        (self.folder / name).write_text(data, encoding="utf-8")

    @property
    def next_version(self) -> str:
        """The release that this goes into: the one after that which is tagged."""
        major, minor = re.findall(r"\d+", self.version)[:2]
        return f"{major}.{int(minor) + 1}"


def add_uapi(repository: Library, tree: Tree) -> None:
    """What patches/ add to the kernel's headers, on top of liburing's copies of these."""
    patched = graft.apply_patches(graft.patch_files(), tree.pristine)
    headers = repository.folder / "src/include/liburing"
    shutil.copyfile(tree.pristine(UAPI["query.h"]), headers / "io_uring/query.h")
    repository.commit("query.h: sync with the kernel", f"As Linux {tree.version.split('-')[0]} has it.")
    for name, path in UAPI.items():
        target = headers / name if name == "io_uring.h" else headers / "io_uring" / name
        with tempfile.TemporaryDirectory(prefix="notif-uapi-") as folder:
            (Path(folder) / name).write_bytes(patched[path] or b"")
            differs = subprocess.run(["diff", "-u", str(tree.pristine(path)), f"{folder}/{name}"], capture_output=True,
                                     text=True, check=False)
        done = subprocess.run(["patch", "-f", "--no-backup-if-mismatch", "-r", "-", str(target)], input=differs.stdout,
                              capture_output=True, text=True, check=False)
        if done.returncode:
            log().write(done.stdout)
            raise Fail(f"liburing's {name} differs from the kernel's where patches/ change it; see {log().path}, "
                       "and sync it in scripts/liburing_series.py first")
    repository.commit("io_uring.h: add notification slots and GET_BUF", "From the kernel's patches, which say how they work.")


def add_pages(repository: Library, *names: str) -> None:
    """Man pages; liburing's Makefile installs whatever is in the folder."""
    for name in names:
        repository.write(f"man/{name}", text.page(name, repository.next_version))


def add_names(repository: Library, found: list[text.Function]) -> None:
    """The linkers' maps: what programs link to, and what other languages do."""
    for name in ("liburing.map", "liburing-ffi.map") if found[0].in_library else ("liburing-ffi.map",):
        path = repository.folder / "src" / name
        repository.write(f"src/{name}", text.map_section(path.read_text(encoding="utf-8"), [f.name for f in found],
                                                         repository.next_version))


def write(tree: Tree, archive: Path, version: str) -> list[Path]:
    """Write the series into OUT; its mails, without the cover letter."""
    slots, buffers = (list(text.functions(name)) for name in ("liburing_notif.h", "liburing_get_buf.h"))
    library, helpers = ([f for f in slots if f.in_library is there] for there in (True, False))
    with tempfile.TemporaryDirectory(prefix="notif-liburing-") as folder:
        repository = Library(Path(folder), archive, version)
        base = repository.git("rev-parse", "HEAD").strip()
        add_uapi(repository, tree)
        header = "src/include/liburing.h"
        repository.edit(header, PROTOTYPES, "\n" + "\n".join(f.prototype() for f in library))
        path = repository.folder / "src/register.c"
        repository.write("src/register.c", path.read_text(encoding="utf-8").rstrip() + "\n\n"
                         + "\n".join(f.compiled() for f in library))
        add_names(repository, library)
        add_pages(repository, *(f"{f.name}.3" for f in library))
        repository.commit("register: add notification slots", "To ask for them, to register and to unregister them.")
        block = "\n" + "\n".join([text.types(), *(f.inline() for f in helpers)])
        repository.edit(header, HELPERS, block)
        add_names(repository, helpers)
        add_pages(repository, *(f"{f.name}.3" for f in helpers), "io_uring_notif.7")
        repository.commit("Add helpers of notification slots", "To send through slots, to flush them, and to tell CQEs apart.")
        repository.edit(header, block, "\n" + "\n".join(f.inline() for f in buffers) + HAVE)
        add_names(repository, buffers)
        add_pages(repository, *(f"{f.name}.3" for f in buffers))
        repository.commit("Add helpers of IORING_OP_GET_BUF", "To pass on what a socket received, or a file, without a copy.")
        for name in ("notif.h", *(f"{name}.c" for name in TESTS)):
            repository.write(f"test/{name}", text.test(name))
        makefile = (repository.folder / "test/Makefile").read_text(encoding="utf-8")
        repository.write("test/Makefile", text.sorted_into(makefile, [f"{name}.c" for name in TESTS]))
        repository.commit("test: add tests of notification slots", "Skipped where the kernel has none.")
        shutil.rmtree(OUT, ignore_errors=True)
        repository.git("format-patch", "-q", "--cover-letter", "-o", str(OUT), base)
    cover, *mails = sorted(OUT.glob("*.patch"))
    letter = cover.read_text(encoding="utf-8").replace("*** SUBJECT HERE ***", "notification slots of zero-copy sends")
    cover.write_text(letter.replace("*** BLURB HERE ***\n", COVER), encoding="utf-8")
    return mails


def apply(archive: Path, version: str, mails: list[Path]) -> Path:
    """Apply the series as a maintainer would, mail by mail, each of which has to build; the folder, with tests built."""
    root = cache_dir() / f"{neighbours.PACKAGE}-series"
    folder = root / f"{version}-{digest(map(series.key, mails))}"
    if (folder / ".notif-built").exists():
        return folder
    shutil.rmtree(root, ignore_errors=True)
    folder.mkdir(parents=True)
    repository, warned = Library(folder, archive, version), list[str]()

    def read(line: str) -> None:
        if "warning:" in line:
            warned.append(line.strip())

    for mail in mails:
        repository.am(mail, f"{mail.name} for {neighbours.PACKAGE} {version}")
        neighbours.make_liburing(folder, read, "test" if mail == mails[-1] else "")
    ours = [line for line in warned if "notif" in line]
    for line in ours:
        print(line, file=sys.stderr)
    if ours:
        raise Fail(f"{len(ours)} warnings about what the series adds (above); mend lib/, or scripts/liburing_text.py")
    if warned:
        say(f"  {len(warned)} warnings about {neighbours.PACKAGE}'s own code, none about what the series adds")
    (folder / ".notif-built").touch()
    return folder


def check(folder: Path) -> None:
    """What needs no kernel with slots: exported names, and lib/'s own tests with these functions in place of its own."""
    found = [f for header in ("liburing_notif.h", "liburing_get_buf.h") for f in text.functions(header)]
    for library, names in (("liburing", [f.name for f in found if f.in_library]), ("liburing-ffi", [f.name for f in found])):
        exported = output(["nm", "-D", "--defined-only", *map(str, (folder / "src").glob(f"{library}.so.*[0-9]"))])
        missing = [name for name in names if not re.search(rf"\b{name}@", exported)]
        if missing:
            raise Fail(f"{library}.so does not export {', '.join(missing)}; see src/{library}.map in {folder}")
    with Step("lib/'s tests with liburing's functions"):
        output([sys.executable, str(PROJECT / "lib/tests/everywhere.py"), "--liburing", str(folder / "src/include")])


def fails(kernel: regress.Kernel, folder: Path, names: list[str] | None = None) -> Iterator[tuple[str, regress.Outcome]]:
    """Run liburing's tests, all or those named; each that does not pass, and each of ours."""
    tests = [test for test in neighbours.liburing_tests(folder) if names is None or test.name in names]
    with Step(f"running {len(tests)} tests of {folder.name}", len(tests), " tests") as step:
        found = kernel.run(tests, regress.Progress([kernel], step))
    count = {state: sum(outcome.state == state for outcome in found.values()) for state in ("pass", "skip")}
    print(f"{folder.name}: {len(found)} tests, {count['pass']} pass, {count['skip']} skipped, "
          f"{len(found) - sum(count.values())} fail")
    yield from found.items()


def main(tree: Tree, image: build.Image, virtme: Path) -> None:
    """Write the series, apply it, and run liburing's whole suite on a kernel with slots."""
    archive, version = neighbours.find_archive()
    mails = write(tree, archive, version)
    folder = apply(archive, version, mails)
    check(folder)
    left_out = neighbours.not_built(folder)
    if left_out:
        say(f"  not built here, so not run: {', '.join(left_out)}")
    kernel = regress.Kernel("series", image, virtme, vm.Settings.from_environment(2400))
    found = dict(fails(kernel, folder))
    ours = [f"{neighbours.PACKAGE}/{name}" for name in TESTS]
    for name in ours:
        print(f"{name}: {found[name].state if name in found else 'not built'}")
    bad = [name for name, outcome in found.items() if not outcome.rank or (name in ours and outcome.state != "pass")]
    # What fails without the series too is not its fault
    before = dict(fails(kernel, neighbours.find_liburing(), bad)) if set(bad) - set(ours) else {}
    for name in bad:
        was = before[name].state if name in before else "not there"
        print(f"{name}: {found[name].state} ({found[name].reason}); without the series: {was}")
    worse = [name for name in bad if name not in before or before[name].rank]
    if worse:
        raise Fail(f"{', '.join(worse)}: worse than without the series; what they said is in {log().path}")
    if not all(name in found for name in ours):
        raise Fail(f"tests of the series were not built; see {log().path}")
    print(OUT)
