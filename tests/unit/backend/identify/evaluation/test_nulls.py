"""Probes made many times over: labels exchanged within a relation, entities drawn again, nothing done twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.errors import StoreError
from backend.identify.evaluation.nulls import null_distribution, selection_frequencies
from backend.identify.fit.choice import Items, trained_fit
from backend.statistics.permutation import shuffle_within_strata
from backend.types.plan import Training
from cache.journal import Journal

TRAINING = Training(folds=2)


def planted(seed: int, count: int = 80, neurons: int = 30) -> Items:
    """Neuron 0 is larger where the answer is wrong; two items an entity, one of each side."""
    random = np.random.default_rng(seed)
    labels = np.tile([0, 1], count // 2)
    features = random.normal(size=(count, neurons)).astype(np.float32)
    features[:, 0] += 2.0 * labels
    entities = np.repeat(np.arange(count // 2), 2)
    return Items(features, None, labels, entities, entities % 2)


def test_labels_are_exchanged_within_their_relation_alone() -> None:
    labels, strata = np.array([0, 0, 1, 1, 1, 1]), np.array([0, 0, 1, 1, 2, 2])
    for seed in range(5):
        assert shuffle_within_strata(labels, strata, np.random.default_rng(seed)).tolist() == labels.tolist(), (
            "each is of one side"
        )
    mixed = shuffle_within_strata(np.tile([0, 1], 20), np.zeros(40, int), np.random.default_rng(0))
    assert mixed.sum() == 20 and mixed.tolist() != [0, 1] * 20


def test_luck_finds_less_than_the_probe_and_each_fit_is_kept(tmp_path: Path) -> None:
    train, test = planted(0), planted(1)
    strata = np.zeros(len(train.labels), dtype=int)
    journal = Journal(tmp_path / "null.jsonl")
    told = null_distribution(train, test, strata, TRAINING, value=0.99, count=4, seed=0, journal=journal)
    assert told is not None and len(told.aurocs) == len(told.neurons) == len(journal.read()) == 4
    assert told.p == pytest.approx(1 / 5), "no shuffled fit reaches the probe, which itself is counted in"
    assert max(told.aurocs) < 0.99
    fit = trained_fit(
        train.relabelled(shuffle_within_strata(train.labels, strata, np.random.default_rng((0, 2)))), TRAINING
    )
    assert told.neurons[2] == int((fit.weights > 0).sum()), "a fit is the probe's own way, C chosen anew"
    again = null_distribution(train, test, strata, TRAINING, value=0.99, count=4, seed=0, journal=journal)
    assert again == told and len(journal.read()) == 4


def test_the_planted_neuron_is_chosen_nearly_every_time_and_none_is_counted_that_was_not_drawn(tmp_path: Path) -> None:
    train = planted(0)
    c = trained_fit(train, TRAINING).c
    found = selection_frequencies(train, TRAINING, c, 10, 0, Journal(tmp_path / "bootstrap.jsonl"))
    assert found[0, 0] >= 0.9 and found[1, 0] == 0.0
    assert found[0, 1:].mean() < 0.5
    assert np.isnan(selection_frequencies(train, TRAINING, c, 0, 0, Journal(tmp_path / "none.jsonl"))).all()


@pytest.mark.parametrize(
    ("name", "line"),
    [("null", '{"auroc": "much"}'), ("null", "{"), ("bootstrap", '{"positive": [-1], "negative": []}'),
     ("bootstrap", '{"positive": [30], "negative": []}')],
)  # fmt: skip
def test_a_fit_that_cannot_be_what_was_kept_is_refused_by_its_line(name: str, line: str, tmp_path: Path) -> None:
    train, journal = planted(0), Journal(tmp_path / f"{name}.jsonl")
    journal.path.write_text(line + "\n")
    with pytest.raises(
        StoreError, match=rf"{name}.jsonl is damaged: .*line 1.*; remove that line and all lines after it"
    ):
        if name == "null":
            null_distribution(train, planted(1), np.zeros(80, dtype=int), TRAINING, 0.9, 1, 0, journal)
        else:
            selection_frequencies(train, TRAINING, 1.0, 1, 0, journal)
