"""CETT over regions of many texts, by mean or by maximum: the features of a detector.

Owns batching. Texts are sorted by length and read in padded batches, the tokens that all of them begin with (a
template's system turn) once, both as far as the model's `Proof` allows; each layer is reduced in its hook; the output
head never runs. What leaves the device is [text region neuron] a layer. Refuses to choose regions or to judge texts.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from os.path import commonprefix
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from backend.errors import BadInput
from backend.forward.cett import check_norms, divided, not_finite, out_norm
from backend.forward.finite import refuse_text
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
    norms: list[Float[Tensor, "row pos"]] = field(default_factory=list)

    def __call__(self, layer: int, z: Tensor, h: Tensor) -> None:
        """Take in one layer."""
        norm = out_norm(h)
        self.norms.append(norm)
        self.reduce(layer, z, norm)

    @abstractmethod
    def reduce(self, layer: int, z: Tensor, norm: Float[Tensor, "row pos"]) -> None:
        """Keep the layer's reduction."""

    @abstractmethod
    def join(self, head: Float[Tensor, "row region pos"], values: Sequence[Tensor]) -> None:
        """Take in CETT [pos neuron] of each layer at the shared first positions, whose weights are `head`."""


class _Means(_Reduced):
    """Means."""

    def reduce(self, layer: int, z: Tensor, norm: Float[Tensor, "row pos"]) -> None:
        # cett() of the metric's module, arranged so that the [row pos neuron] array is touched as little as can be:
        # the norms go into the small weights, the column norms into the small sums. Outside a region 0 / 0 is 0.
        weights = (self.weights / norm[:, None, :]).masked_fill(self.weights == 0, 0.0)
        self.found.append(torch.bmm(weights, z.float().abs()) * self.w_norms[layer])

    def join(self, head: Float[Tensor, "row region pos"], values: Sequence[Tensor]) -> None:
        for layer, shared in enumerate(values):
            self.found[layer] += head @ shared


class _Maxima(_Reduced):
    """Largest values; NaN where a region is empty."""

    def reduce(self, layer: int, z: Tensor, norm: Float[Tensor, "row pos"]) -> None:
        self.found.append(largest(divided(z, self.w_norms[layer], norm), self.weights))

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

    Raises BadInput where there is no text or the numbers of regions differ, ZeroOutput for a region with an output of
    norm 0, NotFinite, Stopped between two batches.
    """
    if not texts or len({len(text.regions) for text in texts}) != 1:
        raise BadInput(
            "These texts cannot be read together", "each needs the same number of regions", "name them for each text"
        )
    shape = (len(texts), model.info.n_layers, len(texts[0].regions), max(model.info.widths))
    means = np.full(shape, np.nan, np.float32)
    with torch.inference_mode():
        for side in sides(model, [len(text.ids) for text in texts]):
            shared = _Shared.read(model, [texts[place] for place in side])
            for places in _batches(model, [len(text.ids) for text in texts], side, batch):
                check(watch)
                parts, hidden = _batch(model, [texts[p] for p in places], shared, pooling)
                if on_hidden:
                    on_hidden(places, hidden, shared.length)
                for layer, part in enumerate(parts):
                    means[places, layer, :, : part.shape[-1]] = part.cpu().numpy()
    return means


def sides(model: LoadedModel, lengths: Sequence[int]) -> list[list[int]]:
    """Places of texts, each side of the model's seam by itself: beyond it the whole batch is read in another way."""
    seam = model.proof.seam
    if seam is None:
        return [list(range(len(lengths)))]
    near = [place for place, length in enumerate(lengths) if length <= seam]
    far = [place for place, length in enumerate(lengths) if length > seam]
    return [side for side in (near, far) if side]


def batches(model: LoadedModel, lengths: Sequence[int], size: int = BATCH) -> Iterator[list[int]]:
    """Places of texts in batches that may be read together, filled up behind: by length, shortest first."""
    for side in sides(model, lengths):
        yield from _batches(model, lengths, side, size)


def _batches(model: LoadedModel, lengths: Sequence[int], side: Sequence[int], size: int) -> Iterator[list[int]]:
    order = sorted(side, key=lambda place: lengths[place])
    step = size if model.proof.right else 1
    for start in range(0, len(order), step):
        yield order[start : start + step]


@dataclass
class _Shared:
    """The tokens that all texts begin with: their cache, and CETT at each of them, [pos neuron] a layer.

    zero [layer pos]: where an output's norm is 0, for which CETT stands as 0.
    """

    length: int
    cache: Any
    values: list[Tensor]
    zero: Tensor | None = None

    @classmethod
    def read(cls, model: LoadedModel, texts: Sequence[RegionText]) -> _Shared:
        """At least one token of each text is left to its own batch, and the one before its first region."""
        ends = [min(len(text.ids), min(text.regions[0], default=len(text.ids))) - 1 for text in texts]
        length = min(len(commonprefix([text.ids for text in texts])), *ends)
        seam = model.proof.seam
        across = seam is not None and length <= seam < max(len(text.ids) for text in texts)
        if length < 1 or len(texts) < 2 or across or not (model.proof.shared and model.proof.right):
            return cls(0, None, [])
        values: list[Tensor] = []
        norms: list[Tensor] = []

        def keep(layer: int, z: Tensor, h: Tensor) -> None:
            norm = out_norm(h)
            norms.append(norm)
            values.append(divided(z, model.w_norms[layer], norm)[0].masked_fill(norm[0, :, None] == 0, 0.0))

        ids = torch.tensor([texts[0].ids[:length]], device=model.device)
        with observe(model, keep):
            cache = model.plain.base_model(ids, use_cache=True).past_key_values
        stacked = torch.stack([norm.to(model.device) for norm in norms])
        none = torch.zeros_like(stacked[0], dtype=torch.bool)
        check_norms(stacked, used=none, blame=lambda row: refuse_text(model, texts[0].ids[:length]))
        return cls(length, cache, values, (stacked == 0)[:, 0])

    def check(self, weights: Float[Tensor, "row region pos"]) -> None:
        """Raises ZeroOutput where a region has a position whose output has norm 0. `weights` are of these positions."""
        if self.zero is not None:
            used = ((weights > 0) & ~weights.isnan()).any(1).any(0)
            check_norms((~self.zero).float()[:, None], used=used[None])


def _batch(
    model: LoadedModel, texts: Sequence[RegionText], shared: _Shared, pooling: Pooling
) -> tuple[list[Tensor], Float[Tensor, "row pos d_model"]]:
    """[row region neuron] of each layer, and the last hidden states behind the shared tokens."""
    ids, real = right_padded([text.ids[shared.length :] for text in texts], model.device)
    weights = _weights(texts, shared.length + ids.shape[1], model.device)
    kind = _Means if pooling == "mean" else _Maxima
    sink = kind(model.w_norms, weights[..., shared.length :])
    extra: dict[str, Any] = {"use_cache": False}
    mask = real
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
    norms = torch.stack([norm.to(model.device) for norm in sink.norms])
    own = sink.weights
    used = ((own > 0) & ~own.isnan()).any(1)
    check_norms(norms, real, used, shared.length, lambda row: refuse_text(model, texts[row].ids))
    shared.check(weights[..., : shared.length])
    if len(texts) > 1 and not bool(norms.isfinite().all()):
        # At padding alone, which no text has: each is read without it.
        alone = [_batch(model, [text], shared, pooling) for text in texts]
        return _joined(alone, hidden)
    sink.join(weights[..., : shared.length], shared.values)
    _check_found(sink.found, weights)
    return sink.found, hidden


def _joined(
    alone: Sequence[tuple[list[Tensor], Tensor]], hidden: Float[Tensor, "row pos d_model"]
) -> tuple[list[Tensor], Float[Tensor, "row pos d_model"]]:
    """Rows that were read one by one, as a batch; hidden states at padding are whatever they were."""
    hidden = hidden.clone()
    for row, (_, states) in enumerate(alone):
        hidden[row, : states.shape[1]] = states[0]
    return [torch.cat(layer) for layer in zip(*(layers for layers, _ in alone), strict=True)], hidden


def _check_found(
    layers: Sequence[Float[Tensor, "row region neuron"]], weights: Float[Tensor, "row region pos"]
) -> None:
    """Raises NotFinite where a region that has positions has no figure: a sum too large, or a NaN in a direction."""
    asked = ~weights.isnan().any(2)
    for layer, part in enumerate(layers):
        bad = ~part.isfinite().all(2) & asked.to(part.device)
        if bool(bad.any()):
            raise not_finite(
                f"CETT in layer {layer} is NaN or infinite over a region of text {int(bad.nonzero()[0, 0])}"
            )


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
