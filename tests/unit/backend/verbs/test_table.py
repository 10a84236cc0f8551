"""Each row of the table says what its module really does."""

from __future__ import annotations

import subprocess
import sys
from typing import get_type_hints

import pytest

from backend.engine import Engine
from backend.forward.rows.batch import Batch
from backend.forward.rows.works import Work
from backend.verbs import table
from backend.verbs.table import VERBS
from tests.places import REPOSITORY


@pytest.mark.parametrize("name", VERBS)
def test_its_function_takes_the_request_of_its_row_and_gives_the_result(name: str) -> None:
    row = VERBS[name]
    names = vars(row.code()) | {"Engine": Engine, "Batch": Batch, "Work": Work}
    hints = get_type_hints(row.code().run, names)
    assert (hints["request"], hints["return"]) == (row.request, row.result)
    assert hasattr(row.code(), "together") == (row.runs == "together")
    if row.runs == "together":
        assert get_type_hints(row.code().together, names)["request"] is row.request


@pytest.mark.parametrize("name", VERBS)
def test_a_row_is_found_by_its_name_and_by_its_types(name: str) -> None:
    assert table.row(name).name == name == VERBS[name].name
    others = [row for row in VERBS.values() if row.name != name]
    assert not any(issubclass(row.request, VERBS[name].request) for row in others)
    assert not any(issubclass(row.result, VERBS[name].result) for row in others)


def test_reading_the_table_imports_nothing_heavy() -> None:
    script = (
        "import sys, backend.verbs.table\n"
        "print([name for name in ('torch', 'transformers', 'sklearn', 'scipy') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    assert told.stdout.strip() == "[]"
