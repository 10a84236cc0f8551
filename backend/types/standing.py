"""What a probe's score of one answer can be held to: the share of wrong answers among those held out, and how far
the question lies from those that the probe was made from.

Owns the types and the reading of a score over the words that answer. `backend.probes.standing` makes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from backend.types.base import Frozen
from backend.types.estimate import CALIBRATION_RESAMPLES, Estimate
from backend.types.numbers import counted, fixed, per_cent, percent
from backend.types.probe import Probe
from backend.types.results import Exploration

Kind = Literal["nearest", "words", "question_words", "answer_words", "read_words"]
"""How a question can lie off: likeness to the nearest of the probe's questions, 0..1; share of its words that they
have; its length, the answer's, and that of the words that answer, in words."""

Likeness = Literal["right", "wrong", "either"]


class Calibration(Frozen):
    """Log-odds of a probe -> the share of wrong answers among held-out ones that score so, by logistic regression on
    the score (Platt 1999), with a 95 % interval over resampled entities.

    log_odds is ascending; chance, low, high stand for each. n answers were held out, of `clusters` entities, and
    `wrong` of them were wrong: a share that whoever made the probe balanced.
    """

    log_odds: tuple[float, ...]
    chance: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    n: int
    clusters: int
    wrong: int

    def at(self, log_odds: float) -> Estimate:
        """The share at a score; beyond the held-out scores that of the outermost one."""
        told = (float(np.interp(log_odds, self.log_odds, curve)) for curve in (self.chance, self.low, self.high))
        value, low, high = told
        return Estimate(
            value=value, low=low, high=high, n=self.n, clusters=self.clusters, resamples=CALIBRATION_RESAMPLES
        )

    @property
    def balance(self) -> float:
        """The share of all held-out answers that were wrong."""
        return self.wrong / self.n

    def like(self, log_odds: float) -> Likeness:
        """Which of the trained answers score so: "wrong" or "right" where the interval leaves their balance."""
        found = self.at(log_odds)
        return "wrong" if found.low > self.balance else ("right" if found.high < self.balance else "either")

    def told(self, log_odds: float) -> str:
        """The share of wrong answers that score so, with its interval and what it is a share of."""
        found, like = self.at(log_odds), self.like(log_odds)
        level = "between the right and the wrong answers" if like == "either" else f"like the {like} answers"
        return (
            f"The words that answer score {level} that the probe was trained on: of held-out answers with such a "
            f"score, {percent(found.value)} were wrong (95 % interval {per_cent(found.low)} to {per_cent(found.high)}, "
            f"n = {self.n}). Right and wrong answers were balanced by design ({percent(self.balance)} wrong), so this "
            "is not the chance that an answer of the model is wrong."
        )


class Distance(Frozen):
    """One way in which a question may lie off. `low`, `high`: between these lie the held-out ones, a hundredth at each
    end left out; `share` of the held-out ones have a value at most as large."""

    kind: Kind
    value: float
    low: float
    high: float
    share: float

    @property
    def outside(self) -> bool:
        """Whether it lies beyond them; being very like a training question is no distance."""
        return self.value < self.low or (self.kind.endswith("_words") and self.value > self.high)


class Standing(Frozen):
    """What a score of one answer can be held to.

    words: characters of the answer that answer, by the rule that the probe's answers were read by; None where it
    finds none. calibration: None where the probe brings no held-out answers, and then `note` says why. nearest: the
    probe's question that is most like this one, `relation` its kind; '' where none shares a word with it.
    otherwise: what was asked otherwise than the probe's questions were, each a clause.
    """

    words: tuple[int, int] | None = None
    calibration: Calibration | None = None
    distances: tuple[Distance, ...] = ()
    nearest: str = ""
    relation: str = ""
    otherwise: tuple[str, ...] = ()
    note: str = ""

    @property
    def outside(self) -> tuple[Distance, ...]:
        """The distances at which this question lies beyond those that the probe was made from."""
        return tuple(one for one in self.distances if one.outside)

    def told(self, log_odds: float | None) -> tuple[str, ...]:
        """What the score of the words that answer says, in plain sentences; None where they could not be scored."""
        reasons = [
            *map(self._reason, self.outside),
            *(f"it was asked {one}, and they were not" for one in self.otherwise),
        ]
        if reasons:
            head = "This lies outside what the probe was made from, so its score means nothing here"
            return (f"{head}: {'; '.join(reasons)}.",)
        if self.words is None or log_odds is None:
            return ("No words that answer were found, and the probe was made over such words alone: no score holds.",)
        if self.calibration is None:
            return (f"What a score of this probe is worth is not known. {self.note}",)
        return self.calibration.told(log_odds), f"The most similar of its own questions: “{self.nearest}”."

    def brief(self, log_odds: float | None) -> str:
        """`told` in one short sentence."""
        if self.outside or self.otherwise:
            return "means nothing here, since this lies outside what the probe was made from"
        if self.words is None or log_odds is None:
            return "means nothing here, since no words that answer were found"
        if self.calibration is None:
            return "what it is worth is not known"
        found, like = self.calibration.at(log_odds), self.calibration.like(log_odds)
        level = "between right and wrong answers" if like == "either" else f"like the {like} answers it was trained on"
        return f"{level} ({percent(found.value)} of such were wrong, n = {found.n})"

    def _reason(self, one: Distance) -> str:
        if one.kind == "nearest":
            like = f"“{self.nearest}” is the most similar, by {fixed(one.value)}, and " if self.nearest else ""
            usual = f"99 % of its held-out questions reach {fixed(one.low)}"
            return f"none of the probe’s questions is like it ({like}{usual})"
        if one.kind == "words":
            return (
                f"{percent(one.value)} of its words stand in the probe’s questions, usually {percent(one.low)} or more"
            )
        subject = {"question_words": "it", "answer_words": "the answer", "read_words": "the part that answers"}
        told = f"{subject[one.kind]} has {counted(round(one.value), 'word')}"
        return f"{told}, where the probe’s have {fixed(one.low, 0)} to {fixed(one.high, 0)}"


def score_of(probe: Probe, told: Exploration, words: tuple[int, int]) -> float | None:
    """Log-odds of "wrong" over the tokens of the words that answer, as a probe's own answers were read.

    None where no token touches them, or the exploration did not follow every neuron of the probe.
    """
    cett = probe.followed(told)
    places = [place for place, span in enumerate(_spans(told)) if _touches(span, words)]
    if cett is None or not places:
        return None
    return float(probe.log_odds(cett[places])[-1])


def _spans(told: Exploration) -> Iterator[tuple[int, int]]:
    """Where each token of the answer stands in its text; one that has no character of its own (a part of one, a
    control token) stands where the next begins."""
    at = 0
    for token in told.tokens[told.answer_start :]:
        rest = told.answer[at:]
        text = token.text if rest.startswith(token.text) else token.text.lstrip()
        length = len(text) if rest.startswith(text) else 0
        yield at, at + length
        at += length


def _touches(span: tuple[int, int], words: tuple[int, int]) -> bool:
    start, end = span
    return words[0] <= start < words[1] if start == end else max(start, words[0]) < min(end, words[1])
