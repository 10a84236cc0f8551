"""Decoding: rows of one batch, token by token, on the plain tree.

Owns the loop: prefill, choosing, stopping, rows that leave when they are done. Hooks are the caller's:
`Live` and `SummarySink` are only told what the next forward reads. Refuses templates and text of prompts.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers.generation.logits_process import (
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from backend.cett import SummarySink
from backend.interventions import Live
from backend.models.loaded import LoadedModel
from backend.prompting import decode as to_text
from backend.types import Decoding, Finish
from backend.watch import SILENT, Watch, check

SCORE_CHUNK = 64
"""Positions whose log-probabilities are worked out at once: bounds memory, not the result."""


@dataclass
class Answer:
    """One row's answer so far. `log_probs` and `entropies` (nats, at temperature 1) are of its own tokens."""

    ids: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    entropies: list[float] = field(default_factory=list)
    finish: Finish | None = None
    text: str = ""


@dataclass
class Decoded:
    """All rows' answers, and the state behind the prompt.

    prompt_log_probs, prompt_entropies: for each row, of its prompt tokens (None for the first); empty unless asked.
    first_logits [row vocab] predict the first answer token; `cache` is as it was behind the prompt, if kept.
    """

    answers: list[Answer]
    first_logits: Float[Tensor, "row vocab"]
    cache: Any = None
    prompt_log_probs: list[list[float | None]] = field(default_factory=list)
    prompt_entropies: list[list[float | None]] = field(default_factory=list)


OnToken = Callable[[int, Answer], None]
"""Called with the row's number and its answer, after each new token."""


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


@dataclass
class _Batch:
    """The rows still running: their numbers, cache and mask (None where no row is padded)."""

    rows: list[int]
    cache: Any
    mask: Bool[Tensor, "row pos"] | None
    lengths: Int[Tensor, " row"]

    def keep(self, places: list[int]) -> None:
        index = torch.tensor(places, device=self.lengths.device)
        self.rows = [self.rows[place] for place in places]
        self.cache.batch_select_indices(index)
        self.lengths = self.lengths[index]
        if self.mask is not None:
            self.mask = self.mask[index]

    def multiply(self, copies: int) -> None:
        """`copies` rows in the place of each, one behind another."""
        self.cache.batch_repeat_interleave(copies)
        self.rows = list(range(len(self.rows) * copies))
        self.lengths = self.lengths.repeat_interleave(copies)
        if self.mask is not None:
            self.mask = self.mask.repeat_interleave(copies, 0)

    def forward(self, model: LoadedModel, ids: Int[Tensor, "row pos"]) -> Float[Tensor, "row vocab"]:
        """Logits behind one more token of each row."""
        positions: dict[str, Tensor] = {}
        if self.mask is not None:
            self.mask = torch.cat([self.mask, self.mask.new_ones(len(ids), ids.shape[1])], dim=1)
            positions = {"attention_mask": self.mask.long(), "position_ids": self.lengths[:, None]}
        self.lengths = self.lengths + ids.shape[1]
        return model.plain(ids, past_key_values=self.cache, use_cache=True, **positions).logits[:, -1]


def decode(
    model: LoadedModel,
    prompts: Sequence[Sequence[int]],
    decoding: Decoding,
    *,
    live: Live | None = None,
    sink: SummarySink | None = None,
    watch: Watch = SILENT,
    on_token: OnToken | None = None,
    on_prompt: Callable[[], None] | None = None,
    keep_cache: bool = False,
    prompt_scores: bool = False,
    ignore_ends: bool = False,
    copies: int = 1,
    seeds: Sequence[int] | None = None,
    lean: bool = False,
) -> Decoded:
    """Answer every prompt, all rows in one batch.

    Args:
        copies: answers to each prompt, which is read once for all of them; its rows stand one behind another.
        seeds: of each row's draws; by default `decoding.seed` for all.
        lean: no log-probabilities and entropies, and each text only at its end.
        live: an open intervention on these rows. sink: an observer; then finished rows stay in the batch.
        on_prompt: called when the prompts have been read.
        keep_cache: give back a copy of the cache as it was behind the prompts.
        ignore_ends: go on to max_new_tokens whatever is chosen (measurements).
    Raises Stopped between two tokens.
    """
    with torch.inference_mode():
        batch, logits, decoded = _prefill(model, prompts, live, prompt_scores, copies)
        if keep_cache:
            decoded.cache = copy.deepcopy(batch.cache)
        if on_prompt:
            on_prompt()
        chooser = Chooser(decoding, seeds or [decoding.seed] * len(decoded.answers))
        ends = frozenset() if ignore_ends else model.ends
        while True:
            check(watch)
            chosen = chooser(logits, batch.rows)
            told = _nothing(len(batch.rows)) if lean else tuple(map(Tensor.tolist, scores(logits, chosen)))
            _note(model, batch, chosen, told, decoded.answers, decoding, ends, on_token, lean)
            running = [place for place, row in enumerate(batch.rows) if decoded.answers[row].finish is None]
            if not running:
                break
            if len(running) < len(batch.rows) and sink is None:
                batch.keep(running)
                chosen = chosen[torch.tensor(running, device=chosen.device)]
                if live:
                    live.keep(running)
            logits = _step(model, batch, chosen, live, sink)
        if sink is not None and any(answer.finish in ("length", "stop_text") for answer in decoded.answers):
            _step(model, batch, chosen, live, sink)
    if lean and not decoding.stop:
        for answer in decoded.answers:
            answer.text = to_text(model, answer.ids)
    return decoded


def _step(
    model: LoadedModel, batch: _Batch, chosen: Int[Tensor, " row"], live: Live | None, sink: SummarySink | None
) -> Float[Tensor, "row vocab"]:
    if live:
        live.phase, live.padding = "answer", None
    if sink:
        sink.answer = slice(0, 1)
    return batch.forward(model, chosen[:, None])


def _prefill(
    model: LoadedModel, prompts: Sequence[Sequence[int]], live: Live | None, prompt_scores: bool, copies: int
) -> tuple[_Batch, Float[Tensor, "row vocab"], Decoded]:
    """Read the prompts: left-padded where they differ in length."""
    ids, mask = left_padded(prompts, min(model.ends, default=0), model.device)
    if live:
        live.phase, live.padding = "prompt", mask
    extra: dict[str, Any] = {} if prompt_scores else {"logits_to_keep": 1}
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=model.device)
    if mask is not None:
        extra["attention_mask"] = mask.long()
        extra["position_ids"] = (mask.long().cumsum(1) - 1).clamp_min(0)
    out = model.plain(ids, use_cache=True, **extra)
    logits = out.logits[:, -1]
    decoded = Decoded([Answer() for _ in prompts], logits.float().clone())
    if prompt_scores:
        for row, prompt in enumerate(prompts):
            told = prompt_token_scores(out.logits[row, ids.shape[1] - len(prompt) :], prompt)
            decoded.prompt_log_probs.append(told[0])
            decoded.prompt_entropies.append(told[1])
    batch = _Batch(list(range(len(prompts))), out.past_key_values, mask, lengths)
    if copies > 1:
        batch.multiply(copies)
        logits = logits.repeat_interleave(copies, 0)
        decoded.first_logits = decoded.first_logits.repeat_interleave(copies, 0)
        decoded.answers = [Answer() for _ in batch.rows]
    return batch, logits, decoded


def left_padded(
    prompts: Sequence[Sequence[int]], pad: int, device: torch.device
) -> tuple[Int[Tensor, "row pos"], Bool[Tensor, "row pos"] | None]:
    """(ids, mask of real tokens); no mask where all prompts are equally long."""
    width = max(map(len, prompts))
    ids = torch.tensor([[pad] * (width - len(prompt)) + list(prompt) for prompt in prompts], device=device)
    if min(map(len, prompts)) == width:
        return ids, None
    starts = torch.tensor([width - len(prompt) for prompt in prompts], device=device)
    return ids, torch.arange(width, device=device)[None, :] >= starts[:, None]


def prompt_token_scores(
    logits: Float[Tensor, "pos vocab"], ids: Sequence[int]
) -> tuple[list[float | None], list[float | None]]:
    """(log-probability, entropy) of each token given those before it; None for the first."""
    log_probs: list[float | None] = [None]
    entropies: list[float | None] = [None]
    following = torch.tensor(list(ids[1:]), device=logits.device)
    for start in range(0, len(following), SCORE_CHUNK):
        chunk = slice(start, start + SCORE_CHUNK)
        told = scores(logits[:-1][chunk], following[chunk])
        log_probs += told[0].tolist()
        entropies += told[1].tolist()
    return log_probs, entropies


def _nothing(rows: int) -> tuple[list[float], list[float]]:
    return [0.0] * rows, [0.0] * rows


def _note(
    model: LoadedModel,
    batch: _Batch,
    chosen: Int[Tensor, " row"],
    told: tuple[list[float], ...],
    answers: list[Answer],
    decoding: Decoding,
    ends: frozenset[int],
    on_token: OnToken | None,
    lean: bool,
) -> None:
    """Note each row's next token; rows that are done are marked so."""
    for row, token, log_prob, entropy in zip(batch.rows, chosen.tolist(), *told, strict=True):
        answer = answers[row]
        if answer.finish is not None:
            continue
        if token in ends:
            answer.finish = "end"
            continue
        answer.ids.append(token)
        stopped = False
        if not lean:
            answer.log_probs.append(log_prob)
            answer.entropies.append(entropy)
        if not lean or decoding.stop:
            answer.text, stopped = cut(to_text(model, answer.ids), decoding.stop)
        if stopped:
            answer.finish = "stop_text"
        elif len(answer.ids) == decoding.max_new_tokens:
            answer.finish = "length"
        if on_token:
            on_token(row, answer)


def cut(text: str, stops: Sequence[str]) -> tuple[str, bool]:
    """`text` up to the first stop text in it, and whether there was one."""
    found = [text.find(stop) for stop in stops if stop and stop in text]
    return (text[: min(found)], True) if found else (text, False)
