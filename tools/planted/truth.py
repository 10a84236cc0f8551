"""What each planted neuron does, measured by this program itself: the truth that a selection is held against.

Owns the measure. People that nobody is taught are asked about; an answer is invented unless the model says that it does
not know. Every subset of the planted neurons is switched off, so that the part of each is known (Shapley 1953).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import factorial

import numpy as np
from jaxtyping import Float

from backend.forward.controls import BASELINE
from backend.forward.prompting import encode
from backend.forward.rows.generation import decode
from backend.layout import Layout
from backend.models.loaded import LoadedModel
from backend.neurons import NeuronId, NeuronSet
from backend.statistics.intervals import mean_estimate
from backend.types import Asked, Decoding, RowPlan
from backend.types.estimate import Estimate
from tools.planted.form import NEURONS
from tools.planted.measured import PlantedNeuron, Truth
from tools.planted.planting import EACH, LAYERS
from tools.planted.world import ABSTAIN, RELATIONS, WORDINGS, Person, World

ASKED = 300
"""Questions about as many people that are unknown, and about as many that are known."""
LEAST = 0.05
"""A planted neuron counts as an H-neuron if it adds so much to the share of invented answers."""
ALPHAS = (0.5, 2.0)
LONGEST = Decoding(max_new_tokens=8)
"""No answer of the world has more tokens."""


@dataclass(frozen=True)
class Posed:
    """A question about a person."""

    text: str
    person: Person
    relation: str


@dataclass(frozen=True)
class Switch:
    """Neurons at an alpha; none for the model as it is."""

    neurons: NeuronSet
    alpha: float = 0.0

    @property
    def plan(self) -> RowPlan:
        """The plan of its rows."""
        if not self.neurons:
            return BASELINE
        return RowPlan(arm="chosen", alpha=self.alpha, neurons=self.neurons)


AS_IT_IS = Switch(NeuronSet())


def posed(people: Sequence[Person], count: int) -> list[Posed]:
    """A question about each of the first `count` of these people, relations and wordings in turn."""
    asked = []
    for place, person in enumerate(people[:count]):
        relation = RELATIONS[place % len(RELATIONS)]
        wording = WORDINGS[relation][place // len(RELATIONS) % 2]
        asked.append(Posed(wording.format(person.name), person, relation))
    return asked


def answers(model: LoadedModel, questions: Sequence[Posed], switches: Sequence[Switch]) -> list[list[str]]:
    """For each switch the greedy answer to each question; all are rows of one call."""
    prompts = [encode(model, Asked(prompt=question.text)).ids for question in questions]
    plans = [switch.plan for switch in switches for _ in questions]
    rows = decode(model, prompts * len(switches), LONGEST, plans=plans, lean=True)
    said = [row.text.strip() for row in rows]
    return [said[start : start + len(questions)] for start in range(0, len(said), len(questions))]


def invented(said: Sequence[str]) -> list[bool]:
    """Which answers about unknown people are invented."""
    return [answer != ABSTAIN for answer in said]


def right(said: Sequence[str], questions: Sequence[Posed]) -> list[bool]:
    """Which answers about known people are right."""
    return [
        answer == question.person.facts[question.relation] for answer, question in zip(said, questions, strict=True)
    ]


def measure(model: LoadedModel, world: World) -> Truth:
    """Ask about people that are known and that are not, under every switch."""
    planted = planted_neurons(model.info.layout)
    every = NeuronSet(tuple(planted))
    unknown = posed(world.people[world.known :], ASKED)
    known = posed(world.people[: world.known], ASKED)
    count = len(planted)
    subsets = [on for size in range(count + 1) for on in combinations(range(count), size)]
    said = answers(model, unknown, [_only(planted, on) for on in subsets])
    told = {on: np.array(invented(row), dtype=np.float64) for on, row in zip(subsets, said, strict=True)}
    scaled = answers(model, unknown, [Switch(every, alpha) for alpha in ALPHAS])
    about_known = [right(row, known) for row in answers(model, known, [AS_IT_IS, Switch(every)])]
    parts = [share(part_of(number, told)) for number in range(count)]
    whole = subsets[-1]
    return Truth(
        seed=world.seed,
        asked=ASKED,
        neurons_in_all=model.info.layout.size,
        invented=share(told[whole]),
        invented_off=share(told[()]),
        right=share(about_known[0]),
        right_off=share(about_known[1]),
        invented_at={f"{alpha:g}": share(invented(row)) for alpha, row in zip(ALPHAS, scaled, strict=True)},
        neurons=tuple(
            PlantedNeuron(
                neuron=str(neuron),
                part=parts[number],
                off_alone=share(told[tuple(other for other in whole if other != number)]),
                on_alone=share(told[(number,)]),
                is_true=parts[number].value >= LEAST,
            )
            for number, neuron in enumerate(planted)
        ),
    )


def _only(planted: Sequence[NeuronId], on: Sequence[int]) -> Switch:
    """Every planted neuron off except those of these numbers."""
    return Switch(NeuronSet(tuple(neuron for number, neuron in enumerate(planted) if number not in on)))


def part_of(
    number: int, told: Mapping[tuple[int, ...], Float[np.ndarray, " question"]]
) -> Float[np.ndarray, " question"]:
    """The Shapley value of one neuron, for each question; `told` has what is said with each subset on."""
    count = max(map(len, told))
    part = np.zeros(len(told[()]))
    for others, value in told.items():
        if number not in others:
            orders = factorial(len(others)) * factorial(count - len(others) - 1) / factorial(count)
            part += orders * (told[tuple(sorted((*others, number)))] - value)
    return part


def planted_neurons(layout: Layout) -> list[NeuronId]:
    """All planted neurons."""
    places = range(NEURONS, NEURONS + EACH)
    return [neuron for layer in LAYERS for neuron in layout.neurons(layout.columns_at(layer, list(places)))]


def share(told: Sequence[bool] | Float[np.ndarray, " question"]) -> Estimate:
    """The mean over questions, with its interval; each question is an entity of its own."""
    return mean_estimate(np.array(told, dtype=np.float64), np.arange(len(told)))
