"""Scaling neurons is scaling rows of W_out, acts exactly where it was told to, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from backend.errors import BadNeurons, InterventionUnused
from backend.forward.interventions import LayerScale, Scaling, joined_scales, layer_plans, scaled
from backend.forward.row import plan_alphas, prove
from backend.forward.rows.generation import decode
from backend.models.hooks import Observer, Tree, hook_count, observe
from backend.models.loaded import LoadedModel
from backend.neurons import NeuronId, NeuronSet
from backend.types import Decoding, Positions, RowPlan, Touched
from tests.plain import FLOAT32, Plain, naive_cett, relative_gap, some_ids
from tests.tiny import D_MLP, FAMILIES, LAYERS

TREES: tuple[Tree, ...] = ("plain", "bridge")
TOLERANCE = FLOAT32
CHOSEN = NeuronSet.of("L0:N3", "L0:N40", "L1:N7", "L2:N0", "L2:N47")
IDS = some_ids(1, 20, seed=11)


def row(alpha: float | None, neurons: NeuronSet = CHOSEN, alphas: tuple[float, ...] = ()) -> RowPlan:
    return RowPlan(arm="chosen" if alpha is not None else "own", alpha=alpha, neurons=neurons, alphas=alphas)


def logits(model: LoadedModel, plans: list[RowPlan], tree: Tree, ids: Tensor = IDS) -> Tensor:
    """[row pos vocab] of `ids` read once in every row of `plans`."""
    with torch.inference_mode(), scaled(model, plans, tree=tree):
        batch = ids.expand(len(plans), -1)
        found: Tensor = model.bridge(batch) if tree == "bridge" else model.plain(batch).logits
    return found


@pytest.mark.parametrize("alpha", [0.0, 2.5])
@pytest.mark.parametrize("family", FAMILIES)
def test_scaling_neurons_is_scaling_their_rows_of_the_output_weight(
    family: str,
    alpha: float,
    tiny: Callable[[str], LoadedModel],
    untouched: Callable[[str], Plain],
    editable: Callable[[str], Plain],
) -> None:
    """Alpha 0 is ablation: the model with those rows zeroed. The edited model knows nothing of hooks."""
    edited = editable(family)
    for neuron in CHOSEN:
        edited.scale(neuron.layer, neuron.index, alpha)
    expected = edited.logits(IDS)
    for tree in TREES:
        gap = relative_gap(logits(tiny(family), [row(alpha)], tree), expected)
        assert gap <= TOLERANCE, f"{tree}: largest difference {gap:.1e}"
    assert relative_gap(untouched(family).logits(IDS), expected) > 100 * TOLERANCE, "the edit itself must show"


@pytest.mark.parametrize("tree", TREES)
@pytest.mark.parametrize("family", FAMILIES)
def test_alpha_one_is_bit_identical_to_no_hook_and_one_half_is_not(
    family: str, tree: Tree, tiny: Callable[[str], LoadedModel]
) -> None:
    model = tiny(family)
    with torch.inference_mode():
        bare = model.bridge(IDS) if tree == "bridge" else model.plain(IDS).logits
    assert torch.equal(logits(model, [row(1.0)], tree), bare)
    assert relative_gap(logits(model, [row(0.5)], tree), bare) > 100 * TOLERANCE


@pytest.mark.parametrize("tree", TREES)
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_every_row_of_a_batch_has_its_own_scales(
    family: str, tree: Tree, tiny: Callable[[str], LoadedModel], editable: Callable[[str], Plain]
) -> None:
    """Baseline, two alphas, own alphas and other neurons at once: each as if it were alone."""
    other = NeuronSet.of("L0:N3", "L1:N8")
    plans = [row(1.0, NeuronSet()), row(0.0), row(3.0), row(None, other, (0.25, 2.0)), row(0.0, other)]
    found = logits(tiny(family), plans, tree)
    for place, plan in enumerate(plans):
        edited = editable(family)
        for neuron, alpha in zip(plan.neurons, plan_alphas(plan), strict=True):
            edited.scale(neuron.layer, neuron.index, alpha)
        gap = relative_gap(found[place], edited.logits(IDS)[0])
        assert gap <= TOLERANCE, f"row {place}: largest difference {gap:.1e}"
    assert relative_gap(found[3], found[4]) > 100 * TOLERANCE


@pytest.mark.parametrize("alpha", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("tree", TREES)
@pytest.mark.parametrize("family", FAMILIES)
def test_cett_under_alpha_is_what_the_activations_before_it_predict(
    family: str, tree: Tree, alpha: float, tiny: Callable[[str], LoadedModel], untouched: Callable[[str], Plain]
) -> None:
    """In the layer itself: CETT_j(alpha) = alpha ||h_j|| / ||h + (alpha - 1) sum_S h_k||."""
    model, plain, layer = tiny(family), untouched(family), 1
    chosen = [2, 7, 30]
    z, h = (value[0] for value in plain.captured(IDS)[layer])
    directions = plain.directions(layer)
    parts = z[:, chosen, None] * directions[chosen]
    changed = h + (alpha - 1) * parts.sum(1)
    expected = alpha * np.linalg.norm(parts, axis=-1) / np.linalg.norm(changed, axis=-1, keepdims=True)

    seen: dict[int, tuple[Tensor, Tensor]] = {}
    neurons = NeuronSet(tuple(NeuronId(layer, index) for index in chosen))

    def keep(at: int, z: Tensor, h: Tensor) -> None:
        seen[at] = (z[0], h[0])

    with torch.inference_mode(), scaled(model, [row(alpha, neurons)], tree=tree), observe(model, keep, tree):
        (model.bridge if tree == "bridge" else model.plain)(IDS)
    new_z, new_h = (value.numpy() for value in seen[layer])
    assert relative_gap(new_h, changed) <= TOLERANCE
    assert relative_gap(naive_cett(new_z, directions, new_h)[:, chosen], expected) <= TOLERANCE
    if alpha != 1 and alpha != 0:
        linear = alpha * naive_cett(z, directions, h)[:, chosen]
        assert relative_gap(linear, expected) > 100 * TOLERANCE, "the linear approximation must be told apart"


def first_layer(seen: list[Tensor]) -> Observer:
    """An observer that collects layer 0's z [row pos neuron] of each forward."""

    def keep(layer: int, z: Tensor, h: Tensor) -> None:
        if layer == 0:
            seen.append(z.clone())

    return keep


REACHED: dict[Positions, Callable[[int, int], tuple[int, ...]]] = {
    "all": lambda prompt, whole: tuple(range(whole)),
    "prompt": lambda prompt, whole: tuple(range(prompt)),
    "answer": lambda prompt, whole: tuple(range(prompt, whole)),
}


@pytest.mark.parametrize("positions", ["all", "prompt", "answer"])
@pytest.mark.parametrize("family", FAMILIES)
def test_only_the_positions_asked_for_are_touched(
    family: str, positions: Positions, tiny: Callable[[str], LoadedModel], untouched: Callable[[str], Plain]
) -> None:
    """Layer 0's activations hang on the tokens alone: what an untouched model has there, times 2 where touched."""
    model, neurons = tiny(family), NeuronSet.of("L0:N5", "L0:N9")
    seen: list[Tensor] = []
    prompt = IDS[0].tolist()
    plan = row(2.0, neurons)
    with observe(model, first_layer(seen)):
        (answer,) = decode(
            model, [prompt], Decoding(max_new_tokens=6), plans=[plan], positions=positions, ignore_ends=True
        )
    read = prompt + answer.ids[:-1]
    before = untouched(family).captured([read])[0][0][0]
    after = torch.cat(seen, dim=1)[0].numpy()
    reached = REACHED[positions](len(prompt), len(read))
    factors = np.ones((len(read), before.shape[1]))
    factors[np.ix_(reached, (5, 9))] = 2.0
    assert relative_gap(after, before * factors) <= TOLERANCE
    touched = answer.touched
    assert (touched.neurons, touched.tokens) == (2, len(reached))
    assert touched.changed == int((before[list(reached)][:, (5, 9)] != 0).sum())


def test_touched_counts_every_row_for_itself_padding_left_out(tiny: Callable[[str], LoadedModel]) -> None:
    """Proof that hooks acted must not count positions that no text has."""
    model, chosen = tiny("llama"), NeuronSet.of("L1:N1", "L2:N2")
    plans = [row(1.0, NeuronSet()), row(0.0, chosen), row(1.0, chosen), row(0.5, chosen)]
    prompts = [some_ids(1, length)[0].tolist() for length in (9, 4, 6, 9)]
    found = decode(model, prompts, Decoding(max_new_tokens=3), plans=plans, ignore_ends=True)
    told = [answer.touched for answer in found]
    assert [t.tokens for t in told] == [0, 6, 8, 11]
    assert [t.neurons for t in told] == [0, 2, 2, 2]
    assert [t.changed for t in told] == [0, 12, 0, 22]


def test_padding_is_not_scaled(tiny: Callable[[str], LoadedModel]) -> None:
    """A padded position's activations stay as the model made them: alpha 3 there could blow up a layer."""
    model, seen = tiny("llama"), list[Tensor]()
    prompts = [some_ids(1, 9)[0].tolist(), some_ids(1, 4)[0].tolist()]
    for alpha in (1.0, 3.0):
        plans = [row(alpha, NeuronSet.of("L0:N5"))] * 2
        with observe(model, first_layer(seen)):
            decode(model, prompts, Decoding(max_new_tokens=1), plans=plans)
    ratio = (seen[1] / seen[0])[:, :, 5]
    assert torch.equal(ratio[1, :5], torch.ones(5))
    assert torch.allclose(ratio[1, 5:], torch.full((4,), 3.0))
    assert torch.allclose(ratio[0], torch.full((9,), 3.0))


def test_counts_stay_whole_numbers_however_large(tiny: Callable[[str], LoadedModel]) -> None:
    """float32 would lose single activations beyond 16.7 million."""
    model = tiny("llama")
    with torch.inference_mode(), scaled(model, [row(0.0)]) as live:
        model.plain(IDS)
        assert not any(counts.is_floating_point() for counts in live.scaling.changed.values())


def test_a_row_that_was_to_change_and_did_not_is_an_error(tiny: Callable[[str], LoadedModel]) -> None:
    """Nothing may be shown as the answer of an intervention that never acted."""
    model = tiny("llama")
    plans = [row(1.0, NeuronSet()), row(0.0)]
    with scaled(model, plans) as live:
        with pytest.raises(InterventionUnused, match="5 neurons touched nothing: .* no position was reached"):
            prove(plans, [live.touched(place) for place in range(2)], "answer")
        with torch.inference_mode():
            model.plain(IDS.expand(2, -1))
        told = [live.touched(place) for place in range(2)]
        prove(plans, told, "answer")
        assert told[1] == Touched(neurons=5, tokens=IDS.shape[1], changed=5 * IDS.shape[1])
        assert told[0] == Touched(neurons=0, tokens=0, changed=0)


@pytest.mark.parametrize("first", [1, 64, 100])
@pytest.mark.parametrize("positions", [1, 3])
def test_changes_are_counted_for_every_row_however_many_come_later(first: int, positions: int) -> None:
    """Places to count in are made for the rows that are there, and more of them when more rows come."""
    scaling, z = Scaling(), torch.ones(2, positions, 4)

    def scale(row: int, neuron: int, slot: int) -> LayerScale:
        parts = [torch.tensor([value]) for value in (row, neuron, slot, row * 4 + neuron)]
        return LayerScale(parts[0], parts[1], torch.tensor([0.5]), parts[2], parts[3])

    for expected in range(first):
        assert scaling.slot() == expected
    scaling.layers = {0: scale(1, 2, first - 1)}
    found = scaling.apply(0, z)
    assert (found[1, :, 2] == 0.5).all() and int((found != 1).sum()) == positions
    for expected in range(first, 300):
        assert scaling.slot() == expected
    scaling.layers = {0: scale(0, 3, 299)}
    scaling.apply(0, z)
    scaling.apply(0, z)
    assert [scaling.count(slot) for slot in (0, first - 1, first, 299)] == [
        positions if first == 1 else 0, positions, 0, 2 * positions
    ]  # fmt: skip


def test_neurons_whose_activation_is_exactly_zero_are_no_intervention(
    tiny: Callable[[str], LoadedModel],
) -> None:
    model = tiny("llama")
    plans = [row(0.0, NeuronSet.of("L1:N4"))]
    with torch.inference_mode(), scaled(model, plans) as live:
        live.apply(1, torch.zeros(1, 3, 48))
    with pytest.raises(InterventionUnused, match="positions 'all' every activation there was exactly 0;"):
        prove(plans, [live.touched(0)], "all")


@pytest.mark.parametrize("tree", TREES)
@pytest.mark.parametrize("bad", ["L3:N0", "L0:N48", "L0:E1:N0"])
def test_an_unknown_neuron_is_refused_before_any_hook_is_put_on(
    bad: str, tree: Tree, tiny: Callable[[str], LoadedModel]
) -> None:
    model = tiny("llama")
    with (
        pytest.raises(BadNeurons, match="is not in this model"),
        scaled(model, [row(0.0, NeuronSet.of(bad))], tree=tree),
    ):
        pytest.fail("the block must not be entered")
    assert hook_count(model) == 0


@pytest.mark.parametrize("tree", TREES)
def test_hooks_are_off_and_weights_as_before_whatever_happens_inside(
    tree: Tree, tiny: Callable[[str], LoadedModel]
) -> None:
    """In-place edits would add up from run to run."""
    model = tiny("gpt2")
    before = {name: value.clone() for name, value in model.plain.state_dict().items()}
    for failure in (None, KeyboardInterrupt, RuntimeError):
        try:
            with torch.inference_mode(), scaled(model, [row(0.0)], tree=tree):
                assert hook_count(model) >= LAYERS
                (model.bridge if tree == "bridge" else model.plain)(IDS)
                if failure:
                    raise failure
        except (KeyboardInterrupt, RuntimeError):
            assert failure is not None
        assert hook_count(model) == 0
    after = model.plain.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_a_scale_names_each_rows_own_neurons_and_nothing_else(tiny: Callable[[str], LoadedModel]) -> None:
    model = tiny("llama")
    first, second = NeuronSet.of("L1:N9", "L1:N2"), NeuronSet.of("L1:N5", "L1:N2")
    plans = [row(0.5, first), row(None, second, (0.25, 3.0))]
    scales = joined_scales(model, [(2, 7, layer_plans(model, plans[0])), (0, 8, layer_plans(model, plans[1]))])
    assert list(scales) == [1]
    told = scales[1]
    assert told.rows.tolist() == [2, 2, 0, 0]
    assert told.neurons.tolist() == [2, 9, 2, 5]
    assert told.alphas.tolist() == [0.5, 0.5, 0.25, 3.0]
    assert told.slots.tolist() == [7, 7, 8, 8]
    assert told.flat.tolist() == [2 * D_MLP + 2, 2 * D_MLP + 9, 2, 5]
