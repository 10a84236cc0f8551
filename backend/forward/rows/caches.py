"""Caches of rows that join, leave and go on, as tensors of Transformers' dynamic cache.

Owns what is done to a cache between two forwards. All rows of a cache end at its last position; a shorter one is filled
up in front, and its mask says so. What is joined here is proven for the model at hand when it is loaded
(`backend.models.selfcheck`), and not done where it does not hold. Refuses forwards.

Joining copies both caches once, which costs about as much as reading one more token of each row; the filled-up part
costs memory and attention until the longest row leaves.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DummyLayer, DynamicLayer, DynamicSlidingWindowLayer

SPARE = 32
"""Positions that are set aside behind a cache at once: further tokens are written there, and nothing is copied."""


class RoomyLayer(DynamicLayer):
    """Keys and values with room behind them: the same numbers as in Transformers' own layer, which copies all of them
    at each token.

    Whoever else has a part of these tensors keeps what it has: only positions behind the last are written, and only
    where this layer set them aside. A room is of the tensor that lies in it: it goes with that, whoever replaces it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._rooms: dict[str, Tensor] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        # Rows chosen, repeated or in another order, positions cut off, another device: each sets new keys and values,
        # and their old room, which is as large as all rows were, must not stay until the next token.
        if name in ("keys", "values"):
            self.__dict__.get("_rooms", {}).pop(name, None)
        super().__setattr__(name, value)

    @classmethod
    def of(cls, layer: DynamicLayer) -> RoomyLayer:
        """A layer with the keys and values of `layer`, and no room yet."""
        roomy = cls()
        roomy.__dict__.update(vars(layer) | {"_rooms": {}})
        return roomy

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Append [row head pos dim]; the keys and the values of all positions."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        return self._append("keys", key_states), self._append("values", value_states)

    def _append(self, name: str, states: Tensor) -> Tensor:
        past: Tensor = getattr(self, name)
        if not past.numel():
            setattr(self, name, states)
            return states
        room = self._rooms.get(name)
        before, after = past.shape[-2], past.shape[-2] + states.shape[-2]
        if room is None or room.shape[-2] < after:
            # None since these were set, or it is full.
            room = past.new_empty(*past.shape[:-2], after + SPARE, past.shape[-1])
            room[..., :before, :] = past
        room[..., before:after, :] = states
        whole = room[..., :after, :]
        setattr(self, name, whole)
        self._rooms[name] = room
        return whole


JOINED = (DynamicLayer, RoomyLayer, DynamicSlidingWindowLayer, DummyLayer)
"""Kinds of cache layers that are known to be keys and values by position, or nothing."""


def is_plain(cache: Any) -> bool:
    """Whether a cache holds keys and values by position and nothing else."""
    layers = getattr(cache, "layers", ())
    return bool(layers) and all(type(layer) in JOINED for layer in layers)


def make_room(cache: Any) -> None:
    """Let a plain cache have room behind its positions from now on. One of another kind stays as it is.

    A layer with a window keeps the last positions alone, and goes on copying them.
    """
    if is_plain(cache):
        cache.layers = [RoomyLayer.of(layer) if type(layer) is DynamicLayer else layer for layer in cache.layers]


def kept(cache: Any) -> Any:
    """The cache as it is now, whatever is read behind it afterwards.

    Of a plain one only the list of its tensors is copied: a forward puts longer ones in their place, or writes behind
    them, where the room stays with one of the two.
    """
    if not is_plain(cache):
        return copy.deepcopy(cache)
    again = copy.copy(cache)
    again.layers = [
        RoomyLayer.of(layer) if isinstance(layer, RoomyLayer) else copy.copy(layer) for layer in cache.layers
    ]
    return again


def join(cache: Any, other: Any, width: int, wider: int) -> Any:
    """Rows of `cache` (`width` positions), then those of `other` (`wider` positions), all ending at the same position.

    Both must be plain, of the same model.
    """
    whole = max(width, wider)
    joined = kept(cache)
    for layer, theirs in zip(joined.layers, other.layers, strict=True):
        if not layer.is_initialized or layer.keys is None or not layer.keys.numel():
            continue  # a layer that reads another layer's keys has none
        length = whole
        if isinstance(layer, DynamicSlidingWindowLayer):
            length = min(whole, layer.sliding_window - 1)
            layer.cumulative_length = whole
        layer.keys = torch.cat([_filled(joining.keys, length) for joining in (layer, theirs)])
        layer.values = torch.cat([_filled(joining.values, length) for joining in (layer, theirs)])
    return joined


def trim(cache: Any, width: int, gone: int) -> None:
    """Take the first `gone` of `width` positions away. Must be plain."""
    for layer in cache.layers:
        if not layer.is_initialized or layer.keys is None or not layer.keys.numel():
            continue
        length = width - gone
        if isinstance(layer, DynamicSlidingWindowLayer):
            length = min(length, layer.sliding_window - 1)
            layer.cumulative_length = width - gone
        layer.keys = layer.keys[..., layer.keys.shape[-2] - length :, :]
        layer.values = layer.values[..., layer.values.shape[-2] - length :, :]


def select(cache: Any, places: Sequence[int], device: torch.device) -> None:
    """Only the rows at `places` go on, in that order; a row may stand twice."""
    cache.batch_select_indices(torch.tensor(list(places), device=device))


def _filled(values: Tensor, length: int) -> Tensor:
    """[row head pos width] with zeros in front, or without its first positions, up to `length`."""
    missing = length - values.shape[-2]
    if missing <= 0:
        return values[..., -missing:, :]
    return torch.cat([values.new_zeros(*values.shape[:-2], missing, values.shape[-1]), values], dim=-2)
