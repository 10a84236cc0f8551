"""The verb lens: which vocabulary tokens each of several neurons raises and lowers.

Owns the logit lens of output directions: W_out[n], the final norm's scale, W_U. Refuses what depends on a text, and
models in which something else stands before the vocabulary.
"""

from __future__ import annotations

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from backend.cett import not_finite
from backend.errors import UnsupportedModel
from backend.models.loaded import LoadedModel
from backend.neurons import NeuronId, NeuronSet
from backend.prompting import token_info
from backend.types import Lens, LensRequest, Logit, Pushed

FOLLOWS = 0.99
"""Correlation of logits with W_U times the last hidden states. Seen: 0.996 under Gemma-2's cap, 1.000 elsewhere."""


def lens(model: LoadedModel, request: LensRequest) -> Lens:
    """What each neuron of `request` pushes, in the set's order. Raises BadNeurons for one the model does not have."""
    request.neurons.check(model.info.widths)
    return Lens(request=request, model=model.info, pushed=pushed(model, request.neurons, request.top))


def pushed(model: LoadedModel, neurons: NeuronSet, top: int) -> tuple[Pushed, ...]:
    """For each neuron the `top` tokens it raises most and those it lowers most."""
    with torch.inference_mode():
        moved = logits(model, neurons.ids)
        up, down = moved.topk(top), (-moved).topk(top)
        raised = (up.indices.tolist(), up.values.tolist())
        lowered = (down.indices.tolist(), (-down.values).tolist())
    return tuple(
        Pushed(
            neuron=neuron,
            promotes=_told(model, raised[0][place], raised[1][place]),
            suppresses=_told(model, lowered[0][place], lowered[1][place]),
        )
        for place, neuron in enumerate(neurons)
    )


def logits(model: LoadedModel, neurons: tuple[NeuronId, ...]) -> Float[Tensor, "set vocab"]:
    """How far a unit of each neuron's output direction moves each vocabulary token's logit.

    The final norm's scale is applied, its division by the residual stream's size is not: that depends on the
    text. Source: the logit lens on W_out rows (Geva et al. 2021, "Feed-Forward Layers Are Key-Value Memories").
    """
    w_u = _unembedding(model)
    rows = [model.w_out(neuron.layer)[neuron.index].float().to(w_u.device) for neuron in neurons]
    directions = torch.stack(rows)
    # A direction of size 0 stays 0: such a neuron moves nothing.
    units = directions / directions.norm(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
    final = _final_norm(model)
    if final is not None:
        units = (units - units.mean(1, keepdim=True) if _centres(model, final) else units) * _norm_scale(model, final)
    moved = units @ w_u
    bad = (~moved.isfinite()).any(1).nonzero()
    if len(bad):
        raise not_finite(f"what {neurons[int(bad[0])]} pushes is NaN or infinite")
    return moved


def _unembedding(model: LoadedModel) -> Float[Tensor, "d_model vocab"]:
    """W_U. Raises UnsupportedModel where more than one product stands between the last layer and the vocabulary."""
    head = model.plain.get_output_embeddings().weight
    if "lens" not in model.extras:
        model.extras["lens"] = head.shape[1] == model.info.d_model and _is_product(model, head)
    if not model.extras["lens"]:
        raise UnsupportedModel(
            "What a neuron pushes cannot be told for this model",
            "more than one product stands between its last layer and the vocabulary",
            "look at its neurons on Explore, and switch them on Compare",
        )
    return cast("Tensor", head.float().T)


def _is_product(model: LoadedModel, head: Tensor) -> bool:
    """Whether logits follow W_U times the last hidden states; a factor and a cap behind it change no order."""
    some = torch.arange(5, 13, device=model.device)[None] % model.info.n_vocab
    hidden = model.plain.base_model(some, use_cache=False).last_hidden_state
    found = model.plain(some, use_cache=False).logits[0].float()
    expected = hidden[0].float() @ head.float().T
    if (bias := getattr(model.plain.get_output_embeddings(), "bias", None)) is not None:
        expected = expected + bias.float()
    pair = torch.stack([found.flatten(), expected.to(found.device).flatten()])
    return bool(torch.corrcoef(pair)[0, 1] > FOLLOWS)


def _final_norm(model: LoadedModel) -> nn.Module | None:
    """The norm behind the last layer, None for a model without one (some OPT)."""
    found: nn.Module | None = getattr(getattr(model.bridge, "ln_final", None), "original_component", None)
    return found


def _probe(model: LoadedModel, final: nn.Module) -> Tensor:
    """A vector of alternating +1 and -1: its mean is 0 and its size 1, so a norm leaves it but for scale and bias."""
    like = next(final.parameters(), model.plain.get_output_embeddings().weight)
    probe = torch.ones(model.info.d_model, device=like.device, dtype=like.dtype)
    probe[1::2] = -1
    return probe


def _centres(model: LoadedModel, final: nn.Module) -> bool:
    """Whether the norm takes the mean away: then it tells ones from minus ones no more."""
    ones = _probe(model, final).abs()
    return bool((final(ones) - final(-ones)).abs().max() < 0.5 * _norm_scale(model, final).abs().max())


def _norm_scale(model: LoadedModel, final: nn.Module) -> Float[Tensor, " d_model"]:
    """The norm's elementwise scale, found by asking it: families keep it as weight or as 1 + weight."""
    probe = _probe(model, final)
    return ((final(probe) - final(-probe)) / 2 * probe).float().to(model.plain.get_output_embeddings().weight.device)


def _told(model: LoadedModel, tokens: list[int], moved: list[float]) -> tuple[Logit, ...]:
    pairs = zip(tokens, moved, strict=True)
    return tuple(Logit(id=t, shown=token_info(model, t, "answer").shown, logit=value) for t, value in pairs)
