"""CETT is the paper's formula, on real activations of every family, and its summaries are plain arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from backend.errors import ZeroOutput
from backend.forward.capture import Capture, Peaks, Summaries
from backend.forward.cett import cett, count_over, population, region_means, summarise
from backend.forward.recorder import Recorder, Seen, Trace
from backend.models.hooks import Tree, observe
from backend.models.loaded import LoadedModel
from backend.types import Population, Threshold
from tests.plain import BIASED, FLOAT32, Plain, largest_gap, naive_cett, relative_gap, some_ids
from tests.tiny import D_MLP, FAMILIES, LAYERS

RELATIVE = FLOAT32


def layers_cett(model: LoadedModel, ids: Tensor, tree: Tree) -> np.ndarray:
    """[layer pos neuron] of one row, from the hooks of either tree."""
    found: list[Tensor] = []

    def keep(layer: int, z: Tensor, h: Tensor) -> None:
        found.append(cett(z, model.w_norms[layer], h)[0])

    with torch.inference_mode(), observe(model, keep, tree):
        (model.bridge if tree == "bridge" else model.plain)(ids[None])
    return torch.stack(found).numpy()


def random_values(seed: int, *shape: int) -> Tensor:
    """Heavy-tailed, like CETT."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).exp()


@pytest.mark.parametrize("tree", ["plain", "bridge"])
@pytest.mark.parametrize("family", FAMILIES)
def test_cett_is_the_papers_formula_on_hooks_of_an_untouched_model(
    family: str, tree: Tree, tiny: Callable[[str], LoadedModel], untouched: Callable[[str], Plain]
) -> None:
    ids = some_ids(1, 32, seed=3)[0]
    expected = untouched(family).cett(ids)
    found = layers_cett(tiny(family), ids, tree)
    assert found.dtype == np.float32
    assert found.shape == (LAYERS, 32, D_MLP)
    gap = largest_gap(found / expected.mean(), expected / expected.mean())
    assert gap <= RELATIVE * expected.max() / expected.mean(), f"largest difference {gap:.1e} of the mean"


@pytest.mark.parametrize("family", FAMILIES)
def test_without_the_column_norms_it_would_be_another_number(family: str, untouched: Callable[[str], Plain]) -> None:
    """Guard of the test above: a replication that leaves ||W_out[n]|| out must not pass it."""
    plain = untouched(family)
    z, h = plain.captured(some_ids(1, 32, seed=3))[0]
    right = naive_cett(z[0], plain.directions(0), h[0])
    unit = plain.directions(0) / np.linalg.norm(plain.directions(0), axis=1, keepdims=True)
    assert largest_gap(naive_cett(z[0], unit, h[0]), right) > 1000 * RELATIVE * right.max()


@pytest.mark.parametrize("family", FAMILIES)
def test_cett_times_the_outputs_norm_is_the_norm_of_the_neurons_contribution(
    family: str, tiny: Callable[[str], LoadedModel], untouched: Callable[[str], Plain]
) -> None:
    """CETT_j ||h|| = ||z_j W_j||, the contribution vector written out."""
    plain, ids = untouched(family), some_ids(1, 12)
    found = layers_cett(tiny(family), ids[0], "plain")
    for layer, (z, h) in enumerate(plain.captured(ids)):
        parts = z[0][:, :, None] * plain.directions(layer)[None]
        ours = found[layer] * np.linalg.norm(h[0], axis=-1, keepdims=True)
        assert relative_gap(ours, np.linalg.norm(parts, axis=-1)) <= RELATIVE


@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in BIASED])
def test_cett_sums_to_at_least_one_where_there_is_no_bias(family: str, tiny: Callable[[str], LoadedModel]) -> None:
    """Contributions cancel, so the sum is no share: the triangle inequality, and nothing above it."""
    sums = layers_cett(tiny(family), some_ids(1, 40)[0], "plain").sum(-1)
    assert sums.min() >= 1
    assert sums.max() > 1.5, "CETT must not be normalised into shares"


@given(seed=st.integers(0, 10_000), factor=st.floats(0.01, 100), neurons=st.integers(1, 30))
def test_scaling_activations_and_output_together_changes_no_cett(seed: int, factor: float, neurons: int) -> None:
    act, norms, out = random_values(seed, 1, 3, neurons), random_values(seed + 1, neurons), random_values(seed, 1, 3, 4)
    assert torch.allclose(cett(act * factor, norms, out * factor), cett(act, norms, out), rtol=RELATIVE)
    assert torch.equal(cett(-act, norms, out), cett(act, norms, out))


@given(seed=st.integers(0, 10_000), neurons=st.integers(1, 30))
def test_contributions_that_make_up_the_output_sum_to_at_least_one(seed: int, neurons: int) -> None:
    random = torch.Generator().manual_seed(seed)
    act, weight = torch.randn((1, 4, neurons), generator=random), torch.randn((neurons, 6), generator=random)
    assert cett(act, weight.norm(dim=1), act @ weight).sum(-1).min() >= 1 - RELATIVE


def test_an_output_of_norm_zero_has_no_cett() -> None:
    """There is no epsilon under the division: a made-up figure would be worse than an error."""
    out = torch.ones(1, 3, 4)
    assert torch.isfinite(cett(torch.ones(1, 3, 5), torch.ones(5), out)).all()
    out[0, 1] = 0
    with pytest.raises(ZeroOutput, match="CETT is not defined here: .* norm 0, .* use another text"):
        cett(torch.ones(1, 3, 5), torch.ones(5), out)


def test_half_precision_is_widened_before_anything_is_computed() -> None:
    act, norms, out = random_values(0, 1, 3, 50), random_values(1, 50), random_values(2, 1, 3, 8)
    half = cett(act.bfloat16(), norms, out.bfloat16())
    assert half.dtype == torch.float32
    assert torch.equal(half, cett(act.bfloat16().float(), norms, out.bfloat16().float()))


@pytest.mark.parametrize(("neurons", "top"), [(48, 5), (48, 10), (48, 25), (6, 6), (6, 3)])
def test_a_summary_is_what_sorting_and_counting_give(neurons: int, top: int) -> None:
    values, act = random_values(5, 2, 7, neurons), torch.randn(2, 7, neurons)
    usual = random_values(6, neurons)
    told = summarise(values, act, usual, top, 2.0)
    v, a = values.double().numpy(), act.numpy()
    order = np.argsort(-v, axis=-1)
    largest = np.take_along_axis(v, order, -1)
    assert relative_gap(told.sum, v.sum(-1)) <= RELATIVE
    assert largest_gap(told.max, v.max(-1)) == 0
    assert relative_gap(told.top10, largest[..., :10].sum(-1)) <= RELATIVE
    assert np.array_equal(told.top_index, order[..., :top])
    assert largest_gap(told.top_cett, largest[..., :top]) == 0
    assert largest_gap(told.top_act, np.take_along_axis(a, order[..., :top], -1)) == 0
    assert np.array_equal(told.over, (v > v.mean(-1, keepdims=True) + 2 * v.std(-1, keepdims=True)).sum(-1))
    by_usual = np.argsort(-(v / usual.numpy()), axis=-1)[..., :top]
    assert np.array_equal(told.usual_index, by_usual)
    assert largest_gap(told.usual_cett, np.take_along_axis(v, by_usual, -1)) == 0
    kept = Summaries(Threshold(), top, chosen={3: torch.tensor([0, neurons - 1])})
    for layer, chosen in ((3, [0, neurons - 1]), (4, [])):
        found = kept.reduce(layer, values[0], act[0])
        assert largest_gap(found["set_cett"], v[0][:, chosen]) == 0
        assert largest_gap(found["set_act"], a[0][:, chosen]) == 0


def test_without_usual_the_ratio_is_the_cett_itself() -> None:
    told = summarise(random_values(1, 2, 20), torch.zeros(2, 20), None, 4, 3.0)
    assert torch.equal(told.usual_ratio, told.top_cett)
    assert torch.equal(told.usual_index, told.top_index)


@pytest.mark.parametrize("kind", ["token", "layer", "model"])
def test_mu_and_sigma_are_of_all_neurons_of_the_population(kind: Population) -> None:
    """Layers of unequal width: a wider layer weighs more, as it has more neurons."""
    layers = [random_values(seed, 9, width) for seed, width in enumerate((10, 40, 25))]
    mean, square = (torch.stack([f(v).mean(-1) for v in layers]) for f in (lambda v: v, torch.square))
    mu, sigma = population(mean, square, (10, 40, 25), Threshold(population=kind))
    for pos in range(9):
        for layer in range(3):
            members = {
                "layer": [layers[layer][pos]],
                "token": [v[pos] for v in layers],
                "model": [v.flatten() for v in layers],
            }[kind]
            found = torch.cat(members).double().numpy()
            assert abs(mu[layer, pos].item() - found.mean()) <= RELATIVE * found.max()
            # A difference of squares: its error is that of the largest square.
            assert abs(sigma[layer, pos].item() ** 2 - found.var()) <= RELATIVE * np.square(found).max()
    limit = mu + 2 * sigma
    assert torch.equal(count_over(layers[1], limit[1]), (layers[1] > limit[1][:, None]).sum(1))


@pytest.mark.parametrize("kind", ["token", "layer", "model"])
@given(widths=st.lists(st.integers(1, 300), min_size=3, max_size=3))
def test_where_all_neurons_are_alike_sigma_is_nought_and_none_is_over_the_limit(
    kind: Population, widths: list[int]
) -> None:
    """A variance is a difference of squares: shares that are rounded to float32 leave a sigma of a ten-thousandth."""
    mean, square = torch.full((3, 2), 2.0), torch.full((3, 2), 4.0)
    mu, sigma = population(mean, square, widths, Threshold(population=kind))
    assert torch.equal(mu, mean)
    # Of a mean of 2: float32 shares would leave some 1e-4 of it, double ones the root of their roundings, 1e-8.
    assert sigma.max() < 5e-7 * float(mean[0, 0])
    values = torch.full((2, 5), 2.0)
    assert count_over(values, mu[0]).tolist() == [0, 0], "at the limit is not over it"
    assert summarise(values, values, None, 5, 3.0).over.tolist() == [0, 0]


def test_the_three_populations_differ() -> None:
    """Guard: a test in which all three gave the same limit would prove nothing."""
    mean, square = random_values(1, 3, 4), random_values(2, 3, 4) + 50
    kinds: tuple[Population, ...] = ("token", "layer", "model")
    found = [population(mean, square, (5, 6, 7), Threshold(population=kind))[0] for kind in kinds]
    assert all(not torch.allclose(found[i], found[j]) for i, j in ((0, 1), (0, 2), (1, 2)))


def test_region_means_average_each_region_and_an_empty_one_is_nan() -> None:
    values = random_values(3, 2, 6, 5)
    regions = torch.zeros(2, 3, 6, dtype=torch.bool)
    regions[0, 0, 1:4], regions[1, 0, 5], regions[:, 1] = True, True, True
    found = region_means(values, regions)
    assert relative_gap(found[0, 0], values[0, 1:4].mean(0)) <= RELATIVE
    assert relative_gap(found[1, 0], values[1, 5]) <= RELATIVE
    assert relative_gap(found[:, 1], values.mean(1)) <= RELATIVE
    assert found[:, 2].isnan().all()


@pytest.mark.parametrize("gathered", [1, 3 * D_MLP, 1000 * D_MLP])
@pytest.mark.parametrize("cuts", [(0, 4, 5, 9), (0, 3, 4, 5, 6, 7, 8, 9), tuple(range(10))])
def test_a_sink_fed_in_pieces_adds_up_to_the_whole(
    cuts: tuple[int, ...], gathered: int, tiny: Callable[[str], LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prompt and decoded tokens come in separate forwards; nothing may hang on where the cut was."""
    monkeypatch.setattr("backend.forward.recorder.GATHERED", gathered)
    model = tiny("llama")
    act, out = torch.randn(1, 9, D_MLP), torch.randn(1, 9, 32)

    @torch.inference_mode()
    def read(capture: Capture, cuts: Sequence[int]) -> Trace:
        recorder = Recorder(capture, model.w_norms)
        trace = recorder.trace()
        for start, stop in pairwise(cuts):
            seen = Seen(trace, 0, stop - start, slice(max(0, 4 - start), None))
            recorder.begin([seen], stop - start, act.device, gather=stop - start == 1)
            recorder(0, act[:, start:stop], out[:, start:stop])
            recorder.end()
        return trace

    whole, pieces = (read(Summaries(Threshold(population="model"), 10), told) for told in ((0, 9), cuts))
    assert torch.equal(pieces.layers("values")[0], whole.layers("values")[0])
    for name in ("sum", "over", "top_index", "top_cett"):
        assert torch.equal(pieces.field(name), whole.field(name)), name
    assert relative_gap(pieces.answer_sums()[0], whole.answer_sums()[0]) <= RELATIVE
    assert pieces.answer_count == whole.answer_count == 5
    peaks = read(Peaks(), cuts)
    assert torch.equal(peaks.field("sum"), whole.field("sum"))
    assert torch.equal(peaks.field("max"), whole.field("max"))
