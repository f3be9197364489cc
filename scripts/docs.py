# SPDX-License-Identifier: GPL-2.0
"""For readers and editors: `make docs`, `make rustdoc`, `make compile-commands`."""

import json
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bench_report
import build
import figures
import graft
from cache import lock, write_if_changed
from common import PROJECT, Fail, Step, run
from flavour import FLAVOURS
from source import Tree
from toolchain import Toolchain, find_venv

SPHINX = "8.2.3"
# Those of the kernel's that these pages can want; kfigure would ask for graphviz
EXTENSIONS = "automarkup,rstFlatTable,sphinx.ext.autosectionlabel,sphinx.ext.ifconfig"
HTML = PROJECT / "html"
# Of rustc's arguments those that rustdoc doesn't take, as the kernel's rust/Makefile leaves them out, and their values
NOT_RUSTDOC = re.compile(r"--(emit|remap-path-scope)=")
SRCTREE = re.compile(r'<a href="srctree/([^"]+)"')
NOT_RUSTDOC_PAIRS = ("--out-dir", "--crate-type")


def pages(folder: Path) -> None:
    """Documentation/ with what is made of its figures: the tables and the chart."""
    shutil.copytree(PROJECT / "Documentation", folder, dirs_exist_ok=True)
    made = folder / "figures"
    made.mkdir()
    results = figures.load()
    for place in figures.PLACES:
        (made / f"{place}.txt").write_text("".join(f"{line}\n" for line in figures.table(results, place)),
                                           encoding="utf-8")
    results.save(made / "bench.json")
    bench_report.draw(made)


def html(tree: Tree, out: Path) -> None:
    """The pages as HTML, by the kernel's conf.py; a warning is an error."""
    sphinx = find_venv(f"sphinx-{SPHINX}", f"sphinx=={SPHINX} pyyaml", "sphinx-build")
    with tempfile.TemporaryDirectory(prefix="notif-docs-") as temp, Step("Documentation/"):
        pages(Path(temp) / "Documentation")
        run([str(sphinx), "-b", "html", "-W", "--keep-going", "-q", "-c", str(tree.src / "Documentation"),
             "-d", f"{temp}/doctrees", "-D", f"extensions={EXTENSIONS}", "-D", "project=io_uring notification slots",
             "-D", f"version={tree.version}", f"{temp}/Documentation", str(out)],
            "sphinx-build", dict(os.environ, srctree=str(tree.src)))


@contextmanager
def built(tree: Tree, tools: Toolchain, what: str) -> Iterator[Path]:
    """The release kernel's build folder with our objects up to date, and nobody else at it."""
    flavour = FLAVOURS["release"]
    out = tree.build(flavour.name)
    with lock("build", what):
        graft.sync(tree)
        build.configure(tree, tools, flavour, out)
        with Step(f"building {graft.WHERE}/") as step:
            build.run_make(tree, tools, out, [f"{graft.WHERE}/"], f"building {graft.WHERE}/", step)
        yield out


def rustc_command(out: Path) -> list[str]:
    """How kbuild called rustc for the module: NAME=value, rustc, its arguments."""
    saved = out / graft.WHERE / "rust/.io_uring_notif.o.cmd"
    found = re.match(r"savedcmd_\S+ := (.*?)( ;|$)", saved.read_text(encoding="utf-8").split("\n", 1)[0])
    if not found:
        raise Fail(f"{saved} names no command; remove it and try again")
    return shlex.split(found.group(1))


def rustdoc(tree: Tree, tools: Toolchain, out: Path) -> None:
    """The module's documentation, its private items as well: nothing of a module is public; a warning is an error."""
    with built(tree, tools, "make rustdoc") as objects, Step("rust/"):
        words = rustc_command(objects)
        start = words.index("rustc")
        flags = [word for before, word in zip(words[start:], words[start + 1:])
                 if not NOT_RUSTDOC.match(word) and not {before, word} & set(NOT_RUSTDOC_PAIRS)]
        env = tools.env() | {"RUSTC_BOOTSTRAP": "1"} | dict(word.split("=", 1) for word in words[:start])
        run([str(tools.rust_bin / "rustdoc"), *flags, "-Zunstable-options", "-Cunsafe-allow-abi-mismatch=fixed-x18",
             "-Dwarnings", "-Arustdoc::private_intra_doc_links", "--document-private-items",
             "--generate-link-to-definition", "--crate-name", "io_uring_notif", "--output", str(out)],
            "rustdoc", env, objects)
        for page in out.rglob("*.html"):
            text = page.read_text(encoding="utf-8")
            page.write_text(SRCTREE.sub(lambda found: linked(tree, found[1]), text), encoding="utf-8")


def linked(tree: Tree, name: str) -> str:
    """A link to a file of the kernel tree, which has to be there, as the kernel's rust/Makefile makes it."""
    if not (tree.src / name).exists():
        raise Fail(f"rust/ links to srctree/{name}, which is not there; mend the link")
    return f'<a href="{tree.src / name}"'


def compile_commands(tree: Tree, tools: Toolchain) -> list[Path]:
    """compile_commands.json and rust-project.json, by the kernel's own scripts, of this folder's files."""
    made = [PROJECT / "compile_commands.json", PROJECT / "rust-project.json"]
    home = tree.src / graft.WHERE
    with built(tree, tools, "make compile-commands") as out, Step("compile_commands.json, rust-project.json") as step:
        run(["/usr/bin/python3", str(tree.src / "scripts/clang-tools/gen_compile_commands.py"), "-d", str(out),
             "-a", f"llvm-ar-{tools.llvm}", "-o", str(made[0]), str(out)], "gen_compile_commands.py")
        build.run_make(tree, tools, out, ["rust-analyzer"], "make rust-analyzer", step)
        rust = json.loads((out / "rust-project.json").read_text(encoding="utf-8"))
    commands = json.loads(made[0].read_text(encoding="utf-8"))
    for command in commands:
        if Path(command["file"]).is_relative_to(home):
            # Headers that a file names by "../" are beside the copy in the kernel tree
            command["command"] = command["command"].replace(f"{home}/", f"{PROJECT}/") + f" -iquote {home}/shim"
            command["file"] = command["file"].replace(f"{home}/", f"{PROJECT}/")
    write_if_changed(made[0], json.dumps(commands, indent=1).encode())
    rust["crates"].append(crate(rust["crates"], out))
    write_if_changed(made[1], json.dumps(rust, indent=1).encode())
    return made


def crate(known: list[dict[str, Any]], out: Path) -> dict[str, Any]:
    """The module as rust-analyzer wants it, beside the kernel's crates: the kernel's script finds drivers only."""
    numbers = {one["display_name"]: number for number, one in enumerate(known)}
    kernel = known[numbers["kernel"]]
    return {"display_name": "io_uring_notif", "root_module": str(PROJECT / "rust/io_uring_notif.rs"),
            "is_workspace_member": True, "edition": kernel["edition"],
            "cfg": [*kernel["cfg"], "MODULE"],
            "env": {"RUST_MODFILE": f"{graft.WHERE}/io_uring_notif", "OBJTREE": str(out)},
            "deps": [{"crate": numbers[name], "name": name}
                     for name in ("core", "kernel", "pin_init", "zerocopy", "zerocopy_derive")]}
