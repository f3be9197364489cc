# SPDX-License-Identifier: GPL-2.0
"""Debian's packages, through an apt configuration of our own.

It reads the machine's own mirror and keys, and one suite that need not be
enabled on the machine, of another architecture if need be; nothing of the
machine's apt is changed.
"""

import os
import re
import subprocess
import time
from pathlib import Path

from common import Fail, Step, failure, log, need_space, output, stop

SUITE = "trixie-backports"
OS_RELEASE = Path("/etc/os-release")
KEYRINGS = [Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
            Path("/usr/share/keyrings/debian-archive-keyring.pgp")]


def codename(os_release: str) -> str:
    """The machine's release, from its /etc/os-release."""
    found = re.search(r"^VERSION_CODENAME=(\w+)$", os_release, re.M)
    return found.group(1) if found else ""


def mirror_of(listed: str, suite: str) -> str:
    """The mirror of a release among lines of URI, release and component, "" when there is none."""
    lines = (line.split() for line in listed.splitlines())
    return next((words[0] for words in lines if words[1:] == [suite, "main"]), "")


def machine_mirror() -> tuple[str, str]:
    """(URI, key file) of the mirror that this machine installs its own release from."""
    suite = codename(OS_RELEASE.read_text(encoding="utf-8")) if OS_RELEASE.exists() else ""
    uri = mirror_of(output(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)",
                            "Created-By: Packages"]), suite)
    key = next((keyring for keyring in KEYRINGS if keyring.exists()), None)
    if not uri or not key:
        raise Fail("this machine's apt names no Debian mirror for its own release; "
                   "give a Linux 7.3 tree: make run KSRC=dir")
    return uri, str(key)


def foreign(folder: Path, arch: str) -> str:
    """What a configuration says of another architecture, of which nothing is installed."""
    (folder / "state/status").touch()
    return (f'APT::Architecture "{arch}";\nAPT::Architectures {{ "{arch}"; }};\n'
            f'Dir::State::status "{folder}/state/status";\nDebug::NoLocking "true";\n')


class Repository:
    """A private apt: its configuration, lists and downloads in one folder."""

    def __init__(self, folder: Path, suite: str = SUITE, arch: str = "") -> None:
        self.folder, self.suite = folder, suite
        uri, key = machine_mirror()
        for sub in ("parts", "state/lists/partial", "cache/archives/partial", "download"):
            (folder / sub).mkdir(parents=True, exist_ok=True)
        (folder / "parts/kernel.sources").write_text(
            f"Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: main\nSigned-By: {key}\n", encoding="utf-8")
        # Read besides the machine's own configuration, whose proxies and options stay
        (folder / "apt.conf").write_text(
            'Dir::Etc::SourceList "/dev/null";\n'
            f'Dir::Etc::SourceParts "{folder}/parts";\n'
            f'Dir::State "{folder}/state";\n'
            f'Dir::Cache "{folder}/cache";\n'
            'APT::Sandbox::User "root";\n'
            'Acquire::Languages "none";\n'
            + (foreign(folder, arch) if arch else ""), encoding="utf-8")
        self.env = dict(os.environ, APT_CONFIG=str(folder / "apt.conf"), LC_ALL="C")

    def run(self, command: list[str], step: Step, total: int = 0) -> None:
        """Run apt-get, watching the download folder grow."""
        log().write(f"$ {' '.join(command)}\n")
        process = subprocess.Popen(command, env=self.env, cwd=self.folder / "download", stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            while process.poll() is None:
                got = sum(f.stat().st_size for f in self.folder.glob("download/*")) if total else 0
                step.update(got // 1000000)
                time.sleep(0.1)
        finally:
            stop(process)
        assert process.stdout
        text = process.stdout.read()
        log().write(text)
        if process.returncode:
            lines = [line for line in text.splitlines() if line.startswith(("E:", "W:", "Err:"))]
            raise failure(" ".join(command[:2]), process.returncode, lines[:6])

    def update(self, else_do: str) -> None:
        """Read the list of what there is."""
        with Step(f"reading the package list of {self.suite}") as step:
            try:
                self.run(["apt-get", "update", "-q"], step)
            except Fail as error:
                raise Fail(f"this machine's mirror does not answer, or has no {self.suite} any more; "
                           f"try again{else_do} (log: {log().path})") from error

    def download_all(self, names: list[str], what: str) -> list[Path]:
        """Download packages and what they depend on, as if none were installed."""
        self.update("")
        with Step(f"downloading {what}") as step:
            self.run(["apt-get", "install", "-q", "-y", "-d", "--no-install-recommends", *names], step)
        return sorted((self.folder / "cache/archives").glob("*.deb"))

    def download(self, name: str) -> tuple[Path, str]:
        """Download a package; its file and its version."""
        self.update(", or give a tree: make run KSRC=dir")
        try:
            shown = output(["apt-cache", "show", "--no-all-versions", name], self.env)
        except Fail as error:
            raise Fail(f"{name} is not in {self.suite} of this machine's mirror any more; "
                       f"give a tree of that series: make run KSRC=dir") from error
        fields = dict(re.findall(r"^(Version|Size): (\S+)$", shown, re.M))
        size = int(fields["Size"])
        need_space(self.folder, size / 1e9 + 3, "the kernel source")
        for old in (self.folder / "download").glob("*"):
            if fields["Version"].replace(":", "%3a") not in old.name:
                old.unlink()
        with Step(f"downloading {name} {fields['Version']}", size // 1000000, " MB") as step:
            self.run(["apt-get", "download", "-q", f"{name}={fields['Version']}"], step, size)
        return next((self.folder / "download").glob(f"{name}_*.deb")), fields["Version"]
