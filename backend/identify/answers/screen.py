"""Between greedy answers and samples: which questions are worth drawing samples for, and what to expect of them.

Owns the choice, and the outlook from the first answers. Ten samples cost as much as ten answers, and a small model
answers most questions wrongly: no samples are drawn for a question whose greedy answer has no counterpart of the other
side in its relation. The paper draws for every question, as a plan without screening does. Samples that were drawn are
used: a verdict that has changed since, by a better rule, does not choose other questions where the drawn ones suffice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from backend.types.identify import Fate, Question, Verdict

RIGHT_PER_WRONG = 2
"""A right answer is repeated less often than a wrong one, so up to two right answers are drawn for each wrong one."""

PULL = 2.0
"""Weight, in answers, of the share over all relations when the share of right answers of one relation is estimated."""


def screened(
    questions: Sequence[Question],
    greedy: Mapping[str, Verdict],
    at_most: int | None,
    seed: int,
    drawn: Collection[str] = (),
    pilot: Collection[str] = (),
) -> list[Question]:
    """The questions to draw samples for, in random order, so that an interrupted run has drawn for a random part.

    Of each relation as many wrong ones as right ones, and at most two right ones for each wrong one. Questions that
    have samples already come first, as in a run that was widened, then those of the pilot.

    Args:
        greedy: the verdict on each question's greedy answer. at_most: limit for all questions together.
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


def prefer_drawn(chosen: Sequence[Question], drawn: Sequence[Question]) -> list[Question]:
    """As many questions as `chosen`: first those of `chosen` that are `drawn`, then others that are drawn, then the
    remaining ones of `chosen`.

    The same questions as `chosen` if no verdict has changed since the answers were drawn.
    """
    drawn_ids, chosen_ids = {question.id for question in drawn}, {question.id for question in chosen}
    already_drawn = [question for question in chosen if question.id in drawn_ids] + [
        question for question in drawn if question.id not in chosen_ids
    ]
    return [*already_drawn, *(question for question in chosen if question.id not in drawn_ids)][: len(chosen)]


@dataclass(frozen=True)
class Outlook:
    """How many usable answers to expect of a run.

    asked: number of its questions. seen: those with an answer so far, of which `right` are right. expected: number of
    right answers, and of wrong ones, after balancing within each relation. needed: how many of each a probe needs.
    """

    asked: int
    seen: int
    right: int
    expected: float
    needed: int

    @property
    def short(self) -> bool:
        """Whether too few are expected."""
        return self.expected < self.needed

    @property
    def words(self) -> str:
        """The outlook in one or two sentences."""
        sentence = f"Of the first {self.seen:,} answers" if self.seen < self.asked else f"Of {self.seen:,} answers"
        sentence += f", {self.right:,} {'was' if self.right == 1 else 'were'} right. "
        if not self.short:
            return sentence + f"Expect about {_round(self.expected):,} right and as many wrong ones of the same kinds."
        sentence += (
            f"Expect about {self.expected:.0f} right and as many wrong ones of the same kinds from {self.asked:,} "
            f"questions; {self.needed} of each are needed. "
        )
        if self.expected < 0.5:
            return sentence + "Ask questions that the model can answer, or soften the filter; no answer is lost."
        more = _round(1.2 * self.asked * self.needed / self.expected + 9)
        return sentence + f"Widen the run to about {more:,} questions, or soften the filter; no answer is lost."


def _round(value: float) -> int:
    return int(value) if value < 30 else int(value) // 10 * 10


def outlook(
    questions: Sequence[Question], greedy: Mapping[str, Verdict], fates: Mapping[str, Fate], needed: int
) -> Outlook:
    """What to expect of the run, from the answers so far.

    The share of right answers of a relation with few answers is shrunk towards the share over all relations. The chance
    that the filter keeps a question is estimated from the questions that have samples.

    Args:
        greedy: verdicts on the greedy answers so far. fates: of the questions that have samples so far.
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
        left, expected_of_sides = counts[relation, ""], []
        for side in ("right", "wrong"):
            here = counts[relation, side]
            expected_of_sides.append((here + left * (here + PULL * sides[side]) / (seen + PULL)) * stays[side])
        expected += min(expected_of_sides)
    right = sum(verdict == "right" for verdict in greedy.values())
    return Outlook(len(questions), len(greedy), right, expected, needed)


def _share(outcomes: Collection[str], side: str, of: int | None) -> float:
    """The share of `side` in `outcomes`, of `of` in all. With None one kept question is added, so that the share is
    defined, and never 0."""
    if of is not None:
        return sum(outcome == side for outcome in outcomes) / max(of, 1)
    return (sum(outcome == side for outcome in outcomes) + 1) / (len(outcomes) + 1)
