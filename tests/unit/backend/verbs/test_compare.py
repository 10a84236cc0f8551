"""A comparison's rows are what edited and hooked copies of the model say, one at a time and without a cache."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from backend.errors import BadNeurons, InterventionUnused, Stopped
from backend.models.hooks import hook_count
from backend.models.loaded import LoadedModel
from backend.neurons import NeuronSet
from backend.statistics.intervals import mean_interval
from backend.types import CompareRequest, Comparison, Decoding, Event, Positions, PromptEvent, Row, TokenEvent
from backend.verbs.compare import compare
from backend.watch import SILENT, Silent
from tests.plain import FLOAT32, Plain, Scales, largest_gap
from tests.tiny import FAMILIES, LAYERS

CHOSEN = NeuronSet.of("L0:N3", "L0:N40", "L1:N7", "L1:N20", "L2:N0", "L2:N47")
NEW = 10
TOLERANCE = FLOAT32
"""Of the largest CETT; for KL, of the log-probabilities that it is made of, of size 1 and more."""
OWN = [{"neuron": "L0:N3", "alpha": 0.0}, {"neuron": "L1:N7", "alpha": 3.0}, {"neuron": "L2:N2", "alpha": 0.5}]


def request(**fields: Any) -> CompareRequest:
    whole = {"prompt": "Who wrote this book?", "neurons": CHOSEN, "decoding": Decoding(max_new_tokens=NEW), **fields}
    return CompareRequest.model_validate(whole)


def run(model: LoadedModel, **fields: Any) -> Comparison:
    return compare(model, request(**fields), SILENT)


def scales_of(row: Row) -> Scales:
    alphas = row.plan.alphas or [row.alpha] * len(row.plan.neurons)
    return {(n.layer, n.index): float(a or 0) for n, a in zip(row.plan.neurons, alphas, strict=True)}


def where(positions: Positions, prompt: int) -> slice:
    return {"all": slice(None), "prompt": slice(None, prompt), "answer": slice(prompt, None)}[positions]


def greedy(plain: Plain, prompt: list[int], new: int) -> list[int]:
    """Token by token, the whole text read anew each time."""
    ids = list(prompt)
    for _ in range(new):
        ids.append(int(plain.logits([ids])[0, -1].argmax()))
    return ids[len(prompt) :]


def prompt_ids(told: Comparison) -> list[int]:
    return [token.id for token in told.prompt_tokens]


@pytest.mark.parametrize("positions", ["all", "prompt", "answer"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_row_answers_diverges_and_moves_as_a_hooked_model_does_alone(
    family: str, positions: Positions, tiny: Callable[[str], LoadedModel], untouched: Callable[[str], Plain]
) -> None:
    """Tokens, KL and change of CETT of every row at once, against full forwards of another model."""
    plain = untouched(family)
    told = run(tiny(family), alphas=[0.0, 2.5], own=OWN, controls=1, control_kinds=["free"], positions=positions)
    prompt, base = prompt_ids(told), list(told.rows[0].token_ids)
    whole, start = prompt + base, len(prompt)
    calm = plain.logits([whole])[0, start - 1 :].double().log_softmax(-1)
    before = plain.cett(whole)
    assert [row.arm for row in told.rows] == ["baseline", "chosen", "chosen", "own", "control"]
    for row in told.rows:
        with plain.hooked(scales_of(row), where(positions, start)):
            assert list(row.token_ids) == greedy(plain, prompt, NEW)
            moved = plain.logits([whole])[0, start - 1 :].double().log_softmax(-1)
            after = plain.cett(whole)
        kl = (calm.exp() * (calm - moved)).sum(-1)[: len(base)]
        assert largest_gap(row.kl, kl) <= TOLERANCE
        assert row.kl_mean == pytest.approx(float(kl.mean()), abs=TOLERANCE)
        assert row.delta_sum.shape == (LAYERS, len(whole))
        assert largest_gap(row.delta_sum, after.sum(-1) - before.sum(-1)) <= TOLERANCE * before.sum(-1).max()
        assert largest_gap(row.delta_max, after.max(-1) - before.max(-1)) <= TOLERANCE * before.sum(-1).max()
        if row.arm != "baseline":
            assert row.kl_mean > 10 * TOLERANCE, "an intervention that shows nowhere proves nothing"


def test_divergence_equals_that_of_a_model_with_edited_weights(
    tiny: Callable[[str], LoadedModel], untouched: Callable[[str], Plain], editable: Callable[[str], Plain]
) -> None:
    """No hook anywhere in the reference: rows of W_out are zeroed on a copy of the weights."""
    told, edited = run(tiny("gpt2")), editable("gpt2")
    for neuron in CHOSEN:
        edited.scale(neuron.layer, neuron.index, 0.0)
    prompt, base = prompt_ids(told), list(told.rows[0].token_ids)
    both = [p.logits([prompt + base])[0, len(prompt) - 1 : -1].double() for p in (untouched("gpt2"), edited)]
    calm, moved = (logits.log_softmax(-1) for logits in both)
    assert largest_gap(told.rows[1].kl, (calm.exp() * (calm - moved)).sum(-1)) <= TOLERANCE
    assert list(told.rows[1].token_ids) == greedy(edited, prompt, NEW)


@pytest.mark.parametrize("family", ["llama", "gpt_neox"])
def test_the_split_is_where_tokens_first_differ_with_both_distributions_there(
    family: str, tiny: Callable[[str], LoadedModel], untouched: Callable[[str], Plain]
) -> None:
    plain, told = untouched(family), run(tiny(family), alphas=[0.0, 3.0])
    prompt, base = prompt_ids(told), list(told.rows[0].token_ids)
    split_rows = [row for row in told.rows if row.split]
    assert split_rows, "no row left the baseline"
    for row in split_rows:
        split = row.split
        assert split is not None
        assert row.token_ids[: split.position] == told.rows[0].token_ids[: split.position]
        assert row.token_ids[split.position] != base[split.position]
        read = [prompt + base[: split.position]]
        calm = plain.logits(read)[0, -1].softmax(-1).numpy()
        with plain.hooked(scales_of(row), slice(None)):
            moved = plain.logits(read)[0, -1].softmax(-1).numpy()
        for told_there, chances in ((split.baseline, calm), (split.row, moved)):
            assert [c.id for c in told_there] == np.argsort(-chances)[:10].tolist()
            assert largest_gap([c.probability for c in told_there], np.sort(chances)[::-1][:10]) <= TOLERANCE
        assert largest_gap([c.probability for c in split.row_at_baseline], moved[np.argsort(-calm)[:10]]) <= TOLERANCE
        assert split.baseline[0].id == base[split.position]
        assert split.row[0].id == row.token_ids[split.position]


def test_alpha_one_is_the_baseline_in_every_figure(tiny: Callable[[str], LoadedModel]) -> None:
    told = run(tiny("llama"), alphas=[1.0, 0.0], controls=0)
    baseline, same, off = told.rows
    assert same.token_ids == baseline.token_ids
    assert same.text == baseline.text
    assert same.split is None
    assert same.tokens_changed == 0
    assert all(part.same for part in same.diff)
    assert not same.kl.any()
    assert not same.delta_sum.any()
    assert not same.delta_max.any()
    assert same.touched.tokens == len(told.prompt_tokens) + NEW - 1
    assert same.touched.changed == 0
    assert off.kl.any()


def test_touched_tells_neurons_positions_and_activations_of_each_row(
    tiny: Callable[[str], LoadedModel], untouched: Callable[[str], Plain]
) -> None:
    told = run(tiny("llama"), own=OWN, controls=1)
    baseline, off, own, control = told.rows
    assert (baseline.touched.neurons, baseline.touched.tokens, baseline.touched.changed) == (0, 0, 0)
    for row in (off, own, control):
        read = [*prompt_ids(told), *row.token_ids[:-1]]
        with untouched("llama").hooked(scales_of(row), slice(None)):
            z = [act[0] for act, _ in untouched("llama").captured([read])]
        # Scaled to 0 or not at all: no activation of these models is exactly 0 by itself.
        zeros = sum(int((z[n.layer][:, n.index] == 0).sum()) for n in row.plan.neurons)
        others = sum(len(read) for alpha in scales_of(row).values() if alpha != 0)
        assert row.touched.neurons == len(row.plan.neurons)
        assert row.touched.tokens == len(read)
        assert row.touched.changed == zeros + others


def test_a_row_is_the_same_beside_other_rows(tiny: Callable[[str], LoadedModel]) -> None:
    """Rows of one batch: what else is compared must not change an answer."""
    model = tiny("mistral")
    alone = run(model, controls=0).rows[1]
    beside = run(model, alphas=[0.0, 0.5, 3.0], own=OWN, controls=2, control_kinds=["layer", "free"]).rows[1]
    assert beside.token_ids == alone.token_ids
    assert largest_gap(beside.kl, alone.kl) <= TOLERANCE
    assert beside.touched == alone.touched


def test_sampled_rows_draw_with_the_same_luck(tiny: Callable[[str], LoadedModel]) -> None:
    """Each row has its own generator of the same seed: alpha 1 draws the baseline's tokens."""
    sampled = Decoding(max_new_tokens=NEW, temperature=1.0, top_k=40, seed=5)
    told = run(tiny("llama"), alphas=[1.0, 0.0], decoding=sampled)
    assert told.rows[1].token_ids == told.rows[0].token_ids
    other = run(tiny("llama"), decoding=sampled.model_copy(update={"seed": 6}))
    assert other.rows[0].token_ids != told.rows[0].token_ids


def test_the_same_request_gives_the_same_bytes(tiny: Callable[[str], LoadedModel]) -> None:
    fields = {"alphas": [0.0, 2.0], "controls": 2, "control_kinds": ["layer", "free"]}
    told = run(tiny("llama"), **fields)
    assert run(tiny("llama"), **fields).to_bytes() == told.to_bytes()
    assert Comparison.model_validate_json(told.to_bytes()).to_bytes() == told.to_bytes()
    assert run(tiny("llama"), **fields, control_seed=1).to_bytes() != told.to_bytes()


def ending(model: LoadedModel, place: int) -> LoadedModel:
    """The same model, for which the token that its baseline has at `place` ends an answer."""
    token = run(model).rows[0].token_ids[place]
    return dataclasses.replace(model, ends=frozenset({token}), extras={})


@pytest.mark.parametrize("place", [0, 3])
def test_an_answer_that_the_model_ends_has_one_more_place_where_it_could_have_gone_on(
    place: int, tiny: Callable[[str], LoadedModel], untouched: Callable[[str], Plain]
) -> None:
    """The end is a token that the baseline chose: rows may leave it there, and the divergence counts there."""
    model = ending(tiny("llama"), place)
    told = run(model, alphas=[1.0, 0.0], controls=0)
    baseline, same, off = told.rows
    assert len(baseline.token_ids) <= place
    assert (baseline.finish, same.finish) == ("end", "end")
    assert same.split is None
    assert len(baseline.kl) == len(off.kl) == len(baseline.token_ids) + 1
    prompt, base = prompt_ids(told), list(baseline.token_ids)
    plain = untouched("llama")
    calm = plain.logits([prompt + base])[0, len(prompt) - 1 :].double().log_softmax(-1)
    with plain.hooked(scales_of(off), slice(None)):
        moved = plain.logits([prompt + base])[0, len(prompt) - 1 :].double().log_softmax(-1)
    assert largest_gap(off.kl, (calm.exp() * (calm - moved)).sum(-1)) <= TOLERANCE
    assert off.delta_sum.shape == (LAYERS, len(prompt) + len(base))
    leaves = (off.token_ids, off.finish) != (baseline.token_ids, baseline.finish)
    assert leaves or place == 0, "this row was to show a split"
    assert (off.split is not None) == leaves
    assert off.split is None or off.split.position <= len(base)


def test_an_intervention_that_reaches_no_position_is_no_answer(tiny: Callable[[str], LoadedModel]) -> None:
    """One new token: no answer token is ever an input."""
    model = tiny("llama")
    with pytest.raises(InterventionUnused, match="positions 'answer' no position was reached; choose all positions"):
        run(model, positions="answer", decoding=Decoding(max_new_tokens=1))
    assert hook_count(model) == 0
    assert run(model, positions="answer", decoding=Decoding(max_new_tokens=2)).rows[1].touched.tokens == 1


def test_an_unknown_neuron_is_refused(tiny: Callable[[str], LoadedModel]) -> None:
    with pytest.raises(BadNeurons, match="L0:N48 is not in this model"):
        run(tiny("llama"), neurons="L0:N48")
    assert hook_count(tiny("llama")) == 0


class Counting(Silent):
    """A watch that presses Stop at the n-th time it is asked, and keeps what it was told."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.asked, self.stop_at, self.events = 0, stop_at, list[Event]()

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def stopped(self) -> bool:
        self.asked += 1
        return self.asked - 1 == self.stop_at


def test_all_rows_stream_at_once_behind_the_prompt_and_the_plan(tiny: Callable[[str], LoadedModel]) -> None:
    watch = Counting()
    told = compare(tiny("llama"), request(alphas=[0.0, 2.0]), watch)
    first = watch.events[0]
    assert isinstance(first, PromptEvent)
    assert first.tokens == told.prompt_tokens
    assert [plan.neurons for plan in first.rows] == [row.plan.neurons for row in told.rows]
    streamed = [event for event in watch.events if isinstance(event, TokenEvent)]
    assert [(event.index, event.row) for event in streamed] == [(i, row) for i in range(NEW) for row in range(4)]
    last = {event.row: event for event in streamed}
    assert [last[row].text for row in range(4)] == [row.text for row in told.rows]


def test_stop_at_any_moment_leaves_no_hook_and_no_trace(tiny: Callable[[str], LoadedModel]) -> None:
    """At every token, and while the baseline's answer is read."""
    model, calm = tiny("llama"), Counting()
    expected = compare(model, request(), calm).to_bytes()
    assert calm.asked >= NEW + 1
    for moment in range(calm.asked):
        with pytest.raises(Stopped):
            compare(model, request(), Counting(moment))
        assert hook_count(model) == 0, f"stopped at {moment}"
    assert compare(model, request(), SILENT).to_bytes() == expected


@pytest.mark.parametrize("where_it_fails", ["prove", "_note_divergence", "Peaks.reduce", "_result_row"])
def test_a_failure_at_any_stage_leaves_no_hook_and_no_trace(
    where_it_fails: str, tiny: Callable[[str], LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny("llama")
    expected = run(model).to_bytes()

    def fail(*_: Any, **__: Any) -> None:
        raise MemoryError("out of memory")

    with monkeypatch.context() as broken, pytest.raises(MemoryError):
        broken.setattr(f"backend.verbs.compare.{where_it_fails}", fail)
        run(model)
    assert hook_count(model) == 0
    assert run(model).to_bytes() == expected


def test_the_interval_of_a_mean_is_repeatable_and_needs_two_values() -> None:
    values = np.random.default_rng(0).exponential(size=40)
    low, high = mean_interval(values) or (0.0, 0.0)
    assert low < values.mean() < high
    # A bootstrap of the mean is close to its standard error, and far from the spread of the values.
    assert high - low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(40), rel=0.2)
    assert mean_interval(values) == (low, high)
    assert mean_interval(values[:1]) is None
    assert mean_interval(np.zeros(5)) == (0.0, 0.0)


def test_divergence_of_impossible_tokens_stays_finite(tiny: Callable[[str], LoadedModel]) -> None:
    from backend.verbs.compare import Forced, _note_divergence

    logits = torch.zeros(2, 1, 4)
    logits[1, 0, 0] = -torch.inf
    forced = Forced(torch.full((2, 1), torch.nan))
    _note_divergence(forced, logits, logits[0], 0, {1: None})
    assert forced.kl[0, 0] == 0
    assert torch.isfinite(forced.kl).all()
    assert forced.kl[1, 0] > 100
