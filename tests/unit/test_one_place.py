"""What there is one of stays one: held by reading the sources.

A second atomic write, a second hash or a second spelling of a file's name drifts away from the first one, and nobody
sees it until a result is lost or not found.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

import pytest

from tests.unit.test_floors import imports, sources

EVERYWHERE = ("app", "backend", "cache", "tools", "benchmarks")
Finder = Callable[[ast.AST], Iterator[int]]


def calls(tree: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    """Every call with the dotted name of what is called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func)


def renames(tree: ast.AST) -> Iterator[int]:
    """Lines that give a file another name."""
    for node, name in calls(tree):
        if name in {"os.replace", "os.rename", "os.renames", "shutil.move"}:
            yield node.lineno
    for line, module, names in imports(tree, ()):
        if (module == "os" and {"replace", "rename"} & set(names)) or (module == "shutil" and "move" in names):
            yield line


def plain_writes(tree: ast.AST) -> Iterator[int]:
    """Lines that write a file in its place, or make a temporary name by themselves."""
    for node, name in calls(tree):
        owner, _, method = name.rpartition(".")
        mode = next((arg.value for arg in node.args[:2] if isinstance(arg, ast.Constant)), "")
        opened = method == "open" and isinstance(mode, str) and set("wx") & set(mode)
        if (method in {"write_bytes", "write_text"} and owner not in {"", "atomic"}) or opened:
            yield node.lineno
        if method in {"mkstemp", "NamedTemporaryFile", "copyfile", "copy2", "copytree"}:
            yield node.lineno


def hashes(tree: ast.AST) -> Iterator[int]:
    """Lines that reach for a hash of their own."""
    for line, module, _ in imports(tree, ()):
        if module in {"hashlib", "hmac", "_sha2", "_sha256"}:
            yield line


def translations(tree: ast.AST) -> Iterator[int]:
    """Lines that take pydantic's words apart."""
    for node, name in calls(tree):
        if name.endswith(".errors"):
            yield node.lineno


RUN_FILE = re.compile(
    r"(?:plan|probe|going|failed|outlook|speed|unpacked)\.json|(?:questions|greedy|samples|overrules|marked)\.jsonl"
    r"|(?:items|neurons)\.parquet|(?:judged|worded)-.*"
)


def run_files(tree: ast.AST) -> Iterator[int]:
    """Lines that spell the name of a file in a run's folder; docstrings may tell of it."""
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in prose:
            continue
        if RUN_FILE.fullmatch(node.value.removesuffix(".gz").rpartition("/")[2]):
            yield node.lineno


PLACES: dict[str, tuple[Finder, dict[str, str]]] = {
    "renaming": (renames, {"cache/atomic.py": "it is the one"}),
    "writing a file": (
        plain_writes,
        {
            "cache/atomic.py": "it is the one",
            "cache/store.py": "head and payload go to the place that cache.atomic gives",
            "backend/runs/archive.py": "a copy goes to the place that cache.atomic gives",
            "benchmarks/work.py": "a switch of the kernel's, which is no file",
        },
    ),
    "hashing": (hashes, {"cache/digests.py": "it is the one"}),
    "the name of a run's file": (run_files, {"backend/runs/folder.py": "it is the one"}),
    "the wording of a refused request": (
        translations,
        {
            "backend/types/refusal.py": "it is the one",
            "backend/serve/http/errors.py": "FastAPI's own exception is handed on to it",
        },
    ),
}


@pytest.mark.parametrize("what", PLACES)
def test_what_there_is_one_of_stands_in_one_place(what: str) -> None:
    find, allowed = PLACES[what]
    found = {
        f"{path}:{line}"
        for floor in EVERYWHERE
        for path, text in sources(floor)
        if path not in allowed
        for line in find(ast.parse(text))
    }
    assert found == set(), f"{what} stands in {next(iter(allowed))}; use it here"


@pytest.mark.parametrize("what", PLACES)
def test_what_is_allowed_is_needed(what: str) -> None:
    find, allowed = PLACES[what]
    texts = {path: text for floor in EVERYWHERE for path, text in sources(floor)}
    assert [path for path in allowed if path not in texts or not any(find(ast.parse(texts[path])))] == []


@pytest.mark.parametrize(
    ("find", "source"),
    [
        (renames, "import os\nos.replace(a, b)"),
        (renames, "from os import replace"),
        (renames, "import shutil\nshutil.move(a, b)"),
        (plain_writes, "path.write_text('x')"),
        (plain_writes, "(folder / 'x').write_bytes(b'x')"),
        (plain_writes, "with path.open('wb') as file: pass"),
        (plain_writes, "open(path, 'w')"),
        (plain_writes, "tempfile.mkstemp()"),
        (hashes, "from hashlib import sha256"),
        (hashes, "def f():\n    import hashlib"),
        (run_files, "path = folder / 'samples.jsonl'"),
        (run_files, "names = ('*/plan.json', 'questions.jsonl.gz')"),
        (run_files, "folder.glob('judged-*.jsonl')"),
        (translations, "error.errors()[0]['msg']"),
    ],
)
def test_the_finder_sees_what_it_is_for(find: Finder, source: str) -> None:
    assert list(find(ast.parse(source)))


@pytest.mark.parametrize(
    "source",
    ["text.replace('a', 'b')", "from cache import atomic\natomic.write_text(path, 'x')", "path.open('rb')",
     "path.open('ab')", "gzip.open(path, 'rt')", "'marked_words.jsonl'",
     "'a docstring: samples.jsonl'\n'samples.jsonl'"],
)  # fmt: skip
def test_the_finders_let_pass_what_is_no_such_thing(source: str) -> None:
    assert [line for find, _ in PLACES.values() for line in find(ast.parse(source))] == []


def test_no_pattern_of_re_has_a_possessive_group() -> None:
    """The first releases of Python 3.11 read such a group as if it were not there; `regex` reads it everywhere."""
    possessive = re.compile(r"\)[*+?]\+|\(\?>|\}\+\)")
    found = []
    for path, source in (each for floor in EVERYWHERE for each in sources(floor)):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                called = node.func.value
                if isinstance(called, ast.Name) and called.id == "re":
                    told = ast.get_source_segment(source, node) or ""
                    found += [f"{path}:{node.lineno}"] if possessive.search(told) else []
    assert found == []
