"""A second implementation, written from the formulas on plain Transformers: what the engine is held to.

Owns `Plain`, a model that nothing was ever wrapped around. It imports nothing of this project: the down
projection is found by its name in each family's class, hooks are torch's own, and CETT is numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer

DOWN = {
    "llama": "model.layers.{}.mlp.down_proj",
    "mistral": "model.layers.{}.mlp.down_proj",
    "gemma3_text": "model.layers.{}.mlp.down_proj",
    "qwen3": "model.layers.{}.mlp.down_proj",
    "phi3": "model.layers.{}.mlp.down_proj",
    "gpt2": "transformer.h.{}.mlp.c_proj",
    "gpt_neox": "gpt_neox.layers.{}.mlp.dense_4h_to_h",
    "falcon": "transformer.h.{}.mlp.dense_4h_to_h",
    "falcon_alibi": "transformer.h.{}.mlp.dense_4h_to_h",
    "opt": "model.decoder.layers.{}.fc2",
    "opt_after": "model.decoder.layers.{}.fc2",
    "phi3_longrope": "model.layers.{}.mlp.down_proj",
    "lfm2": "model.layers.{}.feed_forward.w2",
    "falcon_h1": "model.layers.{}.feed_forward.down_proj",
    "jamba": "model.layers.{}.feed_forward.down_proj",
    "bloom": "transformer.h.{}.mlp.dense_4h_to_h",
    "mpt": "transformer.blocks.{}.ffn.down_proj",
    "gptj": "transformer.h.{}.mlp.fc_out",
    "cohere": "model.layers.{}.mlp.down_proj",
    "gemma2": "model.layers.{}.mlp.down_proj",
    "stablelm": "model.layers.{}.mlp.down_proj",
    "gemma4_shared": "model.layers.{}.mlp.down_proj",
    "xglm": "model.layers.{}.fc2",
    "gpt_neo": "transformer.h.{}.mlp.c_proj",
    "gpt_bigcode": "transformer.h.{}.mlp.c_proj",
    "codegen": "transformer.h.{}.mlp.fc_out",
    "starcoder2": "model.layers.{}.mlp.c_proj",
    "nemotron": "model.layers.{}.mlp.down_proj",
    "apertus": "model.layers.{}.mlp.down_proj",
    "bitnet": "model.layers.{}.mlp.down_proj",
    "glm4": "model.layers.{}.mlp.down_proj",
}
NEURON_FIRST = {"gpt2"}
"""Families whose weight is [neuron, d_model] (Conv1D); the others keep it [d_model, neuron] (Linear)."""
BIASED = {"gpt2", "gpt_neox"}
"""Families whose down projection adds a bias: there CETT may sum to less than 1."""


Scales = dict[tuple[int, int], float]
"""(layer, neuron) -> alpha."""


def naive_cett(act: np.ndarray, directions: np.ndarray, out: np.ndarray) -> np.ndarray:
    """|act| * ||W_out[n]|| / ||out||, for act [pos neuron], directions [neuron d_model], out [pos d_model]."""
    act, directions, out = (value.astype(np.float64) for value in (act, directions, out))
    return np.abs(act) * np.linalg.norm(directions, axis=1) / np.linalg.norm(out, axis=-1, keepdims=True)


def some_ids(rows: int, length: int, seed: int = 0) -> Tensor:
    """[row pos] ordinary tokens of the tiny vocabulary."""
    return torch.randint(4, 300, (rows, length), generator=torch.Generator().manual_seed(seed))


def largest_gap(one: Any, other: Any) -> float:
    """The largest absolute difference; NaN agrees with NaN, and different shapes are infinitely far apart."""
    first, second = np.asarray(one, np.float64), np.asarray(other, np.float64)
    if first.shape != second.shape or (np.isnan(first) != np.isnan(second)).any():
        return float("inf")
    return float(np.nanmax(np.abs(first - second), initial=0.0))


FLOAT32 = 5e-5
"""How far two ways of one float32 computation may lie apart, relative to the largest value.

Each rounds at 6e-8 and sums some hundred terms in its own order, layer after layer; the most that was seen in any
family is 5e-6. Other processors sum in other orders: there is room for ten times that. What a mistake moves (a mask, a
position, a neighbour's row) is at hundredths."""


def relative_gap(one: Any, other: Any) -> float:
    """The largest difference, relative to the largest value of `other`; as `largest_gap` for NaN and shapes."""
    return largest_gap(one, other) / (float(np.nanmax(np.abs(np.asarray(other, np.float64)), initial=0.0)) or 1.0)


class Plain:
    """One Transformers model in float32 on the CPU, straight from its folder."""

    def __init__(self, folder: Path, family: str) -> None:
        self.family = family
        self.model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.layers: int = self.model.config.num_hidden_layers

    def down(self, layer: int) -> nn.Module:
        """The layer's down projection."""
        found: nn.Module = self.model.get_submodule(DOWN[self.family].format(layer))
        return found

    def directions(self, layer: int) -> np.ndarray:
        """[neuron d_model] what one unit of each neuron adds to the MLP's output."""
        weight: np.ndarray = self.down(layer).get_parameter("weight").detach().numpy()
        return weight if self.family in NEURON_FIRST else weight.T

    def bias(self, layer: int) -> np.ndarray:
        """[d_model] the down projection's bias, 0 where it has none."""
        bias = getattr(self.down(layer), "bias", None)
        return np.zeros(self.directions(layer).shape[1]) if bias is None else bias.detach().numpy()

    @torch.inference_mode()
    def logits(self, ids: Any) -> Tensor:
        """[row pos vocab] of whole rows, without a cache."""
        logits: Tensor = self.model(torch.as_tensor(ids), use_cache=False).logits
        return logits

    def captured(self, ids: Any) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each layer (z [row pos neuron], h [row pos d_model]), by torch's own hooks."""
        seen: list[tuple[np.ndarray, np.ndarray]] = []
        shape = torch.as_tensor(ids).shape

        def note(_: nn.Module, args: Any, out: Tensor) -> None:
            # Copies: a family may write into its MLP's output. Some put all tokens in one line.
            z, h = (part.reshape(*shape, -1).numpy().copy() for part in (args[0], out))
            seen.append((z, h))

        handles = [self.down(layer).register_forward_hook(note) for layer in range(self.layers)]
        self.logits(ids)
        for handle in handles:
            handle.remove()
        return seen

    def cett(self, ids: Any) -> np.ndarray:
        """[layer pos neuron] of one text."""
        found = self.captured(torch.as_tensor(ids)[None])
        return np.stack([naive_cett(z[0], self.directions(layer), h[0]) for layer, (z, h) in enumerate(found)])

    @contextmanager
    def hooked(self, scales: Scales, where: slice) -> Iterator[None]:
        """Within the block z of each neuron is multiplied by its alpha at the positions `where`."""

        def scaler(layer: int) -> Callable[[nn.Module, Any], tuple[Tensor]]:
            def hook(_: nn.Module, args: Any) -> tuple[Tensor]:
                z = args[0].clone()
                for (at, neuron), alpha in scales.items():
                    if at == layer:
                        z[:, where, neuron] *= alpha
                return (z,)

            return hook

        handles = [self.down(layer).register_forward_pre_hook(scaler(layer)) for layer in range(self.layers)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    @torch.no_grad()
    def scale(self, layer: int, neuron: int, alpha: float) -> None:
        """Multiply one neuron's output direction in place: only for copies that nobody shares."""
        weight = self.down(layer).get_parameter("weight")
        if self.family in NEURON_FIRST:
            weight[neuron] *= alpha
        else:
            weight[:, neuron] *= alpha
