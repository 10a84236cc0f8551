"""The queue: sessions take turns, and one session's runs keep their order."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from backend.serve.queue import FairQueue


def filled(*pushed: tuple[str, str]) -> FairQueue[str]:
    queue: FairQueue[str] = FairQueue()
    for session, item in pushed:
        queue.push(session, item)
    return queue


def drained(queue: FairQueue[str]) -> list[str]:
    return [item for item in iter(queue.pop, None) if item is not None]


def test_a_newcomer_does_not_wait_for_all_of_a_busy_session() -> None:
    queue = filled(("ann", "a1"), ("ann", "a2"), ("ann", "a3"), ("bob", "b1"), ("bob", "b2"))
    assert drained(queue) == ["a1", "b1", "a2", "b2", "a3"]


def test_a_session_that_was_just_served_stands_behind_one_that_was_not() -> None:
    queue = filled(("ann", "a1"))
    assert queue.pop() == "a1"
    queue.push("ann", "a2")
    queue.push("bob", "b1")
    assert drained(queue) == ["b1", "a2"]


def test_newcomers_do_not_starve_one_who_waits() -> None:
    queue = filled(("ann", "a1"), ("ann", "a2"))
    served = []
    for number in range(10):
        queue.push(f"new{number}", f"n{number}")
        served.append(queue.pop())
    assert "a2" in served[:8]


def test_later_runs_move_up_when_an_earlier_one_is_taken_out() -> None:
    items = {name: name for name in ("a1", "a2", "b1")}
    queue = filled(("ann", items["a1"]), ("ann", items["a2"]), ("bob", items["b1"]))
    assert queue.remove(items["a1"])
    assert list(queue) == ["a2", "b1"]
    assert not queue.remove(items["a1"])


def test_iterating_foretells_the_order_of_pop() -> None:
    queue = filled(("ann", "a1"), ("ann", "a2"), ("bob", "b1"))
    foretold = list(queue)
    assert drained(queue) == foretold


def test_pop_passes_over_what_is_not_allowed() -> None:
    queue = filled(("ann", "a1"), ("bob", "b1"))
    assert queue.pop(lambda item: item != "a1") == "b1"
    assert queue.pop(lambda item: item != "a1") is None
    assert queue.pop() == "a1"


@given(st.lists(st.one_of(st.sampled_from("abc"), st.none()), max_size=60))
def test_sessions_keep_their_own_order_and_share_evenly(steps: list[str | None]) -> None:
    """A letter pushes a run of that session, None serves the next one."""
    queue: FairQueue[tuple[str, int]] = FairQueue()
    pushed: dict[str, int] = defaultdict(int)
    served: dict[str, list[int]] = defaultdict(list)
    waiting_since: dict[str, int] = {}
    order: list[str] = []
    for step in [*steps, *[None] * len(steps)]:
        if step is not None:
            queue.push(step, (step, pushed[step]))
            pushed[step] += 1
            waiting_since.setdefault(step, len(order))
        elif (item := queue.pop()) is not None:
            session, number = item
            for other, since in waiting_since.items():
                assert order[since:].count(session) < 2 or other == session, "served thrice while another waited"
            order.append(session)
            served[session].append(number)
            if served[session] == list(range(pushed[session])):
                waiting_since.pop(session)
            else:
                waiting_since[session] = len(order)
    assert {session: list(range(count)) for session, count in pushed.items()} == dict(served)
