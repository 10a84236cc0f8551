"""The logit lens is W_out through the final norm's scale and W_U, in every family, and many neurons are as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from backend.errors import BadNeurons
from backend.models.loaded import LoadedModel
from backend.neurons import NeuronId, NeuronSet
from backend.types import MAX_LENS, LensRequest
from backend.verbs.lens import lens, logits
from tests.plain import FLOAT32, Plain, relative_gap, some_ids
from tests.tiny import D_MLP, FAMILIES, LAYERS

FINAL = {"gpt2": "transformer.ln_f", "gpt_neox": "gpt_neox.final_layer_norm"}


def naive_lens(plain: Plain, layer: int, neuron: int) -> np.ndarray:
    """[vocab] written from the norms' definitions: Gemma keeps its scale as 1 + weight, LayerNorm centres."""
    norm = plain.model.get_submodule(FINAL.get(plain.family, "model.norm"))
    scale = norm.weight.detach().numpy() + (1 if plain.family == "gemma3_text" else 0)
    direction = plain.directions(layer)[neuron]
    if plain.family == "gemma3_text":
        behind = plain.model.get_submodule(f"model.layers.{layer}.post_feedforward_layernorm")
        direction = direction * (1 + behind.weight.detach().numpy())
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
        found = logits(tiny(family), (NeuronId(0, 2), NeuronId(1, 5)))[1]
    expected = naive_lens(untouched(family), 1, 5)
    assert relative_gap(found, expected) <= FLOAT32
    assert relative_gap(naive_lens(untouched(family), 1, 6), expected) > 1000 * FLOAT32, "another neuron must show"


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
    # A difference over one step is off by half the step times the curvature: that of a norm is 1 at a stream of size 1.
    assert relative_gap(moved + pull, naive_lens(plain, 2, 3)) <= step / 2


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_several_neurons_are_told_in_order_and_each_as_if_alone(
    family: str, tiny: Callable[[str], LoadedModel]
) -> None:
    names = NeuronSet.of("L1:N5", "L0:N2", "L2:N3")
    told = lens(tiny(family), LensRequest(neurons=names, top=4))
    assert tuple(one.neuron for one in told.pushed) == names.ids
    for one in told.pushed:
        (alone,) = lens(tiny(family), LensRequest(neurons=NeuronSet((one.neuron,)), top=4)).pushed
        for side in ("promotes", "suppresses"):
            here, there = getattr(one, side), getattr(alone, side)
            assert [entry.id for entry in here] == [entry.id for entry in there]
            assert relative_gap([entry.logit for entry in here], [entry.logit for entry in there]) <= FLOAT32
        raised, lowered = ([entry.logit for entry in side] for side in (one.promotes, one.suppresses))
        assert raised == sorted(raised, reverse=True) and lowered == sorted(lowered)
    assert len({one.promotes for one in told.pushed}) == 3, "different neurons push different tokens"


@pytest.mark.parametrize("neuron", [NeuronId(LAYERS, 0), NeuronId(0, D_MLP)])
def test_a_neuron_that_is_not_there_is_refused(neuron: NeuronId, tiny: Callable[[str], LoadedModel]) -> None:
    with pytest.raises(BadNeurons, match="is not in this model"):
        lens(tiny("llama"), LensRequest(neurons=NeuronSet((neuron, NeuronId(0, 0)))))


@pytest.mark.parametrize("count", [0, MAX_LENS + 1])
def test_a_look_up_of_none_or_of_too_many_is_refused(count: int) -> None:
    with pytest.raises(ValidationError, match="a look-up takes 1 to 256"):
        LensRequest(neurons=NeuronSet(tuple(NeuronId(0, index) for index in range(count))))


@pytest.mark.parametrize("form", ["llama", "gpt2", "gemma3_text", "gemma2", "falcon", "cohere"])
def test_switching_a_neuron_of_the_last_layer_moves_the_logits_as_the_lens_says(
    form: str, tiny: Callable[[str], LoadedModel]
) -> None:
    """Whatever stands between it and the vocabulary; what divisions by a size pull along averages out over texts."""
    model, last = tiny(form), LAYERS - 1
    for neuron in (3, 7):
        moved = torch.stack([pushed_by(model, last, neuron, seed) for seed in range(8)]).sum(0)
        with torch.inference_mode():
            told = logits(model, (NeuronId(last, neuron),))[0].double()
        assert torch.nn.functional.cosine_similarity(moved, told - told.mean(), dim=0) > 0.98


def pushed_by(model: LoadedModel, layer: int, neuron: int, seed: int) -> torch.Tensor:
    """How the last token's logits move when one neuron is a little more and a little less active there."""
    ids, told = some_ids(1, 9, seed=seed), []
    for step in (1e-2, -1e-2):

        def more(module: torch.nn.Module, args: Any, step: float = step) -> tuple[Any, ...]:
            z = args[0].clone()
            z[..., -1, neuron] += step
            return (z, *args[1:])

        handle = model.outs[layer].register_forward_pre_hook(more)
        with torch.inference_mode():
            told.append(model.plain(ids, use_cache=False).logits[0, -1].double())
        handle.remove()
    moved = told[0] - told[1]
    return moved - moved.mean()
