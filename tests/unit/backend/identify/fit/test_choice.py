"""Which C is taken of a path: the best, the fewest neurons near it, the paper's, a given one; and which are tried."""

from __future__ import annotations

import numpy as np
import pytest

from backend.errors import BadInput, BadSettings
from backend.identify.fit.choice import Items, Tried, choose_c, fits, train_probe, trained_fit, validate, with_grid
from backend.identify.fit.solver import h_neurons, least_c, path
from backend.statistics.intervals import estimate, standard_error
from backend.statistics.neurons import mean_overlap
from backend.statistics.scores import accuracy, auroc
from backend.types.estimate import Estimate
from backend.types.plan import Choice, Training

CS = (1.0, 2.0, 3.0, 5.0)


def tried(c: float, positive: int, auroc: float, accuracy: float = 0.5, kept: float | None = None) -> Tried:
    return Tried(c, positive, auroc, accuracy, kept)


def taken(path: list[Tried], choice: Choice, c: float | None = None, error: float = 0.0255) -> float:
    return path[choose_c(path, Training(cs=CS, choice=choice, c=c), lambda top: error, 1_000)].c


def test_the_fewest_within_a_standard_error_of_the_best_are_taken() -> None:
    # 0.875 reaches 0.90 - 0.0255, and 0.87 does not.
    path = [tried(1, 4, 0.87), tried(2, 8, 0.875), tried(3, 20, 0.89), tried(5, 60, 0.90)]
    assert taken(path, "one-se") == 2
    assert taken(path, "cross-validation") == 5
    assert taken(path, "fixed", 3.0) == 3


def test_the_standard_error_is_of_the_best_and_from_its_interval() -> None:
    told = Estimate(value=0.9, low=0.85, high=0.95, n=100, clusters=100)
    assert standard_error(told) == pytest.approx(0.0255, abs=1e-4)
    asked: list[int] = []
    path = [tried(1, 4, 0.9), tried(2, 8, 0.8), tried(3, 20, 0.89)]

    def error(top: int) -> float:
        asked.append(top)
        return 0.0

    choose_c(path, Training(cs=CS), error, 1_000)
    assert asked == [0]


@pytest.mark.parametrize("choice", ["one-se", "cross-validation", "paper"])
def test_a_c_with_more_h_neurons_than_allowed_is_taken_by_no_rule(choice: Choice) -> None:
    path = [tried(1, 2, 0.8, 0.7, 0.9), tried(2, 5, 0.86, 0.8, 0.9), tried(3, 6, 0.95, 0.9, 0.9)]
    limited = Training(cs=CS, choice=choice, most=0.5)
    assert path[choose_c(path, limited, lambda top: 0.0, 10_000)].c == 2
    assert path[choose_c(path, limited, lambda top: 0.0, 12_000)].c == 3
    with pytest.raises(BadInput, match="No C gives 0.5 per mille of H-neurons or fewer: of 2,000 neurons, 2 are"):
        choose_c(path, limited, lambda top: 0.0, 2_000)


def test_where_h_neurons_are_limited_smaller_values_of_c_are_tried_too() -> None:
    """At the smallest value of the plain grid there may be more than are allowed."""
    items = planted()
    plain, limited = with_grid(items, Training()).cs, with_grid(items, Training(most=1.0)).cs
    least = least_c(items.answer, items.labels, standardise=False)
    assert set(plain) < set(limited) and least < min(limited) < 1.2 * least
    few, many = (path(items.answer, items.labels, (min(cs),), standardise=False)[0] for cs in (limited, plain))
    assert 1 <= len(h_neurons(few)) + int((few.weights < 0).sum()) <= int((many.weights != 0).sum())


def test_a_given_c_and_a_limit_of_h_neurons_do_not_go_together() -> None:
    with pytest.raises(ValueError, match="one decides the other"):
        Training(choice="fixed", c=1.0, most=0.5)


def test_where_no_fit_has_an_h_neuron_one_is_taken_all_the_same() -> None:
    path = [tried(1, 0, 0.5), tried(2, 0, 0.7), tried(3, 0, 0.6)]
    assert taken(path, "cross-validation") == 2


def test_a_fit_without_h_neurons_is_taken_by_no_rule() -> None:
    path = [tried(1, 0, 0.95, 0.9, 1.0), tried(2, 3, 0.90, 0.8, 0.9), tried(3, 9, 0.91, 0.8, 0.8)]
    assert taken(path, "cross-validation") == 3
    assert taken(path, "one-se") == 2
    assert taken(path, "paper") == 2


def test_the_papers_criterion_adds_the_answers_that_stay_right() -> None:
    path = [tried(1, 2, 0.8, 0.70, 0.95), tried(2, 9, 0.9, 0.80, 0.80), tried(3, 40, 0.95, 0.85, 0.60)]
    assert taken(path, "paper") == 1
    nothing_left = [tried(1, 2, 0.8, 0.70, 0.0), tried(2, 9, 0.9, 0.65, 0.2)]
    assert taken(nothing_left, "paper") == 2, "where no answer stays right that counts as none"
    without = [tried(one.c, one.positive, one.auroc, one.accuracy) for one in path]
    assert taken(without, "paper") == 3, "where the model is not asked again the accuracy alone decides"


def planted(scale: float = 1.0, neurons: int = 60) -> Items:
    """120 items of 60 entities; the first four neurons are larger where the answer is wrong."""
    random = np.random.default_rng(3)
    labels = np.tile([0, 1], 60)
    features = random.normal(size=(120, neurons))
    features[:, :4] += 0.8 * labels[:, None]
    entities = np.repeat(np.arange(60), 2)
    return Items((scale * features).astype(np.float32), None, labels, entities, entities % 5)


@pytest.mark.parametrize("standardise", [False, True])
def test_the_least_c_is_where_the_first_neuron_comes_in(standardise: bool) -> None:
    items = planted(0.02)
    least = least_c(items.answer, items.labels, standardise=standardise)
    below, above = path(items.answer, items.labels, (0.98 * least, 1.05 * least), standardise=standardise)
    assert not below.weights.any()
    assert above.weights.any()


def test_the_values_of_c_follow_the_size_of_the_features_and_those_given_stay() -> None:
    small, large = (with_grid(planted(scale), Training()).cs for scale in (0.01, 1.0))
    assert len(small) == len(large) == 12
    assert np.allclose(np.array(small) / np.array(large), 100.0, rtol=0.06)
    assert np.allclose(large[-1] / large[0], 100.0, rtol=0.06)
    given = with_grid(planted(), Training(cs=CS, choice="fixed", c=2.5))
    assert given.cs == (1.0, 2.0, 2.5, 3.0, 5.0)


def test_a_neuron_that_never_varies_has_no_part_in_the_least_c() -> None:
    items = planted()
    beside = np.column_stack([items.answer, np.full(len(items.labels), 0.1, np.float32)])
    for standardise in (False, True):
        alone = least_c(items.answer, items.labels, standardise=standardise)
        assert least_c(beside, items.labels, standardise=standardise) == pytest.approx(alone)


def test_features_that_say_nothing_have_no_least_c() -> None:
    with pytest.raises(BadInput, match="No neuron tells the sides apart: .*; ask other questions"):
        least_c(np.ones((4, 3), np.float32), np.array([0, 1, 0, 1]), standardise=False)


@pytest.mark.parametrize(
    "training",
    [Training(), Training(choice="cross-validation"), Training(choice="fixed", c=2.0), Training(standardise=True)],
)
def test_probes_that_are_made_many_times_over_take_the_same_c_as_the_probe(training: Training) -> None:
    items = planted()
    whole = train_probe(items, training)
    again = trained_fit(items, training)
    assert again.c == whole.fit.c
    assert np.array_equal(again.weights, whole.fit.weights)


def test_each_item_is_scored_by_fits_that_did_not_see_its_fold() -> None:
    items, training = planted(), Training(cs=(2.0, 5.0))
    held = validate(items, training)
    sets: list[list[set[int]]] = [[], []]
    for fold in range(5):
        seen = items.folds != fold
        whole = path(items.answer[seen], items.labels[seen], training.cs, standardise=training.standardise)
        for place, one in enumerate(whole):
            assert held.logits[place, ~seen] == pytest.approx(one.logits(items.answer[~seen]))
            sets[place].append(set(np.flatnonzero(one.weights > 0).tolist()))
    assert held.stability == pytest.approx([mean_overlap(one) for one in sets])


def test_a_path_tells_of_each_c_what_cross_validation_and_the_model_say_of_it() -> None:
    items, training = planted(), Training(cs=(2.0, 5.0, 20.0), choice="paper")
    asked: list[list[int]] = []

    def kept(neurons: np.ndarray) -> Estimate:
        asked.append(neurons.tolist())
        return Estimate(value=1 - len(neurons) / 60, low=0.1, high=0.9, n=60, clusters=60)

    found = train_probe(items, training, kept)
    assert asked == [h_neurons(fit).tolist() for fit in found.fits]
    held = validate(items, training)
    sums = []
    for place, (point, fit) in enumerate(zip(found.points, found.fits, strict=True)):
        assert (point.c, point.positive, point.negative) == (
            training.cs[place],
            int((fit.weights > 0).sum()),
            int((fit.weights < 0).sum()),
        )
        assert point.auroc == estimate(auroc, items.labels, held.logits[place], items.entities)
        assert point.accuracy == estimate(accuracy, items.labels, held.logits[place], items.entities)
        assert point.stability == held.stability[place]
        assert point.train_auroc == auroc(items.labels, fit.logits(items.answer))
        assert point.kept is not None and point.kept.value == 1 - point.positive / 60
        sums.append(point.accuracy.value + point.kept.value)
    best = int(np.argmax(sums))
    assert found.fit is found.fits[best]
    assert np.array_equal(found.unseen, held.logits[best])


def test_three_against_one_needs_the_other_tokens_and_calls_them_not_wrong() -> None:
    items = planted()
    with pytest.raises(BadSettings, match="3-vs-1 needs the other tokens: only the answer's were read; choose 1-vs-1"):
        fits(items, Training(cs=(5.0,), labels="3-vs-1"))
    other = np.random.default_rng(4).normal(size=items.answer.shape).astype(np.float32)
    both = Items(items.answer, other, items.labels, items.entities, items.folds)
    (found,) = fits(both, Training(cs=(5.0,), labels="3-vs-1"))
    (expected,) = path(
        np.concatenate([items.answer, other]), np.concatenate([items.labels, 0 * items.labels]), (5.0,),
        standardise=Training().standardise,
    )  # fmt: skip
    assert np.array_equal(found.weights, expected.weights)


def test_items_that_are_taken_or_relabelled_keep_all_that_belongs_to_them() -> None:
    items = planted()
    both = Items(items.answer, items.answer + 1, items.labels, items.entities, items.folds)
    places = np.array([5, 0, 5])
    taken = both.take(places)
    under = both.relabelled(1 - both.labels)
    assert taken.other is not None and under.other is not None
    assert np.array_equal(taken.answer, both.answer[places]) and np.array_equal(taken.other, taken.answer + 1)
    assert taken.labels.tolist() == [1, 0, 1]
    assert (taken.entities.tolist(), taken.folds.tolist()) == ([2, 0, 2], [2, 0, 2])
    assert under.answer is both.answer and under.other is both.other
    assert np.array_equal(under.labels, 1 - both.labels)
    assert under.entities is both.entities and under.folds is both.folds
    assert items.take(places).other is None


def test_a_probe_of_shuffled_labels_has_h_neurons_wherever_one_of_its_fits_has() -> None:
    items = planted()
    random = np.random.default_rng(0)
    for _ in range(4):
        under = items.relabelled(random.permutation(items.labels))
        assert (trained_fit(under, Training()).weights > 0).any()
