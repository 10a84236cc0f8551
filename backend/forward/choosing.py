"""Choosing a row's next token from its distribution, and what that distribution says of a token.

Owns greedy and drawn choice, log-probability and entropy. Refuses the loop (`backend.forward.generation`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers.generation.logits_process import (
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from backend.types import Decoding


def scores(
    logits: Float[Tensor, "row vocab"], chosen: Int[Tensor, " row"]
) -> tuple[Float[Tensor, " row"], Float[Tensor, " row"]]:
    """(log-probability of the chosen token, entropy) of each row's distribution, in nats."""
    log_probs = logits.float().log_softmax(-1)
    entropy = -(log_probs.exp() * log_probs.clamp_min(-1e4)).sum(-1)
    return log_probs.gather(-1, chosen[:, None])[:, 0], entropy


class Chooser:
    """Picks each row's next token. Every row has its own generator: its draws depend on nothing but its seed."""

    def __init__(self, decoding: Decoding, seeds: Sequence[int]) -> None:
        self.greedy = decoding.temperature == 0.0
        self.top_k = decoding.top_k
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.warp = LogitsProcessorList()
        if not self.greedy:
            self.warp.append(TemperatureLogitsWarper(decoding.temperature))
            if decoding.top_p < 1.0:
                self.warp.append(TopPLogitsWarper(decoding.top_p))

    def __call__(self, logits: Float[Tensor, "row vocab"], rows: Sequence[int]) -> Int[Tensor, " row"]:
        """The next token of each of `rows`, whose logits these are."""
        if self.greedy:
            return logits.argmax(-1)
        index = None
        if 0 < self.top_k < logits.shape[-1]:
            # First of all: what follows sorts what is left, and 50 tokens are sorted sooner than a vocabulary.
            logits, index = logits.topk(self.top_k, dim=-1)
        none = cast("torch.LongTensor", torch.empty((len(rows), 0), dtype=torch.long, device=logits.device))
        chances = self.warp(none, cast("torch.FloatTensor", logits.float())).softmax(-1).cpu()
        drawn = [
            torch.multinomial(chance, 1, generator=self.generators[row])
            for chance, row in zip(chances, rows, strict=True)
        ]
        places = torch.stack(drawn).to(logits.device)
        return (places if index is None else index.gather(-1, places))[:, 0]
