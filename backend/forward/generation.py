"""Decoding: rows of one batch, token by token, on the plain tree.

Owns the loop: prefill, choosing, stopping, rows that leave when they are done. Rows share a batch only as far as the
model's `Proof` says that they may. Hooks are the caller's: `Live` and `SummarySink` are only told what the next forward
reads. Refuses templates and text of prompts.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from backend.errors import BadPrompt
from backend.forward.cett import SummarySink, not_finite
from backend.forward.choosing import Chooser, scores
from backend.forward.finite import refuse_text
from backend.forward.interventions import Live
from backend.forward.prompting import decode as to_text
from backend.models.loaded import LoadedModel
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
    first_logits [row vocab] predict the first answer token; `cache` is as it was behind the prompt, if kept (where
    all prompts are of one length).
    """

    answers: list[Answer]
    first_logits: Float[Tensor, "row vocab"]
    cache: Any = None
    prompt_log_probs: list[list[float | None]] = field(default_factory=list)
    prompt_entropies: list[list[float | None]] = field(default_factory=list)


OnToken = Callable[[int, Answer], None]
"""Called with the row's number and its answer, after each new token."""


@dataclass
class _Batch:
    """The rows still running: their numbers, cache and mask (None where no row is padded)."""

    rows: list[int]
    cache: Any
    mask: Bool[Tensor, "row pos"] | None
    lengths: Int[Tensor, " row"]

    def keep(self, places: list[int]) -> None:
        """Only the rows at `places` go on."""
        index = torch.tensor(places, device=self.lengths.device)
        self.rows = [self.rows[place] for place in places]
        self.cache.batch_select_indices(index)
        self.lengths = self.lengths[index]
        if self.mask is not None:
            self.mask = self.mask[index]

    def multiply(self, copies: int) -> None:
        """`copies` rows in the place of each, one behind another."""
        self.cache.batch_repeat_interleave(copies)
        self.rows = [row * copies + number for row in self.rows for number in range(copies)]
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
    """Answer every prompt, all rows in one batch where the model can be trusted with it.

    Args:
        copies: answers to each prompt, which is read once for all of them; its rows stand one behind another.
        seeds: of each row's draws; by default `decoding.seed` for all.
        lean: no log-probabilities and entropies, and each text only at its end.
        live: an open intervention on these rows. sink: an observer; then finished rows stay in the batch.
        on_prompt: called when the prompts have been read.
        keep_cache: give back a copy of the cache as it was behind the prompts.
        ignore_ends: go on to max_new_tokens whatever is chosen (measurements).
    Raises Stopped between two tokens, NotFinite, BadPrompt where an answer could cross the model's seam.
    """
    check_seam(model, prompts, decoding.max_new_tokens)
    if not model.proof.copied:
        prompts, copies = [prompt for prompt in prompts for _ in range(copies)], 1
    rows = len(prompts) * copies
    whole = Decoded([Answer() for _ in range(rows)], torch.empty(0))
    chooser = Chooser(decoding, seeds or [decoding.seed] * rows)
    ends = frozenset() if ignore_ends else model.ends
    loop = _Loop(model, prompts, copies, decoding, chooser, ends, whole.answers, live, sink, watch, on_token, lean)
    first: dict[int, Tensor] = {}
    with torch.inference_mode():
        for group in _groups(model, prompts):
            watched = live is not None or sink is not None
            batch, logits = _prefill(model, prompts, group, live, prompt_scores, copies, whole, watched)
            whole.cache = copy.deepcopy(batch.cache) if keep_cache else None
            first.update(zip(batch.rows, logits.float().clone(), strict=True))
            if on_prompt:
                on_prompt()
            loop.run(batch, logits)
        whole.first_logits = torch.stack([first[row] for row in range(rows)])
    if lean and not decoding.stop:
        for answer in whole.answers:
            answer.text = to_text(model, answer.ids)
    return whole


@dataclass
class _Loop:
    """What stays the same from token to token, whichever rows a batch holds. `prompts[row // copies]` is a row's."""

    model: LoadedModel
    prompts: Sequence[Sequence[int]]
    copies: int
    decoding: Decoding
    chooser: Chooser
    ends: frozenset[int]
    answers: list[Answer]
    live: Live | None
    sink: SummarySink | None
    watch: Watch
    on_token: OnToken | None
    lean: bool

    def run(self, batch: _Batch, logits: Float[Tensor, "row vocab"]) -> None:
        """Answer the rows of a batch to their ends; `logits` predict their first tokens. Raises Stopped, NotFinite."""
        every = list(batch.rows)
        while True:
            check(self.watch)
            self._refuse_wild(batch, logits)
            chosen = self.chooser(logits, batch.rows)
            told = _nothing(len(batch.rows)) if self.lean else tuple(map(Tensor.tolist, scores(logits, chosen)))
            self._note(batch, chosen, told)
            running = [place for place, row in enumerate(batch.rows) if self.answers[row].finish is None]
            if not running:
                break
            if len(running) < len(batch.rows):
                chosen = self._drop(batch, chosen, running)
            logits = self._step(batch, chosen)
        if self.sink is not None and any(self.answers[row].finish in ("length", "stop_text") for row in every):
            self._step(batch, chosen)

    def _drop(self, batch: _Batch, chosen: Int[Tensor, " row"], running: list[int]) -> Int[Tensor, " row"]:
        """Rows that are done leave, where neither the observer nor the cache holds them; else they count no more."""
        if self.sink is not None or not self.model.proof.dropped:
            if self.live:
                self.live.done = {row for row in batch.rows if self.answers[row].finish is not None}
            return chosen
        batch.keep(running)
        if self.live:
            self.live.keep(running)
        return chosen[torch.tensor(running, device=chosen.device)]

    def _step(self, batch: _Batch, chosen: Int[Tensor, " row"]) -> Float[Tensor, "row vocab"]:
        if self.live:
            self.live.phase, self.live.padding = "answer", None
        if self.sink:
            self.sink.answer = slice(0, 1)
        return batch.forward(self.model, chosen[:, None])

    def _refuse_wild(self, batch: _Batch, logits: Float[Tensor, "row vocab"]) -> None:
        """Raises NotFinite where a next token cannot be chosen; the first layer is named where that can be seen."""
        found = logits.amax(-1).isfinite()
        if bool(found.all()):
            return
        row = batch.rows[int((~found).nonzero()[0])]
        ids = [*self.prompts[row // self.copies], *self.answers[row].ids]
        if self.live is None:
            refuse_text(self.model, ids)
        raise not_finite(f"the logits behind token {len(ids) - 1} of row {row} (the first is 0) are NaN or infinite")

    def _note(self, batch: _Batch, chosen: Int[Tensor, " row"], told: tuple[list[float], ...]) -> None:
        """Note each row's next token; rows that are done are marked so."""
        for row, token, log_prob, entropy in zip(batch.rows, chosen.tolist(), *told, strict=True):
            answer = self.answers[row]
            if answer.finish is not None:
                continue
            if token in self.ends:
                answer.finish = "end"
                continue
            answer.ids.append(token)
            stopped = False
            if not self.lean:
                answer.log_probs.append(log_prob)
                answer.entropies.append(entropy)
            if not self.lean or self.decoding.stop:
                answer.text, stopped = cut(to_text(self.model, answer.ids), self.decoding.stop)
            if stopped:
                answer.finish = "stop_text"
            elif len(answer.ids) == self.decoding.max_new_tokens:
                answer.finish = "length"
            if self.on_token:
                self.on_token(row, answer)


def check_seam(model: LoadedModel, prompts: Sequence[Sequence[int]], room: int) -> None:
    """Raises BadPrompt where an answer could begin on one side of the model's seam and go on beyond it.

    What lies in the cache was read with the factors of the near side, and would be read on with those of the far one:
    figures before and behind would be of two models.
    """
    seam = model.proof.seam
    across = [len(prompt) for prompt in prompts if seam is not None and len(prompt) <= seam < len(prompt) + room]
    if seam is not None and across:
        raise BadPrompt(
            f"The answer could cross token {seam:,}",
            f"{model.info.name} reads texts beyond it with other rotary factors, the prompt has {max(across):,} tokens "
            f"and the answer may take {room:,}",
            "ask for a shorter answer or shorten the prompt",
        )


def _groups(model: LoadedModel, prompts: Sequence[Sequence[int]]) -> list[list[int]]:
    """Which prompts may share a batch: those on one side of the seam; of one length where padding does not hold."""
    seam = model.proof.seam
    groups: dict[tuple[bool, int], list[int]] = {}
    for place, prompt in enumerate(prompts):
        far = seam is not None and len(prompt) > seam
        groups.setdefault((far, 0 if model.proof.left else len(prompt)), []).append(place)
    return list(groups.values())


def _prefill(
    model: LoadedModel,
    prompts: Sequence[Sequence[int]],
    group: list[int],
    live: Live | None,
    prompt_scores: bool,
    copies: int,
    decoded: Decoded,
    watched: bool,
) -> tuple[_Batch, Float[Tensor, "row vocab"]]:
    """Read the prompts of a group, left-padded where they differ in length: the batch and its logits."""
    told = [prompts[place] for place in group]
    ids, mask = left_padded(told, min(model.ends, default=0), model.device)
    if live:
        live.rows, live.phase, live.padding = list(group), "prompt", mask
    every = prompt_scores or (watched and not model.proof.whole)
    extra: dict[str, Any] = {} if every else {"logits_to_keep": 1}
    if mask is not None:
        extra["attention_mask"] = mask.long()
        extra["position_ids"] = (mask.long().cumsum(1) - 1).clamp_min(0)
    out = model.plain(ids, use_cache=True, **extra)
    logits = out.logits[:, -1]
    if prompt_scores:
        for row, prompt in enumerate(told):
            scored = prompt_token_scores(out.logits[row, ids.shape[1] - len(prompt) :], prompt)
            decoded.prompt_log_probs.append(scored[0])
            decoded.prompt_entropies.append(scored[1])
    lengths = torch.tensor([len(prompt) for prompt in told], device=model.device)
    batch = _Batch(group, out.past_key_values, mask, lengths)
    if copies > 1:
        batch.multiply(copies)
        logits = logits.repeat_interleave(copies, 0)
    return batch, logits


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


def cut(text: str, stops: Sequence[str]) -> tuple[str, bool]:
    """`text` up to the first stop text in it, and whether there was one."""
    found = [text.find(stop) for stop in stops if stop and stop in text]
    return (text[: min(found)], True) if found else (text, False)
