"""Who judged what: the rules, another model where the plan names one, a person; and how far the first two agree.

Owns whose word counts (a person's, then the model's where it decides, then the rules') and the comparison of judges.
A person is not compared: they decide where a verdict seems wrong, so their share would say how they chose.
Refuses the rules (`backend.identify.answers.judge`) and the questions put to the model
(`backend.identify.answers.llm`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from backend.identify.answers import llm
from backend.identify.answers.items import Answered, kept
from backend.identify.answers.judge import verdict
from backend.identify.context import Ground
from backend.statistics.intervals import mean_estimate
from backend.statistics.scores import kappa
from backend.types.identify import Consistency, Samples, Verdict
from backend.types.report import Agreement

RULES = "the rules"
Judged = Mapping[llm.Pair, Verdict | None]


def judged(ground: Ground, answers: Sequence[Answered]) -> tuple[Ground, tuple[Agreement, ...]]:
    """The ground with every verdict that counts, and how rules and model agree on the drawn questions' answers."""
    drawn = [one for one in answers if one.samples is not None]
    pairs = list(dict.fromkeys((one.question.id, text) for one in drawn for text in one.texts))
    judge = ground.plan.judge
    if judge is None:
        return ground, ()
    rules: Judged = {pair: verdict(pair[1], ground.questions[pair[0]]) for pair in pairs}
    told = llm.verdicts(judge, pairs, ground.questions, ground.folder, ground.watch)
    found = agreement(RULES, rules, judge.model, told)
    return _deciding(ground, told) if judge.decides else ground, () if found is None else (found,)


def _deciding(ground: Ground, told: Judged) -> Ground:
    """The ground with the model's verdicts below the person's."""
    clear = {pair: found for pair, found in told.items() if found is not None}
    return replace(ground, overrules={**clear, **ground.overrules})


def deciding(ground: Ground, answered: Sequence[Samples]) -> Ground:
    """The ground with verdicts on answers that were drawn later, as under a switch, where the model decides."""
    judge = ground.plan.judge
    if judge is None or not judge.decides:
        return ground
    pairs = [(one.question, answer.text) for one in answered for answer in one.answers]
    return _deciding(ground, llm.verdicts(judge, pairs, ground.questions, ground.folder, ground.watch))


def worded(ground: Ground, answers: Sequence[Answered], filters: Sequence[Consistency]) -> Ground:
    """The ground with the words that answer, as the model names them below the person, where the plan asks for it."""
    judge = ground.plan.judge
    if judge is None or not judge.words:
        return ground
    pairs = [
        (question.id, response)
        for filter in filters
        for _, question, response in kept(answers, filter, ground.overrules)[1]
    ]
    told = llm.words(judge, pairs, ground.questions, ground.folder, ground.watch)
    clear = {pair: span for pair, span in told.items() if span is not None}
    return replace(ground, marked={**clear, **ground.marked})


def agreement(one: str, first: Judged, other: str, second: Judged) -> Agreement | None:
    """How the two agree on the answers that both judged; None where there is none."""
    both = [pair for pair in first if pair in second]
    pairs = [(pair[0], first[pair], second[pair]) for pair in both]
    clear = [(question, str(a), str(b)) for question, a, b in pairs if a is not None and b is not None]
    if not clear:
        return None
    questions, ones, others = (list(part) for part in zip(*clear, strict=True))
    return Agreement(
        one=one,
        other=other,
        share=mean_estimate(
            np.array([a == b for a, b in zip(ones, others, strict=True)], dtype=np.float64),
            np.unique(questions, return_inverse=True)[1],
        ),
        kappa=kappa(ones, others),
        counts=dict(sorted(Counter(f"{a}/{b}" for a, b in zip(ones, others, strict=True)).items())),
        unread=len(pairs) - len(clear),
    )
