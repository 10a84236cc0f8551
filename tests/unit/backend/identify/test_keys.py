"""What is kept is found again only where nothing that it hangs on has changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.engine import Engine
from backend.identify import context
from backend.identify.context import RunContext
from backend.identify.evaluation import effects
from backend.identify.evaluation.effects import Switch
from backend.models.loaded import LoadedModel
from backend.neurons import NeuronSet
from backend.types import ExploreRequest, base
from backend.types.identify import Question
from tests.unit.backend.identify.made import PLAN, SAMPLING

ASKED = {"q1": Question(id="q1", text="Who wrote Emma?", answers=("Jane Austen",), relation="author", entity="Emma")}
ARMS = [Switch("H-neurons", 0.0, NeuronSet.of("L0:N1"))]
CHANGES = ["the metric", "torch", "transformers", "transformer-lens", "the device", "the weights"]


def changed(model: LoadedModel, change: str, patch: pytest.MonkeyPatch) -> LoadedModel:
    """The model with one thing otherwise that its figures hang on."""
    if change == "the metric":
        patch.setattr("backend.types.base.METRIC_VERSION", base.METRIC_VERSION + 1)
        return model
    other: dict[str, object] = {"versions": {**model.info.versions, change: "99"}}
    if change == "the device":
        other = {"device": "cuda:0"}
    elif change == "the weights":
        other = {"fingerprint": "0" * 64}
    return dataclasses.replace(model, info=model.info.model_copy(update=other))


def keys(model: LoadedModel, folder: Path) -> dict[str, str]:
    """Where everything that is computed from the model is kept."""
    on = RunContext(model, PLAN, ASKED, folder)
    basis = base.figures(model.info.basis)
    return {
        "result": Engine(model).key(ExploreRequest(prompt="Who?")),
        "switched": effects.answers_key(list(ASKED.values()), ARMS, SAMPLING, basis),
        **{stage: on.journal(stage).name for stage in ("null", "bootstrap")},
    }


@pytest.mark.parametrize("change", CHANGES)
def test_every_key_hangs_on_the_model_its_libraries_and_the_metric(
    change: str, tiny: Callable[[str], LoadedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = keys(tiny("llama"), tmp_path)
    assert before == keys(tiny("llama"), tmp_path)
    after = keys(changed(tiny("llama"), change, monkeypatch), tmp_path)
    assert [name for name in before if before[name] == after[name]] == []


def test_where_one_of_several_devices_counts_is_no_other_key(tiny: Callable[[str], LoadedModel]) -> None:
    info = tiny("llama").info
    one, other = (info.model_copy(update={"device": f"cuda:{number}"}) for number in (0, 1))
    assert one.basis == other.basis != info.basis


@pytest.mark.parametrize("field", ["relation", "entity", "text", "answers"])
def test_fits_are_kept_for_the_questions_as_they_are(
    field: str, tiny: Callable[[str], LoadedModel], tmp_path: Path
) -> None:
    other = {"q1": ASKED["q1"].model_copy(update={field: ("else",) if field == "answers" else "else"})}
    one, two = (RunContext(tiny("llama"), PLAN, asked, tmp_path).journal("null").name for asked in (ASKED, other))
    assert one != two


def test_fits_are_kept_for_the_solver_that_made_them(
    tiny: Callable[[str], LoadedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = keys(tiny("llama"), tmp_path)
    monkeypatch.setattr(context, "_SOLVERS", "skglm 99")
    after = keys(tiny("llama"), tmp_path)
    assert {name for name in before if before[name] != after[name]} == {"null", "bootstrap"}
