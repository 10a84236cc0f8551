"""Estimates how much memory a model takes before it is loaded, and rejects one that cannot fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from backend.errors import ModelTooLarge, UnsupportedModel
from backend.models.checks.fields import ONE_COUNT, check_value
from backend.models.devices import BYTES, Device, free_bytes
from backend.models.registry import TABLE, ModelRow
from backend.types.numbers import byte_size

TOKENS, ROWS = 512, 4
"""The smallest batch that must fit in memory: four rows of 512 tokens."""
MAX_LAYERS = 1000
"""Building a layer takes a millisecond even without memory for its weights; the largest models have some hundred."""
HEADROOM = 1.1
"""Memory of the loaded weights divided by their own size: buffers and fragmentation."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The numbers on which the memory of a model depends."""

    layers: int
    neurons: int
    d_model: int
    vocabulary: int
    kv_width: int
    parameters: int


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Bytes: weights; keys and values of `rows` x `tokens`; captured activations and the logits of one chunk."""

    weights: int
    kv_cache: int
    capture: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.kv_cache + self.capture

    def to_dict(self) -> dict[str, int]:
        """The parts and the total, in bytes."""
        return {"weights": self.weights, "kv_cache": self.kv_cache, "capture": self.capture, "total": self.total}


def shape_of(config: Any, parameters: int) -> Shape:
    """The shape that a Transformers configuration describes; if widths differ between layers, the largest.

    Raises UnsupportedModel for a model without attention heads, Fault for an invalid number.
    """
    text = config.get_text_config()
    layers, width, heads = (
        _largest_count(text, name) for name in ("num_hidden_layers", "hidden_size", "num_attention_heads")
    )
    if not layers or not width or not heads:
        raise UnsupportedModel(
            f"A model of type {text.model_type!r} is not taken apart here",
            "its layers are of another kind than a transformer's, whose MLP neurons are read here",
            "choose a dense transformer, for instance a model of the table",
        )
    # XLNet has no limit on the context: its class defines this field as a property that is -1.
    if not isinstance(getattr(type(text), "max_position_embeddings", None), property):
        _largest_count(text, "max_position_embeddings")  # called only to reject a context of length 0
    latent = _largest_count(text, "qk_nope_head_dim") if getattr(text, "head_dim", None) == 0 else None
    head = latent or _largest_count(text, "head_dim") or max(1, width // heads)
    key_heads = _largest_count(text, "num_key_value_heads") or heads
    neurons = _largest_count(text, "intermediate_size") or _largest_count(text, "n_inner") or 4 * width
    return Shape(layers, neurons, width, _largest_count(text, "vocab_size") or 0, 2 * key_heads * head, parameters)


def _largest_count(config: Any, name: str) -> int | None:
    """A count in a configuration, the largest if each layer has its own. Raises Fault for an invalid value."""
    try:
        value = getattr(config, name, None)
    except Exception:  # some classes have one value for each layer, and raise an error of their own here
        layers = config.per_layer_config
        value = [getattr(layers[layer], name, None) for layer in range(config.num_hidden_layers)]
    values = [count for count in (value if isinstance(value, (list, tuple)) else [value]) if count is not None]
    for count in values:
        check_value(name, count, ONE_COUNT)
    return max(values, default=None)


def least_shape(config: Any) -> Shape:
    """A lower bound of the shape, computed from the configuration alone: a huge model is rejected before it is built.

    Raises UnsupportedModel beyond `MAX_LAYERS`, and as `shape_of` does.
    """
    shape = shape_of(config, 0)
    if shape.layers > MAX_LAYERS:
        raise UnsupportedModel(
            "This model has too many layers",
            f"its configuration names {shape.layers:,}, and at most {MAX_LAYERS:,} are read here",
            "choose another model, or see whether its configuration is right",
        )
    mlp_parameters = 0 if _is_sparse(config) else shape.d_model * shape.neurons
    return replace(shape, parameters=shape.layers * mlp_parameters)


def _is_sparse(config: Any) -> bool:
    """Whether some layers may not have one MLP of the full width."""
    settings = {name for name, value in vars(config.get_text_config()).items() if value and not name.startswith("_")}
    return any("expert" in name or "per_layer" in name or "block" in name for name in settings)


def skeleton(config: Any) -> Any:
    """The language model that a configuration describes, without memory for its weights."""
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config.get_text_config(), trust_remote_code=False)


def count_parameters(config: Any) -> int:
    """Number of parameters of the language model that a configuration describes; allocates no memory for weights."""
    return sum(parameter.numel() for parameter in skeleton(config).parameters())


def row_shape(row: ModelRow) -> Shape:
    """The shape that a row of the table states."""
    return Shape(row.layers, row.neurons, row.d_model, row.vocabulary, row.kv_width, row.parameters)


def estimate(shape: Shape, dtype: str, tokens: int = TOKENS, rows: int = ROWS) -> MemoryEstimate:
    """Bytes for `rows` rows of `tokens` tokens.

    Capture: z, |z|, CETT and a ratio of one layer in float32, and the logits of one row in the model's format and
    in float32.
    """
    size = BYTES[dtype]
    positions = tokens * rows
    return MemoryEstimate(
        weights=int(shape.parameters * size * HEADROOM),
        kv_cache=2 * positions * shape.kv_width * shape.layers * size,
        capture=4 * positions * shape.neurons * 4 + tokens * shape.vocabulary * (size + 4),
    )


def check_fits(
    name: str,
    needs: MemoryEstimate,
    device: Device,
    free: int | None = None,
    half: MemoryEstimate | None = None,
) -> None:
    """Check that a model fits into the memory that is free on `device`, or into `free` bytes.

    `half` is what the same model needs in bfloat16, if that is less.
    Raises ModelTooLarge with a message that says what would fit.
    """
    free = free_bytes(device) if free is None else free
    if needs.total <= free:
        return
    raise ModelTooLarge(
        f"{name} does not fit",
        f"it needs about {byte_size(needs.total)} ({byte_size(needs.weights)} of it weights) and "
        f"{byte_size(free)} are free on {device}",
        _what_would_fit(free, half),
    )


def _what_would_fit(free: int, half: MemoryEstimate | None) -> str:
    if half is not None and half.total <= free:
        return f"in bfloat16 it would fit, with {byte_size(half.total)}: set HNEURONS_DTYPE=bfloat16"
    # The planted model is for calibration, and replaces no other.
    offered = [row for row in TABLE if row.source != "bundled" and "refused" not in row.note]
    fitting = [row for row in offered if estimate(row_shape(row), "float32").total <= free]
    best = max(fitting, key=lambda row: row.parameters, default=None)
    return f"{best.name} would fit, or use a machine with more memory" if best else "use a machine with more memory"
