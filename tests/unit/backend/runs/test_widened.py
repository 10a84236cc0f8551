"""A run can become larger, and no answer of it is lost; what is to be expected of it is told from its first answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.errors import BadInput, BadSettings
from backend.identify import pipeline as running
from backend.identify.answers.screen import outlook
from backend.identify.pipeline import run
from backend.identify.questions import questions as module
from backend.identify.questions.questions import widened, with_known_ids
from backend.models.loaded import LoadedModel
from backend.runs import runs, status
from backend.runs.folder import RunFolder
from backend.statistics import intervals
from backend.types import Event, NoteEvent
from backend.types.identify import Question, Verdict
from backend.types.plan import QuestionSource
from backend.watch import Silent
from cache.journal import Journal
from tests.unit.backend.identify.made import PLAN, Told, questions

FILE = QuestionSource(file="q.csv", per_relation=None)
MANY = tuple(Question(id=f"q:{n}", text=f"Who wrote {n}?", answers=("a",), relation=f"r{n % 2}") for n in range(200))


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 40)


class Noting(Told):
    """Keeps what a person is told besides the stages."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def emit(self, event: Event) -> None:
        super().emit(event)
        if isinstance(event, NoteEvent):
            self.notes.append(event.text)


def limited(limit: int | None) -> QuestionSource:
    return FILE.model_copy(update={"limit": limit})


@pytest.mark.parametrize("more", [61, 120, 200])
def test_a_larger_limit_keeps_what_was_asked_and_fills_up_to_it(more: int) -> None:
    held = module.select_questions(MANY, limited(60), 0)
    found = widened(held, limited(60), module.select_questions(MANY, limited(more), 0), limited(more), 0)
    assert found is not None and len(found) == more and found[:60] == held
    assert len({one.id for one in found}) == len({one.text for one in found}) == more


def test_more_of_each_relation_keeps_what_was_asked_within_the_bound() -> None:
    before, after = (FILE.model_copy(update={"per_relation": count}) for count in (10, 40))
    held = module.select_questions(MANY, before, 0)
    found = widened(held, before, module.select_questions(MANY, after, 0), after, 0)
    assert found is not None and found[: len(held)] == held
    assert [sum(one.relation == name for one in found) for name in ("r0", "r1")] == [40, 40]


def test_rows_put_into_a_file_move_no_answer_to_another_question() -> None:
    held = MANY[:20]
    new = Question(id="q:0", text="A new first row?", answers=("b",))
    moved = [new, *(one.model_copy(update={"id": f"q:{n + 1}"}) for n, one in enumerate(MANY[:20]))]
    found = widened(held, FILE, moved, FILE, 0)
    assert found is not None and found[:20] == held and len(found) == 21
    assert found[20].text == "A new first row?" and found[20].id not in {one.id for one in held}


def test_a_known_answer_that_was_corrected_is_the_one_that_counts() -> None:
    mended = [MANY[0].model_copy(update={"answers": ("b",)}), *MANY[1:5]]
    found = widened(MANY[:5], FILE, mended, FILE, 0)
    assert found is not None and found[0].answers == ("b",) and found[0].id == MANY[0].id


@pytest.mark.parametrize(
    ("given", "source"),
    [
        (MANY[1:60], FILE),
        (MANY[100:], FILE),
        (MANY[:30], limited(30)),
        (
            tuple(one for one in MANY if one.relation == "r1"),
            FILE.model_copy(update={"relations": ("r1",), "limit": 99}),
        ),
        (MANY[30:], FILE.model_copy(update={"file": "other.csv", "limit": 170})),
    ],
    ids=["fewer", "others", "a smaller limit", "another relation alone", "another file"],
)
def test_a_run_never_becomes_smaller_or_another(given: tuple[Question, ...], source: QuestionSource) -> None:
    assert widened(MANY[:60], FILE, given, source, 0) is None


def test_another_run_begins_with_the_answers_to_the_questions_that_both_ask() -> None:
    held = tuple(one.model_copy(update={"id": f"old {one.id}"}) for one in MANY[:10])
    found = with_known_ids(held, MANY[5:15])
    assert found is not None and [one.id for one in found[:5]] == [one.id for one in held[5:]]
    assert {one.text for one in found} == {one.text for one in MANY[5:15]}
    assert with_known_ids(held, MANY[50:]) is None


def test_a_run_that_had_too_few_answers_is_widened_and_draws_none_of_them_again(
    tiny: Callable[[str], LoadedModel], tmp_path: Path
) -> None:
    model = tiny("llama")
    every = [question.model_copy(update={"relation": "one"}) for question in questions(model, 60)]
    folder, told = tmp_path / "a", Noting()
    with pytest.raises(BadInput, match=r"are too few: .*; widen the run: ask more questions, or soften the filter"):
        run(model, PLAN, every[:20], folder, "a", watch=told)
    assert any("; 10 of each are needed. Widen the run to about" in note for note in told.notes)
    held = status.failure(folder)
    assert held is not None and "are too few" in held["what"]
    before = {name: Journal(folder / f"{name}.jsonl").read() for name in ("greedy", "samples")}
    told = Noting()
    probe = run(model, PLAN, every, folder, "a", watch=told)
    assert probe.report is not None and probe.report.asked == len(every)
    assert status.failure(folder) is None and "about" in status.read_outlook(folder)[0]
    assert "answering greedily: 20 of 60" in told.stages[0], "counting goes on where it was"
    for name, records in before.items():
        now = Journal(folder / f"{name}.jsonl").read()
        assert now[: len(records)] == records and len({one["question"] for one in now}) == len(now)


def test_more_samples_are_added_to_those_that_are_there_and_are_those_of_a_run_that_began_with_them(
    tiny: Callable[[str], LoadedModel], tmp_path: Path
) -> None:
    model = tiny("llama")
    asked = questions(model)
    plan = PLAN.model_copy(update={"sampling": PLAN.sampling.model_copy(update={"samples": 4})})
    run(model, PLAN, asked, tmp_path / "a", "a")
    first = {one["question"]: one for one in Journal(tmp_path / "a" / "samples.jsonl").read()}
    run(model, plan, asked, tmp_path / "a", "a")
    run(model, plan, asked, tmp_path / "b", "b")
    wide, fresh = (
        {one["question"]: one for one in Journal(tmp_path / name / "samples.jsonl").read()} for name in ("a", "b")
    )
    assert wide == fresh and all(wide[id]["answers"][:3] == one["answers"] for id, one in first.items())
    other = PLAN.model_copy(update={"sampling": PLAN.sampling.model_copy(update={"temperature": 0.9})})
    with pytest.raises(BadSettings, match="depend on what has changed: how answers are drawn;"):
        run(model, other, asked, tmp_path / "a", "a")


def test_a_question_that_is_put_otherwise_to_the_model_is_another_one(
    tiny: Callable[[str], LoadedModel], tmp_path: Path
) -> None:
    model = tiny("llama")
    asked = questions(model)
    run(model, PLAN, asked, tmp_path / "a", "a")
    plan = json.loads((tmp_path / "a" / "plan.json").read_text())
    (tmp_path / "a" / "plan.json").write_text(json.dumps({**plan, "put": "0" * 64}))
    with pytest.raises(BadSettings, match="depend on what has changed: how a question is put to the model;"):
        run(model, PLAN, asked, tmp_path / "a", "a")
    (tmp_path / "a" / "plan.json").write_text(json.dumps({key: plan[key] for key in plan if key != "put"}))
    run(model, PLAN, asked, tmp_path / "a", "a")


def test_a_pilot_at_random_is_answered_first_and_what_is_to_be_expected_told(
    tiny: Callable[[str], LoadedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "PILOT", 12)
    model, told = tiny("llama"), Noting()
    run(model, PLAN, questions(model), tmp_path / "a", "a", watch=told)
    greedy = [stage for stage in told.stages if stage.startswith("answering greedily")]
    drawing = next(place for place, stage in enumerate(told.stages) if stage.startswith("drawing"))
    assert "of 12" in greedy[0] and "of 48" in greedy[-1]
    assert drawing < told.stages.index(next(stage for stage in greedy if "of 48" in stage))
    assert told.notes and told.notes[0].startswith("Of the first 12 answers")
    assert len({one["question"] for one in Journal(tmp_path / "a" / "samples.jsonl").read()}) > 12


@pytest.mark.parametrize(
    ("right", "seen", "asked", "short"), [(2, 60, 180, True), (30, 60, 180, False), (0, 60, 10_000, True)]
)
def test_the_outlook_follows_the_share_of_right_answers(right: int, seen: int, asked: int, short: bool) -> None:
    every = [Question(id=f"q{n}", text="Who?", answers=("a",), relation="one") for n in range(asked)]
    greedy: dict[str, Verdict] = {f"q{n}": "right" if n < right else "wrong" for n in range(seen)}
    found = outlook(every, greedy, {}, 10)
    assert found.short == short
    # The share of the pilot, times what is asked; what is not known is drawn to the same share.
    assert found.expected == pytest.approx(asked * right / seen, rel=0.1, abs=1)


def test_right_and_wrong_answers_of_two_kinds_are_not_counted_together() -> None:
    every = [Question(id=f"q{n}", text="Who?", answers=("a",), relation=f"r{n % 2}") for n in range(120)]
    greedy: dict[str, Verdict] = {f"q{n}": "right" if n % 2 else "wrong" for n in range(120)}
    assert outlook(every, greedy, {}, 10).expected == 0


class Waiting(Silent):
    """Of a service: what it breaks off it takes up again, unless a person stopped it."""

    def __init__(self, left: int, by_person: bool) -> None:
        self.left, self.by_person = left, by_person

    def emit(self, event: Event) -> None:
        self.left -= 1

    def stopped(self) -> bool:
        return self.left < 0

    def goes_on(self) -> bool:
        return not (self.by_person and self.left < 0)


@pytest.mark.parametrize("by_person", [False, True])
def test_a_run_that_is_broken_off_is_known_and_one_that_a_person_stopped_is_left(
    by_person: bool, tiny: Callable[[str], LoadedModel], tmp_path: Path
) -> None:
    model = tiny("llama")
    with pytest.raises(Exception, match="."):
        run(model, PLAN, questions(model), tmp_path / "a", "a", watch=Waiting(3, by_person))
    assert status.broken_off(tmp_path / "a") is not by_person
    with runs.working(tmp_path / "a"):
        assert not status.broken_off(tmp_path / "a"), "it is at work"


def test_a_run_that_ends_its_program_each_time_is_not_taken_up_for_ever(tmp_path: Path) -> None:
    for tries, again in ((1, True), (status.TRIES, False)):
        RunFolder(tmp_path).going.write_text(json.dumps({"tries": tries}))
        assert status.broken_off(tmp_path) is again
