"""Products of few tokens are those of `nn.Linear`, over its own parameters, in the plain tree alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from backend.forward import products
from backend.forward.products import MOST, FewTokens, is_of_use, take
from backend.models import loading
from tests.tiny import D_MLP, FAMILIES, make_tiny

needs_mkl = pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="this torch has no MKL")


def linear(d_in: int = 192, d_out: int = 352, bias: bool = True) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(d_in, d_out, bias=bias)


def near(found: Tensor, expected: Tensor, terms: int) -> bool:
    """Within the roundings of a sum of so many terms, in whatever order they are added."""
    return bool(
        (found - expected).abs().max() <= 2 * terms**0.5 * torch.finfo(torch.float32).eps * expected.abs().max()
    )


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("tokens", [1, 2, 3, 5, 8, 13, MOST, MOST + 1, 40])
def test_a_product_is_the_linear_one_whatever_the_number_of_tokens(tokens: int, bias: bool) -> None:
    whole = linear(bias=bias)
    x = torch.randn(tokens, whole.in_features)
    with torch.inference_mode():
        found, truth = FewTokens(whole)(x), nn.functional.linear(x.double(), whole.weight.double())
        truth = truth + whole.bias.double() if bias else truth
    assert found.shape == truth.shape and found.is_contiguous() and near(found.double(), truth, whole.in_features)


@pytest.mark.parametrize("shape", [(1, 1), (4, 1), (1, 4), (2, 3), (3, 1, 2)])
def test_the_shape_before_the_last_axis_is_kept_and_rows_do_not_change_places(shape: tuple[int, ...]) -> None:
    whole = linear()
    x = torch.randn(*shape, whole.in_features)
    with torch.inference_mode():
        assert near(FewTokens(whole)(x), whole(x), whole.in_features)
        turned = x.transpose(0, -2)
        assert near(FewTokens(whole)(turned), whole(turned), whole.in_features)


def test_no_token_and_other_number_types_go_the_usual_way() -> None:
    whole = linear()
    assert FewTokens(whole)(torch.empty(0, whole.in_features)).shape == (0, whole.out_features)
    with pytest.raises(RuntimeError, match="dtype"):
        FewTokens(whole)(torch.randn(1, whole.in_features).double())


def test_what_is_not_finite_in_one_token_stays_in_it() -> None:
    whole = linear()
    x = torch.randn(3, whole.in_features)
    x[1, 7] = torch.nan
    with torch.inference_mode():
        found = FewTokens(whole)(x)
    assert found[1].isnan().all() and found[[0, 2]].isfinite().all()


@needs_mkl
def test_a_tree_shares_its_parameters_and_a_module_that_stands_twice_stays_one() -> None:
    class Other(nn.Linear):
        pass

    once, hooked = linear(), linear()
    hooked.register_forward_hook(lambda module, args, out: out)
    half = linear().to(torch.bfloat16)
    tree = nn.ModuleDict({"a": once, "b": once, "other": Other(192, 352), "hooked": hooked, "narrow": half})
    before = dict(tree.named_parameters())
    assert take(tree) == 1
    assert isinstance(tree["a"], FewTokens) and tree["a"] is tree["b"] and tree["a"].weight is once.weight
    assert type(tree["other"]) is Other and tree["hooked"] is hooked and tree["narrow"] is half
    assert {name: id(value) for name, value in tree.named_parameters()} == {
        name: id(value) for name, value in before.items()
    }
    assert is_of_use(once.weight) and not is_of_use(half.weight)


@needs_mkl
@pytest.mark.parametrize("form", [*FAMILIES, "falcon", "opt", "bloom", "gptj", "cohere", "gemma2", "stablelm"])
def test_a_model_s_plain_tree_has_them_and_gives_transformers_own_logits_whole_and_by_steps(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "LEAST", 0)
    folder = make_tiny(form, tmp_path)
    model, own = loading.load(str(folder)), AutoModelForCausalLM.from_pretrained(folder).eval()
    kinds = [type(module) for module in own.modules()]
    assert model.info.fast_products == (nn.Linear in kinds)
    assert sum(isinstance(module, FewTokens) for module in model.plain.modules()) == kinds.count(nn.Linear)
    assert not any(isinstance(module, FewTokens) for module in model.bridge.original_model.modules())
    assert sum(one.numel() for one in model.plain.parameters()) == sum(one.numel() for one in own.parameters())
    ids, plain = torch.randint(3, 250, (2, 7)), cast("Any", model.plain)
    with torch.inference_mode():
        expected = own(ids, use_cache=False).logits
        assert near(plain(ids, use_cache=False).logits, expected, 8 * D_MLP)
        begun = plain(ids[:, :6], use_cache=True)
        step = plain(ids[:, 6:], past_key_values=begun.past_key_values, use_cache=True).logits
    assert near(step, expected[:, 6:], 8 * D_MLP)


@needs_mkl
def test_small_weights_are_left_as_they_are(tmp_path: Path) -> None:
    model = loading.load(str(make_tiny("llama", tmp_path)))
    assert not model.info.fast_products and not any(isinstance(part, FewTokens) for part in model.plain.modules())


@needs_mkl
def test_a_product_that_is_another_one_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FewTokens, "forward", lambda self, some: 2 * nn.functional.linear(some, self.weight, self.bias))
    tree = nn.ModuleDict({"a": linear()})
    assert take(tree) == 0 and type(tree["a"]) is nn.Linear
