# SPDX-License-Identifier: GPL-2.0
"""The VM: virtme-ng's machine on the host's files, run by us.

virtme-run says which QEMU command boots a kernel on the host's own file system
(read-only, with overlays on top). We run that command ourselves, because the
kernel's console goes to a log that is watched for splats, the accelerator and
the clock are ours to choose, and a guest that hangs has to end. virtme-run has
options for none of these (1.42).
"""

import fcntl
import json
import os
import selectors
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import arm64
import splat
from build import Image
from common import PROJECT, Fail, Step, cache_dir, log, output, say, stop
from toolchain import version_of

MODULE = "io_uring_notif"
QEMU = "qemu-system-x86_64"
# Two NICs on one hub: what one sends the other receives
NICS = [arg for n in (0, 1) for arg in ("-netdev", f"hubport,id=h{n},hubid=0", "-device", f"e1000e,netdev=h{n}")]
ACCELS = {
    "kvm": ["-accel", "kvm", "-cpu", "host"],
    "tcg": ["-accel", "tcg,thread=multi", "-cpu", "max"],
    # Before 8.1 QEMU could run a stale translation of code that another CPU was patching, and the
    # kernel patches its static branches: "Oops: int3" in one boot of twelve with a thread per CPU
    "old-tcg": ["-accel", "tcg,thread=single", "-cpu", "max"],
    # The clock counts instructions, nothing comes from the host's clock or its random numbers
    "icount": ["-accel", "tcg", "-icount", "shift=0,sleep=off", "-cpu", "max,-erms,-fsrm,-rdrand,-rdseed",
               "-rtc", "base=2026-01-01,clock=vm", "-seed", "1"],
}
# no5lvl: identify_cpu() forgets for a moment that paging has five levels, and an interrupt
# in that moment (a slow guest gets one) makes KASAN see a wild access
OPTIONS = ["oops=panic", "loglevel=7", "printk.time=1", "no5lvl"]
ICOUNT_OPTIONS = ["nokaslr", "random.trust_cpu=off", "random.trust_bootloader=off"]
GDB = "127.0.0.1:1234"
MODULE_FAILED = 97
# Set when all that runs in a VM has to end
CANCELLED = threading.Event()
# The guest's stdout and stderr, as QEMU's shell inherits them
GUEST_OUT, GUEST_ERR = 8, 9


@dataclass
class Settings:
    """What the person chose: CPUS=, MEM=, ACCEL=, TIMEOUT=, GDB=."""

    cpus: int = 2
    memory: str = "2G"
    accel: str = "auto"
    timeout: float = 600
    module: bool = True
    gdb: bool = False

    @staticmethod
    def from_environment(timeout: float) -> "Settings":
        """Read the variables of the Makefile, with one line for each that makes no sense."""
        env = os.environ
        accel = env.get("ACCEL") or "auto"
        if accel not in ("auto", "kvm", "tcg", "icount"):
            raise Fail(f"ACCEL={accel} is unknown; say auto, kvm, tcg or icount")
        try:
            cpus = int(env.get("CPUS") or (1 if accel == "icount" else 2))
            limit = float(env.get("TIMEOUT") or timeout)
        except ValueError as error:
            raise Fail(f"CPUS= and TIMEOUT= want numbers ({error}); give one or leave it out") from error
        if accel == "icount" and cpus != 1:
            raise Fail("ACCEL=icount counts the instructions of one CPU; leave CPUS= out")
        if cpus < 1 or limit <= 0:
            raise Fail("CPUS= and TIMEOUT= want numbers above zero; give one or leave it out")
        return Settings(cpus, env.get("MEM") or "2G", accel, limit, not env.get("NOTIF_NO_MODULE"), bool(env.get("GDB")))


@dataclass
class Result:
    """How a run in the VM ended."""

    status: int | None
    splats: list[str] = field(default_factory=list)
    hung: bool = False
    console: Path = Path()


class Lines:
    """Who reads what the guest prints line by line, wherever it is cut."""

    rest = b""

    def data(self, data: bytes) -> None:
        """Some of it."""
        *whole, self.rest = (self.rest + data).split(b"\n")
        for text in whole:
            self.line(text.decode(errors="replace").rstrip("\r"))

    def line(self, line: str) -> None:
        """One line."""
        raise NotImplementedError


class Run:
    """One boot: its folder, its QEMU command, its console."""

    def __init__(self, image: Image, virtme: Path, settings: Settings) -> None:
        runs = cache_dir() / "runs"
        runs.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(dir=runs))
        self.image, self.virtme, self.settings = image, virtme, settings
        self.console = log().path.with_suffix(f".console-{self.folder.name}.log")
        self.ret = self.folder / "status"
        # More of QEMU's command line
        self.extra: list[str] = []

    def write_settings(self, **values: str) -> None:
        """What guest.sh reads."""
        (self.folder / "settings").write_text(
            "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())
            + f"export PATH={shlex.quote(os.environ.get('PATH', '') + ':/usr/sbin:/sbin:/usr/bin:/bin')}\n",
            encoding="utf-8")

    def command(self, accel: str, interactive: bool) -> list[str]:
        """The QEMU command: of another processor, or virtme-run's with our console, accelerator and NICs."""
        if self.image.flavour.arch:
            return ["setpriv", "--pdeathsig", "KILL", *self.foreign(), *ACCELS[accel][:2], *self.devices(interactive)]
        guest = f"bash {shlex.quote(str(PROJECT / 'scripts/guest.sh'))} {shlex.quote(str(self.folder))}"
        # Not /usr: guest-init.sh hides programs in /usr/bin, and an overlay would show them again
        overlays = [f"--overlay-rwdir={d}" for d in ("/etc", "/lib", "/home", "/opt", "/srv", "/var", "/tmp")
                    if os.path.isdir(d)]
        options = ["root=/dev/root", *OPTIONS]
        if self.image.modules:
            options.append(f"virtme_link_mods={self.image.modules}")
        if accel == "icount":
            options += ICOUNT_OPTIONS
        if self.settings.gdb:
            # The addresses that vmlinux has
            options.append("nokaslr")
        shown = output([str(self.virtme), "--kimg", str(self.image.bzimage), "--mods", "none", "--force-9p",
                        "--disable-kvm", "--disable-microvm", "--name", "notif", "--user", "root",
                        "--cpus", str(self.settings.cpus), "--memory", self.settings.memory, *overlays,
                        *[f"--kopt={o}" for o in options], "--script-sh", guest, "--dry-run", "--show-command"],
                       dict(os.environ, PATH=f"{self.virtme.parent}:{os.environ['PATH']}"))
        line = next((text for text in shown.splitlines() if "qemu-system" in text), "")
        args = shlex.split(line)
        if not args:
            raise Fail(f"virtme-run shows no QEMU command; see {log().path}, or remove {self.virtme.parent.parent}")
        return self.adapt(args, accel, interactive)

    def adapt(self, args: list[str], accel: str, interactive: bool) -> list[str]:
        """Replace what virtme-run chose and we choose otherwise.

        The guest's output goes to file descriptors of its own (GUEST_OUT, GUEST_ERR), so that
        QEMU's own messages do not mix with it.
        """
        adapted = []
        for before, arg in zip([""] + args, args):
            if arg.startswith("file,id=console,"):
                arg = f"file,id=console,path={self.console}"
            elif arg.startswith("file,id=ret,"):
                arg = f"file,id=ret,path={self.ret}"
            elif arg.startswith("stdio,id=stdin"):
                arg = "null,id=stdin"
            elif arg.startswith("file,id=") and "/proc/self/fd/" in arg:
                arg = arg.replace("fd/1", f"fd/{GUEST_OUT}").replace("fd/2", f"fd/{GUEST_ERR}")
            elif before == "-append":
                # virtme-run's scripts run quietly; our console is a log, and a splat must be in it
                words = [w for w in arg.split(" ") if w not in ("quiet", "loglevel=0", "loglevel=1")]
                # The host's files do not change under a short-lived guest: starting a program takes half the time
                words = [w.replace("rootflags=", "rootflags=cache=loose,") for w in words]
                own = f"init={PROJECT}/scripts/guest-init.sh"
                arg = " ".join(f"{own} notif_{w}" if w.startswith("init=") else w for w in words)
            adapted.append(arg)
        at = adapted.index("-cpu")
        del adapted[at:at + 2]
        # The kernel goes when we go, however that happens
        return ["setpriv", "--pdeathsig", "KILL", *adapted, *ACCELS[accel], *self.devices(interactive)]

    def foreign(self) -> list[str]:
        """The start of QEMU's command for another processor."""
        files = {"console": str(self.console), "stdout": f"/proc/self/fd/{GUEST_OUT}",
                 "stderr": f"/proc/self/fd/{GUEST_ERR}", "status": str(self.ret)}
        return [*arm64.command(self.image.bzimage, self.image.modules, self.folder, files, OPTIONS),
                "-smp", str(self.settings.cpus), "-m", self.settings.memory]

    def devices(self, interactive: bool) -> list[str]:
        """What every machine has besides: NICs, a terminal when a person sits before it."""
        terminal = ["-chardev", "stdio,id=tty,signal=off,mux=off", "-device", "virtio-serial-pci",
                    "-device", "virtconsole,chardev=tty"] if interactive else []
        gdb = ["-gdb", f"tcp:{GDB}"] if self.settings.gdb else []
        return [*NICS, *terminal, *gdb, *self.extra]

    def status(self) -> int | None:
        """The status that the guest reported, None when it never came to that."""
        text = self.ret.read_text(encoding="utf-8").strip() if self.ret.exists() else ""
        return int(text) & 0xff if text.lstrip("-").isdigit() else None

    def splats(self) -> list[str]:
        """What the console shows that must not be there."""
        if not self.console.exists():
            return []
        return splat.find_splats(self.console.read_text(encoding="utf-8", errors="replace"))

    def close(self) -> None:
        """Remove the folder of the run; the console's log stays."""
        shutil.rmtree(self.folder, ignore_errors=True)


def pump(streams: dict[int, Callable[[bytes], None]], deadline: float) -> bool:
    """Pass the guest's output on as it comes; whether it ended before the deadline."""
    with selectors.DefaultSelector() as selector:
        for fd, sink in streams.items():
            selector.register(fd, selectors.EVENT_READ, sink)
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0 or CANCELLED.is_set():
                return False
            for key, _ in selector.select(min(left, 1)):
                data = os.read(key.fd, 65536)
                if data:
                    key.data(data)
                else:
                    selector.unregister(key.fd)
    return True


def to_stdout(data: bytes) -> None:
    """The command's output, as it is."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def to_stderr(data: bytes) -> None:
    """The command's errors, as they are."""
    sys.stderr.buffer.write(data)
    sys.stderr.buffer.flush()


def ignore(_data: bytes) -> None:
    """Output that is no one's business."""


def guest_pipe() -> tuple[int, int]:
    """A pipe whose writing end is none of the numbers that QEMU's command line uses."""
    read, write = os.pipe()
    moved = fcntl.fcntl(write, fcntl.F_DUPFD_CLOEXEC, max(GUEST_OUT, GUEST_ERR) + 1)
    os.close(write)
    return read, moved


def boot(run: Run, accel: str, on_stdout: Callable[[bytes], None], on_stderr: Callable[[bytes], None],
         interactive: bool = False) -> Result:
    """Boot, run what guest.sh was told, and say how it ended."""
    command = run.command(accel, interactive)
    log().write(f"$ {shlex.join(command)}\nconsole: {run.console}\n")
    deadline = time.monotonic() + run.settings.timeout
    (out, out_end), (err, err_end) = guest_pipe(), guest_pipe()
    # The shell puts the pipes where the command line says they are, and becomes QEMU
    script = f'exec {GUEST_OUT}>&{out_end} {GUEST_ERR}>&{err_end} {out_end}>&- {err_end}>&-; exec "$@"'
    process = subprocess.Popen(["/bin/bash", "-c", script, "bash", *command], pass_fds=(out_end, err_end),
                               stdin=None if interactive else subprocess.DEVNULL,
                               stdout=None if interactive else log().file, stderr=log().file)
    os.close(out_end)
    os.close(err_end)
    try:
        ended = pump({out: on_stdout, err: on_stderr}, float("inf") if interactive else deadline)
        if ended:
            process.wait()
    finally:
        stop(process)
        os.close(out)
        os.close(err)
    return Result(run.status(), run.splats(), not ended, run.console)


def kvm_boots(image: Image, virtme: Path) -> bool:
    """Whether /dev/kvm really runs a guest here: tried once with a time limit, and remembered."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    host = f"{os.uname().release} {os.uname().nodename} {output([QEMU, '--version']).splitlines()[0]}"
    known = cache_dir() / "kvm.json"
    if known.exists():
        kept = json.loads(known.read_text(encoding="utf-8"))
        if kept["host"] == host:
            return bool(kept["boots"])
    with Step("trying KVM with a real boot (at most 15 s)"):
        run = Run(image, virtme, Settings(cpus=1, memory="1G", timeout=15))
        run.write_settings(HERE="/", COMMAND="true")
        try:
            boots = boot(run, "kvm", ignore, ignore).status == 0
        finally:
            run.close()
    known.write_text(json.dumps({"host": host, "boots": boots}), encoding="utf-8")
    say(f"  the VM runs {'with KVM' if boots else 'under emulation: KVM does not boot a guest here'}")
    return boots


def choose_accel(image: Image, virtme: Path, settings: Settings) -> str:
    """The key in ACCELS of what ACCEL= means here."""
    if image.flavour.arch and settings.accel in ("kvm", "icount"):
        raise Fail(f"ACCEL={settings.accel} is for x86; leave it out with ARCH={image.flavour.arch}")
    if settings.accel == "kvm" or (settings.accel == "auto" and not image.flavour.arch and kvm_boots(image, virtme)):
        return "kvm"
    if settings.accel == "icount":
        return "icount"
    return "tcg" if image.flavour.parallel or version_of([QEMU]) >= (8, 1, 0) else "old-tcg"


def in_vm(image: Image, virtme: Path, settings: Settings, command: str, here: str,
          on_stdout: Callable[[bytes], None] = to_stdout, extra: Sequence[str] = ()) -> Result:
    """Run a command in a VM of this image; `extra` is more of QEMU's command line."""
    run = Run(image, virtme, settings)
    run.extra = list(extra)
    try:
        run.write_settings(HERE=here, COMMAND=command, MODULE=MODULE if settings.module else "",
                           LEAKS="1" if image.flavour.leaks else "")
        return boot(run, choose_accel(image, virtme, settings), on_stdout, to_stderr)
    finally:
        run.close()


def shell(image: Image, virtme: Path, settings: Settings, here: str) -> Result:
    """An interactive shell in a VM of this image."""
    if not sys.stdin.isatty():
        raise Fail("make vm opens a shell and stdin is no terminal; give a command: make vm CMD='...'")
    run = Run(image, virtme, settings)
    size = shutil.get_terminal_size()
    try:
        run.write_settings(HERE=here, MODULE=MODULE if settings.module else "", TERMINAL="hvc0",
                           ROWS=str(size.lines), COLUMNS_=str(size.columns))
        return boot(run, choose_accel(image, virtme, settings), to_stdout, to_stderr, interactive=True)
    finally:
        run.close()


def verdict(result: Result, what: str, timeout: float) -> None:
    """Raise what went wrong in the VM, the splats shown; return when nothing did."""
    for text in result.splats:
        print(text, file=sys.stderr)
    where = f"the console is in {result.console}"
    if result.hung:
        raise Fail(f"{what} did not end within {timeout:g} s (TIMEOUT=) in the VM; {where}")
    if result.splats:
        more = "" if result.status == 0 else (
            ", and the guest died" if result.status is None else f", and {what} exited with status {result.status}")
        raise Fail(f"the kernel complained while {what} ran (shown above){more}; {where}")
    if result.status is None:
        raise Fail(f"the VM ended before {what} did; {where}")
    if result.status == MODULE_FAILED:
        raise Fail(f"the module {MODULE} does not load in the VM; {where}")
    if result.status:
        raise Fail(f"{what} exited with status {result.status} in the VM; {where}")
