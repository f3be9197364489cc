# SPDX-License-Identifier: GPL-2.0
"""A guest that nothing reaches from outside, for `make bench`: the same to the instruction in each boot.

virtme-ng's machine reads the host's files, and the answers come when the host
has them: instructions are executed in another order in each boot, memory is
allocated in another, random numbers differ. Here all files are in an
initramfs, and of devices there are serial lines, which answer at once.
"""

import re
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import vm
from build import MODULES, Image
from common import PROJECT, Fail, output
from cpio import end, record

# What runs there, beside busybox's own programs
PROGRAMS = {"bin/busybox": "busybox", "bin/bash": "bash", "sbin/ip": "ip", "sbin/tc": "tc"}
# An interrupt comes at once: to wait for it would count as instructions
NIC_OPTIONS = ["e1000e.InterruptThrottleRate=0,0"]
# Kept where the host has them: the dynamic linker looks there
LIBRARY = re.compile(r"(/\S+) \(0x")


def find_program(name: str) -> Path:
    """Where the host has a program."""
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if not found:
        raise Fail(f"there is no program {name} here; the packages that the README names have it")
    return Path(found)


def host_files() -> Iterator[tuple[str, Path]]:
    """The host's programs, and the libraries that these load."""
    for name, program in ((name, find_program(program)) for name, program in PROGRAMS.items()):
        yield name, program
        if name != "bin/busybox":  # static, and ldd fails for it
            for library in LIBRARY.findall(output(["ldd", str(program)])):
                yield library.lstrip("/"), Path(library)


def archive(files: dict[str, Path]) -> bytes:
    """An initramfs with these files, in the order of their names."""
    folders = {str(parent) for name in files for parent in Path(name).parents} - {"."}
    folders |= {"dev", "proc", "run", "sys", "tmp"}
    parts = [record(n, name, stat.S_IFDIR | 0o755, b"") for n, name in enumerate(sorted(folders), 1)]
    parts.append(record(len(parts) + 1, "dev/console", stat.S_IFCHR | 0o600, b"", (5, 1)))
    parts += [record(n, name, stat.S_IFREG | 0o755, path.read_bytes())
              for n, (name, path) in enumerate(sorted(files.items()), len(parts) + 1)]
    return b"".join(parts) + end()


def machine(run: vm.Run, accel: str, kernel: Path, initramfs: str, options: Sequence[str], *more: str) -> list[str]:
    """QEMU's command line, with nothing of the host but files of the run: its first serial line is the console, the
    others stdout, the status, stderr."""
    lines = (run.console, f"/proc/self/fd/{vm.GUEST_OUT}", run.ret, f"/proc/self/fd/{vm.GUEST_ERR}")
    return ["setpriv", "--pdeathsig", "KILL", vm.QEMU, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
            "-smp", str(run.settings.cpus), "-m", run.settings.memory, "-kernel", str(kernel),
            "-initrd", str(run.folder / initramfs), "-append", " ".join(["console=ttyS0", *options]), *more,
            *(arg for line in lines for arg in ("-serial", f"file:{line}")), *vm.ACCELS[accel]]


class BareRun(vm.Run):
    """One boot of such a guest, which runs /command."""

    nics = False

    def write_files(self, files: dict[str, Path], command: str) -> None:
        """Make the initramfs: `files` by their name in the guest, without the first slash."""
        (self.folder / "command").write_text(command + "\n", encoding="utf-8")
        found = dict(host_files()) | files
        found |= {"init": PROJECT / "scripts/bare-init.sh", "command": self.folder / "command"}
        if self.settings.module and self.image.modules and self.image.flavour.patched:
            for name in MODULES:
                module = next(Path(self.image.modules).rglob(f"{name}.ko"), None)
                if not module:
                    raise Fail(f"{self.image.folder} has no {name}.ko; remove the folder, and it is made again")
                found[f"modules/{name}.ko"] = module
        (self.folder / "initramfs").write_bytes(archive(found))

    def command(self, accel: str, interactive: bool) -> list[str]:
        """QEMU's command line."""
        options = [*vm.OPTIONS, *vm.ICOUNT_OPTIONS, *(NIC_OPTIONS if self.nics else ())]
        return machine(self, accel, self.image.bzimage, "initramfs", options, *(vm.NICS if self.nics else ()))


def in_bare_vm(image: Image, virtme: Path, settings: vm.Settings, files: dict[str, Path], command: str,
               on_stdout: Callable[[bytes], None], nics: bool = False) -> vm.Result:
    """Run a command in a guest that has these files, and nothing of the host; with two NICs on a hub, if asked for."""
    run = BareRun(image, virtme, settings)
    run.nics = nics
    try:
        run.write_files(files, command)
        return vm.boot(run, "icount", on_stdout, vm.to_stderr)
    finally:
        run.close()
