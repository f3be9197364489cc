# SPDX-License-Identifier: GPL-2.0
"""What `make` calls: python3 scripts/notif.py TARGET, with the Makefile's variables in the environment."""

import json
import os
import shlex
import shutil
import signal
import sys
import tarfile
import unittest
from pathlib import Path
from types import FrameType

import bench
import bench_report
import bench_scale
import bench_vsock
import build
import check
import configs
import deb
import docs
import figures
import flavour
import fuzz
import graft
import liburing_series
import paths
import plants
import record
import regress
import samples
import series
import series_check
import soak
import source
import stress
import suite
import toolchain
import vm
import vsockdev
from cache import digest, lock, made_whole, prune
from common import PROJECT, Fail, Step, cache_dir, log, open_log, output, say
from tap import Tap

MEGABYTES = 64
VARIABLES = ("FLAVOUR", "CPUS", "MEM", "ACCEL", "KSRC", "FILE", "TESTS", "TIMEOUT", "ARGS", "CMD",
             "QUICK", "BASE", "ROW", "MINUTES", "SEED", "OPS", "PLANT", "ARCH", "PAGES", "GDB", "CHECK", "CONFIG")
KEEP_BENCHES = 50
# What make test has of make samples, make stress and make fuzz
SAMPLES, STRESS_SECONDS, FUZZ_OPS = "MIB=1 REQUESTS=500", 30, 2_000


def option(name: str, default: str = "") -> str:
    """A variable of the Makefile."""
    return os.environ.get(name) or default


def ksrc_argument() -> Path:
    """KSRC= for the targets that cannot do without."""
    if not option("KSRC"):
        raise Fail("KSRC= is missing; give the kernel tree: KSRC=dir")
    return Path(option("KSRC")).resolve()


def prepare(name: str) -> tuple[source.Tree, toolchain.Toolchain, build.Image, Path]:
    """Everything before a boot: compilers, source, image, virtme-ng."""
    wanted = flavour.find_flavour(name)
    if option("ARCH") and flavour.flavour_name("", "", option("ARCH"), option("PAGES")) and not wanted.arch:
        raise Fail(f"ARCH={option('ARCH')} is for make test, vm and kernel; leave it out")
    tools = toolchain.find_toolchain()
    virtme = toolchain.find_virtme()
    tree = source.find_tree()
    return tree, tools, build.find_image(tree, tools, wanted), virtme


def any_flavour(default: str) -> str:
    """The kernel of FLAVOUR=, or of ARCH= and PAGES=."""
    return flavour.flavour_name(option("FLAVOUR"), default, option("ARCH"), option("PAGES"))


def kernel() -> None:
    """Build one flavour and say where it is."""
    *_, image, _ = prepare(any_flavour("release"))
    build.report(image)


def headers() -> None:
    """Install the patched UAPI headers; the folder is the last line."""
    tools = toolchain.find_toolchain()
    print(build.find_headers(source.find_tree(), tools) / "include")


def machine() -> None:
    """A shell in the VM, or CMD= in it."""
    settings = vm.Settings.from_environment(600)
    *_, image, virtme = prepare(any_flavour("release"))
    if settings.gdb:
        built = json.loads((image.folder / "info.json").read_text(encoding="utf-8"))["build"]
        say(f"  gdb -ex 'target remote {vm.GDB}' {built}/vmlinux")
    here, command = option("NOTIF_PWD", os.getcwd()), option("CMD")
    if not command:
        result = vm.shell(image, virtme, settings, here)
        vm.verdict(result, "the shell", settings.timeout)
        return
    vm.verdict(vm.in_vm(image, virtme, settings, command, here), f"`{command}`", settings.timeout)


def default_file(tree: source.Tree) -> Path:
    """64 MiB of real bytes: the sources of the kernel's network, as one archive."""
    path = cache_dir() / f"default-{MEGABYTES}MiB"
    if path.exists():
        return path
    with lock("file", "making the default file"), Step("making the default file"):
        temp = path.with_suffix(".tmp")
        with tarfile.open(temp, "w") as archive:
            for folder in ("net", "drivers/net", "kernel", "fs"):
                for file in sorted((tree.src / folder).rglob("*.[ch]")):
                    archive.add(file.resolve(), str(file.relative_to(tree.src)))
                    if archive.offset > MEGABYTES << 20:
                        break
        os.truncate(temp, MEGABYTES << 20)
        os.replace(temp, path)
    return path


def main_job() -> None:
    """Send a file through the VM's two NICs: by copy, by SEND_ZC, through slots; and through the relay."""
    settings = vm.Settings.from_environment(900)
    wanted = option("FILE")
    file = Path(option("NOTIF_PWD", os.getcwd())) / wanted
    if wanted and not (file.is_file() and os.access(file, os.R_OK) and file.stat().st_size):
        raise Fail(f"FILE={wanted} is no file with bytes in it that can be read; give another")
    tree, tools, image, virtme = prepare(option("FLAVOUR", "release"))
    programs = build.build_userland("samples", tree, tools, build.find_headers(tree, tools))
    file = file if wanted else default_file(tree)
    command = (f"BIN={shlex.quote(str(programs))} {shlex.quote(str(PROJECT / 'samples/run.sh'))} "
               f"{shlex.quote(str(file.resolve()))} {option('ARGS')}")
    result = vm.in_vm(image, virtme, settings, command, str(PROJECT))
    vm.verdict(result, "the main job", settings.timeout)


def flag(name: str) -> bool:
    """A variable of the Makefile that is 1 or left out."""
    if option(name, "0") not in ("0", "1"):
        raise Fail(f"{name}={option(name)} is unknown; say {name}=1 or leave it out")
    return option(name) == "1"


def do_bench() -> None:
    """Measure every way of sending in one boot; the table, what changed, the chart, bench.json."""
    os.environ["ACCEL"] = option("ACCEL", "icount")
    quick = flag("QUICK")
    before = bench.load(Path(option("NOTIF_PWD", os.getcwd())) / option("BASE")) if option("BASE") else None
    settings = vm.Settings.from_environment(600 if quick else 3000)
    if before and (before.accel == "icount") != (settings.accel == "icount"):
        raise Fail(f"BASE={option('BASE')} was measured with ACCEL={before.accel}; measure both in the same way")
    tree, tools, image, virtme = prepare(option("FLAVOUR", "release"))
    programs = build.build_userland("bench", tree, tools, build.find_headers(tree, tools))
    folder = cache_dir() / "bench" / log().path.stem
    with lock("bench", "make bench"):
        with made_whole(folder) as temp:
            scale = not quick and settings.accel == "icount"
            found = bench.measure(image, virtme, settings, programs, bench.matrix(quick), scale, temp)
            vsock, hardware = (how(image, virtme, settings, programs / "vsock", quick) if settings.accel == "icount" else []
                               for how in (bench_vsock.measure, bench_vsock.cycles))
            results = bench.Results(f"{tree.version} {image.folder.name}", settings.accel, found[0], found[1], vsock, found[2])
            results.save(temp / "bench.json")
            bench_report.draw(temp)
        prune(folder.parent, KEEP_BENCHES)
    for line in bench_report.table(results):
        print(line)
    for line in bench_scale.report(results.scale):
        print(line)
    for line in bench_vsock.reports(results.vsock, hardware):
        print(line)
    for line in (*bench_report.changes(before, results), *bench_vsock.changes(before.vsock, results.vsock)) if before else ():
        print(line)
    print(f"the chart is {folder}/bench.svg and bench.png")
    print(folder / "bench.json")


def do_samples() -> None:
    """What a program starts from, built on the host and run in the VM."""
    samples.main(*prepare(option("FLAVOUR", "release")))


def do_profile() -> None:
    """Say where the instructions of a row of the benchmark go, by function."""
    if option("ACCEL", "icount") != "icount":
        raise Fail(f"ACCEL={option('ACCEL')} counts no instructions; leave it out")
    os.environ["ACCEL"] = "icount"
    settings = vm.Settings.from_environment(300)
    tree, tools, image, virtme = prepare(option("FLAVOUR", "release"))
    programs = build.build_userland("bench", tree, tools, build.find_headers(tree, tools))
    record.main(option("ROW"), image, virtme, settings, programs)


def tests() -> None:
    """Self-checks of the tooling; selftests, samples, a little stress and fuzzing in the debug VM; TAP, and a verdict."""
    tap = Tap(suite.emit)
    picked = option("TESTS")
    if not picked:
        unittest.defaultTestLoader.discover(str(PROJECT / "scripts/tests"), "test_*.py").run(suite.HostResult(tap))
    try:
        prepared = prepare(any_flavour("debug"))
        on_device, others = vsockdev.picks(picked)
        if others or not on_device:
            suite.run_guests(tap, *prepared, picked)
        if on_device:
            vsockdev.run_tests(tap, *prepared, picked, default_file(prepared[0]))
        if not picked and not prepared[2].flavour.arch:
            # A test is the same each time, whoever runs it
            os.environ["SEED"] = option("SEED", "1")
            suite.side_by_side(lambda: samples.check(tap, *prepared, SAMPLES),
                               lambda: (stress.run(tap, *prepared, STRESS_SECONDS),
                                        fuzz.run(tap, *prepared, FUZZ_OPS)))
    except Fail:
        tap.result(False, plants.NOT_RUN)
        tap.finish()
        raise
    if not tap.finish():
        raise Fail(f"make test failed; the log is {log().path}")


def do_stress() -> None:
    """MINUTES= of everything at random, with an oracle; SEED= repeats it."""
    stress.main(*prepare(option("FLAVOUR", "debug")))


def do_fuzz() -> None:
    """OPS= of whatever the ABI takes or refuses, guided by coverage; SEED= draws the same."""
    fuzz.main(*prepare(option("FLAVOUR", "debug")))


def do_soak() -> None:
    """MINUTES= of stress in one boot, and what must not grow."""
    soak.main(*prepare(option("FLAVOUR", "debug")))


def do_paths() -> None:
    """The contract over other protocols, tunnels and devices."""
    paths.main(*prepare(option("FLAVOUR", "net")), option("TESTS"))


def do_regress() -> None:
    """The tests of liburing and of the kernel, on this kernel and on one without the patches."""
    tree, tools, ours, virtme = prepare("release")
    regress.main(tree, tools, virtme, build.find_image(tree, tools, flavour.find_flavour("plain")), ours)


def do_graft() -> None:
    """Graft a tree of the user's."""
    ksrc = ksrc_argument()
    graft.graft(ksrc)
    print(f"{ksrc} has {graft.WHERE}/ now: set CONFIG_RUST=y and CONFIG_IO_URING_NOTIF=m and build it; "
          f"`make ungraft KSRC={ksrc}` takes it out")


def do_ungraft() -> None:
    """Take it out."""
    ksrc = ksrc_argument()
    graft.ungraft(ksrc)
    print(f"{ksrc} is as it was before the graft")


def do_series() -> None:
    """Write the series that would go upstream; with CHECK=1 try each patch as who gets it would."""
    tree = source.find_tree()
    folder = series.write(tree, PROJECT / "series")
    if flag("CHECK"):
        series_check.main(tree, toolchain.find_toolchain(), folder)
    print(folder)


def do_liburing_series() -> None:
    """Write the series for liburing, and run liburing's suite with it."""
    tree, _, image, virtme = prepare(option("FLAVOUR", "release"))
    liburing_series.main(tree, image, virtme)


def do_deb() -> None:
    """Packages of a kernel, tried in a fresh Debian."""
    wanted = deb.chosen()
    tree, tools, image, virtme = prepare("release")
    deb.main(tree, tools, wanted, image, virtme)


def do_docs() -> None:
    """Documentation/ as HTML; with BASE= first take the figures from that run of the benchmark."""
    if option("BASE"):
        figures.keep(bench.load(Path(option("NOTIF_PWD", os.getcwd())) / option("BASE")))
    docs.html(source.find_tree(), docs.HTML)
    print(docs.HTML / "index.html")


def do_rustdoc() -> None:
    """The module's documentation as HTML."""
    docs.rustdoc(source.find_tree(), toolchain.find_toolchain(), docs.HTML / "rust")
    print(docs.HTML / "rust/io_uring_notif/index.html")


def do_compile_commands() -> None:
    """What clangd and rust-analyzer read."""
    for path in docs.compile_commands(source.find_tree(), toolchain.find_toolchain()):
        print(path)


def clean() -> None:
    """Remove what this checkout made, say what the cache holds."""
    for path in [PROJECT / "series", liburing_series.OUT, deb.OUT, docs.HTML, *PROJECT.rglob("__pycache__"), *PROJECT.rglob(".mypy_cache")]:
        shutil.rmtree(path, ignore_errors=True)
    for name in ("compile_commands.json", "rust-project.json"):
        (PROJECT / name).unlink(missing_ok=True)
    mine = f"{digest([str(PROJECT)])}-"
    for path in (cache_dir() / "userland").glob(mine + "*"):
        shutil.rmtree(path)
    size = output(["du", "-sh", str(cache_dir())]).split()[0] if cache_dir().exists() else "0"
    print(f"{cache_dir()} holds the kernel source, builds, images and tools, {size}; "
          f"it is shared by all checkouts, and `rm -rf {cache_dir()}` removes it")


TARGETS = {"kernel": kernel, "headers": headers, "vm": machine, "run": main_job, "test": tests, "bench": do_bench,
           "profile": do_profile, "stress": do_stress, "fuzz": do_fuzz, "soak": do_soak, "paths": do_paths,
           "regress": do_regress, "plants": plants.main, "samples": do_samples,
           "graft": do_graft, "ungraft": do_ungraft, "series": do_series, "check": check.main,
           "liburing-series": do_liburing_series, "deb": do_deb, "docs": do_docs, "rustdoc": do_rustdoc, "compile-commands": do_compile_commands,
           "configs": configs.main, "clean": clean}


def interrupt(number: int, _frame: FrameType | None) -> None:
    """A request to end is an interrupt: children are stopped, temporary folders go."""
    raise KeyboardInterrupt(number)


def main() -> int:
    """Run one target; an expected failure is one line."""
    target = sys.argv[1] if len(sys.argv) == 2 else ""
    if target not in TARGETS:
        print(f"error: no target `{target}`; `make help` lists them", file=sys.stderr)
        return 2
    for name in VARIABLES:
        os.environ[name] = os.environ.pop(f"NOTIF_{name}", os.environ.get(name, ""))
    signal.signal(signal.SIGTERM, interrupt)
    try:
        open_log(target)
        TARGETS[target]()
        return 0
    except Fail as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("error: interrupted; run it again, it goes on where it stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        hint = "free some space" if error.errno == 28 else "see the log"
        print(f"error: {error.strerror}: {error.filename or ''}; {hint} ({log().path})", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
