"""What a probe's score of one answer is, and what it can be held to: the share of wrong answers among those held out,
and how far the question lies from those that the probe was made from.

Owns the types and their words. `backend.probes.scoring` makes them.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from backend.types.base import Frozen
from backend.types.estimate import Estimate
from backend.types.names import ProbeRef
from backend.types.numbers import counted, fixed, per_cent, percent

Kind = Literal["nearest", "words", "question_words", "answer_words", "read_words"]
"""How a question can lie off: likeness to the nearest of the probe's questions, 0..1; share of its words that they
have; its length, the answer's, and that of the words that answer, in words."""

Likeness = Literal["right", "wrong", "either"]


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


class Chance(Frozen):
    """The share of wrong answers among held-out ones that score so, with its interval over resampled entities, and
    `balance`, the share of all held-out answers that were wrong: whoever made the probe balanced them."""

    wrong: Estimate
    balance: float

    @property
    def like(self) -> Likeness:
        """Which of the trained answers score so: "wrong" or "right" where the interval leaves their balance."""
        return "wrong" if self.wrong.low > self.balance else ("right" if self.wrong.high < self.balance else "either")

    @property
    def told(self) -> str:
        """The share with its interval, and what it is a share of."""
        found, like = self.wrong, self.like
        level = "between the right and the wrong answers" if like == "either" else f"like the {like} answers"
        return (
            f"The words that answer score {level} that the probe was trained on: of held-out answers with such a "
            f"score, {percent(found.value)} were wrong (95 % interval {per_cent(found.low)} to {per_cent(found.high)}, "
            f"n = {found.n}). Right and wrong answers were balanced by design ({percent(self.balance)} wrong), so this "
            "is not the chance that an answer of the model is wrong."
        )

    @property
    def brief(self) -> str:
        """`told` in one short clause."""
        like = self.like
        level = "between right and wrong answers" if like == "either" else f"like the {like} answers it was trained on"
        return f"{level} ({percent(self.wrong.value)} of such were wrong, n = {self.wrong.n})"


class Standing(Frozen):
    """How a question and its answer stand to the questions that a probe was made from.

    words: characters of the answer that answer, by the rule that the probe's answers were read by; None where it
        finds none. nearest: the probe's question that is most like this one, `relation` its kind; '' where none
        shares a word with it. otherwise: what was asked otherwise than the probe's questions were, each a clause.
    note: why no share of wrong answers is known; '' where one is.
    """

    words: tuple[int, int] | None = None
    distances: tuple[Distance, ...] = ()
    nearest: str = ""
    relation: str = ""
    otherwise: tuple[str, ...] = ()
    note: str = ""

    @property
    def outside(self) -> tuple[Distance, ...]:
        """The distances at which this question lies beyond those that the probe was made from."""
        return tuple(one for one in self.distances if one.outside)


class Score(Standing):
    """A probe's score of one answer, and what it can be held to.

    along: log-odds of "wrong" over the answer up to each of its tokens, [answer pos].
    log_odds: over the tokens of `words`, as the probe's own answers were read; None where no token is theirs.
    chance: None where the probe brings no held-out answers.
    forced: whether the probe was made for another model and put on this one all the same.
    """

    probe: ProbeRef
    along: tuple[float, ...]
    log_odds: float | None = None
    chance: Chance | None = None
    forced: bool = False

    @property
    def chances(self) -> tuple[float, ...]:
        """`along` as numbers of 0..1. No shares of wrong answers: `chance` is, for the words that answer."""
        return tuple((1 / (1 + np.exp(-np.clip(self.along, -500, 500)))).tolist())

    @property
    def told(self) -> tuple[str, ...]:
        """What the score of the words that answer says, in plain sentences."""
        if self.forced:
            return (f"The probe {self.probe.name} was made for another model: its score means nothing here.",)
        reasons = [
            *map(self._reason, self.outside),
            *(f"it was asked {one}, and they were not" for one in self.otherwise),
        ]
        if reasons:
            head = "This lies outside what the probe was made from, so its score means nothing here"
            return (f"{head}: {'; '.join(reasons)}.",)
        if self.words is None or self.log_odds is None:
            return ("No words that answer were found, and the probe was made over such words alone: no score holds.",)
        if self.chance is None:
            return (f"What a score of this probe is worth is not known. {self.note}",)
        return self.chance.told, f"The most similar of its own questions: “{self.nearest}”."

    @property
    def brief(self) -> str:
        """`told` in one short clause."""
        if self.forced:
            return "means nothing here, since it was made for another model"
        if self.outside or self.otherwise:
            return "means nothing here, since this lies outside what the probe was made from"
        if self.words is None or self.log_odds is None:
            return "means nothing here, since no words that answer were found"
        return "what it is worth is not known" if self.chance is None else self.chance.brief

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
