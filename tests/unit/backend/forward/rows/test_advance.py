"""How an answer ends: by an end token, a stop text, its length, or because it has no next token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from backend.errors import NotFinite
from backend.forward.capture import Peaks
from backend.forward.prompting import decode as to_text
from backend.forward.row import UNTOUCHED, Row, Running, nobody
from backend.forward.rows.advance import advance
from backend.forward.rows.batch import Batch
from backend.models.loaded import LoadedModel
from backend.neurons import NeuronSet
from backend.types import Decoding, RowPlan
from tests.plain import some_ids

IDS = tuple(some_ids(1, 8, seed=2)[0].tolist())
ROW = Row(IDS, Decoding(max_new_tokens=6))


def answered(model: LoadedModel, *rows: Row) -> tuple[list[Running], list[tuple[int, int]]]:
    """(rows answered to their end, (place, tokens so far) of each time that a token was told)."""
    told: list[tuple[int, int]] = []
    with Batch(model) as batch:
        found = batch.add(rows, lambda one: told.append((one.row.place, len(one.ids))))
        while batch.rows:
            batch.step()
    return found, told


def free(model: LoadedModel) -> list[int]:
    """What the model answers where nothing ends it."""
    (one,), _ = answered(model, replace(ROW, ignore_ends=True))
    assert len(set(one.ids[:3])) == 3, "the third token is the first of its kind"
    return one.ids


@pytest.mark.parametrize("scores", [True, False])
def test_an_end_token_ends_the_answer_and_is_no_part_of_it(scores: bool, tiny: Callable[[str], LoadedModel]) -> None:
    model = tiny("gpt2")
    whole = free(model)
    ending = replace(model, ends=frozenset({whole[2]}))
    row = replace(ROW, scores=scores)
    (ended, ignored), told = answered(ending, row, replace(row, place=1, ignore_ends=True))
    assert (ended.ids, ended.finish, ended.text) == (whole[:2], "end", to_text(model, whole[:2]))
    assert len(ended.log_probs) == len(ended.entropies) == (2 if scores else 0)
    assert (ignored.ids, ignored.finish, ignored.text) == (whole, "length", to_text(model, whole))
    assert told == [(0, 1), (1, 1), (0, 2), (1, 2), *((1, count) for count in (3, 4, 5, 6))]


def test_an_answer_may_end_before_its_first_token(tiny: Callable[[str], LoadedModel]) -> None:
    model = tiny("gpt2")
    ending = replace(model, ends=frozenset({free(model)[0]}))
    (one,), told = answered(ending, ROW)
    assert (one.ids, one.finish, one.text, told) == ([], "end", "", [])


@pytest.mark.parametrize("scores", [True, False])
def test_a_stop_text_ends_the_answer_before_it(scores: bool, tiny: Callable[[str], LoadedModel]) -> None:
    model = tiny("gpt2")
    texts = [to_text(model, free(model)[:count]) for count in range(7)]
    stop = texts[3][-1]
    first = next(count for count, text in enumerate(texts) if stop in text)
    row = replace(ROW, decoding=Decoding(max_new_tokens=6, stop=(stop,)), scores=scores)
    (one,), _ = answered(model, row)
    assert (one.finish, len(one.ids)) == ("stop_text", first)
    assert one.text == texts[first][: texts[first].index(stop)]


@pytest.mark.parametrize(("captured", "read"), [("all", 6), ("answer", 6), ("prompt", 5), (None, 5)])
def test_the_last_token_is_read_where_it_is_captured_and_nowhere_else(
    captured: str | None, read: int, tiny: Callable[[str], LoadedModel]
) -> None:
    model = tiny("gpt2")
    row = replace(ROW, ignore_ends=True)
    if captured is not None:
        # One of the names of positions, as the parameters above have them: the checker sees a text.
        row = replace(row, capture=Peaks(), captured=captured)  # type: ignore[arg-type]
    (one,), told = answered(model, row)
    assert (one.finish, len(one.ids), len(told)) == ("length", 6, 6)
    assert one.seen == len(IDS) + read


def spoilt(model: LoadedModel, rows: list[Running]) -> list[int]:
    """The tokens that rows choose where the second of three has logits that are no numbers."""
    logits = torch.randn(3, model.info.n_vocab, generator=torch.Generator().manual_seed(0))
    logits[1, 5] = torch.inf
    return advance(model, rows, logits).tolist()


def test_a_row_without_a_next_token_says_where_and_those_beside_it_have_theirs(
    tiny: Callable[[str], LoadedModel],
) -> None:
    model = tiny("gpt2")
    plan = RowPlan(arm="chosen", alpha=2.0, neurons=NeuronSet.of("L0:N3"))
    rows = [Running(replace(ROW, place=place, plan=plan, ignore_ends=True), place, nobody) for place in range(3)]
    rows[1].ids = [7, 7]
    chosen = spoilt(model, rows)
    assert [one.left for one in rows] == [False, True, False]
    error = rows[1].error
    assert isinstance(error, NotFinite)
    assert f"the logits behind token {len(IDS) + 1} of row 1 (the first is 0) are NaN or infinite" in error.why
    assert rows[1].ids == [7, 7] and rows[0].ids == [chosen[0]] and rows[2].ids == [chosen[2]]
    assert rows[0].error is None and len(rows[2].log_probs) == 1


def test_the_scores_of_some_rows_are_their_own(tiny: Callable[[str], LoadedModel]) -> None:
    model = tiny("gpt2")
    logits = torch.randn(3, model.info.n_vocab, generator=torch.Generator().manual_seed(1))
    expected = logits.double().log_softmax(-1)
    asked = [replace(ROW, place=place, scores=place != 1, plan=UNTOUCHED, ignore_ends=True) for place in range(3)]
    rows = [Running(row, row.place, nobody) for row in asked]
    chosen = advance(model, rows, logits)
    assert chosen.tolist() == logits.argmax(-1).tolist()
    assert not rows[1].log_probs and not rows[1].entropies
    for place in (0, 2):
        assert rows[place].log_probs == pytest.approx([float(expected[place, chosen[place]])], abs=1e-5)
        entropy = -(expected[place].exp() * expected[place]).sum()
        assert rows[place].entropies == pytest.approx([float(entropy)], abs=1e-5)


def test_a_row_that_is_over_is_chosen_nothing_for(tiny: Callable[[str], LoadedModel]) -> None:
    """One that only waited for its last token to be read is done; one that was dropped stays as it was."""
    model, told = tiny("gpt2"), list[Running]()
    finished, dropped, open_ = (Running(replace(ROW, ignore_ends=True), place, told.append) for place in range(3))
    finished.finish, dropped.left = "length", True
    advance(model, [finished, dropped, open_], torch.zeros(3, model.info.n_vocab))
    assert finished.left and not finished.ids and not dropped.ids and not finished.log_probs
    assert told == [open_] and not open_.left
