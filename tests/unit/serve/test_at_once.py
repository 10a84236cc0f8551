"""Many people at once: the first look at the run that ships, and verdicts on one run."""

from __future__ import annotations

import gzip
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backend.errors import HNeuronsError, StoreError
from backend.probes import library
from backend.runs import archive, runs
from backend.serve import shelf
from backend.types.identify import Question
from backend.types.plan import Plan
from tests.fakes import INFO
from tests.unit.cache.test_files import MANY, in_processes, rights, together

FIRST = """
import os, sys
os.environ["HNEURONS_HOME"] = sys.argv[1]
from backend.runs import runs
def one(number):
    held, questions = runs.begun("smollm2-135m-instruct")
    assert len(questions) == held.question_count
"""
ASKED = tuple(
    Question(id=f"q{n}", text=f"Who wrote number {n}?", answers=("Jane Austen",), relation="r") for n in range(MANY)
)


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HNEURONS_HOME", str(tmp_path / "home"))
    return tmp_path


def begun() -> Path:
    folder = library.folder_of("mine")
    with runs.working(folder):
        runs.begin(folder, Plan(), ASKED, INFO, "hneurons identify run mine")
    return folder


def test_processes_that_use_the_run_that_ships_first_at_once_all_find_it(tmp_path: Path) -> None:
    assert in_processes(FIRST, str(tmp_path / "home")) == ""
    folder = library.folder_of("smollm2-135m-instruct")
    for name in ("greedy", "samples"):
        packed = library.SHIPPED / folder.name / f"{name}.jsonl.gz"
        assert (folder / f"{name}.jsonl").read_bytes() == gzip.decompress(packed.read_bytes())
    assert [path.name for path in folder.rglob("*") if rights(path) & 0o077 or path.suffix == ".part"] == []


def test_threads_that_use_the_run_that_ships_first_at_once_unpack_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "SHIPPED", tmp_path / "shipped")
    archive.pack(begun(), tmp_path / "shipped" / "ours")
    unpacked: list[int] = []
    plain = archive._write_unpacked

    def counting(packed: Path, folder: Path) -> None:
        unpacked.append(1)
        plain(packed, folder)

    monkeypatch.setattr(archive, "_write_unpacked", counting)
    together(lambda number: assert_whole())
    assert unpacked == [1]


def assert_whole() -> None:
    assert len(runs.begun("ours")[1]) == MANY


def test_thirty_verdicts_at_once_are_all_kept() -> None:
    begun()

    def one(number: int) -> str:
        try:
            shelf.overrule("mine", f"q{number}", "Emma", "wrong")
            shelf.mark("mine", f"q{number}", "Emma", "Emma")
        except HNeuronsError as error:
            return error.sentence
        return ""

    with ThreadPoolExecutor(MANY) as pool:
        assert list(pool.map(one, range(MANY))) == [""] * MANY
    folder = library.folder_of("mine")
    assert len(runs.overrules(folder)) == len(runs.marked(folder)) == MANY


def test_one_of_many_probes_of_one_name_is_taken_and_the_others_say_why() -> None:
    def one(number: int) -> str:
        try:
            shelf.add_probe({"p.csv": b"layer,neuron,weight\n0,1,2.5\n"}, "theirs", INFO, False)
        except HNeuronsError as error:
            return error.sentence
        return ""

    with ThreadPoolExecutor(8) as pool:
        told = sorted(pool.map(one, range(8)))
    assert told[0] == "" and all("The name theirs is taken" in words for words in told[1:])


def test_a_packed_run_that_is_damaged_is_not_taken_for_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "SHIPPED", tmp_path / "shipped")
    archive.pack(begun(), tmp_path / "shipped" / "ours")
    (tmp_path / "shipped" / "ours" / "questions.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(StoreError, match="the packed file is damaged; install the program again"):
        runs.begun("ours")
