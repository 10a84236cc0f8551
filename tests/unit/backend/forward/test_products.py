"""Products of few tokens are those of `nn.Linear`, over its own parameters, in the plain tree alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from backend.forward.products import MOST, FewTokens, is_of_use, take
from backend.models import loading
from tests.tiny import make_tiny

needs_mkl = pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="this torch has no MKL")


def linear(d_in: int = 96, d_out: int = 160, bias: bool = True) -> nn.Linear:
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

    once, hooked = linear(96, 96), linear()
    hooked.register_forward_hook(lambda module, args, out: out)
    half = linear().to(torch.bfloat16)
    tree = nn.ModuleDict({"a": once, "b": once, "other": Other(96, 96), "hooked": hooked, "narrow": half})
    before = dict(tree.named_parameters())
    assert take(tree) == 1
    assert isinstance(tree["a"], FewTokens) and tree["a"] is tree["b"] and tree["a"].weight is once.weight
    assert type(tree["other"]) is Other and tree["hooked"] is hooked and tree["narrow"] is half
    assert {name: id(value) for name, value in tree.named_parameters()} == {
        name: id(value) for name, value in before.items()
    }
    assert is_of_use(once.weight) and not is_of_use(half.weight)


@needs_mkl
def test_a_loaded_model_has_them_in_its_plain_tree_and_the_other_tree_is_as_it_was(tmp_path: Path) -> None:
    model = loading.load(str(make_tiny("llama", tmp_path / "llama")))
    few = [module for module in model.plain.modules() if isinstance(module, FewTokens)]
    assert len(few) == 7 * model.info.n_layers + 1
    assert not any(isinstance(module, FewTokens) for module in model.bridge.original_model.modules())
    held = {id(parameter) for parameter in model.bridge.original_model.parameters()}
    assert {id(parameter) for parameter in model.plain.parameters()} == held
    assert all(isinstance(out, FewTokens) for out in model.outs)


@needs_mkl
def test_a_product_that_is_another_one_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FewTokens, "forward", lambda self, some: 2 * nn.functional.linear(some, self.weight, self.bias))
    tree = nn.ModuleDict({"a": linear()})
    assert take(tree) == 0 and type(tree["a"]) is nn.Linear
