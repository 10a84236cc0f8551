"""The verb neuron: one neuron's card.

Owns the logit lens of an output direction. The lens goes through the bridge: W_out[n], the final norm's
scale, W_U. Refuses statistics over question sets.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from backend.models.loaded import LoadedModel
from backend.neurons import NeuronSet
from backend.prompting import token_info
from backend.reference import EDGES, Usual
from backend.types import Exploration, Logit, NeuronCard, NeuronRequest


def card(model: LoadedModel, request: NeuronRequest, usual: Usual, text: Exploration | None) -> NeuronCard:
    """The card of `request.neuron`; `text` is the exploration of `request.text` with this neuron chosen.

    Raises BadNeurons for a neuron that the model does not have.
    """
    neuron = request.neuron
    NeuronSet((neuron,)).check(model.info.widths)
    with torch.inference_mode():
        logits = lens(model, neuron.layer, neuron.index)
        up, down = logits.topk(request.top), (-logits).topk(request.top)
    return NeuronCard(
        request=request,
        model=model.info,
        neuron=neuron,
        promotes=_told(model, up.indices, up.values),
        suppresses=_told(model, down.indices, -down.values),
        out_norm=float(model.w_norms[neuron.layer][neuron.index]),
        usual_tokens=usual.tokens,
        usual_mean=float(usual.mean[neuron.layer, neuron.index]),
        usual_max=float(usual.peak[neuron.layer, neuron.index]),
        usual_counts=usual.counts[neuron.layer, neuron.index],
        usual_edges=EDGES[:-1],
        tokens=text.tokens if text else (),
        cett=text.set_cett[:, 0] if text else None,
        act=text.set_act[:, 0] if text else None,
    )


def lens(model: LoadedModel, layer: int, index: int) -> Float[Tensor, " vocab"]:
    """How far a unit of the neuron's output direction moves each vocabulary token's logit.

    The final norm's scale is applied, its division by the residual stream's size is not: that depends on the
    text. Source: the logit lens on W_out rows (Geva et al. 2021, "Feed-Forward Layers Are Key-Value Memories").
    """
    direction = model.w_out(layer)[index].float()
    unit = direction / direction.norm()
    final = model.bridge.ln_final.original_component
    if isinstance(final, nn.LayerNorm):
        unit = unit - unit.mean()
    w_u = model.bridge.W_U.float()
    return (unit * _norm_scale(final, unit)).to(w_u.device) @ w_u


def _norm_scale(final: nn.Module, like: Tensor) -> Float[Tensor, " d_model"]:
    """The norm's elementwise scale, found by asking it: families keep it as weight or as 1 + weight.

    A vector of alternating +1 and -1 has mean 0 and size 1, so the norm returns scale * vector + bias.
    """
    parameter = next(final.parameters())
    probe = torch.ones(len(like), device=parameter.device, dtype=parameter.dtype)
    probe[1::2] = -1
    return ((final(probe) - final(-probe)) / 2 * probe).float().to(like.device)


def _told(model: LoadedModel, tokens: Tensor, logits: Tensor) -> tuple[Logit, ...]:
    pairs = zip(tokens.tolist(), logits.tolist(), strict=True)
    return tuple(Logit(id=t, shown=token_info(model, t, "answer").shown, logit=value) for t, value in pairs)
