# SPDX-License-Identifier: GPL-2.0
"""What every step shares: errors that speak, the log, progress, running commands."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType

PROJECT = Path(__file__).resolve().parent.parent
KEEP_LOGS = 20
ERROR_LINE = re.compile(r"\berror[:\[]|fatal error|undefined (symbol|reference)|No space left|\*\*\* \[|^E: ")


class Fail(Exception):
    """An expected failure: one line, `what; what to do`."""


def cache_dir() -> Path:
    """The folder that holds everything made outside the checkout."""
    own = os.environ.get("NOTIF_CACHE")
    if own:
        return Path(own).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "io_uring-notif"


class Log:
    """The log of one invocation: every command and all that it printed."""

    def __init__(self, name: str) -> None:
        folder = cache_dir() / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        for old in sorted(folder.glob("*.log"), key=lambda p: p.stat().st_mtime)[: -2 * KEEP_LOGS]:
            old.unlink(missing_ok=True)
        self.path = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{name}.log"
        self.file = self.path.open("a", encoding="utf-8", errors="replace")

    def write(self, text: str) -> None:
        """Append one piece of text as it is."""
        self.file.write(text)
        self.file.flush()


_LOG: Log | None = None


def open_log(name: str) -> Log:
    """Start the log of this invocation."""
    global _LOG
    _LOG = Log(name)
    return _LOG


def log() -> Log:
    """The log of this invocation, started on first use."""
    return _LOG or open_log("notif")


def say(text: str) -> None:
    """Tell the person, on stderr: stdout belongs to the command that was asked for."""
    print(text, file=sys.stderr, flush=True)
    log().write(text + "\n")


def need_space(folder: Path, gigabytes: float, what: str) -> None:
    """Fail in one line when the disk has not enough room for what comes."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 1e9
    if free < gigabytes:
        raise Fail(f"{what} needs {gigabytes:g} GB and {folder} has {free:.1f} GB free; "
                   "free some space or set NOTIF_CACHE to a folder on another disk")


class Step:
    """A long step: its name, how far it is, the time gone.

    On a terminal one line is rewritten; elsewhere a line is printed every 15 seconds.
    """

    def __init__(self, name: str, total: int | None = None, unit: str = "") -> None:
        self.name, self.total, self.unit = name, total, unit
        self.done = 0
        self.start = self.shown = time.monotonic()
        self.tty = sys.stderr.isatty()
        self.open = False
        self.lock = threading.Lock()
        self.ended = threading.Event()
        # Time goes on also while a command says nothing
        self.clock = threading.Thread(target=self.tick, daemon=True)

    def tick(self) -> None:
        """Show the time gone until the step ends."""
        while not self.ended.wait(1):
            self.update()

    def text(self) -> str:
        """The line as it stands now."""
        gone = int(time.monotonic() - self.start)
        far = ""
        if self.done and self.total:
            self.total = max(self.total, self.done)
            far = f" {self.done}/{self.total}{self.unit}"
        elif self.done:
            far = f" {self.done}{self.unit}"
        return f"  {self.name}:{far} {gone // 60}:{gone % 60:02}"

    def update(self, done: int | None = None) -> None:
        """Say how far the step is; cheap enough to call for every line of output."""
        with self.lock:
            if done is not None:
                self.done = done
            now = time.monotonic()
            if now - self.shown < (0.2 if self.tty else 15):
                return
            self.shown = now
            if self.tty:
                sys.stderr.write("\r\033[K" + self.text())
                self.open = True
            else:
                sys.stderr.write(self.text() + "\n")
            sys.stderr.flush()

    def __enter__(self) -> "Step":
        log().write(f"== {self.name}\n")
        if self.tty:
            sys.stderr.write(self.text())
            self.open = True
            sys.stderr.flush()
        self.clock.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.ended.set()
        self.clock.join()
        if self.open:
            sys.stderr.write("\r\033[K")
        gone = time.monotonic() - self.start
        if kind is None and (self.open or gone > 2):
            sys.stderr.write(self.text() + "\n")
        sys.stderr.flush()
        log().write(f"== {self.name}: {'ended' if kind is None else 'failed'} after {gone:.1f} s\n")


def stop(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """End a child of ours, and the children of one that leads a session: politely, then not."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        if os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            continue


def output(command: list[str], env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    """What a short command prints, or a Fail that names it."""
    try:
        return subprocess.run(command, env=env, cwd=cwd, check=True, text=True,
                              capture_output=True, stdin=subprocess.DEVNULL).stdout
    except FileNotFoundError as error:
        raise Fail(f"{command[0]} is not installed; install it and try again") from error
    except subprocess.CalledProcessError as error:
        log().write(f"$ {' '.join(command)}\n{error.stdout}{error.stderr}")
        last = (error.stderr.strip().splitlines() or ["no message"])[-1]
        raise Fail(f"{' '.join(command[:3])} failed: {last}; see {log().path}") from error


def run(command: list[str], what: str, env: dict[str, str] | None = None, cwd: Path | None = None,
        on_line: Callable[[str], None] | None = None) -> None:
    """Run a long command into the log; when it fails, show its first errors."""
    log().write(f"$ {' '.join(command)}\n")
    errors: list[str] = []
    tail: list[str] = []
    follow = -1
    try:
        process = subprocess.Popen(command, env=env, cwd=cwd, text=True, errors="replace",
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT)
    except FileNotFoundError as error:
        raise Fail(f"{command[0]} is not installed; install it and try again") from error
    assert process.stdout
    try:
        for line in process.stdout:
            log().write(line)
            tail = [*tail[-7:], line.rstrip()]
            # An error and the lines after it, which say where it is
            follow = 3 if ERROR_LINE.search(line) else follow - 1
            if follow >= 0 and len(errors) < 16:
                errors.append(line.rstrip())
            if on_line:
                on_line(line)
        process.wait()
    finally:
        stop(process)
    if process.returncode:
        raise failure(what, process.returncode, errors or tail)


def failure(what: str, status: int, lines: Iterable[str]) -> Fail:
    """Show the lines that say why, and make the error of a command that failed."""
    shown = list(lines)
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
    for line in shown:
        print(f"    {line}", file=sys.stderr)
    if any("No space left" in line for line in shown):
        return Fail(f"{what}: the disk is full; free some space and run it again (log: {log().path})")
    return Fail(f"{what} failed with status {status}; the whole log is {log().path}")
