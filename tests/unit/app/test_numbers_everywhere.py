"""No page and no table at a terminal rounds a number or makes a plural by itself: `backend.types.numbers` does."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.places import REPOSITORY

FILES = sorted([*(REPOSITORY / "app").rglob("*.py"), *(REPOSITORY / "backend" / "cli").rglob("*.py")])
OWN = {
    "app/style.py": "a colour for CSS",
    "app/models/parts.py": "bytes in their own units",
    "app/shared/model_status.py": "a model's parameters, in millions",
    "app/identify/more.py": "the C of a command and of a key, which are read back",
    "app/compare/switches.py": "the range of a field, and the format that Streamlit wants",
    "backend/cli/tables.py": "memory and parameters of the registry",
}
ROUNDS = re.compile(r"[efg%]$", re.IGNORECASE)
PLOTLY = re.compile(r"%\{[^}]*:[^}]*[efg%]\}")
PRINTF = re.compile(r"^%\.\d+[efg]")
"""As in the columns of a table: with digits that do not follow the figures."""
PLURAL = re.compile(r"^(s|es)$")


def breaches(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FormattedValue) and isinstance(node.format_spec, ast.JoinedStr):
            spec = "".join(str(part.value) for part in node.format_spec.values if isinstance(part, ast.Constant))
            if ROUNDS.search(spec):
                found.append(f"line {node.lineno}: formats with {spec!r}")
        elif isinstance(node, ast.IfExp):
            ends = [part.value for part in (node.body, node.orelse) if isinstance(part, ast.Constant)]
            if len(ends) == 2 and "" in ends and any(isinstance(end, str) and PLURAL.match(end) for end in ends):
                found.append(f"line {node.lineno}: makes a plural")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and PLOTLY.search(node.value):
            found.append(f"line {node.lineno}: lets Plotly round")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and PRINTF.search(node.value):
            found.append(f"line {node.lineno}: lets Streamlit round")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "round":
            found.append(f"line {node.lineno}: rounds an array or a table")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_numbers_and_plurals_come_from_one_place(path: Path) -> None:
    name = path.relative_to(REPOSITORY).as_posix()
    found = breaches(ast.parse(path.read_text(encoding="utf-8")))
    assert not found or name in OWN, f"{name}: {found}; use backend.types.numbers"


@pytest.mark.parametrize(
    "source",
    [
        "f'{x:.2f}'",
        "f'{x:.0%}'",
        "f'{x:g}'",
        'f\'{n} neuron{"" if n == 1 else "s"}\'',
        "'%{y:.2f}'",
        "t.round(4)",
        "'%.2f'",
    ],
)
def test_the_check_finds_what_it_looks_for(source: str) -> None:
    assert breaches(ast.parse(source))


def test_the_check_lets_counts_and_text_alone() -> None:
    assert not breaches(ast.parse("f'{n:,} {text} {n:d}'; 'a' if x else ''"))
