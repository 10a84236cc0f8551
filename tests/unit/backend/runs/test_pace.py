"""How far a long stage is: counted from what was there, with an estimate after few rows."""

from __future__ import annotations

import pytest

from backend.runs.pace import FIRST, Pace, batches, in_words


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the pace sees, in its only place."""
    now = [0.0]
    monkeypatch.setattr("backend.runs.pace.time.monotonic", lambda: now[0])
    return now


def test_a_stage_that_goes_on_is_counted_from_what_is_done_and_its_pace_from_what_is_new(clock: list[float]) -> None:
    going = Pace(480, done=300)
    assert going.stage_text("drawing answers") == "drawing answers: 300 of 480"
    assert going.fraction == 300 / 480 and going.seconds is None
    clock[0] = 8.0
    going.add(4)
    assert going.seconds == 2.0
    assert going.stage_text("drawing answers") == "drawing answers: 304 of 480, 6 min left"


def test_where_larger_batches_are_quicker_the_newest_pace_counts(clock: list[float]) -> None:
    going = Pace(100)
    clock[0] = 8.0
    going.add(4)
    clock[0] = 16.0
    going.add(16)
    assert going.stage_text("reading") == "reading: 20 of 100, 40 s left"


def test_the_first_batches_are_small_and_none_is_left_out() -> None:
    parts = list(batches(range(100), 32))
    assert [len(part) for part in parts] == [FIRST, 8, 16, 32, 32, 8]
    assert [one for part in parts for one in part] == list(range(100))
    assert [len(part) for part in batches(range(5), 2)] == [2, 2, 1]
    assert list(batches((), 8)) == []


@pytest.mark.parametrize(("seconds", "said"), [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (5400, "1.5 h")])
def test_a_time_is_told_in_the_unit_that_one_thinks_of_it_in(seconds: float, said: str) -> None:
    assert in_words(seconds) == said
