"""A figure with how firmly it is known: the one type of an estimate.

Owns the value, its interval, and what the interval was made from. Refuses to work one out
(`backend.statistics.intervals`).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from backend.types.base import Frozen

CARD_RESAMPLES = 2_000
"""Draws of every estimate that is stored without their number: of a report card. It never changes."""
POSITION_RESAMPLES, CALIBRATION_RESAMPLES = 1_000, 200
"""Draws over the positions of one answer, and for each point of a calibration curve: results do not hold them."""
SEED = 0

Unit = Literal["entity", "position", "fit"]
"""What was drawn again: all items of an entity together; a position of one answer; the fit itself, on other labels."""


class Estimate(Frozen):
    """A statistic with its 95 % interval over `clusters` resampled units of `n` values.

    unit, resamples, seed: what was drawn again, how often, and from which seed. They are written where they are not
    those of a report card (entities, 2,000 draws, seed 0): estimates stored without them are of that kind, and keep
    their bytes.
    """

    value: float
    low: float
    high: float
    n: int
    clusters: int
    unit: Unit = Field(default="entity", exclude_if=lambda unit: unit == "entity")
    resamples: int = Field(default=CARD_RESAMPLES, exclude_if=lambda count: count == CARD_RESAMPLES)
    seed: int = Field(default=SEED, exclude_if=lambda seed: seed == SEED)

    @property
    def resampled(self) -> str:
        """What the interval was made from, in words."""
        units = {"entity": "entities", "position": "positions", "fit": "fits"}[self.unit]
        return f"{self.resamples:,} resamples of {self.clusters:,} {units}, seed {self.seed}"
