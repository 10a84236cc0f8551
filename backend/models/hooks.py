"""Where a neuron is in a module tree: the only module that knows TransformerLens' and torch's hook points.

A neuron is coordinate j of z, the input of a layer's down projection; h is that projection's raw
output, its bias included, before any norm that follows it (Gao et al. 2025, Eq. 1). Both are read at one
module: `blocks.{l}.mlp.out` of the bridge, or the module with the same weights in the plain tree. There are two
module trees over one set of weights, since in a decode step the bridge's wrappers cost more than the step itself;
tests check that both give the same numbers.

`observe` reads and `rewrite` replaces; each is a context manager that removes its hooks at the end. A hook must copy
a tensor that it keeps: a family may write into the same tensor right after (Falcon adds the attention's output to h
in place).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Literal, get_args

from torch import Tensor, nn

from backend.errors import UnsupportedModel

if TYPE_CHECKING:
    from backend.models.loaded import LoadedModel

Tree = Literal["plain", "bridge"]
Observer = Callable[[int, Tensor, Tensor], None]
"""Called with layer, z [row pos neuron], h [row pos d_model]."""
Rewriter = Callable[[int, Tensor], Tensor]
"""Called with layer and z [row pos neuron]; returns the z that replaces it."""


def bridge_outs(bridge: Any) -> tuple[Any, ...]:
    """Each layer's down projection in the bridge's tree.

    Raises UnsupportedModel for a layer whose neurons the bridge does not reach (routed experts, recurrent blocks).
    """
    outs = []
    for layer, block in enumerate(getattr(bridge, "blocks", None) or ()):
        out = getattr(getattr(block, "mlp", None), "out", None)
        if out is None or not hasattr(out, "hook_in") or getattr(out, "original_component", None) is None:
            raise UnsupportedModel(
                f"layer {layer} of this model has no feed-forward neurons that can be named",
                "TransformerLens names no down projection in it (its kind has mixture-of-experts or recurrent layers)",
                "choose a dense model, for instance a distilled one",
            )
        outs.append(out)
    if not outs:
        raise UnsupportedModel(
            "this model has no layers that can be taken apart one by one",
            "TransformerLens names no row of blocks in it",
            "choose a model of the table or of a known family",
        )
    return tuple(outs)


def plain_outs(plain: nn.Module, bridged: Sequence[Any]) -> tuple[nn.Module, ...]:
    """The same down projections in the plain tree: the modules that hold the same weight tensors.

    Raises UnsupportedModel if that of a layer is missing, or shared with another layer.
    """
    holders = {id(module.weight): module for module in plain.modules() if hasattr(module, "weight")}
    outs = [holders.get(id(getattr(out.original_component, "weight", None))) for out in bridged]
    if len({id(out) for out in outs}) < len(outs) or None in outs:
        raise UnsupportedModel(
            "this model's neurons cannot be told apart by layer",
            "some of its layers share one feed-forward part, or keep its weights in a form of their own",
            "choose a model of the table or of a known family",
        )
    return tuple(out for out in outs if out is not None)


def refuse_experts(plain: nn.Module, outs: Sequence[nn.Module]) -> None:
    """Raises UnsupportedModel if a layer has experts beside the MLP that is read: its neurons would be only a part of
    the layer's, and its output would not be the layer's output.
    """
    names = {id(module): name for name, module in plain.named_modules()}
    experts = [name for name, _ in plain.named_parameters() if "expert" in name]
    for layer, out in enumerate(outs):
        parts = names[id(out)].split(".")
        number = max((place for place, part in enumerate(parts) if part.isdigit()), default=0)
        block = ".".join(parts[: number + 1]) + "."
        expert = next((name for name in experts if name.startswith(block)), None)
        if expert is not None:
            raise UnsupportedModel(
                f"layer {layer} of this model has experts beside its MLP",
                f"their neurons are not reached ({expert.removeprefix(block)}), and those of the MLP alone are not the "
                "layer's",
                "choose a dense model, for instance a distilled one",
            )


@contextmanager
def observe(model: LoadedModel, observer: Observer, tree: Tree = "plain") -> Iterator[None]:
    """Within the block, `observer` is called with z and h of every layer at every forward pass of `tree`."""
    with ExitStack() as stack:
        rows = _Rows(stack, model, tree)
        if tree == "bridge":
            layers = range(model.info.n_layers)
            pairs = [pair for layer in layers for pair in _bridge_observers(layer, observer, rows)]
            stack.enter_context(model.bridge.hooks(fwd_hooks=pairs))
        else:
            for layer, out in enumerate(model.outs):
                stack.callback(out.register_forward_hook(_plain_observer(layer, observer, rows)).remove)
        yield


class _Rows:
    """The number of rows of the running forward pass.

    Some families (OPT) flatten the batch before their MLP; the number of rows is needed to undo that.
    """

    def __init__(self, stack: ExitStack, model: LoadedModel, tree: Tree) -> None:
        self.count = 1
        stack.callback(_embedding(model, tree).register_forward_pre_hook(self._note, with_kwargs=True).remove)

    def _note(self, module: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        self.count = len(args[0] if args else next(iter(kwargs.values())))

    def apart(self, tokens: Tensor) -> Tensor:
        """`tokens` as [row pos ...]; rows and positions may have been flattened to one axis."""
        return tokens if tokens.ndim > 2 else tokens.unflatten(0, (self.count, -1))


def _embedding(model: LoadedModel, tree: Tree) -> nn.Module:
    """The embedding, where every forward pass of a tree begins, with or without the output head.

    Hooks are set here, since not every family calls its base model (OPT does not).
    """
    whole: Any = model.plain if tree == "plain" else model.bridge.original_model
    embedding: nn.Module = whole.get_input_embeddings()
    return embedding


def _plain_observer(layer: int, observer: Observer, rows: _Rows) -> Callable[[nn.Module, Any, Tensor], None]:
    def hook(module: nn.Module, args: Any, output: Tensor) -> None:
        observer(layer, rows.apart(args[0]), rows.apart(output))

    return hook


def _bridge_observers(layer: int, observer: Observer, rows: _Rows) -> list[tuple[str, Callable[..., None]]]:
    inputs: list[Tensor] = []

    def keep(z: Tensor, hook: Any) -> None:
        inputs.append(z)

    def tell(h: Tensor, hook: Any) -> None:
        observer(layer, rows.apart(inputs.pop()), rows.apart(h))

    return [(f"blocks.{layer}.mlp.out.hook_in", keep), (f"blocks.{layer}.mlp.out.hook_out", tell)]


@contextmanager
def rewrite(model: LoadedModel, layers: Sequence[int], rewriter: Rewriter, tree: Tree = "plain") -> Iterator[None]:
    """Within the block, replace z of each of `layers` before the down projection. Must be entered before `observe`."""
    with ExitStack() as stack:
        rows = _Rows(stack, model, tree)
        if tree == "bridge":
            pairs = [(f"blocks.{layer}.mlp.out.hook_in", _bridge_rewriter(layer, rewriter, rows)) for layer in layers]
            stack.enter_context(model.bridge.hooks(fwd_hooks=pairs))
        else:
            for layer in layers:
                handle = model.outs[layer].register_forward_pre_hook(_plain_rewriter(layer, rewriter, rows))
                stack.callback(handle.remove)
        yield


def _plain_rewriter(layer: int, rewriter: Rewriter, rows: _Rows) -> Callable[[nn.Module, Any], tuple[Any, ...]]:
    def hook(module: nn.Module, args: Any) -> tuple[Any, ...]:
        return (rewriter(layer, rows.apart(args[0])).view_as(args[0]), *args[1:])

    return hook


def _bridge_rewriter(layer: int, rewriter: Rewriter, rows: _Rows) -> Callable[..., Tensor]:
    def hook(z: Tensor, hook: Any) -> Tensor:
        return rewriter(layer, rows.apart(z)).view_as(z)

    return hook


def hook_count(model: LoadedModel) -> int:
    """Number of hooks on both trees now, without the permanent ones of TransformerLens on some families (OPT).

    Zero outside every block, also after an exception inside.
    """
    begun = sum(len(_embedding(model, tree)._forward_pre_hooks) for tree in get_args(Tree))
    plain = sum(len(out._forward_hooks) + len(out._forward_pre_hooks) for out in model.outs)
    points = [point for out in model.bridge_outs for point in (out.hook_in, out.hook_out)]
    bridged = sum(not hook.is_permanent for point in points for hook in point.fwd_hooks)
    return begun + plain + bridged
