"""The plan of a probe: all that a run from questions to H-neurons hangs on, and how a run is seen.

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
"""Wrong answers against right answers; or against right answers and the other tokens of both (the paper's)."""
Choice = Literal["one-se", "cross-validation", "paper", "fixed"]


class Source(Strict):
    """Which questions: of the shipped facts, or (`file` names it) from a person's file."""

    file: str = Field(default="", max_length=500)
    relations: Annotated[tuple[str, ...], EachOnce] = ()
    per_relation: int | None = Field(default=500, ge=1, description="at most so many of each relation, at random")
    limit: int | None = Field(default=None, ge=1, description="at most so many in all, at random")


class Screening(Strict):
    """Draw only for questions whose greedy answer leaves them a partner, and for `at_most` of them."""

    at_most: int | None = Field(default=None, ge=1)


class Training(Strict):
    """How the probe is fitted. One of `held_out` parts of the items is kept from every fit and choice.

    cs: the values of C that are tried; none stands for twelve, from three times the least at which a neuron gets a
        weight to a hundred times that.
    choice: the smallest C whose cross-validated AUROC is within one standard error of the best, for the fewest
        neurons that do as well (Breiman et al. 1984, section 3.4.3); the C of the best; by the paper's criterion
        (cross-validated accuracy plus the share of right answers that stay right when the H-neurons are off); or `c`
        as given.
    """

    labels: Labels = "1-vs-1"
    standardise: bool = False
    cs: tuple[float, ...] = ()
    choice: Choice = "one-se"
    c: float | None = Field(default=None, gt=0)
    folds: int = Field(default=5, ge=2, le=20)
    held_out: int = Field(default=3, ge=2, le=20)

    @field_validator("cs")
    @classmethod
    def _cs(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < c < 1e9 for c in value):
            raise ValueError("C is a positive number: its inverse is the penalty; give other ones, or none")
        return tuple(sorted(set(value)))

    @model_validator(mode="after")
    def _fixed(self) -> Self:
        if self.choice == "fixed" and self.c is None:
            raise ValueError("C is to be fixed and is not given: it has no default; give a C")
        if self.choice != "fixed" and self.c is not None:
            raise ValueError(f"C is given and to be chosen by {self.choice}: it cannot be both; leave one of them out")
        return self


class Checks(Strict):
    """What the report card is made of. Nothing here changes the probe, but `kept` where the paper's criterion does."""

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
    """Another model that judges, at the address that HNEURONS_JUDGE_URL names where the run computes.

    decides: its verdicts stand above the rules (a person's stand above both); else it is only compared with them.
    words: it also names the words that answer, where the rules would.
    """

    model: str = Field(min_length=1, max_length=200)
    decides: bool = True
    words: bool = False
    at_once: int = Field(default=8, ge=1, le=64, description="requests under way together")


class Plan(Strict):
    """All that a run hangs on: the same plan on the same model gives the same probe."""

    source: Source = Source()
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
    def _can_be_met(self) -> Self:
        # Here, and not where the filter is used: that is after hours of drawing.
        self.filter.check(self.sampling.samples)
        return self


class IdentifyRequest(Request):
    """Make the probe `name`, or go on with it. Without `questions` they are those that ship, as the plan has them."""

    name: RunName
    plan: Plan = Plan()
    questions: Annotated[tuple[Question, ...], Field(max_length=MAX_QUESTIONS)] = ()
    answers_of: RunName | None = None
    """Begin with the answers of this run, which asked the same: only what comes behind them is done anew."""
    command: str = Field(default="", max_length=2_000)


class RunView(Frozen):
    """A run in its folder: whether its probe is there, and the job that works on it now."""

    name: str
    model: str
    fingerprint: str
    questions: int
    sampled: int
    done: bool
    changed: float
    """Seconds since 1970 when it last wrote."""
    job: str | None = None
    plan: Plan
    error: dict[str, Any] | None = None
    """Why it failed when it was last at work, as an error's parts."""
    waits: bool = False
    """It was broken off by nobody's wish, and goes on by itself when its model is loaded."""
    outlook: str = ""
    """What is to be expected of its answers; `short` where that is too little for a probe."""
    short: bool = False
    speed: tuple[float, float] | None = None
    """Seconds that a greedy answer, and the samples of a question, took."""
    ships: bool = False


class AnswerView(Frozen):
    """One answer of a run and what is held of it.

    verdict: what counts, by a person where `overruled`, else by the LLM where it decides, else by the rules; `rules`
        and `judge` are what these two say.
    words: the words that answer, which features are read over, and whether a person marked them.
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
