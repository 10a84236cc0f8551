"""The frame stands before anything heavy is imported."""

from __future__ import annotations

import subprocess
import sys

import pytest
from starlette.testclient import TestClient

from app.shared import terms
from tests.places import REPOSITORY


def test_the_entry_imports_no_chart_table_or_engine_at_its_top() -> None:
    """Streamlit, and the rule of trusted names: the server needs it before it answers at all."""
    heavy = ("numpy", "pandas", "pyarrow", "pydantic", "scipy", "sklearn", "torch", "transformers")
    script = f"import sys, app.main; print([name for name in {heavy} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    assert told.stdout.strip() == "[]"


def test_each_page_explains_the_words_that_stand_in_its_heading() -> None:
    assert "Cumulative Errors of Tail Truncation" in terms.CETT
    assert terms.CETT in terms.EXPLORE and terms.H_NEURON in terms.EXPLORE
    for page in (terms.COMPARE, terms.IDENTIFY):
        assert all(term in page for term in (terms.CETT, terms.H_NEURON, terms.TWIN))


@pytest.mark.parametrize(
    ("asked", "shown"), [("/explore", "./"), ("/explore?prompt=Who%3F&k=2", "./?prompt=Who%3F&k=2")]
)
def test_the_first_page_opens_under_its_name_too(asked: str, shown: str) -> None:
    """Streamlit alone says of it that there is no such page."""
    from app import main

    answer = TestClient(main.app, "http://localhost").get(asked, follow_redirects=False)
    assert answer.status_code == 307 and answer.headers["location"] == shown
