# SPDX-License-Identifier: GPL-2.0
"""`make deb`: Debian packages of a kernel with the project in it, and what to measure it with; tried in a fresh Debian.

The packages are the kernel's own `bindeb-pkg`. The test installs them into a new root file system, on which Debian's own
initramfs-tools makes the initramfs, and boots that in QEMU: nothing of the host is in there.
"""

import os
import shlex
import shutil
import time
from pathlib import Path

import apt
import bare
import build
import graft
import source
import toolchain
import vm
from cache import lock, made_whole, prune
from common import PROJECT, Fail, Step, cache_dir, need_space, run, say
from flavour import FLAVOURS, Flavour

SUITE = "trixie"
OUT = PROJECT / "deb"
KEEP = 4
# Beside mmdebstrap's smallest system with apt
INCLUDE = ("systemd-sysv", "udev", "kmod", "initramfs-tools", "iproute2", "zstd")
DISK = "3G"
# Programs that are linked statically, to run on any distribution, and how they are made
PROGRAMS = {"samples": ("minimal",), "lib": ("notif-register", "notif-send", "notif-get-buf"), "bench": ("client",)}
SCRIPTS = (PROJECT / "bench/measure.sh", PROJECT / "selftests/net.sh")
TEST = PROJECT / "scripts/deb-test.sh"


def chosen() -> Flavour:
    """The kernel that CONFIG= asks for, or the project's own."""
    given = os.environ.get("CONFIG")
    if not given:
        return FLAVOURS["deb"]
    path = Path(os.environ.get("NOTIF_PWD") or os.getcwd()) / given
    if not path.is_file() or "CONFIG_64BIT" not in path.read_text(encoding="utf-8", errors="replace"):
        raise Fail(f"CONFIG={given} is no configuration of a kernel; give a .config, or leave it out")
    return Flavour("given", f"make deb CONFIG={given}", ("given",), objects=20000, start=path)


def release(out: Path) -> str:
    """What `uname -r` will say."""
    return (out / "include/config/kernel.release").read_text(encoding="utf-8").strip()


def find_packages(tree: source.Tree, tools: toolchain.Toolchain, flavour: Flavour) -> Path:
    """A folder with the packages of this checkout's kernel, built when it is not there."""
    folder = cache_dir() / "deb" / f"{flavour.name}-{build.image_key(tree, tools, flavour)}"
    if not folder.exists():
        with lock("build", f"building packages of the {flavour.name} kernel"):
            if not folder.exists():
                make_packages(tree, tools, flavour, folder)
    os.utime(folder)
    return folder


def make_packages(tree: source.Tree, tools: toolchain.Toolchain, flavour: Flavour, folder: Path) -> None:
    """Build a kernel, and have it packed by its own rules."""
    out = tree.build(flavour.name)
    need_space(out, 30 if flavour.start else 4, f"building packages of the {flavour.name} kernel")
    graft.sync(tree)
    build.configure(tree, tools, flavour, out)
    build.compile_kernel(tree, tools, flavour, out)
    # dpkg-buildpackage puts what it makes beside the build
    for left in out.parent.glob("linux-*_*.*"):
        left.unlink()
    with Step("packing it") as step:
        version = f"{tree.version.split('-')[0]}-1.{time.strftime('%Y%m%d.%H%M')}"
        build.run_make(tree, tools, out, [f"KDEB_PKGVERSION={version}", "bindeb-pkg"], "make bindeb-pkg", step)
    with made_whole(folder) as temp:
        for package in out.parent.glob("linux-*.deb"):
            shutil.move(package, temp)
        (temp / "release").write_text(release(out) + "\n", encoding="utf-8")
        prune(folder.parent, KEEP - 1)


def gather(packages: Path, tree: source.Tree, tools: toolchain.Toolchain) -> Path:
    """The folder that goes to the machine: the packages, and what is run there."""
    headers = build.find_headers(tree, tools)
    with made_whole(OUT) as temp:
        for package in packages.glob("*.deb"):
            shutil.copy2(package, temp)
        measure = temp / "measure"
        measure.mkdir()
        for folder, names in PROGRAMS.items():
            run(["make", "-C", str(PROJECT / folder), f"OUT={measure}", f"UAPI={headers}/include", f"KSRC={tree.src}",
                 "CFLAGS=-O2 -static", *(f"{measure}/{name}" for name in names)], f"building what {folder}/ has", tools.env())
        for script in SCRIPTS:
            shutil.copy2(script, measure)
    return OUT


def hooks(image: str, folder: Path, kernel: str) -> list[str]:
    """What mmdebstrap does in the new root file system: as a person would on theirs, and the test that runs at its boot."""
    def quoted(*words: str | Path) -> str:
        return " ".join(shlex.quote(str(word)) for word in words)

    commands = [quoted("upload", OUT / image, f"/tmp/{image}"),
                f'chroot "$1" apt-get install -y /tmp/{image}',
                quoted("copy-in", OUT / "measure", "/opt"),
                quoted("upload", TEST, "/opt/deb-test.sh"),
                quoted("upload", TEST.with_suffix(".service"), "/etc/systemd/system/notif-test.service"),
                'chroot "$1" systemctl enable notif-test.service',
                *(quoted("download", f"/boot/{name}-{kernel}", folder / name) for name in ("vmlinuz", "initrd.img"))]
    return [f"--customize-hook={command}" for command in commands]


def install(folder: Path, kernel: str) -> None:
    """Install the kernel's package into a fresh Debian, and make a disk of it in `folder`."""
    image = next((p.name for p in OUT.glob(f"linux-image-{kernel}_*.deb")), "")
    if not image:
        raise Fail(f"{OUT} has no linux-image-{kernel}; remove {cache_dir() / 'deb'} and run make deb again")
    uri, key = apt.machine_mirror()
    need_space(folder, 4, "a root file system")
    env = dict(os.environ, LC_ALL="C", PATH=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    # Its files belong to root
    root, sudo = folder / "root", [] if os.geteuid() == 0 else ["sudo"]
    with Step(f"installing it into a fresh Debian ({SUITE})"):
        run([*sudo, "mmdebstrap", "--variant=apt", f"--include={','.join(INCLUDE)}", f"--keyring={key}",
             *hooks(image, folder, kernel), SUITE, str(root), uri], "mmdebstrap, which installs the package", env)
        run([*sudo, "mkfs.ext4", "-q", "-d", str(root), str(folder / "disk"), DISK], "making a disk of it", env)
        run([*sudo, "rm", "-rf", str(root)], "removing its folder", env)


class DebianRun(vm.Run):
    """One boot of that disk."""

    def command(self, accel: str, interactive: bool) -> list[str]:
        """QEMU's command line, with nothing but the disk."""
        options = ["root=/dev/vda", "ro", "systemd.show_status=false", "oops=panic", "panic=-1"]
        return bare.machine(self, accel, self.folder / "vmlinuz", "initrd.img", options,
                            "-drive", f"file={self.folder / 'disk'},format=raw,if=virtio,snapshot=on")


def try_them(image: build.Image, virtme: Path, kernel: str) -> None:
    """Boot the fresh Debian, and have the test in it say whether all is as it should be."""
    settings = vm.Settings.from_environment(900)
    machine = DebianRun(image, virtme, settings)
    try:
        install(machine.folder, kernel)
        with Step("booting it"):
            result = vm.boot(machine, vm.choose_accel(image, virtme, settings), vm.to_stdout, vm.to_stderr)
    finally:
        machine.close()
    vm.verdict(result, "scripts/deb-test.sh", settings.timeout)


def main(tree: source.Tree, tools: toolchain.Toolchain, flavour: Flavour, image: build.Image, virtme: Path) -> None:
    """Make the packages, try them, and say what to do with them."""
    packages = find_packages(tree, tools, flavour)
    kernel = (packages / "release").read_text(encoding="utf-8").strip()
    folder = gather(packages, tree, tools)
    try_them(image, virtme, kernel)
    size = sum(p.stat().st_size for p in folder.glob("*.deb")) // 1000000
    say(f"  {size} MB; on the machine: apt install ./linux-image-{kernel}_*.deb, reboot into it, measure/measure.sh")
    print(folder)
