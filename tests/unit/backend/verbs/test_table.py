"""Each row of the table says what its module really does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_type_hints

import pytest

from backend.engine import Engine
from backend.errors import BadSettings
from backend.forward.rows.batch import Batch
from backend.forward.rows.works import Work
from backend.models.loaded import LoadedModel
from backend.types import Asked, Comparison, Decoding, ExploreRequest, Frozen
from backend.verbs import table
from backend.verbs.table import VERBS, VerbRow
from backend.watch import SILENT
from cache.store import Store
from tests.echo import Echo, EchoRequest
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


class Further(ExploreRequest):
    """A request that would be taken for an exploration."""


@pytest.mark.parametrize(
    ("request_", "result"),
    [(ExploreRequest, Echo), (Further, Echo), (Asked, Echo), (EchoRequest, Comparison)],
)
def test_a_type_that_has_its_row_gets_no_second_one(request_: type[Frozen], result: type[Frozen]) -> None:
    before = dict(VERBS)
    with pytest.raises(ValueError, match="is already one of (explore|compare)"):
        VERBS["further"] = VerbRow("further", request_, result, "The same once more")
    assert before == VERBS


@pytest.mark.parametrize("way", ["run", "begin", "lookup"])
def test_the_engine_goes_by_the_verb_and_takes_its_requests_alone(
    way: str, tiny: Callable[[str], LoadedModel], tmp_path: Path
) -> None:
    """An exploration that is asked for as a comparison is neither computed nor kept as one."""
    engine = Engine(tiny("llama"), Store(tmp_path))
    asked = ExploreRequest(prompt="Who?", decoding=Decoding(max_new_tokens=1))
    with pytest.raises(BadSettings, match="asked with CompareRequest, and this is ExploreRequest"):
        if way == "lookup":
            engine.lookup("compare", asked)
        else:
            getattr(engine, way)("compare", asked, SILENT)
    assert Store(tmp_path).entries("compare") == []


def test_reading_the_table_imports_nothing_heavy() -> None:
    script = (
        "import sys, backend.verbs.table\n"
        "print([name for name in ('torch', 'transformers', 'sklearn', 'scipy') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    assert told.stdout.strip() == "[]"
