# SPDX-License-Identifier: GPL-2.0
"""`make samples`: what a program starts from, built on the host and run in the VM: lib/, samples/, the crate."""

import shlex
import shutil
from pathlib import Path

import build
import source
import suite
import toolchain
import vm
from cache import digest
from common import PROJECT, Fail, cache_dir, log, run, say
from tap import Tap

RUNNERS = ("lib/run.sh", "samples/check.sh")
CRATE = PROJECT / "crates/io-uring-notif"
# Seconds, for a debug kernel under emulation
LIMIT = 2400


def build_crate() -> tuple[str, str]:
    """Cargo's folder with the crate's tests and examples, of this checkout alone; or the reason why there is none."""
    if not shutil.which("cargo"):
        return "", "no cargo on the host"
    try:
        run(["cargo", "fetch"], f"fetching what {CRATE.name} depends on", cwd=CRATE)
    except Fail:
        return "", "crates.io cannot be reached"
    out = cache_dir() / "userland" / f"{digest([str(PROJECT)])}-crate"
    run(["cargo", "build", "--offline", "--tests", "--examples", "--target-dir", str(out)],
        f"building {CRATE.name}", cwd=CRATE)
    return str(out / "debug"), ""


def check(tap: Tap, tree: source.Tree, tools: toolchain.Toolchain, image: build.Image, virtme: Path,
          much: str = "") -> None:
    """Build all of it, run it in a VM of this image; the results into a stream of TAP. `much` is for check.sh."""
    headers = build.find_headers(tree, tools)
    library, samples = (build.build_userland(name, tree, tools, headers) for name in ("lib", "samples"))
    crate, missing = build_crate()
    lib_run, samples_check = (shlex.quote(str(PROJECT / name)) for name in RUNNERS)
    command = (f"BIN={shlex.quote(str(library))} SAMPLES={shlex.quote(str(samples))} "
               f"CRATE={shlex.quote(crate)} WHY={shlex.quote(missing)} {lib_run}; status=$?; "
               f"BIN={shlex.quote(str(samples))} {much} {samples_check} && exit $status")
    say(f"  lib/, samples/ and the crate in the {image.flavour.name} kernel")
    settings = vm.Settings.from_environment(LIMIT)
    suite.run_all([suite.Guest(tap, image, virtme, settings, command, " and ".join(RUNNERS))])


def main(tree: source.Tree, tools: toolchain.Toolchain, image: build.Image, virtme: Path) -> None:
    """All of it, and a verdict."""
    tap = Tap(suite.emit)
    check(tap, tree, tools, image, virtme)
    if not tap.finish():
        raise Fail(f"make samples failed; the log is {log().path}")
