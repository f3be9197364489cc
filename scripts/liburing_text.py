# SPDX-License-Identifier: GPL-2.0
"""lib/ and man/ as liburing has such things: what `make liburing-series` puts into its files.

lib/'s headers are on top of any liburing, with names of their own for what the UAPI calls otherwise. Their functions
become liburing's by replacing these names, so that there is one source of both, and lib/'s own tests (prep.c, byte by
byte) are run on the result. What liburing does in another way is in CHANGES; a text that is not there any more is an
error, which says so.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from common import PROJECT, Fail

sys.path.append(str(PROJECT / "lib/tests"))
import snippets  # noqa: E402  pylint: disable=wrong-import-position

WIDTH = 80
# Functions that make a system call, or only return text, are in the library, all others in its header
LIBRARY = ("query", "advice", "register", "unregister")
NAMES = {r"struct io_uring_notif_slot\b": "struct io_uring_notification_slot",
         r"struct io_uring_notif_register\b": "struct io_uring_notification_register",
         r"struct io_uring_notif_dgram\b": "struct io_uring_dgram",
         r"struct io_uring_notif_caps\b": "struct io_uring_query_notif",
         r"struct io_uring_notif_(query_\w+)": r"struct io_uring_\1",
         r"IO_URING_NOTIF_QUERY_OPCODES\b": "IO_URING_QUERY_OPCODES",
         r"IO_URING_NOTIF_QUERY\b": "IO_URING_QUERY_NOTIF",
         r"IO_URING_NOTIF_SEQ_SHIFT\b": "IORING_CQE_BUFFER_SHIFT",
         r"IO_URING_NOTIF_UPDATE_BUF\b": "IORING_RSRC_UPDATE_BUF",
         r"IO_URING_NOTIF_UPDATE\b": "IORING_RSRC_UPDATE_NOTIF",
         r"io_uring_notif_syscall_ring\(ring, IO_URING_NOTIF_(UN)?REGISTER\b": r"do_register(ring, IORING_\1REGISTER_NOTIFIERS",
         r"io_uring_notif_syscall\(-1, IO_URING_NOTIF_REGISTER_QUERY, (&\w+), 0\)": r"io_uring_register_query(\1)",
         r"#include <liburing_\w+\.h>": "#include <liburing.h>",
         r"GPL-2\.0 OR MIT": "MIT",
         r"liburing_notif-0\.1": "liburing-VERSION"}
# What must be in a text, and what it is in liburing
CHANGES = {
    "io_uring_notif_attach": [
        ("\t__u16 index = (__u16)slot;\n\n", ""),
        ("\t/* by its offset: headers without slots have no name for it */\n"
         "\tmemcpy((unsigned char *)sqe + IO_URING_NOTIF_IDX_OFFSET, &index, sizeof(index));\n",
         "\tsqe->notification_idx = (__u16)slot;\n")],
    "io_uring_notif_get_buf_head": [
        ("\t__u32 optlen = len;\n\n", ""),
        ("\t/* by its offset: older headers have no name for it */\n"
         "\tmemcpy((unsigned char *)sqe + IO_URING_NOTIF_OPTLEN_OFFSET, &optlen, sizeof(optlen));\n",
         "\tsqe->optlen = len;\n")],
    "io_uring_notif_prep_get_buf": [
        ("\t/* as for a read, which liburing 2.3 clears all other fields for */\n"
         "\tio_uring_prep_read(sqe, fd, NULL, (unsigned int)len, offset);\n"
         "\tsqe->opcode = IO_URING_NOTIF_OP_GET_BUF;\n",
         "\tio_uring_prep_rw(IORING_OP_GET_BUF, sqe, fd, NULL, (__u32)len, offset);\n")],
    "io_uring_notif.7": [
        ("and its module; the functions are in one header, on top of any liburing from 2.3 on.\n", "and its module.\n"),
        (".PP\n.BR notif_pool (7)\ndoes this for buffers of one size.\n", ""),
        ("sends it from there through a slot. These functions are in\n.IR liburing_get_buf.h .\n",
         "sends it from there through a slot.\n"),
        (".BR notif_pool (7),\n", "")],
    "notif.h": [
        ('#include "liburing_get_buf.h"\n\n#include <netinet/in.h>\n', '#include <stdio.h>\n#include <string.h>\n'
         '#include <sys/syscall.h>\n#include <unistd.h>\n')],
}
LEFT = re.compile(r"\bIO_URING_NOTIF_(HAVE|OP|IDX|OPTLEN|REGISTER|UNREGISTER|MAX)\w*|io_uring_notif_syscall\w*|liburing_\w+\.h")


@dataclass(frozen=True)
class Function:
    """A function of lib/'s headers: what is said of it, and its parts."""

    name: str
    comment: str
    returns: str
    arguments: str
    body: str

    @property
    def in_library(self) -> bool:
        """Whether it is compiled into the library."""
        return self.name.removeprefix("io_uring_notif_") in LIBRARY

    def declared(self, before: str, after: str) -> str:
        """Its first lines, as long as liburing's are."""
        head = f"{before}{self.returns}{'' if self.returns.endswith('*') else ' '}{self.name}("
        lines, arguments = [head], self.arguments.split(", ")
        for number, argument in enumerate(arguments):
            text = argument + (")" if number == len(arguments) - 1 else ",")
            if lines[-1] not in (head, "") and len(lines[-1].expandtabs(8)) + 1 + len(text) > WIDTH:
                column = min(len(head), WIDTH - max(map(len, arguments)) - 1)
                lines.append("\t" * (column // 8) + " " * (column % 8) + text)
            else:
                lines[-1] += ("" if lines[-1] == head else " ") + text
        return "\n".join(lines) + after

    def inline(self) -> str:
        """As liburing.h has it."""
        return f"{self.comment}{self.declared('IOURINGINLINE ', chr(10))}\tLIBURING_NOEXCEPT\n{self.body}"

    def prototype(self) -> str:
        """As liburing.h declares what is in the library."""
        return f"{self.comment}{self.declared('', '')}\n\tLIBURING_NOEXCEPT;\n"

    def compiled(self) -> str:
        """As src/register.c has it."""
        return f"{self.declared('', chr(10))}{self.body}"


def changed(name: str, text: str) -> str:
    """A text of ours as liburing has it."""
    for old, new in CHANGES.get(name, ()):
        if text.count(old) != 1:
            raise Fail(f"{name} has no more `{old.strip().splitlines()[0]}`; "
                       "say in scripts/liburing_text.py what liburing has in its place")
        text = text.replace(old, new)
    for old, new in NAMES.items():
        text = re.sub(old, new, text)
    left = LEFT.search(text)
    if left:
        raise Fail(f"{name}: liburing has no {left[0]}; say in scripts/liburing_text.py what it has in its place")
    return text


def functions(header: str) -> Iterator[Function]:
    """The functions that a header of lib/ offers, in order."""
    path = PROJECT / "lib" / header
    for name in snippets.prototypes(path):
        found = re.search(rf"((?:/\*(?:(?!\*/).)*\*/\n)?)static inline ([^\n(]*?){name}\((.*?)\)\n(\{{\n.*?\n\}}\n)",
                          path.read_text(encoding="utf-8"), re.S)
        assert found
        comment, returns, arguments, body = found.groups()
        text = changed(name, f"{comment}\0{returns.strip()}\0{' '.join(arguments.split())}\0{body}")
        yield Function(name, *text.split("\0"))


def types() -> str:
    """How a program tells its CQEs apart: types that the UAPI has not."""
    text = (PROJECT / "lib/liburing_notif.h").read_text(encoding="utf-8")
    found = re.findall(r"(?:/\*[^*]*\*/\n)?(?:struct io_uring_notif(?:_ids)?|enum io_uring_notif_kind) \{\n.*?\n\};\n", text, re.S)
    if len(found) != 3:
        raise Fail("lib/liburing_notif.h has other types than it had; say in scripts/liburing_text.py which liburing gets")
    return "\n".join(found)


def page(name: str, version: str) -> str:
    """A man page."""
    return changed(name, (PROJECT / "man" / name).read_text(encoding="utf-8")).replace("liburing-VERSION", f"liburing-{version}")


def test(name: str) -> str:
    """A file of the tests."""
    folder = "lib/liburing" if name == "tap.h" else "lib/tests"
    text = (PROJECT / folder / name).read_text(encoding="utf-8")
    if name == "notif.h":
        # One file of ours less among liburing's
        text = text.replace('#include "tap.h"\n', test("tap.h").split("*/\n", 2)[2])
    return changed(name, text).replace("// SPDX-License-Identifier: MIT", "/* SPDX-License-Identifier: MIT */")


def insert(text: str, after: str, new: str, where: str) -> str:
    """Put something behind what is there."""
    at = text.find(after)
    if at < 0:
        raise Fail(f"{where} of this liburing has no `{after.strip().splitlines()[-1]}`; "
                   "say in scripts/liburing_series.py where it goes")
    return text[:at + len(after)] + new + text[at + len(after):]


def map_section(text: str, names: Iterable[str], version: str) -> str:
    """A linker's map with these names in the section of a version, which is made if need be."""
    last = re.findall(r"^(LIBURING_[\d.]+) \{", text, re.M)[-1]
    lines = "".join(f"\t\t{name};\n" for name in names)
    if last != f"LIBURING_{version}":
        return f"{text.rstrip()}\n\nLIBURING_{version} {{\n\tglobal:\n{lines}}} {last};\n"
    return re.sub(rf"^(LIBURING_{re.escape(version)} \{{\n(?:.*\n)*?)(\}})", rf"\1{lines}\2", text, flags=re.M)


def sorted_into(text: str, names: Iterable[str]) -> str:
    """test/Makefile with more tests, in the order of the alphabet."""
    head, rest = text.split("test_srcs := \\\n", 1)
    listed, tail = rest.split("\t# EOL\n", 1)
    lines = listed.splitlines()
    for name in names:
        at = next((n for n, line in enumerate(lines) if line.strip(" \t\\") > name), len(lines))
        lines.insert(at, f"\t{name} \\")
    return f"{head}test_srcs := \\\n" + "\n".join(lines) + f"\n\t# EOL\n{tail}"
