"""What is NaN or infinite is named with its layer and first token, at every door, and never told as a figure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from backend.engine import Engine
from backend.errors import NotFinite, ZeroOutput
from backend.forward import reference
from backend.forward.capture import Summaries
from backend.forward.cett import Norms, check_norms
from backend.forward.pooling import RegionText, region_means
from backend.forward.recorder import Recorder, Seen
from backend.forward.rows.choosing import choose, generator
from backend.forward.rows.generation import decode
from backend.identify.evaluation.threshold import count_flagged
from backend.models.hooks import hook_count
from backend.models.loaded import LoadedModel, wrap
from backend.neurons import NeuronId, NeuronSet
from backend.types import CettRequest, CompareRequest, Decoding, ExploreRequest, LensRequest, NeuronRequest, Threshold
from backend.types.identify import Pooling
from backend.verbs import table
from backend.verbs.compare import compare
from backend.verbs.explore import explore
from backend.verbs.lens import lens
from backend.verbs.neuron import card
from backend.watch import SILENT
from tests.plain import FLOAT32, Plain, relative_gap, some_ids
from tests.tiny import D_MLP, D_MODEL, make_tiny

ONE = NeuronSet.of("L1:N3")
FEW = Decoding(max_new_tokens=5)
ASKED = ExploreRequest(prompt="Is it so?", chat=False, decoding=FEW)
SECOND = [9, 8, 7, 6, 5]
"""Token 200 stands nowhere in the texts of these tests, unless a test puts it there."""


@pytest.fixture(scope="module")
def usual(tiny: Callable[[str], LoadedModel]) -> reference.Usual:
    """Of the model while it is whole."""
    return reference.measure(tiny("llama"))


@contextmanager
def spoilt(weight: Tensor, place: int | tuple[int, int], value: float) -> Iterator[None]:
    """Within the block one number of a weight is another: both trees hold the same."""
    kept = weight.clone()
    with torch.no_grad():
        weight[place] = value
    try:
        yield
    finally:
        with torch.no_grad():
            weight.copy_(kept)


def up(model: LoadedModel) -> Tensor:
    """A weight before layer 1's neurons."""
    return model.plain.get_submodule("model.layers.1.mlp.up_proj").get_parameter("weight")


DOORS: dict[str, Callable[[LoadedModel, reference.Usual, Path], object]] = {
    "explore, generated": lambda model, usual, out: explore(model, ASKED, usual, SILENT),
    "explore, given": lambda model, usual, out: explore(model, ASKED.reading("It is."), usual, SILENT),
    "compare": lambda model, usual, out: compare(
        model, CompareRequest(prompt="Is it so?", chat=False, neurons=ONE, decoding=FEW), SILENT
    ),
    "cett": lambda model, usual, out: Engine(model).cett(CettRequest(text="It is Cairo."), out / "x.npy"),
    "mean features": lambda model, usual, out: region_means(model, [RegionText((5, 6, 7, 8), ((1, 2),))]),
    "largest features": lambda model, usual, out: region_means(
        model, [RegionText((5, 6, 7, 8), ((1, 2),))], pooling="max"
    ),
    "shared features": lambda model, usual, out: region_means(
        model, [RegionText((5, 6, 7, 8, 9), ((3,),)), RegionText((5, 6, 7, 8, 4), ((3,),))]
    ),
    "threshold": lambda model, usual, out: count_flagged(model, [RegionText((5, 6, 7, 8), ((1, 2),))], 3.0, ONE),
    "reference": lambda model, usual, out: reference.measure(model),
    "decode": lambda model, usual, out: decode(model, [[5, 6, 7]], FEW, lean=True),
    "drawn": lambda model, usual, out: decode(
        model, [[5, 6, 7]], Decoding(max_new_tokens=3, temperature=1.0), lean=True
    ),
    "card": lambda model, usual, out: Engine(model).ask(table.NEURON, NeuronRequest(neuron=NeuronId(1, 3), text=ASKED)),
}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("door", DOORS)
def test_a_weight_that_is_not_finite_is_refused_with_its_layer_at_every_door(
    door: str, value: float, tiny: Callable[[str], LoadedModel], usual: reference.Usual, tmp_path: Path
) -> None:
    model = tiny("llama")
    with spoilt(up(model), (3, 4), value), pytest.raises(NotFinite, match="layer 1, token 0"):
        DOORS[door](model, usual, tmp_path)
    assert not list(tmp_path.iterdir()), "no file is left"
    assert hook_count(model) == 0
    DOORS[door](model, usual, tmp_path)


def test_the_first_token_is_named(tiny: Callable[[str], LoadedModel], usual: reference.Usual, tmp_path: Path) -> None:
    """One row of the embedding is NaN: what stands before it in the text is sound."""
    model, token = tiny("llama"), 200
    ids = [5, 6, 7, token, 8]
    with spoilt(model.plain.get_input_embeddings().get_parameter("weight"), token, float("nan")):
        for regions in (((1, 2),), ((4,),)):
            with pytest.raises(NotFinite, match="layer 0, token 3"):
                region_means(model, [RegionText(tuple(ids), regions)])
        with pytest.raises(NotFinite, match="layer 0, token 3"):
            decode(model, [ids[:4]], FEW, lean=True)
        assert np.isfinite(region_means(model, [RegionText((5, 6, 7), ((1, 2),))])).all()


def test_an_output_head_that_is_not_finite_is_refused_too(
    tiny: Callable[[str], LoadedModel], usual: reference.Usual, tmp_path: Path
) -> None:
    """No layer shows it."""
    model = tiny("llama")
    with spoilt(model.plain.get_output_embeddings().weight, (7, 0), float("nan")):
        for door in ("explore, generated", "explore, given", "compare", "decode", "drawn"):
            with pytest.raises(NotFinite, match="logits"):
                DOORS[door](model, usual, tmp_path)
        model.extras.pop("lens", None)
        with pytest.raises(NotFinite, match="L1:N3 pushes"):
            lens(model, LensRequest(neurons=ONE))
    assert lens(model, LensRequest(neurons=ONE)).pushed, "what was found out while a weight was bad is not remembered"


def test_a_neurons_direction_that_is_not_finite_is_named_on_its_card(
    tiny: Callable[[str], LoadedModel], usual: reference.Usual
) -> None:
    model = tiny("llama")
    weight = model.plain.get_submodule("model.layers.1.mlp.down_proj").get_parameter("weight")
    with spoilt(weight, (0, 3), np.inf), pytest.raises(NotFinite, match="L1:N3"):
        card(model, NeuronRequest(neuron=NeuronId(1, 3)), usual, None)


def test_a_model_whose_weights_are_not_finite_is_refused_when_it_is_loaded(tmp_path: Path) -> None:
    folder = make_tiny("gpt2", tmp_path)
    hf_model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    hf_model.get_submodule("transformer.h.2.mlp.c_fc").get_parameter("weight").data[0, 0] = float("nan")
    named = {"name": "spoilt", "fingerprint": "e" * 64, "device": "cpu", "dtype": "float32"}
    with pytest.raises(NotFinite, match=r"There is no figure .*layer 2, token 0 .*float16 ends at 65,504.*bfloat16"):
        wrap(hf_model, AutoTokenizer.from_pretrained(folder), source=str(folder), **named)


def test_float16_that_overflows_gives_no_false_zeros(tmp_path: Path) -> None:
    """An infinite output would divide every neuron's CETT to 0."""
    folder = make_tiny("llama", tmp_path)
    hf_model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float16)
    hf_model.get_submodule("model.layers.1.mlp.down_proj").get_parameter("weight").data.mul_(4e5).clamp_(-6e4, 6e4)
    named = {"name": "narrow", "fingerprint": "e" * 64, "device": "cpu", "dtype": "float16"}
    with pytest.raises(NotFinite, match="layer 1, token 0"):
        wrap(hf_model, AutoTokenizer.from_pretrained(folder), source=str(folder), **named)


@contextmanager
def silent_at(
    model: LoadedModel, layer: int, where: tuple[int, int], value: float = 0.0, rows: int = 1
) -> Iterator[None]:
    """Within the block a layer's output at (row, position) is `value` throughout, in forwards of so many rows."""

    def hook(_: object, args: object, out: Tensor) -> Tensor:
        row, place = where
        if rows == out.shape[0] and place < out.shape[1]:
            out = out.clone()
            out[row, place] = value
        return out

    handle = model.outs[layer].register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_an_output_of_norm_zero_outside_the_region_does_no_harm(
    pooling: Pooling, tiny: Callable[[str], LoadedModel], untouched: Callable[[str], Plain]
) -> None:
    """The last layer, so that no other position hears of it; inside the region it is refused with its place."""
    model, layer = tiny("llama"), 2
    ids = tuple(some_ids(1, 8)[0].tolist())
    expected = untouched("llama").cett(list(ids))
    expected = getattr(expected[:, 4:6], pooling)(1)
    for where in (2, 7):
        with silent_at(model, layer, (0, where)):
            found = region_means(model, [RegionText(ids, ((4, 5),))], pooling=pooling)
            assert relative_gap(found[0, :, 0], expected) <= FLOAT32
    with silent_at(model, layer, (0, 5)), pytest.raises(ZeroOutput, match="layer 2, token 5"):
        region_means(model, [RegionText(ids, ((4, 5),))], pooling=pooling)


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_an_output_of_norm_zero_in_the_shared_beginning_counts_only_where_it_is_asked_for(
    pooling: Pooling, tiny: Callable[[str], LoadedModel], untouched: Callable[[str], Plain]
) -> None:
    model, head = tiny("llama"), some_ids(1, 6, seed=4)[0].tolist()
    texts = [RegionText(tuple(head + some_ids(1, n, seed=n)[0].tolist()), ((6, 7), (0, 4, 5, 8))) for n in (4, 6, 9)]
    with silent_at(model, 2, (0, 2)):
        found = region_means(model, texts, pooling=pooling)
    for place, text in enumerate(texts):
        whole = untouched("llama").cett(list(text.ids))
        expected = np.stack([getattr(whole[:, list(region)], pooling)(1) for region in text.regions], axis=1)
        assert relative_gap(found[place], expected) <= FLOAT32
    with silent_at(model, 2, (0, 4)), pytest.raises(ZeroOutput, match="layer 2, token 4"):
        region_means(model, texts, pooling=pooling)


@pytest.mark.parametrize("value", [0.0, float("nan")])
@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_padding_never_raises_and_spoils_nothing(
    pooling: Pooling, value: float, tiny: Callable[[str], LoadedModel], untouched: Callable[[str], Plain]
) -> None:
    """No text has those positions: the shorter row's are padding in the batch, and not there alone."""
    model = tiny("llama")
    texts = [RegionText(tuple(some_ids(1, n, seed=n)[0].tolist()), ((1, n - 1),)) for n in (5, 9)]
    with silent_at(model, 2, (0, 7), value, rows=2):
        found = region_means(model, texts, pooling=pooling)
        count_flagged(model, texts, 1.0, ONE)
    for text, told in zip(texts, found, strict=True):
        whole = untouched("llama").cett(list(text.ids))
        assert relative_gap(told[:, 0], getattr(whole[:, list(text.regions[0])], pooling)(1)) <= FLOAT32


def test_the_check_names_the_first_layer_and_in_it_the_first_token() -> None:
    norms = torch.ones(3, 2, 5)
    check_norms(norms)
    norms[2, 0, 0], norms[1, 1, 3], norms[1, 0, 4] = float("inf"), float("nan"), float("inf")
    with pytest.raises(NotFinite, match="layer 1, token 3"):
        check_norms(norms)
    with pytest.raises(NotFinite, match="layer 1, token 13"):
        check_norms(norms, before=10)
    real = torch.ones(2, 5, dtype=torch.bool)
    real[1, 3] = real[0, 4] = real[0, 0] = False
    check_norms(norms, real)
    norms[0, 0, 2] = 0
    with pytest.raises(ZeroOutput, match="layer 0, token 2"):
        check_norms(norms, real)
    check_norms(norms, real, used=torch.zeros(2, 5, dtype=torch.bool))


def test_sinks_do_not_wait_for_the_device_inside_a_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is bad is kept as numbers and told when a result is read."""
    recorder = Recorder(Summaries(Threshold(), 5), [torch.ones(D_MLP)])
    trace = recorder.trace()
    for tokens in (3, 1):
        out = torch.ones(1, tokens, D_MODEL) if tokens == 3 else torch.zeros(1, tokens, D_MODEL)
        recorder.begin([Seen(trace, 0, tokens, slice(None))], tokens, out.device, gather=tokens == 1)
        with monkeypatch.context() as hooked:
            hooked.setattr(Tensor, "__bool__", lambda self: pytest.fail("a hook waited"))
            hooked.setattr(Tensor, "item", lambda self: pytest.fail("a hook waited"))
            hooked.setattr(Tensor, "tolist", lambda self: pytest.fail("a hook waited"))
            recorder(0, torch.ones(1, tokens, D_MLP), out)
        recorder.end()
    with pytest.raises(ZeroOutput, match="layer 0, token 3"):
        trace.check()
    Norms().check()


def test_no_token_is_drawn_from_a_distribution_that_is_none(tiny: Callable[[str], LoadedModel]) -> None:
    """Guard: what the decoder refuses would end in torch's own words."""
    with pytest.raises(RuntimeError):
        choose(torch.full((1, 8), float("nan")), [Decoding(temperature=1.0)], [generator(0)])
