"""How many rows may run at once: bytes, worked out before a row is admitted.

Owns `Budget`. Refuses rows' meaning and the batch. What a row takes is its keys and values over all the positions that
it may come to, filled up to the longest row beside it, and the room behind them; what its capture keeps; and its
logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from backend.forward.row import Row, Running
from backend.forward.rows.caches import SPARE
from backend.models.devices import Device, free_bytes
from backend.models.loaded import LoadedModel
from backend.models.memory import shape_of

SHARE = 0.5
"""Of the memory that is free, what rows may take: forwards need the rest for what they work out on the way."""
MOST = 256
"""Rows at once whatever the memory: beyond it a forward of one token is no longer bound by reading the weights."""
CAPTURED = 4 * 64
"""Bytes that a capture keeps of one token in one layer: about sixty numbers (`backend.forward.cett.Summary`)."""


@dataclass
class Budget:
    """Rows of one model in `limit` bytes; by default a share of what is free now."""

    model: LoadedModel
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.limit is None:
            self.limit = int(SHARE * free_bytes(cast("Device", self.model.device.type)))

    def admit(self, running: Sequence[Running], waiting: Sequence[Row]) -> int:
        """How many of the first of `waiting` may join `running` now. One row is always let in where none runs."""
        assert self.limit is not None
        rows = [other.row for other in running]
        admitted = 0
        for row in waiting:
            if rows and (len(rows) >= MOST or self.bytes([*rows, row]) > self.limit):
                break
            rows.append(row)
            admitted += 1
        return admitted

    def bytes(self, rows: Sequence[Row]) -> int:
        """What these rows take side by side, at their longest."""
        info = self.model.info
        longest = max(row.room for row in rows) + SPARE
        size = self.model.plain.dtype.itemsize
        caches = len(rows) * longest * self._kv() * size
        captured = sum(row.room for row in rows if row.capture is not None) * info.n_layers * CAPTURED
        followed = sum(row.room * row.followed.width for row in rows if row.followed is not None) * 4
        whole = sum(row.room for row in rows if row.capture is not None and row.capture.holds) * sum(info.widths) * 4
        logits = len(rows) * info.n_vocab * (size + 3 * 4)
        prompts = sum(len(row.ids) for row in rows if row.prompt_scores) * info.n_vocab * (size + 4)
        return caches + captured + whole + followed + logits + prompts

    def _kv(self) -> int:
        """Numbers of keys and values of one position in all layers."""
        return shape_of(self.model.plain.config, 0).kv_width * self.model.info.n_layers
