# SPDX-License-Identifier: GPL-2.0
"""`make paths`: slots over every kind of path that the net kernel can put between two namespaces, as TAP."""

import shlex
from pathlib import Path

import build
import source
import suite
import toolchain
import vm
from common import PROJECT, Fail, log, say
from tap import Tap

RUNNER = "selftests/paths.sh"


def main(tree: source.Tree, tools: toolchain.Toolchain, image: build.Image, virtme: Path, picked: str) -> None:
    """All paths, or those and the tests whose name has `picked` in it; a Fail when one failed."""
    tap = Tap(suite.emit)
    settings = vm.Settings.from_environment(1800)
    programs = build.build_userland("selftests", tree, tools, build.find_headers(tree, tools))
    # The flavour that is built for it has all of them: what is missing there is no reason to skip
    must = "1" if image.flavour.name == "net" else ""
    command = (f"BIN={shlex.quote(str(programs))} TESTS={shlex.quote(picked)} MUST={must} "
               f"{shlex.quote(str(PROJECT / RUNNER))}")
    say(f"  booting the {image.flavour.name} kernel")
    suite.run_all([suite.Guest(tap, image, virtme, settings, command, RUNNER)])
    if not tap.finish():
        raise Fail(f"make paths failed; the log is {log().path}")
