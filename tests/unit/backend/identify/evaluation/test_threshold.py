"""The threshold detector counts what stands above mu + k sigma of its population, and tells densities per mille."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from backend.forward.pooling import RegionText
from backend.identify.evaluation.threshold import POPULATIONS, Counts, _limits, _Sink, count_flagged, detector_figures
from backend.models.loaded import LoadedModel
from backend.neurons import NeuronId, NeuronSet
from backend.statistics import intervals
from backend.types import Population, Threshold
from tests.plain import Plain, some_ids

CHOSEN = NeuronSet((NeuronId(0, 3), NeuronId(2, 40), NeuronId(2, 41)))
BY_HAND = np.array([[[1, 1, 1, 5], [2, 2, 2, 2]], [[0, 0, 0, 4], [1, 3, 1, 3]]], dtype=np.float32)
"""CETT [layer pos neuron] of one text of two tokens."""


@pytest.mark.parametrize(
    ("population", "limits"),
    [
        # Layer: means 2 and 1, SD sqrt(3) each. Token 0 over both layers: mean 1.5, mean square 5.5. All 16: mean
        # 28 / 16 = 1.75, mean square 80 / 16 = 5.
        ("layer", [2 + 3**0.5, 1 + 3**0.5]),
        ("token", [1.5 + 3.25**0.5] * 2),
        ("model", [1.75 + (5 - 1.75**2) ** 0.5] * 2),
    ],
)
def test_the_limit_is_mu_plus_sigma_over_the_layer_the_token_or_the_whole_text(
    population: Population, limits: list[float]
) -> None:
    sink = _Sink([], torch.tensor([0]), torch.tensor([0]))
    for layer in torch.tensor(BY_HAND):
        sink.sums.append(layer.sum(-1)[None])
        sink.squares.append(layer.square().sum(-1)[None])
    found = _limits(sink, torch.ones((1, 2), dtype=torch.bool), (4, 4), population, k=1.0)
    assert [float(one[0]) for one in found] == pytest.approx(limits)


@pytest.mark.parametrize("k", [0.5, 3.0])
def test_counts_are_those_of_each_text_alone(
    k: float, tiny: Callable[[str], LoadedModel], untouched: Callable[[str], Plain]
) -> None:
    """Texts of several lengths, so that most are padded."""
    model, plain = tiny("llama"), untouched("llama")
    texts = [RegionText(tuple(some_ids(1, length, length)[0].tolist()), ((2, length - 1), ())) for length in (9, 5, 14)]
    found = count_flagged(model, texts, k, CHOSEN)
    for place, text in enumerate(texts):
        whole = plain.cett(list(text.ids))
        here = whole[:, list(text.regions[0])]
        of: dict[Population, np.ndarray] = {
            "token": (here.mean((0, 2)) + k * here.std((0, 2)))[None, :, None],
            "layer": (here.mean(2) + k * here.std(2))[:, :, None],
            "model": np.array(whole.mean() + k * whole.std()),
        }
        for population in POPULATIONS:
            over = here > of[population]
            inside = np.stack([over[one.layer, :, one.index] for one in CHOSEN])
            assert found[population].all[place] == pytest.approx(over.mean((0, 2)).mean())
            assert found[population].h[place] == pytest.approx(inside.mean())
    assert max(one.all.max() for one in found.values()) > 0


def test_densities_of_either_side_are_per_mille_and_the_overlap_is_the_h_neurons_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """2,000 neurons, 10 of them H-neurons. Flagged in the four answers: 20, 40, 60, 80 of all; 1, 0, 5, 3 of those."""
    monkeypatch.setattr(intervals, "RESAMPLES", 100)
    counts = Counts(np.array([20, 40, 60, 80]) / 2000, np.array([1, 0, 5, 3]) / 10)
    labels = np.array([0, 1, 0, 1])
    found = detector_figures(counts, Threshold(), labels, np.arange(4), neurons=2000, chosen=10)
    assert found.right.value == pytest.approx(20.0) and found.wrong.value == pytest.approx(30.0)
    assert (found.right.n, found.wrong.n) == (2, 2) and found.right.low == pytest.approx(10.0)
    assert found.auroc.value == 0.75
    assert found.h_right == pytest.approx(0.3) and found.h_wrong == pytest.approx(0.15)
    assert found.overlap == pytest.approx(1000 * 9 / 200)
    none = detector_figures(Counts(np.zeros(4), np.zeros(4)), Threshold(), labels, np.arange(4), 2000, 10)
    assert none.overlap == 0.0 and none.auroc.value == 0.5
