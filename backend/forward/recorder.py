"""Activations of rows, reduced token by token, whichever rows they run beside.

Owns `Recorder`, which hooks give z and h to, and `Trace`, which gives one row's figures back. Tokens of all rows with
one capture are reduced together, and each row finds its own again by where they stand. Refuses hooks
(`backend.models.hooks`) and what is kept (`backend.forward.capture`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from backend.forward.capture import NORM, SET, Capture
from backend.forward.cett import check_norms, divided, out_norm

GATHERED = 262_144
"""Activations of one layer that are reduced together while decoding: beyond so many, one forward is work enough."""


@dataclass
class _Block:
    """Tokens that were reduced together: by name [layer token ...]; `layered` where layers differ in width."""

    count: int = 0
    parts: dict[str, list[Tensor]] = field(default_factory=dict)
    stacked: dict[str, Tensor] = field(default_factory=dict)
    layered: dict[str, list[Tensor]] = field(default_factory=dict)

    def close(self) -> None:
        """All layers have been seen."""
        for name, layers in self.parts.items():
            if len({layer.shape for layer in layers}) == 1:
                self.stacked[name] = torch.stack([layer.to(layers[0].device) for layer in layers])
            else:
                self.layered[name] = layers
        self.parts = {}


@dataclass
class _Waiting:
    """Forwards of one position that wait to be reduced together: copies of z and h, layer by layer."""

    block: _Block
    layers: dict[int, list[tuple[Tensor, Tensor]]] = field(default_factory=dict)
    sums: list[tuple[list[int], list[int]]] = field(default_factory=list)


@dataclass
class Seen:
    """What a forward shows of one row: the row's `count` tokens from flat place `start` on, of [row pos].

    answer: which of them belong to the answer.
    """

    trace: Trace
    start: int
    count: int
    answer: slice


class Recorder:
    """Everything that rows with one capture were seen at. Told before each forward what it shows; then a hook's eye.

    What a hook is shown is lent to it: what is not reduced at once is copied.
    """

    def __init__(self, capture: Capture, w_norms: Sequence[Tensor]) -> None:
        self.capture, self._w_norms = capture, w_norms
        self._waiting: _Waiting | None = None
        self._block: _Block | None = None
        self._index: Int[Tensor, " token"] | None = None
        self._sums: dict[int, Float[Tensor, "slot neuron"]] = {}
        self._now: tuple[list[int], list[int]] = ([], [])
        self._slots = 0
        self._free: list[int] = []

    def trace(self) -> Trace:
        """A new row's."""
        if not self.capture.sums:
            return Trace(self, -1)
        if self._free:
            return Trace(self, self._free.pop())
        self._slots += 1
        return Trace(self, self._slots - 1)

    def begin(self, seen: Sequence[Seen], size: int, device: torch.device, gather: bool = False) -> None:
        """The next forward shows these rows, of `size` places [row pos] in all.

        gather: it is too small to be reduced by itself, and waits for others.
        """
        count = sum(part.count for part in seen)
        self._index = None
        if count < size:
            places = [place for part in seen for place in range(part.start, part.start + part.count)]
            self._index = torch.tensor(places, device=device)
        gather = gather and self.capture.gathers
        if gather and self._waiting is None:
            self._waiting = _Waiting(_Block())
        block = self._waiting.block if gather and self._waiting else _Block()
        self._block = None if gather else block
        tokens: list[int] = []
        slots: list[int] = []
        for part in seen:
            part.trace.pieces.append((block, block.count, part.count))
            answered = range(block.count, block.count + part.count)[part.answer]
            part.trace.answer_count += len(answered)
            tokens += answered
            slots += [part.trace.slot] * len(answered)
            block.count += part.count
        self._now = (tokens, slots)
        if gather and self._waiting:
            self._waiting.sums.append(self._now)

    def __call__(self, layer: int, z: Float[Tensor, "row pos neuron"], h: Float[Tensor, "row pos d_model"]) -> None:
        act, out = z.reshape(-1, z.shape[-1]), h.reshape(-1, h.shape[-1])
        if self._index is not None:
            index = self._index.to(z.device)
            act, out = act.index_select(0, index), out.index_select(0, index)
        if self._block is None:
            assert self._waiting is not None, "a forward was begun"
            copied = (act, out) if self._index is not None else (act.clone(), out.clone())
            self._waiting.layers.setdefault(layer, []).append(copied)
            return
        self._reduce(layer, act, out, self._block, self._now)

    def end(self) -> None:
        """The forward is over."""
        if self._block is not None:
            self._block.close()
            self._block = None
        elif self._waiting is not None:
            layers = next(iter(self._waiting.layers.values()), [])
            if sum(act.numel() for act, _ in layers) >= GATHERED:
                self.flush()

    @torch.inference_mode()
    def flush(self) -> None:
        """Reduce what waits."""
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        tokens = [token for part, _ in waiting.sums for token in part]
        slots = [slot for _, part in waiting.sums for slot in part]
        for layer in sorted(waiting.layers):
            acts, outs = zip(*waiting.layers.pop(layer), strict=True)
            self._reduce(layer, torch.cat(acts), torch.cat(outs), waiting.block, (tokens, slots))
        waiting.block.close()

    def waits(self, block: _Block) -> bool:
        """Whether this block has not been reduced."""
        return self._waiting is not None and self._waiting.block is block

    def summed(self, slot: int) -> dict[int, Float[Tensor, " neuron"]]:
        """Layer -> CETT summed over the answer's tokens of a slot."""
        self.flush()
        return {layer: sums[slot] for layer, sums in sorted(self._sums.items()) if slot < len(sums)}

    @torch.inference_mode()
    def free(self, slot: int) -> None:
        """A slot's row is over: another may have it."""
        if slot < 0:
            return
        for sums in self._sums.values():
            if slot < len(sums):
                sums[slot] = 0
        self._free.append(slot)

    def _reduce(self, layer: int, act: Tensor, out: Tensor, block: _Block, answer: tuple[list[int], list[int]]) -> None:
        norm, weights = out_norm(out), self._w_norms[layer]
        narrowed = self.capture.narrowed(layer)
        if narrowed is not None:
            narrowed = narrowed.to(act.device)
            act, weights = act.index_select(1, narrowed), weights.index_select(0, narrowed)
        values = divided(act, weights, norm)
        for name, value in self.capture.reduce(layer, values, act).items():
            block.parts.setdefault(name, []).append(value)
        block.parts.setdefault(NORM, []).append(norm)
        if self.capture.holds:
            block.layered.setdefault("values", []).append(values.cpu())
        if self.capture.sums and answer[0]:
            self._add(layer, values, *answer)

    def _add(self, layer: int, values: Tensor, tokens: list[int], slots: list[int]) -> None:
        sums = self._sums.get(layer)
        if sums is None or len(sums) < self._slots:
            grown = values.new_zeros(max(self._slots, 2 * (0 if sums is None else len(sums))), values.shape[1])
            if sums is not None:
                grown[: len(sums)] = sums
            sums = self._sums[layer] = grown
        answered = values if len(tokens) == len(values) else values[torch.tensor(tokens, device=values.device)]
        if len(set(slots)) == 1:
            sums[slots[0]] += answered.sum(0)
        else:
            sums.index_add_(0, torch.tensor(slots, device=values.device), answered)


@dataclass(eq=False)
class Trace:
    """One row's captured figures, its tokens in the order in which they were read."""

    recorder: Recorder
    slot: int
    pieces: list[tuple[_Block, int, int]] = field(default_factory=list)
    answer_count: int = 0
    _checked: int = 0

    def field(self, name: str) -> Tensor:
        """[layer token ...] of a field that is as wide in every layer, on the CPU."""
        self._settle()
        parts = [block.stacked[name][:, start : start + count] for block, start, count in self.pieces]
        return torch.cat([part.cpu() for part in parts], dim=1)

    def layers(self, name: str) -> list[Tensor]:
        """For each layer [token ...], on the CPU."""
        self._settle()
        by_layer: list[list[Tensor]] = []
        for block, start, count in self.pieces:
            every = block.layered.get(name) or list(block.stacked[name])
            by_layer = by_layer or [[] for _ in every]
            for layer, value in enumerate(every):
                by_layer[layer].append(value[start : start + count].cpu())
        return [torch.cat(parts) for parts in by_layer]

    def chosen(self, first: int = 0) -> Float[Tensor, "pos set"]:
        """CETT of the chosen neurons, layer behind layer, at the tokens from `first` on, on the CPU."""
        self._settle()
        pieces: list[Tensor] = []
        at = 0
        for block, start, count in self.pieces:
            skipped = min(max(first - at, 0), count)
            if skipped < count:
                layers = block.layered.get(SET) or list(block.stacked[SET])
                of = [layer[start + skipped : start + count] for layer in layers]
                pieces.append(torch.cat([layer.to(of[0].device) for layer in of if layer.shape[1]], dim=1).cpu())
            at += count
        return torch.cat(pieces) if pieces else torch.empty(0, 0)

    def answer_sums(self) -> dict[int, Float[Tensor, " neuron"]]:
        """Layer -> CETT summed over the answer's tokens, `answer_count` of them; nothing where there is none."""
        return self.recorder.summed(self.slot) if self.answer_count else {}

    def check(self, blame: Callable[[int], None] | None = None) -> None:
        """Raises NotFinite or ZeroOutput with the first layer and token whose MLP output has no such norm."""
        if self.pieces and self._checked < len(self.pieces):
            check_norms(self.field(NORM)[:, None], blame=blame)
            self._checked = len(self.pieces)

    def close(self) -> None:
        """The row's sums have been read: its slot is free."""
        self.recorder.free(self.slot)
        self.slot = -1

    def _settle(self) -> None:
        if any(self.recorder.waits(block) for block, _, _ in self.pieces):
            self.recorder.flush()
