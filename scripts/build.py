# SPDX-License-Identifier: GPL-2.0
"""From a grafted tree to an image: what a VM needs of one kernel, kept under a key of its inputs."""

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import arm64
import graft
import jumps
import plants
import points
import source
from cache import digest, files_digest, lock, made_whole, prune, write_if_changed
from common import Fail, PROJECT, Step, cache_dir, log, need_space, output, run, say
from flavour import Flavour
from source import Tree
from toolchain import Toolchain

RECIPE = "1"
KEEP = 12
# The modules of the project, and what they are called in Kconfig
MODULES = {"io_uring_notif": "IO_URING_NOTIF", "vsock_map_rx": "VSOCK_MAP_RX"}
OBJECT = re.compile(r"^  (CC|AS|HOSTCC|HOSTLD|RUSTC|RUSTC L|BINDGEN|LD|AR)(\s+\[M\])?\s+\S+$")


@dataclass(frozen=True)
class Image:
    """A built kernel: a folder with bzImage (or what its processor boots), config and lib/modules."""

    folder: Path
    flavour: Flavour

    @property
    def bzimage(self) -> Path:
        """What the VM boots."""
        return self.folder / Path(self.flavour.boots).name

    @property
    def modules(self) -> Path | None:
        """The folder that modprobe reads, None when the kernel has no module."""
        return next((self.folder / "lib/modules").glob("*"), None)


def graft_key(tree: Tree) -> str:
    """A key of the kernel and of what the graft changes in it."""
    parts = [tree.version, files_digest(graft.patch_files(), PROJECT),
             files_digest(graft.project_files(graft.KERNEL_PARTS), PROJECT)]
    plant = plants.chosen()
    if plant:
        parts.append(f"{plant.name} {plant.old} {plant.new}")
    if tree.user:
        # A tree of the user's own changes under us: its files, their sizes and times
        links = [os.path.join(f, n) for f, _, names in os.walk(tree.src) for n in names]
        names = {os.path.relpath(path, tree.src) for path in links if os.path.islink(path)}
        for name in sorted(names | {n for p in graft.patch_files() for n in graft.touched(p)}):
            stat = os.stat(tree.pristine(name)) if tree.pristine(name).exists() else None
            parts.append(f"{name} {stat.st_size} {stat.st_mtime_ns}" if stat else name)
    return digest(parts)


def image_key(tree: Tree, tools: Toolchain, flavour: Flavour) -> str:
    """A key of everything that an image is made from."""
    return digest([RECIPE, graft_key(tree) if flavour.patched else tree.version, tools.ident(), flavour.name,
                   files_digest(flavour.fragments(), PROJECT), *([flavour.start.read_bytes()] if flavour.start else [])])


def kernel_make(tree: Tree, tools: Toolchain, out: Path, arch: str = "") -> list[str]:
    """The start of every make in the kernel tree."""
    return ["make", f"-j{os.cpu_count() or 1}", "-C", str(tree.src), f"O={out}",
            *([f"ARCH={arch}"] if arch else []), *tools.make()]


def wanted_options(files: list[Path]) -> dict[str, str]:
    """What the fragments ask for: the last one wins."""
    found: dict[str, str] = {}
    for file in files:
        found |= dict(re.findall(r"^(CONFIG_\w+)=(.*)$", file.read_text(encoding="utf-8"), re.M))
    return found


def configure(tree: Tree, tools: Toolchain, flavour: Flavour, out: Path,
              options: Mapping[str, str] | None = None) -> None:
    """Make .config from tinyconfig or what the flavour starts with, the fragments and `options`, when any of them, or a
    compiler, has changed."""
    own = {f"CONFIG_{name}": value for name, value in (options or {}).items()}
    kconfig = [str(tree.src / "Kconfig"), *(str(tree.src / place / "Kconfig") for place in source.PLACES)]
    key = digest([tools.ident(), files_digest(flavour.fragments(), PROJECT), *kconfig, str(own),
                  *([flavour.start.read_bytes()] if flavour.start else []),
                  *(Path(p).read_bytes() if Path(p).exists() else b"" for p in kconfig),
                  (tree.src / "io_uring/Kconfig").read_bytes() if (tree.src / "io_uring/Kconfig").exists() else b""])
    stamp = out / ".notif-config"
    if (out / ".config").exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == key:
        return
    with Step(" ".join([f"configuring the {flavour.name} kernel", *(f"{n}={v}" for n, v in (options or {}).items())])):
        make, env = kernel_make(tree, tools, out, flavour.arch), tools.env()
        out.mkdir(parents=True, exist_ok=True)
        # Made beside the old one: make looks at what has changed, option by option
        new, last = out / ".config.new", out / ".config.options"
        last.write_text("".join(f"{name}={value}\n" for name, value in own.items()), encoding="utf-8")
        files = [*flavour.fragments(), last]
        if flavour.start:
            shutil.copyfile(flavour.start, new)
        else:
            run([*make, f"KCONFIG_CONFIG={new.name}", "tinyconfig"], "make tinyconfig", env)
        run([str(tree.src / "scripts/kconfig/merge_config.sh"), "-m", "-O", str(out), str(new), *map(str, files)],
            "merge_config.sh", dict(env, KCONFIG_CONFIG=str(new)), out)
        run([*make, f"KCONFIG_CONFIG={new.name}", "olddefconfig"], "make olddefconfig", env)
        check_config(new, wanted_options(files), [*flavour.must(), *own])
        write_if_changed(out / ".config", new.read_bytes())
        stamp.write_text(key, encoding="utf-8")


def check_config(config: Path, wanted: dict[str, str], must: list[str]) -> None:
    """Compare what kconfig made of the fragments with what they ask for; a Fail when one of `must` differs."""
    got = dict(re.findall(r"^(CONFIG_\w+)=(.*)$", config.read_text(encoding="utf-8"), re.M))
    for name, value in wanted.items():
        if got.get(name, "n") != value:
            log().write(f"config: {name}={value} wanted, {got.get(name, 'n')} it is\n")
            if name in must:
                raise Fail(f"kconfig makes {name} {got.get(name, 'n')}, {value} was asked for; "
                           f"`make -C {config.parent} rustavailable` says what Rust misses, {log().path} the rest")


def run_make(tree: Tree, tools: Toolchain, out: Path, targets: list[str], what: str, step: Step,
             on_line: Callable[[str], None] = lambda line: None, arch: str = "") -> None:
    """Run make in the kernel tree; the step counts the objects."""

    def count(line: str) -> None:
        if OBJECT.match(line):
            step.update(step.done + 1)
        else:
            step.update()
        on_line(line)

    run([*kernel_make(tree, tools, out, arch), *targets], what, tools.env(), on_line=count)


def compile_kernel(tree: Tree, tools: Toolchain, flavour: Flavour, out: Path) -> None:
    """Build the kernel, counting objects; the figure of a build from nothing is kept for the next one."""
    what = f"building the {flavour.name} kernel"
    need_space(out, 1, what)
    record, stamp = cache_dir() / f"objects-{flavour.name}", out / ".notif-built"
    whole = int(record.read_text(encoding="utf-8")) if record.exists() else flavour.objects
    counter = out / ".notif-objects"
    # A build that was interrupted goes on counting where it stopped; one that ended rebuilds what changed
    first = not stamp.exists() and not (out / "vmlinux").exists()
    done = int(counter.read_text(encoding="utf-8")) if first and counter.exists() else 0
    total = whole if first else None
    with Step(what, total, " objects") as step:
        step.done = done
        try:
            run_make(tree, tools, out, [Path(flavour.boots).name, "modules"], what, step, arch=flavour.arch)
        finally:
            counter.write_text(str(step.done), encoding="utf-8")
    if first:
        record.write_text(str(step.done), encoding="utf-8")
    stamp.touch()


def install_image(tree: Tree, tools: Toolchain, flavour: Flavour, out: Path, folder: Path) -> None:
    """Copy what a VM needs of a build into the image's folder, whole or not at all."""
    with made_whole(folder) as temp:
        shutil.copy2(out / flavour.boots, temp / Path(flavour.boots).name)
        shutil.copy2(out / ".config", temp / "config")
        run([*kernel_make(tree, tools, out, flavour.arch), f"INSTALL_MOD_PATH={temp}", "modules_install"],
            "make modules_install", tools.env())
        for link in (temp / "lib/modules").glob("*/build"):
            link.unlink()
        for name, option in MODULES.items():
            module = next((temp / "lib/modules").rglob(f"{name}.ko"), None)
            if flavour.patched and not module:
                raise Fail(f"the {flavour.name} kernel has no module {name}.ko; see what CONFIG_{option} is "
                           f"in {out}/.config, and {log().path}")
            if module:
                jumps.check(module)
        if points.wanted((temp / "config").read_text(encoding="utf-8")):
            points.write(out, temp / points.FILE)
        write_if_changed(temp / "info.json", json.dumps(
            {"kernel": tree.version, "tools": tools.ident(), "source": str(tree.src), "build": str(out)}).encode())


def find_image(tree: Tree, tools: Toolchain, flavour: Flavour) -> Image:
    """The image of this checkout's kernel, built when it is not there."""
    folder = cache_dir() / "images" / f"{plants.prefix()}{flavour.name}-{image_key(tree, tools, flavour)}"
    if not folder.exists():
        with lock("build", f"building the {flavour.name} kernel"):
            if not folder.exists():
                if flavour.patched:
                    graft.sync(tree)
                else:
                    tree = graft.unpatched(tree)
                out = tree.build(flavour.name)
                configure(tree, tools, flavour, out)
                compile_kernel(tree, tools, flavour, out)
                install_image(tree, tools, flavour, out, folder)
                prune(cache_dir() / "images", KEEP)
    os.utime(folder)
    return Image(folder, flavour)


def find_headers(tree: Tree, tools: Toolchain, arch: str = "") -> Path:
    """A folder whose include/ has the patched UAPI headers, as `make headers_install` makes it."""
    key = digest([RECIPE, tree.version, files_digest(graft.patch_files(), PROJECT),
                  str(tree.user or ""), graft_key(tree) if tree.user else "", *([arch] if arch else [])])
    folder = cache_dir() / "headers" / key
    if not folder.exists():
        with lock("build", "installing the UAPI headers"), Step("installing the UAPI headers"):
            if not folder.exists():
                graft.sync(tree)
                out = tree.folder / f"build-headers{arch}"
                out.mkdir(parents=True, exist_ok=True)
                # headers_install without its rsync: `headers` makes the same files, and they are copied here
                run([*kernel_make(tree, tools, out, arch), "headers"], "make headers", tools.env())
                with made_whole(folder) as temp:
                    shutil.copytree(out / "usr/include", temp / "include",
                                    ignore=lambda d, names: [n for n in names if not is_header(Path(d) / n)])
                prune(cache_dir() / "headers", KEEP)
    os.utime(folder)
    return folder


def is_header(path: Path) -> bool:
    """Whether headers_install would copy it."""
    return path.is_dir() or path.suffix == ".h"


def build_userland(name: str, tree: Tree, tools: Toolchain, headers: Path, arch: str = "") -> Path:
    """Build selftests/ or samples/ with their own Makefile, for the host or for `arch`; the folder of the programs."""
    out = cache_dir() / "userland" / f"{digest([str(PROJECT)])}-{headers.name}" / name
    out.mkdir(parents=True, exist_ok=True)
    command = ["make", f"-j{os.cpu_count() or 1}", "-C", str(PROJECT / name), f"OUT={out}",
               f"UAPI={headers}/include", f"KSRC={tree.src}"]
    if arch:
        # The host's compiler is who must not warn
        command += [f"CC={arm64.compiler(tools)}", "WARN="]
    env = tools.env()
    if not (PROJECT / name / "Makefile").exists():
        raise Fail(f"{name}/Makefile is not there; this checkout is not whole, clone it again")
    with lock("userland", f"building {name}"), Step(f"building {name}"):
        if not tree.user and not (tree.src / graft.WHERE / "Kbuild").exists():
            graft.sync(tree)
        run(command, f"building {name}", env)
        prune(cache_dir() / "userland", KEEP)
    return out


def report(image: Image) -> None:
    """Say what was built and where it is."""
    size = image.bzimage.stat().st_size / 1e6
    module = output(["find", str(image.folder / "lib"), "-name", "*.ko"]).split()
    say(f"  {image.flavour.name} kernel: {image.bzimage} ({size:.1f} MB), modules: "
        f"{', '.join(Path(m).name for m in module) or 'none'}")
