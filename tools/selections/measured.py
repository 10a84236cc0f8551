"""What is measured of each selection in each window: the types of the file of results, and the criterion."""

from __future__ import annotations

from backend.types import Frozen
from backend.types.estimate import Estimate
from backend.types.identify import Position

MOST = 0.5
"""H-neurons of a set, in per mille of the model's neurons, at most."""
AIM = 0.6
"""What the own part's AUROC should reach on every set of questions of another kind, by the lower end of its interval.
"""


class Elsewhere(Frozen):
    """A probe on questions of another kind, nothing fitted again. own: the H-neurons with their weights as they are;
    better: own minus random sets of the same layers and weights. holds: H-neurons whose CETT is larger in wrong
    answers."""

    probe: Estimate
    own: Estimate | None
    better: Estimate | None
    negative: Estimate | None
    holds: int


class Candidate(Frozen):
    """One selection in one window. note: why there is no set.

    probe, own: AUROC on the held-out answers, of the whole probe and of its H-neurons with their weights as they are.
    relations, kinds: own on relations and on kinds of questions that were left out of the fit.
    """

    window: Position
    selection: str
    note: str = ""
    c: float | None = None
    positive: int = 0
    negative: int = 0
    probe: Estimate | None = None
    own: Estimate | None = None
    relations: Estimate | None = None
    kinds: Estimate | None = None
    neurons: tuple[str, ...] = ()
    elsewhere: dict[str, Elsewhere] = {}

    @property
    def criterion(self) -> float:
        """What the choice is made by, before any question of another kind is asked: the smaller lower end of the two
        intervals with relations and with kinds left out. 0 where there is no set."""
        return 0.0 if self.relations is None or self.kinds is None else min(self.relations.low, self.kinds.low)

    @property
    def carries_over(self) -> bool:
        """Whether the aim is reached: on all questions of another kind, and better than random neurons there."""
        return bool(self.elsewhere) and all(
            one.own is not None and one.own.low >= AIM and one.better is not None and one.better.low > 0
            for one in self.elsewhere.values()
        )


class AskedElsewhere(Frozen):
    """A file of questions of another kind: asked, right and wrong answers, and how many of them were scored."""

    asked: int
    right: int
    wrong: int
    scored_right: int
    scored_wrong: int


class Comparison(Frozen):
    """Every candidate on one model. items: answers of the fits and held-out ones; kinds: of them, right and wrong
    together, by kind of question."""

    model: str
    neurons: int
    answers_of: str
    items: int
    held_out: int
    kinds: dict[str, int]
    files: dict[str, AskedElsewhere]
    candidates: tuple[Candidate, ...]

    @property
    def chosen(self) -> Candidate:
        """The best by the criterion."""
        return max(self.candidates, key=lambda one: one.criterion)
