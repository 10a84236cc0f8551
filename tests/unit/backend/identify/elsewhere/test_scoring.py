"""A probe on questions that it was not made from: the same score as where it was made, nothing computed twice, and
what cannot be measured is said."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from backend.errors import BadInput, BadPrompt, Stopped, StoreError
from backend.identify.answers.responses import greedy_answers
from backend.identify.elsewhere import readings, scoring
from backend.identify.elsewhere.readings import RANDOM_SETS, Reader
from backend.identify.features.extract import text_of_item
from backend.identify.features.regions import ItemText
from backend.identify.pipeline import run
from backend.identify.questions.questions import wording_key
from backend.models.loaded import LoadedModel
from backend.neurons import NeuronId
from backend.probes import library
from backend.probes.scoring import Scorer
from backend.runs.folder import RunFolder, ScoringFolder
from backend.statistics import intervals
from backend.types import Event, StageEvent
from backend.types.identify import Item, Question, RegionRule
from backend.types.names import ProbeRef
from backend.types.probe import Probe, ProbeNeuron
from backend.types.scoring import ScoreRequest, Scoring
from backend.watch import SILENT, Silent, Watch
from cache.files import turn
from cache.journal import Journal
from tests.places import REPOSITORY
from tests.unit.backend.identify.made import PLAN, SAMPLING, Told, questions

REF = ProbeRef(name="mine", digest="0" * 64)


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """The width of an interval is tested elsewhere."""
    monkeypatch.setattr(intervals, "RESAMPLES", 40)


def probe(model: LoadedModel, **fields: Any) -> Probe:
    """Five neurons in two layers, three of them H-neurons."""
    weights = {(0, 3): 4.0, (0, 9): 2.5, (1, 5): 3.0, (1, 11): -2.0, (0, 14): -6.0}
    neurons = tuple(
        ProbeNeuron(neuron=NeuronId(layer, index), weight=weight) for (layer, index), weight in weights.items()
    )
    made = Probe(name="mine", model=model.info, plan=PLAN, intercept=-0.1, neurons=neurons)
    return made.model_copy(update=fields)


def scored(
    model: LoadedModel,
    made: Probe,
    asked: tuple[Question, ...],
    folder: Path,
    trained_on: frozenset[str] | None = frozenset(),
    watch: Watch = SILENT,
    **fields: Any,
) -> Scoring:
    request = ScoreRequest(probe=REF, questions=asked, **fields)
    return scoring.score(model, Scorer(REF, made, folder / "none"), trained_on, request, folder / "scores", watch)


def folder_of(folder: Path) -> ScoringFolder:
    (only,) = (folder / "scores").iterdir()
    return ScoringFolder(only)


def lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines()


@pytest.mark.parametrize("position", ["answer", "both"])
def test_an_answer_scores_as_it_did_where_the_probe_was_made(
    position: str, tiny: Callable[[str], LoadedModel], tmp_path: Path
) -> None:
    """The items of a run, scored again by its own probe as if they were other questions."""
    model = tiny("llama")
    asked = questions(model)
    plan = PLAN.model_copy(update={"rule": RegionRule.model_validate({"position": position})})
    made = run(model, plan, asked, tmp_path / "a", "a")
    assert made.rule.position == position
    found = scored(model, made, asked, tmp_path)
    assert found.n.given == found.n.asked == len(asked) and found.n.in_training == 0
    items = pd.read_parquet(tmp_path / "a" / "items.parquet")
    new_id = {old.id: new.id for old, new in zip(asked, scoring.named_by_content(asked), strict=True)}
    items = items.assign(question=items.question.map(new_id)).set_index("question")
    reader = Reader(model, Scorer(REF, made, tmp_path), SAMPLING)
    named = scoring.named_by_content(asked)
    kept = greedy_answers(model, named, SAMPLING, Journal(folder_of(tmp_path).greedy))
    by_id = {question.id: question for question in named}
    scored_items = scoring.items_of(kept, by_id, "phrase")
    read = readings.read(reader, scored_items, by_id, Journal(folder_of(tmp_path).readings), SILENT)
    weights = np.array([one.weight for one in sorted(made.neurons, key=lambda one: one.neuron)])
    log_odds = dict(zip((item.question for item in scored_items), read.cett @ weights + made.intercept, strict=True))
    shared = [question for question in items.index if question in log_odds]
    assert len(shared) > 10
    # Each answer is read in a batch of others here: sums of float32 in another order, and then times large weights.
    scale = np.abs(items.log_odds).max()
    assert [log_odds[question] for question in shared] == pytest.approx(
        items.log_odds[shared].tolist(), abs=1e-4 * scale
    )
    wrong = np.array([item.side == "wrong" for item in scored_items])
    area = roc_auc_score(wrong, [log_odds[item.question] for item in scored_items])
    assert found.auroc.probe is not None and found.auroc.probe.value == pytest.approx(area, abs=1e-9)
    positive = weights > 0
    assert found.auroc.positive is not None
    assert found.auroc.positive.value == pytest.approx(roc_auc_score(wrong, read.cett[:, positive] @ weights[positive]))
    assert found.accuracy is not None
    balanced = balanced_accuracy_score(wrong, np.array(list(log_odds.values())) > 0)
    assert found.accuracy.value == pytest.approx(balanced)
    here = {one.neuron: one.here for one in found.neurons}
    for column, neuron in enumerate(sorted(here)):
        assert here[neuron] == pytest.approx(roc_auc_score(wrong, read.cett[:, column]))


def test_questions_of_the_probes_own_items_are_left_out_and_told(
    tiny: Callable[[str], LoadedModel], tmp_path: Path
) -> None:
    model = tiny("llama")
    asked = questions(model)
    own = frozenset(wording_key(question.text) for question in asked[:12])
    found = scored(model, probe(model), (*asked, *asked[20:23]), tmp_path, own)
    assert (found.n.given, found.n.in_training, found.n.asked) == (len(asked), 12, len(asked) - 12)
    assert any("12 questions stand in the probe's own items" in sentence for sentence in found.sentences)
    with pytest.raises(BadInput, match="Every question stands in the probe's own items"):
        scored(model, probe(model), asked[:12], tmp_path, own)
    unknown = scored(model, probe(model), asked, tmp_path, None)
    assert any("are not known, so none could be left out" in sentence for sentence in unknown.sentences)


def test_a_question_of_the_probe_is_known_in_another_writing(
    tiny: Callable[[str], LoadedModel], tmp_path: Path
) -> None:
    model = tiny("llama")
    asked = questions(model)
    own = frozenset(wording_key(text) for text in ("Who wrote “Emma”?", "item 1, what?", "???"))
    others = [
        Question(id=f"o{n}", text=text, answers=("none",))
        for n, text in enumerate(('who wrote "Emma"', "ITEM 1 WHAT", "?? ?", "Who wrote Emma and more?"))
    ]
    found = scored(model, probe(model), (*asked[2:], *others), tmp_path, own)
    assert found.n.in_training == 2, "a text of signs alone is known as it stands, and no more is taken for the same"


def test_a_file_that_was_renamed_is_not_answered_again(tiny: Callable[[str], LoadedModel], tmp_path: Path) -> None:
    model, stages = tiny("llama"), Told()
    asked = questions(model)
    renamed = tuple(q.model_copy(update={"id": f"other-{q.id}", "source": "other.csv"}) for q in asked)
    first = scored(model, probe(model), asked, tmp_path, source="one.csv")
    again = scored(model, probe(model), renamed, tmp_path, watch=stages, source="other.csv")
    assert stages.stages == ["computing the figures"] and again.auroc == first.auroc
    assert again.source == "other.csv"


def test_a_larger_limit_goes_on_from_the_answers_of_a_smaller_one(
    tiny: Callable[[str], LoadedModel], tmp_path: Path
) -> None:
    model, stages = tiny("llama"), Told()
    asked = questions(model)
    few = scored(model, probe(model), asked, tmp_path, limit=20)
    first = lines(folder_of(tmp_path).greedy)
    assert few.n.asked == len(first) == 20
    more = scored(model, probe(model), asked, tmp_path, watch=stages, limit=30)
    after = lines(folder_of(tmp_path).greedy)
    assert more.n.asked == len(after) == 30 and after[:20] == first
    assert any("20 of 30" in stage for stage in stages.stages)
    again = Told()
    repeated = scored(model, probe(model), asked, tmp_path, watch=again, limit=30)
    assert again.stages == ["computing the figures"]
    assert repeated.model_copy(update={"made": more.made}) == more
    fresh = scored(model, probe(model), asked, tmp_path / "alone", limit=30)
    assert fresh.n == more.n
    assert Scoring.model_validate_json(folder_of(tmp_path).result.read_bytes()) == repeated
    assert scored(model, probe(model), asked, tmp_path, limit=10).n.asked == 10
    kept = Scoring.model_validate_json(folder_of(tmp_path).result.read_bytes())
    assert kept == repeated, "one of fewer questions takes nobody's figures away"


@pytest.mark.parametrize(("missing", "count"), [("right", 12), ("wrong", 12), ("right", 1), ("wrong", 1)])
def test_where_one_side_is_missing_it_is_said_before_the_rest_is_asked(
    missing: str, count: int, tiny: Callable[[str], LoadedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "LOOK", 6)
    model = tiny("llama")
    is_right = [question.answers != ("none",) for question in questions(model)]
    asked = tuple(q for q, right in zip(questions(model), is_right, strict=True) if right == (missing == "wrong"))[
        :count
    ]
    if count > 6:
        with pytest.raises(BadInput, match=f"None of the first 6 answers is {missing}") as caught:
            scored(model, probe(model), asked, tmp_path)
        assert "12 questions" in caught.value.why and "--go-on" in caught.value.instead
        assert len(lines(folder_of(tmp_path).greedy)) == 6
    found = scored(model, probe(model), asked, tmp_path, go_on=True)
    assert found.n.asked == count and found.auroc.probe is None and found.accuracy is None
    assert "nothing can be told apart" in found.sentences[0]


def test_a_question_or_answer_too_long_for_the_model_is_left_out_and_stops_nothing(
    tiny: Callable[[str], LoadedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny("llama")
    asked = questions(model)
    long = Question(id="long", text="what? " * model.info.context, answers=("none",))
    found = scored(model, probe(model), (*asked, long), tmp_path / "a")
    assert found.n.unaskable == 1 and found.n.asked == len(asked) == found.n.given - 1
    assert any("too long for the model" in sentence for sentence in found.sentences)
    with pytest.raises(BadPrompt, match="too long"):
        scored(model, probe(model), (long,), tmp_path / "c")
    # An answer may take more tokens when it is read than when it was written.
    named = scoring.named_by_content(asked)
    lost = scoring.items_of(
        greedy_answers(model, named, SAMPLING, Journal(folder_of(tmp_path / "a").greedy)),
        {question.id: question for question in named}, "phrase",
    )[0].question  # fmt: skip
    read = text_of_item

    def too_long(model: LoadedModel, item: Item, *rest: Any) -> ItemText:
        if item.question == lost:
            raise BadPrompt("The text is too long by 3 tokens", "it has 131", "shorten it")
        return read(model, item, *rest)

    monkeypatch.setattr(readings, "text_of_item", too_long)
    fewer = scored(model, probe(model), (*asked, long), tmp_path / "b")
    assert fewer.n.without_words == found.n.without_words + 1
    assert fewer.n.scored_right + fewer.n.scored_wrong == found.n.scored_right + found.n.scored_wrong - 1


@pytest.mark.parametrize("count", [9, 10])
def test_of_a_handful_nothing_is_to_be_read(count: int, tiny: Callable[[str], LoadedModel], tmp_path: Path) -> None:
    model = tiny("llama")
    found = scored(model, probe(model), questions(model)[:count], tmp_path)
    assert found.auroc.probe is not None and found.auroc.together is None
    assert "too few, so nothing is to be read from these figures" in found.sentences[0]


def test_random_sets_have_the_layers_and_weights_of_the_h_neurons_and_none_of_the_probe(
    tiny: Callable[[str], LoadedModel], tmp_path: Path
) -> None:
    model = tiny("llama")
    made, layout = probe(model), model.info.layout
    sets, why = Reader(model, Scorer(REF, made, tmp_path), SAMPLING).random_sets
    assert len(sets) == RANDOM_SETS and not why
    own = {one.neuron for one in made.neurons}
    weights = {one.neuron: one.weight for one in made.neurons if one.weight > 0}
    for one in sets:
        neurons = layout.neurons(one.columns)
        assert not own & set(neurons) and len(set(neurons)) == 3
        by_layer = sorted((neuron.layer, weight) for neuron, weight in zip(neurons, one.weights, strict=True))
        assert by_layer == sorted((neuron.layer, weight) for neuron, weight in weights.items())
    found = scored(model, made, questions(model), tmp_path)
    assert found.random_sets == RANDOM_SETS and found.auroc.random is not None and found.auroc.better is not None
    assert any("the figures are uncertain" in sentence for sentence in found.sentences), found.n
    assert found.auroc.positive is not None
    assert found.auroc.better.value == pytest.approx(found.auroc.positive.value - found.auroc.random.value)


def test_a_layer_without_enough_others_has_no_random_sets_and_says_so(
    tiny: Callable[[str], LoadedModel], tmp_path: Path
) -> None:
    model = tiny("llama")
    all_of_one = tuple(ProbeNeuron(neuron=NeuronId(0, index), weight=1.0) for index in range(model.info.widths[0]))
    found = scored(model, probe(model, neurons=all_of_one), questions(model), tmp_path)
    assert found.random_sets == 0 and found.auroc.random is None and found.auroc.positive is not None
    assert "layer 0 has only 0 others" in found.sentences[0]


def test_a_probe_without_h_neurons_is_scored_all_the_same(tiny: Callable[[str], LoadedModel], tmp_path: Path) -> None:
    model = tiny("llama")
    negative = tuple(one for one in probe(model).neurons if one.weight < 0)
    found = scored(model, probe(model, neurons=negative), questions(model), tmp_path)
    assert found.auroc.positive is None and found.auroc.negative is not None and found.held is None
    assert "The probe has no H-neuron." in found.sentences


CHILD = """
import sys
from pathlib import Path
from backend.identify.features import extract
from backend.identify.elsewhere import readings
from backend.statistics import intervals
from tests.conftest import wrapped
from tests.unit.backend.identify.elsewhere.test_scoring import probe, scored
from tests.unit.backend.identify.made import KillAt, questions
intervals.RESAMPLES = 40
readings.BLOCK = 8
model = wrapped(Path(sys.argv[1]), "tiny-llama")
scored(model, probe(model), questions(model), Path(sys.argv[2]), watch=KillAt(int(sys.argv[3])))
"""


def test_a_killed_scoring_goes_on_and_ends_the_same(
    tiny: Callable[[str], LoadedModel], tiny_folder: Callable[[str], Path], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("backend.identify.elsewhere.readings.BLOCK", 8)
    model, stages = tiny("llama"), Told()
    asked = questions(model)
    whole = scored(model, probe(model), asked, tmp_path / "whole", watch=stages)
    begins = next(number for number, stage in enumerate(stages.stages) if stage.startswith("reading"))
    for events in (1, begins):
        child = subprocess.run(
            [sys.executable, "-c", CHILD, str(tiny_folder("llama")), str(tmp_path / "killed"), str(events)],
            cwd=REPOSITORY,
            capture_output=True,
            check=False,
        )
        assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    kept = folder_of(tmp_path / "killed")
    assert kept.greedy.exists() and not kept.result.exists()
    found = scored(model, probe(model), asked, tmp_path / "killed")
    assert found.model_copy(update={"made": whole.made}) == whole
    for name in ("greedy", "readings"):
        of_killed, of_whole = (lines(getattr(folder_of(tmp_path / one), name)) for one in ("killed", "whole"))
        assert len(of_killed) == len(set(of_killed)) == len(of_whole)


def test_a_reading_that_lacks_a_number_is_read_again(tiny: Callable[[str], LoadedModel], tmp_path: Path) -> None:
    model = tiny("llama")
    asked = questions(model)
    whole = scored(model, probe(model), asked, tmp_path)
    journal = folder_of(tmp_path).readings
    kept = [json.loads(line) for line in lines(journal)]
    kept[0]["cett"] = kept[0]["cett"][1:]
    kept[1]["random"] = []
    journal.write_text("".join(json.dumps(record) + "\n" for record in kept))
    found = scored(model, probe(model), asked, tmp_path)
    # Two answers are read in another batch than before, which may change a last digit and so an AUROC by a pair.
    assert found.n == whole.n and found.auroc.probe is not None and whole.auroc.probe is not None
    assert found.auroc.probe.value == pytest.approx(whole.auroc.probe.value, abs=0.02)
    assert len(lines(journal)) == len(kept) + 2
    journal.write_text("{]\n" + journal.read_text())
    with pytest.raises(StoreError, match="damaged") as caught:
        scored(model, probe(model), asked, tmp_path)
    assert "read again" in caught.value.instead


def test_a_data_folder_that_cannot_be_written_is_told(tiny: Callable[[str], LoadedModel], tmp_path: Path) -> None:
    model = tiny("llama")
    (tmp_path / "scores").write_text("a file in its place")
    with pytest.raises(StoreError, match="cannot be written"):
        scored(model, probe(model), questions(model), tmp_path)


def test_of_two_at_once_the_second_waits_and_computes_nothing_again(
    tiny: Callable[[str], LoadedModel], tmp_path: Path
) -> None:
    model, stages = tiny("llama"), Told()
    asked = questions(model)
    first = scored(model, probe(model), asked, tmp_path)
    results: list[Scoring] = []
    with turn(folder_of(tmp_path).lock, 0):
        second = threading.Thread(
            target=lambda: results.append(scored(model, probe(model), asked, tmp_path, watch=stages))
        )
        second.start()
        until = time.monotonic() + 60
        while not stages.stages and time.monotonic() < until:
            time.sleep(0.05)
        assert stages.stages == ["waiting: another program scores this probe on these questions"] and not results
    second.join(60)
    assert results[0].auroc == first.auroc
    assert stages.stages[1:] == ["computing the figures"]


def test_one_that_waits_can_be_stopped(tiny: Callable[[str], LoadedModel], tmp_path: Path) -> None:
    class StopWhileWaiting(Silent):
        told = False

        def emit(self, event: Event) -> None:
            self.told = isinstance(event, StageEvent)

        def stopped(self) -> bool:
            return self.told

    model = tiny("llama")
    scored(model, probe(model), questions(model), tmp_path)
    with turn(folder_of(tmp_path).lock, 0), pytest.raises(Stopped):
        scored(model, probe(model), questions(model), tmp_path, watch=StopWhileWaiting())


def test_another_plan_probe_seed_or_window_is_another_folder(
    tiny: Callable[[str], LoadedModel], tmp_path: Path
) -> None:
    model = tiny("llama")
    asked = questions(model)[:6]
    suffixed = SAMPLING.model_copy(update={"suffix": " Say"})
    longer = PLAN.model_copy(update={"sampling": SAMPLING.model_copy(update={"max_new_tokens": 5})})
    scored(model, probe(model), asked, tmp_path)
    scored(model, probe(model), asked, tmp_path, seed=1)
    scored(model, probe(model, plan=longer), asked, tmp_path)
    scored(model, probe(model, plan=PLAN.model_copy(update={"sampling": suffixed})), asked, tmp_path)
    scored(model, probe(model), asked[:5], tmp_path)
    assert len(list((tmp_path / "scores").iterdir())) == 5
    other = ProbeRef(name="mine", digest="1" * 64)
    request = ScoreRequest(probe=other, questions=asked)
    scoring.score(model, Scorer(other, probe(model), tmp_path), frozenset(), request, tmp_path / "scores")
    assert len(list((tmp_path / "scores").iterdir())) == 6


def test_the_questions_of_its_items_are_those_it_was_fitted_and_judged_on(
    tiny: Callable[[str], LoadedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backend.probes.standing import questions_of_items

    monkeypatch.setenv("HNEURONS_HOME", str(tmp_path))
    model = tiny("llama")
    made = run(model, PLAN, questions(model), tmp_path / "a", "a")
    own = questions_of_items(made, tmp_path / "a")
    items = pd.read_parquet(tmp_path / "a" / "items.parquet")
    assert own is not None and {question.id for question in own} == set(items.question)
    assert questions_of_items(made.model_copy(update={"imported": "theirs.json"}), tmp_path / "a") is None
    assert questions_of_items(made, tmp_path / "nowhere") is None
    journal = RunFolder(tmp_path / "a").questions
    journal.write_text("".join(f"{line}\n" for line in lines(journal)[:-6]))
    assert questions_of_items(made, tmp_path / "a") is None, "some would be scored as if they were new"
    shipped, folder = library.read("smollm2-135m-instruct"), library.SHIPPED / "smollm2-135m-instruct"
    of_shipped = questions_of_items(shipped, folder)
    assert of_shipped is not None and shipped.report is not None
    assert len(of_shipped) == shipped.report.train_items + shipped.report.test_items
