"""Products of a few tokens with a weight, at the speed at which memory gives the weight.

Owns which way round a product is taken. `nn.Linear` takes x W^T; with few tokens MKL is slow at that: one forward of
one token took 2.5 times as long as reading the weights. W x^T is the same sum and shares its parameter, so nothing is
copied, and hooks, zeroed columns and figures stay as they were. Numbers of tokens that are powers of two are fastest,
so tokens are filled up to one, a single token to two. Refuses everything else: other processors, number types and
libraries, and more tokens than `MOST`, keep `nn.Linear`'s own way.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

MOST = 16
"""Tokens beyond which x W^T is at least as fast: measured on the model that ships, see docs/performance.md."""
LEAST = 1 << 16
"""Numbers below which a weight stays in the processor's cache, and memory is no limit."""


class FewTokens(nn.Linear):
    """`nn.Linear` over another one's parameters, which takes few tokens the other way round."""

    def __init__(self, linear: nn.Linear) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight, self.bias = linear.weight, linear.bias
        self.train(linear.training)

    def forward(self, input: Float[Tensor, "... d_in"]) -> Float[Tensor, "... d_out"]:
        """Input times weight, and the bias."""
        tokens = input.numel() // self.in_features
        if not 0 < tokens <= MOST or input.dtype != self.weight.dtype:
            return functional.linear(input, self.weight, self.bias)
        flat = input.reshape(tokens, self.in_features)
        columns = _filled_up(flat).t()
        if self.bias is None:
            product = torch.mm(self.weight, columns)
        else:
            product = torch.addmm(self.bias[:, None], self.weight, columns)
        return product[:, :tokens].t().contiguous().view(*input.shape[:-1], self.out_features)


def _filled_up(tokens: Float[Tensor, "token d_in"]) -> Float[Tensor, "filled d_in"]:
    """Tokens up to the next power of two, two at least. What fills is not looked at: tokens again are the cheapest."""
    count = len(tokens)
    filled = max(2, 1 << (count - 1).bit_length())
    return tokens if filled == count else torch.cat([tokens, tokens[: filled - count]])


def is_of_use(weight: Tensor) -> bool:
    """Whether a weight is large, and its products are MKL's, in float32 on the processor."""
    is_plain = weight.device.type == "cpu" and weight.dtype == torch.float32
    return is_plain and weight.numel() >= LEAST and torch.backends.mkl.is_available()


def take(tree: nn.Module) -> int:
    """Put `FewTokens` in the place of each `nn.Linear` of a tree that has use for it; how many there were.

    That both ways give the same is tried here for each shape, whose products are all done by one kernel. A module that
    stands in several places is one afterwards too. Subclasses keep what they do.
    """
    made: dict[int, FewTokens] = {}
    tried: dict[torch.Size, bool] = {}
    for parent in list(tree.modules()):
        for name, module in parent._modules.items():  # named_children passes over a module that stands twice
            if type(module) is not nn.Linear or _is_hooked(module) or not is_of_use(module.weight):
                continue
            few, shape = made.get(id(module)) or FewTokens(module), module.weight.shape
            if shape not in tried:
                tried[shape] = _is_same(few, module)
            if tried[shape]:
                parent._modules[name] = made[id(module)] = few
    return len(made)


@torch.inference_mode()
def _is_same(few: FewTokens, linear: nn.Linear) -> bool:
    """Whether both ways differ by roundings alone: 1e-4 of the largest is a hundred times what they are seen to be."""
    draw = torch.Generator().manual_seed(0)
    for tokens in (1, 3, MOST):
        some = torch.randn(tokens, linear.in_features, generator=draw)
        expected = linear(some)
        # Weights that are not finite are found, and named, later.
        if expected.isfinite().all() and (few(some) - expected).abs().max() > 1e-4 * expected.abs().max():
            return False
    return True


def _is_hooked(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)
