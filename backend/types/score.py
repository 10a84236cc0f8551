"""A probe's score of one answer, and what it means.

That is the share of wrong answers among held-out answers with such a score, and how far the question lies from those
that the probe was made from.

Owns the types and their wording. `backend.probes.scoring` makes them.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from backend.types.base import Frozen
from backend.types.estimate import Estimate
from backend.types.names import ProbeRef
from backend.types.numbers import counted, fixed, per_cent, percent

Kind = Literal["nearest", "words", "question_words", "answer_words", "read_words"]
"""Measures of distance: similarity to the nearest of the probe's questions, 0..1; share of the question's words that
occur in them; length of the question, of the answer, and of the words that answer, in words."""

Likeness = Literal["right", "wrong", "either"]


class Distance(Frozen):
    """One measure of how far a question lies from the probe's. `low`, `high`: range of the held-out questions, without
    a hundredth at each end. `share`: share of the held-out questions with a value that is not larger."""

    kind: Kind
    value: float
    low: float
    high: float
    share: float

    @property
    def outside(self) -> bool:
        """Whether the value is outside the range; great similarity to a training question does not count."""
        return self.value < self.low or (self.kind.endswith("_words") and self.value > self.high)


class Chance(Frozen):
    """The share of wrong answers among held-out answers with such a score, with its interval over resampled entities.

    `balance` is the share of wrong ones among all held-out answers, which was chosen when the probe was made."""

    wrong: Estimate
    balance: float

    @property
    def like(self) -> Likeness:
        """Which training answers have such scores: "wrong" or "right" if the interval excludes the balance."""
        return "wrong" if self.wrong.low > self.balance else ("right" if self.wrong.high < self.balance else "either")

    @property
    def sentence(self) -> str:
        """The share with its interval, in words."""
        share, like = self.wrong, self.like
        level = "between the right and the wrong answers" if like == "either" else f"like the {like} answers"
        return (
            f"The words that answer score {level} that the probe was trained on: of held-out answers with such a "
            f"score, {percent(share.value)} were wrong (95 % interval {per_cent(share.low)} to {per_cent(share.high)}, "
            f"n = {share.n}). Right and wrong answers were balanced by design ({percent(self.balance)} wrong), so this "
            "is not the chance that an answer of the model is wrong."
        )

    @property
    def brief(self) -> str:
        """`sentence` as one short clause."""
        like = self.like
        level = "between right and wrong answers" if like == "either" else f"like the {like} answers it was trained on"
        return f"{level} ({percent(self.wrong.value)} of such were wrong, n = {self.wrong.n})"


class Standing(Frozen):
    """How a question and its answer compare with the questions that a probe was made from.

    words: (start, end) of the characters that answer, found by the rule of the probe; None if it finds none.
    nearest: the most similar question of the probe, `relation` its kind; '' if none shares a word with this one.
    otherwise: differences in how the question was asked, a clause each. note: why no share of wrong answers is known;
    '' if one is.
    """

    words: tuple[int, int] | None = None
    distances: tuple[Distance, ...] = ()
    nearest: str = ""
    relation: str = ""
    otherwise: tuple[str, ...] = ()
    note: str = ""

    @property
    def outside(self) -> tuple[Distance, ...]:
        """The distances whose value is outside the range of the questions that the probe was made from."""
        return tuple(distance for distance in self.distances if distance.outside)


class Score(Standing):
    """A probe's score of one answer, and what it means.

    along: log-odds of "wrong" over the answer up to each of its tokens, [answer pos].
    log_odds: over the tokens of `words`, as for the probe's own answers; None if they have no token.
    chance: None if the probe has no held-out answers.
    forced: whether the probe was made for another model and is applied to this one all the same.
    """

    probe: ProbeRef
    along: tuple[float, ...]
    log_odds: float | None = None
    chance: Chance | None = None
    forced: bool = False

    @property
    def chances(self) -> tuple[float, ...]:
        """`along` as numbers in 0..1. These are no shares of wrong answers; `chance` is, for the words that answer."""
        return tuple((1 / (1 + np.exp(-np.clip(self.along, -500, 500)))).tolist())

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the score of the words that answer means, in plain sentences."""
        if self.forced:
            return (f"The probe {self.probe.name} was made for another model: its score means nothing here.",)
        reasons = [
            *map(self._reason, self.outside),
            *(f"it was asked {circumstance}, and they were not" for circumstance in self.otherwise),
        ]
        if reasons:
            head = "This lies outside what the probe was made from, so its score means nothing here"
            return (f"{head}: {'; '.join(reasons)}.",)
        if self.words is None or self.log_odds is None:
            return ("No words that answer were found, and the probe was made over such words alone: no score holds.",)
        if self.chance is None:
            return (f"What a score of this probe is worth is not known. {self.note}",)
        return self.chance.sentence, f"The most similar of its own questions: “{self.nearest}”."

    @property
    def brief(self) -> str:
        """`sentences` as one short clause."""
        if self.forced:
            return "means nothing here, since it was made for another model"
        if self.outside or self.otherwise:
            return "means nothing here, since this lies outside what the probe was made from"
        if self.words is None or self.log_odds is None:
            return "means nothing here, since no words that answer were found"
        return "what it is worth is not known" if self.chance is None else self.chance.brief

    def _reason(self, distance: Distance) -> str:
        if distance.kind == "nearest":
            like = f"“{self.nearest}” is the most similar, by {fixed(distance.value)}, and " if self.nearest else ""
            reached = f"99 % of its held-out questions reach {fixed(distance.low)}"
            return f"none of the probe’s questions is like it ({like}{reached})"
        if distance.kind == "words":
            share = f"{percent(distance.value)} of its words stand in the probe’s questions"
            return f"{share}, usually {percent(distance.low)} or more"
        subject = {"question_words": "it", "answer_words": "the answer", "read_words": "the part that answers"}
        length = f"{subject[distance.kind]} has {counted(round(distance.value), 'word')}"
        return f"{length}, where the probe’s have {fixed(distance.low, 0)} to {fixed(distance.high, 0)}"
