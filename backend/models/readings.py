"""What one forward of a model shows, and whether two forwards differ by roundings alone.

Owns `Read` and `Tolerance`. Two ways of running a model add up in other orders: each layer's figures lie apart by some
roundings of the number type. In float32 that is far below anything that a mistake moves. In bfloat16 and float16 it is
not, and how much a rounding grows on its way up hangs on the weights; so it is measured: the text is read again with
each number of its embedding moved by one rounding.

Owns too in which tree a text is read: one longer than any that was tried is read in both, and the two are compared.
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
"""Below this no two ways differ in kind: a wrong position, mask or bias moves a layer by hundredths. It leaves the
fused kernels of other devices their room; in float32 nothing else is needed at any depth that is loaded here."""
ROUNDINGS = 4
"""Roundings, in steps of the number type, by which one layer may differ from the same product in another order."""
GROWN = 3.0
"""How many times what one rounding of the embedding becomes. In bfloat16 and float16 right ways were seen up to 1.4
times apart (every family of TransformerLens with random weights, and the model that ships), and leaving out ALiBi 4."""
MOST = 0.3
"""However roundings grow, beyond this two forwards are not called the same."""
ANOTHER = "choose a model of the table or of a known family"


@dataclass(frozen=True)
class Read:
    """One forward: logits [row pos vocab], empty without the output head, and each layer's (z, h) [row pos ...]."""

    logits: Tensor
    layers: list[tuple[Tensor, Tensor]]

    def part(self, row: int, where: slice) -> Read:
        """One row's positions."""
        layers = [(z[row : row + 1, where], h[row : row + 1, where]) for z, h in self.layers]
        return Read(self.logits[row : row + 1, where], layers)


def read(model: LoadedModel, run: Callable[[], Any], tree: Tree = "plain") -> tuple[Read, Any]:
    """(what was seen, the cache) of one forward. Raises UnsupportedModel where the layers did not run once in turn."""
    layers: list[tuple[Tensor, Tensor]] = []
    met: list[int] = []

    def keep(layer: int, z: Tensor, h: Tensor) -> None:
        met.append(layer)
        layers.append((z.clone(), h.clone()))

    with observe(model, keep, tree):
        out = run()
    if met != list(range(model.info.n_layers)):
        raise UnsupportedModel(
            "the feed-forward layers of this model cannot be told apart",
            f"one forward ran them as {_shortened(met)}, where each should run once and in turn",
            ANOTHER,
        )
    logits = out if isinstance(out, Tensor) else getattr(out, "logits", None)
    return Read(torch.empty(0) if logits is None else logits, layers), getattr(out, "past_key_values", None)


def _shortened(met: Sequence[int]) -> str:
    return ", ".join(map(str, met[:8])) + (" and on" if len(met) > 8 else "") if met else "none at all"


def gap(found: Tensor, expected: Tensor) -> float:
    """How far apart, relative to what is expected, by the Euclidean norm; infinite where the shapes differ."""
    if found.shape != expected.shape:
        return math.inf
    found, expected = found.float(), expected.float().to(found.device)
    size, apart = float(expected.norm()), float((found - expected).norm())
    return apart / size if size else (0.0 if apart == 0 else math.inf)


def allowed(dtype: torch.dtype, layers: int = 1) -> float:
    """How far apart two ways may lie behind so many layers, where nothing is known of how roundings grow in them."""
    return max(FLOOR, ROUNDINGS * torch.finfo(dtype).eps * math.sqrt(layers))


def gaps(found: Read, expected: Read) -> list[float]:
    """The gap of each layer, z or h, and of the logits where both have them, at the end."""
    pairs = zip(found.layers, expected.layers, strict=True)
    told = [max(gap(z, other_z), gap(h, other_h)) for (z, h), (other_z, other_h) in pairs]
    if found.logits.numel():
        # Without what all tokens have in common, which no probability hangs on.
        told.append(gap(*(one.float() - one.float().mean(-1, keepdim=True) for one in (found.logits, expected.logits))))
    return told


class Tolerance:
    """What two forwards of a model may lie apart. `truth` is a plain forward of the first row of `ids`."""

    def __init__(self, model: LoadedModel, ids: Int[Tensor, "row pos"], truth: Read) -> None:
        self._model, self._ids, self._truth = model, ids, truth
        self._grown: list[float] | None = None
        self.said = ""
        """Of the last two that were not the same, where they lie furthest apart."""

    def same(self, found: Read, expected: Read) -> bool:
        """Whether two forwards differ by roundings alone, in every layer and in the logits where both have them."""
        told = gaps(found, expected)
        rooms = [max(FLOOR, min(MOST, GROWN * room)) for room in self.grown()[: len(told)]]
        place = max(range(len(told)), key=lambda place: told[place] / rooms[place])
        apart, room = told[place], rooms[place]
        if apart <= room:
            return True
        where = f"layer {place}" if place < len(found.layers) else "the logits"
        far = "of another shape" if math.isinf(apart) else f"{apart:.2%} apart, and roundings explain {room:.2%}"
        self.said = f"{where}: {far}"
        return False

    def grown(self) -> list[float]:
        """What one rounding of the embedding becomes in each layer and in the logits; 0 where all is below `FLOOR`.

        A layer adds its own to all that came before, so this never falls.
        """
        if self._grown is None:
            narrow = torch.finfo(self._model.plain.dtype).eps > FLOOR
            moved = gaps(self._moved(), self._truth) if narrow else [0.0] * (len(self._truth.layers) + 1)
            self._grown = list(itertools.accumulate(moved, max))
        return self._grown

    def _moved(self) -> Read:
        """The text read with each number of its embedding moved by one rounding, up or down at random."""
        plain: Any = self._model.plain
        step, draw = torch.finfo(plain.dtype).eps, torch.Generator().manual_seed(0)

        def move(module: Any, args: Any, out: Tensor) -> Tensor:
            signs = torch.randint(0, 2, out.shape, generator=draw) * 2 - 1
            return out * (1 + step * signs).to(out.device, out.dtype)

        handle = plain.get_input_embeddings().register_forward_hook(move)
        try:
            return read(self._model, lambda: plain(self._ids[:1], use_cache=False))[0]
        finally:
            handle.remove()


def tree_of(model: LoadedModel, ids: Sequence[int]) -> Tree:
    """In which tree this finished text is read.

    A text longer than any that was tried is read in both first; where they differ, such texts are read in the plain one
    from then on.
    """
    tree = model.tree(len(ids))
    tried, differs = model.extras.get("tried", (TOKENS, False))
    if tree == "plain" or len(ids) <= tried:
        return tree
    if differs:
        return "plain"
    same = _agree(model, ids, tried)
    if same is not None:
        model.extras["tried"] = (len(ids), False) if same else (tried, True)
    return "bridge" if same else "plain"


def _agree(model: LoadedModel, ids: Sequence[int], tried: int) -> bool | None:
    """Whether both trees give the same behind the first `tried` tokens; None where the text has no finite figures."""
    batch = torch.tensor([list(ids)], device=model.device)
    sizes: dict[Tree, list[Tensor]] = {"plain": [], "bridge": []}
    ways: dict[Tree, Callable[[], Tensor]] = {
        "plain": lambda: model.plain(batch, use_cache=False).logits,
        "bridge": lambda: model.bridge(batch),
    }
    for tree, way in ways.items():

        def keep(layer: int, z: Tensor, h: Tensor, into: list[Tensor] = sizes[tree]) -> None:
            into.append(torch.stack([z.float().norm(dim=-1), out_norm(h)])[..., tried:].cpu())

        try:
            with torch.inference_mode(), observe(model, keep, tree):
                sizes[tree].append(way()[:, tried:].float().logsumexp(-1).cpu())
        except (torch.OutOfMemoryError, MemoryError):
            raise
        except Exception as error:  # what a family cannot do it says with any error
            log.info("%s: %d tokens not read by the %s forward (%s)", model.info.name, len(ids), tree, error)
            return False
    if not all(bool(size.isfinite().all()) for size in sizes["plain"]):
        return None
    pairs = zip(sizes["bridge"], sizes["plain"], strict=True)
    told = [gap(one, other) <= allowed(model.plain.dtype, layer) for layer, (one, other) in enumerate(pairs, 1)]
    if not all(told):
        log.warning(
            "%s: TransformerLens' forward of %d tokens differs from Transformers' own, which is used for such texts",
            model.info.name,
            len(ids),
        )
    return all(told)
