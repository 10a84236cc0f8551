"""CETT over regions of many texts, by mean or by maximum: the features of a detector.

Owns batching. Texts are sorted by length and read in padded batches; the tokens that all of them begin with
(a template's system turn) are read once; each layer is reduced in its hook; the output head never runs. What
leaves the device is [text region neuron] a layer. Refuses to choose regions or to judge texts.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from os.path import commonprefix
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from backend.cett import cett
from backend.errors import BadInput
from backend.models.hooks import observe
from backend.models.loaded import LoadedModel
from backend.types.identify import Pooling
from backend.watch import SILENT, Watch, check

BATCH = 16
OnHidden = Callable[[list[int], Float[Tensor, "row pos d_model"], int], None]
"""Called with a batch's places in the list of texts, its hidden states, and how many positions come before them."""


@dataclass(frozen=True)
class RegionText:
    """A text and its regions: `regions[name]` are positions in `ids`, for instance the answer's tokens."""

    ids: tuple[int, ...]
    regions: tuple[tuple[int, ...], ...]


@dataclass
class _Reduced(ABC):
    """An observer that keeps one reduction of CETT over regions for each layer: [row region neuron]."""

    w_norms: Sequence[Tensor]
    weights: Float[Tensor, "row region pos"]
    """As `_weights` makes them: 1 / size of the region at its positions."""
    found: list[Tensor] = field(default_factory=list)

    @abstractmethod
    def __call__(self, layer: int, z: Tensor, h: Tensor) -> None:
        """Take in one layer."""

    @abstractmethod
    def join(self, head: Float[Tensor, "row region pos"], values: Sequence[Tensor]) -> None:
        """Take in CETT [pos neuron] of each layer at the shared first positions, whose weights are `head`."""


class _Means(_Reduced):
    """Means."""

    def __call__(self, layer: int, z: Tensor, h: Tensor) -> None:
        # cett() of the metric's module, arranged so that the [row pos neuron] array is touched as little as can be:
        # the norms go into the small weights, the column norms into the small sums.
        norm = h.float().norm(dim=-1)
        weights = self.weights / norm[:, None, :]
        self.found.append(torch.bmm(weights, z.float().abs()) * self.w_norms[layer])

    def join(self, head: Float[Tensor, "row region pos"], values: Sequence[Tensor]) -> None:
        for layer, shared in enumerate(values):
            self.found[layer] += head @ shared


class _Maxima(_Reduced):
    """Largest values; NaN where a region is empty."""

    def __call__(self, layer: int, z: Tensor, h: Tensor) -> None:
        self.found.append(largest(cett(z, self.w_norms[layer], h), self.weights))

    def join(self, head: Float[Tensor, "row region pos"], values: Sequence[Tensor]) -> None:
        for layer, shared in enumerate(values):
            rows = shared.expand(len(head), -1, -1)
            self.found[layer] = torch.maximum(self.found[layer], largest(rows, head))
        self.found = [part.masked_fill(part == -torch.inf, torch.nan) for part in self.found]


def largest(
    values: Float[Tensor, "row pos neuron"], weights: Float[Tensor, "row region pos"]
) -> Float[Tensor, "row region neuron"]:
    """The largest value in each region, -inf where none of these positions is in it."""
    outside = (weights == 0) | weights.isnan()
    parts = [values.masked_fill(outside[:, region, :, None], -torch.inf).amax(1) for region in range(weights.shape[1])]
    return torch.stack(parts, dim=1)


def region_means(
    model: LoadedModel,
    texts: Sequence[RegionText],
    batch: int = BATCH,
    watch: Watch = SILENT,
    pooling: Pooling = "mean",
    on_hidden: OnHidden | None = None,
) -> Float[np.ndarray, "text layer region neuron"]:
    """Mean CETT of every neuron over each region of each text (Gao et al. 2025, Eq. 3), or with "max" the largest.

    All texts need the same number of regions. An empty region gives NaN. `on_hidden` is told the last hidden
    states of every batch, from before the first position of each text's first region on.

    Raises BadInput where there is no text or the numbers of regions differ, Stopped between two batches.
    """
    if not texts or len({len(text.regions) for text in texts}) != 1:
        raise BadInput(
            "These texts cannot be read together", "each needs the same number of regions", "name them for each text"
        )
    shape = (len(texts), model.info.n_layers, len(texts[0].regions), max(model.info.widths))
    means = np.full(shape, np.nan, np.float32)
    order = sorted(range(len(texts)), key=lambda place: len(texts[place].ids))
    with torch.inference_mode():
        shared = _Shared.read(model, texts)
        for start in range(0, len(order), batch):
            check(watch)
            places = order[start : start + batch]
            parts, hidden = _batch(model, [texts[p] for p in places], shared, pooling)
            if on_hidden:
                on_hidden(places, hidden, shared.length)
            for layer, part in enumerate(parts):
                means[places, layer, :, : part.shape[-1]] = part.cpu().numpy()
    return means


@dataclass
class _Shared:
    """The tokens that all texts begin with: their cache, and CETT at each of them, [pos neuron] a layer."""

    length: int
    cache: Any
    values: list[Tensor]

    @classmethod
    def read(cls, model: LoadedModel, texts: Sequence[RegionText]) -> _Shared:
        """At least one token of each text is left to its own batch, and the one before its first region."""
        ends = [min(len(text.ids), min(text.regions[0], default=len(text.ids))) - 1 for text in texts]
        length = min(len(commonprefix([text.ids for text in texts])), *ends)
        if length < 1 or len(texts) < 2:
            return cls(0, None, [])
        values: list[Tensor] = []

        def keep(layer: int, z: Tensor, h: Tensor) -> None:
            values.append(cett(z, model.w_norms[layer], h)[0])

        ids = torch.tensor([texts[0].ids[:length]], device=model.device)
        with observe(model, keep):
            cache = model.plain.base_model(ids, use_cache=True).past_key_values
        return cls(length, cache, values)


def _batch(
    model: LoadedModel, texts: Sequence[RegionText], shared: _Shared, pooling: Pooling
) -> tuple[list[Tensor], Float[Tensor, "row pos d_model"]]:
    """[row region neuron] of each layer, and the last hidden states behind the shared tokens."""
    ids, mask = right_padded([text.ids[shared.length :] for text in texts], model.device)
    weights = _weights(texts, shared.length + ids.shape[1], model.device)
    kind = _Means if pooling == "mean" else _Maxima
    sink = kind(model.w_norms, weights[..., shared.length :])
    extra: dict[str, Any] = {"use_cache": False}
    if shared.length:
        cache = copy.deepcopy(shared.cache)
        cache.batch_repeat_interleave(len(texts))
        ones = torch.ones((len(texts), shared.length), dtype=mask.dtype, device=mask.device)
        extra = {"past_key_values": cache, "use_cache": True}
        mask = torch.cat([ones, mask], dim=1)
    if not bool(mask.all()):
        extra["attention_mask"] = mask.long()
    with observe(model, sink):
        hidden = model.plain.base_model(ids, **extra).last_hidden_state
    sink.join(weights[..., : shared.length], shared.values)
    return sink.found, hidden


def right_padded(
    rows: Sequence[Sequence[int]], device: torch.device
) -> tuple[Int[Tensor, "row pos"], Bool[Tensor, "row pos"]]:
    """Rows filled up behind with their last token, and which positions are real."""
    width = max(map(len, rows))
    ids = torch.tensor([list(row) + [row[-1]] * (width - len(row)) for row in rows], device=device)
    lengths = torch.tensor([len(row) for row in rows], device=device)
    return ids, torch.arange(width, device=device)[None, :] < lengths[:, None]


def _weights(texts: Sequence[RegionText], width: int, device: torch.device) -> Float[Tensor, "row region pos"]:
    """1 / size of the region at its positions, else 0; NaN throughout where a region is empty."""
    weights = torch.zeros((len(texts), len(texts[0].regions), width), device=device)
    for row, text in enumerate(texts):
        for region, positions in enumerate(text.regions):
            if positions:
                weights[row, region, list(positions)] = 1.0 / len(positions)
            else:
                weights[row, region] = torch.nan
    return weights
