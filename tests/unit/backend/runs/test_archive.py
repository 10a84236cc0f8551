"""Answers of a run begin another one, and travel packed beside the probe that ships."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.engine import Engine
from backend.errors import BadSettings, StoreError, Unknown
from backend.models.loaded import LoadedModel
from backend.probes import library
from backend.runs import archive, runs
from backend.runs.folder import RunFolder
from backend.serve import shelf
from backend.statistics import intervals
from backend.types import IdentifyRequest
from backend.types.identify import Question
from backend.types.plan import Plan
from backend.types.probe import Probe
from backend.watch import Silent
from cache import atomic
from cache.journal import Journal
from tests.unit.backend.identify.made import PLAN, Told, questions

DRAWING = ("answering greedily", "drawing answers")


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HNEURONS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(library, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setattr(intervals, "RESAMPLES", 40)
    return tmp_path


def made(model: LoadedModel, watch: Silent, **fields: object) -> Probe:
    request = IdentifyRequest.model_validate({"name": "a", "plan": PLAN, **fields})
    probe = Engine(model).run("identify", request, watch)
    assert isinstance(probe, Probe)
    return probe


def at_c(plan: Plan, c: float) -> Plan:
    training = plan.training.model_copy(update={"choice": "fixed", "c": c})
    return plan.model_copy(update={"training": training})


@pytest.fixture
def begun(tiny: Callable[[str], LoadedModel]) -> tuple[LoadedModel, tuple[Question, ...], Probe]:
    model = tiny("llama")
    asked = questions(model)
    return model, asked, made(model, Told(), questions=asked)


def test_another_c_is_made_from_the_same_answers_under_its_own_name(
    begun: tuple[LoadedModel, tuple[Question, ...], Probe],
) -> None:
    model, _, first = begun
    told = Told()
    other = made(model, told, name="b", plan=at_c(PLAN, 30_000.0), answers_of="a", command="b from a")
    assert not any(stage.startswith(DRAWING) for stage in told.stages)
    assert other.c == 30_000.0 and other.command == "b from a" and other.questions == first.questions
    assert library.read("a") == first, "the run that it began from is left as it was"
    assert first.report is not None and other.report is not None and first.report.funnel == other.report.funnel


@pytest.mark.parametrize("first", [0, 12], ids=["wider", "some in common"])
def test_a_run_of_other_questions_draws_only_what_the_run_it_began_from_did_not(
    tiny: Callable[[str], LoadedModel], first: int
) -> None:
    """To its end: of 60 questions the first 48 were answered, and all or the last 48 are asked now."""
    model = tiny("llama")
    every = [question.model_copy(update={"relation": "one"}) for question in questions(model, 60)]
    file = Plan.model_validate({**PLAN.model_dump(), "source": {"file": "a.csv", "per_relation": None}})
    other = Plan.model_validate({**PLAN.model_dump(), "source": {"file": "b.csv", "per_relation": None}})
    wanted = every[first:]
    made(model, Told(), plan=file, questions=tuple(every[:48]))
    before = {name: answers_of("a", name) for name in ("greedy", "samples")}
    told = Told()
    renamed = tuple(question.model_copy(update={"id": f"b:{n}"}) for n, question in enumerate(wanted))
    probe = made(model, told, name="b", plan=other, questions=renamed, answers_of="a")
    assert probe.report is not None and probe.report.asked == len(wanted)
    common = len([question for question in wanted if question in every[:48]])
    for name, held in before.items():
        now = answers_of("b", name)
        assert now[: len(held)] == held, "no answer is lost"
        assert len({one["question"] for one in now}) == len(now), "and none drawn twice"
    assert len(answers_of("b", "greedy")) == 48 + len(wanted) - common
    greedy = [stage for stage in told.stages if stage.startswith("answering greedily")]
    assert all(f"answering greedily: {common} of" in stage for stage in greedy[:1])
    assert {question.text for question in asked_in("b")} == {question.text for question in wanted}
    made(model, Told(), name="c", plan=other, questions=asked_in("b"))
    for name in before:
        kept, drawn = ({one["question"]: told_texts(one) for one in answers_of(run, name)} for run in ("b", "c"))
        common_names = drawn.keys() & kept.keys()
        assert len(common_names) >= len(drawn) // 2
        assert {asked: drawn[asked] for asked in common_names} == {asked: kept[asked] for asked in common_names}


def told_texts(record: dict[str, Any]) -> list[str]:
    """Of a greedy answer or of samples; log-probabilities differ in their roundings by who was read beside it."""
    return [answer["text"] for answer in record.get("answers") or [record["answer"]]]


def answers_of(run: str, name: str) -> list[Any]:
    return list(Journal(library.folder_of(run) / f"{name}.jsonl").read())


def asked_in(run: str) -> tuple[Question, ...]:
    return tuple(Question.model_validate(one) for one in Journal(RunFolder(library.folder_of(run)).questions).read())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"sampling": PLAN.sampling.model_copy(update={"seed": 9})},
            "depend on what has changed: how answers are drawn;",
        ),
        ({"source": PLAN.source.model_copy(update={"per_relation": 9})}, "depend on what has changed: the questions;"),
    ],
)
def test_what_answers_hang_on_may_not_change(
    change: dict[str, object], said: str, begun: tuple[LoadedModel, tuple[Question, ...], Probe]
) -> None:
    model, _, _ = begun
    with pytest.raises(BadSettings, match=said):
        made(model, Told(), name="b", plan=PLAN.model_copy(update=change), answers_of="a")
    with pytest.raises(Unknown, match="There is no run 'nobody'"):
        made(model, Told(), name="b", answers_of="nobody")
    assert not library.folder_of("b").joinpath("samples.jsonl").exists()


def test_answers_of_another_model_are_refused(
    begun: tuple[LoadedModel, tuple[Question, ...], Probe], tiny: Callable[[str], LoadedModel]
) -> None:
    with pytest.raises(BadSettings, match="depend on what has changed: the model;"):
        made(tiny("mistral"), Told(), name="b", answers_of="a")


def test_a_run_that_ships_is_looked_at_overruled_and_made_again(
    begun: tuple[LoadedModel, tuple[Question, ...], Probe], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, asked, first = begun
    folder = library.folder_of("a")
    archive.pack(folder, data / "shipped" / "a")
    library.write(data / "shipped" / "a", first, {})
    again = data / "again"
    archive.pack(folder, again)
    for path in (data / "shipped" / "a").glob("*.gz"):
        assert path.read_bytes() == (again / path.name).read_bytes(), "the same answers give the same bytes"
    monkeypatch.setenv("HNEURONS_HOME", str(data / "fresh"))
    listed = shelf.runs({})[0]
    assert (listed.name, listed.questions, listed.done) == ("a", len(asked), True)
    assert listed.sampled > 0 and not library.runs_dir().exists(), "listing unpacks nothing"
    one = next(found for found in shelf.answers("a") if found.verdict == "right")
    shelf.overrule("a", one.question, one.response, "wrong")
    assert library.read("a") == first, "until it is made again, the shipped probe stands"
    told = Told()
    remade = made(model, told, name="a")
    assert not any(stage.startswith(DRAWING) for stage in told.stages)
    assert first.report is not None and remade.report is not None
    assert remade.report.funnel.wrong == first.report.funnel.wrong + 1
    assert library.read("a") == remade and len(shelf.runs({})) == 1


def test_a_full_disk_while_unpacking_says_so(
    begun: tuple[LoadedModel, tuple[Question, ...], Probe], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.pack(library.folder_of("a"), data / "shipped" / "a")
    monkeypatch.setenv("HNEURONS_HOME", str(data / "fresh"))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("backend.runs.archive.gzip.decompress", full)
        with pytest.raises(StoreError, match="cannot be unpacked: No space left on device"):
            shelf.answers("a")
    assert shelf.answers("a"), "the next request works"


def shipped(model: LoadedModel, folder: Path) -> Path:
    """The answers of the run in `folder`, packed as those of a run `b` that ships."""
    packed = library.SHIPPED / "b"
    archive.pack(folder, packed)
    return packed


def test_a_copy_of_what_shipped_earlier_is_renewed_and_what_a_person_decided_in_it_stays(
    tiny: Callable[[str], LoadedModel], tmp_path: Path
) -> None:
    model = tiny("llama")
    asked = questions(model)
    folder = library.folder_of("a")
    with runs.working(folder):
        runs.begin(folder, PLAN, asked, model.info, "earlier")
    packed = shipped(model, folder)
    copy = runs.opened("b")
    runs.overrule(copy, asked[0].id, "an answer", "wrong")
    RunFolder(folder).plan.write_text(RunFolder(folder).plan.read_text().replace("earlier", "later"))
    (folder / "greedy.jsonl").write_text("")
    archive.pack(folder, packed)
    assert runs.begun("b")[0].command == "later" and (copy / "greedy.jsonl").exists()
    assert runs.overrules(copy) == {(asked[0].id, "an answer"): "wrong"}
    assert not archive.is_outdated(packed, copy)


@pytest.mark.parametrize("kept_hashes", [True, False])
@pytest.mark.parametrize("done", ["more answers", "a probe", "nothing"])
def test_a_copy_that_somebody_went_on_from_is_a_run_of_their_own(
    done: str, kept_hashes: bool, tiny: Callable[[str], LoadedModel]
) -> None:
    model = tiny("llama")
    folder = library.folder_of("a")
    with runs.working(folder):
        runs.begin(folder, PLAN, questions(model), model.info, "earlier")
    (folder / "greedy.jsonl").write_text("")
    packed = shipped(model, folder)
    copy = runs.opened("b")
    if not kept_hashes:
        RunFolder(copy).unpacked.unlink()
    if done == "more answers":
        with (copy / "greedy.jsonl").open("a") as journal:
            journal.write("{}\n")
        later = time.time() + 2 * archive.AT_ONCE
        os.utime(copy / "greedy.jsonl", (later, later))
    elif done == "a probe":
        RunFolder(copy).probe.write_text("{}")
    RunFolder(folder).plan.write_text(RunFolder(folder).plan.read_text().replace("earlier", "later"))
    archive.pack(folder, packed)
    assert runs.begun("b")[0].command == ("later" if done == "nothing" else "earlier")


def test_a_renewal_that_was_broken_off_is_made_once_more(
    tiny: Callable[[str], LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny("llama")
    folder = library.folder_of("a")
    with runs.working(folder):
        runs.begin(folder, PLAN, questions(model), model.info, "earlier")
    packed = shipped(model, folder)
    runs.opened("b")
    RunFolder(folder).plan.write_text(RunFolder(folder).plan.read_text().replace("earlier", "later"))
    archive.pack(folder, packed)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        write = atomic.write_bytes

        def until_the_plan(path: Path, *held: Any) -> None:
            if path == RunFolder(path.parent).plan:
                raise KeyboardInterrupt
            write(path, *held)

        patched.setattr(atomic, "write_bytes", until_the_plan)
        runs.opened("b")
    assert runs.begun("b")[0].command == "later"


def test_a_copy_whose_run_is_at_work_is_left_alone(tiny: Callable[[str], LoadedModel]) -> None:
    model = tiny("llama")
    folder = library.folder_of("a")
    with runs.working(folder):
        runs.begin(folder, PLAN, questions(model), model.info, "earlier")
    packed = shipped(model, folder)
    copy = runs.opened("b")
    RunFolder(folder).plan.write_text(RunFolder(folder).plan.read_text().replace("earlier", "later"))
    archive.pack(folder, packed)
    with runs.working(copy):
        assert runs.begun("b")[0].command == "earlier"
    assert runs.begun("b")[0].command == "later"
