"""A run's folder: what is begun there, from what, and what is never written over."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

from backend.errors import BadSettings, StoreError, Unknown
from backend.probes import library
from backend.runs import archive, runs
from backend.serve import shelf
from backend.types.identify import Consistency, Question
from backend.types.plan import Plan
from backend.types.probe import Probe
from tests.fakes import INFO, probe

ASKED = (Question(id="q1", text="Who wrote Emma?", answers=("Jane Austen",), relation="author"),)
OTHER = Plan(filter=Consistency(right=6, wrong=8))


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HNEURONS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(library, "SHIPPED", tmp_path / "shipped")
    return tmp_path


def begun(name: str, plan: Plan) -> Path:
    folder = library.folder_of(name)
    with runs.working(folder):
        runs.begin(folder, plan, ASKED, INFO, f"hneurons identify run {name}")
    return folder


def imported(name: str) -> Probe:
    return shelf.add_probe({"p.csv": b"layer,neuron,weight\n0,1,2.5\n"}, name, INFO, False)


def test_a_run_never_writes_over_a_probe_from_a_file() -> None:
    begun("mine", Plan())
    theirs = imported("theirs")
    before = sorted(library.folder_of("theirs").iterdir())
    with pytest.raises(BadSettings, match="The name theirs is taken: .*; choose another name"):
        begun("theirs", Plan())
    with pytest.raises(BadSettings, match="The name theirs is taken"):
        runs.branch("mine", "theirs", Plan(), INFO)
    assert sorted(library.folder_of("theirs").iterdir()) == before and library.read("theirs") == theirs


def test_a_run_that_ships_is_not_unpacked_over_a_probe_from_a_file(data: Path) -> None:
    # A person's name that a later version ships a run under.
    theirs = imported("ours")
    archive.pack(begun("mine", Plan()), data / "shipped" / "ours")
    with pytest.raises(Unknown, match="There is no run 'ours'"):
        runs.begun("ours")
    assert library.read("ours") == theirs


def test_a_run_is_done_where_its_probe_is_that_of_its_plan() -> None:
    folder = begun("mine", Plan())
    assert not shelf.runs({})[0].done
    library.write(folder, probe("mine").model_copy(update={"plan": Plan()}), {})
    assert shelf.runs({})[0].done
    begun("mine", OTHER)
    assert not shelf.runs({})[0].done, "stopped here, it can be resumed"
    library.write(folder, probe("mine").model_copy(update={"plan": OTHER}), {})
    assert shelf.runs({})[0].done


def test_a_run_that_ships_is_done_until_its_plan_is_changed(data: Path) -> None:
    packed = data / "shipped" / "ours"
    archive.pack(begun("ours", Plan()), packed)
    library.write(packed, probe("ours").model_copy(update={"plan": Plan()}), {})
    shutil.rmtree(library.folder_of("ours"))
    assert shelf.runs({})[0].done
    runs.opened("ours")
    assert [run.done for run in shelf.runs({})] == [True], "unpacked, its probe is the one beside the code"
    begun("ours", OTHER)
    assert [run.done for run in shelf.runs({})] == [False]


@pytest.mark.parametrize(
    ("payload", "why"),
    [(b"\xff\n", "line 1 is not JSON"), (b'{"id": "q1"}\n', "in line 1 text: Field required"),
     (b"", "it holds 0 of 1 questions"), (b'{"id": "q1", "te', "it holds 0 of 1 questions")],
)  # fmt: skip
def test_questions_that_are_damaged_are_told_with_their_file(payload: bytes, why: str) -> None:
    (begun("mine", Plan()) / "questions.jsonl").write_bytes(payload)
    with pytest.raises(StoreError, match=f"mine/questions.jsonl is .*: {why}; begin the run anew, under another name"):
        runs.begun("mine")
    with pytest.raises(BadSettings, match="depend on what has changed: the questions;"):
        begun("mine", Plan())


@pytest.mark.parametrize("record", ['{"question": "q1", "response": "x"}', '{"start": 3}', "{}", "[]", "half a"])
def test_what_a_person_decided_is_never_guessed_at(record: str) -> None:
    folder = begun("mine", Plan())
    for name, decided in (("overrules", runs.overrules), ("marked", runs.marked)):
        (folder / f"{name}.jsonl").write_text(f"\n{record}\n")
        with pytest.raises(StoreError, match=f"mine/{name}.jsonl is damaged: .*line 2 .*; remove that line: what a"):
            decided(folder)


def test_a_folder_that_cannot_be_written_takes_no_verdict_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    begun("mine", Plan())

    def refused(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("filelock.FileLock._acquire", refused)
    with pytest.raises(StoreError, match="Read-only file system"):
        shelf.overrule("mine", "q1", "Emma", "right")
    with pytest.raises(StoreError, match="Read-only file system"):
        shelf.mark("mine", "q1", "Emma", "Emma")


@pytest.mark.parametrize("writing", ["fsync", "to_parquet"])
def test_a_full_disk_leaves_no_part_of_a_file(writing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = begun("mine", Plan())

    def full(held: object, path: object = None, *_: object, **__: object) -> None:
        if isinstance(path, Path):
            path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    before = sorted(folder.iterdir())
    monkeypatch.setattr(os if writing == "fsync" else pd.DataFrame, writing, full)
    with pytest.raises(StoreError, match="No space left on device; free some space and resume"):
        library.write(folder, probe("mine"), {"items": pd.DataFrame({"a": [1]})} if writing == "to_parquet" else {})
    assert sorted(folder.iterdir()) == before
