"""A neuron's card: the logit lens is W_out through the final norm's scale and W_U, in every family."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from backend.cards import card, lens
from backend.errors import BadNeurons
from backend.models.loaded import LoadedModel
from backend.neurons import NeuronId
from backend.reference import EDGES, Usual
from backend.types import NeuronRequest
from tests.plain import Plain, largest_gap
from tests.tiny import D_MLP, FAMILIES, LAYERS

FINAL = {"gpt2": "transformer.ln_f", "gpt_neox": "gpt_neox.final_layer_norm"}
USUAL = Usual(
    tokens=100,
    mean=np.arange(LAYERS * D_MLP, dtype=np.float32).reshape(LAYERS, D_MLP),
    peak=np.ones((LAYERS, D_MLP), np.float32),
    counts=np.full((LAYERS, D_MLP, len(EDGES) - 1), 4, np.int32),
)


def naive_lens(plain: Plain, layer: int, neuron: int) -> np.ndarray:
    """[vocab] written from the norms' definitions: Gemma keeps its scale as 1 + weight, LayerNorm centres."""
    norm = plain.model.get_submodule(FINAL.get(plain.family, "model.norm"))
    scale = norm.weight.detach().numpy() + (1 if plain.family == "gemma3_text" else 0)
    direction = plain.directions(layer)[neuron]
    direction = direction / np.linalg.norm(direction)
    if plain.family in FINAL:
        direction = direction - direction.mean()
    unembedding: np.ndarray = plain.model.get_output_embeddings().weight.detach().numpy()
    return unembedding @ (scale * direction)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_lens_is_the_output_direction_through_norm_and_unembedding(
    family: str, tiny: Callable[[str], LoadedModel], untouched: Callable[[str], Plain]
) -> None:
    with torch.inference_mode():
        found = lens(tiny(family), 1, 5)
    expected = naive_lens(untouched(family), 1, 5)
    assert largest_gap(found, expected) <= 2e-5
    assert largest_gap(naive_lens(untouched(family), 1, 6), expected) > 1000 * 2e-5, "another neuron must show"


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_pushing_along_the_direction_moves_the_logits_as_the_lens_says(
    family: str, untouched: Callable[[str], Plain]
) -> None:
    """The lens predicts a real change: the derivative of the logits at a residual stream of size 1, the pull of
    the norm's own division taken out."""
    plain, random = untouched(family), torch.Generator().manual_seed(0)
    norm = plain.model.get_submodule(FINAL.get(family, "model.norm"))
    stream = torch.randn(32, generator=random, dtype=torch.float64)
    stream = stream - stream.mean() if family in FINAL else stream
    stream = stream / stream.square().mean().sqrt()
    direction = torch.from_numpy(plain.directions(2)[3].copy()).double()
    direction = direction / direction.norm()
    if family in FINAL:
        direction = direction - direction.mean()
    sideways = direction - (direction @ stream) / 32 * stream
    head = plain.model.get_output_embeddings()
    with torch.inference_mode():
        step = 1e-2
        moved = (head(norm((stream + step * sideways).float())) - head(norm(stream.float()))) / step
        pull = head(norm(stream.float()) - (0 if family not in FINAL else norm.bias)) * float(direction @ stream) / 32
    assert largest_gap(moved + pull, naive_lens(plain, 2, 3)) <= 5e-3


def test_a_card_ranks_tokens_both_ways_and_tells_what_is_usual(tiny: Callable[[str], LoadedModel]) -> None:
    model = tiny("llama")
    told = card(model, NeuronRequest(neuron=NeuronId(1, 5), top=7), USUAL, None)
    with torch.inference_mode():
        logits = lens(model, 1, 5).numpy()
    order = np.argsort(-logits)
    assert [logit.id for logit in told.promotes] == order[:7].tolist()
    assert [logit.id for logit in told.suppresses] == order[::-1][:7].tolist()
    assert largest_gap([logit.logit for logit in told.suppresses], logits[order[::-1][:7]]) == 0
    assert told.out_norm == pytest.approx(float(model.w_norms[1][5]))
    assert (told.usual_tokens, told.usual_mean, told.usual_max) == (100, D_MLP + 5, 1.0)
    assert len(told.usual_edges) == len(told.usual_counts) == len(EDGES) - 1
    assert told.cett is told.act is None


@pytest.mark.parametrize("neuron", [NeuronId(LAYERS, 0), NeuronId(0, D_MLP)])
def test_a_card_of_no_neuron_is_refused(neuron: NeuronId, tiny: Callable[[str], LoadedModel]) -> None:
    with pytest.raises(BadNeurons, match="is not in this model"):
        card(tiny("llama"), NeuronRequest(neuron=neuron), USUAL, None)
