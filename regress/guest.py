#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Runs other people's tests in the VM, one after the other: guest.py PLAN START.

PLAN is a file of JSON: a list of tests, each with its name, command, folder and limit
in seconds. START is the number of the first to run. What is printed is read by
scripts/regress.py: a line of JSON as a test starts, another as it has ended.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TIMED_OUT = 124
SAID = 4000


def tell(**values: object) -> None:
    """A line for the host, at once."""
    print(json.dumps(values), flush=True)


def mark(text: str) -> None:
    """A line for the kernel's log, by which the host knows whose splat it is."""
    with open("/dev/kmsg", "w", encoding="utf-8") as log:
        log.write(f"regress: {text}\n")


def workplace(folders: dict[str, Path], source: str) -> Path:
    """A copy in memory of the folder of some tests: they write to it, one of them to a program."""
    if source not in folders:
        folders[source] = Path(tempfile.mkdtemp(prefix="regress."))
        subprocess.run(["mount", "-t", "tmpfs", "regress", str(folders[source])], check=True)
        for file in Path(source).iterdir():
            if file.is_dir():
                (folders[source] / file.name).symlink_to(file)
            else:
                shutil.copy(file, folders[source])
    return folders[source]


def sweep() -> None:
    """End what a test has left running: all that is not older than this program, but for the kernel's own."""
    own = os.getpid()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) <= own:
            continue
        try:
            if os.readlink(entry / "exe"):
                os.kill(int(entry.name), signal.SIGKILL)
        except OSError:
            continue


def score_out_of_memory(score: int) -> None:
    """How readily the kernel kills this process when memory is short."""
    Path("/proc/self/oom_score_adj").write_text(str(score), encoding="utf-8")


def run(test: dict[str, Any], folder: Path) -> dict[str, object]:
    """Run one test with its limit; how it ended and the end of what it said."""
    start = time.monotonic()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(test["command"], cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                                   start_new_session=True, preexec_fn=lambda: score_out_of_memory(0))
        try:
            status = process.wait(test["limit"])
        except subprocess.TimeoutExpired:
            status = TIMED_OUT
        process.kill()
        sweep()
        process.wait()
        size = said.seek(0, os.SEEK_END)
        said.seek(max(0, size - SAID))
        text = said.read().decode(errors="replace")
    return {"status": status, "late": status == TIMED_OUT and time.monotonic() - start >= test["limit"],
            "seconds": round(time.monotonic() - start, 1), "said": text}


def prepare() -> None:
    """What the tests expect of a machine: huge pages, and sweep() numbers of processes that only grow."""
    score_out_of_memory(-1000)
    for name, value in (("vm/nr_hugepages", 64), ("kernel/pid_max", 1 << 22)):
        Path("/proc/sys", name).write_text(str(value), encoding="utf-8")


def main() -> None:
    """Run the plan from the given test on."""
    if "notif_init=" not in Path("/proc/cmdline").read_text(encoding="utf-8"):
        sys.exit("guest.py ends processes and runs as root; it is for the VM, see scripts/regress.py")
    prepare()
    plan = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    folders: dict[str, Path] = {}
    for number in range(int(sys.argv[2]), len(plan)):
        test = plan[number]
        folder = workplace(folders, test["folder"])
        mark(f"{number} {test['name']}")
        tell(start=number)
        result = run(test, folder)
        mark(f"{number} ended")
        tell(end=number, **result)


if __name__ == "__main__":
    main()
