"""A whole run on a tiny model: it ends in a probe, goes on after a kill, and says what is missing."""

from __future__ import annotations

import copy
import dataclasses
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from backend.errors import BadInput, BadSettings, Stopped, StoreError
from backend.forward.templating import at
from backend.identify.features.extract import read_features_of_run
from backend.identify.pipeline import run
from backend.models.loaded import LoadedModel
from backend.probes import library
from backend.runs import runs
from backend.runs.folder import RunFolder
from backend.statistics import intervals, neurons, scores
from backend.types import Event, StageEvent
from backend.types.identify import Question
from backend.types.plan import Plan
from backend.types.probe import Probe
from backend.watch import SILENT, Silent
from tests.places import REPOSITORY
from tests.unit.backend.identify.made import PLAN, questions, whole


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """The width of an interval is tested elsewhere."""
    monkeypatch.setattr(intervals, "RESAMPLES", 40)


def test_a_run_ends_in_a_probe_with_a_report(
    tiny: Callable[[str], LoadedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[int] = []

    def counting(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        measured.append(len(labels))
        return neurons.single_neurons(features, labels)

    monkeypatch.setattr("backend.identify.fit.choice.single_neurons", counting)
    model = tiny("llama")
    asked = questions(model)
    probe = run(model, PLAN, asked, tmp_path / "a", "a", "hneurons identify run a")
    card = probe.report
    assert card is not None and card.asked == len(asked)
    assert card.train_items + card.test_items == 2 * card.funnel.balanced
    assert len(probe.h_neurons) > 0 and set(probe.h_neurons) <= {one.neuron for one in probe.neurons}
    assert probe.model == model.info and probe.command == "hneurons identify run a"
    assert {one.arm for one in card.effects} >= {"H-neurons", "random twin"}
    assert {one.threshold.population for one in card.flagged} == {"token", "layer", "model"}
    assert [one.kind for one in card.random] == ["layer", "free"] and len(card.random[0].draws) == 2
    assert card.null is not None and len(card.null.aurocs) == 2
    names = {one.name for one in card.variations}
    assert {"words: the whole answer", "words: the known spelling of right answers"} <= names
    assert "labels: 3-vs-1" in names and "over the tokens: max" in names and "read at: predicting position" in names
    rows = pd.read_parquet(tmp_path / "a" / "neurons.parquet")
    assert len(rows) == model.info.n_neurons
    assert measured == [card.train_items], "every neuron alone, once for table and card"
    assert card.significant == (rows.q < 0.05).sum()
    weights = {(n.neuron.layer, n.neuron.index): n.weight for n in probe.neurons}
    chosen = rows[rows.weight != 0]
    assert {(r.layer, r.neuron): r.weight for r in chosen.itertuples()} == pytest.approx(weights)
    positive = {(r.layer, r.neuron) for r in rows[rows.weight > 0].itertuples()}
    assert {(one.layer, one.index) for one in probe.h_neurons} == positive, "those with a positive weight, and no other"
    items = pd.read_parquet(tmp_path / "a" / "items.parquet")
    assert len(items) == 2 * card.funnel.balanced and items.held_out.sum() == card.test_items
    shown = scores.auroc(
        (items.side[items.held_out] == "wrong").to_numpy().astype(int), items.log_odds[items.held_out].to_numpy()
    )
    assert card.scores.auroc.value == pytest.approx(shown)
    assert library.read_file(tmp_path / "a" / "probe.json") == probe


def test_each_sign_and_each_neuron_alone_are_judged_on_the_held_out_answers(
    tiny: Callable[[str], LoadedModel], tmp_path: Path
) -> None:
    model = tiny("llama")
    probe = run(model, PLAN, questions(model), tmp_path / "a", "a")
    items, cett, _ = read_features_of_run(RunFolder(tmp_path / "a").features())
    rows = pd.read_parquet(tmp_path / "a" / "items.parquet").set_index("question")
    held_out = np.array([rows.held_out[item.question] for item in items])
    wrong = np.array([item.side == "wrong" for item in items])
    card = probe.report
    assert card is not None and probe.h_neurons and probe.against
    for part, as_is, refitted in (
        (probe.h_neurons, card.positive_as_is, card.positive_only),
        (probe.against, card.negative_as_is, card.negative_only),
    ):
        weights = np.array([one.weight for neuron in part if (one := probe.find(neuron)) is not None])
        score = cett[:, model.info.layout.columns(part)].astype(float) @ weights
        assert as_is is not None and refitted is not None and refitted.n == as_is.n == held_out.sum()
        assert as_is.value == pytest.approx(roc_auc_score(wrong[held_out], score[held_out]))
    assert card.own.value == min(card.positive_as_is.value if card.positive_as_is else 1, card.positive_only.value)
    for one in probe.neurons:
        alone = cett[:, model.info.layout.columns([one.neuron])[0]]
        assert one.held_out == pytest.approx(roc_auc_score(wrong[held_out], alone[held_out]))
        assert one.auroc == pytest.approx(roc_auc_score(wrong[~held_out], alone[~held_out]))


def test_held_out_entities_are_never_trained_on(tiny: Callable[[str], LoadedModel], tmp_path: Path) -> None:
    """Twins of one entity, asked in two ways, stay on one side."""
    model = tiny("llama")
    asked = [q.model_copy(update={"entity": f"e{n // 6}"}) for n, q in enumerate(questions(model, 72))]
    run(model, PLAN, asked, tmp_path / "a", "a")
    items = pd.read_parquet(tmp_path / "a" / "items.parquet")
    entity = {q.id: q.entity for q in asked}
    sides = items.assign(entity=items.question.map(entity)).groupby("entity").held_out.nunique()
    assert (sides == 1).all() and items.held_out.nunique() == 2


def stages(model: LoadedModel, asked: tuple[Question, ...], folder: Path) -> list[str]:
    told: list[str] = []

    class Telling(Silent):
        def emit(self, event: Event) -> None:
            if isinstance(event, StageEvent):
                told.append(event.stage)

    run(model, PLAN, asked, folder, "a", watch=Telling())
    return told


CHILD = """
import sys
from pathlib import Path
from backend.statistics import intervals, neurons, scores
from backend.identify.features.extract import read_features_of_run
from backend.identify.pipeline import run
from tests.conftest import wrapped
from tests.unit.backend.identify.made import PLAN, KillAt, questions
intervals.RESAMPLES = 40
model = wrapped(Path(sys.argv[1]), "tiny-llama")
run(model, PLAN, questions(model), Path(sys.argv[2]), "a", watch=KillAt(int(sys.argv[3])))
"""


def test_a_killed_run_goes_on_at_every_stage_and_ends_the_same(
    tiny: Callable[[str], LoadedModel], tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    """kill -9 at one stage after another, in one folder: nothing is lost, nothing twice."""
    model = tiny("llama")
    asked = questions(model)
    told = stages(model, asked, tmp_path / "whole")
    folder = tmp_path / "killed"
    # Each child begins where the last one was killed, so that every one dies further on.
    for events in (1, 1, 4, len(told) // 2):
        child = subprocess.run(
            [sys.executable, "-c", CHILD, str(tiny_folder("llama")), str(folder), str(events)],
            cwd=REPOSITORY,
            capture_output=True,
            check=False,
        )
        assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    run(model, PLAN, asked, folder, "a")
    assert whole(folder / "probe.json") == whole(tmp_path / "whole" / "probe.json")
    for name in ("greedy.jsonl", "samples.jsonl"):
        lines = (folder / name).read_text("utf-8").split("\n")
        assert len(lines) == len(set(lines)) == len((tmp_path / "whole" / name).read_text("utf-8").split("\n"))


def test_stop_keeps_what_is_done(tiny: Callable[[str], LoadedModel], tmp_path: Path) -> None:
    class StopAt(Silent):
        left = 4

        def emit(self, event: Event) -> None:
            self.left -= 1

        def stopped(self) -> bool:
            return self.left < 0

    model = tiny("llama")
    asked = questions(model)
    with pytest.raises(Stopped):
        run(model, PLAN, asked, tmp_path / "a", "a", watch=StopAt())
    assert not (tmp_path / "a" / "probe.json").exists()
    RunFolder(tmp_path / "a").stop.touch()
    with pytest.raises(Stopped):
        run(model, PLAN, asked, tmp_path / "a", "a")
    assert isinstance(run(model, PLAN, asked, tmp_path / "a", "a"), Probe), "another program asked it to stop, once"


def test_a_run_that_goes_on_the_next_day_puts_its_questions_with_the_date_it_was_begun_on(
    tiny: Callable[[str], LoadedModel], tmp_path: Path
) -> None:
    plain = tiny("llama")
    tokenizer = copy.deepcopy(plain.tokenizer)
    tokenizer.chat_template = "{{ strftime_now('%B') }}" + str(tokenizer.chat_template)
    model = dataclasses.replace(plain, tokenizer=tokenizer, extras={})
    with at(datetime(2024, 5, 1)):
        asked = questions(model)
        run(model, PLAN, asked, tmp_path / "whole", "a")
        assert runs.moment(tmp_path / "whole") == datetime(2024, 5, 1)

    class StopAt(Silent):
        left = 4

        def stopped(self) -> bool:
            self.left -= 1
            return self.left < 0

    with at(datetime(2024, 5, 1)), pytest.raises(Stopped):
        run(model, PLAN, asked, tmp_path / "cut", "a", watch=StopAt())
    with at(datetime(2024, 6, 1)):
        run(model, PLAN, asked, tmp_path / "cut", "a")
    assert whole(tmp_path / "cut" / "probe.json") == whole(tmp_path / "whole" / "probe.json")


def test_another_filter_uses_the_answers_that_are_there(
    tiny: Callable[[str], LoadedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny("llama")
    asked = questions(model)
    run(model, PLAN, asked, tmp_path / "a", "a")
    before = (tmp_path / "a" / "samples.jsonl").read_bytes()
    other = PLAN.model_copy(update={"filter": PLAN.filter.model_copy(update={"right": 3})})
    probe = run(model, other, asked, tmp_path / "a", "a")
    assert (tmp_path / "a" / "samples.jsonl").read_bytes() == before
    assert probe.plan is not None and probe.plan.filter.right == 3


@pytest.mark.parametrize("change", ["questions", "sampling", "model"])
def test_other_answers_are_never_mixed_in(change: str, tiny: Callable[[str], LoadedModel], tmp_path: Path) -> None:
    model = tiny("llama")
    asked = questions(model)
    plan: Plan = PLAN
    run(model, plan, asked, tmp_path / "a", "a")
    if change == "questions":
        asked = asked[1:]
    elif change == "sampling":
        plan = plan.model_copy(update={"sampling": plan.sampling.model_copy(update={"seed": 5})})
    else:
        model = tiny("qwen3")
    with pytest.raises(BadSettings, match="another name"):
        run(model, plan, asked, tmp_path / "a", "a")


def test_two_runs_in_one_folder(tiny: Callable[[str], LoadedModel], tmp_path: Path) -> None:
    model = tiny("llama")
    with runs.working(tmp_path / "a"), pytest.raises(StoreError, match="being worked on"):
        run(model, PLAN, questions(model), tmp_path / "a", "a")


@pytest.mark.parametrize(
    ("kept", "words"),
    [("right", "No kind of question has both"), ("wrong", "No kind of question has both"), ("five", "too few")],
)
def test_too_little_to_tell_apart(kept: str, words: str, tiny: Callable[[str], LoadedModel], tmp_path: Path) -> None:
    model = tiny("llama")
    asked = questions(model, 72)
    right = [q for q in asked if q.answers != ("none",)]
    wrong = [q for q in asked if q.answers == ("none",)]
    few = {"right": right, "wrong": wrong, "five": [*right[:3], *wrong[:3]]}[kept]
    plan = PLAN.model_copy(update={"screening": None})
    few = [question.model_copy(update={"relation": "one"}) for question in few]
    with pytest.raises(BadInput, match=words) as caught:
        run(model, plan, few, tmp_path / "a", "a")
    assert "ask more questions" in caught.value.sentence


def test_questions_that_leave_nothing_to_draw_for(tiny: Callable[[str], LoadedModel], tmp_path: Path) -> None:
    model = tiny("llama")
    wrong = [question for question in questions(model) if question.answers == ("none",)]
    with pytest.raises(BadInput, match=f"No question is left to sample answers for: among {len(wrong)} questions"):
        run(model, PLAN, wrong, tmp_path / "a", "a")


@pytest.mark.parametrize("entities", [1, 2])
def test_questions_about_too_few_entities_are_refused_before_anything_is_answered(
    entities: int, tiny: Callable[[str], LoadedModel], tmp_path: Path
) -> None:
    model = tiny("llama")
    asked = [q.model_copy(update={"entity": f"e{n % entities}"}) for n, q in enumerate(questions(model))]
    with pytest.raises(BadInput, match=f"Questions about {entities} entit.* are too few: one of 3 parts is held out"):
        run(model, PLAN, asked, tmp_path / "a", "a")
    assert not (tmp_path / "a").exists()


def test_one_relation_only(tiny: Callable[[str], LoadedModel], tmp_path: Path) -> None:
    model = tiny("llama")
    asked = [question.model_copy(update={"relation": ""}) for question in questions(model)]
    card = run(model, PLAN, asked, tmp_path / "a", "a").report
    assert card is not None and list(card.relations) == [""]
    assert card.left_out is None, "nothing is left to fit on"


def test_no_answer_has_words_that_answer(
    tiny: Callable[[str], LoadedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.identify.answers.items.span_by_rule", lambda *_: None)
    model = tiny("llama")
    with pytest.raises(BadInput, match="the words that answer were not found"):
        run(model, PLAN, questions(model), tmp_path / "a", "a")


def test_a_persons_verdict_counts(tiny: Callable[[str], LoadedModel], tmp_path: Path) -> None:
    model = tiny("llama")
    asked = questions(model)
    first = run(model, PLAN, asked, tmp_path / "a", "a").report
    right = pd.read_parquet(tmp_path / "a" / "items.parquet")
    item = right[right.side == "right"].iloc[0]
    runs.overrule(tmp_path / "a", item.question, item.response, "wrong")
    second = run(model, PLAN, asked, tmp_path / "a", "a").report
    assert first is not None and second is not None
    assert second.funnel.wrong == first.funnel.wrong + 1 and second.funnel.right == first.funnel.right - 1


def test_words_marked_by_a_person_are_those_that_are_read(tiny: Callable[[str], LoadedModel], tmp_path: Path) -> None:
    model = tiny("llama")
    asked = questions(model)
    run(model, PLAN, asked, tmp_path / "a", "a")
    items = pd.read_parquet(tmp_path / "a" / "items.parquet")
    item = items[items.end - items.start > 2].iloc[0]
    runs.mark(tmp_path / "a", item.question, item.response, int(item.start), int(item.start) + 1)
    run(model, PLAN, asked, tmp_path / "a", "a")
    again = pd.read_parquet(tmp_path / "a" / "items.parquet")
    changed = again[again.question == item.question].iloc[0]
    assert (changed.start, changed.end) == (item.start, item.start + 1)
    assert changed.log_odds != item.log_odds
    runs.mark(tmp_path / "a", item.question, item.response, 0, 0)
    assert runs.marked(tmp_path / "a") == {}


def test_a_full_disk_says_so(
    tiny: Callable[[str], LoadedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny("llama")
    asked = questions(model)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pd.DataFrame, "to_parquet", full)
        with pytest.raises(StoreError, match="No space left on device; free some space and resume"):
            run(model, PLAN, asked, tmp_path / "a", "a")
    assert run(model, PLAN, asked, tmp_path / "a", "a", watch=SILENT).report is not None


def test_the_same_plan_gives_the_same_probe(tiny: Callable[[str], LoadedModel], tmp_path: Path) -> None:
    model = tiny("llama")
    asked = questions(model)
    one, other = (run(model, PLAN, asked, tmp_path / name, "a") for name in ("a", "b"))
    assert np.allclose([n.weight for n in one.neurons], [n.weight for n in other.neurons])
    assert whole(tmp_path / "a" / "probe.json") == whole(tmp_path / "b" / "probe.json")


def test_a_fixed_c_beside_the_path_is_the_probes(tiny: Callable[[str], LoadedModel], tmp_path: Path) -> None:
    training = PLAN.training.model_copy(update={"choice": "fixed", "c": 500.0})
    model = tiny("llama")
    probe = run(model, PLAN.model_copy(update={"training": training}), questions(model), tmp_path / "a", "a")
    assert probe.c == 500.0 and probe.report is not None
    assert [point.c for point in probe.report.path] == [10.0, 500.0, 1000.0, 30_000.0]


def test_a_resumed_run_keeps_the_command_it_was_begun_with(tiny: Callable[[str], LoadedModel], tmp_path: Path) -> None:
    model = tiny("llama")
    asked = questions(model)
    run(model, PLAN, asked, tmp_path / "a", "a", "hneurons identify run a --seed 0")
    assert run(model, PLAN, asked, tmp_path / "a", "a", "from the page").command == "hneurons identify run a --seed 0"
