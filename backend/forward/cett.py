"""CETT, the metric: from z and h of a layer to what leaves the layer's hook.

Owns the formula, the summaries, and the refusal of what is no number. Refuses hooks (`backend.models.hooks`) and
models: everything here takes tensors, reduces them at once (single tokens a few at a time), and keeps nothing of size
[pos neuron] unless the population of the threshold asks for it.

    CETT_j = |z_j| * ||W_out[j]|| / ||h||        Gao et al. 2025, Eq. 2-3

h is the MLP's raw output, not the residual stream. Unsigned, without unit, not a share: contributions
cancel, so their sum is at least 1. We differ from the official code in having no epsilon under the
division; where h is 0 there is no CETT, and `ZeroOutput` says so. NaN or infinity in weights or activations always
shows in ||h||: h is a sum over all of z, and 0 times infinity is NaN. So the norms are kept, and looked at once, when a
forward is over; `NotFinite` names the layer and the token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from backend.errors import NotFinite, ZeroOutput
from backend.types import Threshold

TOP_SHARE = 10
"""Neurons whose CETT is summed for `top10` and `concentration`."""


def cett(
    act: Float[Tensor, "row pos neuron"],
    w_norm: Float[Tensor, " neuron"],
    out: Float[Tensor, "row pos d_model"],
) -> Float[Tensor, "row pos neuron"]:
    """|act| * ||W_out[n]|| / ||MLP output||, in float32 whatever comes in.

    Raises ZeroOutput where an output's norm is 0, NotFinite where it is none: padding must be given real activations,
    as models do.
    """
    norm = out_norm(out)
    check_norms(norm[None])
    return divided(act, w_norm, norm)


def out_norm(out: Float[Tensor, "row pos d_model"]) -> Float[Tensor, "row pos"]:
    """||MLP output||, in float32."""
    return out.float().norm(dim=-1)


def divided(
    act: Float[Tensor, "row pos neuron"], w_norm: Float[Tensor, " neuron"], norm: Float[Tensor, "row pos"]
) -> Float[Tensor, "row pos neuron"]:
    """CETT unchecked: for hooks, which must not wait for the device. `check_norms` is due when the forward is over."""
    # One new tensor, worked on in place; the same bits as |act| * w_norm / norm, since no norm of weights is negative.
    return (act.float() * w_norm).abs_().div_(norm[..., None])


def check_norms(
    norms: Float[Tensor, "layer row pos"],
    real: Bool[Tensor, "row pos"] | None = None,
    used: Bool[Tensor, "row pos"] | None = None,
    before: int = 0,
    blame: Callable[[int], None] | None = None,
) -> None:
    """Refuse norms of MLP outputs of which no figure can be made.

    Args:
        real: positions that belong to a text; a NaN or infinity at any of them is refused. None: all.
        used: positions whose CETT is asked for; a norm of 0 elsewhere does no harm. None: all that are real.
        before: positions of the text that stand before the first of these.
        blame: called with the first row that is not finite; may raise NotFinite with a better place.
    Raises NotFinite or ZeroOutput, with the first such layer and its first such token.
    """
    wild, zero = ~norms.isfinite(), norms == 0
    used = real if used is None else used
    wild = wild if real is None else wild & real
    zero = zero if used is None else zero & used
    if not bool((wild | zero).any()):
        return
    bad = wild if bool(wild.any()) else zero
    layer = int(bad.any(2).any(1).nonzero()[0])
    place = f"layer {layer}, token {before + int(bad[layer].any(0).nonzero()[0])} (the first is 0)"
    if bad is wild:
        if blame:
            blame(int(wild.any(2).any(0).nonzero()[0]))
        raise not_finite(f"what the MLP writes in {place} is NaN or infinite")
    raise ZeroOutput(
        "CETT is not defined here",
        f"the MLP output in {place} has norm 0, and CETT divides by it",
        "use another text, or check the model's weights",
    )


def not_finite(why: str) -> NotFinite:
    """The refusal of NaN and infinity; `why` says where they are."""
    return NotFinite(
        "There is no figure for this",
        f"{why}: the weights hold such values, or the number type is too narrow (float16 ends at 65,504)",
        "open the model in float32 or bfloat16, and if that does not help, fetch its files again",
    )


@dataclass
class Norms:
    """||h|| of every layer that an observer met in one forward, to be looked at when all has been read."""

    seen: dict[int, Float[Tensor, "row pos"]] = field(default_factory=dict)

    def add(self, layer: int, norm: Float[Tensor, "row pos"]) -> None:
        """One layer of the forward."""
        self.seen[layer] = norm

    def stacked(self) -> Float[Tensor, "layer row pos"]:
        """All of them, on the first layer's device."""
        whole = [self.seen[layer] for layer in sorted(self.seen)]
        return torch.stack([part.to(whole[0].device) for part in whole])

    def check(self) -> None:
        """Raises NotFinite or ZeroOutput as `check_norms`, where every position is real and asked for."""
        if self.seen:
            check_norms(self.stacked())


@dataclass(frozen=True)
class Summary:
    """What is kept of tokens in one layer. Fields as in `backend.types.Exploration`, axis `token` in front."""

    sum: Float[Tensor, " token"]
    max: Float[Tensor, " token"]
    top10: Float[Tensor, " token"]
    mean: Float[Tensor, " token"]
    square: Float[Tensor, " token"]
    """Mean of CETT squared: what other populations need."""
    over: Int[Tensor, " token"]
    top_index: Int[Tensor, "token top"]
    top_cett: Float[Tensor, "token top"]
    top_act: Float[Tensor, "token top"]
    usual_index: Int[Tensor, "token top"]
    usual_cett: Float[Tensor, "token top"]
    usual_ratio: Float[Tensor, "token top"]


def summarise(
    values: Float[Tensor, "token neuron"],
    act: Float[Tensor, "token neuron"],
    usual: Float[Tensor, " neuron"] | None,
    top: int,
    k: float,
) -> Summary:
    """Reduce one layer's CETT; `over` is for the layer's own population at each token."""
    wide = min(max(top, TOP_SHARE), values.shape[-1])
    largest, index = values.topk(wide, dim=-1)
    kept = min(top, wide)
    total, mean, square = values.sum(-1), values.mean(-1), values.square().mean(-1)
    limit = mean + k * (square - mean.square()).clamp_min(0).sqrt()
    ratio, usual_index = largest[..., :kept], index[..., :kept]
    if usual is not None:
        ratio, usual_index = (values / usual).topk(kept, dim=-1)
    return Summary(
        sum=total,
        max=largest[..., 0],
        top10=largest[..., :TOP_SHARE].sum(-1),
        mean=mean,
        square=square,
        over=(values > limit[..., None]).sum(-1),
        top_index=index[..., :kept],
        top_cett=largest[..., :kept],
        top_act=act.gather(-1, index[..., :kept]).float(),
        usual_index=usual_index,
        usual_cett=values.gather(-1, usual_index),
        usual_ratio=ratio,
    )


def population(
    mean: Float[Tensor, "layer pos"],
    square: Float[Tensor, "layer pos"],
    widths: Sequence[int],
    threshold: Threshold,
) -> tuple[Float[Tensor, "layer pos"], Float[Tensor, "layer pos"]]:
    """(mu, sigma) of CETT over the threshold's population, spread to every layer and token."""
    mean, square = mean.double(), square.double()
    if threshold.population != "layer":
        share = torch.tensor(widths, dtype=torch.float64)[:, None] / sum(widths)
        mean = (mean * share).sum(0).expand_as(mean)
        square = (square * share).sum(0).expand_as(square)
    if threshold.population == "model":
        mean = mean.mean(1, keepdim=True).expand_as(mean)
        square = square.mean(1, keepdim=True).expand_as(square)
    return mean.float(), (square - mean.square()).clamp_min(0).sqrt().float()


def count_over(values: Float[Tensor, "pos neuron"], limit: Float[Tensor, " pos"]) -> Int[Tensor, " pos"]:
    """Neurons above the limit at each token."""
    return (values > limit[:, None]).sum(-1)


def region_means(
    values: Float[Tensor, "row pos neuron"], regions: Bool[Tensor, "row region pos"]
) -> Float[Tensor, "row region neuron"]:
    """Mean CETT over the positions of each region: one product, not a loop. An empty region gives NaN."""
    weights = regions.float()
    weights = weights / weights.sum(-1, keepdim=True)
    return torch.einsum("rpn,rgp->rgn", values, weights)
