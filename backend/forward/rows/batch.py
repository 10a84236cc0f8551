"""A batch: rows that run together, join while others are in mid-answer, and leave when they are done.

Owns `Batch`. Rows may be of different people, prompts, lengths, scales, decodings and captures: each forward reads one
more position of all that are answered. Hooks are on for the batch's life. Rows that a model's `Proof` does not allow to
share a cache run in lanes of their own, a forward each. Refuses templates, text of prompts, and how much memory there
is (`backend.forward.rows.budget`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self
from weakref import WeakValueDictionary

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from backend.forward.capture import Capture
from backend.forward.interventions import Scaling, joined_scales, layer_plans
from backend.forward.recorder import Recorder, Seen
from backend.forward.row import Kept, Row, Running, Told, nobody
from backend.forward.rows import caches
from backend.forward.rows.advance import advance
from backend.forward.rows.choosing import generator, prompt_token_scores
from backend.forward.rows.lane import Lane, alike, check_seam, left_padded, right_padded, worth_padding
from backend.models.hooks import observe, rewrite
from backend.models.loaded import LoadedModel
from backend.types import Positions


@dataclass(frozen=True, eq=False)
class Reading:
    """What a forward of teacher forcing gave: `logits` [row pos vocab] behind tokens `start` and on, of these rows."""

    rows: list[Running]
    start: int
    logits: Float[Tensor, "row pos vocab"]


class Batch:
    """Rows of one model, answered together. To be used as a block: hooks are on within it, and only there."""

    def __init__(self, model: LoadedModel) -> None:
        self.model = model
        self.lanes: list[Lane] = []
        # A recorder lives as long as a trace of it does, and keeps its capture, whose identity is the key.
        self._recorders: WeakValueDictionary[int, Recorder] = WeakValueDictionary()
        self._scaling = Scaling()
        self._active: list[Recorder] = []
        self._stack = ExitStack()
        self._count = 0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            layers = range(self.model.info.n_layers)
            stack.enter_context(rewrite(self.model, layers, self._scaling.apply))
            stack.enter_context(observe(self.model, self._observe))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *failure: object) -> None:
        self._stack.close()
        self.lanes.clear()
        self._active, self._scaling.layers = [], {}

    @property
    def rows(self) -> list[Running]:
        """The rows that are still read."""
        return [running for lane in self.lanes for running in lane.rows if not running.left]

    @torch.inference_mode()
    def add(self, rows: Sequence[Row], told: Told = nobody) -> list[Running]:
        """Read the prompts of `rows` and choose each one's first token; they run from now on.

        told: called with a row after each of its tokens.
        Raises BadNeurons and BadPrompt before anything is read.
        """
        check_seam(self.model, [(len(row.ids), row.decoding.max_new_tokens) for row in rows])
        plans = [layer_plans(self.model, row.plan) for row in rows]
        runnings = []
        for row, plan in zip(rows, plans, strict=True):
            running = Running(row, self._count, told)
            self._count += 1
            if row.decoding.temperature:
                running.generator = generator(row.decoding.seed if row.seed is None else row.seed)
            if plan:
                running.layers, running.slot = plan, self._scaling.slot()
                running.changed = partial(self._scaling.count, running.slot)
            if row.capture is not None:
                running.trace = self._recorder(row.capture).trace()
            if row.followed is not None:
                running.follow = self._recorder(row.followed).trace()
            runnings.append(running)
        try:
            for group in alike(self.model, runnings):
                self._begin(group)
        except BaseException:
            for running in runnings:
                self.drop(running)
            raise
        return runnings

    @torch.inference_mode()
    def step(self) -> list[Running]:
        """Read one more token of every row and choose the next: the rows that are done with it."""
        left = []
        for lane in list(self.lanes):
            logits = self._forward(lane)
            left += self._choose(lane, logits)
        return left

    def drop(self, running: Running) -> None:
        """Nothing more is read of this row; those beside it go on."""
        running.left = True
        for lane in [lane for lane in self.lanes if running in lane.rows]:
            self._leave(lane)

    def read(
        self, behind: Sequence[Running], texts: Sequence[Sequence[int]], chunk: int, capture: Capture
    ) -> Iterator[Reading]:
        """Teacher forcing: rows that were kept, each under its plan, read a text behind their reading of the prompt.

        Up to `chunk` tokens a forward; yields after each. Rows come back as new ones with traces of their own, in which
        what is read is a part of the answer; rows that were kept together stay together. A text that is shorter than
        those beside it is filled up behind its end, where no figure is taken any more.
        """
        groups: dict[int, list[tuple[Running, list[int]]]] = {}
        for running, text in zip(behind, texts, strict=True):
            assert running.kept is not None, "the row was to be kept"
            groups.setdefault(id(running.kept), []).append((self._reader(running, capture), list(text)))
        lanes = [
            (self._behind([reader for reader, _ in group]), [text for _, text in group]) for group in groups.values()
        ]
        chunk = chunk if self.model.proof.pieces else 1
        for start in range(0, max(map(len, texts), default=0), chunk):
            for lane, own in lanes:
                pieces = [text[start : start + chunk] for text in own]
                if not any(pieces):
                    continue
                with torch.inference_mode():
                    ids = right_padded(pieces, min(self.model.ends, default=0), self.model.device)
                    logits = self._read(lane, ids, "answer", pieces=[len(piece) for piece in pieces])
                yield Reading(lane.rows, start, logits)

    # What follows is the batch's own.

    def _recorder(self, capture: Capture) -> Recorder:
        recorder = self._recorders.get(id(capture))
        if recorder is None:
            recorder = self._recorders[id(capture)] = Recorder(capture, self.model.w_norms)
        return recorder

    def _observe(self, layer: int, z: Tensor, h: Tensor) -> None:
        for recorder in self._active:
            recorder(layer, z, h)

    def _begin(self, group: list[Running]) -> None:
        """Read the prompts of a group, each that is asked for in one way once, and choose the first tokens."""
        first, places = self._shared(group)
        ids, mask = left_padded(
            [running.row.ids for running in first], min(self.model.ends, default=0), self.model.device
        )
        lane = Lane(first, None, 0, ids[:, -1], mask)
        scored = any(running.row.prompt_scores for running in first)
        watched = any(running.row.plan.neurons or running.trace or running.follow for running in first)
        logits = self._read(lane, ids, "prompt", every=scored or (watched and not self.model.proof.whole))
        for place, running in enumerate(first):
            if running.row.prompt_scores:
                own = logits[place, logits.shape[1] - len(running.row.ids) :]
                running.prompt_log_probs, running.prompt_entropies = prompt_token_scores(own, running.row.ids)
        logits = logits[:, -1]
        if len(first) < len(group):
            caches.select(lane.cache, places, self.model.device)
            logits, lane.rows = logits[torch.tensor(places, device=logits.device)], group
            for running in group:
                running.seen = len(running.row.ids)
        lane.arrange(self.model.device)
        if any(running.row.keep for running in group):
            kept = Kept(caches.kept(lane.cache), len(group), lane.width)
            for place, running in enumerate(group):
                if running.row.keep:
                    running.kept, running.kept_row, running.first_logits = kept, place, logits[place].float().clone()
        self.lanes.append(lane)
        self._choose(lane, logits)
        if lane in self.lanes:
            self._merge(lane)

    def _shared(self, group: list[Running]) -> tuple[list[Running], list[int]]:
        """Rows whose prompts are read in the same way, once; and for each row of the group which one is its own."""
        proof = self.model.proof
        if not (proof.copied and proof.dropped):
            return group, list(range(len(group)))
        first: list[Running] = []
        known: dict[tuple[tuple[int, ...], int], int] = {}
        places = []
        for running in group:
            alone = running.row.scaled("prompt") or running.row.watched("prompt") or running.row.prompt_scores
            key = (running.row.ids, running.number if alone else -1)
            if key not in known:
                known[key] = len(first)
                first.append(running)
            places.append(known[key])
        return first, places

    def _merge(self, lane: Lane) -> None:
        """Let the rows of a lane run with those of another, where that holds and does not fill up too much."""
        proof = self.model.proof
        if not (proof.joined and proof.left and proof.dropped and caches.is_plain(lane.cache)):
            return
        for other in self.lanes:
            if other is lane or self._far(other) != self._far(lane):
                continue
            rows = other.rows + lane.rows
            if not worth_padding([running.seen for running in rows]):
                continue
            other.cache = caches.join(other.cache, lane.cache, other.width, lane.width)
            other.width = max(other.width, lane.width)
            other.rows, other.pending = rows, torch.cat([other.pending, lane.pending])
            other.arrange(self.model.device)
            self.lanes.remove(lane)
            return

    def _far(self, lane: Lane) -> bool:
        return self.model.proof.seam is not None and lane.rows[0].seen > self.model.proof.seam

    def _reader(self, running: Running, capture: Capture) -> Running:
        """A row that reads behind what `one` kept."""
        reader = Running(replace(running.row, capture=capture, captured="answer"), self._count, nobody)
        self._count += 1
        reader.layers, reader.slot, reader.changed = running.layers, running.slot, running.changed
        reader.trace, reader.seen = self._recorder(capture).trace(), len(running.row.ids)
        reader.kept, reader.kept_row = running.kept, running.kept_row
        return reader

    def _behind(self, rows: list[Running]) -> Lane:
        """A lane of its own for rows of one kept cache."""
        kept = rows[0].kept
        assert kept is not None, "the rows were kept"
        lane = Lane(rows, caches.kept(kept.cache), kept.width, torch.zeros(len(rows), dtype=torch.long))
        places = [running.kept_row for running in rows]
        if places != list(range(kept.rows)):
            caches.select(lane.cache, places, self.model.device)
        lane.arrange(self.model.device)
        return lane

    def _forward(self, lane: Lane) -> Float[Tensor, "row vocab"]:
        return self._read(lane, lane.pending[:, None], "answer")[:, -1]

    def _read(
        self,
        lane: Lane,
        ids: Int[Tensor, "row pos"],
        phase: Positions,
        every: bool = True,
        pieces: Sequence[int] | None = None,
    ) -> Float[Tensor, "row pos vocab"]:
        """One forward of a lane's rows; of a prompt the last logits alone, unless `every`.

        pieces: how many of each row's ids are its own, the first of them; all, unless it is said.
        """
        extra: dict[str, Any] = {} if every else {"logits_to_keep": 1}
        begins, count = lane.cache is None, ids.shape[1]
        real = lane.mask if begins else None
        if lane.mask is not None:
            if begins:
                extra["position_ids"] = (lane.mask.long().cumsum(1) - 1).clamp_min(0)
            else:
                assert lane.lengths is not None, "a lane that runs was arranged"
                lane.mask = torch.cat([lane.mask, lane.mask.new_ones(len(ids), count)], dim=1)
                extra["position_ids"] = lane.lengths[:, None] + torch.arange(count, device=ids.device)
            extra["attention_mask"] = lane.mask.long()
        lengths = [count] * len(lane.rows) if real is None else [len(running.row.ids) for running in lane.rows]
        self._show(lane, ids, phase, real, pieces or lengths)
        out = self.model.plain(ids, past_key_values=lane.cache, use_cache=True, **extra)
        for recorder in self._active:
            recorder.end()
        self._active, self._scaling.layers = [], {}
        lane.cache, lane.width = out.past_key_values, lane.width + count
        if begins:
            caches.make_room(lane.cache)
        lane.lengths = None if lane.lengths is None else lane.lengths + count
        for running in lane.rows:
            running.seen += len(running.row.ids) if begins else count
        logits: Tensor = out.logits
        return logits

    def _show(
        self,
        lane: Lane,
        ids: Int[Tensor, "row pos"],
        phase: Positions,
        real: Bool[Tensor, "row pos"] | None,
        lengths: Sequence[int],
    ) -> None:
        """Tell the hooks what the next forward reads: of each row so many tokens, at its end where `real` says which
        are filled up, else at its beginning."""
        count = ids.shape[1]
        if lane.scales is None:
            acting = [
                (place, running.slot, running.layers)
                for place, running in enumerate(lane.rows)
                if running.row.scaled(phase) and not running.left
            ]
            lane.scales = joined_scales(self.model, acting) if acting else {}
        self._scaling.layers, self._scaling.real = lane.scales, real
        seen: dict[Recorder, list[Seen]] = {}
        for place, (running, length) in enumerate(zip(lane.rows, lengths, strict=True)):
            if running.left or not length:
                continue
            running.tokens += length if running.row.scaled(phase) else 0
            for trace in running.traces(phase):
                start = place * count + (0 if real is None else count - length)
                answer = slice(None) if phase == "answer" else slice(0, 0)
                seen.setdefault(trace.recorder, []).append(Seen(trace, start, length, answer))
        self._active = list(seen)
        for recorder, parts in seen.items():
            recorder.begin(parts, ids.numel(), ids.device, gather=count == 1)

    def _choose(self, lane: Lane, logits: Float[Tensor, "row vocab"]) -> list[Running]:
        """Each row's next token; the rows that are done with it or with the one before."""
        before = [running for running in lane.rows if running.left]
        lane.pending = advance(self.model, lane.rows, logits)
        left = [running for running in lane.rows if running.left and running not in before]
        if left:
            self._leave(lane)
        return left

    def _leave(self, lane: Lane) -> None:
        """Rows that are done leave, where the cache allows it; else they count no more until all are done."""
        staying = [place for place, running in enumerate(lane.rows) if not running.left]
        if not staying:
            self.lanes.remove(lane)
        elif self.model.proof.dropped and len(staying) < len(lane.rows):
            caches.select(lane.cache, staying, self.model.device)
            lane.pending = lane.pending[torch.tensor(staying, device=lane.pending.device)]
            lane.rows = [lane.rows[place] for place in staying]
            lane.arrange(self.model.device)
        else:
            lane.scales = None
