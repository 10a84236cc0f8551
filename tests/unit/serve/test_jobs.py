"""What a job has said: bounded, numbered, and never less than the newest text."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from backend.serve.jobs import MAX_EVENTS, MAX_SHOWN, EventLog
from backend.types import PromptEvent, StageEvent, TokenEvent
from tests.fakes import prompt_tokens, token


def said(row: int, index: int) -> TokenEvent:
    return TokenEvent(row=row, index=index, token=token(index, f" {index}", "answer"), text=f"{row}:" + "x" * index)


def test_a_stage_that_moves_on_is_one_event() -> None:
    log = EventLog()
    for fraction in (0.1, 0.2, 0.9):
        log.add(StageEvent(stage="reading", fraction=fraction))
    log.add(StageEvent(stage="writing"))
    assert log.since(0) == (StageEvent(stage="reading", fraction=0.9), StageEvent(stage="writing"))
    assert log.next == 4


def test_a_long_run_keeps_a_bounded_number_of_events_and_the_whole_text() -> None:
    log = EventLog()
    log.add(PromptEvent(tokens=prompt_tokens()))
    for index in range(3 * MAX_EVENTS // 4):
        for row in (0, 1):
            log.add(said(row, index))
    assert len(log._entries) <= MAX_EVENTS
    shown = log.since(0)
    assert len(shown) <= MAX_SHOWN
    assert isinstance(shown[0], PromptEvent), "the prompt is never superfluous"
    newest = {event.row: event.text for event in shown if isinstance(event, TokenEvent)}
    assert newest == {row: f"{row}:" + "x" * (3 * MAX_EVENTS // 4 - 1) for row in (0, 1)}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=40), st.lists(st.integers(1, 8), max_size=20))
def test_whoever_follows_in_any_steps_ends_with_the_newest_text_of_every_row(rows: list[int], pace: list[int]) -> None:
    log, after = EventLog(), 0
    seen: dict[int, str] = {}
    steps = iter([*pace, *[len(rows) + 1] * 2])
    pending = list(enumerate(rows))
    while pending or after < log.next:
        count = next(steps, 1)
        for index, row in pending[:count]:
            log.add(said(row, index))
        del pending[:count]
        if count % 3 == 0:
            log.trim()
        seen |= {event.row: event.text for event in log.since(after) if isinstance(event, TokenEvent)}
        after = log.next
    assert seen == {row: said(row, index).text for index, row in enumerate(rows)}
