# SPDX-License-Identifier: GPL-2.0
"""`make bench`: which rows are measured, the boot that measures them, and bench.json."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import bare
import bench_scale
import vm
from bench_scale import Scale
from bench_vsock import Receive
from build import Image
from common import PROJECT, Fail, Step, say

UDP_BYTES = (1, 600, 1200, 4000, 8000, 65435)
QUICK_BYTES = (600, 4000, 65435)
TCP_BYTES = (1024, 4096, 16384, 65536)
BATCHES = (1, 8, 128)
TCP_BATCH = 8
# What Documentation/performance.rst recommends for plain buffers: looking up their pages costs more than
# copying 4000 bytes. A registered buffer is not worth copying, from some 50 bytes on.
COPY_BELOW = 4096
# Of one row: the least of so many is the figure, and a timer interrupt is in some of the long ones
WINDOWS = {1: 200, 8: 120, 128: 40}
# A header of 24 bytes and a page; with SEGMENTS the header alone is below
HEADER_BYTES, SEGMENT_BELOW = 24 + 4096, 512
# A train of 46 datagrams, by UDP_SEGMENT
TRAIN_BYTES, TRAIN_SEGMENT = 46 * 1400, 1400
# What a relay takes at a time, where from and to, and in which segments: of Ethernet, and of pages, which jumbo frames
# have. To a receiver behind a NIC it would be little more than the receiver's interrupts.
RELAY_BYTES, SEGMENTS = 65536, {",sink": (1448, 4096), "": (1448, 4096), ",nic,sink": (1448, 8948)}
FILE_BYTES = (4096, 65536, 1 << 20)
COMMAND = "/bench/guest.sh /client --instructions --file /rows"
LINE = re.compile(r"row (?P<text>.*) least=(\d+) same=(\d+) p25=(\d+) p50=(\d+) p75=(\d+) receiver=(\d+) packets=(\d+)$")
MISSING = re.compile(r"missing (?P<text>.*): (?P<what>[^:]*)$")


@dataclass(frozen=True)
class Work:
    """What one row does, as bench.json names it."""

    mode: str
    buffer: str
    flush: str | None
    copy_below: int
    proto: str
    bytes: int
    batch: int
    ring: str
    # How, if not as ever: words with commas between them, those of bench/row.c
    how: str = ""

    def text(self) -> str:
        """The row as the client reads it."""
        return (f"{self.mode} {self.buffer} {self.flush or '-'} {self.copy_below} {self.proto} "
                f"{self.bytes} {self.batch} {self.ring} {WINDOWS[self.batch]} {self.how}").rstrip()

    def number(self, word: str) -> int:
        """The number of a word of `how`, 0 where it is not there."""
        return next((int(n) for name, _, n in (part.partition(":") for part in self.how.split(",")) if name == word), 0)

    def has(self, word: str) -> bool:
        """Whether `how` has this word."""
        return word in self.how.split(",")

    @property
    def takes(self) -> bool:
        """Whether what it sends comes from a socket or a file."""
        return bool(self.number("relay")) or self.has("file")

    @property
    def datagrams(self) -> int:
        """Of one request."""
        return -(-self.bytes // self.number("gso")) if self.number("gso") else 1

    def name(self) -> str:
        """What a person calls this way of sending, whatever it sends."""
        names = {"send": "send(2)", "msg_zerocopy": "MSG_ZEROCOPY", "io_send": "SEND", "sendmmsg": "sendmmsg(2)"}
        if self.takes:
            return self.taker()
        said = names.get(self.mode, f"SEND_ZC {self.buffer}")
        if self.mode == "slot":
            # With MERGE a notification is the CQE of a request
            ends = {"after:1": "", "batch": " batch"}.get(self.flush or "", f" {self.flush}")
            said = f"slot {self.buffer}, " + (f"merge{ends}" if self.has("merge") else f"flush {self.flush}")
        if self.number("many"):
            said = f"slot {self.buffer}, {self.number('many')} in an SQE"
        if self.has("skip"):
            said += ", skip"
        if self.copy_below:
            said += f", {'segments below' if self.has('segments') else 'copy_below'} {self.copy_below}"
        return said

    def taker(self) -> str:
        """The same of a way that takes what it sends."""
        if self.mode == "sendfile":
            return "sendfile(2)"
        if self.mode == "splice":
            return "SPLICE twice"
        if self.buffer == "taken":
            return "GET_BUF, slot"
        takes = "RECV" if self.number("relay") else "pread(2)" if self.has("pread") else "READ"
        return f"{takes}, {'SEND' if self.mode == 'io_send' else 'slot' if self.mode == 'slot' else 'SEND_ZC'}"

    def place(self) -> str:
        """What it sends, and how much of it at a time."""
        what = ", with a header" if self.has("header") else ""
        if self.takes:
            what = f", relay of segments of {self.number('relay')}" if self.number("relay") else ", file"
            what += " from a NIC" if self.has("nic") else ""
            what += " to nobody" if self.has("sink") else ""
        if self.number("gso"):
            what = f", datagrams of {self.number('gso')}"
        return f"{self.proto}{what}, {self.ring} ring, batch of {self.batch}"


@dataclass(frozen=True)
class Row:
    """A row with its figure: instructions, or requests per second where nothing counts instructions."""

    work: Work
    instructions: float | None = None
    receiver: float | None = None
    # That left for a request, where there is more to say than one for each datagram
    packets: float | None = None
    per_second: dict[str, float] = field(default_factory=dict)

    @property
    def figure(self) -> float:
        """The one number to compare."""
        return self.per_second["median"] if self.instructions is None else self.instructions

    def to_json(self) -> dict[str, object]:
        """As bench.json has it."""
        found: dict[str, object] = asdict(self.work)
        if not self.work.how:
            del found["how"]
        if self.packets is not None:
            found["packets_per_request"] = self.packets
        if self.instructions is None:
            return found | {"requests_per_second": self.per_second}
        found["instructions_per_request"] = self.instructions
        if self.receiver is not None:
            found["receiver_instructions_per_request"] = self.receiver
        return found


@dataclass(frozen=True)
class Results:
    """What one run found."""

    kernel: str
    accel: str
    rows: list[Row]
    scale: list[Scale] = field(default_factory=list)
    vsock: list[Receive] = field(default_factory=list)
    # What the kernel lacks for a row that was not measured
    missing: dict[Work, str] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write bench.json, a row a line."""
        parts = {name: [one.to_json() for one in getattr(self, name)] for name in ("rows", "scale", "vsock")}
        lists = (f'"{name}": [' + ",".join("\n  " + json.dumps(one) for one in part) + "\n]"
                 for name, part in parts.items())
        path.write_text(f'{{"kernel": {json.dumps(self.kernel)}, "accel": {json.dumps(self.accel)}, '
                        f'{", ".join(lists)}}}\n', encoding="utf-8")


def load(path: Path) -> Results:
    """Read a bench.json."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        rows = [Row(Work(**{f.name: row[f.name] for f in fields(Work) if f.name in row or f.name != "how"}),
                    row.get("instructions_per_request"), row.get("receiver_instructions_per_request"),
                    row.get("packets_per_request"), row.get("requests_per_second", {}))
                for row in found["rows"]]
        return Results(found["kernel"], found["accel"], rows, [Scale(**one) for one in found.get("scale", ())],
                       [Receive(**one) for one in found.get("vsock", ())])
    except OSError as error:
        raise Fail(f"{path} cannot be read ({error.strerror}); give a bench.json of an earlier run") from error
    except (ValueError, KeyError, TypeError) as error:
        raise Fail(f"{path} is no bench.json ({error!r}); give one of an earlier run") from error


def ways(batch: int, ring: str) -> Iterator[tuple[str, str, str | None, int]]:
    """Every way of sending: mode, buffer, flush, copy_below."""
    if ring == "plain":
        # They have no ring: measured once, beside the plain one
        yield "send", "plain", None, 0
        yield "msg_zerocopy", "plain", None, 0
    yield "io_send", "plain", None, 0
    for buffer in ("plain", "registered", "huge"):
        yield "send_zc", buffer, None, 0
    for buffer in ("plain", "registered", "huge"):
        for flush in ("batch", "8", "every", "after:8"):
            if batch >= 8 or flush in ("batch", "every"):
                yield "slot", buffer, flush, 0
    yield "slot", "plain", "batch", COPY_BELOW


def works(proto: str, size: int, batch: int, ring: str) -> list[Work]:
    """All rows of one place."""
    return [Work(mode, buffer, flush, below, proto, size, batch, ring)
            for mode, buffer, flush, below in ways(batch, ring)]


def newer_ways(proto: str, batch: int, ring: str) -> Iterator[tuple[str, str, str | None, int, str]]:
    """Those that say how: mode, buffer, flush, copy_below, how."""
    for buffer, below in (("registered", 0), ("plain", 0), ("plain", COPY_BELOW)):
        yield "slot", buffer, "after:1", below, "merge"
    if batch > 1:
        yield "io_send", "plain", None, 0, "skip"
        yield "slot", "registered", "batch", 0, "skip"
        yield "slot", "registered", "batch", 0, "merge,skip"
    if proto.startswith("udp") and batch == 128:
        if ring == "plain":
            yield "sendmmsg", "plain", None, 0, ""
        yield "slot", "registered", "batch", 0, "many:64"
        yield "slot", "registered", "batch", 0, "many:128"
        yield "slot", "plain", "batch", COPY_BELOW, "many:128"


def newer(proto: str, size: int, batch: int, ring: str) -> list[Work]:
    """All such rows of one place."""
    return [Work(mode, buffer, flush, below, proto, size, batch, ring, how)
            for mode, buffer, flush, below, how in newer_ways(proto, batch, ring)]


def headers(proto: str, batch: int) -> list[Work]:
    """A short header and a plain page, in one request."""
    ways_there = (("io_send", None, 0, "header"), ("send_zc", None, 0, "header"), ("slot", "batch", 0, "header"),
                  ("slot", "batch", SEGMENT_BELOW, "segments,header"), ("slot", "batch", 2 * COPY_BELOW, "header"))
    return [Work(mode, "plain", flush, below, proto, HEADER_BYTES, batch, "plain", how)
            for mode, flush, below, how in ways_there]


def trains(batch: int) -> list[Work]:
    """Many datagrams as one packet, until the device sends them."""
    how = f"gso:{TRAIN_SEGMENT}"
    ways_there = (("send", "plain", None, how), ("msg_zerocopy", "plain", None, how), ("io_send", "plain", None, how),
                  *(("send_zc", buffer, None, how) for buffer in ("plain", "registered", "huge")),
                  *(("slot", buffer, "batch", how) for buffer in ("plain", "registered", "huge")),
                  ("slot", "registered", "after:1", f"merge,{how}"), ("slot", "huge", "batch", f"many:{batch},{how}"))
    return [Work(mode, buffer, flush, 0, "udp4", TRAIN_BYTES, batch, "plain", way)
            for mode, buffer, flush, way in ways_there]


def relays(segment: int, over: str) -> list[Work]:
    """Every way of giving on what a socket received."""
    ways_there = (("io_send", "plain", None), ("send_zc", "registered", None), ("slot", "registered", "batch"),
                  ("splice", "plain", None), ("slot", "taken", "batch"))
    return [Work(mode, buffer, flush, 0, "tcp4", RELAY_BYTES, 1, "plain", f"relay:{segment}{over}")
            for mode, buffer, flush in ways_there]


def files(size: int, batch: int, over: str) -> list[Work]:
    """Every way of sending a part of a file that is in the page cache."""
    ways_there = (("sendfile", "plain", None, ""), ("splice", "plain", None, ""), ("io_send", "plain", None, ""),
                  ("send_zc", "registered", None, ""), ("send_zc", "registered", None, ",pread"),
                  ("slot", "taken", "batch", ""))
    return [Work(mode, buffer, flush, 0, "tcp4", size, batch, "plain", f"file{how}{over}")
            for mode, buffer, flush, how in ways_there]


def takers() -> list[Work]:
    """All that take what they send, to nobody and to a receiver; those over NICs at the end."""
    found = [work for over in (",sink", "") for size in FILE_BYTES for work in files(size, 1, over)]
    found += files(FILE_BYTES[0], 8, ",sink")
    places = [(segment, over) for over, segments in SEGMENTS.items() for segment in segments]
    return found + [work for segment, over in places for work in relays(segment, over)]


def matrix(quick: bool) -> list[Work]:
    """The rows of a run, in the order in which they are measured: at the end those that came last."""
    if quick:
        return [work for size in QUICK_BYTES for work in works("udp4", size, 128, "plain")] \
            + works("udp4", 4000, 1, "plain") + newer("udp4", 4000, 128, "plain") + headers("udp4", 128) \
            + relays(1448, ",sink") + files(65536, 1, ",sink")
    udp = [work for proto in ("udp4", "udp6") for ring in ("plain", "defer") for batch in BATCHES
           for size in UDP_BYTES for work in works(proto, size, batch, ring)]
    tcp = [work for proto in ("tcp4", "tcp6") for ring in ("plain", "defer")
           for size in TCP_BYTES for work in works(proto, size, TCP_BATCH, ring)]
    late = [work for size in UDP_BYTES for ring in ("plain", "defer") for work in newer("udp4", size, 128, ring)]
    late += [work for batch in (1, 8) for work in newer("udp4", 4000, batch, "plain")]
    late += newer("udp6", 4000, 128, "plain")
    late += [work for size in TCP_BYTES for work in newer("tcp4", size, TCP_BATCH, "plain")]
    return udp + tcp + late + headers("udp4", 128) + headers("tcp4", TCP_BATCH) + trains(128) + takers()


def parse(work: Work, line: str, counts: bool) -> Row:
    """One line of the client: the row it answers, with its figures."""
    found = LINE.match(line)
    if not found or found["text"] != work.text():
        raise Fail(f"the client printed `{line}` where the row `{work.text()}` was to come; see the log")
    least, _, low, middle, high, receiver, left = (int(n) for n in found.groups()[1:])
    if not least:
        raise Fail(f"the row `{work.text()}` took no time at all; the guest's clock is wrong, see the log")
    tcp = work.proto.startswith("tcp")
    packets = left / (work.batch * WINDOWS[work.batch]) if tcp and work.how and not work.takes else None
    if counts:
        return Row(work, least / work.batch, receiver / work.batch if tcp and not work.has("sink") else None, packets)
    # The slower quarter of the windows is the lower quartile
    speed = {name: round(work.batch * 1e9 / ns, 1) for name, ns in (("median", middle), ("p25", high), ("p75", low))}
    return Row(work, packets=packets, per_second=speed)


class Reader(vm.Lines):
    """Makes rows of what the client prints, as it comes."""

    def __init__(self, wanted: list[Work], counts: bool, step: Step) -> None:
        self.wanted, self.counts, self.step = wanted, counts, step
        self.rows: list[Row] = []
        self.scale: list[Scale] = []
        self.missing: dict[Work, str] = {}
        self.wrong = ""

    def line(self, line: str) -> None:
        """One whole line; what comes after an error is of no interest."""
        if self.wrong:
            return
        if line.startswith("error "):
            self.wrong = line.removeprefix("error ")
        elif line.startswith(("row ", "missing ")) and self.next:
            missing = MISSING.match(line)
            if missing and missing["text"] == self.next.text():
                self.missing[self.next] = missing["what"]
            else:
                self.rows.append(parse(self.next, line, self.counts))
            self.step.update(len(self.rows) + len(self.missing))
        elif line.startswith("scale "):
            self.scale.append(bench_scale.parse(line))
        else:
            say(f"  {line}")

    @property
    def next(self) -> Work | None:
        """The row that is to be answered next."""
        done = len(self.rows) + len(self.missing)
        return self.wanted[done] if done < len(self.wanted) else None

    def all_rows(self) -> list[Row]:
        """Every row that was asked for; a Fail that names the one that went wrong."""
        if self.wrong:
            raise Fail(f"the benchmark's own check failed: {self.wrong}")
        if self.next:
            raise Fail(f"the client ended before the row `{self.next.text()}`; see the log")
        return self.rows


def write_rows(path: Path, works: list[Work]) -> None:
    """The file that the client reads."""
    path.write_text("".join(work.text() + "\n" for work in works), encoding="utf-8")


def measure(image: Image, virtme: Path, settings: vm.Settings, programs: Path, wanted: list[Work], scale: bool,
            folder: Path) -> tuple[list[Row], list[Scale], dict[Work, str]]:
    """Boot once, and have one client run all rows; then measure what many slots and notifiers cost, if asked for.

    Where instructions are counted, rows over NICs have a boot of their own: the others' figures don't depend on them.
    """
    counts = settings.accel == "icount"
    listed = folder / "rows"
    first = [work for work in wanted if not (counts and work.has("nic"))]
    wanted = first + [work for work in wanted if work not in set(first)]
    write_rows(listed, first)
    with Step("measuring", len(wanted), " rows") as step:
        reader = Reader(wanted, counts, step)
        if counts:
            files = {"selftests/net.sh": PROJECT / "selftests/net.sh", "bench/guest.sh": PROJECT / "bench/guest.sh",
                     "client": programs / "client", "scale": programs / "scale", "rows": listed}
            command = COMMAND
            if scale:
                command += " && /bench/guest.sh /scale"
            if image.flavour.name == "mitigated":
                command += " && cd /sys/devices/system/cpu/vulnerabilities && { grep Mitigation * || :; }"
            result = bare.in_bare_vm(image, virtme, settings, files, command, reader.data)
            if len(first) < len(wanted) and not (result.status or result.hung or result.splats or reader.wrong):
                write_rows(listed, wanted[len(first):])
                result = bare.in_bare_vm(image, virtme, settings, files, COMMAND, reader.data, nics=True)
        else:
            command = shlex.join([str(PROJECT / "bench/guest.sh"), str(programs / "client"), "--file", str(listed)])
            result = vm.in_vm(image, virtme, settings, command, str(PROJECT), reader.data)
    if not (result.hung or result.splats) and reader.wrong:
        reader.all_rows()
    vm.verdict(result, "the benchmark", settings.timeout)
    rows = reader.all_rows()
    if scale:
        bench_scale.check(reader.scale)
    return rows, reader.scale, reader.missing
