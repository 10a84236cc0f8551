"""What stands beside the probe, on planted data: scores whose AUROC is known, and who is drawn at random."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import PredefinedSplit

from backend.identify.evaluation import baselines
from backend.identify.fit.choice import Items
from backend.layout import Layout
from backend.neurons import NeuronId, NeuronSet
from backend.statistics import intervals
from backend.statistics.scores import auroc, auroc_difference, aurocs
from backend.types.identify import Confidence

LAYOUT = Layout.dense((12, 12))
POSITIVE = NeuronSet((NeuronId(0, 1), NeuronId(0, 4), NeuronId(1, 3)))
AVOID = NeuronSet((NeuronId(0, 0), NeuronId(1, 11)))
LABELS = np.array([0, 1] * 30)


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 40)


def made(seed: int, labels: np.ndarray = LABELS, neurons: int = LAYOUT.size, effect: float = 0.0) -> Items:
    """Neurons of which each is raised by `effect` SD where an answer is wrong."""
    count = len(labels)
    features = np.random.default_rng(seed).normal(0, 1, (count, neurons)) + effect * labels[:, None]
    return Items(features.astype(np.float32), None, labels, np.arange(count), np.arange(count) % 3)


def test_simple_scores_stand_in_the_order_of_their_names() -> None:
    told = [Confidence(tokens=3, log_prob=-1.5, first_probability=0.25, entropy=2.0)]
    assert baselines.simple_scores(told).tolist() == [[3.0, -1.5, 0.25, 2.0]]
    assert baselines.simple_scores([]).shape == (0, len(baselines.SIMPLE))


def test_simple_scores_reach_the_auroc_that_counting_pairs_gives_turned_as_the_training_part_has_it() -> None:
    """Two right and two wrong test items: of their four pairs each score has as many in order as is written."""
    train, test = made(0), made(1, np.array([0, 0, 1, 1]))
    speaks = LABELS + 0.0
    flat = np.zeros_like(speaks)
    seen = np.column_stack([speaks, -speaks, flat, speaks])
    unseen = np.array(
        [
            # 3 of 4 in order; the second is turned, and then all 4 are; the third knows nothing; none of 4.
            [1.0, -1.0, 5.0, 4.0],
            [3.0, -2.0, 5.0, 3.0],
            [2.0, -3.0, 5.0, 2.0],
            [4.0, -4.0, 5.0, 1.0],
        ]
    )
    kinds = np.where(LABELS == 1, "hard", "easy"), np.array(["easy", "new", "new", "hard"])
    found = {one.name: one.auroc for one in baselines.simple_baselines(train, test, seen, unseen, kinds, kinds)}
    assert [found[name].value for name in baselines.SIMPLE] == [0.75, 1.0, 0.5, 0.0]
    assert found["kind of question"].value == 0.875, "of four pairs three are in order and one is a tie"
    assert list(found)[4:] == ["these four together", "kind of question", baselines.WORDS]
    assert all(one.n == 4 and one.low <= one.value <= one.high for one in found.values())


def test_the_prior_of_a_kind_is_its_share_of_wrong_answers_and_unknown_where_it_was_not_seen() -> None:
    relations = np.array(["a", "a", "a", "a", "b"])
    told = baselines.share_by_name(np.array([1, 0, 0, 0, 1]), relations, np.array(["b", "a", "c"]))
    assert told.tolist() == [1.0, 0.25, 0.5]


@pytest.mark.parametrize("kind", ["layer", "free"])
def test_random_sets_never_hold_a_chosen_neuron_and_are_drawn_by_the_seed(
    kind: Literal["layer", "free"], monkeypatch: pytest.MonkeyPatch
) -> None:
    train, test, own = made(0), made(1), LAYOUT.columns(POSITIVE)
    seen: list[np.ndarray] = []
    fit = baselines.refitted_logits

    def noting(train: Items, test: Items, columns: np.ndarray) -> np.ndarray:
        seen.append(columns)
        return fit(train, test, columns)

    monkeypatch.setattr(baselines, "refitted_logits", noting)
    found = baselines.random_sets(train, test, POSITIVE, AVOID, own, LAYOUT, kind, count=15, seed=2)
    drawn = [LAYOUT.neurons(columns) for columns in seen if not np.array_equal(columns, own)]
    assert len(drawn) == len(found.draws) == 15 and found.kind == kind
    layers = set()
    for one in drawn:
        assert len(set(one)) == 3 and not set(one) & (set(POSITIVE) | set(AVOID))
        layers.add(tuple(sorted(neuron.layer for neuron in one)))
    assert (layers == {(0, 0, 1)}) == (kind == "layer"), "only a free draw leaves the layers of the chosen ones"
    again = baselines.random_sets(train, test, POSITIVE, AVOID, own, LAYOUT, kind, count=15, seed=2)
    other = baselines.random_sets(train, test, POSITIVE, AVOID, own, LAYOUT, kind, count=15, seed=90)
    assert again == found and other.draws != found.draws


def test_random_sets_are_compared_with_the_chosen_ones_fitted_alike() -> None:
    """Of planted neurons alone: the chosen ones tell, the others do not."""
    own = LAYOUT.columns(POSITIVE)
    train, test = made(0), made(1)
    for items in (train, test):
        items.answer[:, own] += 1.5 * items.labels[:, None]
    found = baselines.random_sets(train, test, POSITIVE, NeuronSet(), own, LAYOUT, "layer", count=10, seed=0)
    reached = auroc(test.labels, baselines.refitted_logits(train, test, own))
    assert reached > 0.9 and abs(found.auroc.value - 0.5) < 0.1
    assert found.auroc.value == pytest.approx(np.mean(found.draws))
    assert found.better.value == pytest.approx(reached - np.mean(found.draws)) and found.better.low > 0.2


def test_all_neurons_are_fitted_as_an_l2_penalty_on_each_of_them_would() -> None:
    train, test = made(3, neurons=150, effect=0.2), made(4, neurons=150, effect=0.2)
    found = baselines.all_neurons(train, test)
    centre = train.answer.mean(0, dtype=np.float64)
    turned = (train.answer - centre) @ np.linalg.svd(train.answer - centre, full_matrices=False)[2].T
    unit = turned.std()
    plain = LogisticRegressionCV(
        Cs=np.logspace(-5, 1, 13).tolist(), cv=PredefinedSplit(train.folds), scoring="roc_auc", max_iter=2000,
        use_legacy_attributes=False, l1_ratios=(0,),
    )  # fmt: skip
    plain.fit((train.answer - centre) / unit, train.labels)
    expected = auroc(test.labels, plain.decision_function((test.answer - centre) / unit))
    assert found.value == pytest.approx(expected, abs=0.01) and found.value > 0.75
    blind = baselines.all_neurons(made(5, neurons=150), made(6, neurons=150))
    assert abs(blind.value - 0.5) < 0.2, "the twin without a signal"


def test_what_a_probe_adds_is_its_auroc_beyond_that_of_the_simple_scores() -> None:
    train, test = made(0), made(1)
    flat, speaks = np.zeros((60, 4)), LABELS * 2.0 - 1
    assert baselines.added_auroc(train, test, flat, flat, speaks, speaks).value == 0.5
    known = np.column_stack([speaks, flat[:, :3]])
    assert baselines.added_auroc(train, test, known, known, speaks, speaks).value == 0.0
    assert baselines.added_auroc(train, test, flat, flat, flat[:, 0], flat[:, 0]).value == 0.0


def test_a_difference_is_of_one_score_and_the_mean_of_the_others() -> None:
    test = made(1, np.array([0, 0, 1, 1]))
    others = np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [4.0, 0.0]])
    found = auroc_difference(test.labels, np.array([1.0, 3.0, 2.0, 4.0]), others, test.entities)
    assert found.value == 0.75 - (1.0 + 0.5) / 2
    assert aurocs(test.labels, others).tolist() == [1.0, 0.5]
