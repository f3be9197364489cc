# SPDX-License-Identifier: GPL-2.0
"""Another processor: the userland of arm64 and QEMU's machine for it, on a host of x86.

Programs and libraries are Debian's own packages, of the release that this
machine runs, unpacked and never installed: what compiles the selftests links
against them, and the guest has them in an initramfs. The project and the cache
it sees on the host, read-only, under the same paths.
"""

import os
import posixpath
import re
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import apt
import cpio
from cache import digest, lock, made_whole
from common import Fail, PROJECT, Step, cache_dir, need_space
from toolchain import Toolchain, candidate

TRIPLE = "aarch64-linux-gnu"
QEMU = "qemu-system-aarch64"
# Has the atomics of ARMv8.1, and pages of 64 KiB
MACHINE = ["-M", "virt,gic-version=3", "-cpu", "cortex-a76"]
INIT = PROJECT / "scripts/arm64-init.sh"
# What selftests/ and scripts/guest.sh call; busybox has the rest
GUEST = ("busybox-static", "bash", "dash", "coreutils", "grep", "sed", "mawk", "util-linux", "mount", "iproute2",
         "kmod", "procps")
# Folders that are links in a Debian of today, and the guest's own files
MERGED = ("bin", "lib", "sbin")
LINKS = {**{name: f"usr/{name}" for name in MERGED}, "usr/bin/awk": "mawk"}
FILES = {"etc/passwd": "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/:/bin/false\n",
         "etc/group": "root:x:0:\nnogroup:x:65534:\n"}
FOLDERS = ("dev", "host", "proc", "root", "run", "sys", "tmp", "var")
# What only a compiler or a person reads, or a program that is not called
LEFT_OUT = re.compile(r"usr/(include|share|lib/gcc)|.*/(gconv|(lib)?perl[^/]*|lib[a-z]+san\.so[^/]*|[^/]+\.[ao])")


def packages() -> list[str]:
    """Debian's names of what the guest runs and of what its programs are linked against."""
    gcc = candidate("gcc")[0]
    if not gcc:
        raise Fail("apt knows no gcc of this machine's release; run `apt-get update` and try again")
    return [*GUEST, "libc6-dev", f"libgcc-{gcc}-dev"]


def merged(name: str) -> str:
    """Where a packaged file is in a system whose /bin, /lib and /sbin are links into /usr."""
    parts = posixpath.normpath("/" + name).lstrip("/").split("/")
    return "/".join(["usr", *parts] if parts[0] in MERGED else parts)


def unpack(package: Path, root: Path) -> None:
    """Put the files of a package where they belong; nothing of it runs."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE) as process:
        assert process.stdout
        with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
            for member in archive:
                name = merged(member.name)
                path = root / name
                if not member.isdir():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.unlink(missing_ok=True)
                if member.issym():
                    # From where the link is said to be, to where its end is now
                    target = merged(posixpath.join(posixpath.dirname(member.name), member.linkname))
                    path.symlink_to(posixpath.relpath("/" + target, "/" + posixpath.dirname(name)))
                elif member.islnk():
                    path.hardlink_to(root / merged(member.linkname))
                elif data := archive.extractfile(member):
                    with path.open("wb") as file:
                        shutil.copyfileobj(data, file)
                    path.chmod(member.mode | 0o400)
    if process.returncode:
        raise Fail(f"dpkg-deb cannot unpack {package.name}; try again")


def finish(root: Path) -> None:
    """What the packages' own scripts would make, as far as it is wanted here."""
    for name in FOLDERS:
        (root / name).mkdir(exist_ok=True)
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    for name, target in LINKS.items():
        (root / name).symlink_to(target)


def guest_files(root: Path) -> Iterator[str]:
    """The names of what the guest has, a folder before what is in it."""
    for folder, folders, names in os.walk(root):
        here = os.path.relpath(folder, root)
        folders[:] = sorted(n for n in folders if not LEFT_OUT.fullmatch(posixpath.normpath(f"{here}/{n}")))
        for name in [*folders, *sorted(names)]:
            path = posixpath.normpath(f"{here}/{name}")
            if not LEFT_OUT.fullmatch(path):
                yield path


def pack(root: Path, target: Path) -> None:
    """Write the initramfs."""
    with target.open("wb") as file:
        for number, name in enumerate(guest_files(root), 1):
            path = root / name
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                data = os.readlink(path).encode()
            else:
                data = path.read_bytes() if stat.S_ISREG(mode) else b""
            file.write(cpio.record(number, name, mode, data))
        file.write(cpio.record(0, "dev/console", stat.S_IFCHR | 0o600, b"", (5, 1)))
        file.write(cpio.record(0, "init", stat.S_IFREG | 0o755, INIT.read_bytes()))
        file.write(cpio.end())


def find_userland() -> Path:
    """A folder with `root`, all files of the packages, and `initramfs`, what the guest needs of them; made once."""
    suite = apt.codename(apt.OS_RELEASE.read_text(encoding="utf-8"))
    names = packages()
    folder = cache_dir() / f"arm64-{suite}-{digest([*names, Path(__file__).read_bytes(), INIT.read_bytes()])}"
    if not folder.exists():
        with lock("arm64", "making the userland of arm64"):
            if not folder.exists():
                need_space(cache_dir(), 1, "the userland of arm64")
                with made_whole(folder) as temp:
                    repository = apt.Repository(temp / "apt", suite, "arm64")
                    found = repository.download_all(names, "packages of arm64")
                    with Step("unpacking them", len(found)) as step:
                        for number, package in enumerate(found, 1):
                            unpack(package, temp / "root")
                            step.update(number)
                    finish(temp / "root")
                    pack(temp / "root", temp / "initramfs")
                    shutil.rmtree(temp / "apt")
    return folder


def compiler(tools: Toolchain) -> str:
    """CC= for programs of arm64: the kernel's clang, with the libraries of the userland."""
    return f"clang-{tools.llvm} --target={TRIPLE} --sysroot={find_userland()}/root -fuse-ld=lld"


def command(kernel: Path, modules: Path | None, run: Path, chardevs: dict[str, str], options: list[str]) -> list[str]:
    """The start of QEMU's command: boot `kernel`, and run what guest.sh finds in the folder `run`.

    `chardevs` says for `console` and for the ports `stdout`, `stderr` and `status` which file they write to.
    """
    words = {"project": PROJECT, "cache": cache_dir(), "run": run, "modules": modules or ""}
    ports = [arg for name in chardevs if name != "console"
             for arg in ("-device", f"virtserialport,name=notif.{name},chardev={name}")]
    return [QEMU, *MACHINE, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
            "-kernel", str(kernel), "-initrd", str(find_userland() / "initramfs"),
            "-append", " ".join(["console=ttyAMA0", "panic=-1", *options,
                                 *(f'notif_{name}="{value}"' for name, value in words.items())]),
            *(arg for name, path in chardevs.items() for arg in ("-chardev", f"file,id={name},path={path}")),
            "-serial", "chardev:console", "-device", "virtio-serial-pci", *ports,
            "-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap",
            "-device", "virtio-9p-pci,fsdev=host,mount_tag=host"]
