"""The comparison of the selections: what is measured is what it says, and the page holds what was measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from backend.identify.answers.items import labels
from backend.identify.features.extract import extract
from backend.identify.fit.choice import trained_fit
from backend.identify.pipeline import run
from backend.models.loaded import LoadedModel
from backend.probes import library
from backend.runs.folder import RunFolder
from backend.statistics import intervals
from backend.types.estimate import Estimate
from backend.types.identify import RegionRule
from backend.types.plan import SELECTIONS, Training
from tests.unit.backend.identify.made import PLAN, questions
from tools.selections import comparing, elsewhere, page
from tools.selections.measured import AIM, AskedElsewhere, Candidate, Comparison, Elsewhere

SHIPPED = "smollm2-135m-instruct"


def figure(low: float, value: float | None = None) -> Estimate:
    return Estimate(value=low + 0.05 if value is None else value, low=low, high=low + 0.1, n=100, clusters=100)


def here(own: float, better: float) -> Elsewhere:
    return Elsewhere(probe=figure(0.7), own=figure(own), better=figure(better), negative=None, holds=2)


def candidate(selection: str, relations: float, kinds: float, **files: Elsewhere) -> Candidate:
    return Candidate(
        window="answer", selection=selection, c=1.0, positive=3, negative=1, probe=figure(0.8), own=figure(0.7),
        relations=figure(relations), kinds=figure(kinds), elsewhere=files,
    )  # fmt: skip


def comparison(*candidates: Candidate) -> Comparison:
    asked = AskedElsewhere(asked=50, right=10, wrong=38, scored_right=9, scored_wrong=30)
    return Comparison(
        model="Tiny", neurons=46_080, answers_of="mine", items=100, held_out=30, kinds={"places": 60, "words": 40},
        files={"other": asked}, candidates=candidates,
    )  # fmt: skip


def test_the_choice_is_by_the_worse_of_both_and_not_by_questions_of_another_kind() -> None:
    even = candidate("stable", 0.62, 0.61, other=here(0.3, -0.1))
    uneven = candidate("paper", 0.75, 0.58, other=here(0.9, 0.1))
    none = Candidate(window="both", selection="matched", note="no two answers are alike")
    found = comparison(uneven, none, even)
    assert found.chosen is even and even.criterion == 0.61 and none.criterion == 0.0
    assert not even.carries_over and uneven.carries_over
    text = page.page(found)
    assert "The criterion chooses `stable`" in text and "does not reach the aim" in text
    assert "1 other candidate would: `paper` in the window `answer`" in text and "no two answers are alike" in text


@pytest.mark.parametrize(
    ("own", "better", "carries"), [(AIM, 0.01, True), (AIM - 0.01, 0.01, False), (0.9, 0.0, False)]
)
def test_a_set_carries_over_where_it_is_good_and_better_than_random_everywhere(
    own: float, better: float, carries: bool
) -> None:
    one = candidate("stable", 0.6, 0.6, first=here(0.9, 0.2), other=here(own, better))
    assert one.carries_over is carries
    assert not candidate("stable", 0.6, 0.6).carries_over, "it was not tried"


def test_every_figure_of_the_page_is_of_the_results() -> None:
    if not page.RESULTS.exists():
        pytest.skip("the comparison of the model that ships was not made yet")
    assert page.PAGE.read_text("utf-8") == page.page(Comparison.model_validate_json(page.RESULTS.read_bytes()))


def test_the_items_are_those_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the probe that ships, and its held-out part."""
    monkeypatch.setenv("HNEURONS_HOME", str(tmp_path))
    kept = comparing.kept_answers(SHIPPED)
    table = pd.read_parquet(RunFolder(library.SHIPPED / SHIPPED).items)
    assert {item.question: item.side for item in kept.items} == dict(zip(table.question, table.side, strict=True))
    assert kept.held_out == frozenset(table.question[table.held_out])


def test_the_selections_of_a_run_are_compared_and_nothing_is_measured_twice(
    tiny: Callable[[str], LoadedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 40)
    monkeypatch.setenv("HNEURONS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(comparing, "WINDOWS", ("answer", "predicting"))
    monkeypatch.setattr(comparing, "SELECTIONS", {name: SELECTIONS[name] for name in ("paper", "positive", "stable")})
    monkeypatch.setattr(comparing, "MOST", 500.0)
    model = tiny("llama")
    run(model, PLAN, questions(model), library.folder_of("mine"), "mine")
    file = tmp_path / "other.jsonl"
    others = [(one.text.replace("Item", "Thing"), one.answers) for one in questions(model, 30)]
    # Half of the new questions get the answer that the model gives to them, whatever it is.
    said = elsewhere.answered(model, _file(file, others), PLAN, [], tmp_path / "said")
    told = {said.questions[item.question].text: item.response for item in said.items}
    _file(file, [(text, (told.get(text, "none"),)) for text, _ in others[::2]] + others[1::2])
    found = comparing.compare(model, "mine", [file], tmp_path / "work")
    assert [(one.window, one.selection) for one in found.candidates] == [
        (window, selection) for window in ("answer", "predicting") for selection in ("paper", "positive", "stable")
    ]
    assert found.items == sum(found.kinds.values()) and found.files["other"].asked == 30
    measured = [one for one in found.candidates if not one.note]
    assert measured and all(one.positive for one in measured)
    _held_against_scikit_learn(model, file, found, tmp_path / "work")
    monkeypatch.setattr(comparing, "trained_fit", None)
    assert comparing.compare(model, "mine", [file], tmp_path / "work") == found


def _file(path: Path, rows: list[tuple[str, tuple[str, ...]]]) -> Path:
    lines = (json.dumps({"question": text, "answers": answers}) for text, answers in rows)
    path.write_text("\n".join(lines), "utf-8")
    return path


def _held_against_scikit_learn(model: LoadedModel, path: Path, found: Comparison, work: Path) -> None:
    """The own part elsewhere, computed anew from the features and a fit of the same training items."""
    kept = comparing.kept_answers("mine")
    file = elsewhere.answered(model, path, kept.plan, list(kept.questions.values()), work)
    for one in (one for one in found.candidates if not one.note):
        window = comparing.read_window(model, kept, one.window, work)
        training = Training.model_validate(SELECTIONS[one.selection] | {"most": 500.0})
        fit = trained_fit(window.train, training)
        cett = extract(
            model, file.items, file.questions, kept.plan.sampling, RegionRule(position=one.window), work / "anew"
        ).answer
        own = np.asarray(cett, np.float64) @ np.maximum(fit.weights, 0.0)
        assert one.elsewhere["other"].own is not None
        assert one.elsewhere["other"].own.value == pytest.approx(roc_auc_score(labels(file.items), own))
        assert one.positive == int((fit.weights > 0).sum()) and one.c == fit.c
