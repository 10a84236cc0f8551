"""A probe: its neurons with their weights, and the report card.

Everything here is one JSON file of schema `SCHEMA`; large tables lie beside it as Parquet. Every figure carries
its n and interval in its type. Source of the method: Gao et al. 2025, section 6.1.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import numpy as np
from pydantic import Field, field_validator, model_validator

from backend.errors import BadNeurons
from backend.neurons import NeuronId, NeuronSet
from backend.types.base import Frozen
from backend.types.identify import CalibrationBin, Estimate, Funnel, RegionRule, Scores
from backend.types.plan import Plan, RunName
from backend.types.requests import Text, Threshold
from backend.types.results import Exploration, ModelInfo

SCHEMA: Literal["hneurons/probe/1"] = "hneurons/probe/1"
Ranking = Literal["effect", "weight", "auroc", "frequency", "leave_out"]
"""What a probe's neurons can be ordered by, largest first: weight x SD, weight, single-neuron AUROC, share of
bootstrap fits, loss of AUROC without it. See `ProbeNeuron`."""


class PathPoint(Frozen):
    """One C: neurons with positive and negative weight in the fit on all training items; how they did in
    cross-validation on them; `stability`, the mean Jaccard overlap of the H-neurons of two folds' fits; `kept`, the
    share of right answers that stay right with the H-neurons off (None unless asked)."""

    c: float
    positive: int
    negative: int
    auroc: Estimate
    accuracy: Estimate
    stability: float
    train_auroc: float
    kept: Estimate | None = None


class RandomSets(Frozen):
    """As many random neurons, each draw fitted anew: mean AUROC over the draws, and each draw's.

    better: the H-neurons' AUROC, fitted the same way, minus that mean.
    """

    kind: Literal["free", "layer"]
    auroc: Estimate
    draws: tuple[float, ...]
    better: Estimate


class Null(Frozen):
    """Labels shuffled within each relation, the probe made anew from there on: what luck finds.

    p counts the real AUROC in. `neurons` are the H-neurons that each fit "found".
    """

    aurocs: tuple[float, ...]
    neurons: tuple[int, ...]
    mean: float
    high: float
    p: float


class Baseline(Frozen):
    """A score that needs no neuron, on the held-out items."""

    name: str
    auroc: Estimate


class Flagged(Frozen):
    """The threshold detector on the same items: which share of neurons stands above mu + k sigma.

    right, wrong: per mille of all neurons, at an answer's token. auroc: of an answer's count.
    h_right, h_wrong: share of H-neurons flagged; overlap: of the flagged (neuron, answer) pairs, the per mille that
    are of H-neurons.
    """

    threshold: Threshold
    right: Estimate
    wrong: Estimate
    auroc: Estimate
    h_right: float
    h_wrong: float
    overlap: float


class Effect(Frozen):
    """Held-out questions answered with a set at alpha. Shares: of all answers that `changed`; of those right at
    the baseline that stay right; of those wrong that become right, and uncertain; of all that hit the length's end.
    """

    arm: Literal["H-neurons", "random twin", "negative weights"]
    alpha: float
    sets: int
    neurons: int
    changed: Estimate
    right_kept: Estimate | None
    wrong_righted: Estimate | None
    wrong_uncertain: Estimate | None
    cut: float
    mean_tokens: float


class Variation(Frozen):
    """The probe made again with one decision taken otherwise. Other answers are held out where their entity is; those
    of entities that the probe does not have are split anew in the same proportion.

    overlap: Jaccard of its H-neurons with the probe's. `note` says why there is no figure.
    """

    name: str
    items: int
    positive: int = 0
    auroc: Estimate | None = None
    within: Estimate | None = None
    overlap: float | None = None
    note: str = ""


class Agreement(Frozen):
    """How often two judges give one answer the same verdict.

    share: of the answers on which both gave one. kappa: Cohen's, None where a judge gave all the same.
    counts: "right/wrong" -> answers that the one calls right and the other wrong. unread: replies without a verdict.
    """

    one: str
    other: str
    share: Estimate
    kappa: float | None
    counts: dict[str, int]
    unread: int = 0


class Report(Frozen):
    """The report card. Unless it says otherwise a figure is of the held-out items.

    within: AUROC over pairs of one relation. matched: over as many right as wrong items of each length in tokens.
    unseen: over items of which neither subject nor answer stands in the training part by name. left_out: each
    relation scored by a fit that saw none of its items. These three are None where nothing is left to compare.
    positive_only: H-neurons alone, refitted. adds: AUROC of the simple baselines together with the probe's score,
    minus without it. length_correlation: Spearman's of score and length, None where all are of one length.
    """

    asked: int
    funnel: Funnel
    funnels: dict[str, Funnel]
    relations: dict[str, tuple[int, int]]
    train_items: int
    test_items: int
    path: tuple[PathPoint, ...]
    scores: Scores
    within: Estimate
    matched: Estimate | None
    left_out: Estimate | None
    unseen: Estimate | None = None
    positive_only: Estimate
    adds: Estimate
    calibration: tuple[CalibrationBin, ...]
    roc: tuple[tuple[float, float], ...]
    random: tuple[RandomSets, ...]
    null: Null | None
    permutation_p: float | None
    all_neurons: Estimate
    baselines: tuple[Baseline, ...]
    unbalanced_prior: float
    significant: int
    flagged: tuple[Flagged, ...]
    effects: tuple[Effect, ...]
    variations: tuple[Variation, ...]
    length_correlation: float | None
    agreement: tuple[Agreement, ...] = ()


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

    def of(self, info: ModelInfo) -> bool | None:
        """Whether this is that model: by its shape and weights, else by its name. None where neither tells."""
        if self.widths and self.widths != info.widths:
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


class Probe(Frozen):
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
                self.all.check(self.model.widths)
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
        """Every neuron with a weight, in layer order."""
        return NeuronSet(tuple(found.neuron for found in self.neurons))

    def find(self, neuron: NeuronId) -> ProbeNeuron | None:
        """What the probe knows of a neuron; None where it has no weight."""
        return next((found for found in self.neurons if found.neuron == neuron), None)

    def log_odds(self, cett: np.ndarray) -> np.ndarray:
        """Log-odds of "wrong" over the tokens as far as they have come: [pos].

        Args:
            cett: of the neurons of `all` in that order, at the tokens to be read, [pos set].
        """
        weights = {found.neuron: found.weight for found in self.neurons}
        if self.rule.pooling == "max":
            pooled = np.maximum.accumulate(cett, axis=0)
        else:
            pooled = np.cumsum(cett, axis=0) / np.arange(1, len(cett) + 1)[:, None]
        return np.asarray(
            pooled.astype(np.float64) @ np.array([weights[neuron] for neuron in self.all]) + self.intercept
        )

    def chances(self, cett: np.ndarray) -> np.ndarray:
        """The score, 0..1, after each of the answer's tokens: [pos]. `cett` as for `log_odds`. It is no share of wrong
        answers: `backend.types.standing.Calibration` is."""
        return np.asarray(1 / (1 + np.exp(-np.clip(self.log_odds(cett), -500, 500))))

    def followed(self, told: Exploration) -> np.ndarray | None:
        """CETT of the neurons of `all` where each token of the answer is read, [answer pos set].

        None where it has no answer, or was not asked to keep the CETT of every neuron of the probe.
        """
        places = {neuron: place for place, neuron in enumerate(told.request.neurons)}
        start = told.answer_start
        if start == len(told.tokens) or not self.neurons or any(neuron not in places for neuron in self.all):
            return None
        shift = 1 if self.rule.position == "predicting" else 0
        read = told.set_cett[start - shift : len(told.tokens) - shift]
        return np.asarray(read[:, [places[neuron] for neuron in self.all]])

    def along(self, told: Exploration) -> np.ndarray | None:
        """`chances` along the answer of an exploration, [answer pos]; None as for `followed`."""
        cett = self.followed(told)
        return None if cett is None else self.chances(cett)


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
