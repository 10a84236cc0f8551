"""The probe made again with one decision changed: does the result depend on it?

Owns the list of changed decisions. Each variation is evaluated on the held-out entities of the run, with a C of its
own. A variation that cannot be made has a note with the reason; the others are made all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from backend.errors import BadInput
from backend.identify.answers.items import entity_numbers
from backend.identify.answers.spans import Span, known_words
from backend.identify.context import Pool, RunContext
from backend.identify.evaluation.report import auroc_within_relations
from backend.identify.features.extract import Features
from backend.identify.features.study import Study
from backend.identify.fit.choice import trained_fit
from backend.identify.fit.solver import h_neurons
from backend.statistics.intervals import estimate
from backend.statistics.neurons import jaccard
from backend.statistics.scores import auroc
from backend.types.identify import Item, Position, RegionRule
from backend.types.plan import Training
from backend.types.report import Variation
from backend.watch import between

POSITIONS: dict[Position, str] = {
    "answer": "answer position",
    "predicting": "predicting position",
    "both": "both positions",
    "whole": "whole response",
}
"""The windows in words."""


def variations(
    context: RunContext,
    pool: Pool,
    items: Sequence[Item],
    items_by_filter: Mapping[str, Sequence[Item]],
    positive: set[int],
) -> tuple[Variation, ...]:
    """The probe with each decision changed.

    Args:
        items: of the run. items_by_filter: a filter's name -> its items; all are in `pool`.
        positive: places of the probe's H-neurons.
    """
    if not context.plan.checks.variations:
        return ()
    training, rule = context.plan.training, context.plan.rule

    def fitted(name: str, count: int, studied: Callable[[], Study], training: Training = training) -> Variation:
        return _fit_variation(name, count, studied, training, context, positive)

    results = [
        fitted(f"filter: {name}", len(filtered), partial(_study_of_filter, context, pool, items, filtered))
        for name, filtered in items_by_filter.items()
    ]
    for name, changed in _other_fits(training).items():
        results.append(fitted(name, len(items), partial(pool.study, context, items, changed), changed))
    for name, reworded in _other_words(context, items).items():
        features = context.features(reworded, rule, _folder_suffix(name))
        reread = Pool(tuple(reworded), features, pool.held_out)
        results.append(fitted(name, len(items), partial(reread.study, context, reworded)))
    for name, changed_rule in other_rules(rule).items():
        reread = Pool(tuple(items), _read_by_rule(context, items, changed_rule), pool.held_out)
        results.append(fitted(name, len(items), partial(reread.study, context, items)))
    return tuple(results)


def _other_fits(training: Training) -> dict[str, Training]:
    """Display name -> settings that fit the same answers in another way."""
    labels = "3-vs-1" if training.labels == "1-vs-1" else "1-vs-1"
    scaled = (
        "neurons as they are, not in units of their SD" if training.standardise else "each neuron in units of its SD"
    )
    changed: dict[str, dict[str, object]] = {
        f"labels: {labels}": {"labels": labels},
        scaled: {"standardise": not training.standardise},
    }
    if training.choice == "one-se":
        changed["C: the best in cross-validation"] = {"choice": "cross-validation"}
    else:
        changed["C: the smallest within a standard error of the best"] = {"choice": "one-se"}
    return {name: training.model_copy(update=update) for name, update in changed.items()}


def other_rules(rule: RegionRule) -> dict[str, RegionRule]:
    """Display name -> the region rule with one of its settings changed."""
    pooling = "max" if rule.pooling == "mean" else "mean"
    changed = {
        f"read at: {words}": rule.model_copy(update={"position": position})
        for position, words in POSITIONS.items()
        # The whole response leaves none of its tokens to be the others.
        if position != rule.position and (position != "whole" or rule.other == "conversation")
    }
    return changed | {f"over the tokens: {pooling}": rule.model_copy(update={"pooling": pooling})}


def _other_words(context: RunContext, items: Sequence[Item]) -> dict[str, list[Item]]:
    """Display name -> the same answers with features over other words."""
    items_by_name: dict[str, list[Item]] = {
        "words: the whole answer": [_with_span(item, Span(0, len(item.response.rstrip()))) for item in items]
    }
    if context.plan.words != "known":
        items_by_name["words: the known spelling of right answers"] = [
            _with_span(item, known_words(item.response, context.questions[item.question].answers))
            if item.side == "right"
            else item
            for item in items
        ]
    return items_by_name


def _with_span(item: Item, span: Span | None) -> Item:
    return item if span is None else item.model_copy(update={"start": span.start, "end": span.end})


def _folder_suffix(name: str) -> str:
    return name.partition(": ")[2].replace(" ", "-")


def _read_by_rule(context: RunContext, items: Sequence[Item], rule: RegionRule) -> Features:
    return context.features(items, rule, f"{rule.position}-{rule.pooling}")


def _study_of_filter(context: RunContext, pool: Pool, items: Sequence[Item], filtered: Sequence[Item]) -> Study:
    """The study of another filter's items. Entities that are not in the run are held out at random, in the run's
    proportion."""
    own_questions = {item.question for item in items}
    names = entity_numbers([*items, *filtered], context.questions)
    held_out_entities = {name for name, item in zip(names, items, strict=False) if item.question in pool.held_out}
    entities_of_run = set(names[: len(items)])
    draw = np.random.default_rng(context.plan.seed)
    share = len(pool.held_out) / max(len(own_questions), 1)
    held_out_entities |= {
        name for name in np.unique(names[len(items) :]) if name not in entities_of_run and draw.random() < share
    }
    held_out = frozenset(
        item.question for item, name in zip(filtered, names[len(items) :], strict=True) if name in held_out_entities
    )
    return replace(pool, held_out=held_out).study(context, filtered)


def _fit_variation(
    name: str, count: int, studied: Callable[[], Study], training: Training, context: RunContext, positive: set[int]
) -> Variation:
    between(context.watch)
    context.say(f"trying another decision, {name}")
    try:
        study = studied()
        seen = study.train.seen
        fit = trained_fit(seen, training, context.watch)
    except BadInput as error:
        return Variation(name=name, items=count, note=error.sentence)
    logits = fit.logits(study.test.seen.answer)
    chosen = set(h_neurons(fit).tolist())
    return Variation(
        name=name,
        items=count,
        positive=len(chosen),
        auroc=estimate(auroc, study.test.seen.labels, logits, study.test.seen.entities),
        within=auroc_within_relations(study.test, logits),
        overlap=jaccard(chosen, positive),
    )
