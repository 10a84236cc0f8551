"""What is kept of a row's activations: for each kind, how one layer's CETT at some tokens is reduced.

Owns `Capture` and its kinds. Refuses when that happens and whose tokens they are (`backend.forward.recorder`), and the
formula (`backend.forward.cett`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

from jaxtyping import Float, Int
from torch import Tensor

from backend.forward.cett import summarise
from backend.types import Threshold

NORM, SET = "norm", "set_cett"
"""The fields of ||h||, which every capture has, and of the CETT of chosen neurons."""


class Capture(ABC):
    """What is kept. Rows with the same capture object are reduced together."""

    sums: bool = False
    """Whether each neuron's CETT is summed over the answer's tokens."""
    gathers: bool = True
    """Whether single tokens may wait to be reduced together: no figure of theirs is looked at meanwhile."""

    @property
    def holds(self) -> bool:
        """Whether CETT itself is kept, on the CPU."""
        return False

    @property
    def width(self) -> int:
        """Numbers of chosen neurons that are kept of a token."""
        return 0

    def narrowed(self, layer: int) -> Int[Tensor, " set"] | None:
        """The neurons of a layer whose CETT is all that is reduced; None for every one."""
        return None

    @abstractmethod
    def reduce(
        self, layer: int, values: Float[Tensor, "token neuron"], act: Float[Tensor, "token neuron"]
    ) -> dict[str, Tensor]:
        """One layer's CETT reduced: name -> [token ...]."""


@dataclass(frozen=True, eq=False)
class Peaks(Capture):
    """Sum and maximum of CETT at each token."""

    def reduce(self, layer: int, values: Tensor, act: Tensor) -> dict[str, Tensor]:
        """`sum` and `max` [token]."""
        return {"sum": values.sum(-1), "max": values.amax(-1)}


@dataclass(frozen=True, eq=False)
class Summaries(Capture):
    """What Explore shows of each token; see `backend.forward.cett.summarise`.

    usual: for each layer the usual CETT of each neuron. chosen: layer -> neurons whose CETT is kept at every token.
    basis: what `usual` was made from, kept alive with it.
    """

    threshold: Threshold
    top: int
    usual: Sequence[Tensor] | None = None
    chosen: dict[int, Int[Tensor, " set"]] = field(default_factory=dict)
    sums: bool = True
    basis: object = None

    @property
    def holds(self) -> bool:
        """Where the threshold's population is wider than what one layer's hook sees, CETT is kept as well."""
        return self.threshold.population != "layer"

    def reduce(self, layer: int, values: Tensor, act: Tensor) -> dict[str, Tensor]:
        """The fields of `Summary`, and `set_cett`, `set_act` of this layer's chosen neurons."""
        usual = None if self.usual is None else self.usual[layer]
        reduced = dict(vars(summarise(values, act, usual, self.top, self.threshold.k)))
        chosen = self.chosen.get(layer)
        for name, of in ((SET, values), ("set_act", act)):
            reduced[name] = (of[:, :0] if chosen is None else of[:, chosen]).float()
        return reduced


@dataclass(frozen=True, eq=False)
class Chosen(Capture):
    """CETT of some neurons at each token, there as soon as the token is read. chosen: layer -> its neurons."""

    chosen: dict[int, Int[Tensor, " set"]]
    nothing: Int[Tensor, 0]
    """Stands for the neurons of every other layer."""
    gathers: bool = False

    @property
    def width(self) -> int:
        """All that are chosen."""
        return sum(map(len, self.chosen.values()))

    def narrowed(self, layer: int) -> Tensor:
        """Those that are chosen, of most layers none."""
        return self.chosen.get(layer, self.nothing)

    def reduce(self, layer: int, values: Tensor, act: Tensor) -> dict[str, Tensor]:
        """`set_cett` [token set]."""
        return {SET: values}
