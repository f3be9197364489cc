# SPDX-License-Identifier: GPL-2.0
"""An initramfs: an archive in cpio's "newc" format, Documentation/driver-api/early-userspace/buffer-format.rst.

The kernel's gen_init_cpio would have to be compiled first, from a tree that an image outlives.
"""

END = "TRAILER!!!"


def record(number: int, name: str, mode: int, data: bytes, device: tuple[int, int] = (0, 0)) -> bytes:
    """One file of an archive; `number` tells it from the others, which would be links to it."""
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def end() -> bytes:
    """What ends an archive."""
    return record(0, END, 0, b"")
