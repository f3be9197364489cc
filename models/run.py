#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Explore all interleavings of the models in this folder, with spin; and have it find their bugs.

    models/run.py [-q] [MODEL...]   all models, or these: lane, references. -q: only what fails

A model is a .pml file. Its first comment says how it is run and which bugs can be put into it:

    run WHAT: OPTIONS               nothing must be found
    bug MACRO [of run N]: WHAT      something must be, in the first run or the Nth, with -DMACRO

A line each, ok or not ok, as TAP has it, and the end of the interleaving that leads to an error where there
should be none. Needs spin and gcc, Debian's packages of these names.

spin knows one memory, that all see alike: what an order of memory (acquire, a barrier) forbids is in the models
as a bug that does two things in the other order.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
LINE = re.compile(r"^ \* (?:run (?P<what>[^:]+): (?P<options>-D.*)|"
                  r"bug (?P<bug>\w+)(?: of run (?P<run>\d+))?: (?P<why>.+))$")
MEMORY_MIB = 4096
SECONDS = 300
STEPS = 50_000
SHOWN = 60


@dataclass(frozen=True)
class Case:
    """A model with options, or with a bug put into it."""

    model: Path
    what: str
    options: tuple[str, ...]
    bug: str = ""

    def name(self) -> str:
        """What its line says."""
        return f"{self.model.stem}: " + (f"finds {self.bug}, {self.what}" if self.bug else self.what)


@dataclass(frozen=True)
class Result:
    """What came of a case."""

    case: Case
    good: bool
    summary: str
    details: str


def cases(model: Path) -> Iterator[Case]:
    """What the first comment of a model asks for."""
    runs: list[tuple[str, ...]] = []
    text = model.read_text(encoding="utf-8")
    for found in filter(None, map(LINE.match, text.splitlines())):
        if found["what"]:
            runs.append(tuple(found["options"].split()))
            yield Case(model, found["what"], runs[-1])
        else:
            yield Case(model, found["why"], (*runs[int(found["run"] or 1) - 1], f"-D{found['bug']}"), found["bug"])


def said(command: list[str], cwd: Path) -> str:
    """What a command prints, that must not fail."""
    done = subprocess.run(command, cwd=cwd, text=True, errors="replace", stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: status {done.returncode}\n{done.stdout}")
    return done.stdout


def explore(case: Case, folder: Path) -> Result:
    """Make the verifier of a case, and run it."""
    start = time.monotonic()
    shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    said(["spin", "-a", *case.options, case.model.name], folder)
    # bugs are found soon: what takes time is to compile
    fast = "-O0" if case.bug else "-O1"
    said(["gcc", "-w", fast, "-DSAFETY", f"-DMEMLIM={MEMORY_MIB}", "-o", "pan", "pan.c"], folder)
    output = said(["./pan", f"-m{STEPS}", "-w18" if case.bug else "-w22"], folder)
    found = re.search(r"^pan:1: (.*)", output, re.MULTILINE)
    states = re.search(r"([\d.e+]+) states, stored", output)
    if not states or "max search depth too small" in output:
        raise RuntimeError(f"not explored to the end\n{output}")
    error = re.sub(r" \(at depth.*", "", found[1]) if found else ""
    summary = f"{float(states[1]):,.0f} states, {time.monotonic() - start:.1f} s"
    if bool(error) == bool(case.bug):
        return Result(case, True, f"{error}; {summary}" if error else summary, "")
    if not error:
        return Result(case, False, summary, "nothing was found")
    trail = said(["spin", "-t", "-p", "-g", *case.options, case.model.name], folder).splitlines()
    return Result(case, False, f"{error}; {summary}", "\n".join(trail[-SHOWN:]))


def run(case: Case, scratch: Path, number: int) -> Result:
    """Explore a case, whatever happens."""
    try:
        return explore(case, scratch / str(number))
    except (RuntimeError, subprocess.SubprocessError, OSError) as error:
        return Result(case, False, "did not run", str(error))


def main(arguments: list[str]) -> int:
    """Run the models that are named, or all."""
    quiet = "-q" in arguments
    names = [argument for argument in arguments if argument != "-q"]
    missing = [tool for tool in ("spin", "gcc") if not shutil.which(tool)]
    if missing:
        print(f"error: there is no {' and no '.join(missing)}; apt-get install {' '.join(missing)}", file=sys.stderr)
        return 2
    models = [HERE / f"{name}.pml" for name in names] or sorted(HERE.glob("*.pml"))
    todo = [case for model in models if model.exists() for case in cases(model)]
    if not todo or not all(model.exists() for model in models):
        known = ", ".join(sorted(model.stem for model in HERE.glob("*.pml")))
        print(f"error: no such model; there are {known}", file=sys.stderr)
        return 2
    failed = 0
    if not quiet:
        print(f"1..{len(todo)}", flush=True)
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(run, case, Path(scratch), number) for number, case in enumerate(todo)]
        for number, job in enumerate(jobs, 1):
            result = job.result()
            if quiet and result.good:
                continue
            print(f"{'ok' if result.good else 'not ok'} {number} {result.case.name()} ({result.summary})", flush=True)
            for line in result.details.splitlines():
                print(f"# {line}")
            failed += not result.good
    if not quiet or failed:
        print(f"# {len(todo) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
