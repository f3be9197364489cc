#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR MIT
"""Compile lib/ in every way that a program may, run its tests, check its man pages and the guide's snippets.

everywhere.py [--uapi FOLDER] [--liburing FOLDER]

--uapi has <linux/io_uring.h> with slots (make headers prints it), --liburing another liburing's src/include,
beside the installed one. Prints TAP; needs no kernel with slots.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import snippets

HERE = Path(__file__).resolve().parent
LIB = HERE.parent
MAN = LIB.parent / "man"
WARN = ["-Wall", "-Wextra", "-Werror", "-pedantic"]
C = ["c99", "c11", "gnu17", "c2x"]
# Those that one copies alone
SAMPLES = ("minimal.c", "merge.c", "pool.c", "relay.c", "serve.c", "udp_blast.c")
CXX = ["c++11", "c++14", "c++17", "c++20"]


class Tap:
    """Results as they are printed."""

    def __init__(self) -> None:
        self.number = self.failed = 0

    def line(self, wrong: str, name: str) -> None:
        """One check, with what it found wrong, if anything."""
        self.number += 1
        self.failed += bool(wrong)
        print(f"{'not ok' if wrong else 'ok'} {self.number} {name}")
        for text in wrong.splitlines()[:12]:
            print(f"    {text}")

    def skip(self, reason: str, name: str) -> None:
        """A check that can't run here."""
        self.number += 1
        print(f"ok {self.number} {name} # SKIP {reason}")


def said(command: list[str]) -> str:
    """What a command that fails, or warns, says; nothing if it is content."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                          check=False)
    text = (done.stdout + done.stderr).strip()
    return text or f"{command[0]} exited with status {done.returncode}" if done.returncode else ""


def compilers() -> Iterator[tuple[str, list[str]]]:
    """Each compiler that is there, with the languages it is tried with."""
    for names, languages in ((("gcc",), C), (("g++",), CXX), (clangs("clang"), C), (clangs("clang++"), CXX)):
        found = next((name for name in names if shutil.which(name)), None)
        if found:
            yield found, languages


def clangs(name: str) -> tuple[str, ...]:
    """A clang by its own name, or the newest with a version."""
    folder = Path("/usr/bin")
    versions = [int(v) for p in folder.glob(f"{name}-*") if (v := p.name.removeprefix(f"{name}-")).isdigit()]
    return (name, *(f"{name}-{v}" for v in sorted(versions, reverse=True)))


def compile_and_run(tap: Tap, headers: dict[str, list[str]], out: Path) -> None:
    """The tests: every compiler and language, both orders, each set of headers."""
    program = out / "test"
    for compiler, languages in compilers():
        for language in languages:
            kind = ["-x", "c++" if "++" in language else "c", f"-std={language}", "-D_GNU_SOURCE", f"-I{LIB}"]
            for label, include in headers.items():
                # another liburing may need a newer <linux/io_uring.h> than the installed one
                orders = [[], ["-DNOTIF_FIRST"]] + ([] if label == "other liburing" else [["-DUAPI_FIRST"]])
                for order in orders:
                    name = " ".join((compiler, language, label, *order))
                    wrong = said([compiler, *kind, *WARN, "-O1", *include, *order, "-c", str(HERE / "prep.c"), "-o",
                                  str(program) + ".o"])
                    # linked with the installed liburing, whichever its headers: prep.c calls nothing of it
                    wrong = wrong or said([compiler, str(program) + ".o", "-o", str(program), "-luring"])
                    tap.line(wrong or said([str(program)]), f"prep.c: {name}")
            wrong = said([compiler, *kind, *WARN, "-O1", str(HERE / "pool.c"), "-o", str(program), "-luring"])
            tap.line(wrong or said([str(program)]), f"pool.c: {compiler} {language}")
            if languages is C:
                for test in sorted(HERE.glob("notif-*.c")):
                    tap.line(said([compiler, *kind, *WARN, "-O1", "-fsyntax-only", str(test)]),
                             f"{test.name} compiles: {compiler} {language}")
        if languages is C:
            for sample in SAMPLES:
                tap.line(said([compiler, "-std=gnu11", "-D_GNU_SOURCE", f"-I{LIB}", *WARN[:-1], "-O1", "-fsyntax-only",
                               str(LIB.parent / "samples" / sample)]), f"{sample} compiles: {compiler}")


def man_pages(tap: Tap) -> None:
    """mandoc and groff find nothing to say, and each function of the headers has its page."""
    pages = sorted(MAN.glob("*.[37]"))
    mandoc = shutil.which("mandoc")
    groff = Path("/usr/share/groff/current/tmac/an.tmac").exists()
    for page in pages:
        if mandoc:
            tap.line(said(["mandoc", "-T", "lint", "-W", "warning", str(page)]), f"mandoc: {page.name}")
        if groff:
            # its status is 0 with warnings too
            done = subprocess.run(["groff", "-t", "-man", "-ww", "-z", "-T", "utf8", str(page)], capture_output=True,
                                  text=True, check=False)
            tap.line(done.stderr, f"groff: {page.name}")
    if not mandoc:
        tap.skip("mandoc is not installed", "mandoc")
    if not groff:
        tap.skip("groff is not installed", "groff")
    wrong = []
    for header in ("liburing_notif.h", "liburing_get_buf.h", "notif_pool.h"):
        for name, prototype in snippets.prototypes(LIB / header).items():
            page = MAN / f"{name}.3"
            if not page.exists():
                wrong.append(f"no man page: {name}")
            elif snippets.synopsis(page) != f"{prototype};":
                wrong.append(f"{page.name}: not the prototype of {header}: {snippets.synopsis(page)}")
    tap.line("\n".join(wrong), "each function has its man page, with its prototype")


def guide(tap: Tap, headers: dict[str, list[str]], out: Path) -> None:
    """The C of Documentation/porting.rst compiles."""
    guides = LIB.parent / "Documentation/porting.rst"
    found = snippets.of(guides)
    tap.line("" if found else f"no snippet in {guides}", "porting.rst has snippets")
    for snippet in found:
        source = out / f"snippet{snippet.line}.c"
        source.write_text(snippet.program(), encoding="utf-8")
        include = next(iter(headers.values()))
        tap.line(said(["gcc", "-std=gnu11", "-D_GNU_SOURCE", f"-I{LIB}", "-Wall", "-Wextra", "-Werror",
                       "-fsyntax-only", *include, str(source)]), f"porting.rst:{snippet.line}")


def main() -> int:
    """Run everything; the status says whether something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uapi", type=Path)
    parser.add_argument("--liburing", type=Path)
    args = parser.parse_args()
    headers: dict[str, list[str]] = {"installed": []}
    if args.uapi:
        headers["patched UAPI"] = ["-isystem", str(args.uapi)]
    if args.liburing:
        headers["other liburing"] = ["-isystem", str(args.liburing)]
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="notif-lib-") as folder:
        os.chdir(folder)
        compile_and_run(tap, headers, Path(folder))
        guide(tap, headers, Path(folder))
    man_pages(tap)
    print(f"1..{tap.number}")
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())
