"""A statistic with its interval: the type of every estimate.

Owns the value, its interval, and how the interval was made. Computing one is in `backend.statistics.intervals`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from backend.types.base import Frozen

CARD_RESAMPLES = 2_000
"""Resamples of every estimate that is stored without their number: those of a report card. It must never change."""
POSITION_RESAMPLES, CALIBRATION_RESAMPLES = 1_000, 200
"""Resamples of the positions of one answer, and for each point of a calibration curve; not stored in results."""
SEED = 0

Unit = Literal["entity", "position", "fit"]
"""What was resampled: all items of an entity together; a position of one answer; the fit itself, on other labels."""


class Estimate(Frozen):
    """A statistic of `n` values with its 95 % interval over `clusters` resampled units.

    unit, resamples, seed: what was resampled, how often, and from which seed. They are not written if they are those
    of a report card (entities, 2,000 resamples, seed 0), so that estimates that were stored without them keep their
    bytes.
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
        """How the interval was made, in words."""
        units = {"entity": "entities", "position": "positions", "fit": "fits"}[self.unit]
        return f"{self.resamples:,} resamples of {self.clusters:,} {units}, seed {self.seed}"
