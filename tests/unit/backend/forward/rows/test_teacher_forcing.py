"""Rows that read a given text behind their kept prompts: the figures are those of each read alone, from the start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from backend.forward.capture import Peaks
from backend.forward.interventions import scaled
from backend.forward.row import UNTOUCHED, Row, Running
from backend.forward.rows.batch import Batch
from backend.models.loaded import LoadedModel
from backend.neurons import NeuronSet
from backend.types import Decoding, Positions, RowPlan
from tests.plain import FLOAT32, relative_gap, some_ids

TOLERANCE = 4 * FLOAT32
ANSWER = some_ids(1, 7, seed=40)[0].tolist()
SCALED = RowPlan(arm="chosen", alpha=0.0, neurons=NeuronSet.of("L0:N5", "L1:N7", "L2:N9"))


def a_row(length: int, plan: RowPlan = UNTOUCHED, positions: Positions = "all") -> Row:
    ids = tuple(some_ids(1, length, seed=length)[0].tolist())
    return Row(ids, Decoding(max_new_tokens=1), length, plan=plan, positions=positions, keep=True, ignore_ends=True)


ROWS = (a_row(6), a_row(9, SCALED), a_row(4), a_row(9, SCALED, "prompt"))


@torch.inference_mode()
def alone(model: LoadedModel, row: Row) -> tuple[Tensor, Tensor]:
    """(logits behind each token of the answer, sum of CETT there) of a text read whole; plans that act everywhere."""
    ids = torch.tensor([[*row.ids, *ANSWER]])
    with scaled(model, [row.plan]):
        logits = model.plain(ids).logits[0, len(row.ids) :]
    with Batch(model) as batch:
        whole = Row((*row.ids, *ANSWER), Decoding(max_new_tokens=1), plan=row.plan, capture=Peaks(), captured="prompt")
        (running,) = batch.add([whole])
    assert running.trace is not None
    return logits, running.trace.field("sum")[:, len(row.ids) :]


def read(batch: Batch, behind: list[Running], chunk: int) -> tuple[list[Tensor], list[Running], list[int]]:
    """(logits of each row over the answer, the rows as they were read, where each forward began)."""
    logits: dict[int, list[Tensor]] = {}
    rows: dict[int, Running] = {}
    starts = []
    for reading in batch.read(behind, [ANSWER] * len(behind), chunk, Peaks()):
        starts.append(reading.start)
        for place, one in enumerate(reading.rows):
            logits.setdefault(one.number, []).append(reading.logits[place])
            rows[one.number] = one
    ordered = sorted(rows)
    return [torch.cat(logits[number]) for number in ordered], [rows[number] for number in ordered], starts


@pytest.mark.parametrize("chosen", [(0, 1, 2), (2, 0), (1,)])
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3_text"])
def test_some_of_the_kept_rows_in_any_order_read_as_each_would_alone(
    family: str, chosen: tuple[int, ...], tiny: Callable[[str], LoadedModel]
) -> None:
    model = tiny(family)
    with Batch(model) as batch:
        kept = batch.add(ROWS[:3])
        logits, rows, starts = read(batch, [kept[place] for place in chosen], chunk=3)
    assert starts == [0, 3, 6], "so many tokens a forward, the rest in the last"
    for place, found, one in zip(chosen, logits, rows, strict=True):
        expected, sums = alone(model, ROWS[place])
        assert relative_gap(found, expected) <= TOLERANCE
        assert one.trace is not None
        assert relative_gap(one.trace.field("sum"), sums) <= TOLERANCE
        assert one.seen == len(ROWS[place].ids) + len(ANSWER)


@pytest.mark.parametrize("chunk", [2, 32])
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3_text"])
def test_texts_of_different_lengths_are_read_behind_one_prompt_as_each_would_be_alone(
    family: str, chunk: int, tiny: Callable[[str], LoadedModel]
) -> None:
    """Of a shorter text nothing is kept of what fills it up, whichever piece it ends in."""
    model, texts = tiny(family), [ANSWER[:3], ANSWER, [], ANSWER[::-1][:5]]
    with Batch(model) as batch:
        (kept,) = batch.add(ROWS[:1])
        rows: list[Running] = []
        for reading in batch.read([kept] * len(texts), texts, chunk, Peaks()):
            rows = reading.rows
    for text, one in zip(texts, rows, strict=True):
        assert one.trace is not None
        if not text:
            assert not one.trace.pieces
            continue
        assert one.trace.answer_count == len(text)
        with Batch(model) as batch:
            whole = Row((*kept.row.ids, *text), Decoding(max_new_tokens=1), capture=Peaks(), captured="prompt")
            (lone,) = batch.add([whole])
        assert lone.trace is not None
        expected = lone.trace.field("sum")[:, len(kept.row.ids) :]
        assert relative_gap(one.trace.field("sum"), expected) <= TOLERANCE


def test_rows_that_were_kept_at_different_times_are_read_beside_one_another(tiny: Callable[[str], LoadedModel]) -> None:
    model = tiny("llama")
    with Batch(model) as batch:
        kept = [*batch.add(ROWS[:2]), *batch.add(ROWS[2:3])]
        logits, rows, starts = read(batch, kept, chunk=4)
    assert starts == [0, 0, 4, 4], "a forward for each cache"
    for row, found, one in zip(ROWS, logits, rows, strict=False):
        assert one.row.place == row.place
        assert relative_gap(found, alone(model, row)[0]) <= TOLERANCE


def test_what_was_kept_is_read_again_as_before(tiny: Callable[[str], LoadedModel]) -> None:
    """A second reading goes on from the prompt, and not from the end of the first."""
    with Batch(tiny("llama")) as batch:
        kept = batch.add(ROWS)
        first, second = (read(batch, kept, chunk)[0] for chunk in (3, 4))
    for one, other in zip(first, second, strict=True):
        assert relative_gap(one, other) <= TOLERANCE


def test_where_pieces_do_not_hold_each_token_is_read_by_itself(tiny: Callable[[str], LoadedModel]) -> None:
    model = tiny("llama")
    with Batch(replace(model, proof=replace(model.proof, pieces=False))) as batch:
        kept = batch.add(ROWS[:1])
        (found,), _, starts = read(batch, kept, chunk=3)
    assert starts == list(range(len(ANSWER)))
    assert relative_gap(found, alone(model, ROWS[0])[0]) <= TOLERANCE


def test_no_two_rows_of_a_batch_have_one_number(tiny: Callable[[str], LoadedModel]) -> None:
    """Rows that read their prompts apart are told from one another by it."""
    with Batch(tiny("llama")) as batch:
        kept = batch.add(ROWS[:2])
        _, read_rows, _ = read(batch, kept, chunk=7)
        _, read_again, _ = read(batch, kept, chunk=7)
        later = batch.add(ROWS[2:])
    numbers = [one.number for one in (*kept, *read_rows, *read_again, *later)]
    assert numbers == list(range(8))
