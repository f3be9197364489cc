# SPDX-License-Identifier: GPL-2.0
"""`make check`: format, lint and static checks; one line each, and all of them run."""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import build
import docs
import figures
import graft
import source
import toolchain
from cache import digest, files_digest, lock
from common import Fail, PROJECT, cache_dir, log, output
from flavour import FLAVOURS
from source import PLACES

# checkpatch's opinions that do not fit, and why
IGNORED = {
    "FILE_PATH_CHANGES": "the entry in MAINTAINERS comes with the first file, for all of them",
    "UNKNOWN_COMMIT_ID": "the commits that Fixes: names are mainline's, whose history is not here",
}
TEST_IGNORED = {
    "MULTISTATEMENT_MACRO_USE_DO_WHILE": "FIXTURE() and its kin declare, they are no statements",
    "MACRO_ARG_REUSE": "kselftest_harness.h's way of naming fixtures",
    "MACRO_WITH_FLOW_CONTROL": "ASSERT_ in a macro returns, as it is meant to",
    "SPACING": "FIXTURE_DATA(x) *self is no multiplication",
    "REPEATED_WORD": "a table says `copied` in one column after the other",
}
TRACE_IGNORED = {
    "OPEN_ENDED_LINE": "TP_STRUCT__entry( and its kin, as in include/trace/events",
    "PARENTHESIS_ALIGNMENT": "their arguments",
    "SPACING": "TRACE_INCLUDE_PATH is no division",
    "EXPORT_SYMBOL": "CREATE_TRACE_POINTS makes the functions",
}
LIB_IGNORED = {
    "BIT_MACRO": "the UAPI's spelling, so that defining a name twice is no error",
    "ENOSYS": "what io_uring_notif_query() answers for a kernel without slots",
}
# What programs start from, at the choice of who does; and what has a licence without a line that says so
FOR_PROGRAMS = ("lib/", "samples/", "man/", "crates/io-uring-notif/")
NO_SPDX = re.compile(r"^(COPYING|LICENSES/.*)$|\.patch$")
SHOWN = 15


class Skip(Exception):
    """A check that cannot run here, with the reason."""


class Passed:
    """What a slow check has found nothing wrong with, by content: it isn't checked again."""

    def __init__(self) -> None:
        self.path = cache_dir() / "checked"
        self.known = set(self.path.read_text(encoding="utf-8").split()) if self.path.exists() else set()

    def check(self, by: str, parts: dict[str, bytes], check: Callable[[list[str]], str]) -> str:
        """Check those parts that are new to `by`, which is all that the result depends on besides."""
        keys = {name: digest([by, data]) for name, data in parts.items()}
        new = [name for name, key in keys.items() if key not in self.known]
        wrong = check(new) if new else ""
        if new and not wrong:
            self.known.update(keys.values())
            with self.path.open("a", encoding="utf-8") as file:
                file.write("".join(f"{keys[name]}\n" for name in new))
        return wrong


class Checks:
    """The checks of one checkout, and what they need."""

    def __init__(self) -> None:
        self.tools = toolchain.find_toolchain()
        self.tree = source.find_tree()
        self.passed = Passed()
        self.failed: list[str] = []

    def run(self, name: str, check: Callable[[], str]) -> None:
        """Run one check and print its line; a check returns what it found wrong."""
        try:
            wrong = check().strip()
        except Skip as reason:
            print(f"ok {name} # SKIP {reason}", flush=True)
            return
        except Fail as error:
            wrong = str(error)
        log().write(f"== {name}\n{wrong}\n")
        print(f"{'not ok' if wrong else 'ok'} {name}", flush=True)
        if wrong:
            self.failed.append(name)
            lines = wrong.splitlines()
            for line in lines[:SHOWN]:
                print(f"    {line}")
            if len(lines) > SHOWN:
                print(f"    ({len(lines) - SHOWN} lines more in {log().path})", flush=True)

    def said(self, command: list[str], cwd: Path = PROJECT, stdin: Path | None = None) -> str:
        """What a tool says that finds something wrong; nothing when it does not."""
        with (stdin or Path("/dev/null")).open("rb") as file:
            done = subprocess.run(command, cwd=cwd, env=self.tools.env(), text=True, errors="replace",
                                  stdin=file, capture_output=True, check=False)
        return (done.stdout + done.stderr) or f"{command[0]} exited with status {done.returncode}" \
            if done.returncode else ""

    def rustfmt(self) -> str:
        """The kernel's format of Rust."""
        files = [str(p) for p in graft.project_files(("rust",)) if p.suffix == ".rs"]
        config = self.tree.src / ".rustfmt.toml"
        return self.said(["rustfmt", "--check", "--edition=2021", "--config-path", str(config), *files])

    def kernel_objects(self, again: Sequence[str], *options: str, folder: str = "release") -> str:
        """Build only our objects, in a build folder, those of some languages again; warnings and errors."""
        out = self.tree.build(folder)
        # Somebody may be building there
        with lock("build", "make check"):
            graft.sync(self.tree)
            build.configure(self.tree, self.tools, FLAVOURS["release"], out)
            self.forget(out, again)
            command = [*build.kernel_make(self.tree, self.tools, out), "-k", *options,
                       *(f"{place}/" for place in PLACES)]
            try:
                done = subprocess.run(command, env=self.tools.env(), text=True, errors="replace",
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            finally:
                if "CLIPPY=1" in options:
                    # What it makes is no object that anybody else wants
                    self.forget(out, again)
        log().write(done.stdout)
        lines = done.stdout.splitlines()
        first = next((n for n, line in enumerate(lines) if re.search(r"\b(warning|error)\b.*[:\[]|\*\*\*", line)), None)
        wrong = "\n".join(lines[max(first - 1, 0):]) if first is not None else ""
        if done.returncode and not wrong:
            wrong = "\n".join(lines[-8:])
        return wrong

    def forget(self, out: Path, suffixes: Sequence[str]) -> None:
        """Remove our objects of some languages from a build, so that they are compiled again."""
        for kept in [path for place in PLACES for path in (out / place).rglob("*.o")]:
            if any((self.tree.src / kept.relative_to(out)).with_suffix(suffix).exists() for suffix in suffixes):
                kept.unlink()

    def clippy(self) -> str:
        """clippy, as the kernel calls it; no warning is let through."""
        if not (self.tools.rust_bin / "clippy-driver").exists():
            raise Skip("this rustc has no clippy-driver")
        return self.kernel_objects([".rs"], "CLIPPY=1")

    def warnings(self) -> str:
        """The compilers' own warnings, W=1: in a folder of its own, as the kernel's Rust is compiled again for it."""
        return self.kernel_objects([".rs", ".c"], "W=1", folder="w1")

    def sparse(self) -> str:
        """sparse on the shim."""
        sparse = shutil.which("sparse")
        if not sparse:
            raise Skip("sparse is not installed")
        wrong = self.kernel_objects([".c"], "C=2", "CF=-D__CHECK_ENDIAN__")
        ours = [line for line in wrong.splitlines() if any(p in line for p in (*PLACES, "***"))]
        others = [line for line in wrong.splitlines() if re.search(r"(include|arch)/.*: error:", line)]
        if others:
            raise Skip(f"this sparse does not understand the kernel's headers ({others[0].split(': ', 1)[-1]})")
        return "\n".join(ours)

    def checkpatch(self, *arguments: str, stdin: Path | None = None, ignored: dict[str, str] | None = None) -> str:
        """checkpatch.pl --strict."""
        names = ",".join(IGNORED | (ignored or {}))
        command = ["perl", str(self.tree.src / "scripts/checkpatch.pl"), "--strict", "--no-tree", "--terse",
                   "--show-types", "--no-summary", f"--ignore={names}", *arguments]
        return self.said(command, stdin=stdin)

    def patches(self) -> str:
        """The hooks, by standard input: checkpatch takes a patch that git tracks for a source file."""
        said = [self.checkpatch("-", stdin=p).replace("-:", f"{p.name}:") for p in graft.patch_files()]
        return "".join(text for text in said if text)

    def c_sources(self, patterns: tuple[str, ...], ignored: dict[str, str]) -> str:
        """Our own C, as files."""
        files = {str(p): p.read_bytes() for pattern in patterns for p in sorted(PROJECT.glob(pattern))}
        by = files_digest([self.tree.src / "scripts/checkpatch.pl"], self.tree.src) + "".join(IGNORED | ignored)
        return self.passed.check(by, files, lambda new: self.checkpatch("-f", *new, ignored=ignored))

    def shim(self) -> str:
        """The C that runs in the kernel."""
        trace = self.c_sources(("shim/trace.[ch]",), TRACE_IGNORED)
        vsock = self.c_sources(("vsock/shim/*.[ch]",), {"EXPORT_SYMBOL": "a static key is defined by a macro"})
        return self.c_sources(("shim/[!t]*.[ch]", "shim/ta*.[ch]", "shim/to*.[ch]"), {}) + trace + vsock

    def module(self) -> str:
        """The Rust, for its comments' lines, which rustfmt leaves alone, and help texts: the mails of the series have both."""
        return self.c_sources(("rust/**/*.rs", "vsock/rust/**/*.rs", "Kconfig", "vsock/Kconfig"), {})

    def programs(self) -> str:
        """The C that runs on it."""
        return self.c_sources(("selftests/**/*.[ch]", "bench/*.[ch]", "stress/**/*.[ch]", "fuzz/*.[ch]"), TEST_IGNORED)

    def shellcheck(self) -> str:
        """Every shell script."""
        if not shutil.which("shellcheck"):
            raise Skip("shellcheck is not installed")
        files = [p for p in [*PROJECT.rglob("*.sh"), PROJECT / ".ci/run"] if p.is_file()]
        return self.said(["shellcheck", *map(str, files)])

    def documents(self) -> str:
        """Documentation/, built as `make docs` does, and what the README shows of its figures."""
        with tempfile.TemporaryDirectory(prefix="notif-html-") as out:
            docs.html(self.tree, Path(out))
        return figures.wrong()

    def rustdoc(self) -> str:
        """The module's documentation."""
        with tempfile.TemporaryDirectory(prefix="notif-html-") as out:
            docs.rustdoc(self.tree, self.tools, Path(out))
        return ""

    def licences(self) -> str:
        """Which file says under which licence it is, and whether that is the one of its folder."""
        wrong = []
        for name in output(["git", "ls-files"], cwd=PROJECT).splitlines():
            wanted = "GPL-2.0 OR MIT" if name.startswith(FOR_PROGRAMS) else "GPL-2.0"
            if not NO_SPDX.search(name) and (PROJECT / name).is_file():
                head = (PROJECT / name).read_bytes()[:400].decode(errors="replace")
                if not re.search(rf"SPDX-License-Identifier\W+{wanted}(-only)?(?![\w-]| OR)", head):
                    wrong.append(f"{name}: SPDX-License-Identifier: {wanted} is missing in its first lines")
        return "\n".join(wrong)

    def python(self) -> str:
        """These scripts: types checked strictly, which compiles them too."""
        mypy = toolchain.find_venv("mypy-2", "mypy", "mypy")
        files = sorted(PROJECT.rglob("*.py"))
        return self.said([str(mypy), "--strict", "--no-error-summary", "--cache-dir",
                          str(mypy.parent.parent / "cache"), *map(str, files)], PROJECT / "scripts")

    def tooling(self) -> str:
        """These scripts' own tests, and that tests and documents name the same."""
        return self.said([sys.executable, "-m", "unittest", "discover", "-q", "-s", "tests"], PROJECT / "scripts")

    def models(self) -> str:
        """All interleavings of the lockless parts, and the bugs put into their models."""
        if not shutil.which("spin"):
            raise Skip("spin is not installed")
        parts = {"models": files_digest(sorted((PROJECT / "models").glob("*.*")), PROJECT).encode()}
        return self.passed.check("models", parts, lambda _: self.said([sys.executable, str(PROJECT / "models/run.py"), "-q"]))

    def oracle(self) -> str:
        """The oracle of stress, of a kernel that is played: it has to report each fault."""
        out = cache_dir() / "userland" / f"{digest([str(PROJECT)])}-oracle"
        headers = build.find_headers(self.tree, self.tools)
        return self.said(["make", "-s", "-C", str(PROJECT / "stress"), f"OUT={out}", f"UAPI={headers}/include",
                          f"KSRC={self.tree.src}", "test"])

    def library(self) -> str:
        """lib/ in every language and order of headers, its man pages, the porting guide's snippets."""
        headers = build.find_headers(self.tree, self.tools)
        return self.said([sys.executable, str(PROJECT / "lib/tests/everywhere.py"), "--uapi", f"{headers}/include"]) \
            or self.c_sources(("lib/*.h", "lib/tests/*.[ch]", "samples/*.[ch]"), LIB_IGNORED)

    def crate(self) -> str:
        """The crate: format, clippy, documentation, tests that need no kernel."""
        if not shutil.which("cargo"):
            raise Skip("cargo is not installed")
        folder = PROJECT / "crates/io-uring-notif"
        target = ["--target-dir", str(cache_dir() / "crates")]
        return (self.said(["cargo", "fmt", "--check"], folder)
                or self.said(["cargo", "clippy", "--quiet", *target, "--all-targets", "--", "-D", "warnings"], folder)
                or self.said(["env", "RUSTDOCFLAGS=-D warnings", "cargo", "doc", "--quiet", "--no-deps", *target], folder)
                or self.said(["cargo", "test", "--quiet", *target], folder))

    def lengths(self) -> str:
        """Files that a person reads in one sitting: 400 lines at most."""
        files = [*(p for part in ("scripts", "lib", "crates") for p in PROJECT.glob(f"{part}/**/*")),
                 *graft.project_files(("rust", "shim", "selftests", "stress", "fuzz"))]
        long = [(len(p.read_bytes().splitlines()), p) for p in files if p.suffix in (".py", ".sh", ".rs", ".c", ".h")]
        return "\n".join(f"{path.relative_to(PROJECT)}: {lines} lines" for lines, path in long if lines > 400)


def main() -> None:
    """Run every check."""
    checks = Checks()
    checks.run("rustfmt", checks.rustfmt)
    checks.run("clippy", checks.clippy)
    checks.run("compiler warnings (W=1)", checks.warnings)
    checks.run("rustdoc", checks.rustdoc)
    checks.run("sparse", checks.sparse)
    checks.run("checkpatch of patches/", checks.patches)
    checks.run("checkpatch of shim/", checks.shim)
    checks.run("checkpatch of rust/ and Kconfig", checks.module)
    checks.run("checkpatch of selftests/, bench/, stress/ and fuzz/", checks.programs)
    checks.run("shellcheck", checks.shellcheck)
    checks.run("mypy --strict", checks.python)
    checks.run("scripts/tests", checks.tooling)
    checks.run("models", checks.models)
    checks.run("the oracle of stress/", checks.oracle)
    checks.run("Documentation/", checks.documents)
    checks.run("lib/, samples/, man/ and the porting guide", checks.library)
    checks.run("crates/", checks.crate)
    checks.run("file lengths", checks.lengths)
    checks.run("licences", checks.licences)
    if checks.failed:
        raise Fail(f"make check: {', '.join(checks.failed)}; see above and {log().path}")
