"""A probe: its neurons with their weights, and the report card.

Everything here is one JSON file of schema `SCHEMA`; large tables lie beside it as Parquet. Every figure carries
its n and interval in its type. Source of the method: Gao et al. 2025, section 6.1.
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

    effect: weight x SD over the training items; auroc, q: alone on all training items, with the false discovery
    rate over all neurons; leave_out: how much the held-out AUROC falls without it; frequency: share of bootstrap
    fits that give it a weight of this sign; partners: the neurons its CETT goes with (Spearman).
    """

    neuron: NeuronId
    weight: float
    mean: float = 0.0
    sd: float | None = None
    effect: float | None = None
    auroc: float | None = None
    q: float | None = None
    d: float | None = None
    leave_out: float | None = None
    frequency: float | None = None
    partners: tuple[tuple[NeuronId, float], ...] = ()
    histogram: Histogram | None = None
    top: tuple[TopItem, ...] = ()

    @field_validator("weight")
    @classmethod
    def _weight(cls, value: float) -> float:
        if not np.isfinite(value) or value == 0:
            raise ValueError("a weight is no number other than 0: neurons without one are left out")
        return value


class Said(Frozen):
    """What a file of others tells of the model that it is of: how it is called, the fingerprint of its weights, and
    the neurons in each of its layers."""

    name: Annotated[Text, Field(max_length=300)] = ""
    fingerprint: Annotated[Text, Field(max_length=300)] = ""
    widths: tuple[int, ...] = ()

    @property
    def layout(self) -> Layout:
        """Where its neurons lie: files of others tell layers and widths alone."""
        return Layout.dense(self.widths)

    def of(self, info: ModelInfo) -> bool | None:
        """Whether this is that model: by its shape and weights, else by its name. None where neither tells."""
        if self.widths and self.layout != info.layout:
            return False
        if self.fingerprint:
            return self.fingerprint == info.fingerprint
        return bare(self.name) == bare(info.name) if self.name else None


def bare(name: str) -> str:
    """A hub puts who made a model before its name; of a folder's path the last part is the name."""
    return name.rstrip("/").rpartition("/")[2].casefold()


class AsideNeuron(Frozen):
    """A weight that a file has on something else than the CETT of an answer's tokens, as "prompt": not scored here."""

    neuron: NeuronId
    weight: float
    kind: Annotated[Text, Field(max_length=60)]


class Probe(Result):
    """The artefact. A positive weight makes an H-neuron; negative ones speak for a right answer.

    `forced` names the model that it was put on against its fingerprint: a mark that stays. `said` is what a file of
    others tells of its model, where it does not hold it. `aside` are weights of the file that stand on other features:
    they are kept, and no neuron's weight is the sum of two.
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
    def _each_once(cls, value: tuple[ProbeNeuron, ...]) -> tuple[ProbeNeuron, ...]:
        seen: set[NeuronId] = set()
        for found in value:
            if found.neuron in seen:
                raise ValueError(f"{found.neuron} stands in the probe twice, and a neuron has one weight")
            seen.add(found.neuron)
        return value

    @model_validator(mode="after")
    def _whole(self) -> Probe:
        if self.model is not None:
            try:
                self.model.layout.check(self.all)
            except BadNeurons as error:
                raise ValueError(f"{error.what}, {error.why}") from error
        return self

    @property
    def aside_told(self) -> str:
        """What is kept of its file and not scored, in words; '' where there is nothing."""
        if not self.aside:
            return ""
        kinds = ", ".join(sorted({one.kind for one in self.aside}))
        return (
            f"{len(self.aside):,} further weights of the file are on other features ({kinds}): they are kept, and "
            "neither scored nor switched; the score is of the weights on the answer alone"
        )

    def is_of(self, info: ModelInfo) -> bool:
        """Whether its neurons are this model's."""
        return bool(self.said.of(info)) if self.model is None else self.model.fingerprint == info.fingerprint

    def of_sign(self, sign: int) -> tuple[ProbeNeuron, ...]:
        """Neurons whose weight has this sign (1 or -1), the heaviest first."""
        kept = [found for found in self.neurons if found.weight * sign > 0]
        return tuple(sorted(kept, key=lambda found: -abs(found.weight)))

    @property
    def h_neurons(self) -> NeuronSet:
        """Neurons with a positive weight (Gao et al. 2025, section 6.1.3)."""
        return NeuronSet(tuple(found.neuron for found in self.of_sign(1)))

    @property
    def against(self) -> NeuronSet:
        """Neurons with a negative weight: the more active, the lower the score."""
        return NeuronSet(tuple(found.neuron for found in self.of_sign(-1)))

    def top(self, count: int, by: Ranking) -> NeuronSet:
        """The `count` H-neurons foremost by a ranking; those whose figure is not known stand last."""
        ordered = sorted(self.of_sign(1), key=lambda found: -_known(getattr(found, by)))
        return NeuronSet(tuple(found.neuron for found in ordered[:count]))

    @property
    def rankings(self) -> tuple[Ranking, ...]:
        """The rankings that this probe has figures for: an imported one may know its weights alone."""
        found = self.of_sign(1)
        return tuple(by for by in get_args(Ranking) if found and all(getattr(one, by) is not None for one in found))

    @property
    def all(self) -> NeuronSet:
        """Every neuron with a weight, in the order of neurons."""
        return NeuronSet(tuple(found.neuron for found in self.neurons))

    def find(self, neuron: NeuronId) -> ProbeNeuron | None:
        """What the probe knows of a neuron; None where it has no weight."""
        return next((found for found in self.neurons if found.neuron == neuron), None)


def _known(figure: float | None) -> float:
    return -np.inf if figure is None else figure


class ProbeSummary(Frozen):
    """A probe in a list. `model` is the name that a file of others gives, where there is no fingerprint; `digest` the
    hash of its file: another probe may come under the same name within the same second."""

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
