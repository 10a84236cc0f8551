"""A loaded model: the TransformerLens bridge, a plain module tree over the same weights, and what both need.

Owns `LoadedModel` and `wrap`, which makes one from a Transformers model. Finding, downloading and
checking models is in `backend.models.loading`. Weights are never edited.
"""

from __future__ import annotations

import copy
import importlib.metadata
import logging
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformer_lens.model_bridge import TransformerBridge
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from backend.errors import UnsupportedModel
from backend.forward import products
from backend.models.hooks import Tree, bridge_outs, plain_outs, refuse_experts
from backend.models.selfcheck import Proof, prove
from backend.types import ModelInfo

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model, ready to run. `outs[layer]` and `bridge_outs[layer]` are its down projections in the two trees."""

    info: ModelInfo
    bridge: TransformerBridge
    plain: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    outs: tuple[nn.Module, ...]
    bridge_outs: tuple[Any, ...]
    w_norms: tuple[Float[Tensor, " neuron"], ...]
    ends: frozenset[int]
    """Tokens that end an answer."""
    proof: Proof = field(default_factory=Proof)
    """Which ways of running it give the same results as Transformers' own forward pass."""
    extras: dict[str, Any] = field(default_factory=dict)
    """Values that are computed once for this model."""

    @property
    def device(self) -> torch.device:
        """The device of the embedding, on which inputs must be."""
        weight = self.plain.get_input_embeddings().weight
        return torch.device(weight.device) if isinstance(weight, Tensor) else torch.device("cpu")

    def tree(self, tokens: int) -> Tree:
        """The tree that reads a finished text of this length: the bridge, as far as it was found to be right."""
        beyond = self.proof.seam is not None and tokens > self.proof.seam
        return "bridge" if self.proof.bridge and not beyond else "plain"

    def w_out(self, layer: int) -> Float[Tensor, "neuron d_model"]:
        """Output directions of a layer's neurons, one in each row."""
        return output_directions(self.outs[layer])


def output_directions(out: nn.Module) -> Float[Tensor, "neuron d_model"]:
    """W_out [neuron d_model] of a down projection. A Linear stores it as [d_model neuron], a Conv1D transposed."""
    weight = out.get_parameter("weight").detach()
    return weight if type(out).__name__ == "Conv1D" else weight.T


def twin(model: PreTrainedModel) -> PreTrainedModel:
    """A second module tree over the same parameters and buffers: only Python objects are copied, no tensors."""
    shared: dict[int, Any] = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    return copy.deepcopy(model, shared)


def wrap(
    hf_model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    name: str,
    source: str,
    fingerprint: str,
    device: str,
    dtype: str,
) -> LoadedModel:
    """Put the bridge around `hf_model` and make a plain tree beside it.

    No weight is processed: without compatibility mode the bridge folds and centres nothing.

    Each way in which the verbs run the model is tried on a few tokens; `proof` says which of them are right.

    Raises UnsupportedModel for a model whose neurons cannot be addressed, whose cache gives wrong results, or that is
    more than a language model, since the bridge would need packages for its other parts; NotFinite if its weights or
    activations hold NaN or infinity.
    """
    if hf_model.config.get_text_config() is not hf_model.config:
        raise UnsupportedModel(
            f"{name} is more than a language model",
            f"its configuration, {hf_model.config.model_type!r}, has parts for other things than text",
            "load it by its folder or name, which takes the language part alone",
        )
    hf_model.eval().requires_grad_(False)
    plain = twin(hf_model)
    is_fast = products.take(plain) > 0
    bridge = _make_bridge(hf_model, tokenizer, name, source)
    bridged = bridge_outs(bridge)
    outs = plain_outs(plain, bridged)
    refuse_experts(plain, outs)
    norms = tuple(output_directions(out).float().norm(dim=1) for out in outs)
    named = {"name": name, "fingerprint": fingerprint, "device": device, "dtype": dtype}
    info = _model_info(plain, tokenizer, norms, **named).model_copy(update={"fast_products": is_fast})
    model = LoadedModel(info, bridge, plain, tokenizer, outs, bridged, norms, _end_tokens(plain, tokenizer))
    proof = prove(model)
    return replace(model, proof=proof, info=info.model_copy(update={"notes": proof.notes}))


def _make_bridge(
    hf_model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str, source: str
) -> TransformerBridge:
    """The TransformerLens bridge around the model. Raises UnsupportedModel for a family that it does not support."""
    device = str(next(hf_model.parameters()).device)
    try:
        return TransformerBridge.boot_transformers(
            source, hf_model=hf_model, tokenizer=copy.deepcopy(tokenizer), device=device
        )
    except (torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:  # an adapter that does not fit fails with whatever it runs into
        log.info("%s: TransformerLens cannot be put around it", name, exc_info=True)
        raise UnsupportedModel(
            f"{name} cannot be taken apart",
            f"TransformerLens does not know this form of {type(hf_model).__name__}",
            "choose a model of the table or of a known family",
        ) from error


def _model_info(
    plain: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, norms: tuple[Tensor, ...], **named: str
) -> ModelInfo:
    config = plain.config.get_text_config()
    return ModelInfo(
        family=config.model_type,
        n_layers=len(norms),
        widths=tuple(len(norm) for norm in norms),
        d_model=config.hidden_size,
        n_vocab=plain.get_output_embeddings().weight.shape[0],
        parameters=sum(parameter.numel() for parameter in plain.parameters()),
        context=getattr(config, "max_position_embeddings", None) or tokenizer.model_max_length,
        versions={lib: importlib.metadata.version(lib) for lib in ("torch", "transformers", "transformer-lens")},
        **named,
    )


def _end_tokens(plain: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """End tokens of the generation config, the model config and the tokenizer: any of them ends an answer."""
    ends: set[int] = set()
    for value in (
        plain.generation_config.eos_token_id if plain.generation_config else None,
        plain.config.get_text_config().eos_token_id,
        tokenizer.eos_token_id,
    ):
        if value is not None:
            ends.update(value if isinstance(value, (list, tuple)) else [value])
    return frozenset(ends)
