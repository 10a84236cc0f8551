"""What is measured on the planted model: the types of its two files of results, and where they lie.

`planted.json` is the truth: what each planted neuron does. `found.json` is what the pipeline finds of it.
"""

from __future__ import annotations

from typing import Literal

from backend.types import Frozen
from backend.types.estimate import Estimate
from backend.types.identify import Position

TRUTH, FOUND = "planted.json", "found.json"

Data = Literal["balanced", "longer", "other kind"]
"""Which answers a probe is made of: equally many right and wrong ones of each relation; right ones mostly of the
relation with the longer answers; right and wrong ones mostly of different relations, equally long."""
Spread = tuple[float, float, float]
"""Mean, smallest and largest."""
Arm = Literal["chosen", "random twin", "norm-matched twin"]


class PlantedNeuron(Frozen):
    """A planted neuron, with the share of invented answers while it alone is off, and while it alone is on.

    part: how much it adds to the share of invented answers, mean over all orders in which the planted neurons can be
        switched on (its Shapley value); the parts of all add up to what all bring. is_true: whether it is an H-neuron
        by what it does: its part is at least `truth.LEAST`.
    """

    neuron: str
    part: Estimate
    off_alone: Estimate
    on_alone: Estimate
    is_true: bool


class Truth(Frozen):
    """Shares of invented answers about unknown people, and of right ones about known people, over `asked` each; with
    all planted neurons as they are, at alpha 0 (`off`), and at other alphas. neurons_in_all: of the whole model."""

    seed: int
    asked: int
    neurons_in_all: int
    invented: Estimate
    invented_off: Estimate
    right: Estimate
    right_off: Estimate
    invented_at: dict[str, Estimate]
    neurons: tuple[PlantedNeuron, ...]

    @property
    def true(self) -> tuple[str, ...]:
        """The planted neurons that are H-neurons by what they do."""
        return tuple(one.neuron for one in self.neurons if one.is_true)


class Switched(Frozen):
    """Answers with a set of neurons at one alpha: the share invented about unknown people, of right ones about known
    people; for twins over all answers under `sets` of them."""

    arm: Arm
    alpha: float
    sets: int
    invented: Estimate
    right: Estimate


class FoundSet(Frozen):
    """A set of neurons that one selection chose, held against the truth.

    hits: how many of them are true. auroc: of the whole probe on held-out items; own: of its positive weights alone,
    as fitted. Without a probe (a threshold has none) both are None. note: why there is no set.
    """

    data: Data
    window: Position
    selection: str
    items: int
    c: float | None = None
    positive: int = 0
    negative: int = 0
    hits: int = 0
    precision: float | None = None
    recall: float = 0.0
    auroc: Estimate | None = None
    own: Estimate | None = None
    neurons: tuple[str, ...] = ()
    switched: tuple[Switched, ...] = ()
    note: str = ""


class FewItems(Frozen):
    """What fits on `items` items find, over `fits` random subsets; None where no fit found a neuron."""

    window: Position
    selection: str
    items: int
    fits: int
    precision: Spread | None
    recall: Spread | None
    auroc: Spread | None
    none: int
    """Fits that found no neuron."""


class Found(Frozen):
    """Everything that was measured with the pipeline on one planted model. `asked`: questions, about as many known and
    unknown people; `right`, `wrong`: kept answers."""

    seed: int
    asked: int
    right: int
    wrong: int
    held_out: int
    untouched: Switched
    sets: tuple[FoundSet, ...]
    few: tuple[FewItems, ...]


class Measured(Frozen):
    """Both results of one seed."""

    truth: Truth
    found: Found
