"""The house has three floors and one direction: app -> backend -> cache. Held by reading the source.

Nothing is imported, so the check is quick, and an import inside a function or under `TYPE_CHECKING`
counts as one at the top.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.places import REPOSITORY

FLOORS = ("app", "backend", "cache")

APP_MAY_IMPORT = (
    "backend.types",
    "backend.errors",
    "backend.layout",
    "backend.neurons",
    "backend.neuron_files",
    "backend.spreadsheet",
    "backend.text.verdict",
    "backend.serve.client",
    "backend.serve.hosts",
    "backend.serve.http.wire",
)
ROOMS = ("explore", "compare", "identify", "models")
HEAVY = ("torch", "transformers", "transformer_lens")
HOOKS_MODULE = "backend/models/hooks.py"
HOOK_NAME = re.compile(r"(?<!\w)hook_(?:in|out)(?!\w)|^\W*blocks\.(?:\S|$)")


@dataclass(frozen=True)
class Rule:
    """On `floor`, importing `refused` is a breach; `instead` says where the code should go."""

    floor: str
    refused: tuple[str, ...]
    instead: str


RULES = (
    Rule("app", HEAVY, "compute it in backend/ and hand the page a result of backend.types"),
    Rule("app", ("cache",), "ask backend.serve.client; the engine keeps and finds results"),
    Rule("backend", ("app",), "move what both need down into backend/, pages stay in app/"),
    Rule("backend", ("streamlit",), "move what needs Streamlit up into app/"),
    Rule("cache", ("app", "backend"), "move what knows of models or results up into backend/; cache/ keeps bytes"),
    Rule("cache", ("streamlit",), "move what needs Streamlit up into app/"),
    Rule("cache", HEAVY, "move what needs tensors up into backend/; cache/ keeps bytes"),
)


def covers(allowed: tuple[str, ...], module: str) -> bool:
    """Whether `module` is one of `allowed` or lies below one."""
    return any(module == name or module.startswith(f"{name}.") for name in allowed)


def imports(tree: ast.AST, package: tuple[str, ...]) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """Line, module and the names taken from it (none for a plain import) of every import, however deep."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, ()
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            yield node.lineno, ".".join((*base, *filter(None, [node.module]))), tuple(a.name for a in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {
            "__import__", "import_module", "importlib.import_module"
        }:  # fmt: skip
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield node.lineno, first.value, ()


def import_breaches(path: str, tree: ast.AST) -> Iterator[str]:
    floor = path.split("/")[0]
    for line, module, names in imports(tree, tuple(path.split("/")[:-1])):
        reached = [f"{module}.{name}" for name in names] or [module]
        for rule in RULES:
            if rule.floor == floor and covers(rule.refused, module):
                yield f"{path}:{line}: {floor}/ must not import {module}; {rule.instead}"
        if floor == "backend" and not path.startswith("backend/verbs/"):
            for target in reached:
                if covers(("backend.verbs",), target) and not covers(("backend.verbs.table",), target):
                    yield f"{path}:{line}: {target} is one verb's; ask its row in backend.verbs.table"
        if floor == "app" and covers(("backend",), module):
            for target in reached:
                if not covers(APP_MAY_IMPORT, target):
                    yield (
                        f"{path}:{line}: app/ must not import {target}; it may import {', '.join(APP_MAY_IMPORT)}: "
                        "move the code into backend/ and reach it through backend.serve.client"
                    )


def room_breaches(path: str, tree: ast.AST) -> Iterator[str]:
    """Imports between pages, and of a page by what pages share: each page has its own folder in app/."""
    room = path.split("/")[1] if path.count("/") > 1 else ""
    if not path.startswith("app/") or path == "app/rooms.py":
        return
    for line, module, names in imports(tree, tuple(path.split("/")[:-1])):
        for target in [f"{module}.{name}" for name in names] or [module]:
            floor, _, rest = target.partition(".")
            to = rest.split(".")[0]
            if floor == "app" and to in ROOMS and to != room and room:
                yield f"{path}:{line}: {room}/ must not import the page {to}; move what both need into app/shared/"
            if floor == "app" and room == "charts" and to == "shared":
                yield f"{path}:{line}: charts/ must not import shared/; hand the chart what it draws"


def hook_name_breaches(path: str, tree: ast.AST) -> Iterator[str]:
    """Strings that spell a TransformerLens hook point outside the one module that may; prose in docstrings is free."""
    if path == HOOKS_MODULE:
        return
    prose = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in prose:
            continue
        if HOOK_NAME.search(node.value):
            yield (
                f"{path}:{node.lineno}: the hook name {node.value!r:.60} is spelt outside {HOOKS_MODULE}; "
                "ask that module for the hook point"
            )


def breaches(path: str, source: str) -> list[str]:
    """What is wrong with one file: `path` relative to the repository with forward slashes, and its text."""
    try:
        tree = ast.parse(source)
    except SyntaxError as problem:
        return [f"{path}:{problem.lineno}: cannot be read as Python ({problem.msg}); correct it first"]
    return [*import_breaches(path, tree), *room_breaches(path, tree), *hook_name_breaches(path, tree)]


def sources(floor: str) -> Iterator[tuple[str, str]]:
    """Path and text of each Python file of a floor, without the data folder (fetched models may hold code)."""
    for file in sorted((REPOSITORY / floor).rglob("*.py")):
        path = file.relative_to(REPOSITORY).as_posix()
        if path.startswith("cache/data/"):
            continue
        try:
            yield path, file.read_text(encoding="utf-8")
        except FileNotFoundError:
            continue  # an editor replaced or removed it between listing and reading


@pytest.mark.parametrize("floor", FLOORS)
def test_each_import_goes_down_one_floor_and_hook_names_stay_in_one_module(floor: str) -> None:
    found = [breach for path, source in sources(floor) for breach in breaches(path, source)]
    assert not found, "\n" + "\n".join(found)


def test_the_check_reads_the_real_files() -> None:
    assert {"cache/store.py", "cache/paths.py"} <= {path for path, _ in sources("cache")}
    assert "backend/errors.py" in {path for path, _ in sources("backend")}


@pytest.mark.parametrize(
    ("path", "source", "told"),
    [
        ("cache/store.py", "import backend", "backend/"),
        ("cache/store.py", "\n\nfrom backend.errors import StoreError", "cache/store.py:3"),
        ("cache/deep/er.py", "from ...backend import errors", "backend/"),
        ("cache/store.py", "import streamlit as st", "app/"),
        ("cache/store.py", "import torch", "backend/"),
        ("backend/engine.py", "from app.views import Views", "app/"),
        ("backend/engine.py", "def f() -> None:\n    import streamlit.runtime", "backend/engine.py:2"),
        ("backend/engine.py", "if TYPE_CHECKING:\n    import streamlit", "app/"),
        ("backend/serve/worker.py", "from ...app import links", "app/"),
        ("app/compare/answers.py", "from app.explore import words", "app/shared/"),
        ("app/shared/heatmap.py", "from app.explore.words import heading", "app/shared/"),
        ("app/charts/split.py", "from app.compare.diff import colour", "app/shared/"),
        ("app/charts/split.py", "from app.shared import frame", "hand the chart"),
        ("app/main.py", "import torch.nn as nn", "backend.types"),
        ("app/main.py", "from transformers import AutoTokenizer", "backend.types"),
        ("app/main.py", "import importlib\nimportlib.import_module('transformer_lens')", "app/main.py:2"),
        ("app/main.py", "__import__('torch')", "backend.types"),
        ("app/main.py", "from cache import Store", "backend.serve.client"),
        ("app/main.py", "import backend", "backend.serve.client"),
        ("app/main.py", "from backend import engine", "backend.engine"),
        ("app/main.py", "from backend import *", "backend.serve.client"),
        ("app/main.py", "from backend import errors, engine", "backend.engine"),
        ("app/main.py", "from backend.serve import worker", "backend.serve.worker"),
        ("app/main.py", "import backend.serve.client_other", "backend.serve.client_other"),
        ("app/explore/page.py", "from ...backend.models import registry", "backend.models"),
        ("backend/engine.py", "from backend.verbs.explore import explore", "its row in backend.verbs.table"),
        ("backend/cli/main.py", "from backend.verbs import lens", "its row in backend.verbs.table"),
        ("backend/engine.py", "name = 'blocks.3.mlp'", HOOKS_MODULE),
        ("backend/engine.py", "def f(i: int) -> str:\n    return f'blocks.{i}.mlp'", "backend/engine.py:2"),
        ("backend/engine.py", "name = mlp + '.hook_out'", HOOKS_MODULE),
        ("app/main.py", "name = 'hook_in'", HOOKS_MODULE),
        ("backend/engine.py", "def broken(:", "correct it first"),
    ],
)  # fmt: skip
def test_a_breach_is_found_and_told_with_file_line_and_the_right_place(path: str, source: str, told: str) -> None:
    found = breaches(path, source)
    assert found
    assert all(re.match(rf"{re.escape(path)}:\d+: ", breach) for breach in found)
    assert told in "\n".join(found)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("app/main.py", "import streamlit as st\nfrom app.views import Views\nfrom .charts import cells"),
        ("app/main.py", "from backend import errors, neurons, types\nfrom backend.serve import client"),
        ("app/main.py", "from backend.types.results import Exploration\nimport backend.serve.client"),
        ("app/main.py", "import torchless\nimport cachetools\nimport backends"),
        ("backend/engine.py", "import torch\nfrom cache import Store\nfrom . import errors\nimport appdirs"),
        ("backend/engine.py", "from backend.verbs import table\nfrom backend.verbs.table import EXPLORE"),
        ("backend/verbs/neuron.py", "from backend.verbs.lens import pushed"),
        ("backend/engine.py", '"""A docstring may name blocks.0.mlp.hook_out."""'),
        ("backend/engine.py", "text = 'It has 30 blocks. Each adds to the stream'\nother = 'unhook_outer'"),
        (HOOKS_MODULE, "def f(i: int) -> str:\n    return f'blocks.{i}.mlp.hook_out'"),
        ("cache/store.py", "import hashlib\nfrom cache.record import Entry\nfrom . import paths"),
    ],
)
def test_what_the_floors_allow_is_not_called_a_breach(path: str, source: str) -> None:
    assert breaches(path, source) == []


MADE_IN = ("backend/neurons.py", "Site.neuron")
SPELT_IN = ("backend/neurons.py", "backend/neuron_entry.py")
"""Where a neuron's text is put together: the second hands what a file says on to the parser."""


def address_breaches(path: str, tree: ast.AST) -> Iterator[str]:
    """Neurons made of numbers, or spelt, by others than `Site`: whoever does forgets the expert."""
    made = [
        node
        for each in ast.walk(tree)
        if isinstance(each, ast.ClassDef) and (path, f"{each.name}.neuron") == MADE_IN
        for each in each.body
        if isinstance(each, ast.FunctionDef) and each.name == "neuron"
        for node in ast.walk(each)
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "NeuronId" and node not in made:
            yield (
                f"{path}:{node.lineno}: a NeuronId is made outside {'.'.join(MADE_IN[1:])}; ask the model's layout for "
                "the neuron of a column or an offset, or a Site"
            )
        if isinstance(node, ast.JoinedStr) and path not in SPELT_IN:
            parts = [str(part.value) for part in node.values if isinstance(part, ast.Constant)]
            if any(re.search(r":[NE]$", part) for part in parts):
                yield f"{path}:{node.lineno}: a neuron is spelt by hand; write the NeuronId itself"


@pytest.mark.parametrize("floor", (*FLOORS, "tools", "benchmarks"))
def test_a_neuron_is_made_of_numbers_in_one_place(floor: str) -> None:
    found = [breach for path, text in sources(floor) for breach in address_breaches(path, ast.parse(text))]
    assert not found, "\n" + "\n".join(found)


def test_the_one_place_where_a_neuron_is_made_is_there() -> None:
    source = dict(sources("backend"))[MADE_IN[0]]
    assert source.count(" NeuronId(") == 1 and "def neuron(self" in source


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("app/charts/cells.py", "names = [NeuronId(cell.layer, int(i)) for i in index]"),
        ("app/charts/cells.py", "name = neurons.NeuronId(layer=1, index=2)"),
        ("backend/neurons.py", "def parse() -> NeuronId:\n    return NeuronId(1, 2)"),
        ("backend/neurons.py", "class NeuronSet:\n    def neuron(self) -> NeuronId:\n        return NeuronId(1, 2)"),
        ("backend/cli/tables.py", "name = f'L{layer}:N{index}'"),
        ("app/text.py", "name = f'L{layer}:E{expert}:N' + str(index)"),
    ],
)
def test_a_neuron_made_elsewhere_is_found(path: str, source: str) -> None:
    assert len(list(address_breaches(path, ast.parse(source)))) == 1


def test_an_address_may_be_parsed_checked_and_printed_anywhere() -> None:
    source = "a = NeuronId.parse(text)\nb = isinstance(x, NeuronId)\nc = f'{a}: N'\nd = Site(1).neuron(2)"
    assert list(address_breaches("app/text.py", ast.parse(source))) == []


MOST_MODULES, MOST_LINES, MOST_IN_FUNCTION = 18, 350, 60


def test_no_folder_no_module_and_no_function_is_larger_than_a_head_can_hold() -> None:
    large = []
    for floor in (*FLOORS, "tools", "benchmarks"):
        count: dict[str, int] = {}
        for path, text in sources(floor):
            count[path.rpartition("/")[0]] = count.get(path.rpartition("/")[0], 0) + (not path.endswith("__init__.py"))
            large += [path] if text.count("\n") > MOST_LINES else []
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                    long = node.end_lineno - node.lineno + 1 > MOST_IN_FUNCTION
                    large += [f"{path}: {node.name}"] if long else []
        large += [folder for folder, modules in count.items() if modules > MOST_MODULES]
    assert large == []
