"""Selections, on data where it is known which neurons carry over and which only seem to."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize

from backend.errors import BadInput
from backend.identify.fit.choice import Items, fits, trained_fit
from backend.identify.fit.selection import (
    HOLDS,
    About,
    Steering,
    disagreement,
    matched,
    stable_directions,
    steering,
)
from backend.identify.fit.solver import Fit, h_neurons, least_c, path
from backend.types.plan import SELECTIONS, Plan, Select, Training

RELATIONS, EACH, NEURONS = 8, 40, 60
TRUE, AGAINST, FLIPS, LONG = (0, 1), (2, 3), (4,), 6


def items(seed: int = 0) -> Items:
    """Neurons 0 and 1 are larger in wrong answers of every relation, 2 and 3 in right ones; 4 is on one side in most
    relations, far apart, and on the other in the rest; 6 is the length, which is longer in wrong answers."""
    random = np.random.default_rng(seed)
    count = RELATIONS * EACH
    relations = np.repeat(np.arange(RELATIONS), EACH)
    labels = np.tile([0, 1], count // 2)
    features = random.normal(5.0, 1.0, (count, NEURONS))
    sides = np.where(labels == 1, 1.0, -1.0)
    for neuron in TRUE:
        features[:, neuron] += 0.5 * sides
    for neuron in AGAINST:
        features[:, neuron] -= 0.5 * sides
    for neuron in FLIPS:
        features[:, neuron] += 2.0 * sides * np.where(relations < 5, 1.0, -1.0)
    lengths = 3 + (random.random(count) < 0.5 + 0.3 * sides).astype(int)
    features[:, LONG] += 3.0 * (lengths - 3)
    about = About(relations, lengths, random.uniform(0.2, 0.9, count))
    return Items(features.astype(np.float32), None, labels, np.arange(count), np.arange(count) % 4, about)


def fit_at(data: Items, select: Select, c: float) -> Fit:
    return fits(data, Training(select=select), (c,))[0]


def test_a_direction_is_stable_only_where_it_holds_in_halves_of_the_relations_too() -> None:
    data = items()
    assert data.about is not None
    direction, share = stable_directions(data.answer, data.labels, data.about.relations, data.entities)
    assert (direction[[*TRUE]] == 1).all() and (direction[[*AGAINST]] == -1).all()
    assert (share[[*TRUE, *AGAINST]] >= HOLDS).all()
    assert (direction[[*FLIPS]] == 1).all() and (share[[*FLIPS]] < HOLDS).all(), "five of eight relations are not all"
    noise = share[LONG + 1 :]
    assert (noise >= HOLDS).mean() < 0.25, "a neuron of chance seldom keeps its side"


def test_a_neuron_that_never_varies_has_no_direction() -> None:
    data = items()
    assert data.about is not None
    flat = data.answer.copy()
    flat[:, 0] = 2.0
    direction, _ = stable_directions(flat, data.labels, data.about.relations, data.entities)
    assert direction[0] == 0
    assert np.isinf(disagreement(flat, data.labels, data.about.relations)[0])


def test_one_relation_has_no_halves() -> None:
    data = items()
    direction, share = stable_directions(data.answer, data.labels, np.zeros(len(data.labels), int), data.entities)
    assert direction[TRUE[0]] == 1 and share[TRUE[0]] >= HOLDS


def test_the_stable_selection_leaves_out_what_flips_and_gives_each_neuron_its_own_side() -> None:
    data = items()
    fit = trained_fit(data, Training(select="stable", choice="cross-validation"))
    found = set(np.flatnonzero(fit.weights).tolist())
    assert not found & {*FLIPS}
    assert (fit_at(data, "l1", 0.1).weights[[*FLIPS]] > 0).all(), "the paper's takes them"
    assert (fit.weights[[*TRUE]] > 0).all() and (fit.weights[[*AGAINST]] < 0).all()
    assert data.about is not None
    direction, _ = stable_directions(data.answer, data.labels, data.about.relations, data.entities)
    assert all(np.sign(fit.weights[neuron]) == direction[neuron] for neuron in found)


def test_disagreement_is_one_where_relations_agree_and_large_where_they_do_not() -> None:
    data = items()
    assert data.about is not None
    price = disagreement(data.answer, data.labels, data.about.relations)
    assert (price >= 1 - 1e-9).all()
    assert price[[*TRUE, *AGAINST]].max() < price[[*FLIPS]].min()
    alike = np.tile(data.answer[:EACH], (3, 1))
    same = disagreement(alike, np.tile(data.labels[:EACH], 3), np.repeat([0, 1, 2], EACH))
    # The same items in each relation: the mean of three equal numbers.
    assert np.allclose(same[np.isfinite(same)], 1.0, rtol=1e-9)


def test_the_agreeing_selection_needs_a_stronger_reason_for_a_neuron_that_flips() -> None:
    data = items()
    free, priced = (fit_at(data, select, 0.1) for select in ("l1", "agreeing"))
    assert (np.abs(priced.weights[[*FLIPS]]) < np.abs(free.weights[[*FLIPS]])).all()
    assert (np.abs(priced.weights[[*TRUE]]) > 0).all()


def test_positive_weights_alone() -> None:
    data = items()
    fit = trained_fit(data, Training(select="positive", choice="cross-validation"))
    assert (fit.weights >= 0).all() and (fit.weights[[*TRUE]] > 0).all()
    assert not set(AGAINST) & set(h_neurons(fit).tolist())


def test_matched_items_are_pairs_of_one_relation_length_and_probability() -> None:
    data = items()
    about = data.about
    assert about is not None
    places = matched(data.labels, about)
    labels = data.labels[places]
    for relation, length in itertools.product(np.unique(about.relations), np.unique(about.lengths)):
        here = (about.relations[places] == relation) & (about.lengths[places] == length)
        assert (labels[here] == 1).sum() == (labels[here] == 0).sum()
    assert len(places) < len(data.labels) and len(np.unique(places)) == len(places)
    odds = np.log(about.first / (1 - about.first))
    right, wrong = (odds[places][labels == side].mean() for side in (0, 1))
    # Each pair differs by at most the caliper, so the means do.
    assert abs(right - wrong) <= 0.2 * odds.std()
    free, alike = (abs(fit_at(data, select, 0.3).weights[LONG]) for select in ("l1", "matched"))
    assert alike < free / 5, "length tells nothing where it is the same"


def test_matching_finds_the_pairs_that_are_nearest_together() -> None:
    labels = np.array([0, 0, 1, 1])
    about = About(np.zeros(4, int), np.ones(4, int), np.array([0.50, 0.9, 0.505, 0.9]))
    assert matched(labels, about).tolist() == [0, 1, 2, 3]
    far = About(np.zeros(4, int), np.ones(4, int), np.array([0.1, 0.1, 0.9, 0.9]))
    with pytest.raises(BadInput, match="No right answer is like a wrong one"):
        matched(labels, far)


@pytest.mark.parametrize("select", ["stable", "matched", "agreeing"])
def test_features_without_their_questions_are_refused_where_these_are_needed(select: Select) -> None:
    data = items()
    bare = Items(data.answer, None, data.labels, data.entities, data.folds)
    with pytest.raises(BadInput, match=f"The selection {select} needs more than features"):
        trained_fit(bare, Training(select=select))


def test_where_no_direction_holds_the_selection_says_so() -> None:
    random = np.random.default_rng(1)
    data = items()
    noise = random.normal(size=(len(data.labels), 1)).astype(np.float32)
    assert data.about is not None
    mixed = noise * np.where(data.about.relations % 2 == 0, 1.0, -1.0)[:, None].astype(np.float32)
    with pytest.raises(BadInput, match="No neuron's direction holds"):
        steering("stable", mixed, data.labels, data.entities, data.about)


@pytest.mark.parametrize("standardise", [False, True])
@pytest.mark.parametrize("sides", [False, True])
def test_prices_and_sides_solve_the_problem_that_they_state(standardise: bool, sides: bool) -> None:
    """Against a general solver on the objective itself: sum of losses times C plus price times |weight|."""
    random = np.random.default_rng(3)
    features = random.normal(2.0, [1.0, 0.5, 2.0, 1.0], (60, 4)).astype(np.float32)
    labels = (features @ [1.0, -2.0, 0.2, 0.0] + random.normal(size=60) > -1.5).astype(np.int64)
    price = np.array([1.0, 3.0, 0.5, np.inf])
    side = np.array([1.0, -1.0, -1.0, 1.0]) if sides else None
    c = 0.3
    fit = path(features, labels, [c], standardise=standardise, steering=Steering(price, side))[0]
    sd = features.std(0) if standardise else np.ones(4)
    signs = np.where(labels == 1, 1.0, -1.0)

    def objective(halves: np.ndarray) -> float:
        weights = halves[:3] - halves[3:6]
        logits = features[:, :3] @ weights + halves[6]
        return float((halves[:3] + halves[3:6]) @ (price * sd)[:3] + c * np.logaddexp(0, -signs * logits).sum())

    free = (0.0, None)
    bounds = [free if side is None or side[j] > 0 else (0.0, 0.0) for j in range(3)]
    bounds += [free if side is None or side[j] < 0 else (0.0, 0.0) for j in range(3)]
    best = minimize(objective, np.full(7, 0.01), bounds=[*bounds, (None, None)], method="L-BFGS-B",
                    options={"ftol": 1e-14, "gtol": 1e-9, "maxiter": 10_000})  # fmt: skip
    halves = np.concatenate([np.maximum(fit.weights[:3], 0), np.maximum(-fit.weights[:3], 0), [fit.intercept]])
    assert fit.weights[3] == 0, "an infinite price buys nothing"
    assert side is None or (fit.weights[:3] * side[:3] >= 0).all()
    # The solver stops at a slope of 1e-4 per item, in float32.
    assert objective(halves) <= best.fun * (1 + 1e-3)


def test_the_least_c_of_a_selection_is_where_its_first_neuron_gets_a_weight() -> None:
    data = items()
    asked = Steering(np.where(np.arange(NEURONS) < 3, 4.0, np.inf), np.ones(NEURONS))
    least = least_c(data.answer, data.labels, standardise=True, steering=asked)
    below, above = path(data.answer, data.labels, [0.98 * least, 1.05 * least], standardise=True, steering=asked)
    assert not below.weights.any() and above.weights.any() and not above.weights[3:].any()


def test_a_plan_without_a_selection_is_written_as_before() -> None:
    assert "select" not in Plan().model_dump(mode="json")["training"]
    assert Training(select="stable").model_dump(mode="json")["select"] == "stable"
    for changes in SELECTIONS.values():
        assert Training.model_validate(changes)
