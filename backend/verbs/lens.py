"""The verb lens: which vocabulary tokens each of several neurons raises and lowers.

Owns the logit lens of output directions: W_out[n], the scale of a norm between the MLP's output and the residual stream
(Gemma 2, OLMo 2), the final norm's scale, W_U. Leaves out what depends on a text, and refuses models with anything else
before the vocabulary.

Its results are stored under the version `PUSHES` of `backend.verbs.table` (the table imports no torch). Raise that when
a change here changes a figure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from backend.errors import UnsupportedModel
from backend.forward.cett import not_finite
from backend.forward.prompting import token_info
from backend.models.hooks import observe
from backend.models.loaded import LoadedModel
from backend.neurons import NeuronId, NeuronSet
from backend.types import Lens, LensRequest, Logit, Pushed
from backend.watch import Watch

if TYPE_CHECKING:
    from backend.engine import Engine

FOLLOWS = 0.99
"""Least correlation of logits with W_U times the last hidden states. Measured: 0.996 with Gemma-2's cap, else 1.000."""


def run(engine: Engine, request: LensRequest, watch: Watch) -> Lens:
    """The tokens that each neuron of `request` pushes. Raises as `lens` does."""
    return lens(engine.model, request)


def lens(model: LoadedModel, request: LensRequest) -> Lens:
    """The tokens that each neuron of `request` pushes, in the set's order. Raises BadNeurons for a neuron that does
    not exist."""
    model.info.layout.check(request.neurons)
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
            promotes=_logit_entries(model, raised[0][place], raised[1][place]),
            suppresses=_logit_entries(model, lowered[0][place], lowered[1][place]),
        )
        for place, neuron in enumerate(neurons)
    )


def logits(model: LoadedModel, neurons: tuple[NeuronId, ...]) -> Float[Tensor, "set vocab"]:
    """How far one unit of each neuron's output direction moves each token's logit.

    The scales of the norm after the MLP, if there is one, and of the final norm are applied; their divisions by the
    size of the input are not, since those depend on the text. One unit is measured where it enters the residual stream.
    Source: the logit lens on W_out rows (Geva et al. 2021, "Feed-Forward Layers Are Key-Value Memories"). Another
    formula needs another `PUSHES` (see above).
    """
    w_u = _unembedding(model)
    places = [model.info.layout.offset_of(neuron) for neuron in neurons]
    rows = [model.w_out(layer)[offset].float().to(w_u.device) for layer, offset in places]
    behind = [_norms_behind(model).get(layer) for layer, _ in places]
    rows = [row if norm is None else _after_norm(model, norm, row) for row, norm in zip(rows, behind, strict=True)]
    directions = torch.stack(rows)
    # A direction of size 0 stays 0: such a neuron moves nothing.
    units = directions / directions.norm(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
    final = _final_norm(model)
    if final is not None:
        units = _after_norm(model, final, units)
    moved = units @ w_u
    bad = (~moved.isfinite()).any(1).nonzero()
    if len(bad):
        raise not_finite(f"what {neurons[int(bad[0])]} pushes is NaN or infinite")
    return moved


def _unembedding(model: LoadedModel) -> Float[Tensor, "d_model vocab"]:
    """W_U. Raises UnsupportedModel if more than one product lies between the last layer and the vocabulary."""
    head = model.plain.get_output_embeddings().weight
    if "lens" not in model.extras:
        model.extras["lens"] = head.shape[1] == model.info.d_model and _is_product(model, head)
    if not model.extras["lens"]:
        raise UnsupportedModel(
            "What a neuron pushes cannot be computed for this model",
            "more than one product stands between its last layer and the vocabulary",
            "look at its neurons on Explore, and switch them on Compare",
        )
    return cast("Tensor", head.float().T)


def _is_product(model: LoadedModel, head: Tensor) -> bool:
    """Whether logits follow W_U times the last hidden states; a factor and a cap after it do not change the order.

    Judged by the finite values; the verdict is cached for this model. Raises NotFinite if there are none.
    """
    some = torch.arange(5, 13, device=model.device)[None] % model.info.n_vocab
    hidden = model.plain.base_model(some, use_cache=False).last_hidden_state
    actual = model.plain(some, use_cache=False).logits[0].float()
    expected = hidden[0].float() @ head.float().T
    if (bias := getattr(model.plain.get_output_embeddings(), "bias", None)) is not None:
        expected = expected + bias.float()
    pair = torch.stack([actual.flatten(), expected.to(actual.device).flatten()])
    sound = pair.isfinite().all(0)
    if not bool(sound.any()):
        raise not_finite("the logits of a few tokens are NaN or infinite")
    return bool(torch.corrcoef(pair[:, sound])[0, 1] > FOLLOWS)


def _final_norm(model: LoadedModel) -> nn.Module | None:
    """The norm after the last layer, None for a model without one (some OPT)."""
    norm: nn.Module | None = getattr(getattr(model.bridge, "ln_final", None), "original_component", None)
    return norm


def _norms_behind(model: LoadedModel) -> dict[int, nn.Module]:
    """Layer -> the norm between its MLP's output and the residual stream, for layers that have one.

    Model families name it differently; it is recognised because its input is exactly that output.
    """
    known: dict[int, nn.Module] | None = model.extras.get("norms behind")
    if known is not None:
        return known
    norms_by_layer: dict[int, nn.Module] = {}
    written: list[tuple[int, Tensor]] = []

    def look(norm: nn.Module, args: tuple[Any, ...]) -> None:
        if written and args and isinstance(args[0], Tensor) and args[0].numel() == written[0][1].numel():
            layer, out = written[0]
            if torch.equal(args[0].reshape(-1).nan_to_num(), out.reshape(-1).nan_to_num()):
                norms_by_layer[layer] = norm

    def note(layer: int, z: Tensor, h: Tensor) -> None:
        written[:] = [(layer, h.clone())]

    sizes = ((module, getattr(module, "weight", None)) for module in model.plain.modules())
    norms = [norm for norm, size in sizes if isinstance(size, Tensor) and size.shape == (model.info.d_model,)]
    handles = [norm.register_forward_pre_hook(look) for norm in norms]
    some = torch.arange(5, 13, device=model.device)[None] % model.info.n_vocab
    try:
        with torch.inference_mode(), observe(model, note):
            model.plain.base_model(some, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    model.extras["norms behind"] = norms_by_layer
    return norms_by_layer


def _after_norm(
    model: LoadedModel, norm: nn.Module, rows: Float[Tensor, "... d_model"]
) -> Float[Tensor, "... d_model"]:
    """Directions after a norm, without its division."""
    return (rows - rows.mean(-1, keepdim=True) if _centres(model, norm) else rows) * _norm_scale(model, norm)


def _probe_vector(model: LoadedModel, final: nn.Module) -> Tensor:
    """A vector of alternating +1 and -1. Its mean is 0 and its size 1, so a norm changes it only by scale and bias."""
    like = next(final.parameters(), model.plain.get_output_embeddings().weight)
    probe = torch.ones(model.info.d_model, device=like.device, dtype=like.dtype)
    probe[1::2] = -1
    return probe


def _centres(model: LoadedModel, final: nn.Module) -> bool:
    """Whether the norm subtracts the mean: then it maps all ones and all minus ones to the same value."""
    ones = _probe_vector(model, final).abs()
    return bool((final(ones) - final(-ones)).abs().max() < 0.5 * _norm_scale(model, final).abs().max())


def _norm_scale(model: LoadedModel, final: nn.Module) -> Float[Tensor, " d_model"]:
    """The norm's elementwise scale, measured: model families store it as weight or as 1 + weight."""
    probe = _probe_vector(model, final)
    return ((final(probe) - final(-probe)) / 2 * probe).float().to(model.plain.get_output_embeddings().weight.device)


def _logit_entries(model: LoadedModel, tokens: list[int], moved: list[float]) -> tuple[Logit, ...]:
    pairs = zip(tokens, moved, strict=True)
    return tuple(Logit(id=t, shown=token_info(model, t, "answer").shown, logit=value) for t, value in pairs)
