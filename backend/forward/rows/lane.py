"""Rows that share a cache and run as one forward, and which rows should.

Owns `Lane`, padding in front, and when filling up costs more than a second forward. Refuses the batch
(`backend.forward.rows.batch`), which has a lane or several, and what is done to the tensors of a cache
(`backend.forward.rows.caches`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from backend.errors import BadPrompt
from backend.forward.interventions import LayerScale
from backend.forward.row import Running
from backend.forward.rows import caches
from backend.models.loaded import LoadedModel

PADDED, FREE = 2, 1024
"""Rows share a forward where their filled-up size is at most `PADDED` times their own, and `FREE` positions more."""
TRIM = 16
"""Positions that no row uses any more, in front of a lane, before they are cut off: each cut copies the cache."""


@dataclass(eq=False)
class Lane:
    """Rows that share a cache, all of which end at its last position.

    width: positions in the cache. pending: the token of each row that has not been read.
    scales: what a forward over its rows scales, worked out once for a set of rows.
    """

    rows: list[Running]
    cache: Any
    width: int
    pending: Int[Tensor, " row"]
    mask: Bool[Tensor, "row pos"] | None = None
    lengths: Int[Tensor, " row"] | None = None
    scales: dict[int, LayerScale] | None = None

    def arrange(self, device: torch.device) -> None:
        """After rows have come or gone: the mask, the lengths, and no position in front that none of them uses."""
        longest = max(running.seen for running in self.rows)
        gone = self.width - longest
        even = all(running.seen == longest for running in self.rows)
        if gone and caches.is_plain(self.cache) and (even or gone >= TRIM):
            caches.trim(self.cache, self.width, gone)
            self.width = longest
        self.lengths = torch.tensor([running.seen for running in self.rows], device=device)
        starts = self.width - self.lengths
        unpadded = all(running.seen == self.width for running in self.rows)
        self.mask = None if unpadded else torch.arange(self.width, device=device)[None, :] >= starts[:, None]
        self.scales = None


def alike(model: LoadedModel, runnings: Sequence[Running]) -> list[list[Running]]:
    """Which prompts are read together: those on one side of the seam, of one length where padding fails, and parted
    where they differ so much in length that more would be filled up than read.
    """
    seam = model.proof.seam
    groups: dict[tuple[bool, int], list[Running]] = {}
    for running in runnings:
        length = len(running.row.ids)
        far = seam is not None and length > seam
        groups.setdefault((far, 0 if model.proof.left else length), []).append(running)
    return [part for group in groups.values() for part in _parted(group)]


def _parted(group: list[Running]) -> list[list[Running]]:
    """A group parted where its prompts differ so much in length that more would be filled up than read."""
    if worth_padding([len(running.row.ids) for running in group]):
        return [group]
    parts: list[list[Running]] = [[]]
    for running in sorted(group, key=lambda running: len(running.row.ids)):
        if not worth_padding([len(other.row.ids) for other in (*parts[-1], running)]):
            parts.append([])
        parts[-1].append(running)
    return parts


def worth_padding(lengths: Sequence[int]) -> bool:
    """Whether rows of these lengths are better filled up to the longest than run apart.

    A forward reads the weights once, whatever its rows: only where most of it would be filling is a second one cheaper.
    """
    return len(lengths) * max(lengths) <= PADDED * sum(lengths) + FREE


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


def right_padded(texts: Sequence[Sequence[int]], pad: int, device: torch.device) -> Int[Tensor, "row pos"]:
    """Texts filled up behind their ends. Nothing before an end sees what is behind it, so no mask is needed."""
    width = max(map(len, texts))
    return torch.tensor([[*text, *[pad] * (width - len(text))] for text in texts], device=device)


def check_seam(model: LoadedModel, rooms: Sequence[tuple[int, int]]) -> None:
    """Raises BadPrompt where an answer could begin on one side of the model's seam and go on beyond it.

    rooms: for each row the tokens of its prompt, and the most of its answer. What lies in the cache was read with the
    factors of the near side, and would be read on with those of the far one: figures before and behind would be of two
    models.
    """
    seam = model.proof.seam
    across = [(prompt, room) for prompt, room in rooms if seam is not None and prompt <= seam < prompt + room]
    if across:
        prompt, room = max(across)
        raise BadPrompt(
            f"The answer could cross token {seam:,}",
            f"{model.info.name} reads texts beyond it with other rotary factors, the prompt has {prompt:,} tokens "
            f"and the answer may take {room:,}",
            "ask for a shorter answer or shorten the prompt",
        )
