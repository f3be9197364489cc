# SPDX-License-Identifier: GPL-2.0
"""The kernels that the VM boots: which configuration each has, and what is special about it."""

from dataclasses import dataclass
from pathlib import Path

from common import Fail, PROJECT


@dataclass(frozen=True)
class Flavour:
    """One kind of kernel; its name is what FLAVOUR= says."""

    name: str
    what: str
    # On top of configs/base.config, in this order
    configs: tuple[str, ...]
    # Has the patches and the module
    patched: bool = True
    # Has kmemleak, which is asked after each run
    leaks: bool = False
    # No code is patched while it runs, so that an old QEMU can give each CPU a thread
    parallel: bool = False
    # Lines that make prints for an object, in a build from nothing; replaced by the figure of this machine's last one
    objects: int = 1900
    # The kernel's ARCH=, "" for the host's, and what it boots
    arch: str = ""
    boots: str = "arch/x86/boot/bzImage"
    # A configuration to begin with, in place of tinyconfig and configs/base.config
    start: Path | None = None

    def fragments(self) -> list[Path]:
        """Its configuration, in the order in which it is merged."""
        names = self.configs if self.start else ("base", *self.configs)
        return [PROJECT / f"configs/{name}.config" for name in names]

    def must(self) -> tuple[str, ...]:
        """Options that kconfig must take as they are asked for."""
        return ("CONFIG_RUST", "CONFIG_MODULES", "CONFIG_IO_URING", "CONFIG_IO_URING_NOTIF",
                "CONFIG_IO_URING_NOTIF_KUNIT_TEST", "CONFIG_VSOCK_MAP_RX",
                "CONFIG_VSOCK_MAP_RX_KUNIT_TEST", "CONFIG_ARM64_64K_PAGES",
                "CONFIG_MITIGATION_RETPOLINE", "CONFIG_MITIGATION_RETHUNK")


FLAVOURS = {flavour.name: flavour for flavour in (
    Flavour("release", "what make run and make bench measure", ("release",), objects=1810),
    Flavour("mitigated", "the same with mitigations for the vulnerabilities of processors", ("release", "mitigated"),
            objects=1810),
    Flavour("debug", "KASAN, lockdep, kmemleak, fault injection, KCOV", ("debug",), leaks=True),
    Flavour("kcsan", "KCSAN, races between CPUs", ("kcsan",), parallel=True),
    Flavour("net", "kTLS, sockmap, MPTCP, IPsec, tunnels, bridge, bonding, VLAN, netfilter, fq, SCTP", ("release", "net")),
    Flavour("plain", "without the patches and the module, to compare with", ("release", "plain"), patched=False),
    Flavour("deb", "what make deb makes packages of: disks, NICs and what systemd wants", ("release", "mitigated", "deb"),
            objects=3900),
    Flavour("arm64", "ARCH=arm64, with KUnit", ("release", "arm64"),
            arch="arm64", boots="arch/arm64/boot/Image"),
    Flavour("arm64-64k", "the same with pages of 64 KiB", ("release", "arm64", "arm64-64k"),
            arch="arm64", boots="arch/arm64/boot/Image"),
)}


def find_flavour(name: str) -> Flavour:
    """The flavour of this name; a Fail when there is none."""
    if name not in FLAVOURS:
        raise Fail(f"FLAVOUR={name} is unknown; say FLAVOUR= and one of {', '.join(FLAVOURS)}")
    return FLAVOURS[name]


def flavour_name(name: str, default: str, arch: str, pages: str) -> str:
    """What FLAVOUR=, ARCH= and PAGES= together mean."""
    if arch in ("", "x86", "x86_64"):
        if pages not in ("", "4k"):
            raise Fail(f"PAGES={pages}: pages of x86 have 4 KiB; say ARCH=arm64 PAGES=64k, or leave it out")
        return name or default
    if arch != "arm64":
        raise Fail(f"ARCH={arch} is unknown; say ARCH=arm64, or leave it out for x86")
    if pages not in ("", "4k", "64k"):
        raise Fail(f"PAGES={pages} is unknown; say 4k or 64k")
    if name:
        raise Fail(f"FLAVOUR={name} is a kernel of x86; leave it out with ARCH=arm64")
    return "arm64-64k" if pages == "64k" else "arm64"
