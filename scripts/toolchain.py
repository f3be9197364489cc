# SPDX-License-Identifier: GPL-2.0
"""rustc, its sources, the clang of its LLVM, bindgen and virtme-ng: found, or installed once."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cache import lock, made_whole
from common import Fail, PROJECT, Step, cache_dir, output, run, say

MIN_RUSTC = (1, 85, 0)
MIN_BINDGEN = (0, 71, 1)
MIN_LLVM = 17
BINDGEN = "0.73.2"
VIRTME = "1.42"


@dataclass(frozen=True)
class Toolchain:
    """The compilers of one build, and the environment they are found in."""

    rust_bin: Path
    rustc_version: str
    llvm: int
    bindgen: Path

    def env(self) -> dict[str, str]:
        """The environment of a kernel build: ours first, nothing of the make that called us."""
        env = {k: v for k, v in os.environ.items()
               if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES", "ARCH", "CC", "LLVM", "O",
                            "KBUILD_OUTPUT", "KSRC", "CFLAGS", "LDFLAGS", "RUSTFLAGS", "RUSTUP_TOOLCHAIN")}
        path = env.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
        env["PATH"] = f"{self.rust_bin}:{self.bindgen.parent}:{path}"
        env["LIBCLANG_PATH"] = f"/usr/lib/llvm-{self.llvm}/lib"
        # The same sources give the same kernel, whoever builds it
        env |= {"LC_ALL": "C", "KBUILD_BUILD_USER": "notif", "KBUILD_BUILD_HOST": "cache",
                "KBUILD_BUILD_TIMESTAMP": "Thu Jan  1 00:00:00 UTC 2026"}
        return env

    def make(self) -> list[str]:
        """The variables that a kernel make is called with."""
        ccache = "ccache " if shutil.which("ccache") else ""
        return [f"LLVM=-{self.llvm}", f"CC={ccache}clang-{self.llvm}"]

    def ident(self) -> str:
        """What a kernel's cache key has to say about its compilers."""
        clang = output([f"clang-{self.llvm}", "--version"]).splitlines()[0]
        return f"{self.rustc_version}\n{clang}\n{version_of([str(self.bindgen)])}"


def parse_version(text: str) -> tuple[int, ...]:
    """The first dotted number of a text."""
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", text)
    return tuple(int(n) for n in found.groups()) if found else (0,)


def version_of(command: list[str]) -> tuple[int, ...]:
    """The version that a tool prints, (0,) when it does not run."""
    try:
        return parse_version(subprocess.run([*command, "--version"], text=True, capture_output=True,
                                            check=True, cwd="/").stdout)
    except (OSError, subprocess.CalledProcessError):
        return (0,)


def install(why: str, *packages: str) -> None:
    """Have setup.sh install Debian packages, which says what and why."""
    if subprocess.run([str(PROJECT / "scripts/setup.sh"), "install", why, *packages], check=False).returncode:
        raise Fail(f"{' '.join(packages)} could not be installed; install what gives you {why}, and try again")


def candidate(package: str) -> tuple[int, ...]:
    """The version of a package that apt would install, (0,) when there is none."""
    policy = subprocess.run(["apt-cache", "policy", package], text=True, capture_output=True, check=False)
    found = re.search(r"Candidate: (?:\d+:)?(\S+)", policy.stdout)
    return parse_version(found.group(1)) if found else (0,)


def rust_src(sysroot: Path) -> bool:
    """Whether the sources of core are where the kernel looks for them."""
    return (sysroot / "lib/rustlib/src/rust/library/core/src/lib.rs").is_file()


def rustup_sysroot() -> Path | None:
    """The sysroot of rustup's rustc with its sources, None when it has none new enough."""
    rustup = shutil.which("rustup") or str(Path.home() / ".cargo/bin/rustup")
    found = subprocess.run([rustup, "which", "rustc"], text=True, capture_output=True, check=False,
                           cwd="/") if os.path.exists(rustup) else None
    if not found or found.returncode:
        return None
    rustc = Path(found.stdout.strip())
    if version_of([str(rustc)]) < MIN_RUSTC:
        say(f"  rustup's rustc is older than {'.'.join(map(str, MIN_RUSTC))}: taking Debian's")
        return None
    sysroot = rustc.parent.parent
    if not rust_src(sysroot):
        with Step("rust-src (the kernel builds Rust's core itself)"):
            run([rustup, "component", "add", "rust-src", "--toolchain", sysroot.name], "rustup component add rust-src")
    return sysroot


def system_sysroot() -> Path | None:
    """The sysroot of a rustc that is no rustup's, None when it is too old or has no sources."""
    for name in ("/usr/local/bin/rustc", "/usr/bin/rustc"):
        if version_of([name]) >= MIN_RUSTC:
            sysroot = Path(output([name, "--print", "sysroot"], cwd=Path("/")).strip())
            if rust_src(sysroot) and (Path(name).parent / "cargo").exists():
                return sysroot
    return None


def debian_sysroot() -> Path:
    """Debian's rustc, its sources and cargo: `rustc` where new enough, else `rustc-web`."""
    sysroot = system_sysroot()
    if sysroot:
        return sysroot
    for packages in (("rustc", "cargo", "rust-src", "rustfmt", "rust-clippy"),
                     ("rustc-web", "cargo-web", "rust-web-src", "rustfmt-web", "rust-web-clippy")):
        if candidate(packages[0]) >= MIN_RUSTC:
            install("rustc and the sources of its core library", *packages)
            break
    sysroot = system_sysroot()
    if not sysroot:
        raise Fail("no rustc >= 1.85 with its sources, neither rustup's nor Debian's; "
                   "install rustup, run `rustup default stable` and try again")
    return sysroot


def clang_packages(llvm: int) -> list[str]:
    """The packages of one LLVM major."""
    return [f"clang-{llvm}", f"lld-{llvm}", f"llvm-{llvm}", f"libclang1-{llvm}"]


def has_clang(llvm: int) -> bool:
    """Whether every tool of one LLVM major is there."""
    tools = all(shutil.which(f"{tool}-{llvm}") for tool in ("clang", "ld.lld", "llvm-ar", "llvm-link", "opt"))
    return tools and any(Path(f"/usr/lib/llvm-{llvm}/lib").glob("libclang*.so*"))


def find_clang(wanted: int) -> int:
    """The LLVM major to build with: rustc's own, else the nearest older one that Debian has."""
    if has_clang(wanted):
        return wanted
    for llvm in range(wanted, MIN_LLVM - 1, -1):
        if has_clang(llvm) or candidate(f"clang-{llvm}") > (0,):
            if not has_clang(llvm):
                install(f"the C compiler of the kernel (rustc's LLVM is {wanted})", *clang_packages(llvm))
            if llvm != wanted:
                say(f"  clang-{llvm}: Debian has no clang-{wanted}, the LLVM of rustc; "
                    "C helpers are called, not inlined")
            return llvm
    raise Fail(f"no clang between {MIN_LLVM} and {wanted} in this machine's mirror; install clang-{wanted}, "
               f"lld-{wanted}, llvm-{wanted} and libclang1-{wanted}")


def find_bindgen(rust_bin: Path, llvm: int) -> Path:
    """bindgen: the machine's own or Debian's when new enough, else built once with cargo."""
    own = shutil.which("bindgen")
    if not own and candidate("bindgen") >= MIN_BINDGEN:
        install("Rust bindings of the kernel's headers", "bindgen")
        own = shutil.which("bindgen")
    if own and version_of([own]) >= MIN_BINDGEN:
        return Path(own)
    folder = cache_dir() / f"bindgen-{BINDGEN}"
    if not (folder / "bin/bindgen").is_file():
        with lock("tools", "building bindgen"), Step("bindgen (writes Rust bindings of the kernel's headers)"):
            if not (folder / "bin/bindgen").is_file():
                env = dict(os.environ, PATH=f"{rust_bin}:{os.environ['PATH']}",
                           LIBCLANG_PATH=f"/usr/lib/llvm-{llvm}/lib")
                with made_whole(folder) as temp:
                    run([str(rust_bin / "cargo"), "install", "bindgen-cli", "--version", BINDGEN, "--locked",
                         "--root", str(temp)], "cargo install bindgen-cli", env)
    return folder / "bin/bindgen"


def find_toolchain() -> Toolchain:
    """Everything that compiles a kernel; what is missing is installed."""
    sysroot = rustup_sysroot() or debian_sysroot()
    rust_bin = sysroot / "bin"
    verbose = output([str(rust_bin / "rustc"), "-vV"])
    found = re.search(r"LLVM version: (\d+)", verbose)
    if not found:
        raise Fail(f"{rust_bin}/rustc -vV names no LLVM version; take a rustc of rustup's or Debian's")
    llvm = find_clang(int(found.group(1)))
    return Toolchain(rust_bin, verbose.splitlines()[0], llvm, find_bindgen(rust_bin, llvm))


def find_venv(name: str, packages: str, program: str) -> Path:
    """A private virtual environment with these Python packages; the path of a program of theirs."""
    folder = cache_dir() / name
    if not (folder / "complete").is_file():
        with lock("tools", f"installing {packages}"), Step(f"{packages}, in a virtual environment of its own"):
            if not (folder / "complete").is_file():
                # A venv does not move: it is made in its place, and is whole when the stamp is there
                shutil.rmtree(folder, ignore_errors=True)
                run(["/usr/bin/python3", "-m", "venv", str(folder)], "python3 -m venv")
                run([str(folder / "bin/pip"), "install", "--quiet", *packages.split()], f"pip install {packages}")
                (folder / "complete").write_text(packages + "\n", encoding="utf-8")
    return folder / "bin" / program


def find_virtme() -> Path:
    """virtme-run of the private virtme-ng."""
    return find_venv(f"virtme-ng-{VIRTME}", f"virtme-ng=={VIRTME}", "virtme-run")
