"""Between greedy answers and samples: which questions are worth drawing for, and what is to be expected of them.

Owns the choice, and the outlook from the first answers. Ten samples cost ten answers, and a small model answers most
questions wrongly: questions whose greedy answer leaves them no partner of the other side in their relation are not
drawn for. The paper draws for every question, which is what a plan without screening does. What has been
drawn stays drawn: a verdict that has changed since, by a better rule, does not choose other questions while these would
do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from backend.types.identify import Fate, Question, Verdict

RIGHT_PER_WRONG = 2
"""A right answer is harder to repeat than a wrong one, so where right ones abound, two are drawn for one wrong."""

PULL = 2.0
"""Answers of all relations together that are added to those of one, where it is told what is to be expected."""


def screened(
    questions: Sequence[Question],
    greedy: Mapping[str, Verdict],
    at_most: int | None,
    seed: int,
    drawn: Collection[str] = (),
    pilot: Collection[str] = (),
) -> list[Question]:
    """The questions to draw for, in random order: a run that is cut short has drawn for a fair part.

    Of each relation as many wrong ones as right ones, and at most two right ones for each wrong one. Those that were
    drawn for already come first, where a run was widened, then those of the pilot: what is there is used.

    Args:
        greedy: the verdict on each question's greedy answer. at_most: so many questions in all.
    """
    drawn, pilot = set(drawn), set(pilot)

    def first(place: int) -> tuple[bool, bool]:
        return questions[place].id not in drawn, questions[place].id not in pilot

    sides: dict[str, dict[Verdict, list[int]]] = {}
    for place, question in enumerate(questions):
        sides.setdefault(question.relation, {}).setdefault(greedy[question.id], []).append(place)
    draw = np.random.default_rng(seed)
    chosen: list[int] = []
    for relation in sorted(sides):
        right, wrong = (sides[relation].get(side, []) for side in ("right", "wrong"))
        for places, most in ((right, RIGHT_PER_WRONG * len(wrong)), (wrong, len(right))):
            chosen += sorted(draw.permutation(places).astype(int).tolist(), key=first)[:most]
    order = draw.permutation(sorted(chosen)).astype(int).tolist()
    return [questions[place] for place in sorted(order, key=first)[:at_most]]


def rather_drawn(chosen: Sequence[Question], drawn: Sequence[Question]) -> list[Question]:
    """As many questions as `chosen`: of it those that are `drawn`, then others that are, then the rest of `chosen`.

    The same as `chosen` where verdicts are as they were when the answers were drawn.
    """
    has, wanted = {one.id for one in drawn}, {one.id for one in chosen}
    there = [one for one in chosen if one.id in has] + [one for one in drawn if one.id not in wanted]
    return [*there, *(one for one in chosen if one.id not in has)][: len(chosen)]


@dataclass(frozen=True)
class Outlook:
    """What is to be expected of a run.

    asked: its questions. seen: those with an answer so far, of which `right` are right; expected: right and wrong
    answers of one kind that will stand side by side, of each; needed: how many of each a probe needs.
    """

    asked: int
    seen: int
    right: int
    expected: float
    needed: int

    @property
    def short(self) -> bool:
        """Whether too few are to be expected."""
        return self.expected < self.needed

    @property
    def words(self) -> str:
        """One sentence or two."""
        told = f"Of the first {self.seen:,} answers" if self.seen < self.asked else f"Of {self.seen:,} answers"
        told += f" {self.right:,} {'was' if self.right == 1 else 'were'} right: "
        if not self.short:
            return f"{told}about {_round(self.expected):,} right and as many wrong ones of one kind are to be expected."
        told += (
            f"about {self.expected:.0f} right and as many wrong ones of one kind are to be expected of "
            f"{self.asked:,} questions, and {self.needed} of each are needed. "
        )
        if self.expected < 0.5:
            return told + "Ask questions that the model can answer, or soften the filter; no answer is lost."
        more = _round(1.2 * self.asked * self.needed / self.expected + 9)
        return told + f"Widen the run to about {more:,} questions, or soften the filter; no answer is lost."


def _round(value: float) -> int:
    return int(value) if value < 30 else int(value) // 10 * 10


def outlook(
    questions: Sequence[Question], greedy: Mapping[str, Verdict], fates: Mapping[str, Fate], needed: int
) -> Outlook:
    """What is to be expected, from the answers so far.

    Of a relation of which few were asked yet, its own share of right ones is drawn towards that of all; that a
    question is kept is taken to be as likely as with those that were drawn for.

    Args:
        greedy: verdicts on the greedy answers so far. fates: of the questions that were drawn for so far.
    """
    sides: dict[Verdict, float] = {side: _share(greedy.values(), side, len(greedy)) for side in ("right", "wrong")}
    stays = {
        side: _share([fates[id] for id in fates if greedy.get(id) == side], side, None) for side in ("right", "wrong")
    }
    counts: Counter[tuple[str, str]] = Counter()
    for question in questions:
        counts[question.relation, greedy.get(question.id, "")] += 1
    expected = 0.0
    for relation in {question.relation for question in questions}:
        seen = sum(count for (name, side), count in counts.items() if name == relation and side)
        left, found = counts[relation, ""], []
        for side in ("right", "wrong"):
            here = counts[relation, side]
            found.append((here + left * (here + PULL * sides[side]) / (seen + PULL)) * stays[side])
        expected += min(found)
    right = sum(verdict == "right" for verdict in greedy.values())
    return Outlook(len(questions), len(greedy), right, expected, needed)


def _share(told: Collection[str], side: str, of: int | None) -> float:
    """The share of `side` in `told`. Of what was kept, one that was kept is added: of none nothing is known."""
    if of is not None:
        return sum(one == side for one in told) / max(of, 1)
    return (sum(one == side for one in told) + 1) / (len(told) + 1)
