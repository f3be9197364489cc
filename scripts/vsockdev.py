# SPDX-License-Identifier: GPL-2.0
"""vsock tests over a real device: QEMU's vhost-user-vsock-pci, whose other end is rust-vmm's daemon.

The daemon makes connections of the guest connections of a unix socket, so that no AF_VSOCK is used on the host. Who
serves these is a thread here; selftests/vsockdev.c says in the first line of a connection what it wants.
"""

import contextlib
import hashlib
import os
import random
import re
import shlex
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import build
import source
import suite
import toolchain
import vm
from cache import lock, made_whole
from common import PROJECT, Fail, Step, cache_dir, log, run, say, stop
from tap import Tap

DAEMON = "0.3.0"
CID, PORT = 3, 1234
# What a request of the guest has: words, then spaces
REQUEST = 64
# Seconds that the daemon has for its sockets, and the server for a request
PATIENCE = 60
NAME = "virtio"
TEST = re.compile(r"^TEST(?:_F|_F_TIMEOUT|_SIGNAL)?\((?:\w+, )?(\w+)", re.M)


def find_daemon(tools: toolchain.Toolchain) -> Path:
    """vhost-device-vsock, built once with cargo."""
    folder = cache_dir() / f"vhost-device-vsock-{DAEMON}"
    program = folder / "bin/vhost-device-vsock"
    if not program.is_file():
        with lock("tools", "building vhost-device-vsock"), Step("vhost-device-vsock (the host's end of a vsock device)"):
            if not program.is_file():
                with made_whole(folder) as temp:
                    run([str(tools.rust_bin / "cargo"), "install", "vhost-device-vsock", "--version", DAEMON, "--locked",
                         "--root", str(temp)], "cargo install vhost-device-vsock",
                        dict(os.environ, PATH=f"{tools.rust_bin}:{os.environ['PATH']}"))
    return program


class Server(threading.Thread):
    """The host's programs: each connection is served by a thread of its own."""

    def __init__(self, uds: Path, data: bytes) -> None:
        super().__init__(daemon=True)
        self.uds, self.data = uds, data
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(f"{uds}_{PORT}")
        self.listener.listen(16)

    def run(self) -> None:
        """Accept until the socket is closed."""
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer: socket.socket) -> None:
        """One connection: read what it wants, and do that."""
        commands: dict[str, Callable[..., None]] = {
            "send": self.send, "digest": self.digest, "sink": self.sink, "echo": self.echo, "call": self.call}
        with peer:
            peer.settimeout(PATIENCE)
            try:
                request = b""
                while len(request) < REQUEST:
                    more = peer.recv(REQUEST - len(request))
                    if not more:
                        return
                    request += more
                name, *words = request.decode().split()
                log().write(f"vsock server: {name} {words}\n")
                commands[name](peer, *map(int, words))
            except (OSError, KeyError, ValueError, TypeError) as error:
                log().write(f"vsock server: {error!r}\n")

    def piece(self, offset: int, length: int) -> memoryview:
        """A part of the file."""
        return memoryview(self.data)[offset:offset + length]

    def send(self, peer: socket.socket, offset: int, length: int, size: int) -> None:
        """Send a part of the file in writes of `size` bytes, 0: of all sizes, drawn from a seed."""
        drawn, data = random.Random(offset + length), self.piece(offset, length)
        while data:
            now = size or drawn.choice((1, 7, 100, 1000, 3732, 4096, 5000, 8192, 30000, 65536))
            peer.sendall(data[:now])
            data = data[now:]
        peer.shutdown(socket.SHUT_WR)
        # the guest reads to the end, and closes
        peer.recv(1)

    def digest(self, peer: socket.socket, offset: int, length: int) -> None:
        """Say what SHA-256 a part of the file has."""
        peer.sendall(hashlib.sha256(self.piece(offset, length)).hexdigest().encode())

    def sink(self, peer: socket.socket, length: int) -> None:
        """Take so many bytes, and say what SHA-256 they had."""
        found = hashlib.sha256()
        while length:
            data = peer.recv(min(length, 65536))
            if not data:
                return
            found.update(data)
            length -= len(data)
        peer.sendall(found.hexdigest().encode())

    def echo(self, peer: socket.socket, length: int) -> None:
        """Send back what comes, while it comes."""
        left = length
        while left:
            data = peer.recv(min(left, 65536))
            if not data:
                return
            peer.sendall(data)
            left -= len(data)
        peer.shutdown(socket.SHUT_WR)
        peer.recv(1)

    def call(self, peer: socket.socket, port: int, offset: int, length: int) -> None:
        """Connect to the guest, and send a part of the file there."""
        with socket.socket(socket.AF_UNIX) as other:
            other.settimeout(PATIENCE)
            other.connect(str(self.uds))
            other.sendall(f"CONNECT {port}\n".encode())
            answer = b""
            while not answer.endswith(b"\n"):
                more = other.recv(1)
                if not more:
                    return
                answer += more
            other.sendall(self.piece(offset, length))
            other.shutdown(socket.SHUT_WR)
            other.recv(1)
        peer.sendall(b"done")


@contextlib.contextmanager
def device(daemon: Path, memory: str, data: bytes) -> Iterator[list[str]]:
    """A device whose other end is served; what QEMU's command line has of it."""
    # not in the cache: a socket's path has 107 bytes at most
    folder = Path(tempfile.mkdtemp(prefix="notif-vsock-"))
    sockets, uds = folder / "vhost", folder / "vm"
    command = [str(daemon), "--vm", f"guest-cid={CID},socket={sockets},uds-path={uds}"]
    log().write(f"$ {shlex.join(command)}\n")
    process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], stdin=subprocess.DEVNULL, stdout=log().file,
                               stderr=log().file)
    server = Server(uds, data)
    try:
        server.start()
        deadline = time.monotonic() + PATIENCE
        while not (sockets.exists() and uds.exists()):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Fail(f"{daemon} makes no socket; see {log().path}")
            time.sleep(0.05)
        # The daemon reads and writes the guest's memory
        yield ["-object", f"memory-backend-memfd,id=shared,size={memory},share=on", "-machine", "memory-backend=shared",
               "-chardev", f"socket,id=vsock,path={sockets}", "-device", "vhost-user-vsock-pci,chardev=vsock"]
    finally:
        stop(process)
        server.listener.close()
        shutil.rmtree(folder, ignore_errors=True)


def names(files: Iterable[Path]) -> set[str]:
    """What programs, and the tests in them, are called."""
    return {name for file in files for name in (file.stem, *TEST.findall(file.read_text(encoding="utf-8")))}


def picks(picked: str) -> tuple[bool, bool]:
    """Whether TESTS= is part of a name of those over the device; and of one of the others."""
    files = set((PROJECT / "selftests").glob("*.c"))
    own = {PROJECT / "selftests/vsockdev.c"}
    return any(picked in name for name in names(own)), any(picked in name for name in names(files - own))


def run_tests(tap: Tap, tree: source.Tree, tools: toolchain.Toolchain, image: build.Image, virtme: Path, picked: str,
              file: Path) -> None:
    """The tests over the device in a VM of their own; skipped, with the reason, where there's no daemon."""
    settings, arch = vm.Settings.from_environment(1200), image.flavour.arch
    if arch:
        tap.result(True, f"{NAME} # SKIP QEMU's machine for {arch} here has no device that the daemon serves")
        return
    try:
        daemon = find_daemon(tools)
    except Fail as error:
        tap.result(True, f"{NAME} # SKIP {str(error).splitlines()[0]}")
        return
    programs = build.build_userland("selftests", tree, tools, build.find_headers(tree, tools, arch), arch)
    # Real bytes that the guest can read too: no two pages are the same
    file = file.resolve()
    command = (f"VSOCK_FILE={shlex.quote(str(file))} PART=device BIN={shlex.quote(str(programs))} "
               f"TESTS={shlex.quote(picked)} {shlex.quote(str(PROJECT / suite.RUNNER))}")
    say("  booting it with a vsock device")
    with device(daemon, settings.memory, file.read_bytes()) as extra:
        guest = suite.Guest(tap, image, virtme, settings, command, NAME)
        guest.extra = extra
        suite.run_all([guest])
