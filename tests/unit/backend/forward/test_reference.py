"""What is usual for a neuron is its CETT on the shipped text, sentence by sentence, first tokens aside."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from backend.errors import Stopped, ZeroOutput
from backend.forward import reference
from backend.forward.reference import EDGES, Usual
from backend.layout import Layout
from backend.models.loaded import LoadedModel
from backend.watch import Silent
from tests.plain import FLOAT32, Plain, largest_gap
from tests.tiny import D_MLP, LAYERS


@pytest.fixture(scope="module")
def usual(tiny: Callable[[str], LoadedModel]) -> Usual:
    return reference.measure(tiny("gemma3_text"))


@pytest.fixture(scope="module")
def brute(untouched: Callable[[str], Plain]) -> np.ndarray:
    """[layer token neuron]: each sentence read alone, without padding."""
    plain = untouched("gemma3_text")
    rows = [plain.cett(plain.tokenizer(line)["input_ids"])[:, 1:] for line in reference.sentences()]
    return np.concatenate(rows, axis=1)


def test_mean_and_peak_are_those_of_every_sentence_read_alone(usual: Usual, brute: np.ndarray) -> None:
    """Padded batches change nothing, in sliding windows neither."""
    assert usual.tokens == brute.shape[1]
    assert usual.mean.shape == usual.peak.shape == (LAYERS, D_MLP)
    assert largest_gap(usual.mean, brute.mean(1)) <= FLOAT32 * brute.max()
    assert largest_gap(usual.peak, brute.max(1)) <= FLOAT32 * brute.max()


def test_first_tokens_would_have_changed_the_mean(usual: Usual, untouched: Callable[[str], Plain]) -> None:
    """Guard: leaving them out is what the tests above see."""
    plain = untouched("gemma3_text")
    rows = [plain.cett(plain.tokenizer(line)["input_ids"]) for line in reference.sentences()[:20]]
    with_first = np.concatenate(rows, axis=1).mean(1)
    assert largest_gap(usual.mean, with_first) > 1e-3


def test_the_histogram_counts_every_token_once(usual: Usual, brute: np.ndarray) -> None:
    assert usual.counts.shape == (LAYERS, D_MLP, len(EDGES) - 1)
    assert (usual.counts.sum(-1) == usual.tokens).all()
    for layer, neuron in ((0, 0), (1, 17), (2, 47)):
        expected, _ = np.histogram(brute[layer, :, neuron], EDGES[:-1].tolist() + [1e9])
        # A value on an edge may fall to either side of it.
        assert np.abs(usual.counts[layer, neuron] - expected).sum() <= 2


def test_a_ratio_is_never_over_less_than_the_layers_median(usual: Usual) -> None:
    for layer, floor in enumerate(usual.floored(Layout.dense((D_MLP,) * LAYERS))):
        median = np.sort(usual.mean[layer])[(D_MLP - 1) // 2]
        assert largest_gap(floor, np.maximum(usual.mean[layer], median)) == 0


def test_narrow_layers_are_cut_to_their_own_neurons() -> None:
    mean = np.array([[1, 2, 3], [4, np.nan, np.nan]], np.float32)
    usual = Usual(tokens=1, mean=mean, peak=mean, counts=np.zeros((2, 3, 26), np.int32))
    assert [floor.tolist() for floor in usual.floored(Layout.dense((3, 1)))] == [[2, 2, 3], [4]]


def test_it_comes_back_from_the_store_as_it_went(usual: Usual) -> None:
    assert Usual.model_validate_json(usual.to_bytes()).to_bytes() == usual.to_bytes()


def test_its_key_hangs_on_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    before = reference.request().hash
    monkeypatch.setattr(reference, "sentences", lambda: ["Another text."])
    assert reference.request().hash != before


def test_measuring_can_be_stopped(tiny: Callable[[str], LoadedModel]) -> None:
    class Pressed(Silent):
        def emit(self, event: object) -> None:
            """Nobody listens."""

        def stopped(self) -> bool:
            return True

    with pytest.raises(Stopped):
        reference.measure(tiny("llama"), Pressed())


def test_where_the_shipped_text_has_no_figures_it_is_named_and_not_the_text_that_was_asked_for(
    tiny: Callable[[str], LoadedModel],
) -> None:
    model = tiny("gemma3_text")
    handle = model.outs[1].register_forward_hook(lambda _, args, out: out * 0)
    try:
        with pytest.raises(ZeroOutput, match="in the shipped text, from which .* layer 1, token 1 .* has norm 0"):
            reference.measure(model)
    finally:
        # The model is shared: one that is left on it would fail every test behind this one.
        handle.remove()


def test_a_model_that_reads_less_than_a_sentence_measures_what_it_reads(
    tiny: Callable[[str], LoadedModel], usual: Usual
) -> None:
    model = tiny("gemma3_text")
    short = dataclasses.replace(model, info=model.info.model_copy(update={"context": 9}))
    assert reference.measure(short).tokens == 8 * len(reference.sentences()) < usual.tokens
