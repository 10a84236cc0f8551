"""A run's folder: what is begun there, from what, and what is never written over."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pandas as pd
import pytest

from backend.errors import BadSettings, StoreError, Unknown
from backend.identify import archive, library, runs
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
    return shelf.take({"p.csv": b"layer,neuron,weight\n0,1,2.5\n"}, name, INFO, False)


def test_a_run_never_writes_over_a_probe_from_a_file() -> None:
    begun("mine", Plan())
    theirs = imported("theirs")
    before = sorted(library.folder_of("theirs").iterdir())
    with pytest.raises(BadSettings, match="The name theirs is taken: .*; choose another name"):
        begun("theirs", Plan())
    with pytest.raises(BadSettings, match="The name theirs is taken"):
        runs.branch("mine", "theirs", Plan(), INFO)
    assert sorted(library.folder_of("theirs").iterdir()) == before and library.read("theirs") == theirs


def test_nothing_of_a_file_stays_where_the_disk_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    imported("mine")
    folder = library.folder_of("mine")
    before = {path: path.read_bytes() for path in folder.iterdir()}

    def cut(path: Path, text: str, encoding: str) -> None:
        path.write_bytes(text[:9].encode(encoding))
        raise OSError(errno.ENOSPC, "No space left on device")

    class Table(pd.DataFrame):
        def to_parquet(self, path: Path, index: bool) -> None:
            cut(path, "PAR1 and more", "utf-8")

    with pytest.raises(StoreError, match="The probe mine cannot be written: No space left on device"):
        library.write(folder, probe("mine"), {"neurons": Table()})
    monkeypatch.setattr(Path, "write_text", cut)
    with pytest.raises(StoreError, match="cannot be written: No space left on device"):
        library.write(folder, probe("mine"), {})
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_run_that_ships_is_not_unpacked_over_a_probe_from_a_file(data: Path) -> None:
    archive.pack(begun("ours", Plan()), data / "shipped" / "ours")
    shutil.rmtree(library.folder_of("ours"))
    theirs = imported("ours")
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
