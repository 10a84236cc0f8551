"""A budget counts every byte that a row takes, and lets in as many rows as that allows."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from backend.forward.capture import Summaries
from backend.forward.row import Row, Running, nobody
from backend.forward.rows import budget as module
from backend.forward.rows.budget import MOST, Budget
from backend.forward.rows.caches import SPARE
from backend.models.loaded import LoadedModel
from backend.types import Decoding, Threshold
from tests.tiny import D_MLP, D_MODEL, LAYERS

KEYS_AND_VALUES = 2 * (D_MODEL // 2)
"""Numbers of one position in one layer: the tiny Llama has two heads of keys where four ask."""
SUMMARIES, WIDE = Summaries(Threshold(), 5), Summaries(Threshold(population="model"), 5)


def row(prompt: int = 10, answer: int = 10, capture: Summaries | None = None, prompt_scores: bool = False) -> Row:
    decoding = Decoding(max_new_tokens=answer)
    return Row((1,) * prompt, decoding, capture=capture, prompt_scores=prompt_scores)


def test_each_part_of_a_row_is_counted_in_bytes(tiny: Callable[[str], LoadedModel]) -> None:
    model = tiny("llama")
    budget, vocabulary = Budget(model, 0), model.info.n_vocab
    # float32 logits, and on the way to the next token two float32 copies and the places in order.
    logits = vocabulary * (4 + 12)
    assert budget.bytes([row()]) == (20 + SPARE) * LAYERS * KEYS_AND_VALUES * 4 + logits
    longer = row(20, 30)
    assert budget.bytes([row(), longer]) == 2 * ((50 + SPARE) * LAYERS * KEYS_AND_VALUES * 4 + logits)
    captured = budget.bytes([row(capture=SUMMARIES)]) - budget.bytes([row()])
    assert captured == 20 * LAYERS * 256, "sixty numbers of each token in each layer"
    held = budget.bytes([row(capture=WIDE)]) - budget.bytes([row(capture=SUMMARIES)])
    assert held == 20 * LAYERS * D_MLP * 4, "CETT itself, where the population is wider than a layer"
    scored = budget.bytes([row(prompt_scores=True)]) - budget.bytes([row()])
    assert scored == 10 * vocabulary * (4 + 4), "logits of the prompt, and their logarithms"


def test_without_a_limit_rows_may_take_half_of_what_is_free(
    tiny: Callable[[str], LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def free(device: str) -> int:
        asked.append(device)
        return 1001

    monkeypatch.setattr(module, "free_bytes", free)
    assert Budget(tiny("llama")).limit == 500
    assert asked == ["cpu"]
    assert Budget(tiny("llama"), 7).limit == 7


def test_rows_are_let_in_up_to_the_limit_and_not_beyond(tiny: Callable[[str], LoadedModel]) -> None:
    model = tiny("llama")
    three = Budget(model, 0).bytes([row()] * 3)
    running = [Running(row(), 0, nobody)]
    assert Budget(model, three).admit([], [row()] * 5) == 3
    assert Budget(model, three - 1).admit([], [row()] * 5) == 2
    assert Budget(model, three).admit(running, [row()] * 5) == 2
    assert Budget(model, 0).admit([], [row()] * 5) == 1, "one row is let in whatever it takes"
    assert Budget(model, 0).admit(running, [row()] * 5) == 0


def test_more_rows_than_a_forward_gains_by_are_never_let_in(tiny: Callable[[str], LoadedModel]) -> None:
    budget = Budget(tiny("llama"), 10**15)
    assert budget.admit([], [row()] * (MOST + 5)) == MOST
    assert budget.admit([Running(row(), 0, nobody)], [row()] * (MOST + 5)) == MOST - 1
