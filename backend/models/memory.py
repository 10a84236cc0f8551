"""How much memory a model takes, worked out before it is loaded, and the refusal of what cannot fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from backend.errors import ModelTooLarge
from backend.models.devices import BYTES, Device, free_bytes
from backend.models.registry import TABLE, ModelRow

TOKENS, ROWS = 512, 4
"""What a loaded model must at least be able to do: four rows of 512 tokens."""
HEADROOM = 1.1
"""Weights as loaded, over their own size: buffers and fragmentation."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What memory depends on."""

    layers: int
    neurons: int
    d_model: int
    vocabulary: int
    kv_width: int
    parameters: int


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Bytes: weights; keys and values of `rows` x `tokens`; what capture and the logits of one chunk take."""

    weights: int
    kv_cache: int
    capture: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.kv_cache + self.capture

    def to_dict(self) -> dict[str, int]:
        """As it is shown."""
        return {"weights": self.weights, "kv_cache": self.kv_cache, "capture": self.capture, "total": self.total}


def shape_of(config: Any, parameters: int) -> Shape:
    """The shape that a Transformers configuration describes."""
    text = config.get_text_config()
    heads = text.num_attention_heads
    head = getattr(text, "head_dim", None) or text.hidden_size // heads
    key_heads = getattr(text, "num_key_value_heads", None) or heads
    neurons = getattr(text, "intermediate_size", None) or getattr(text, "n_inner", None) or 4 * text.hidden_size
    return Shape(text.num_hidden_layers, neurons, text.hidden_size, text.vocab_size, 2 * key_heads * head, parameters)


def count_parameters(config: Any) -> int:
    """Every weight once of the language model a configuration describes; counted without taking memory."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config.get_text_config(), trust_remote_code=False)
    return sum(parameter.numel() for parameter in model.parameters())


def row_shape(row: ModelRow) -> Shape:
    """The shape of a table row."""
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
    """Let pass what fits into the memory that is free on `device`, or into `free` bytes.

    `half` is what the same model needs in bfloat16, where that is less.
    Raises ModelTooLarge, with the sentence that says what would fit.
    """
    free = free_bytes(device) if free is None else free
    if needs.total <= free:
        return
    raise ModelTooLarge(
        f"{name} does not fit",
        f"it needs about {gigabytes(needs.total)} ({gigabytes(needs.weights)} of it weights) and "
        f"{gigabytes(free)} are free on {device}",
        _instead(free, half),
    )


def _instead(free: int, half: MemoryEstimate | None) -> str:
    if half is not None and half.total <= free:
        return f"in bfloat16 it would fit, with {gigabytes(half.total)}: set HNEURONS_DTYPE=bfloat16"
    fitting = [row for row in TABLE if estimate(row_shape(row), "float32").total <= free and "refused" not in row.note]
    best = max(fitting, key=lambda row: row.parameters, default=None)
    return f"{best.name} would fit, or use a machine with more memory" if best else "use a machine with more memory"


def gigabytes(size: int) -> str:
    """Bytes for the eye."""
    return f"{size / 1e9:.1f} GB"
