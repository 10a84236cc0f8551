"""What is usual: each neuron's CETT on a shipped text of everyday sentences.

Owns `Usual`, how it is worked out (once a model, kept in the store), what of the text a model cannot read, and the
floor under a ratio. A high CETT may be a neuron that is always high; "against usual" divides by that neuron's own mean.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from backend.bundled import REFERENCE
from backend.errors import ModelUnreadable, NotFinite, ZeroOutput
from backend.forward.cett import check_norms, divided, out_norm
from backend.forward.finite import refuse_text
from backend.forward.pooling import batches, right_padded
from backend.forward.readable import is_read
from backend.layout import Layout
from backend.models.hooks import observe
from backend.models.loaded import LoadedModel
from backend.types import Array, Frozen
from backend.types.base import digest
from backend.untrusted import no_panic
from backend.watch import SILENT, Watch, check

BATCH = 16
EDGES = np.concatenate([[0.0], np.geomspace(1e-4, 1.0, 25), [np.inf]]).astype(np.float32)
"""Edges of the CETT histogram: below 1e-4, 24 steps of equal ratio up to 1, above 1."""


class UsualRequest(Frozen):
    """Names the reference statistics of a text: part of their key."""

    text_hash: str
    first_token: bool = False


class Usual(Frozen):
    """mean, peak [layer neuron]: of CETT over `tokens` tokens; counts [layer neuron bin]: histogram over `EDGES`.

    The first token of each sentence is left out: models put a huge activation there. So is a sentence that the model
    cannot read, which its notes tell. Layers narrower
    than the widest are filled up with NaN (counts with 0).
    """

    tokens: int
    mean: Array
    peak: Array
    counts: Array

    def floored(self, layout: Layout) -> list[Tensor]:
        """For each layer, the mean to divide by: never below the site's median, so that a neuron which is
        usually silent is compared with the site's middle neuron and not with noise."""

        def floored(mean: Tensor) -> Tensor:
            return mean.clamp_min(float(mean.median()) or 1e-12)

        means = [torch.from_numpy(mean.copy()) for mean in self.mean]
        return [
            torch.cat([floored(mean[part]) for part in layout.parts(layer)])
            for layer, mean in zip(range(layout.n_layers), means, strict=True)
        ]


def sentences() -> list[str]:
    """The reference text, a sentence an item."""
    text = REFERENCE.read_text("utf-8")
    return [line for line in text.split("\n") if line.strip()]


def request(model: LoadedModel | None = None) -> UsualRequest:
    """What the statistics of the shipped text are stored under: of all of it, or of what `model` can read of it."""
    lines = sentences() if model is None else [line for line, _ in _coded(model)]
    return UsualRequest(text_hash=digest(["\n".join(lines)]))


_INSTEAD = "open the model in float32 or bfloat16, and if that does not help, fetch its files again"


class _Tally:
    """An observer that adds up CETT where `real` is true."""

    def __init__(self, model: LoadedModel) -> None:
        self.w_norms = model.w_norms
        self.real = torch.empty(0)
        self.norms: list[Tensor] = []
        self.edges = torch.from_numpy(EDGES[1:-1].copy()).to(model.w_norms[0].device)
        self.sums = [torch.zeros_like(norm, dtype=torch.float64) for norm in model.w_norms]
        self.peaks = [torch.zeros_like(norm) for norm in model.w_norms]
        self.counts = [
            torch.zeros((len(norm), len(EDGES) - 1), dtype=torch.int32, device=norm.device) for norm in model.w_norms
        ]

    def __call__(self, layer: int, z: Tensor, h: Tensor) -> None:
        norm = out_norm(h)
        self.norms.append(norm)
        values = divided(z, self.w_norms[layer], norm)[self.real]
        self.sums[layer] += values.sum(0)
        self.peaks[layer] = torch.maximum(self.peaks[layer], values.amax(0))
        bins = torch.bucketize(values, self.edges, right=True).T.contiguous()
        self.counts[layer].scatter_add_(1, bins, torch.ones_like(bins, dtype=torch.int32))

    def check(self, text: Tensor, blame: Callable[[int], None]) -> None:
        """After a forward: raises NotFinite and ZeroOutput; `text` [row pos] is True at tokens, False at padding."""
        norms = torch.stack([norm.to(text.device) for norm in self.norms])
        self.norms.clear()
        check_norms(norms, text, self.real, blame=blame)


def measure(model: LoadedModel, watch: Watch = SILENT) -> Usual:
    """Work out the statistics of the shipped text: padded batches of similar length, reduced in the hook.

    Raises NotFinite, ZeroOutput, Stopped between two batches.
    """
    try:
        return _measured(model, watch)
    except (NotFinite, ZeroOutput) as error:
        # Whoever asked has another text before them.
        why = f"in the shipped text, from which each neuron's reference mean is measured, {error.why}"
        raise type(error)(error.what, why, _INSTEAD) from error


def notes(model: LoadedModel) -> tuple[str, ...]:
    """A sentence about what of the shipped text this model cannot read, where there is any.

    Raises ModelUnreadable where so little is left that nothing could be measured.
    """
    coded, given = _coded(model), len(sentences())
    if all(len(ids) < 2 for _, ids in coded):
        raise ModelUnreadable(
            f"{model.info.name} cannot read ordinary text",
            f"none of the {given} sentences that reference means are measured on gives two tokens that it has "
            "embeddings of",
            "fetch tokenizer and weights anew, both from the same place, or choose another model",
        )
    left = given - len(coded)
    if not left:
        return ()
    return (
        f"{left} of the {given} sentences that reference means are measured on are left out: its tokenizer "
        "drops something of them, or makes tokens that the model has no embedding of.",
    )


@no_panic()
def _coded(model: LoadedModel) -> list[tuple[str, list[int]]]:
    """The sentences that the model can read, with their tokens as far as it reads them."""
    coded = [(line, list(model.tokenizer(line)["input_ids"])[: model.info.context]) for line in sentences()]
    return [(line, ids) for line, ids in coded if is_read(model, ids, line)]


@no_panic()
def _measured(model: LoadedModel, watch: Watch) -> Usual:
    coded = [ids for _, ids in _coded(model)]
    tally = _Tally(model)
    with torch.inference_mode():
        for places in batches(model, list(map(len, coded)), BATCH):
            check(watch)
            rows = [coded[place] for place in places]
            ids, mask = right_padded(rows, model.device)
            tally.real = mask.clone()
            tally.real[:, 0] = False
            if not bool(tally.real.any()):
                continue
            with observe(model, tally):
                model.plain.base_model(ids, attention_mask=mask.long(), use_cache=False)
            tally.check(mask, partial(_blame, model, rows))
    tokens = sum(len(row) - 1 for row in coded)
    widest = max(model.info.widths)
    return Usual(
        tokens=tokens,
        mean=np.stack([_wide(total.cpu().numpy() / tokens, widest) for total in tally.sums]).astype(np.float32),
        peak=np.stack([_wide(peak.cpu().numpy(), widest) for peak in tally.peaks]),
        counts=np.stack([np.pad(count.cpu().numpy(), ((0, widest - len(count)), (0, 0))) for count in tally.counts]),
    )


def _blame(model: LoadedModel, rows: list[list[int]], row: int) -> None:
    refuse_text(model, rows[row])


def _wide(values: np.ndarray, widest: int) -> np.ndarray:
    return np.pad(values, (0, widest - len(values)), constant_values=np.nan)
