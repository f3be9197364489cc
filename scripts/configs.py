# SPDX-License-Identifier: GPL-2.0
"""`make configs`: kernels that the graft must compile in, and link where that can fail; one line each.

All are built in one folder, so that kbuild compiles what a neighbour's options change, and ccache what was
compiled before.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import build
import graft
from cache import lock
from check import Checks
from common import Fail, Step, log, need_space
from flavour import FLAVOURS
from source import PLACES, Tree

# On top of these every variant has its options
FLAVOUR = "release"
# Files of patches/ that are no objects of a kernel, and those that are built anyway, as a whole
NO_OBJECTS = ("Documentation/", "include/", "samples/", "scripts/", "tools/", "rust/", "io_uring/")
# Many of these are compiled otherwise without io_uring; one that includes its headers will do
USERS = ("kernel/fork.o",)
WARNING = re.compile(r"\bwarning\b", re.I)
# What make says of one target starts with a line like "  CC [M]  io_uring/notif/x.o"
TARGET = re.compile(r"^  [A-Z]+( [A-Z]+)?( \[M\])?\s+\S")


@dataclass(frozen=True)
class Variant:
    """A kernel configuration: what it has otherwise than the release kernel, and whether it is linked or compiled."""

    name: str
    options: dict[str, str]
    linked: bool = False

    def has(self, option: str) -> bool:
        """Whether an option that all kernels have, unless they say otherwise, is on here."""
        return self.options.get(option, "y") != "n"


def link(inline: str, notif: str) -> Variant:
    """A kernel with Rust: C helpers are inlined into it or called, slots are left out, a module or built in."""
    return Variant(f"IO_URING_NOTIF={notif}, C helpers {'inlined' if inline == 'y' else 'called'}",
                   {"RUST": "y", "IO_URING_NOTIF": notif, "RUST_INLINE_HELPERS": inline}, True)


def receive(vsock: str, notif: str) -> Variant:
    """A kernel with or without zero-copy receive on vsock, where the other module differs."""
    return Variant(f"VSOCK_MAP_RX={vsock}, IO_URING_NOTIF={notif}",
                   {"RUST": "y", "IO_URING_NOTIF": notif, "RUST_INLINE_HELPERS": "y", "VSOCK_MAP_RX": vsock}, True)


# Neighbours differ least
VARIANTS = (
    link("y", "m"), link("y", "y"), link("y", "n"), link("n", "n"), link("n", "y"), link("n", "m"),
    receive("n", "m"), receive("m", "n"), receive("y", "n"),
    Variant("VSOCKETS=m, vhost", {"IO_URING_NOTIF": "m", "VSOCKETS": "m", "VSOCK_MAP_RX": "m", "VHOST_MENU": "y",
                                  "VHOST_VSOCK": "m"}),
    Variant("tracepoints off", {"IO_URING_NOTIF": "m", "FTRACE": "n", "ENABLE_DEFAULT_TRACERS": "n",
                                "TRACEPOINTS": "n"}),
    Variant("mitigations, retpolines", {"IO_URING_NOTIF": "m", "CPU_MITIGATIONS": "y", "MITIGATION_RETPOLINE": "y",
                                        "MITIGATION_RETHUNK": "y"}),
    Variant("PREEMPT_RT", {"IO_URING_NOTIF": "m", "EXPERT": "y", "PREEMPT_RT": "y"}),
    Variant("IO_URING=n", {"IO_URING": "n", "IO_URING_NOTIF": "n"}),
    Variant("NET=n", {"NET": "n", "IO_URING_NOTIF": "n", "VSOCK_MAP_RX": "n"}),
)


def patched() -> list[str]:
    """The kernel's own files that the patches change."""
    return sorted({name for patch in graft.patch_files() for name in graft.touched(patch)})


def objects(variant: Variant, names: Iterable[str]) -> list[str]:
    """What is made of these files in a kernel that is not linked; rust/ is built before anything else."""
    folders = ["io_uring/"] if variant.has("IO_URING") else []
    files = [name.removesuffix(".c") + ".o" for name in names
             if name.endswith(".c") and not name.startswith(NO_OBJECTS)
             and (variant.has("NET") or not name.startswith(("net/", "drivers/vhost/")))]
    return folders + sorted({*files, *USERS})


def targets(variant: Variant, names: Iterable[str]) -> list[str]:
    """What make is asked for."""
    if not variant.linked:
        return objects(variant, names)
    # Only a module needs modpost to find what it imports
    modules = "m" in (variant.options["IO_URING_NOTIF"], variant.options.get("VSOCK_MAP_RX", "m"))
    return ["vmlinux", "modules"] if modules else ["vmlinux"]


def forget(out: Path, names: Iterable[str]) -> None:
    """Remove the objects of our files: they are compiled again, and warn again."""
    ours = [out / (name.removesuffix(".c") + ".o") for name in names if name.endswith(".c")]
    for path in [*ours, *(path for place in PLACES for path in (out / place).rglob("*.o"))]:
        path.unlink(missing_ok=True)


def blocks(lines: Iterable[str]) -> Iterator[list[str]]:
    """What make says, target by target."""
    block: list[str] = []
    for line in lines:
        if TARGET.match(line) and block:
            yield block
            block = []
        block.append(line.rstrip())
    yield block


def warnings(lines: Iterable[str], names: Iterable[str]) -> list[str]:
    """What the compilers and the linker warn of in our files; others' warnings are theirs."""
    ours = re.compile("|".join([*(f"{place}/" for place in PLACES), r"\bio_notif", r"\bvsock_map_rx",
                                *(rf"\b{re.escape(n)}\b" for n in names)]))
    found: list[str] = []
    for block in blocks(lines):
        at = next((n for n, line in enumerate(block) if WARNING.search(line)), None)
        # The target's own line names our file also when another's header is warned of
        if at is not None and any(ours.search(line) for line in block[at:]):
            found += block[at:]
    return found


def build_variant(tree: Tree, checks: Checks, variant: Variant) -> str:
    """Configure and build one; the warnings about our files, nothing when there are none."""
    out, names, said = tree.build("configs"), patched(), list[str]()
    need_space(out, 2, f"building {variant.name}")
    with lock("build", "make configs"):
        graft.sync(tree)
        build.configure(tree, checks.tools, FLAVOURS[FLAVOUR], out, variant.options)
        forget(out, names)
        with Step(f"building {variant.name}", None, " objects") as step:
            # What is said of one target stays together
            build.run_make(tree, checks.tools, out, ["-Otarget", *targets(variant, names)],
                           f"building {variant.name}", step, said.append)
    found = warnings(said, names)
    return "\n".join([f"warnings about our files; the whole log is {log().path}", *found]) if found else ""


def main() -> None:
    """Build every variant, also when one fails."""
    checks = Checks()
    for variant in VARIANTS:
        checks.run(variant.name, partial(build_variant, checks.tree, checks, variant))
    if checks.failed:
        raise Fail(f"make configs: {'; '.join(checks.failed)}; see above and {log().path}")
