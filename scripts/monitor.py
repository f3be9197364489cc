# SPDX-License-Identifier: GPL-2.0
"""QEMU's monitor, spoken to by QMP over a socket in the folder of a run."""

import json
import socket
from pathlib import Path
from types import TracebackType

from common import Fail, log

# A translation of one instruction: its name in new QEMUs, and in those before 8.1
STEPPING = ("one-insn-per-tb", "singlestep")
# So many bytes may a socket's path have
LONGEST = 107
ANSWER_SECONDS = 60


def monitor_args(path: Path) -> list[str]:
    """What QEMU's command line needs, for its monitor to be at this path."""
    if len(str(path).encode()) > LONGEST:
        raise Fail(f"{path} is too long for a socket's path; set NOTIF_CACHE to a shorter one")
    return ["-qmp", f"unix:{path},server=on,wait=off"]


class Monitor:
    """One connection."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(ANSWER_SECONDS)
        self.socket.connect(str(path))
        self.file = self.socket.makefile("rw", encoding="utf-8")
        # It greets first
        self.file.readline()
        self.command("qmp_capabilities")

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.file.close()
        self.socket.close()

    def command(self, name: str, **arguments: str) -> str:
        """Run a command and wait for its answer; events are passed over."""
        self.file.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self.file.flush()
        for line in self.file:
            answer = json.loads(line)
            if "error" in answer:
                raise Fail(f"QEMU's monitor refuses `{name}`: {answer['error']['desc']}; see {log().path}")
            if "return" in answer:
                log().write(f"monitor: {name} {arguments}: {answer['return']}\n")
                return str(answer["return"] or "")
        raise Fail(f"QEMU ended before its monitor answered `{name}`; see {log().path}")

    def human(self, line: str) -> str:
        """Run a command of the human monitor: what it prints, nothing when all is well."""
        return self.command("human-monitor-command", **{"command-line": line}).strip()

    def log_instructions(self) -> None:
        """From now on each instruction that is executed is a line of QEMU's log."""
        self.command("stop")
        said = self.human(f"{STEPPING[0]} on") and self.human(f"{STEPPING[1]} on") or self.human("log exec,nochain")
        if said:
            raise Fail(f"this QEMU cannot log each instruction ({said}); install another QEMU")
        self.command("cont")
