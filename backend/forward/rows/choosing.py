"""Choosing a row's next token from its distribution, and what that distribution says of a token.

Owns greedy and drawn choice, log-probability and entropy. Refuses the loop (`backend.forward.rows.batch`).
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

SCORE_CHUNK = 64
"""Positions whose log-probabilities are worked out at once: bounds memory, not the result."""


def scores(
    logits: Float[Tensor, "row vocab"], chosen: Int[Tensor, " row"]
) -> tuple[Float[Tensor, " row"], Float[Tensor, " row"]]:
    """(log-probability of the chosen token, entropy) of each row's distribution, in nats."""
    log_probs = logits.float().log_softmax(-1)
    entropy = -(log_probs.exp() * log_probs.clamp_min(-1e4)).sum(-1)
    return log_probs.gather(-1, chosen[:, None])[:, 0], entropy


def prompt_token_scores(
    logits: Float[Tensor, "pos vocab"], ids: Sequence[int]
) -> tuple[list[float | None], list[float | None]]:
    """(log-probability, entropy) of each token given those before it; None for the first."""
    log_probs: list[float | None] = [None]
    entropies: list[float | None] = [None]
    following = torch.tensor(list(ids[1:]), device=logits.device)
    for start in range(0, len(following), SCORE_CHUNK):
        chunk = slice(start, start + SCORE_CHUNK)
        chunk_scores = scores(logits[:-1][chunk], following[chunk])
        log_probs += chunk_scores[0].tolist()
        entropies += chunk_scores[1].tolist()
    return log_probs, entropies


def generator(seed: int) -> torch.Generator:
    """A row's own: its draws depend on nothing but its seed."""
    return torch.Generator().manual_seed(seed)


def choose(
    logits: Float[Tensor, "row vocab"], decodings: Sequence[Decoding], generators: Sequence[torch.Generator | None]
) -> Int[Tensor, " row"]:
    """The next token of each row, chosen as its own decoding says. A row that draws must have a generator."""
    chosen = logits.argmax(-1)
    drawn: dict[tuple[float, int, float], list[int]] = {}
    for place, decoding in enumerate(decodings):
        if decoding.temperature:
            drawn.setdefault((decoding.temperature, decoding.top_k, decoding.top_p), []).append(place)
    for (temperature, top_k, top_p), places in drawn.items():
        index = torch.tensor(places, device=logits.device)
        own = [generators[place] for place in places]
        part = logits if len(places) == len(logits) else logits[index]
        chosen[index] = _draw(part, temperature, top_k, top_p, own)
    return chosen


def _draw(
    logits: Float[Tensor, "row vocab"],
    temperature: float,
    top_k: int,
    top_p: float,
    generators: Sequence[torch.Generator | None],
) -> Int[Tensor, " row"]:
    warp = LogitsProcessorList([TemperatureLogitsWarper(temperature)])
    if top_p < 1.0:
        warp.append(TopPLogitsWarper(top_p))
    index = None
    if 0 < top_k < logits.shape[-1]:
        # First of all: what follows sorts what is left, and 50 tokens are sorted sooner than a vocabulary.
        logits, index = logits.topk(top_k, dim=-1)
    none = cast("torch.LongTensor", torch.empty((len(generators), 0), dtype=torch.long, device=logits.device))
    chances = warp(none, cast("torch.FloatTensor", logits.float())).softmax(-1).cpu()
    drawn = [torch.multinomial(chance, 1, generator=own) for chance, own in zip(chances, generators, strict=True)]
    places = torch.stack(drawn).to(logits.device)
    return (places if index is None else index.gather(-1, places))[:, 0]
