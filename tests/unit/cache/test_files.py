"""Many writers at once, threads and processes, end with whole files that nobody else can read."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cache import atomic
from cache.errors import StoreProblem, remedy
from cache.files import Taken, is_held, own_folder, turn
from cache.journal import Journal
from cache.store import Store
from tests.places import REPOSITORY

MANY = 32

WRITER = """
import sys
from pathlib import Path
from cache import atomic
from cache.journal import Journal
folder = Path(sys.argv[1])
def one(number):
    atomic.write_text(folder / "one.json", str(number) * 20_000)
    with Journal(folder / "many.jsonl").writing(wait=60):
        Journal(folder / "many.jsonl").append([{"number": number}])
"""
FORKED = """
import os, traceback
children = []
for number in range(int(sys.argv[-1])):
    child = os.fork()
    if child == 0:
        try:
            one(number)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    children.append(child)
failed = sum(os.waitpid(child, 0)[1] != 0 for child in children)
sys.exit(f"{failed} of {len(children)} failed" if failed else 0)
"""


def together(one: Callable[[int], None], count: int = MANY) -> None:
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(one, range(count)))


def in_processes(code: str, *arguments: str, count: int = MANY) -> str:
    """What so many processes that run `one(number)` of the code at once say; '' where all end well."""
    ended = subprocess.run(
        [sys.executable, "-c", code + FORKED, *arguments, str(count)], cwd=REPOSITORY, capture_output=True, check=False
    )
    return ended.stderr.decode() if ended.returncode else ""


def whole_and_alone(folder: Path) -> None:
    text = (folder / "one.json").read_text()
    number = next(n for n in range(MANY) if text == str(n) * 20_000)
    assert 0 <= number < MANY
    assert not list(folder.glob("*.part")) and not list(folder.glob(".*.part"))
    assert sorted(one["number"] for one in Journal(folder / "many.jsonl").read()) == list(range(MANY))


def test_threads_that_write_one_file_at_once_all_end_well(tmp_path: Path) -> None:
    def one(number: int) -> None:
        atomic.write_text(tmp_path / "one.json", str(number) * 20_000)
        journal = Journal(tmp_path / "many.jsonl")
        with journal.writing(wait=60):
            journal.append([{"number": number}])

    together(one)
    whole_and_alone(tmp_path)


def test_processes_that_write_one_file_at_once_all_end_well(tmp_path: Path) -> None:
    assert in_processes(WRITER, str(tmp_path)) == ""
    whole_and_alone(tmp_path)


def test_a_stage_that_writes_for_hours_is_not_waited_for_and_an_instant_is(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a.jsonl")
    with journal.writing():
        began = time.monotonic()
        with pytest.raises(StoreProblem, match="give this run another name"), journal.writing():
            pass
        assert time.monotonic() - began < 1
        with pytest.raises(StoreProblem, match="try again in a minute"), journal.writing(wait=0.05):
            pass


def test_whoever_holds_the_turn_for_too_long_is_told_of(tmp_path: Path) -> None:
    with turn(tmp_path / ".lock"), pytest.raises(Taken), turn(tmp_path / ".lock", 0.05):
        pass
    with turn(tmp_path / ".lock", 0.05):
        """It is free again."""


def rights(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_kept_is_for_its_owner_alone_whatever_the_mask_is(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        home = tmp_path / "home"
        journal = Journal(home / "identify" / "mine" / "greedy.jsonl")
        with journal.writing():
            journal.append([{"prompt": "mine"}])
        atomic.write_text(home / "identify" / "mine" / "plan.json", "{}")
        Store(home / "results").put("a" * 64, b"x", "explore", {})
    finally:
        os.umask(before)
    made = sorted(home.rglob("*"))
    assert {path.name for path in made} > {"mine", "plan.json", "greedy.jsonl", "results"}
    assert [(path.name, oct(rights(path))) for path in [home, *made] if rights(path) & 0o077] == []


def test_a_folder_that_is_there_keeps_its_rights(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert own_folder(tmp_path / "a" / "b").is_dir() and own_folder(tmp_path) == tmp_path
    assert rights(tmp_path) == 0o755 and rights(tmp_path / "a") == 0o700


def test_a_file_in_the_place_of_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(OSError):
        own_folder(tmp_path / "a")
    with pytest.raises(OSError):
        own_folder(tmp_path / "a" / "b")


@pytest.mark.parametrize(
    ("number", "told"), [(28, "free some space"), (13, "make the folder writable"), (2, "look at that folder")]
)
def test_the_remedy_is_for_what_went_wrong(number: int, told: str) -> None:
    assert remedy(OSError(number, "x")).startswith(told)


def test_a_lock_that_many_test_at_once_is_not_taken_for_held(tmp_path: Path) -> None:
    """Else a run that two threads look at in the same instant seems to be at work, and does not go on."""
    lock, seen = tmp_path / "lock", list[bool]()
    together(lambda _: seen.extend(is_held(lock) for _ in range(50)), 8)
    assert len(seen) == 400 and not any(seen)
    with turn(lock, 0):
        assert is_held(lock)
    assert not is_held(lock)
