"""What comes of a row does not depend on the rows beside it: who joins, who leaves, and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from backend.errors import NotFinite
from backend.forward.capture import Capture, Peaks, Summaries
from backend.forward.interventions import Scaling
from backend.forward.row import UNTOUCHED, Row, Running
from backend.forward.rows.batch import Batch
from backend.forward.rows.budget import Budget
from backend.forward.rows.generation import decode, finish
from backend.forward.rows.lane import worth_padding
from backend.models.hooks import hook_count
from backend.models.loaded import LoadedModel
from backend.neurons import NeuronSet
from backend.types import Decoding, Positions, RowPlan, Threshold
from tests.plain import FLOAT32, relative_gap, some_ids
from tests.tiny import D_MLP

TOLERANCE = 4 * FLOAT32
"""Sums over a wider batch and a longer cache are taken in another order; each adds its own roundings."""
ATTENTION = {"full": "gpt2", "grouped": "llama", "sliding": "gemma3_text"}
SUMMARIES, PEAKS = Summaries(Threshold(), 5), Peaks()
TOKENS = 9


def a_row(number: int) -> Row:
    """Rows that differ in everything that may be asked of one."""
    positions: tuple[Positions, ...] = ("all", "prompt", "answer")
    captures: tuple[Capture | None, ...] = (None, SUMMARIES, PEAKS)
    sampled = Decoding(
        max_new_tokens=TOKENS - number % 3, temperature=0.7 + 0.1 * (number % 4), top_k=20 * (number % 2)
    )
    neurons = NeuronSet.of(f"L{number % 3}:N{number}", f"L1:N{(7 * number) % D_MLP}")
    return Row(
        tuple(some_ids(1, 4 + (11 * number) % 27, seed=number)[0].tolist()),
        sampled if number % 2 else Decoding(max_new_tokens=TOKENS - number % 4),
        number,
        seed=100 + number,
        plan=RowPlan(arm="chosen", alpha=(0.0, 2.0, 0.5)[number % 3], neurons=neurons) if number % 4 else UNTOUCHED,
        positions=positions[number % 3],
        capture=captures[number % 3],
        captured=positions[(number // 3) % 3],
        ignore_ends=bool(number % 5),
    )


ROWS = [a_row(number) for number in range(12)]


@dataclass(frozen=True)
class Told:
    """What comes of a row."""

    ids: list[int]
    finish: str | None
    figures: tuple[np.ndarray, ...]
    touched: tuple[int, int, int]


def told(one: Running) -> Told:
    figures: list[Tensor | np.ndarray] = [np.array(one.log_probs), np.array(one.entropies)]
    if one.trace is not None and one.trace.pieces:
        one.trace.check()
        figures += [one.trace.field(name) for name in ("sum", "max", "norm")]
        figures += list(one.trace.answer_sums().values()) if one.row.capture is SUMMARIES else []
    touched = one.touched
    shown = tuple(figure.numpy() if isinstance(figure, Tensor) else figure for figure in figures)
    return Told(one.ids, one.finish, shown, (touched.neurons, touched.tokens, touched.changed))


@pytest.fixture(scope="module")
def alone(tiny: Callable[[str], LoadedModel]) -> Callable[[str], list[Told]]:
    """Every row in a batch of its own."""
    known: dict[str, list[Told]] = {}

    def of(family: str) -> list[Told]:
        if family not in known:
            known[family] = []
            for row in ROWS:
                with Batch(tiny(family)) as batch:
                    known[family] += [told(one) for one in finish(batch, [row])]
        return known[family]

    return of


def same(found: Told, expected: Told) -> None:
    assert (found.ids, found.finish, found.touched) == (expected.ids, expected.finish, expected.touched)
    for mine, theirs in zip(found.figures, expected.figures, strict=True):
        assert mine.shape == theirs.shape
        assert relative_gap(mine, theirs) <= TOLERANCE


@pytest.mark.parametrize("attention", ATTENTION)
def test_a_row_alone_is_the_row_beside_all_others(
    attention: str, tiny: Callable[[str], LoadedModel], alone: Callable[[str], list[Told]]
) -> None:
    family = ATTENTION[attention]
    with Batch(tiny(family)) as batch:
        for found, expected in zip(finish(batch, ROWS), alone(family), strict=True):
            same(told(found), expected)


SCHEDULES = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.lists(st.integers(0, len(ROWS) - 1), min_size=1, max_size=4)),
        st.tuples(st.just("step"), st.integers(1, 4)),
        st.tuples(st.just("drop"), st.integers(0, 5)),
    ),
    min_size=2,
    max_size=12,
)


@pytest.mark.parametrize("attention", ATTENTION)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(schedule=SCHEDULES)
def test_a_row_is_the_same_whenever_it_joins_and_whoever_leaves(
    attention: str,
    tiny: Callable[[str], LoadedModel],
    alone: Callable[[str], list[Told]],
    schedule: list[tuple[str, list[int] | int]],
) -> None:
    family = ATTENTION[attention]
    expected = alone(family)
    found: list[Running] = []
    dropped: list[Running] = []
    with Batch(tiny(family)) as batch:
        for what, of in schedule:
            if what == "add" and isinstance(of, list):
                found += batch.add([ROWS[number] for number in of])
            elif what == "step" and isinstance(of, int):
                for _ in range(of):
                    batch.step()
            elif batch.rows and isinstance(of, int):
                gone = batch.rows[of % len(batch.rows)]
                batch.drop(gone)
                dropped.append(gone)
                assert gone not in batch.rows
        while batch.rows:
            batch.step()
        for one in found:
            whole = expected[one.row.place]
            if one in dropped:
                assert one.ids == whole.ids[: len(one.ids)]
            else:
                same(told(one), whole)
    assert hook_count(tiny(family)) == 0


@pytest.mark.parametrize("attention", ATTENTION)
def test_a_row_that_joins_late_runs_in_the_same_forward_as_the_others(
    attention: str, tiny: Callable[[str], LoadedModel]
) -> None:
    """One forward reads the weights for all: rows that cannot join would cost one each."""
    model = tiny(ATTENTION[attention])
    assert model.proof.joined
    with Batch(model) as batch:
        batch.add(ROWS[:2])
        for number in range(2, 8):
            batch.step()
            batch.add([ROWS[number]])
            assert len(batch.lanes) == 1


def test_where_joining_does_not_hold_rows_run_in_lanes_of_their_own(
    tiny: Callable[[str], LoadedModel], alone: Callable[[str], list[Told]]
) -> None:
    model = tiny("llama")
    slow = replace(model, proof=replace(model.proof, joined=False, dropped=False, copied=False, left=False))
    with Batch(slow) as batch:
        found = batch.add(ROWS[:6])
        batch.step()
        found += batch.add(ROWS[6:])
        assert len(batch.lanes) > 2
        while batch.rows:
            batch.step()
        for one, expected in zip(found, alone("llama"), strict=True):
            same(told(one), expected)


def test_rows_that_ask_alike_read_their_prompt_once(
    tiny: Callable[[str], LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Samples of one question, and arms that act on the answer alone."""
    model, sizes = tiny("llama"), list[tuple[int, ...]]()
    forward = model.plain.forward

    def noted(ids: Tensor, **named: object) -> object:
        sizes.append(tuple(ids.shape))
        return forward(ids, **named)

    monkeypatch.setattr(model.plain, "forward", noted)
    ids = ROWS[3].ids
    plan = RowPlan(arm="chosen", alpha=0.0, neurons=NeuronSet.of("L1:N3"))
    drawn = Decoding(max_new_tokens=3, temperature=1.0)
    with Batch(model) as batch:
        batch.add([Row(ids, drawn, seed=1), Row(ids, drawn, seed=2), Row(ids, drawn, plan=plan, positions="answer")])
        batch.add([Row(ids, drawn, plan=plan), Row(ids, drawn)])
    assert sizes == [(1, len(ids)), (2, len(ids))]


@pytest.mark.parametrize("dropped", [True, False])
def test_a_step_tells_which_rows_are_done_with_it_once(dropped: bool, tiny: Callable[[str], LoadedModel]) -> None:
    """Two that end after two tokens, one after four, one that is captured and is done when its last has been read."""
    model = tiny("llama")
    plain = Row(ROWS[3].ids, Decoding(max_new_tokens=2), ignore_ends=True)
    longer = replace(plain, decoding=Decoding(max_new_tokens=4))
    captured = replace(plain, capture=PEAKS)
    with Batch(replace(model, proof=replace(model.proof, dropped=dropped))) as batch:
        rows = batch.add([plain, plain, longer, captured])
        assert batch.step() == rows[:2]
        assert batch.step() == rows[3:]
        assert batch.step() == rows[2:3]
        assert not batch.lanes and batch.step() == []


@pytest.mark.parametrize("positions", ["prompt", "all", "answer"])
def test_rows_of_one_prompt_that_ask_for_different_things_of_it_each_get_their_own(
    positions: Positions, tiny: Callable[[str], LoadedModel]
) -> None:
    model = tiny("llama")
    plan = RowPlan(arm="chosen", alpha=3.0, neurons=NeuronSet.of("L0:N3", "L1:N3", "L2:N8"))
    plain = Row(ROWS[3].ids, Decoding(max_new_tokens=4), ignore_ends=True)
    asked = [
        plain,
        replace(plain, plan=plan, positions=positions),
        replace(plain, plan=plan, positions=positions, capture=PEAKS, captured=positions),
        replace(plain, capture=PEAKS, captured=positions),
        replace(plain, prompt_scores=True),
        plain,
    ]
    with Batch(model) as batch:
        together = finish(batch, asked)
    for one in together:
        with Batch(model) as batch:
            (expected,) = finish(batch, [one.row])
        same(told(one), told(expected))
        assert len(one.prompt_log_probs) == (len(plain.ids) if one.row.prompt_scores else 0)


def test_where_no_row_may_leave_a_cache_it_stays_until_all_are_done(
    tiny: Callable[[str], LoadedModel], alone: Callable[[str], list[Told]]
) -> None:
    model = tiny("llama")
    with Batch(replace(model, proof=replace(model.proof, dropped=False))) as batch:
        found = batch.add(ROWS[:4])
        (lane,) = batch.lanes
        batch.drop(found[0])
        assert len(lane.rows) == 4 and found[0] not in batch.rows
        while batch.rows:
            batch.step()
        assert not batch.lanes
        for one, expected in list(zip(found, alone("llama"), strict=False))[1:]:
            same(told(one), expected)


def test_a_row_with_no_next_token_is_given_up_and_the_others_go_on(tiny: Callable[[str], LoadedModel]) -> None:
    model = tiny("llama")
    weight = model.plain.get_input_embeddings().get_parameter("weight")
    row = Row((5, 6, 7), Decoding(max_new_tokens=4), ignore_ends=True)
    (expected,) = decode(model, [row.ids], row.decoding, ignore_ends=True)
    token = next(token for token in range(200, 300) if token not in expected.ids)
    kept = weight[token].clone()
    try:
        with torch.no_grad():
            weight[token] = torch.nan
        with Batch(model) as batch:
            sound, bad = batch.add([row, Row((5, token, 7), row.decoding, 1)])
            assert isinstance(bad.error, NotFinite)
            assert "layer 0, token 1" in bad.error.sentence
            while batch.rows:
                batch.step()
        assert sound.ids == expected.ids and sound.error is None
    finally:
        with torch.no_grad():
            weight[token] = kept


def test_no_hook_waits_for_the_device(tiny: Callable[[str], LoadedModel], monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a forward no tensor is asked for its value, whatever its rows scale and capture."""
    model = tiny("llama")

    def unwaiting(hook: Callable[..., object]) -> Callable[..., object]:
        def watched(*given: object) -> object:
            with monkeypatch.context() as inside:
                for name in ("__bool__", "item", "tolist", "__int__", "__float__", "cpu", "nonzero"):
                    inside.setattr(Tensor, name, lambda self, name=name: pytest.fail(f"a hook called {name}"))
                return hook(*given)

        return watched

    monkeypatch.setattr(Scaling, "apply", unwaiting(Scaling.apply))
    monkeypatch.setattr(Batch, "_observe", unwaiting(Batch._observe))
    with Batch(model) as batch:
        batch.add([row for row in ROWS if row.capture is not None])
        for _ in range(3):
            batch.step()


def test_rows_wait_where_memory_has_no_room_for_all(
    tiny: Callable[[str], LoadedModel], alone: Callable[[str], list[Told]]
) -> None:
    model, most = tiny("llama"), list[int]()
    budget = Budget(model, limit=Budget(model, 0).bytes(ROWS[:3]))
    with Batch(model) as batch:
        found = finish(batch, ROWS, budget=budget, begun=lambda _: most.append(len(batch.rows)))
        assert max(most) <= 4
        assert len(most) > 2
        for one, expected in zip(found, alone("llama"), strict=True):
            same(told(one), expected)
    assert Budget(model, 0).admit([], ROWS) == 1, "one row is let in whatever it takes"
    assert Budget(model, 0).admit(found[:1], ROWS) == 0


def test_a_budget_counts_what_a_row_takes(tiny: Callable[[str], LoadedModel]) -> None:
    budget = Budget(tiny("llama"), 0)
    plain = Row((1,) * 10, Decoding(max_new_tokens=10))
    assert budget.bytes([plain, plain]) == 2 * budget.bytes([plain])
    longer = Row((1,) * 20, Decoding(max_new_tokens=20))
    assert budget.bytes([plain, longer]) > budget.bytes([plain]) + budget.bytes([longer]), "filled up to the longest"
    captured = Row((1,) * 10, Decoding(max_new_tokens=10), capture=SUMMARIES)
    held = Row((1,) * 10, Decoding(max_new_tokens=10), capture=Summaries(Threshold(population="model"), 5))
    assert budget.bytes([plain]) < budget.bytes([captured]) < budget.bytes([held])


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=40))
def test_rows_of_like_length_always_share_a_forward(lengths: list[int]) -> None:
    assert worth_padding([max(lengths)] * len(lengths))
    assert worth_padding(lengths) or len(lengths) * max(lengths) > 2 * sum(lengths)
