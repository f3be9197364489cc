#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR MIT
"""The C snippets of a document, as programs that compile.

In the document a snippet is a literal block that follows the comment ``.. c``. What it uses and doesn't declare
(ring, sqe, cqe, fd, buf, len) is in PRELUDE. A block with an #include or a function is a file, any other the body of a
function.

snippets.py DOCUMENT    prints the programs, one after the other
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

PRELUDE = """\
#include "liburing_notif.h"
#include "notif_pool.h"
#include <stdio.h>
#include <err.h>

extern struct io_uring ring;
extern struct io_uring_sqe *sqe;
extern struct io_uring_cqe *cqe;
extern int fd, ret;
extern char *buf, *header;
extern size_t len, header_len;
extern unsigned int i, nr, slot;
extern struct msghdr msg;
void give_back(unsigned long long user_data);
void give_back_all_of(unsigned int slot);
void finish(unsigned long long user_data, int res);
"""


@dataclass
class Snippet:
    """A block of C, and the line of the document that it begins on."""

    line: int
    text: str

    def program(self) -> str:
        """A file that compiles if the snippet does."""
        if re.search(r"^(#include|(static )?\w[\w ]*\*?\w+\([^;]*\)$)", self.text, re.MULTILINE):
            return f"{PRELUDE}\n{self.text}"
        body = "".join(f"\t{line}\n" for line in self.text.splitlines())
        return f"{PRELUDE}\nvoid snippet(void);\nvoid snippet(void)\n{{\n{body}}}\n"


def of(document: Path) -> list[Snippet]:
    """The snippets of a document, in order."""
    found: list[Snippet] = []
    lines = document.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        # the comment, an empty line, "::", an empty line
        if line.strip() != ".. c" or lines[number + 2].strip() != "::":
            continue
        block: list[str] = []
        for text in lines[number + 4:]:
            if text and not text.startswith("\t"):
                break
            block.append(text.removeprefix("\t"))
        found.append(Snippet(number + 5, "\n".join(block).strip("\n") + "\n"))
    return found


def prototypes(header: Path) -> dict[str, str]:
    """The functions that a header offers, by name, without white space; those for its own use are not among them."""
    internal = {"io_uring_notif_syscall", "io_uring_notif_syscall_ring", "notif_pool_id", "notif_pool_fits",
                "notif_pool_prep_flush"}
    found = re.findall(r"^static inline ([^;{}]*?\b((?:io_uring_notif|notif_pool)_\w+)\([^;{]*?\))\n\{",
                       header.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: "".join(text.split()) for text, name in found if name not in internal}


def synopsis(page: Path) -> str:
    """The prototypes of a man page, without white space."""
    text = page.read_text(encoding="utf-8").split(".SH DESCRIPTION")[0]
    lines = [line.removeprefix(".BI ").replace('"', "") for line in text.splitlines() if line.startswith(".BI ")]
    return "".join("".join(lines).split())


if __name__ == "__main__":
    for snippet in of(Path(sys.argv[1])):
        print(f"/* line {snippet.line} */\n{snippet.program()}")
