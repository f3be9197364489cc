#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR MIT
"""serve_check.py PROGRAM [REQUESTS]: samples/serve and its clients: quick, slow, dying, and curl. Prints TAP.

Needs a network namespace and a mount namespace of its own, as root.
"""

import hashlib
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sample_check import PATIENCE, Checks, Program, module_is_free, need

PORT, PATIENCE_S = 8080, 6
REQUESTS, CLIENTS, AT_ONCE, SECONDS = 10_000, 10, 20, 60.0
ROOT = Path("/tmp/serve_check")
SIZES = (0, 1, 1000, 4096, 5000, 65536, 300_001, 1 << 20, (6 << 20) + 1)
RESET = struct.pack("ii", 1, 0)
CURL = ("curl", "--silent", "--show-error", "--max-time", "30")


class Client:
    """A connection that asks, and reads what comes back."""

    def __init__(self, small: bool = False) -> None:
        self.sock = socket.socket()
        if small:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(("127.0.0.1", PORT))
        self.rest = b""

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def ask(self, path: str, *fields: str, method: str = "GET", version: str = "1.1", host: str = "Host: x") -> None:
        """Send a request."""
        lines = [f"{method} {path} HTTP/{version}", *([host] if host else []), *fields, "", ""]
        self.sock.sendall("\r\n".join(lines).encode())

    def fill(self) -> None:
        """Receive more."""
        data = self.sock.recv(1 << 18)
        need(bool(data), f"the connection ended after {self.rest!r:.60}")
        self.rest += data

    def answer(self, head_only: bool = False) -> tuple[int, dict[str, str], bytes]:
        """Status, header and body of the next answer."""
        while b"\r\n\r\n" not in self.rest:
            self.fill()
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        size = 0 if head_only else int(fields["content-length"])
        parts = [self.rest]
        have = len(self.rest)
        while have < size:
            parts.append(self.sock.recv(min(1 << 18, size - have)))
            need(bool(parts[-1]), f"the body ended at {have} of {size} bytes")
            have += len(parts[-1])
        body = b"".join(parts)
        body, self.rest = body[:size], body[size:]
        return int(first.split()[1]), fields, body

    def ended(self) -> bool:
        """Whether the server closes it, in either way."""
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True


class Files:
    """What is served: in memory, and on whatever file system has /tmp."""

    def __init__(self) -> None:
        shutil.rmtree(ROOT, ignore_errors=True)
        memory = ROOT / "www/memory"
        (memory / "sub").mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "serve_check", str(memory)], check=True)
        (memory / "sub").mkdir()
        self.data = {f"/memory/{size}.bin": os.urandom(size) for size in SIZES}
        self.data["/other.txt"] = os.urandom(200_000)
        self.data["/memory/sub/index.html"] = b"<p>index</p>"
        self.data["/memory/with%20space.html"] = b"<p>space</p>"
        for name, data in self.data.items():
            self.path(name).write_bytes(data)
        (ROOT / "secret").write_bytes(b"secret")
        for link, target in (("out", "../../secret"), ("absolute", str(ROOT / "secret")), ("folder", "../.."),
                             ("inside", "1000.bin")):
            (memory / link).symlink_to(target)
        os.mkfifo(memory / "fifo")

    def path(self, name: str) -> Path:
        """Where a file is."""
        return ROOT / "www" / name[1:].replace("%20", " ")


def simple(files: Files) -> None:
    """Each file over one connection; HEAD; another name for it; HTTP/1.0."""
    with Client() as client:
        for name, data in files.data.items():
            client.ask(name)
            status, fields, body = client.answer()
            need((status, body) == (200, data), f"{name}: {status}, {len(body)} bytes")
            need(fields["connection"] == "keep-alive", f"{name}: {fields}")
            client.ask(name, method="HEAD")
            status, fields, _ = client.answer(head_only=True)
            need((status, fields["content-length"]) == (200, str(len(data))), f"HEAD {name}: {status} {fields}")
        for name in ("/memory/inside?query", "//memory/inside", "http://x/memory/%69nside#part"):
            client.ask(name)
            need(client.answer()[2] == files.data["/memory/1000.bin"], name)
        client.ask("/memory/sub/")
        status, fields, _ = client.answer()
        need((status, fields["content-type"]) == (200, "text/html"), f"{status} {fields}")
        client.ask("/memory/1.bin", "Connection: close")
        need(client.answer()[0] == 200 and client.ended(), "Connection: close")
    with Client() as client:
        client.ask("/memory/1.bin", version="1.0", host="")
        need(client.answer()[0] == 200 and client.ended(), "HTTP/1.0")


def ranges(files: Files) -> None:
    """Parts of files, and what is none."""
    name = "/memory/300001.bin"
    data = files.data[name]
    size = len(data)
    with Client() as client:
        client.ask(name)
        etag = client.answer()[1]["etag"]
        for want, begin, end in (("0-0", 0, 1), ("0-", 0, size), ("1-4096", 1, 4097), ("4095-70000", 4095, 70_001),
                                 ("-1", size - 1, size), ("-999999999", 0, size), (f"{size - 5}-999999", size - 5, size)):
            client.ask(name, f"Range: bytes={want}", f"If-Range: {etag}")
            status, fields, body = client.answer()
            need(status == 206 and fields["content-range"] == f"bytes {begin}-{end - 1}/{size}", f"{want}: {status} {fields}")
            need(body == data[begin:end], f"{want}: {len(body)} other bytes")
        for want in (f"{size}-", f"{size}-{size + 9}", "-0"):
            client.ask(name, f"Range: bytes={want}")
            status, fields, _ = client.answer()
            need((status, fields["content-range"]) == (416, f"bytes */{size}"), f"{want}: {status} {fields}")
        for fields_sent in (["Range: bytes=5-2"], ["Range: bytes=1-2,4-5"], ["Range: lines=1-2"], ["Range: bytes=-"],
                            ["Range: bytes=x-2"], ["Range: bytes=0-1", 'If-Range: "other"']):
            client.ask(name, *fields_sent)
            status, _, body = client.answer()
            need((status, body) == (200, data), f"{fields_sent}: {status}")


def refused(_files: Files) -> None:
    """What isn't there, or isn't to be had."""
    with Client() as client:
        for path in ("/nothing", "/memory", "/memory/sub/nothing", "/memory/out", "/memory/absolute", "/memory/folder/secret",
                     "/../secret", "/memory/../../secret", "/%2e%2e/secret", "/memory/%2e%2e%2f%2e%2e%2fsecret", "//../secret",
                     "/memory/1.bin/", "/memory/fifo", "/" + 300 * "x", "/memory/../../../../../../../etc/passwd"):
            client.ask(path)
            status, _, body = client.answer()
            need(status == 404 and body == b"404 Not Found\n", f"{path}: {status} {body!r:.40}")
        client.ask("/memory/1.bin", method="DELETE")
        status, fields, _ = client.answer()
        need((status, fields.get("allow")) == (405, "GET, HEAD"), f"DELETE: {status} {fields}")
    for what in ("GET /\r\n", "GET / HTTP/1.1\r\n", "GET  HTTP/1.1\r\nHost: x\r\n", "GET /%zz HTTP/1.1\r\nHost: x\r\n",
                 "GET /a%00b HTTP/1.1\r\nHost: x\r\n", "GET / HTTP/2.0\r\nHost: x\r\n", "GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n",
                 "GET / HTTP/1.1\r\nHost: x\r\n folded: x\r\n", "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n",
                 "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n", "GET /\0 HTTP/1.1\r\nHost: x\r\n",
                 f"GET /{2000 * 'x'} HTTP/1.1\r\nHost: x\r\n"):
        with Client() as client:
            client.sock.sendall(what.encode() + b"\r\n")
            status = client.answer()[0]
            need(status == 400, f"{what!r:.60}: {status}")
            client.sock.shutdown(socket.SHUT_WR)
            need(client.ended(), f"{what!r:.60}: goes on")
    with Client() as client:
        client.sock.sendall(b"GET / HTTP/1.1\r\nHost: " + 9000 * b"x")
        need(client.answer()[0] == 431, "a header that is too long")


def slow(files: Files) -> str:
    """Who reads slowly has all of it; who doesn't read, or doesn't ask, is cut."""
    name, much = f"/memory/{SIZES[-2]}.bin", f"/memory/{SIZES[-1]}.bin"
    with Client(small=True) as lazy, Client(small=True) as asleep, Client() as silent, Client() as trickle:
        lazy.ask(name)
        asleep.ask(much)
        begin, got, fed = time.monotonic(), bytearray(), True
        while len(got) < 200_000:
            got += lazy.sock.recv(4096)
            time.sleep(0.25)
            try:
                fed = fed and trickle.sock.send(b"G") == 1
            except OSError:
                fed = False
        took = time.monotonic() - begin
        need(took > 1.5 * PATIENCE_S, f"too fast to be slow: {took:.1f} s")
        while len(got.partition(b"\r\n\r\n")[2]) < SIZES[-2]:
            got += lazy.sock.recv(1 << 20)
        need(got.partition(b"\r\n\r\n")[2] == files.data[name], "who reads slowly has something else")
        need(silent.ended() and trickle.ended(), "who asks for nothing may stay")
        try:
            while asleep.sock.recv(1 << 18):
                pass
            need(False, "who doesn't read saw a proper end")
        except ConnectionResetError:
            pass
    return f"{took:.1f} s for the first 200,000 bytes, patience is {PATIENCE_S} s"


def shrinks(files: Files) -> None:
    """A file that is cut off while it is sent: the client must see that it isn't all."""
    name = "/memory/shrinks.bin"
    files.path(name).write_bytes(bytes(SIZES[-1]))
    with Client(small=True) as client:
        client.ask(name)
        client.sock.recv(100)
        os.truncate(files.path(name), 1000)
        total = 100
        try:
            while n := len(client.sock.recv(1 << 18)):
                total += n
            need(False, f"a proper end after {total} bytes")
        except ConnectionResetError:
            pass


def die(stop: threading.Event, files: Files, count: list[int]) -> None:
    """Clients that go in the middle of a file, by a reset or without a word."""
    draw = random.Random(1)
    while not stop.is_set():
        with Client(small=True) as client:
            client.ask(draw.choice(list(files.data)))
            if draw.random() < 0.8:
                client.sock.recv(draw.randrange(1, 20_000))
            if draw.random() < 0.5:
                client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        count[0] += 1
        time.sleep(0.05)


def load(files: Files, requests: int) -> str:
    """Many requests by several connections, with others that die beside them."""
    names = [name for name, data in files.data.items() if len(data) <= 65536] * 40 + list(files.data)
    digests = {name: hashlib.sha256(data).digest() for name, data in files.data.items()}
    stop, died, done, wrong = threading.Event(), [0], [0] * CLIENTS, list[str]()
    deadline = time.monotonic() + SECONDS

    def one(number: int) -> None:
        draw = random.Random(number)
        while done[number] < requests // CLIENTS and time.monotonic() < deadline:
            with Client() as client:
                # a connection has some hundred requests, pipelined
                for _ in range(10):
                    if time.monotonic() > deadline:
                        break
                    batch = draw.choices(names, k=AT_ONCE)
                    client.sock.sendall(b"".join(f"GET {n} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for n in batch))
                    for name in batch:
                        status, _, body = client.answer()
                        if status != 200 or hashlib.sha256(body).digest() != digests[name]:
                            wrong.append(f"{name}: {status}, {len(body)} bytes")
                        done[number] += 1

    def guarded(number: int) -> None:
        try:
            one(number)
        except Exception as error:  # pylint: disable=broad-except
            # it would be lost with its thread
            wrong.append(f"client {number}: {error!r}")

    begin = time.monotonic()
    dying = threading.Thread(target=die, args=(stop, files, died))
    clients = [threading.Thread(target=guarded, args=(number,)) for number in range(CLIENTS)]
    for thread in (dying, *clients):
        thread.start()
    for thread in clients:
        thread.join()
    stop.set()
    dying.join()
    need(not wrong, "; ".join(wrong[:5]))
    short = "" if sum(done) >= requests else f", stopped after {SECONDS:.0f} s of {requests} that were wanted"
    return (f"{sum(done)} requests by {CLIENTS} connections at a time in {time.monotonic() - begin:.1f} s, SHA-256 equal"
            f"{short}; {died[0]} clients died beside them")


def curl(files: Files) -> str:
    """What a client of others makes of it: downloads, a range, and one that is resumed."""
    if not shutil.which("curl"):
        return "curl is not installed"
    url, out = f"http://127.0.0.1:{PORT}", ROOT / "got"
    for name, data in files.data.items():
        subprocess.run([*CURL, "--fail", "--output", str(out), url + name], check=True)
        need((out.read_bytes() if data else b"") == data, f"curl {name}")
    name = f"/memory/{SIZES[-1]}.bin"
    subprocess.run([*CURL, "--range", "1000-2000", "--output", str(out), url + name], check=True)
    need(out.read_bytes() == files.data[name][1000:2001], "curl --range")
    out.write_bytes(files.data[name][:12345])
    subprocess.run([*CURL, "--continue-at", "-", "--output", str(out), url + name], check=True)
    need(out.read_bytes() == files.data[name], "curl --continue-at")
    said = subprocess.run([*CURL, "--head", url + name], check=True, capture_output=True, text=True).stdout
    need(said.startswith("HTTP/1.1 200 OK"), said)
    return f"{len(files.data)} files, a range, a resumed download, HEAD"


def main() -> int:
    """Everything; slow clients by a server that has little patience."""
    checks, files = Checks("serve"), Files()
    requests = int(sys.argv[2]) if len(sys.argv) > 2 else REQUESTS

    def some(patience: int, *which: tuple[str, Callable[[Files], str | None]]) -> None:
        with Program(sys.argv[1], "--connections", "32", "--patience", str(patience), str(ROOT / "www"), str(PORT)) as server:
            def checked(check: Callable[[Files], str | None]) -> Callable[[], str | None]:
                def run() -> str | None:
                    said = check(files)
                    server.rests()
                    return said
                return run

            for name, check in which:
                checks.run(name, checked(check))

        def ended() -> str:
            module_is_free()
            return server.said

        checks.run("nothing is left", ended)

    some(PATIENCE_S, ("slow clients", slow))
    some(30, ("files", simple), ("ranges", ranges), ("what is refused", refused), ("a file that shrinks", shrinks),
         ("curl", curl))
    # the clients of a slow machine aren't idle, they wait for each other
    some(600, ("many requests, dying clients", lambda f: load(f, requests)))
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
