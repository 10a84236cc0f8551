"""A probe's own arithmetic: sets by rank, and the running score of an answer."""

from __future__ import annotations

from backend.neurons import NeuronSet
from tests import fakes_probe
from tests.fakes_app import INFO

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
