"""Where a neuron is: z and h as met in either tree are those that torch's own hooks meet."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest
import torch
from torch import Tensor

from backend.models.hooks import Tree, hook_count, observe, rewrite
from backend.models.loaded import LoadedModel
from tests.plain import FLOAT32, Plain, relative_gap, some_ids
from tests.tiny import FAMILIES, LAYERS

TREES: tuple[Tree, ...] = get_args(Tree)
TOLERANCE = FLOAT32

Seen = dict[int, tuple[Tensor, Tensor]]


def captured(model: LoadedModel, ids: Tensor, tree: Tree) -> Seen:
    """Layer -> (z, h) as `observe` meets them."""
    seen: Seen = {}

    def keep(layer: int, z: Tensor, h: Tensor) -> None:
        assert layer not in seen, "a layer was met twice in one forward"
        seen[layer] = (z.clone(), h.clone())

    with torch.inference_mode(), observe(model, keep, tree):
        (model.bridge if tree == "bridge" else model.plain)(ids)
    return seen


@pytest.mark.parametrize("tree", TREES)
@pytest.mark.parametrize("family", FAMILIES)
def test_z_and_h_are_input_and_output_of_the_down_projection(
    family: str, tree: Tree, tiny: Callable[[str], LoadedModel], untouched: Callable[[str], Plain]
) -> None:
    ids = some_ids(2, 24)
    expected, seen = untouched(family).captured(ids), captured(tiny(family), ids, tree)
    assert sorted(seen) == list(range(LAYERS))
    for layer, (z, h) in enumerate(expected):
        gap = max(relative_gap(seen[layer][0], z), relative_gap(seen[layer][1], h))
        assert gap <= TOLERANCE, f"layer {layer}: largest difference {gap:.1e}"


@pytest.mark.parametrize("tree", TREES)
@pytest.mark.parametrize("family", FAMILIES)
def test_neurons_times_their_directions_and_the_bias_are_the_output(
    family: str, tree: Tree, tiny: Callable[[str], LoadedModel], untouched: Callable[[str], Plain]
) -> None:
    """sum_n z_n W_out[n] + bias = h: what is captured is the whole of the MLP's output, before any norm."""
    plain = untouched(family)
    for layer, (z, h) in captured(tiny(family), some_ids(1, 16), tree).items():
        rebuilt = z.double().numpy() @ plain.directions(layer) + plain.bias(layer)
        assert relative_gap(rebuilt, h) <= TOLERANCE


@pytest.mark.parametrize("family", FAMILIES)
def test_another_layers_neurons_do_not_give_the_output(
    family: str, tiny: Callable[[str], LoadedModel], untouched: Callable[[str], Plain]
) -> None:
    """Guard of the two tests above: layers mixed up must show."""
    seen, plain = captured(tiny(family), some_ids(1, 16), "plain"), untouched(family)
    rebuilt = seen[0][0].numpy() @ plain.directions(1) + plain.bias(1)
    assert relative_gap(rebuilt, seen[1][1]) > 1000 * TOLERANCE
    assert relative_gap(seen[0][0], seen[1][0]) > 1000 * TOLERANCE


@pytest.mark.parametrize("tree", TREES)
def test_an_observer_sees_what_a_rewriter_put_there(tree: Tree, tiny: Callable[[str], LoadedModel]) -> None:
    """CETT of a row under intervention must be of the scaled activations."""
    model, seen = tiny("llama"), {}

    def keep(layer: int, z: Tensor, h: Tensor) -> None:
        seen[layer] = (z.abs().max().item(), h.abs().max().item())

    with torch.inference_mode(), rewrite(model, [1], lambda layer, z: z * 0, tree), observe(model, keep, tree):
        (model.bridge if tree == "bridge" else model.plain)(some_ids(1, 8))
    assert seen[1] == (0.0, 0.0)
    assert min(seen[0]) > 0
    assert min(seen[2]) > 0


@pytest.mark.parametrize("tree", TREES)
def test_hooks_on_one_tree_leave_the_other_alone(tree: Tree, tiny: Callable[[str], LoadedModel]) -> None:
    model, ids = tiny("llama"), some_ids(1, 8)
    other = model.plain if tree == "bridge" else model.bridge
    met: list[int] = []
    with torch.inference_mode(), observe(model, lambda layer, z, h: met.append(layer), tree):
        other(ids)
    assert met == []


@pytest.mark.parametrize("tree", TREES)
def test_every_hook_is_off_after_the_block_and_on_within_it(tree: Tree, tiny: Callable[[str], LoadedModel]) -> None:
    model = tiny("llama")
    with observe(model, lambda layer, z, h: None, tree), rewrite(model, [0, 2], lambda layer, z: z, tree):
        assert hook_count(model) >= LAYERS + 2
    assert hook_count(model) == 0


@pytest.mark.parametrize("tree", TREES)
def test_every_hook_is_off_after_a_failure_inside(tree: Tree, tiny: Callable[[str], LoadedModel]) -> None:
    """Whichever layer fails: those before and after it are freed as well."""
    model, ids = tiny("llama"), some_ids(1, 8)

    def fail(layer: int) -> None:
        if layer == 1:
            raise RuntimeError("out of memory")

    def rewriter(layer: int, z: Tensor) -> Tensor:
        fail(layer)
        return z

    run = model.bridge if tree == "bridge" else model.plain
    with pytest.raises(RuntimeError, match="out of memory"), observe(model, lambda layer, z, h: fail(layer), tree):
        run(ids)
    assert hook_count(model) == 0
    with pytest.raises(RuntimeError, match="out of memory"), rewrite(model, range(LAYERS), rewriter, tree):
        run(ids)
    assert hook_count(model) == 0


@pytest.mark.parametrize("tree", TREES)
def test_after_a_failure_the_next_forward_is_as_ever(
    tree: Tree, tiny: Callable[[str], LoadedModel], untouched: Callable[[str], Plain]
) -> None:
    model, ids = tiny("gpt2"), some_ids(1, 8)
    run = model.bridge if tree == "bridge" else model.plain

    def break_down(layer: int, z: Tensor) -> Tensor:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"), rewrite(model, [0], break_down, tree):
        run(ids)
    with torch.inference_mode():
        out = run(ids)
    logits = out if tree == "bridge" else out.logits
    assert relative_gap(logits, untouched("gpt2").logits(ids)) <= TOLERANCE
