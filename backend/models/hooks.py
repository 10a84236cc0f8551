"""Where a neuron is in a module tree: the only module that knows TransformerLens' and torch's hook points.

A neuron is coordinate j of z, the input of a layer's down projection; h is that projection's raw
output, its bias included, before any norm that follows it (Gao et al. 2025, Eq. 1). Both are met at one
place: `blocks.{l}.mlp.out` of the bridge, and the same weights' module in the plain tree. Two trees
over one set of weights, since the bridge's wrappers cost a decode step more than the step itself; that
both give the same numbers is held by test.

`observe` reads and `rewrite` replaces; each is a block, and every hook is off when it is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor, nn

from backend.errors import UnsupportedModel

if TYPE_CHECKING:
    from backend.models.loaded import LoadedModel

Tree = Literal["plain", "bridge"]
Observer = Callable[[int, Tensor, Tensor], None]
"""Called with layer, z [row pos neuron], h [row pos d_model]."""
Rewriter = Callable[[int, Tensor], Tensor]
"""Called with layer and z [row pos neuron]; gives the z that takes its place."""


def bridge_outs(bridge: Any) -> tuple[Any, ...]:
    """Each layer's down projection in the bridge's tree.

    Raises UnsupportedModel for a layer whose neurons are not reached there (routed experts, recurrent blocks).
    """
    outs = []
    for layer, block in enumerate(bridge.blocks):
        out = getattr(getattr(block, "mlp", None), "out", None)
        if out is None or not hasattr(out, "hook_in") or getattr(out, "original_component", None) is None:
            raise UnsupportedModel(
                f"layer {layer} of this model has no feed-forward neurons that can be named",
                "its MLP is not one dense down projection (mixture-of-experts layers route around it)",
                "choose a dense model, for instance a distilled one",
            )
        outs.append(out)
    return tuple(outs)


def plain_outs(plain: nn.Module, bridged: Sequence[Any]) -> tuple[nn.Module, ...]:
    """The same down projections in the plain tree: those that hold the very same weight."""
    holders = {id(module.weight): module for module in plain.modules() if hasattr(module, "weight")}
    return tuple(holders[id(out.original_component.weight)] for out in bridged)


@contextmanager
def observe(model: LoadedModel, observer: Observer, tree: Tree = "plain") -> Iterator[None]:
    """Within the block, `observer` sees z and h of every layer at every forward of `tree`."""
    with ExitStack() as stack:
        if tree == "bridge":
            layers = range(model.info.n_layers)
            pairs = [pair for layer in layers for pair in _bridge_observers(layer, observer)]
            stack.enter_context(model.bridge.hooks(fwd_hooks=pairs))
        else:
            for layer, out in enumerate(model.outs):
                stack.callback(out.register_forward_hook(_plain_observer(layer, observer)).remove)
        yield


def _plain_observer(layer: int, observer: Observer) -> Callable[[nn.Module, Any, Tensor], None]:
    def hook(module: nn.Module, args: Any, output: Tensor) -> None:
        observer(layer, args[0], output)

    return hook


def _bridge_observers(layer: int, observer: Observer) -> list[tuple[str, Callable[..., None]]]:
    held: list[Tensor] = []

    def keep(z: Tensor, hook: Any) -> None:
        held.append(z)

    def tell(h: Tensor, hook: Any) -> None:
        observer(layer, held.pop(), h)

    return [(f"blocks.{layer}.mlp.out.hook_in", keep), (f"blocks.{layer}.mlp.out.hook_out", tell)]


@contextmanager
def rewrite(model: LoadedModel, layers: Sequence[int], rewriter: Rewriter, tree: Tree = "plain") -> Iterator[None]:
    """Within the block, z of each of `layers` is replaced before its down projection. Enter before `observe`."""
    with ExitStack() as stack:
        if tree == "bridge":
            pairs = [(f"blocks.{layer}.mlp.out.hook_in", _bridge_rewriter(layer, rewriter)) for layer in layers]
            stack.enter_context(model.bridge.hooks(fwd_hooks=pairs))
        else:
            for layer in layers:
                handle = model.outs[layer].register_forward_pre_hook(_plain_rewriter(layer, rewriter))
                stack.callback(handle.remove)
        yield


def _plain_rewriter(layer: int, rewriter: Rewriter) -> Callable[[nn.Module, Any], tuple[Any, ...]]:
    def hook(module: nn.Module, args: Any) -> tuple[Any, ...]:
        return (rewriter(layer, args[0]), *args[1:])

    return hook


def _bridge_rewriter(layer: int, rewriter: Rewriter) -> Callable[..., Tensor]:
    def hook(z: Tensor, hook: Any) -> Tensor:
        return rewriter(layer, z)

    return hook


def hook_count(model: LoadedModel) -> int:
    """Hooks on either tree's down projections now. Zero outside every block, whatever happened inside."""
    plain = sum(len(out._forward_hooks) + len(out._forward_pre_hooks) for out in model.outs)
    bridged = sum(len(out.hook_in.fwd_hooks) + len(out.hook_out.fwd_hooks) for out in model.bridge_outs)
    return plain + bridged
