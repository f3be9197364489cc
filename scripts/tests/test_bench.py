# SPDX-License-Identifier: GPL-2.0
"""make bench: the rows that are asked for, what is made of the answers, and comparing runs."""

import tempfile
import unittest
from collections.abc import Iterator
from pathlib import Path

import bench
import bench_report
import bench_scale
from bench import Results, Row, Work
from bench_scale import Scale
from common import Fail, Step

ZC = Work("send_zc", "registered", None, 0, "udp4", 4000, 128, "plain")
SLOT = Work("slot", "registered", "after:8", 0, "udp4", 4000, 128, "plain")
MANY = Work("slot", "registered", "batch", 0, "udp4", 4000, 128, "plain", "many:64")
TRAIN = Work("slot", "huge", "after:1", 0, "udp4", 64400, 128, "plain", "merge,gso:1400")
HEADER = Work("slot", "plain", "batch", 512, "tcp4", 4120, 8, "plain", "segments,header")
TAKE = Work("slot", "taken", "batch", 0, "tcp4", 65536, 1, "plain", "relay:1448,nic,sink")
TCP = Work("io_send", "plain", None, 0, "tcp6", 1024, 8, "defer")


def answer(work: Work, least: int = 128000, packets: int = 5120) -> str:
    """A line as the client prints it."""
    return f"row {work.text()} least={least} same=9 p25={least} p50={least * 2} p75={least * 4} receiver=80 packets={packets}"


class BenchTest(unittest.TestCase):
    """Everything but the boot."""

    def read(self, wanted: list[Work], lines: Iterator[str] | list[str]) -> list[Row]:
        """The rows made of some output, which comes in pieces."""
        reader = bench.Reader(wanted, True, Step("reading"))
        data = "".join(line + "\r\n" for line in lines).encode()
        for at in range(0, len(data), 7):
            reader.data(data[at:at + 7])
        return reader.all_rows()

    def test_matrix(self) -> None:
        """no row is asked for twice, each has whole notifications, and QUICK=1 is a part of all"""
        full, quick = bench.matrix(False), bench.matrix(True)
        self.assertEqual(len(full), len(set(full)))
        self.assertLessEqual(set(quick), set(full))
        for work in full:
            self.assertEqual(work.mode == "slot", work.flush is not None)
            self.assertTrue(work.batch % 8 == 0 or work.flush in (None, "batch", "every", "after:1"), work)
            self.assertEqual(work.batch % (work.number("many") or 1), 0)
            self.assertTrue(reference_is_there(work, full), work)

    def test_instructions(self) -> None:
        """an instruction count is divided by the batch, and only TCP has a receiver"""
        rows = self.read([SLOT, TCP], [answer(SLOT), answer(TCP)])
        self.assertEqual([(row.instructions, row.receiver) for row in rows], [(1000, None), (16000, 10)])

    def test_how(self) -> None:
        """the client reads how in a tenth word; a person reads it in the name, and the place of what is sent otherwise"""
        self.assertEqual(len(ZC.text().split()), 9)
        self.assertEqual(MANY.text().split()[9], "many:64")
        self.assertEqual([work.name() for work in (MANY, TRAIN, HEADER)],
                         ["slot registered, 64 in an SQE", "slot huge, merge", "slot plain, flush batch, segments below 512"])
        self.assertEqual((TRAIN.datagrams, MANY.datagrams), (46, 1))
        self.assertEqual(bench_report.reference(HEADER).name(), "SEND_ZC plain")
        self.assertEqual(len({work.place() for work in (MANY, TRAIN, HEADER, TCP)}), 4)

    def test_missing(self) -> None:
        """a row that this kernel lacks something for is no error, and is named"""
        reader = bench.Reader([ZC, MANY, SLOT], True, Step("reading"))
        lines = (answer(ZC), f"missing {MANY.text()}: IORING_SEND_ZC_MANY", answer(SLOT))
        reader.data("".join(line + "\r\n" for line in lines).encode())
        self.assertEqual([row.work for row in reader.all_rows()], [ZC, SLOT])
        shown = list(bench_report.table(Results("7.3", "icount", reader.rows, missing=reader.missing)))
        self.assertEqual(shown[-1], "not measured: 1 rows, this kernel has no IORING_SEND_ZC_MANY")

    def test_packets(self) -> None:
        """the packets of a header and its page are counted on TCP"""
        rows = self.read([HEADER, TCP], [answer(HEADER, packets=1920), answer(TCP)])
        self.assertEqual([row.packets for row in rows], [2.0, None])

    def test_takers(self) -> None:
        """a relay is compared with the one that copies, a file with sendfile(2), and who sends to nobody has no receiver"""
        self.assertEqual((TAKE.name(), bench_report.reference(TAKE).name()), ("GET_BUF, slot", "RECV, SEND"))
        pread = Work("send_zc", "registered", None, 0, "tcp4", 4096, 1, "plain", "file,pread,sink")
        self.assertEqual((pread.name(), bench_report.reference(pread).how), ("pread(2), SEND_ZC", "file,sink"))
        row = self.read([TAKE], [answer(TAKE)])[0]
        self.assertEqual((row.receiver, row.packets), (None, None))
        nics = [work.has("nic") for work in bench.matrix(False)]
        self.assertEqual(nics, sorted(nics))

    def test_wall_time(self) -> None:
        """elsewhere it is requests per second, the slow windows the lower quartile"""
        row = bench.parse(SLOT, answer(SLOT), False)
        self.assertIsNone(row.instructions)
        self.assertEqual(row.per_second, {"median": 500000.0, "p25": 250000.0, "p75": 1000000.0})

    def test_errors(self) -> None:
        """a failed check, a missing row, a row not asked for and no time at all are errors that name the row"""
        for lines in ([answer(ZC), f"error {SLOT.text()}: 3 packets left, not 4"], [answer(ZC)],
                      [answer(ZC), answer(TCP)], [answer(ZC), answer(SLOT, 0)], [answer(ZC), f"row {SLOT.text()}"]):
            with self.assertRaisesRegex(Fail, SLOT.text()):
                self.read([ZC, SLOT], lines)

    def test_file(self) -> None:
        """bench.json says what was measured, and is read as it was written"""
        wall = Row(SLOT, per_second={"median": 2.0, "p25": 1.0, "p75": 3.0})
        scale = [Scale("slots", 8, 3533.0625), Scale("slot", 32768, bytes_each=32.0),
                 Scale("held_acked_slot", 60000, instructions_held=2600)]
        for results in (Results("7.3", "icount", [Row(ZC, 3493.453125), Row(TCP, 11.5, 2.25), Row(HEADER, 9.5, 1.0, 1.0)], scale),
                        Results("7.3", "kvm", [wall])):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "bench.json"
                results.save(path)
                self.assertEqual(bench.load(path), results)
                path.write_text('{"rows": [{}]}', encoding="utf-8")
                self.assertRaises(Fail, bench.load, path)
                self.assertRaises(Fail, bench.load, path.with_name("none"))

    def test_scale(self) -> None:
        """what many slots cost is read, shown against one, and must be whole"""
        lines = ["scale slots 1 least=128000 same=40", "scale slots 8 least=129280 same=3", "scale slot 64 bytes=2048"]
        reader = bench.Reader([], True, Step("reading"))
        reader.data("".join(line + "\r\n" for line in lines).encode())
        self.assertEqual(reader.scale, [Scale("slots", 1, 1000.0), Scale("slots", 8, 1010.0),
                                        Scale("slot", 64, bytes_each=32.0)])
        shown = "\n".join(bench_scale.report(reader.scale))
        self.assertIn("1010  +1.00%", shown)
        self.assertIn("32 bytes", shown)
        self.assertRaisesRegex(Fail, "buffers", bench_scale.check, reader.scale)
        self.assertRaises(Fail, bench_scale.parse, "scale slots 8 least=")

    def test_links(self) -> None:
        """a link is what a pair of requests costs more in two slots; SEND_ZC and slots stand side by side"""
        lines = ["scale pairs_slot 1 least=128000 same=40", "scale pairs_slot 2 least=140800 same=40",
                 "scale held_acked_send_zc 60000 held=2600100", "scale held_acked_slot 60000 held=21900000"]
        shown = list(bench_scale.report([bench_scale.parse(line) for line in lines]))
        self.assertRegex(next(line for line in shown if "a link" in line), r" 200$")
        self.assertRegex(next(line for line in shown if "60000" in line), r"2600 +21900$")

    def test_changes(self) -> None:
        """the biggest change comes first, and what only one run has is named"""
        before = Results("old", "icount", [Row(ZC, 1000.0), Row(SLOT, 1000.0)])
        after = Results("new", "icount", [Row(ZC, 1010.0), Row(SLOT, 900.0), Row(TCP, 1.0)])
        lines = list(bench_report.changes(before, after))
        self.assertIn("2 of 2 rows changed", lines[0])
        self.assertIn("-10.000%", lines[2])
        self.assertIn("+1.000%", lines[3])
        self.assertEqual(lines[4], "only in this run: 1 rows")
        self.assertIn("0 of 2", next(bench_report.changes(before, before)))

    def test_table(self) -> None:
        """figures have their ratio to SEND_ZC at the same place"""
        text = "\n".join(bench_report.table(Results("7.3", "icount", [Row(ZC, 1000.0), Row(SLOT, 900.0), Row(TCP, 7.0, 3.0)])))
        for part in ("900  0.900", "1000  1.000", "tcp6, defer ring, batch of 8: reading"):
            self.assertIn(part, text)

    def test_trains(self) -> None:
        """what a train costs is shown for each of its datagrams"""
        reference = bench_report.reference(TRAIN)
        rows = [Row(TRAIN, 46 * 75.0), Row(reference, 46 * 100.0)]
        self.assertIn(" 75.0  0.750", "\n".join(bench_report.table(Results("7.3", "icount", rows))))


def reference_is_there(work: Work, full: list[Work]) -> bool:
    """Whether a row has what its ratio is to."""
    return bench_report.reference(work) in full
