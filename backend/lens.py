"""The verb lens: which vocabulary tokens each of several neurons raises and lowers.

Owns the logit lens of output directions, through the bridge: W_out[n], the final norm's scale, W_U. Refuses
what depends on a text.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from backend.models.loaded import LoadedModel
from backend.neurons import NeuronId, NeuronSet
from backend.prompting import token_info
from backend.types import Lens, LensRequest, Logit, Pushed


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
    w_u = model.bridge.W_U.float()
    rows = [model.w_out(neuron.layer)[neuron.index].float().to(w_u.device) for neuron in neurons]
    directions = torch.stack(rows)
    units = directions / directions.norm(dim=1, keepdim=True)
    final = model.bridge.ln_final.original_component
    if isinstance(final, nn.LayerNorm):
        units = units - units.mean(1, keepdim=True)
    return (units * _norm_scale(final, units[0])) @ w_u


def _norm_scale(final: nn.Module, like: Tensor) -> Float[Tensor, " d_model"]:
    """The norm's elementwise scale, found by asking it: families keep it as weight or as 1 + weight.

    A vector of alternating +1 and -1 has mean 0 and size 1, so the norm returns scale * vector + bias.
    """
    parameter = next(final.parameters())
    probe = torch.ones(len(like), device=parameter.device, dtype=parameter.dtype)
    probe[1::2] = -1
    return ((final(probe) - final(-probe)) / 2 * probe).float().to(like.device)


def _told(model: LoadedModel, tokens: list[int], moved: list[float]) -> tuple[Logit, ...]:
    pairs = zip(tokens, moved, strict=True)
    return tuple(Logit(id=t, shown=token_info(model, t, "answer").shown, logit=value) for t, value in pairs)
