"""The plan of a probe: everything that a run from questions to H-neurons depends on, and views of a run.

Source of the steps and defaults: Gao et al. 2025, section 6.1, and the authors' code.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from backend.types.base import Frozen, Strict
from backend.types.identify import (
    CONSISTENCIES,
    MAX_QUESTIONS,
    Consistency,
    Question,
    RegionRule,
    Sampling,
    Verdict,
    WordRule,
)
from backend.types.names import RunName
from backend.types.requests import Alpha, EachOnce, Text, Threshold
from backend.types.verbs import Request

Labels = Literal["1-vs-1", "3-vs-1"]
"""Wrong answers against right answers; or against right answers and the other tokens of both (as in the paper)."""
Choice = Literal["one-se", "cross-validation", "paper", "fixed"]


Select = Literal["l1", "positive", "stable", "matched", "agreeing"]
"""Which neurons a fit may choose, and from which items. See `Training.select`."""


class QuestionSource(Strict):
    """Which questions a run asks: from the facts that come with the program, or from a person's file (`file`)."""

    file: str = Field(default="", max_length=500)
    relations: Annotated[tuple[str, ...], EachOnce] = ()
    per_relation: int | None = Field(default=500, ge=1, description="at most so many of each relation, at random")
    limit: int | None = Field(default=None, ge=1, description="at most so many in all, at random")


class Screening(Strict):
    """Sample only questions that can still be paired after the greedy answers, and at most `at_most` of them."""

    at_most: int | None = Field(default=None, ge=1)


class Training(Strict):
    """How the probe is fitted. One of `held_out` parts of the items is used in no fit and no choice.

    cs: the values of C that are tried; () means twelve values, from three times the smallest C at which a neuron gets
        a weight to a hundred times that.
    choice: "one-se": the smallest C whose cross-validated AUROC is within one standard error of the best, which gives
        the fewest neurons (Breiman et al. 1984, section 3.4.3). "cross-validation": the C of the best. "paper": the
        paper's criterion, cross-validated accuracy plus the share of right answers that stay right when the H-neurons
        are off. "fixed": `c` as given.
    select: "l1": every neuron at the same price (the paper). "positive": positive weights alone. "stable": only neurons
        whose CETT is larger on the same side in nine tenths of resamples and of halves of the relations, each with a
        weight of that side. "matched": every neuron, on pairs of a right and a wrong answer of the same relation and
        length, whose first tokens were about as probable. "agreeing": the more a neuron's direction differs between
        relations, the higher its price. See `backend.identify.fit.selection`.
    most: at most so many H-neurons, in per mille of the model's neurons: a C with more is not chosen. None: any number.
    """

    labels: Labels = "1-vs-1"
    standardise: bool = False
    # Written only where it is chosen, so that plans that were stored without it keep their hashes.
    select: Select = Field(default="l1", exclude_if=lambda select: select == "l1")
    cs: tuple[float, ...] = ()
    choice: Choice = "one-se"
    c: float | None = Field(default=None, gt=0)
    most: float | None = Field(default=None, gt=0, le=1000, exclude_if=lambda most: most is None)
    folds: int = Field(default=5, ge=2, le=20)
    held_out: int = Field(default=3, ge=2, le=20)

    @field_validator("cs")
    @classmethod
    def _check_cs(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < c < 1e9 for c in value):
            raise ValueError("C is a positive number: its inverse is the penalty; give other ones, or none")
        return tuple(sorted(set(value)))

    @model_validator(mode="after")
    def _check_choice(self) -> Self:
        if self.choice == "fixed" and self.c is None:
            raise ValueError("C is to be fixed and is not given: it has no default; give a C")
        if self.choice == "fixed" and self.most is not None:
            raise ValueError("C and the number of H-neurons are given: one decides the other; leave one of them out")
        if self.choice != "fixed" and self.c is not None:
            raise ValueError(f"C is given and to be chosen by {self.choice}: it cannot be both; leave one of them out")
        return self


SELECTIONS: dict[str, dict[str, object]] = {
    "paper": {"select": "l1", "labels": "1-vs-1", "standardise": False},
    "per-sd": {"select": "l1", "labels": "1-vs-1", "standardise": True},
    "3-vs-1": {"select": "l1", "labels": "3-vs-1", "standardise": False},
    "positive": {"select": "positive", "labels": "1-vs-1", "standardise": False},
    "stable": {"select": "stable", "labels": "1-vs-1", "standardise": False},
    "matched": {"select": "matched", "labels": "1-vs-1", "standardise": False},
    "agreeing": {"select": "agreeing", "labels": "1-vs-1", "standardise": False},
}
"""The named selections, and what each sets of `Training`."""


class Checks(Strict):
    """Settings of the report card. They do not change the probe, except `kept` with the paper's criterion."""

    random_sets: int = Field(default=20, ge=0, le=200)
    refits: int = Field(default=20, ge=0, le=1000, description="fits on shuffled labels, C chosen anew in each")
    permutations: int = Field(default=1000, ge=0, le=100_000)
    bootstraps: int = Field(default=100, ge=0, le=1000)
    alphas: Annotated[tuple[Alpha, ...], EachOnce] = (0.0, 0.5, 2.0, 3.0)
    twins: int = Field(default=3, ge=1, le=20, description="layer-matched random sets in the interventions")
    answers: int | None = Field(default=None, ge=1, description="at most so many held-out questions are answered anew")
    kept: int = Field(default=60, ge=1, description="right training answers asked for the paper's criterion")
    threshold: Threshold = Threshold()
    variations: bool = True


class LlmJudge(Strict):
    """Another model that judges answers, at the address in HNEURONS_JUDGE_URL on the machine that computes the run.

    decides: its verdicts override those of the rules (a person's override both); else they are only compared.
    words: it also chooses the words that answer, instead of the rules.
    """

    model: str = Field(min_length=1, max_length=200)
    decides: bool = True
    words: bool = False
    at_once: int = Field(default=8, ge=1, le=64, description="requests under way together")


class Plan(Strict):
    """Everything that a run depends on: the same plan on the same model gives the same probe."""

    source: QuestionSource = QuestionSource()
    sampling: Sampling = Sampling()
    screening: Screening | None = Screening()
    filter: Consistency = CONSISTENCIES["greedy and half"]
    words: WordRule = "phrase"
    rule: RegionRule = RegionRule()
    training: Training = Training()
    checks: Checks = Checks()
    judge: LlmJudge | None = None
    seed: int = Field(default=0, ge=0, lt=2**31)

    @model_validator(mode="after")
    def _check_filter_can_be_met(self) -> Self:
        # Checked here, because the filter is used only after hours of sampling.
        self.filter.check(self.sampling.samples)
        return self


class IdentifyRequest(Request):
    """Make the probe `name`, or resume it. Without `questions` the run asks those that `plan.source` chooses."""

    name: RunName
    plan: Plan = Plan()
    questions: Annotated[tuple[Question, ...], Field(max_length=MAX_QUESTIONS)] = ()
    answers_of: RunName | None = None
    """Start from the answers of this run, which asked the same questions: only the later stages are computed."""
    command: str = Field(default="", max_length=2_000)


class RunView(Frozen):
    """A run in its folder: whether its probe exists, and the job that works on it now."""

    name: str
    model: str
    fingerprint: str
    questions: int
    sampled: int
    done: bool
    changed: float
    """When it was last written to, in seconds since 1970."""
    job: str | None = None
    plan: Plan
    error: dict[str, Any] | None = None
    """Why it failed when it last ran, as an error's parts."""
    waits: bool = False
    """Whether it was interrupted without anybody pressing Stop; it is resumed when its model is loaded."""
    outlook: str = ""
    """A forecast of how many usable answers it gets; `short` if they are too few for a probe."""
    short: bool = False
    speed: tuple[float, float] | None = None
    """Seconds for a greedy answer, and for all samples of a question."""
    ships: bool = False


class AnswerView(Frozen):
    """One answer of a run with its verdicts.

    verdict: the one that counts: a person's if `overruled`, else the LLM's if it decides, else that of the rules.
        `rules` and `judge` are the verdicts of these two.
    words: the words that answer, from which features are read; `marked` if a person chose them.
    """

    question: str
    text: Text
    answers: tuple[Text, ...]
    relation: str
    response: Text
    count: int
    greedy: bool
    verdict: Verdict
    rules: Verdict
    judge: Verdict | None
    overruled: bool
    words: Text
    marked: bool
