"""A neuron's card: what it pushes both ways, and what is usual."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from backend.errors import BadNeurons
from backend.forward.reference import EDGES, Usual
from backend.models.loaded import LoadedModel
from backend.neurons import NeuronId
from backend.types import NeuronRequest
from backend.verbs.lens import logits
from backend.verbs.neuron import card
from tests.plain import largest_gap
from tests.tiny import D_MLP, LAYERS

USUAL = Usual(
    tokens=100,
    mean=np.arange(LAYERS * D_MLP, dtype=np.float32).reshape(LAYERS, D_MLP),
    peak=np.ones((LAYERS, D_MLP), np.float32),
    counts=np.full((LAYERS, D_MLP, len(EDGES) - 1), 4, np.int32),
)


def test_a_card_ranks_tokens_both_ways_and_tells_what_is_usual(tiny: Callable[[str], LoadedModel]) -> None:
    model = tiny("llama")
    told = card(model, NeuronRequest(neuron=NeuronId(1, 5), top=7), USUAL, None)
    with torch.inference_mode():
        moved = logits(model, (NeuronId(1, 5),))[0].numpy()
    order = np.argsort(-moved)
    assert [logit.id for logit in told.promotes] == order[:7].tolist()
    assert [logit.id for logit in told.suppresses] == order[::-1][:7].tolist()
    assert largest_gap([logit.logit for logit in told.suppresses], moved[order[::-1][:7]]) == 0
    assert told.out_norm == pytest.approx(float(model.w_norms[1][5]))
    assert (told.usual_tokens, told.usual_mean, told.usual_max) == (100, D_MLP + 5, 1.0)
    assert len(told.usual_edges) == len(told.usual_counts) == len(EDGES) - 1
    assert told.cett is told.act is None


@pytest.mark.parametrize("neuron", [NeuronId(LAYERS, 0), NeuronId(0, D_MLP)])
def test_a_card_of_no_neuron_is_refused(neuron: NeuronId, tiny: Callable[[str], LoadedModel]) -> None:
    with pytest.raises(BadNeurons, match="is not in this model"):
        card(tiny("llama"), NeuronRequest(neuron=neuron), USUAL, None)
