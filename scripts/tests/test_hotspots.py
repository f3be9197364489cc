# SPDX-License-Identifier: GPL-2.0
"""From a log of instructions to the functions they are in, on a small made-up log."""

import tempfile
import unittest
from array import array
from pathlib import Path

import hotspots
import record
from common import Fail

ENTRY, ENTER, SEND, SAME, BEGIN, END, IRQ, MODULE = (0xffffffff81000000 + n * 0x100
                                                     for n in (0, 1, 2, 3, 4, 5, 6, 0x400000))
USER_PC = 0x401000
KALLSYMS = f"""{ENTRY:016x} T entry_SYSCALL_64
{ENTER:016x} t __do_sys_io_uring_enter
{ENTER:016x} T __x64_sys_io_uring_enter
{ENTER + 16:016x} D io_data_is_no_function
{SEND:016x} T udp_sendmsg
{SAME:016x} t same
{BEGIN:016x} T __x64_sys_getpgid
{END:016x} T __x64_sys_getsid
{IRQ:016x} T asm_sysvec_apic_timer_interrupt
{IRQ + 256:016x} T _etext
{MODULE:016x} t _RNvNtCsioQUxlOEfzV_14io_uring_notif3ops6attach\t[io_uring_notif]
"""
OBJECTS = """vmlinux.a:/b/arch/x86/entry/entry_64.o:0000000000000000 T entry_SYSCALL_64
vmlinux.a:/b/io_uring/io_uring.o:0000000000000010 T __x64_sys_io_uring_enter
vmlinux.a:/b/net/ipv4/udp.o:0000000000000010 T udp_sendmsg
vmlinux.a:/b/net/ipv4/udp.o:0000000000000020 t same
vmlinux.a:/b/fs/file.o:0000000000000020 t same
vmlinux.a:/b/fs/file.o:0000000000000040 D data
"""
REQUEST = [SEND, SEND + 4, SAME + 8, MODULE, MODULE + 4]


def batch(nr: int, *more: int) -> list[int]:
    """What is executed for a batch in one system call, and another that waits."""
    return [USER_PC, ENTRY, ENTER, *REQUEST * nr, *more, USER_PC, ENTRY, ENTER]


class HotspotsTest(unittest.TestCase):
    """Reading, resolving, cutting, adding up."""

    def setUp(self) -> None:
        self.symbols = hotspots.Symbols(KALLSYMS, hotspots.parse_objects(OBJECTS, "/b"))

    def test_log(self) -> None:
        """profile: every line of the log is an instruction, but for those that QEMU takes back"""
        text = ("Trace 0: 0x7f6ebc7b9640 [0000000000000000/ffffffff81000000/10c0c2b0/ff020201] \n"
                "Trace 0: 0x7f6ebc7b9780 [0000000000000000/ffffffff81000100/10c0c2b0/ff020201] \n"
                "Stopped execution of TB chain before 0x7f6ebc7b9780 [ffffffff81000100] \n"
                "Trace 1: 0x7f6ebc7b9780 [00000000/0000000000401000/10c0c2b0/ff020201] main\n"
                "Trace 0: 0x7f6ebc7b97")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "trace"
            path.write_text(text, encoding="utf-8")
            self.assertEqual(list(hotspots.read_trace(path)), [ENTRY, USER_PC])

    def test_names(self) -> None:
        """profile: an address is in the function before it, of the kernel or a module"""
        for pc, name, file, first in ((ENTRY, "entry_SYSCALL_64", "arch/x86/entry/entry_64.o", True),
                                      (ENTER + 32, "__x64_sys_io_uring_enter", "io_uring/io_uring.o", False),
                                      (SAME, "same", "net/ipv4/udp.o", True), (USER_PC, hotspots.USER, "", False),
                                      (IRQ + 512, hotspots.UNKNOWN, "", False), (1 << 63, hotspots.UNKNOWN, "", False),
                                      (MODULE + 1, "_RNvNtCsioQUxlOEfzV_14io_uring_notif3ops6attach",
                                       "[io_uring_notif]", False)):
            self.assertEqual(self.symbols.at(pc), (hotspots.Function(name, file), first), hex(pc))

    def test_hidden(self) -> None:
        """profile: symbols without addresses are an error"""
        with self.assertRaises(Fail):
            hotspots.Symbols("0000000000000000 T udp_sendmsg\n", {})

    def test_windows(self) -> None:
        """profile: windows are whole batches, and those with an interrupt are left out"""
        log = [SEND, *batch(8), *batch(8), *batch(8, IRQ), *batch(8), *batch(8)]
        found = hotspots.profile(array("Q", log), self.symbols, 8)
        self.assertEqual((found.windows, found.chosen), (4, 3))
        # Each batch has six instructions that no request has
        self.assertAlmostEqual(found.total, len(REQUEST) + 6 / 8)
        attach = self.symbols.at(MODULE)[0]
        self.assertEqual((found.functions[attach], found.calls[attach]), (2, 1))
        groups = found.groups()
        self.assertEqual(groups["slots: module and shim"], 2)
        self.assertEqual(groups["net, the rest: UDP, TCP, IP"], 3)
        self.assertAlmostEqual(groups[hotspots.USER], 2 / 8)
        self.assertAlmostEqual(sum(groups.values()), found.total)

    def test_system_calls(self) -> None:
        """profile: a batch may be many system calls"""
        log = [pc for _ in range(9) for pc in (*batch(1), *batch(1), USER_PC)]
        found = hotspots.profile(array("Q", log), self.symbols, 2)
        self.assertEqual((found.windows, found.chosen), (8, 8))
        self.assertAlmostEqual(found.total, len(REQUEST) + 6.5)

    def test_marks(self) -> None:
        """profile: where windows are marked, nothing counts before and after them"""
        whole = [ENTRY, BEGIN, ENTRY + 4, USER_PC, ENTRY, *REQUEST, USER_PC, USER_PC, ENTRY, END]
        log = [USER_PC, ENTRY, END, *batch(3), *whole, *batch(5), *whole, *batch(2), ENTRY, BEGIN, USER_PC]
        found = hotspots.profile(array("Q", log), self.symbols, 1)
        self.assertEqual((found.windows, found.chosen), (2, 2))
        self.assertAlmostEqual(found.total, len(REQUEST) + 4)

    def test_too_short(self) -> None:
        """profile: a log without a whole window is an error"""
        with self.assertRaises(Fail):
            hotspots.profile(array("Q", batch(128)), self.symbols, 128)

    def test_reports(self) -> None:
        """profile: the tables add up, and name the difference"""
        one = hotspots.profile(array("Q", batch(128) * 3), self.symbols, 128)
        two = hotspots.profile(array("Q", batch(128, SAME, SAME) * 3), self.symbols, 128)
        one.name, two.name = "first", "second"
        self.assertRegex(hotspots.report([one]), r"(?m)^ +5\.05 +100\.0% +all$")
        self.assertRegex(hotspots.report([one, two]), r"(?m)^ +1\.00 +1\.02 +\+0\.02  same +net/ipv4/udp\.o$")

    def test_rows(self) -> None:
        """profile: ROW= is read as bench.json names things"""
        work = record.parse_row(record.DEFAULT)
        self.assertEqual((work.mode, work.flush, work.bytes, work.batch, work.ring),
                         ("slot", "batch", 4000, 128, "plain"))
        self.assertIsNone(record.parse_row("send_zc huge - 0 udp6 1 8 defer").flush)
        row = record.find_row("vsock fixed 64 4096")
        self.assertEqual((row.program, row.batch), ("vsock", 64))
        self.assertEqual(row.commands("vsock", 5), "vsock --instructions --row 5 fixed 64 4096")
        self.assertEqual(row.measured("vsock fixed 64 4096 bytes=262144 receiver=6400 whole=9 copied=0 same=3"), 100)
        self.assertIsNone(row.measured("LOOP"))
        for text in ("slot", "slot registered batch x udp4 4000 128 plain",
                     "slot registered batch 0 udp4 4000 5 plain", "vsock fixed 64", "vsock moving 64 4096",
                     "vsock recv 0 4096", "vsock recv 64 65537"):
            with self.assertRaises(Fail):
                record.find_row(text)
