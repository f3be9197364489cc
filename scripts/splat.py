# SPDX-License-Identifier: GPL-2.0
"""Splats: what a kernel prints when something is wrong with it."""

import re

# How printk starts a line: an optional level, the time, and who spoke
PREFIX = re.compile(r"^(<\d+>)?\[\s*\d+\.\d+\](\[\s*[TC]\d+\])?\s?")

SPLAT = re.compile("|".join((
    r"^BUG:", r"^WARNING:", r"^kernel BUG at", r"KASAN:", r"UBSAN:", r"KCSAN:", r"^Oops", r"^general protection",
    r"^Kernel panic", r"^Unable to handle", r"^Internal error:", r"^invalid opcode", r"^stack segment",
    r"^double fault",
    r"possible circular locking", r"INFO: possible recursive", r"inconsistent lock state", r"possible irq lock inversion",
    r"suspicious RCU usage", r"bad unlock balance", r"turning off the locking correctness validator",
    r"INFO: task .* blocked", r"INFO: rcu_\w+ (self-)?detected", r"rcu: INFO:.*stall", r"soft lockup",
    r"workqueue lockup", r"refcount_t:", r"list_(add|del) corruption", r"^ODEBUG:",
    r"sleeping function called from invalid context", r"scheduling while atomic", r"unreferenced object",
    r"new suspected memory leaks", r"ref_tracker:", r"unregister_netdevice: waiting for",
    r"rust_kernel: panicked", r"\bpanicked at\b", r"Out of memory: Killed")))
END = re.compile(r"^---\[ end |^Kernel Offset:|^Rebooting in")
# virtme-ng's init writes to the kernel's log too; what it finds wrong is not the kernel's fault
OTHERS = re.compile(r"^virtme-(ng-)?init:")
LONGEST = 90


def message(line: str) -> str:
    """A console line without what printk puts before it."""
    return PREFIX.sub("", line.rstrip("\r\n"))


def is_splat(line: str) -> bool:
    """Whether this line of the console starts a splat."""
    text = message(line)
    return bool(SPLAT.search(text)) and not OTHERS.search(text)


def find_splats(console: str) -> list[str]:
    """Every splat of a console log, with the lines that belong to it."""
    lines = [line.rstrip("\r") for line in console.split("\n")]
    found: list[str] = []
    at = 0
    while at < len(lines):
        if not is_splat(lines[at]):
            at += 1
            continue
        # KASAN, lockdep and the WARNs open with a ruler above their first line
        start = at - 1 if at and re.match(r"^(={5,}|-{5,})", message(lines[at - 1])) else at
        end = at + 1
        while end < len(lines) and end - at < LONGEST and lines[end - 1] and not END.match(message(lines[end - 1])):
            end += 1
        found.append("\n".join(lines[start:end]).rstrip())
        at = end
    return found
