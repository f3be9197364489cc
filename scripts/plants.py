# SPDX-License-Identifier: GPL-2.0
"""`make plants`: bugs that are put into the module, and the tool that has to find each of them.

`PLANT=name` builds any image with one bug in it, beside the images without.
"""

import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

from common import Fail, PROJECT, Step, cache_dir, log


@dataclass(frozen=True)
class Plant:
    """A bug: what is written in place of what, and the command that has to fail by it."""

    name: str
    what: str
    file: str
    old: str
    new: str
    finder: tuple[str, ...]

    def put_into(self, name: str, data: bytes) -> bytes:
        """The content of a file of the project, with the bug when it belongs there."""
        if name != self.file:
            return data
        text = data.decode()
        if text.count(self.old) != 1:
            raise Fail(f"PLANT={self.name} does not fit {self.file} any more; update scripts/plants.py")
        return text.replace(self.old, self.new).encode()


# A result that says nothing of the bug, see notif.py
NOT_RUN = "the tests could be built and run"
# What vm.verdict() says of a splat
COMPLAINT = "the kernel complained"
STRESS = ("stress", "MINUTES=1", "SEED=1")
PLANTS = (
    Plant("missing-reference", "an skb has the pages of a notifier without a reference to it",
          "rust/sys/ubuf.rs", "        self.notifier().refcnt().inc();\n", "", ("test", "TESTS=kunit")),
    Plant("kept-reference", "what a link is replaced by keeps the old one's notifiers",
          "rust/sys/link.rs", "            complete_link(carried, true);\n", "", ("test", "TESTS=kunit")),
    Plant("lost-flush", "a request whose pages are accounted loses its flush flag",
          "rust/ring.rs", "let last = request.flush || slot", "let last = request.flush && pages == 0 || slot", STRESS),
    Plant("early", "a request that goes on later is detached before",
          "shim/send.c", "\t\t\tsr->done_io += ret;\n",
          "\t\t\tsr->done_io += ret;\n\t\t\tio_notif_detach(req->ctx, sr->slot_notif, true);\n", STRESS),
    Plant("kept-pages", "pages stay accounted when there is no memory for a notifier",
          "rust/ring.rs", "                    lock.unaccount(share.pages);\n",
          "                    core::mem::forget(share.pages);\n                    let _ = &lock;\n",
          ("test", "TESTS=inject")),
    Plant("old-slots", "a notification is counted for slots that were registered after it",
          "rust/slot.rs", "        if notification.id <= self.before {\n            return;\n        }\n", "",
          ("fuzz", "OPS=20000", "SEED=1")),
    Plant("unlocked", "a lane is emptied without the lock of its ring",
          "shim/lane.c", "\t\tmutex_lock(&ctx->uring_lock);\n\t\tpercpu_ref_get(&ctx->refs);\n"
          "\t\tio_notif_clear_taskrun(ctx);\n\t\tmore = io_notif_lane_deliver(lane);\n",
          "\t\tpercpu_ref_get(&ctx->refs);\n\t\tio_notif_clear_taskrun(ctx);\n"
          "\t\tmore = io_notif_lane_deliver(lane);\n\t\tmutex_lock(&ctx->uring_lock);\n",
          ("stress", "FLAVOUR=kcsan", "MINUTES=1", "SEED=1")),
)


def chosen() -> Plant | None:
    """PLANT=, None when nothing is to be planted."""
    name = os.environ.get("PLANT", "")
    found = next((plant for plant in PLANTS if plant.name == name), None)
    if name and not found:
        raise Fail(f"PLANT={name} is unknown; say PLANT= and one of {', '.join(p.name for p in PLANTS)}")
    return found


def prefix() -> str:
    """What the names of images with a bug begin with: nobody takes one for an image without."""
    return "plant-" if chosen() else ""


def told(lines: Iterable[str]) -> str:
    """What a tool said of the bug: what the kernel complained of, else the first failed result; "" without one."""
    failed = [line.strip() for line in lines if line.startswith("not ok ") and NOT_RUN not in line]
    return next((line for line in failed if COMPLAINT in line), failed[0] if failed else "")


def main() -> None:
    """Plant each bug, and run the tool that has to find it; a table of what each said."""
    rows, missed = [], []
    for plant in PLANTS:
        tool = f"make {' '.join(plant.finder)}"
        with Step(f"{plant.name}: {tool}"):
            done = subprocess.run(["make", "-C", str(PROJECT), *plant.finder, f"PLANT={plant.name}"], text=True,
                                  errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, check=False)
        log().write(done.stdout)
        lines = done.stdout.splitlines()
        said = told(lines) if done.returncode else ""
        if not said:
            missed.append(plant.name)
            last = next((line for line in reversed(lines) if line.startswith("error: ")), "no error")
            said = f"did not run to its end: {last}" if done.returncode else "found nothing"
        rows.append((plant, tool, said))
    for folder in (cache_dir() / "images").glob("plant-*"):
        shutil.rmtree(folder)
    for plant, tool, said in rows:
        print(f"{plant.name}: {plant.what}\n    {tool}: {said}", flush=True)
    if missed:
        raise Fail(f"make plants: {', '.join(missed)} not found; see {log().path}")
