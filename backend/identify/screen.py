"""Between greedy answers and samples: which questions are worth drawing for.

Owns the choice. Ten samples cost ten answers, and a small model answers most questions wrongly: questions whose
greedy answer leaves them no partner of the other side in their relation are not drawn for. The paper draws for every
question, which is what a plan without screening does. What has been drawn stays drawn: a verdict that has changed
since, by a better rule, does not choose other questions while these would do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from backend.types.identify import Question, Verdict

RIGHT_PER_WRONG = 2
"""A right answer is harder to repeat than a wrong one, so where right ones abound, two are drawn for one wrong."""


def screened(
    questions: Sequence[Question], greedy: Mapping[str, Verdict], at_most: int | None, seed: int
) -> list[Question]:
    """The questions to draw for, in random order: a run that is cut short has drawn for a fair part.

    Of each relation as many wrong ones as right ones, and at most two right ones for each wrong one.

    Args:
        greedy: the verdict on each question's greedy answer. at_most: so many questions in all.
    """
    sides: dict[str, dict[Verdict, list[int]]] = {}
    for place, question in enumerate(questions):
        sides.setdefault(question.relation, {}).setdefault(greedy[question.id], []).append(place)
    draw = np.random.default_rng(seed)
    chosen: list[int] = []
    for relation in sorted(sides):
        right, wrong = (sides[relation].get(side, []) for side in ("right", "wrong"))
        chosen += map(int, draw.choice(right, min(len(right), RIGHT_PER_WRONG * len(wrong)), replace=False))
        chosen += map(int, draw.choice(wrong, min(len(wrong), len(right)), replace=False))
    return [questions[place] for place in draw.permutation(chosen)[:at_most].astype(int)]


def rather_drawn(chosen: Sequence[Question], drawn: Sequence[Question]) -> list[Question]:
    """As many questions as `chosen`: of it those that are `drawn`, then others that are, then the rest of `chosen`.

    The same as `chosen` where verdicts are as they were when the answers were drawn.
    """
    has, wanted = {one.id for one in drawn}, {one.id for one in chosen}
    there = [one for one in chosen if one.id in has] + [one for one in drawn if one.id not in wanted]
    return [*there, *(one for one in chosen if one.id not in has)][: len(chosen)]
