"""Questions of another kind: asked as a probe's scoring asks them, and read in every window.

Owns which answers are read: all right ones, and at most `WRONG` wrong ones, because an interval hangs on the rarer
side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from backend.identify.answers.items import entity_numbers, labels
from backend.identify.answers.judge import rule_verdict
from backend.identify.answers.responses import greedy_answers
from backend.identify.elsewhere.readings import is_readable, random_sets
from backend.identify.elsewhere.scoring import items_of, named_by_content
from backend.identify.evaluation.report import neurons_of_sign
from backend.identify.features.extract import extract
from backend.identify.fit.solver import Fit, h_neurons
from backend.identify.formats import questions as question_files
from backend.identify.questions.questions import wording_key
from backend.layout import Layout
from backend.models.loaded import LoadedModel
from backend.statistics.intervals import estimate
from backend.statistics.scores import auroc, auroc_difference, aurocs
from backend.types.estimate import Estimate
from backend.types.identify import Item, Position, Question, RegionRule
from backend.types.plan import Plan, QuestionSource
from cache.journal import Journal
from tools.selections.measured import AskedElsewhere, Elsewhere

WRONG = 400


@dataclass(frozen=True)
class File:
    """The answers of one file."""

    name: str
    items: list[Item]
    questions: Mapping[str, Question]
    counts: AskedElsewhere


def answered(model: LoadedModel, path: Path, plan: Plan, own: Sequence[Question], work: Path) -> File:
    """Ask every question of the file that is not one of `own`."""
    read = question_files.read_path(path, QuestionSource(file=path.name, per_relation=None), plan.seed)
    known = {wording_key(question.text) for question in own}
    asked = [one for one in named_by_content(read.questions) if wording_key(one.text) not in known]
    by_id = {question.id: question for question in asked}
    answers = greedy_answers(model, asked, plan.sampling, Journal(work / f"{path.stem}.jsonl"))
    verdicts = [rule_verdict(answer.answer.text, by_id[answer.question]) for answer in answers]
    items = [
        item
        for item in items_of(answers, by_id, plan.words)
        if is_readable(model, item, by_id, plan.sampling, plan.rule)
    ]
    wrong = [place for place, item in enumerate(items) if item.side == "wrong"]
    drawn = {*np.random.default_rng(plan.seed).permutation(wrong)[:WRONG].tolist()}
    scored = [item for place, item in enumerate(items) if item.side == "right" or place in drawn]
    counts = AskedElsewhere(
        asked=len(answers), right=verdicts.count("right"), wrong=verdicts.count("wrong"),
        scored_right=sum(item.side == "right" for item in scored),
        scored_wrong=sum(item.side == "wrong" for item in scored),
    )  # fmt: skip
    return File(path.stem, scored, by_id, counts)


def read(model: LoadedModel, file: File, plan: Plan, window: Position, work: Path) -> Float[np.ndarray, "item neuron"]:
    """CETT of every neuron over each answer, in one window."""
    rule = RegionRule(position=window)
    return extract(model, file.items, file.questions, plan.sampling, rule, work / f"{file.name}-{window}").answer


def measured(file: File, cett: Float[np.ndarray, "item neuron"], fit: Fit, layout: Layout) -> Elsewhere:
    """The figures of a probe on the answers of one file."""
    wrong, entities = labels(file.items), entity_numbers(file.items, file.questions)
    chosen = h_neurons(fit)

    def of(scores: Float[np.ndarray, " item"]) -> Estimate:
        return estimate(auroc, wrong, scores, entities)

    own = fit.part(cett, 1)
    return Elsewhere(
        probe=of(fit.logits(cett)),
        own=of(own) if len(chosen) else None,
        better=auroc_difference(wrong, own, _random_scores(cett, fit, layout), entities) if len(chosen) else None,
        negative=of(fit.part(cett, -1)) if (fit.weights < 0).any() else None,
        holds=int((aurocs(wrong, np.asarray(cett[:, chosen])) > 0.5).sum()),
    )


def _random_scores(cett: Float[np.ndarray, "item neuron"], fit: Fit, layout: Layout) -> Float[np.ndarray, "item set"]:
    """The score of each random set."""
    positive, against = (neurons_of_sign(fit, layout, sign) for sign in (1, -1))
    weight_of = {neuron: float(fit.weights[layout.columns([neuron])[0]]) for neuron in positive}
    sets = random_sets(positive, against, weight_of, layout)
    return np.stack([np.asarray(cett[:, one.columns], np.float64) @ one.weights for one in sets], axis=1)
