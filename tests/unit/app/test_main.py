"""The frame stands before anything heavy is imported."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from app.widgets import terms

MAIN = Path(__file__).resolve().parents[3] / "app" / "main.py"


def test_the_entry_imports_streamlit_and_the_standard_library_alone_at_its_top() -> None:
    names = set()
    for node in ast.parse(MAIN.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names.add(node.module.split(".")[0])
    assert names - set(sys.stdlib_module_names) == {"streamlit"}


def test_each_page_explains_the_words_that_stand_in_its_heading() -> None:
    assert "Cumulative Errors of Tail Truncation" in terms.CETT
    assert terms.CETT in terms.EXPLORE and terms.H_NEURON in terms.EXPLORE
    for page in (terms.COMPARE, terms.IDENTIFY):
        assert all(term in page for term in (terms.CETT, terms.H_NEURON, terms.TWIN))
