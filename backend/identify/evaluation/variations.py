"""The probe made again with one decision taken otherwise: does the result hang on it?

Owns the list of other decisions. Each is judged on the held-out entities of the run, C chosen anew. A variation that
cannot be made says why and takes nothing else down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from backend.errors import BadInput
from backend.identify.answers.items import groups
from backend.identify.answers.spans import Span, known_words
from backend.identify.context import Ground, Pool
from backend.identify.evaluation.report import judged_within
from backend.identify.features.extract import Features
from backend.identify.features.study import Study
from backend.identify.fit.choice import trained_fit
from backend.identify.fit.solver import h_neurons
from backend.statistics.intervals import estimate
from backend.statistics.neurons import jaccard
from backend.statistics.scores import auroc
from backend.types.identify import Item, RegionRule
from backend.types.plan import Training
from backend.types.report import Variation
from backend.watch import between


def variations(
    ground: Ground, pool: Pool, items: Sequence[Item], others: Mapping[str, Sequence[Item]], positive: set[int]
) -> tuple[Variation, ...]:
    """Every other decision.

    Args:
        items: of the run. others: a filter's name -> its items; all are in `pool`.
        positive: places of the probe's H-neurons.
    """
    if not ground.plan.checks.variations:
        return ()
    training = ground.plan.training
    told = [
        _made(f"filter: {name}", len(kept), partial(_held, ground, pool, items, kept), training, ground, positive)
        for name, kept in others.items()
    ]
    for name, other in _other_fits(training).items():
        told.append(_made(name, len(items), partial(pool.study, ground, items, other), other, ground, positive))
    for name, other_words in _other_words(ground, items).items():
        reread = Pool(tuple(other_words), ground.features(other_words, ground.plan.rule, _spelt(name)), pool.held)
        told.append(_made(name, len(items), partial(reread.study, ground, other_words), training, ground, positive))
    for name, rule in other_rules(ground.plan.rule).items():
        reread = Pool(tuple(items), _reread(ground, items, rule), pool.held)
        told.append(_made(name, len(items), partial(reread.study, ground, items), training, ground, positive))
    return tuple(told)


def _other_fits(training: Training) -> dict[str, Training]:
    """The same answers fitted otherwise, by a name for people."""
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
    """The region rule with one of its settings turned, by a name for people."""
    position = "predicting" if rule.position == "answer" else "answer"
    pooling = "max" if rule.pooling == "mean" else "mean"
    return {
        f"read at: {position} position": rule.model_copy(update={"position": position}),
        f"over the tokens: {pooling}": rule.model_copy(update={"pooling": pooling}),
    }


def _other_words(ground: Ground, items: Sequence[Item]) -> dict[str, list[Item]]:
    """The same answers read over other words, by a name for people."""
    told: dict[str, list[Item]] = {
        "words: the whole answer": [_over(item, Span(0, len(item.response.rstrip()))) for item in items]
    }
    if ground.plan.words != "known":
        told["words: the known spelling of right answers"] = [
            _over(item, known_words(item.response, ground.questions[item.question].answers))
            if item.side == "right"
            else item
            for item in items
        ]
    return told


def _over(item: Item, span: Span | None) -> Item:
    return item if span is None else item.model_copy(update={"start": span.start, "end": span.end})


def _spelt(name: str) -> str:
    return name.partition(": ")[2].replace(" ", "-")


def _reread(ground: Ground, items: Sequence[Item], rule: RegionRule) -> Features:
    return ground.features(items, rule, f"{rule.position}-{rule.pooling}")


def _held(ground: Ground, pool: Pool, items: Sequence[Item], kept: Sequence[Item]) -> Study:
    """Another filter's items; entities that the run does not have are spread in the same proportion."""
    mine = {item.question for item in items}
    names = groups([*items, *kept], ground.questions)
    out = {name for name, item in zip(names, items, strict=False) if item.question in pool.held}
    known = set(names[: len(items)])
    draw = np.random.default_rng(ground.plan.seed)
    share = len(pool.held) / max(len(mine), 1)
    out |= {name for name in np.unique(names[len(items) :]) if name not in known and draw.random() < share}
    held = frozenset(item.question for item, name in zip(kept, names[len(items) :], strict=True) if name in out)
    return replace(pool, held=held).study(ground, kept)


def _made(
    name: str, count: int, studied: Callable[[], Study], training: Training, ground: Ground, positive: set[int]
) -> Variation:
    between(ground.watch)
    ground.say(f"trying it otherwise, {name}")
    try:
        found = studied()
        seen = found.train.seen
        fit = trained_fit(seen, training, ground.watch)
    except BadInput as error:
        return Variation(name=name, items=count, note=error.sentence)
    logits = fit.logits(found.test.seen.answer)
    chosen = set(h_neurons(fit).tolist())
    return Variation(
        name=name,
        items=count,
        positive=len(chosen),
        auroc=estimate(auroc, found.test.seen.labels, logits, found.test.seen.entities),
        within=judged_within(found.test, logits),
        overlap=jaccard(chosen, positive),
    )
