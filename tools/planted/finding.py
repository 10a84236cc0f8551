"""What the pipeline finds of the planted neurons: every selection in every window, with few items and with confounds.

Owns which answers are taken and what is measured. The stages are the program's own: greedy and sampled answers, the
filter, the words that answer, CETT, the fit, answers with neurons switched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import get_args

import numpy as np
from jaxtyping import Float, Int

from backend.errors import BadInput
from backend.forward.controls import draw
from backend.identify.answers.items import Answered, choose_items
from backend.identify.answers.responses import greedy_answers, sampled_answers
from backend.identify.features.extract import extract
from backend.identify.features.study import Part, split, study
from backend.identify.fit.choice import trained_fit
from backend.identify.fit.solver import h_neurons
from backend.models.loaded import LoadedModel
from backend.neurons import NeuronId, NeuronSet
from backend.runs.folder import RunFolder
from backend.statistics.intervals import estimate, mean_estimate
from backend.statistics.scores import auroc
from backend.types.estimate import Estimate
from backend.types.identify import CONSISTENCIES, Item, Position, Question, RegionRule, Sampling
from backend.types.plan import SELECTIONS, Plan, Training
from cache.journal import Journal
from tools.planted.measured import Arm, Data, FewItems, Found, FoundSet, Switched, Truth
from tools.planted.truth import AS_IT_IS, ASKED, Switch, answers, invented, posed, right
from tools.planted.world import HOUSE, RELATIONS, TOWN, WORDINGS, WORK, Person, World
from tools.telling import say

WINDOWS: tuple[Position, ...] = get_args(Position)
SAMPLING = Sampling(suffix="", max_new_tokens=8)
FILTER = CONSISTENCIES["greedy and half"]
PEOPLE = 450
"""Known people, and as many unknown ones, that are asked about by every relation; none of those of `truth`."""
EACH_SIDE = 200
"""Answers of each side that a probe is made of."""
MIX = 0.9
"""Share of the answers that are confounded, where a confound is planted."""
MIXES: dict[Data, tuple[dict[str, float], dict[str, float]]] = {
    "balanced": (dict.fromkeys(RELATIONS, 1 / 3), dict.fromkeys(RELATIONS, 1 / 3)),
    "longer": (
        {HOUSE: MIX, TOWN: (1 - MIX) / 2, WORK: (1 - MIX) / 2},
        {HOUSE: 1 - MIX, TOWN: MIX / 2, WORK: MIX / 2},
    ),
    "other kind": ({TOWN: MIX, WORK: 1 - MIX}, {TOWN: 1 - MIX, WORK: MIX}),
}
"""For each kind of data the shares of the relations among right and among wrong answers."""
SIZES, FITS = (10, 20, 50, 100), 10
FEW_WINDOWS: tuple[Position, ...] = ("answer", "predicting")
FEW_SELECTIONS = ("paper", "per-sd", "positive", "stable")
SWITCHED = (0.0, 2.0)
"""Alphas at which what was found is switched."""
TWINS = 3
NEAREST = 20
"""A norm-matched twin is drawn from so many neurons of the layer whose output weights are nearest in norm."""


@dataclass(frozen=True)
class Answers:
    """The kept answers of one model, with their questions, and which of these are held out."""

    items: list[Item]
    questions: Mapping[str, Question]
    held_out: frozenset[str]
    asked: int


@dataclass(frozen=True)
class Window:
    """The items of one window: those to fit on, and those held out."""

    name: Position
    train: Part
    test: Part


def find(model: LoadedModel, world: World, truth: Truth, work: Path) -> Found:
    """Measure everything; `work` holds what a second call need not do again."""
    kept = answered(model, world, work)
    windows = {name: window(model, kept, name, work) for name in WINDOWS}
    test = windows["answer"].test
    switching = Switching(model, world)
    sets = []
    for data in MIXES:
        for one in windows.values():
            for selection in SELECTIONS:
                say(f"{data}, window {one.name}, {selection}")
                found = found_set(model, truth, one, data, selection)
                if data == "balanced" and found.neurons:
                    found = found.model_copy(update={"switched": switching.measured(found.neurons)})
                sets.append(found)
            sets.append(above_threshold(model, truth, one, data))
    few = [
        with_few(model, truth, windows[name], selection, size)
        for name in FEW_WINDOWS
        for selection in FEW_SELECTIONS
        for size in SIZES
    ]
    wrong = sum(item.side == "wrong" for item in kept.items)
    return Found(
        seed=world.seed,
        asked=kept.asked,
        right=len(kept.items) - wrong,
        wrong=wrong,
        held_out=len(test.items),
        untouched=switching.untouched,
        sets=tuple(sets),
        few=tuple(few),
    )


def asked_about(people: Iterable[Person]) -> list[Question]:
    """Every relation of each person, the wordings in turn."""
    return [
        Question(
            id=f"{person.surname}-{relation}",
            text=WORDINGS[relation][(place + number) % 2].format(person.name),
            answers=(person.facts[relation],),
            relation=relation,
            entity=person.surname,
        )
        for place, person in enumerate(people)
        for number, relation in enumerate(RELATIONS)
    ]


def answered(model: LoadedModel, world: World, work: Path) -> Answers:
    """Ask about known and unknown people, greedily and in samples, and keep what the filter keeps."""
    known = world.people[ASKED : ASKED + PEOPLE]
    unknown = world.people[world.known + ASKED : world.known + ASKED + PEOPLE]
    questions = asked_about((*known, *unknown))
    by_id = {question.id: question for question in questions}
    say(f"asking {len(questions)} questions")
    greedy = greedy_answers(model, questions, SAMPLING, Journal(RunFolder(work).greedy))
    samples = {
        record.question: record
        for record in sampled_answers(model, questions, SAMPLING, Journal(RunFolder(work).samples))
    }
    records = [Answered(by_id[record.question], record, samples[record.question]) for record in greedy]
    items, _ = choose_items(records, FILTER, world.seed)
    _, held_out = split(items, by_id, Plan(sampling=SAMPLING, seed=world.seed))
    return Answers(items, by_id, held_out, len(questions))


def window(model: LoadedModel, kept: Answers, name: Position, work: Path) -> Window:
    """CETT of every item in one window."""
    say(f"reading {len(kept.items)} answers, window {name}")
    plan = Plan(sampling=SAMPLING, rule=RegionRule(position=name), training=Training(labels="3-vs-1"))
    features = extract(model, kept.items, kept.questions, SAMPLING, plan.rule, work / f"features-{name}")
    parts = study(kept.items, range(len(kept.items)), features, kept.questions, kept.held_out, plan)
    return Window(name, parts.train, parts.test)


def drawn(part: Part, data: Data, each_side: int, seed: int) -> Int[np.ndarray, " item"]:
    """Places of `each_side` right and as many wrong items, in the mix of relations of `data`."""
    random = np.random.default_rng(seed)
    places: list[int] = []
    for side, mix in enumerate(MIXES[data]):
        left = each_side
        for number, (relation, share) in enumerate(mix.items()):
            here = np.flatnonzero((part.seen.labels == side) & (part.relations == relation))
            count = left if number == len(mix) - 1 else round(share * each_side)
            count = min(count, left, len(here))
            left -= count
            places += random.choice(here, count, replace=False).tolist()
    return np.array(sorted(places), dtype=np.int64)


def found_set(model: LoadedModel, truth: Truth, one: Window, data: Data, selection: str) -> FoundSet:
    """The set that a selection chooses, scored on the held-out items, which have no confound."""
    items = one.train.seen.take(drawn(one.train, data, EACH_SIDE, truth.seed))
    training = Training.model_validate(SELECTIONS[selection])
    about = FoundSet(data=data, window=one.name, selection=selection, items=len(items.labels))
    try:
        fit = trained_fit(items, training)
    except BadInput as error:
        return about.model_copy(update={"note": error.what[0].lower() + error.what[1:]})
    chosen = h_neurons(fit)
    test = one.test.seen
    return about.model_copy(
        update={
            "c": fit.c,
            "negative": int((fit.weights < 0).sum()),
            "auroc": estimate(auroc, test.labels, fit.logits(test.answer), test.entities),
            "own": estimate(auroc, test.labels, fit.part(test.answer, 1), test.entities) if len(chosen) else None,
            **held_against(model, truth, chosen),
        }
    )


def held_against(model: LoadedModel, truth: Truth, columns: Int[np.ndarray, " neuron"]) -> dict[str, object]:
    """The fields of a set that compare it with the truth."""
    neurons = tuple(str(neuron) for neuron in model.info.layout.neurons(columns))
    hits = len({*neurons} & {*truth.true})
    return {
        "positive": len(neurons),
        "hits": hits,
        "precision": hits / len(neurons) if neurons else None,
        "recall": hits / len(truth.true),
        "neurons": neurons,
    }


def above_threshold(model: LoadedModel, truth: Truth, one: Window, data: Data) -> FoundSet:
    """The neurons whose mean CETT in wrong answers is above mu + 3 sigma of all the model's neurons."""
    places = drawn(one.train, data, EACH_SIDE, truth.seed)
    seen = one.train.seen.take(places)
    mean = seen.answer[seen.labels == 1].mean(0, dtype=np.float64)
    columns = np.flatnonzero(mean > mean.mean() + 3 * mean.std())
    about = FoundSet(data=data, window=one.name, selection="threshold", items=len(places))
    return about.model_copy(update=held_against(model, truth, columns))


def with_few(model: LoadedModel, truth: Truth, one: Window, selection: str, each_side: int) -> FewItems:
    """Fits on random subsets of the items to fit on, balanced."""
    say(f"{each_side} of each side, window {one.name}, {selection}")
    training = Training.model_validate(SELECTIONS[selection])
    figures: list[tuple[float, float, float]] = []
    for number in range(FITS):
        items = one.train.seen.take(drawn(one.train, "balanced", each_side, 1_000 + number))
        try:
            fit = trained_fit(items, training)
        except BadInput:
            continue
        found = FoundSet.model_validate(
            {"data": "balanced", "window": one.name, "selection": selection, "items": len(items.labels)}
            | held_against(model, truth, h_neurons(fit))
        )
        if found.precision is not None:
            area = auroc(one.test.seen.labels, fit.logits(one.test.seen.answer))
            figures.append((found.precision, found.recall, area))
    spreads = [(float(column.mean()), float(column.min()), float(column.max())) for column in np.array(figures).T]
    precision, recall, auroc_spread = spreads or (None, None, None)
    return FewItems(
        window=one.name, selection=selection, items=2 * each_side, fits=FITS, precision=precision, recall=recall,
        auroc=auroc_spread, none=FITS - len(figures),
    )  # fmt: skip


class Switching:
    """Answers with sets of neurons switched, about the people of `truth`: known ones and unknown ones."""

    def __init__(self, model: LoadedModel, world: World) -> None:
        self._model = model
        self._unknown = posed(world.people[world.known :], ASKED)
        self._known = posed(world.people[: world.known], ASKED)
        self.untouched = self._told("chosen", 1.0, [AS_IT_IS])
        self.measured = cache(self._measured)

    def _measured(self, neurons: tuple[str, ...]) -> tuple[Switched, ...]:
        """A set and its twins at each alpha."""
        chosen = NeuronSet.of(*neurons)
        sets: dict[Arm, list[NeuronSet]] = {
            "chosen": [chosen],
            "random twin": [self._random(chosen, seed) for seed in range(TWINS)],
            "norm-matched twin": [self._of_equal_norm(chosen, seed) for seed in range(TWINS)],
        }
        return tuple(
            self._told(arm, alpha, [Switch(one, alpha) for one in of_arm])
            for alpha in SWITCHED
            for arm, of_arm in sets.items()
        )

    def _told(self, arm: Arm, alpha: float, switches: Sequence[Switch]) -> Switched:
        unknown = [invented(said) for said in answers(self._model, self._unknown, switches)]
        known = [right(said, self._known) for said in answers(self._model, self._known, switches)]
        return Switched(arm=arm, alpha=alpha, sets=len(switches), invented=_share(unknown), right=_share(known))

    def _random(self, chosen: NeuronSet, seed: int) -> NeuronSet:
        return NeuronSet(tuple(draw(chosen, "layer", seed, self._model.info.layout)))

    def _of_equal_norm(self, chosen: NeuronSet, seed: int) -> NeuronSet:
        """For each neuron another one of its layer, drawn from those whose output weights are nearest in norm."""
        random = np.random.default_rng(seed)
        layout = self._model.info.layout
        twins: list[NeuronId] = []
        for layer, indices in layout.by_layer(chosen).items():
            norms = self._model.w_norms[layer].double().numpy()
            taken = set(map(int, indices))
            for index in map(int, indices):
                near = [place for place in np.argsort(np.abs(norms - norms[index])).tolist() if place not in taken]
                twin = int(random.choice(near[:NEAREST]))
                taken.add(twin)
                twins += layout.neurons(layout.columns_at(layer, [twin]))
        return NeuronSet(tuple(twins))


def _share(told: Sequence[Sequence[bool]]) -> Estimate:
    """The share of what is true over questions and sets [set question]; questions are resampled."""
    of_question: Float[np.ndarray, " question"] = np.array(told, dtype=np.float64).mean(0)
    return mean_estimate(of_question, np.arange(len(of_question)))
