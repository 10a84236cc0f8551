"""A probe's own arithmetic: sets by rank, and the running score of an answer."""

from __future__ import annotations

import numpy as np
import pytest

from backend.neurons import NeuronSet
from backend.types import ExploreRequest
from backend.types.identify import RegionRule
from tests import fakes_probe
from tests.fakes_app import INFO, exploration

PROBE = fakes_probe.probe("shipped", INFO)


def test_the_foremost_are_the_largest_by_the_ranking_and_never_negative_ones() -> None:
    assert PROBE.top(2, "weight") == NeuronSet.of("L17:N412", "L17:N1033")
    assert PROBE.top(99, "effect") == PROBE.h_neurons
    told = {"L14:N87": 0.9, "L17:N412": 0.2}
    ranked = PROBE.model_copy(
        update={
            "neurons": tuple(one.model_copy(update={"frequency": told.get(str(one.neuron))}) for one in PROBE.neurons)
        }
    )
    assert ranked.top(2, "frequency") == NeuronSet.of("L14:N87", "L17:N412")
    assert "frequency" not in ranked.rankings and "weight" in ranked.rankings


@pytest.mark.parametrize("position", ["answer", "predicting"])
@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_the_running_score_is_the_logistic_of_the_weighted_pooled_cett(position: str, pooling: str) -> None:
    rule = RegionRule.model_validate({"position": position, "pooling": pooling})
    probe = PROBE.model_copy(update={"rule": rule})
    # In another order than the probe's, with others between.
    asked = NeuronSet.of("L0:N3", "L29:N9") | probe.all
    told = exploration(ExploreRequest(prompt="Who?", neurons=asked))
    found = probe.along(told)
    assert found is not None and len(found) == len(told.tokens) - told.answer_start
    first = told.answer_start - (position == "predicting")
    columns = {neuron: told.set_cett[:, place] for place, neuron in enumerate(asked)}
    for count in range(1, len(found) + 1):
        logit = probe.intercept
        for one in probe.neurons:
            cett = columns[one.neuron][first : first + count].astype(np.float64)
            logit += one.weight * (cett.mean() if pooling == "mean" else cett.max())
        assert found[count - 1] == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-6)


def test_there_is_no_score_without_an_answer_or_without_the_neurons_cett() -> None:
    assert PROBE.along(exploration(ExploreRequest(prompt="Who?"))) is None
    assert PROBE.along(exploration(ExploreRequest(prompt="Who?", neurons=PROBE.h_neurons))) is None
    whole = exploration(ExploreRequest(prompt="Who?", neurons=PROBE.all))
    asked = tuple(token for token in whole.tokens if token.role != "answer")
    assert PROBE.along(whole.model_copy(update={"tokens": asked})) is None
