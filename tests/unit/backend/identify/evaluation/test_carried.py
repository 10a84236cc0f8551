"""H-neurons on questions left out of the fit: those that carry over, those that turn round, and what is kept apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backend.errors import Stopped
from backend.identify.evaluation import carried
from backend.identify.evaluation.carried import carried_over, parts_of
from backend.identify.fit.choice import Items, fits
from backend.identify.fit.solver import Fit
from backend.types.plan import Training
from backend.watch import Silent

RELATIONS, EACH = 4, 40
TRAINING = Training()
C = 1.0


def items(seed: int, signs: list[list[float]], entities: np.ndarray | None = None) -> Items:
    """Forty answers of each relation, half of them wrong. `signs`: how much more CETT a wrong answer has, [relation
    neuron]; ten more neurons have only noise."""
    random = np.random.default_rng(seed)
    labels = np.tile([0, 1], RELATIONS * EACH // 2)
    shift = np.repeat(np.array(signs), EACH, axis=0) * labels[:, None]
    answer = random.normal(size=(len(labels), shift.shape[1] + 10)).astype(np.float32)
    answer[:, : shift.shape[1]] += shift
    everyone = np.arange(len(labels)) if entities is None else entities
    return Items(answer, None, labels, everyone, np.zeros(len(labels), dtype=np.int64))


def relations() -> np.ndarray:
    return np.repeat(np.arange(RELATIONS), EACH)


def test_a_neuron_that_holds_everywhere_carries_over() -> None:
    seen = items(0, [[3.0]] * RELATIONS)
    told = carried_over(seen, seen, (relations(), relations()), TRAINING, C)
    assert told is not None and told.low > 0.9 and told.n == RELATIONS * EACH


def test_a_neuron_that_turns_round_in_each_relation_is_seen_to() -> None:
    """In each left-out relation its wrong answers have less: fitted on the others together it has a positive weight
    there and points the wrong way here."""
    seen = items(1, [[3.0], [3.0], [3.0], [-3.0]])
    told = carried_over(seen, seen, (relations(), relations()), TRAINING, C)
    of_last = carried_over(
        seen, seen.take(np.flatnonzero(relations() == 3)), (relations(), np.full(EACH, 3)), TRAINING, C
    )
    assert of_last is not None and of_last.value < 0.2
    assert told is not None and of_last.value < told.value < 0.9


def test_only_answers_of_one_group_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each group the scores are in another unit, and all the wrong answers score above the right ones there."""
    seen = items(2, [[8.0]] * RELATIONS)
    made: list[Fit] = []

    def in_another_unit(*arguments: Any) -> list[Fit]:
        made.append(fits(*arguments)[0])
        return [Fit(C, made[-1].weights * 100.0 ** len(made), 0.0)]

    monkeypatch.setattr(carried, "fits", in_another_unit)
    told = carried_over(seen, seen, (relations(), relations()), TRAINING, C)
    assert len(made) == RELATIONS and told is not None and told.value > 0.99


def test_an_entity_that_is_asked_about_is_in_no_fit_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    entities = np.arange(RELATIONS * EACH) % 60
    seen = items(3, [[3.0]] * RELATIONS, entities)
    fitted: list[Items] = []

    def noted(part: Items, *rest: Any) -> list[Fit]:
        fitted.append(part)
        return fits(part, *rest)

    monkeypatch.setattr(carried, "fits", noted)
    carried_over(seen, seen, (relations(), relations()), TRAINING, C)
    for relation, part in enumerate(fitted):
        assert not {*part.entities} & {*entities[relations() == relation]}
        assert len(part.labels), "something is left to fit on"


def test_of_one_group_alone_nothing_can_be_left_out() -> None:
    seen = items(4, [[3.0]] * RELATIONS)
    one = np.zeros(RELATIONS * EACH, dtype=np.int64)
    assert carried_over(seen, seen, (one, one), TRAINING, C) is None


def test_a_group_for_which_nothing_can_be_fitted_counts_as_a_half() -> None:
    """All answers of the other relations are wrong, or the selection finds no neuron in them."""
    seen = items(6, [[3.0]] * RELATIONS)
    labels = np.where(relations() == 0, seen.labels, 1)
    one_sided = seen.relabelled(labels)
    told = carried_over(one_sided, one_sided, (relations(), relations()), TRAINING, C)
    assert told is not None and told.value == 0.5
    assert carried.fit_without(one_sided, np.flatnonzero(relations() > 0), TRAINING, C) is None


def test_it_stops_between_two_fits() -> None:
    class Stop(Silent):
        def stopped(self) -> bool:
            return True

    seen = items(5, [[3.0]] * RELATIONS)
    with pytest.raises(Stopped):
        carried_over(seen, seen, (relations(), relations()), TRAINING, C, Stop())


@pytest.mark.parametrize(("parts", "groups"), [(10, 5), (3, 3), (1, 1)])
def test_groups_are_of_whole_names(parts: int, groups: int) -> None:
    names = np.array(["a"] * 9 + ["b"] * 5 + ["c"] * 4 + ["d"] * 3 + ["e"] * 2)
    numbers = parts_of(names, parts)
    assert len(np.unique(numbers)) == groups
    assert all(len(np.unique(numbers[names == name])) == 1 for name in "abcde")
