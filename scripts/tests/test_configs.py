# SPDX-License-Identifier: GPL-2.0
"""make configs: which kernels are built, of what, and whose warnings count."""

import tempfile
import unittest
from pathlib import Path

import build
import configs
from common import Fail

NAMES = ["include/linux/skbuff.h", "io_uring/net.c", "net/core/datagram.c", "rust/helpers/helpers.c",
         "tools/testing/selftests/net/x.c"]
SAID = """  CC      net/core/skbuff.o
../net/core/skbuff.c:1:2: warning: theirs
  CC      io_uring/net.o
../io_uring/net.c:3:4: warning: ours
 note: here
  RUSTC [M] io_uring/notif/rust/io_uring_notif.o
warning: unused variable
  --> ../io_uring/notif/rust/slot.rs:3:9
  CC      io_uring/notif/shim/slot.o
In file included from ../include/linux/mm.h:1
../include/linux/mm.h:1:2: warning: theirs
  MODPOST Module.symvers
WARNING: modpost: vmlinux: section mismatch in io_notif_x
"""


class ConfigsTest(unittest.TestCase):
    """Everything but the builds."""

    def test_variants(self) -> None:
        """slots are left out, a module and built in with both kinds of helpers; no kernel is built twice"""
        linked = {(v.options["IO_URING_NOTIF"], v.options["RUST_INLINE_HELPERS"]) for v in configs.VARIANTS if v.linked}
        self.assertEqual(linked, {(notif, inline) for notif in "nmy" for inline in "ny"})
        for key in ([v.name for v in configs.VARIANTS], [str(v.options) for v in configs.VARIANTS]):
            self.assertEqual(len(key), len(set(key)))
        for variant in configs.VARIANTS:
            # Also what depends on another option is said, so that it is looked at
            if not variant.has("NET") or not variant.has("IO_URING"):
                self.assertEqual(variant.options["IO_URING_NOTIF"], "n")

    def test_targets(self) -> None:
        """a module is linked with modpost; without network or io_uring their files are no objects"""
        for variant in configs.VARIANTS:
            made = configs.targets(variant, NAMES)
            if variant.linked:
                modules = {variant.options["IO_URING_NOTIF"], variant.options.get("VSOCK_MAP_RX", "m")}
                self.assertEqual("modules" in made, "m" in modules)
                continue
            self.assertEqual("io_uring/" in made, variant.has("IO_URING"))
            self.assertEqual("net/core/datagram.o" in made, variant.has("NET"))
            self.assertFalse([name for name in made if name.startswith(("rust/", "tools/", "include/", "io_uring/n"))])

    def test_warnings(self) -> None:
        """warnings about our files count, with what says where; others do not"""
        found = configs.warnings(SAID.splitlines(keepends=True), NAMES)
        self.assertEqual(len(found), 5)
        for part in ("warning: ours", " note: here", "slot.rs:3:9", "io_notif_x"):
            self.assertIn(part, "\n".join(found))
        self.assertNotIn("theirs", "\n".join(found))

    def test_options(self) -> None:
        """an option that kconfig did not take is an error that names it, also one that should be off"""
        config = Path(self.enterContext(tempfile.TemporaryDirectory())) / ".config"
        config.write_text("CONFIG_A=y\n# CONFIG_B is not set\n", encoding="utf-8")
        build.check_config(config, {"CONFIG_A": "y", "CONFIG_B": "n", "CONFIG_C": "m"}, ["CONFIG_A", "CONFIG_B"])
        for name, value in (("CONFIG_A", "n"), ("CONFIG_B", "m")):
            self.assertRaisesRegex(Fail, name, build.check_config, config, {name: value}, [name])
