"""Captures one forward pass of a model, and decides whether two passes differ by rounding errors alone.

Owns `Reading` and `Tolerance`. Two ways of running a model add numbers in different orders, so the values of each
layer differ by some rounding errors of the number type. In float32 that is far less than the effect of any mistake. In
bfloat16 and float16 it is not, and how much a rounding error grows from layer to layer depends on the weights. So the
growth is measured: the text is read again with each number of its embedding changed by one rounding step.

Also owns the choice of the tree in which a text is read: a text longer than any that was tried is read in both trees,
and the two are compared.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Int
from torch import Tensor

from backend.errors import UnsupportedModel
from backend.forward.cett import out_norm
from backend.models.hooks import Tree, observe

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from backend.models.loaded import LoadedModel

TOKENS = 16
"""Length of the text that is tried when a model is loaded."""
FLOOR = 2e-4
"""A relative difference below this is always accepted: a wrong position, mask or bias changes a layer by hundredths.
It allows for the fused kernels of other devices; in float32 nothing more is needed at any depth."""
ROUNDINGS = 4
"""Rounding steps of the number type by which one layer may differ from the same product in another order."""
GROWN = 3.0
"""Accepted difference, as a multiple of the measured effect of one rounding step of the embedding. In bfloat16 and
float16 correct ways differed by up to 1.4 times that effect (every family of TransformerLens with random weights, and
the model that ships), and leaving out ALiBi by 4 times."""
MOST = 0.3
"""Two forward passes that differ by more than this are never called the same."""
ANOTHER = "choose a model of the table or of a known family"


@dataclass(frozen=True)
class Reading:
    """A forward pass: logits [row pos vocab], empty without the output head, and each layer's (z, h) [row pos ...]."""

    logits: Tensor
    layers: list[tuple[Tensor, Tensor]]

    def part(self, row: int, positions: slice) -> Reading:
        """Some positions of one row."""
        layers = [(z[row : row + 1, positions], h[row : row + 1, positions]) for z, h in self.layers]
        return Reading(self.logits[row : row + 1, positions], layers)


def read_forward(model: LoadedModel, run: Callable[[], Any], tree: Tree = "plain") -> tuple[Reading, Any]:
    """(reading, cache) of one forward pass. Raises UnsupportedModel unless each layer ran once, in order."""
    layers: list[tuple[Tensor, Tensor]] = []
    layers_run: list[int] = []

    def keep(layer: int, z: Tensor, h: Tensor) -> None:
        layers_run.append(layer)
        layers.append((z.clone(), h.clone()))

    with observe(model, keep, tree):
        out = run()
    if layers_run != list(range(model.info.n_layers)):
        raise UnsupportedModel(
            "the feed-forward layers of this model cannot be told apart",
            f"one forward ran them as {_layer_list(layers_run)}, where each should run once and in turn",
            ANOTHER,
        )
    logits = out if isinstance(out, Tensor) else getattr(out, "logits", None)
    return Reading(torch.empty(0) if logits is None else logits, layers), getattr(out, "past_key_values", None)


def _layer_list(layers_run: Sequence[int]) -> str:
    if not layers_run:
        return "none at all"
    return ", ".join(map(str, layers_run[:8])) + (" and on" if len(layers_run) > 8 else "")


def gap(measured: Tensor, expected: Tensor) -> float:
    """Euclidean norm of the difference, relative to that of `expected`; infinite if the shapes differ."""
    if measured.shape != expected.shape:
        return math.inf
    measured, expected = measured.float(), expected.float().to(measured.device)
    size, difference = float(expected.norm()), float((measured - expected).norm())
    return difference / size if size else (0.0 if difference == 0 else math.inf)


def allowed(dtype: torch.dtype, layers: int = 1) -> float:
    """Accepted gap after this many layers, if the growth of rounding errors in them was not measured."""
    return max(FLOOR, ROUNDINGS * torch.finfo(dtype).eps * math.sqrt(layers))


def gaps(measured: Reading, expected: Reading) -> list[float]:
    """The larger gap of z and h for each layer, followed by the gap of the logits if both readings have them."""
    pairs = zip(measured.layers, expected.layers, strict=True)
    distances = [max(gap(z, other_z), gap(h, other_h)) for (z, h), (other_z, other_h) in pairs]
    if measured.logits.numel():
        # Centred: a constant added to all logits changes no probability.
        both = (logits.float() for logits in (measured.logits, expected.logits))
        distances.append(gap(*(logits - logits.mean(-1, keepdim=True) for logits in both)))
    return distances


class Tolerance:
    """By how much two forward passes of a model may differ. `truth` is a plain pass over the first row of `ids`."""

    def __init__(self, model: LoadedModel, ids: Int[Tensor, "row pos"], truth: Reading) -> None:
        self._model, self._ids, self._truth = model, ids, truth
        self._rounding_growth: list[float] | None = None
        self.difference = ""
        """Where the last two readings that were not the same differ most, in words."""

    def same(self, measured: Reading, expected: Reading) -> bool:
        """Whether two readings differ by rounding errors alone, in every layer and in the logits if both have them."""
        distances = gaps(measured, expected)
        allowances = [max(FLOOR, min(MOST, GROWN * growth)) for growth in self.rounding_growth()[: len(distances)]]
        place = max(range(len(distances)), key=lambda layer: distances[layer] / allowances[layer])
        distance, allowance = distances[place], allowances[place]
        if distance <= allowance:
            return True
        where = f"layer {place}" if place < len(measured.layers) else "the logits"
        far = f"{distance:.2%} apart, and roundings explain {allowance:.2%}"
        far = "of another shape" if math.isinf(distance) else far
        self.difference = f"{where}: {far}"
        return False

    def rounding_growth(self) -> list[float]:
        """The gap that one rounding step of the embedding causes in each layer and in the logits.

        All 0 if the steps of the number type are below `FLOOR`. Made non-decreasing: each layer adds errors to those
        of the layers before.
        """
        if self._rounding_growth is None:
            narrow = torch.finfo(self._model.plain.dtype).eps > FLOOR
            moved = (
                gaps(self._reading_after_roundings(), self._truth) if narrow else [0.0] * (len(self._truth.layers) + 1)
            )
            self._rounding_growth = list(itertools.accumulate(moved, max))
        return self._rounding_growth

    def _reading_after_roundings(self) -> Reading:
        """The text read with each number of its embedding changed by one rounding step, up or down at random."""
        plain: Any = self._model.plain
        step, generator = torch.finfo(plain.dtype).eps, torch.Generator().manual_seed(0)

        def move(module: Any, args: Any, out: Tensor) -> Tensor:
            signs = torch.randint(0, 2, out.shape, generator=generator) * 2 - 1
            return out * (1 + step * signs).to(out.device, out.dtype)

        handle = plain.get_input_embeddings().register_forward_hook(move)
        try:
            return read_forward(self._model, lambda: plain(self._ids[:1], use_cache=False))[0]
        finally:
            handle.remove()


def tree_of(model: LoadedModel, ids: Sequence[int]) -> Tree:
    """The tree in which this finished text is read.

    A text longer than any that was tried is read in both first; if they differ, texts of this length are read in the
    plain tree from then on.
    """
    tree = model.tree(len(ids))
    tried, differs = model.extras.get("tried", (TOKENS, False))
    if tree == "plain" or len(ids) <= tried:
        return tree
    if differs:
        return "plain"
    same = _trees_agree(model, ids, tried)
    if same is not None:
        model.extras["tried"] = (len(ids), False) if same else (tried, True)
    return "bridge" if same else "plain"


def _trees_agree(model: LoadedModel, ids: Sequence[int], tried: int) -> bool | None:
    """Whether both trees give the same after the first `tried` tokens; None if the plain tree gives NaN or infinity."""
    batch = torch.tensor([list(ids)], device=model.device)
    sizes: dict[Tree, list[Tensor]] = {"plain": [], "bridge": []}
    runs: dict[Tree, Callable[[], Tensor]] = {
        "plain": lambda: model.plain(batch, use_cache=False).logits,
        "bridge": lambda: model.bridge(batch),
    }
    for tree, run_tree in runs.items():

        def keep(layer: int, z: Tensor, h: Tensor, into: list[Tensor] = sizes[tree]) -> None:
            into.append(torch.stack([z.float().norm(dim=-1), out_norm(h)])[..., tried:].cpu())

        try:
            with torch.inference_mode(), observe(model, keep, tree):
                sizes[tree].append(run_tree()[:, tried:].float().logsumexp(-1).cpu())
        except (torch.OutOfMemoryError, MemoryError):
            raise
        except Exception as error:  # a family may raise any error for what it does not support
            log.info("%s: %d tokens not read by the %s forward (%s)", model.info.name, len(ids), tree, error)
            return False
    if not all(bool(size.isfinite().all()) for size in sizes["plain"]):
        return None
    pairs = zip(sizes["bridge"], sizes["plain"], strict=True)
    agreeing = [
        gap(bridged, plain) <= allowed(model.plain.dtype, layer) for layer, (bridged, plain) in enumerate(pairs, 1)
    ]
    if not all(agreeing):
        log.warning(
            "%s: TransformerLens' forward of %d tokens differs from Transformers' own, which is used for such texts",
            model.info.name,
            len(ids),
        )
    return all(agreeing)
