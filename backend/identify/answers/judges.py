"""The verdicts of all judges together: the rules, an LLM where the plan names one, a person; and how often the rules
and the LLM agree.

Owns whose verdict counts (a person's, then the LLM's where it decides, then the rules') and the comparison of judges.
A person is not compared: people decide where a verdict seems wrong, so their agreement would only show which answers
they chose. The rules are `backend.identify.answers.judge`'s, the requests to the LLM `backend.identify.answers.llm`'s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from backend.identify.answers import llm
from backend.identify.answers.items import Answered, apply_filter
from backend.identify.answers.judge import rule_verdict
from backend.identify.context import RunContext
from backend.statistics.intervals import mean_estimate
from backend.statistics.scores import kappa
from backend.types.identify import Consistency, Samples, Verdict
from backend.types.report import Agreement

RULES = "the rules"
Verdicts = Mapping[llm.Pair, Verdict | None]


def judge_answers(context: RunContext, answers: Sequence[Answered]) -> tuple[RunContext, tuple[Agreement, ...]]:
    """The context with every verdict that counts, and the agreement of rules and LLM on the answers of the questions
    that have samples."""
    drawn = [answered for answered in answers if answered.samples is not None]
    pairs = list(dict.fromkeys((answered.question.id, text) for answered in drawn for text in answered.texts))
    judge = context.plan.judge
    if judge is None:
        return context, ()
    rules: Verdicts = {pair: rule_verdict(pair[1], context.questions[pair[0]]) for pair in pairs}
    verdicts = llm.ask_for_verdicts(judge, pairs, context.questions, context.folder, context.watch)
    agreed = agreement(RULES, rules, judge.model, verdicts)
    return _with_verdicts(context, verdicts) if judge.decides else context, () if agreed is None else (agreed,)


def _with_verdicts(context: RunContext, verdicts: Verdicts) -> RunContext:
    """The context with the LLM's verdicts; a person's verdict replaces the LLM's."""
    clear = {pair: decision for pair, decision in verdicts.items() if decision is not None}
    return replace(context, overrules={**clear, **context.overrules})


def judge_later_answers(context: RunContext, answered: Sequence[Samples]) -> RunContext:
    """The context with verdicts on answers that were drawn later, as under a switch, where the LLM decides."""
    judge = context.plan.judge
    if judge is None or not judge.decides:
        return context
    pairs = [(samples.question, answer.text) for samples in answered for answer in samples.answers]
    return _with_verdicts(context, llm.ask_for_verdicts(judge, pairs, context.questions, context.folder, context.watch))


def ask_for_words(context: RunContext, answers: Sequence[Answered], filters: Sequence[Consistency]) -> RunContext:
    """The context with the words that answer as the LLM names them, where the plan asks for it; a person's mark
    replaces the LLM's words."""
    judge = context.plan.judge
    if judge is None or not judge.words:
        return context
    pairs = [
        (question.id, response)
        for filter in filters
        for _, question, response in apply_filter(answers, filter, context.overrules)[1]
    ]
    spans = llm.ask_for_words(judge, pairs, context.questions, context.folder, context.watch)
    clear = {pair: span for pair, span in spans.items() if span is not None}
    return replace(context, marked={**clear, **context.marked})


def agreement(first_judge: str, by_first: Verdicts, second_judge: str, by_second: Verdicts) -> Agreement | None:
    """How often two judges agree on the answers that both judged; None where there is none."""
    both = [pair for pair in by_first if pair in by_second]
    pairs = [(pair[0], by_first[pair], by_second[pair]) for pair in both]
    clear = [(question, str(a), str(b)) for question, a, b in pairs if a is not None and b is not None]
    if not clear:
        return None
    questions, first_verdicts, second_verdicts = (list(part) for part in zip(*clear, strict=True))
    return Agreement(
        one=first_judge,
        other=second_judge,
        share=mean_estimate(
            np.array([a == b for a, b in zip(first_verdicts, second_verdicts, strict=True)], dtype=np.float64),
            np.unique(questions, return_inverse=True)[1],
        ),
        kappa=kappa(first_verdicts, second_verdicts),
        counts=dict(sorted(Counter(f"{a}/{b}" for a, b in zip(first_verdicts, second_verdicts, strict=True)).items())),
        unread=len(pairs) - len(clear),
    )
