"""CETT of a probe's neurons over each answer, and the scores of random sets, kept as they are read.

Owns what is kept of an answer: of the model's other neurons only the scores of the random sets are kept, so that a
thousand answers take a few megabytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from backend.errors import BadInput, BadNeurons, BadPrompt
from backend.forward.controls import draw
from backend.identify.evaluation.baselines import simple_scores
from backend.identify.features.extract import BLOCK, read_texts, text_of_item
from backend.identify.features.regions import ItemText
from backend.layout import Layout
from backend.models.loaded import LoadedModel
from backend.neurons import NeuronId, NeuronSet
from backend.probes.scoring import Scorer
from backend.runs.pace import Pace
from backend.runs.records import read_records
from backend.types import Frozen, StageEvent
from backend.types.base import digest
from backend.types.identify import Confidence, Item, Question, RegionRule, Sampling
from backend.watch import Watch, between
from cache.journal import Journal

RANDOM_SETS = 20
AGAIN = "delete the file: the answers are read again"


class ReadItem(Frozen):
    """One answer as the probe read it: CETT of its neurons in their order, the score of each random set, and how
    confident the model was. `of`: hash of the answered question."""

    of: str
    cett: tuple[float, ...]
    random: tuple[float, ...]
    confidence: Confidence


@dataclass(frozen=True)
class Readings:
    """What was read of each item. `simple` is in the order of `backend.identify.evaluation.baselines.SIMPLE`."""

    cett: Float[np.ndarray, "item neuron"]
    random: Float[np.ndarray, "item set"]
    simple: Float[np.ndarray, "item 4"]
    why_no_sets: str


@dataclass(frozen=True)
class RandomSet:
    """As many neurons as H-neurons, in the same layers; each has the weight of the one that it replaces."""

    columns: Int[np.ndarray, " neuron"]
    weights: Float[np.ndarray, " neuron"]

    def score(self, cett: Float[np.ndarray, " neuron"]) -> float:
        """The sum of weight x CETT, from the CETT of all neurons of the model."""
        return float(cett[self.columns].astype(np.float64) @ self.weights)


def random_sets(
    h_neurons: NeuronSet, against: NeuronSet, weight_of: Mapping[NeuronId, float], layout: Layout
) -> list[RandomSet]:
    """`RANDOM_SETS` sets, none of whose neurons is one of the probe's: `h_neurons`, or `against`, whose weights are
    negative. Raises BadNeurons where a layer has too few others."""
    # `draw` goes through the sites in this order, so the i-th drawn neuron is of the i-th one's site.
    ordered = [neuron for site, indices in layout.by_site(h_neurons).items() for neuron in layout.named(site, indices)]
    weights = np.array([weight_of[neuron] for neuron in ordered])
    drawn = [draw(h_neurons, "layer", seed, layout, against) for seed in range(RANDOM_SETS)]
    return [RandomSet(layout.columns(one), weights) for one in drawn]


def is_readable(
    model: LoadedModel, item: Item, questions: Mapping[str, Question], sampling: Sampling, rule: RegionRule
) -> bool:
    """Whether the words have a token and the whole text, with the answer read anew, fits the model."""
    try:
        text_of_item(model, item, questions, sampling, rule)
    except (BadInput, BadPrompt):
        return False
    return True


@dataclass(frozen=True)
class Reader:
    """Reads answers of a model for one probe."""

    model: LoadedModel
    scorer: Scorer
    sampling: Sampling

    @cached_property
    def random_sets(self) -> tuple[list[RandomSet], str]:
        """(the sets, why there are none). None of their neurons is one of the probe's."""
        probe = self.scorer.probe
        if not probe.h_neurons:
            return [], "The probe has no H-neuron."
        weight_of = {one.neuron: one.weight for one in probe.neurons}
        try:
            return random_sets(probe.h_neurons, probe.against, weight_of, self.model.info.layout), ""
        except BadNeurons as error:
            return [], f"{error.what}: {error.why}."

    def can_read(self, item: Item, questions: Mapping[str, Question]) -> bool:
        """Whether the words have a token and the whole text, with the answer read anew, fits the model."""
        return is_readable(self.model, item, questions, self.sampling, self.scorer.probe.rule)

    def _text(self, item: Item, questions: Mapping[str, Question]) -> ItemText:
        return text_of_item(self.model, item, questions, self.sampling, self.scorer.probe.rule)

    def read(self, items: Sequence[Item], questions: Mapping[str, Question], watch: Watch) -> list[ReadItem]:
        """Each item as it is kept. Raises as `can_read` foresees, and Stopped."""
        texts = [self._text(item, questions) for item in items]
        (cett, *_), confidences = read_texts(self.model, texts, self.scorer.probe.rule, watch)
        columns = self.model.info.layout.columns(self.scorer.neurons)
        return [
            ReadItem(
                of=self.key(item, questions),
                cett=tuple(map(float, row[columns])),
                random=tuple(one.score(row) for one in self.random_sets[0]),
                confidence=confidence,
            )
            for item, row, confidence in zip(items, cett, confidences, strict=True)
        ]

    def has_all(self, record: ReadItem) -> bool:
        """Whether a kept reading has a number for each neuron and each random set; others are read again."""
        sets, _ = self.random_sets
        return len(record.cett) == len(self.scorer.neurons) and len(record.random) == len(sets)

    def key(self, item: Item, questions: Mapping[str, Question]) -> str:
        """Hash of the item, its question and the window."""
        return digest([self.scorer.probe.rule], [item, questions[item.question]])


def read(
    reader: Reader, items: Sequence[Item], questions: Mapping[str, Question], journal: Journal, watch: Watch
) -> Readings:
    """What is read of each item; those in `journal` are not read again. Raises StoreError, Stopped."""
    keys = [reader.key(item, questions) for item in items]
    with journal.writing():
        done = {record.of: record for record in read_records(journal, ReadItem, AGAIN) if reader.has_all(record)}
        missing = [item for item, key in zip(items, keys, strict=True) if key not in done]
        pace = Pace(len(items), len(items) - len(missing))
        for start in range(0, len(missing), BLOCK):
            between(watch)
            watch.emit(StageEvent(stage=pace.stage_text("reading the answers"), fraction=pace.fraction))
            fresh = reader.read(missing[start : start + BLOCK], questions, watch)
            journal.append(record.model_dump(mode="json") for record in fresh)
            done.update((record.of, record) for record in fresh)
            pace.add(len(fresh))
    records = [done[key] for key in keys]
    sets, why_no_sets = reader.random_sets
    return Readings(
        np.array([record.cett for record in records]).reshape(len(records), len(reader.scorer.neurons)),
        np.array([record.random for record in records]).reshape(len(records), len(sets)),
        simple_scores([record.confidence for record in records]),
        why_no_sets,
    )
