"""A probe: its neurons with their weights, and the report card.

A probe is one JSON file of schema `SCHEMA`; large tables are Parquet files beside it. The type of every statistic
includes its n and interval. Source of the method: Gao et al. 2025, section 6.1.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import numpy as np
from pydantic import Field, field_validator, model_validator

from backend.errors import BadNeurons
from backend.layout import Layout
from backend.neurons import NeuronId, NeuronSet
from backend.types.base import Frozen
from backend.types.estimate import Estimate
from backend.types.identify import RegionRule
from backend.types.names import RunName
from backend.types.plan import Plan
from backend.types.report import Report
from backend.types.requests import Text
from backend.types.results import ModelInfo
from backend.types.verbs import Result

SCHEMA: Literal["hneurons/probe/1"] = "hneurons/probe/1"
Ranking = Literal["effect", "weight", "auroc", "frequency", "leave_out"]
"""What a probe's neurons can be ordered by, largest first: weight x SD, weight, single-neuron AUROC, share of
bootstrap fits, loss of AUROC without it. See `ProbeNeuron`."""


class Histogram(Frozen):
    """Counts of right and wrong items by CETT, between `edges`."""

    edges: tuple[float, ...]
    right: tuple[int, ...]
    wrong: tuple[int, ...]


class TopItem(Frozen):
    """An item with large CETT of a neuron: what was asked and answered."""

    question: Text
    prompt: Text
    response: Text
    side: Literal["right", "wrong"]
    cett: float


class ProbeNeuron(Frozen):
    """A neuron of the probe.

    effect: weight x SD over the training items. auroc: of this neuron alone on all training items; held_out: on the
    held-out ones. q: its false discovery rate over all neurons. leave_out: decrease of the held-out AUROC without it.
    frequency: share of bootstrap fits that give it a weight of this sign. partners: neurons with the most correlated
    CETT (Spearman).
    """

    neuron: NeuronId
    weight: float
    mean: float = 0.0
    sd: float | None = None
    effect: float | None = None
    auroc: float | None = None
    held_out: float | None = Field(default=None, exclude_if=lambda auroc: auroc is None)
    q: float | None = None
    d: float | None = None
    leave_out: float | None = None
    frequency: float | None = None
    partners: tuple[tuple[NeuronId, float], ...] = ()
    histogram: Histogram | None = None
    top: tuple[TopItem, ...] = ()

    @field_validator("weight")
    @classmethod
    def _check_weight(cls, value: float) -> float:
        if not np.isfinite(value) or value == 0:
            raise ValueError("a weight is no number other than 0: neurons without one are left out")
        return value


class Said(Frozen):
    """What an imported file says of its model: the name, the fingerprint of the weights, and the neurons in each
    layer."""

    name: Annotated[Text, Field(max_length=300)] = ""
    fingerprint: Annotated[Text, Field(max_length=300)] = ""
    widths: tuple[int, ...] = ()

    @property
    def layout(self) -> Layout:
        """The layout of its neurons; imported files state only layers and widths."""
        return Layout.dense(self.widths)

    def of(self, info: ModelInfo) -> bool | None:
        """Whether `info` is that model: by shape and fingerprint, else by name. None if the file says none of them."""
        if self.widths and self.layout != info.layout:
            return False
        if self.fingerprint:
            return self.fingerprint == info.fingerprint
        return bare(self.name) == bare(info.name) if self.name else None


def bare(name: str) -> str:
    """The name of a model without its owner (in a hub name) or its folder (in a path), in lower case."""
    return name.rstrip("/").rpartition("/")[2].casefold()


class AsideNeuron(Frozen):
    """An imported weight on another feature than the CETT of an answer's tokens, as "prompt". It is not scored."""

    neuron: NeuronId
    weight: float
    kind: Annotated[Text, Field(max_length=60)]


class Probe(Result):
    """A probe. A neuron with a positive weight is an H-neuron; negative weights indicate a right answer.

    `forced` names the model that it was applied to although the fingerprint differs; it stays set. `said` is what an
    imported file says of its model, if it does not contain `model`. `aside` are weights of that file on other features:
    they are stored separately and not added to `neurons`.
    """

    schema_: Literal["hneurons/probe/1"] = Field(default=SCHEMA, alias="schema")
    name: RunName
    made: str = ""
    command: str = ""
    model: ModelInfo | None = None
    template: str = ""
    questions: str = ""
    plan: Plan | None = None
    c: float | None = None
    intercept: float = 0.0
    rule: RegionRule = RegionRule()
    neurons: tuple[ProbeNeuron, ...] = ()
    report: Report | None = None
    imported: str = ""
    forced: str = ""
    said: Said = Said()
    aside: tuple[AsideNeuron, ...] = ()

    model_config = {**Frozen.model_config, "populate_by_name": True, "serialize_by_alias": True}

    @field_validator("neurons")
    @classmethod
    def _check_each_once(cls, value: tuple[ProbeNeuron, ...]) -> tuple[ProbeNeuron, ...]:
        seen: set[NeuronId] = set()
        for entry in value:
            if entry.neuron in seen:
                raise ValueError(f"{entry.neuron} stands in the probe twice, and a neuron has one weight")
            seen.add(entry.neuron)
        return value

    @model_validator(mode="after")
    def _check_neurons_exist(self) -> Probe:
        if self.model is not None:
            try:
                self.model.layout.check(self.all)
            except BadNeurons as error:
                raise ValueError(f"{error.what}, {error.why}") from error
        return self

    @property
    def aside_note(self) -> str:
        """Which weights of the imported file are stored but not scored, in words; '' if there are none."""
        if not self.aside:
            return ""
        kinds = ", ".join(sorted({entry.kind for entry in self.aside}))
        return (
            f"{len(self.aside):,} further weights of the file are on other features ({kinds}): they are kept, and "
            "neither scored nor switched; the score is of the weights on the answer alone"
        )

    def is_of(self, info: ModelInfo) -> bool:
        """Whether the probe was made for this model."""
        return bool(self.said.of(info)) if self.model is None else self.model.fingerprint == info.fingerprint

    def of_sign(self, sign: int) -> tuple[ProbeNeuron, ...]:
        """Neurons whose weight has this sign (1 or -1), the largest absolute weight first."""
        matching = [entry for entry in self.neurons if entry.weight * sign > 0]
        return tuple(sorted(matching, key=lambda entry: -abs(entry.weight)))

    @property
    def h_neurons(self) -> NeuronSet:
        """Neurons with a positive weight (Gao et al. 2025, section 6.1.3)."""
        return NeuronSet(tuple(entry.neuron for entry in self.of_sign(1)))

    @property
    def against(self) -> NeuronSet:
        """Neurons with a negative weight: the more active they are, the lower the score."""
        return NeuronSet(tuple(entry.neuron for entry in self.of_sign(-1)))

    def top(self, count: int, by: Ranking) -> NeuronSet:
        """The first `count` H-neurons by a ranking; neurons without a value for it come last."""
        ordered = sorted(self.of_sign(1), key=lambda entry: -_known(getattr(entry, by)))
        return NeuronSet(tuple(entry.neuron for entry in ordered[:count]))

    @property
    def rankings(self) -> tuple[Ranking, ...]:
        """The rankings for which every H-neuron has a value: an imported probe may have weights only."""
        h_neurons = self.of_sign(1)
        return tuple(
            by for by in get_args(Ranking) if h_neurons and all(getattr(entry, by) is not None for entry in h_neurons)
        )

    @property
    def all(self) -> NeuronSet:
        """Every neuron with a weight, in the order of neurons."""
        return NeuronSet(tuple(entry.neuron for entry in self.neurons))

    def find(self, neuron: NeuronId) -> ProbeNeuron | None:
        """The probe's entry for a neuron; None if it has no weight."""
        return next((entry for entry in self.neurons if entry.neuron == neuron), None)


def _known(figure: float | None) -> float:
    return -np.inf if figure is None else figure


class ProbeSummary(Frozen):
    """A probe in a list. `model` is the name in the imported file, if there is no fingerprint. `digest` is the hash of
    the probe's file: another probe may replace it under the same name, even within the same second."""

    name: str
    model: str
    fingerprint: str
    positive: int
    negative: int
    auroc: Estimate | None
    made: str
    ships: bool
    imported: str = ""
    forced: str = ""
    digest: str = ""
