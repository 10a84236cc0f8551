"""Stage 8, the threshold detector: neurons whose CETT is above mu + k sigma, on the probe's own items.

Owns the counting over the three populations. The detector flags strong neurons, on right answers too: this stage shows
how little it separates right from wrong. Does not choose k.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from backend.forward.cett import check_norms, divided, out_norm
from backend.forward.finite import refuse_text
from backend.forward.pooling import RegionText, batches, right_padded
from backend.models.hooks import observe
from backend.models.loaded import LoadedModel
from backend.neurons import NeuronSet
from backend.statistics.intervals import estimate, mean_estimate
from backend.statistics.scores import auroc
from backend.types import Population, Threshold
from backend.types.estimate import Estimate
from backend.types.report import Flagged
from backend.watch import SILENT, Watch, between

POPULATIONS: tuple[Population, ...] = ("token", "layer", "model")


@dataclass(frozen=True)
class Counts:
    """Share of neurons that are flagged, mean over an answer's tokens: of all neurons, and of the H-neurons. [item]"""

    all: Float[np.ndarray, " item"]
    h: Float[np.ndarray, " item"]


@dataclass
class _Sink:
    """CETT at the answers' tokens, and its sums at every position: what the populations need of one batch."""

    w_norms: Sequence[Tensor]
    rows: Int[Tensor, " place"]
    positions: Int[Tensor, " place"]
    values: list[Float[Tensor, "place neuron"]] = field(default_factory=list)
    sums: list[Float[Tensor, "row pos"]] = field(default_factory=list)
    squares: list[Float[Tensor, "row pos"]] = field(default_factory=list)
    norms: list[Float[Tensor, "row pos"]] = field(default_factory=list)

    def __call__(self, layer: int, z: Tensor, h: Tensor) -> None:
        norm = out_norm(h)
        self.norms.append(norm)
        here = divided(z, self.w_norms[layer], norm)
        self.values.append(here[self.rows, self.positions])
        self.sums.append(here.sum(-1))
        self.squares.append(here.square().sum(-1))


def count_flagged(
    model: LoadedModel, texts: Sequence[RegionText], k: float, chosen: NeuronSet, watch: Watch = SILENT
) -> dict[Population, Counts]:
    """Count flagged neurons in the first region of each text. Raises Stopped between two batches."""
    means = {population: (np.zeros(len(texts)), np.zeros(len(texts))) for population in POPULATIONS}
    with torch.inference_mode():
        for places in batches(model, [len(text.ids) for text in texts]):
            between(watch)
            _count_batch(model, [texts[place] for place in places], places, k, chosen, means)
    return {population: Counts(*pair) for population, pair in means.items()}


def _count_batch(
    model: LoadedModel,
    texts: Sequence[RegionText],
    places: Sequence[int],
    k: float,
    h_neurons: NeuronSet,
    means: dict[Population, tuple[np.ndarray, np.ndarray]],
) -> None:
    ids, mask = right_padded([text.ids for text in texts], model.device)
    rows = torch.tensor([row for row, text in enumerate(texts) for _ in text.regions[0]], device=model.device)
    positions = torch.tensor([place for text in texts for place in text.regions[0]], device=model.device)
    sink = _Sink(model.w_norms, rows, positions)
    with observe(model, sink):
        model.plain.base_model(ids, attention_mask=mask.long(), use_cache=False)
    norms = torch.stack([norm.to(mask.device) for norm in sink.norms])
    check_norms(norms, mask, blame=lambda row: refuse_text(model, texts[row].ids))
    widths, by_layer = model.info.widths, model.info.layout.by_layer(h_neurons)
    for population in POPULATIONS:
        limits = _limits(sink, mask, widths, population, k)
        is_flagged = [values > limit[:, None] for values, limit in zip(sink.values, limits, strict=True)]
        all_flagged = torch.stack([part.sum(-1) for part in is_flagged]).sum(0)
        h_flagged = sum(
            (is_flagged[layer][:, list(neurons_of_layer)].sum(-1) for layer, neurons_of_layer in by_layer.items()),
            torch.zeros_like(all_flagged),
        )
        for row, place in enumerate(places):
            here = rows == row
            means[population][0][place] = float(all_flagged[here].double().mean()) / sum(widths)
            means[population][1][place] = float(h_flagged[here].double().mean()) / max(len(h_neurons), 1)


def _limits(
    sink: _Sink, mask: Tensor, widths: Sequence[int], population: Population, k: float
) -> list[Float[Tensor, " place"]]:
    """mu + k sigma at each answer token, for every layer."""
    sums, squares = torch.stack(sink.sums), torch.stack(sink.squares)
    sizes = torch.tensor(widths, device=mask.device, dtype=sums.dtype)[:, None]
    if population == "layer":
        size, total, square = (
            sizes.expand(-1, len(sink.rows)),
            *(part[:, sink.rows, sink.positions] for part in (sums, squares)),
        )
    elif population == "token":
        size = sizes.sum(0).expand(len(sink.rows))[None]
        total, square = (part.sum(0)[sink.rows, sink.positions][None] for part in (sums, squares))
    else:
        lengths = mask.sum(1)
        size = (sizes.sum() * lengths)[sink.rows][None]
        total, square = (part.sum(0).where(mask, 0).sum(1)[sink.rows][None] for part in (sums, squares))
    mean = total / size
    limit = mean + k * (square / size - mean.square()).clamp_min(0).sqrt()
    return list(limit.expand(len(widths), -1))


def detector_figures(
    counts: Counts,
    threshold: Threshold,
    labels: Int[np.ndarray, " item"],
    entities: Int[np.ndarray, " item"],
    neurons: int,
    chosen: int,
) -> Flagged:
    """The detector's figures, for comparison with the probe's."""
    sides: list[Estimate] = [
        mean_estimate(counts.all[labels == side] * 1000, entities[labels == side]) for side in (0, 1)
    ]
    total = counts.all.sum() * neurons
    return Flagged(
        threshold=threshold,
        right=sides[0],
        wrong=sides[1],
        auroc=estimate(auroc, labels, counts.all, entities),
        h_right=float(counts.h[labels == 0].mean()),
        h_wrong=float(counts.h[labels == 1].mean()),
        overlap=float(1000 * counts.h.sum() * chosen / total) if total else 0.0,
    )
