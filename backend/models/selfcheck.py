"""What a model's ways of being run have in common, found out on a few tokens when it is loaded.

Owns `Proof`: a row alone, read whole by Transformers' own forward, is the truth, and every other way that the verbs
take (TransformerLens' forward, one token behind a cache, rows of unequal length in one batch, rows that leave or are
copied) is held to it, in logits and in every layer's z and h. A way that differs is not taken: there is a slower one.
Where there is none the model is refused. Nothing is assumed of a family by its name.
"""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Int
from torch import Tensor

from backend.cett import check_norms, not_finite, out_norm
from backend.errors import HNeuronsError, UnsupportedModel
from backend.models.hooks import Tree, observe

if TYPE_CHECKING:
    from backend.models.loaded import LoadedModel

log = logging.getLogger(__name__)

TOKENS, SHORTER, STEPS, BEGINNING = 16, 5, 3, 5
"""Length of the text that is tried; by how much the other row is shorter; tokens left for behind the cache; tokens
read once for both rows."""
ROUNDINGS = 4
"""Roundings that one layer may add, in steps of the number type, relative to what is computed; those of several layers
add up like their square root. A choice, with room for the order in which kernels add: in float32 `FLOOR` is above it
for any depth that is loaded here; in bfloat16 and float16 it is wide, so that only differences in kind are found."""
FLOOR = 2e-4
"""Below this no two ways differ in kind: a wrong position, mask or bias moves a layer by hundredths. It leaves the
fused kernels of other devices their room."""
TEXT = "What is the capital of Egypt? The capital of Egypt is Cairo, a city of twenty million people on the Nile."
ANOTHER = "choose a model of the table or of a known family"


@dataclass(frozen=True)
class Proof:
    """Which ways of running a model give what a row alone gives, read whole by Transformers' own forward."""

    bridge: bool = True
    """TransformerLens' forward."""
    left: bool = True
    """Rows of unequal length, filled up in front, then one more token of each."""
    right: bool = True
    """Rows of unequal length, filled up behind."""
    copied: bool = True
    """A cache whose rows are repeated."""
    dropped: bool = True
    """A cache that keeps some of its rows."""
    pieces: bool = True
    """Several tokens at once behind a cache."""
    shared: bool = True
    """Rows of unequal length behind one beginning that was read once for all."""
    seam: int | None = None
    """Length of a batch beyond which it is read with other rotary factors (longrope)."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What is done in another or a slower way for this model, in words."""
        told = {
            "TransformerLens' forward gives other figures than Transformers' own, which is used": self.bridge,
            "prompts of unequal length are answered one by one": self.left,
            "texts of unequal length are read one by one": self.right,
        }
        return tuple(note for note, holds in told.items() if not holds)


def seam(config: Any) -> int | None:
    """The length at which a configuration's rotary embedding changes its factors for the whole batch."""
    found = getattr(config, "rope_parameters", None) or {}
    kinds = [found, *(part for part in found.values() if isinstance(part, dict))]
    seams = [part.get("original_max_position_embeddings") for part in kinds if part.get("rope_type") == "longrope"]
    return min((int(one) for one in seams if one), default=None)


def prove(model: LoadedModel) -> Proof:
    """Try every way on a few tokens: a dozen forwards of at most four rows.

    Raises UnsupportedModel where the neurons are not what they are taken for, or where one token behind the cache is
    not the whole text's forward; NotFinite where weights or activations hold NaN or infinity.
    """
    turn = seam(model.plain.config)
    ids = _trial(model, max(8, min(TOKENS, model.info.context, turn or TOKENS)))
    with torch.inference_mode():
        try:
            truth = _truth(model, ids)
        except (HNeuronsError, torch.OutOfMemoryError, MemoryError):
            raise
        except Exception as error:  # whatever its own forward runs into
            raise UnsupportedModel(
                f"{model.info.name} cannot be run",
                f"Transformers' own forward of its {len(ids[0])} tokens fails ({str(error)[:120].rstrip('.:')})",
                "check its configuration against its weights, or choose another model",
            ) from error
        ways = _Ways(model, ids, truth)
        ways.must(ways.stepped, "one token read behind the cache")
        ways.must(ways.together, "a row of a batch")
        tried = {name: ways.holds(getattr(ways, name)) for name in _OPTIONAL}
    return Proof(**tried, seam=turn)


_OPTIONAL = ("bridge", "left", "right", "copied", "dropped", "pieces", "shared")


@dataclass(frozen=True)
class _Read:
    """One forward: logits [row pos vocab], empty without the output head, and each layer's (z, h) [row pos ...]."""

    logits: Tensor
    layers: list[tuple[Tensor, Tensor]]

    def part(self, row: int, where: slice) -> _Read:
        """One row's positions."""
        layers = [(z[row : row + 1, where], h[row : row + 1, where]) for z, h in self.layers]
        return _Read(self.logits[row : row + 1, where], layers)


def _read(model: LoadedModel, run: Callable[[], Any], tree: Tree = "plain") -> tuple[_Read, Any]:
    """(what was seen, the cache) of one forward."""
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
    return _Read(torch.empty(0) if logits is None else logits, layers), getattr(out, "past_key_values", None)


def _shortened(met: Sequence[int]) -> str:
    return ", ".join(map(str, met[:8])) + (" and on" if len(met) > 8 else "") if met else "none at all"


def _truth(model: LoadedModel, ids: Int[Tensor, "row pos"]) -> _Read:
    """The first row alone, whole; its z and h are proven to be neurons and the output that they make up."""
    truth, _ = _read(model, lambda: model.plain(ids[:1], use_cache=False))
    check = torch.stack([out_norm(h).cpu() for _, h in truth.layers])
    check_norms(check, used=torch.zeros_like(check[0], dtype=torch.bool))
    if not bool(truth.logits.isfinite().all()):
        raise not_finite("the logits of the first text that was tried are NaN or infinite")
    shapes = (*ids[:1].shape,)
    for layer, ((z, h), width) in enumerate(zip(truth.layers, model.info.widths, strict=True)):
        fits = z.shape == (*shapes, width) and h.shape[:2] == shapes
        made = z @ model.w_out(layer) if fits else z
        bias = getattr(model.outs[layer], "bias", None)
        made = made if bias is None or not fits else made + bias
        if not fits or _gap(made, h) > _allowed(h, 1):
            raise UnsupportedModel(
                f"layer {layer} of this model has no feed-forward neurons that can be named",
                "its down projection is not one plain product of neurons and their output directions",
                "choose a model whose weights are not quantised, of the table or of a known family",
            )
    return truth


def _trial(model: LoadedModel, length: int) -> Int[Tensor, "row pos"]:
    """Two texts of ordinary tokens, equally long."""
    table = model.plain.get_input_embeddings().get_parameter("weight").shape[0]
    told = [token for token in model.tokenizer(TEXT)["input_ids"] if token < table]
    told += [(17 + 29 * place) % table for place in range(length)]
    first = told[:length]
    return torch.tensor([first, [first[0], *first[:0:-1]]], device=model.device)


def _gap(found: Tensor, expected: Tensor) -> float:
    """How far apart, relative to what is expected, by the Euclidean norm; infinite where the shapes differ."""
    if found.shape != expected.shape:
        return math.inf
    found, expected = found.float(), expected.float().to(found.device)
    size, apart = float(expected.norm()), float((found - expected).norm())
    return apart / size if size else (0.0 if apart == 0 else math.inf)


def _allowed(values: Tensor, layers: int) -> float:
    return max(FLOOR, ROUNDINGS * torch.finfo(values.dtype).eps * math.sqrt(layers))


def _same(found: _Read, expected: _Read) -> bool:
    """Whether two forwards differ by roundings alone, in every layer and in the logits where both have them."""
    told = [(a, b, layer) for layer, pairs in enumerate(zip(found.layers, expected.layers, strict=True), 1)
            for a, b in zip(*pairs, strict=True)]  # fmt: skip
    if found.logits.numel():
        # Without what all tokens have in common, which no probability hangs on.
        a, b = (logits - logits.float().mean(-1, keepdim=True) for logits in (found.logits, expected.logits))
        told.append((a.to(found.logits.dtype), b.to(found.logits.dtype), len(found.layers) + 1))
    return all(_gap(a, b) <= _allowed(a, layers) for a, b, layers in told)


class _Ways:
    """Every way but the first, each as the verbs take it. A method tells whether its way gives the truth."""

    def __init__(self, model: LoadedModel, ids: Int[Tensor, "row pos"], truth: _Read) -> None:
        self.model, self.ids, self.truth = model, ids, truth
        self.long = ids.shape[1] - STEPS
        self.short = max(1, self.long - SHORTER)
        self.beginning = min(BEGINNING, self.short - 1)
        self.other = truth
        self.cache: Any = None

    def holds(self, way: Callable[[], bool]) -> bool:
        """Whether a way works and gives the truth. Raises only what is no fault of the way."""
        try:
            return way()
        except (HNeuronsError, torch.OutOfMemoryError, MemoryError):
            raise
        except Exception as error:  # what a family cannot do it says with any error
            log.info("%s: not %s (%s)", self.model.info.name, way.__name__, error)
            return False

    def must(self, way: Callable[[], bool], what: str) -> None:
        """Raises UnsupportedModel where a way that has no other in its place does not hold."""
        if not self.holds(way):
            versions = ", ".join(f"{name} {number}" for name, number in self.model.info.versions.items())
            raise UnsupportedModel(
                f"{self.model.info.name} cannot be used here",
                f"{what} does not give what the whole text gives, or not at all, with {versions}",
                "install the versions of requirements.lock, or choose another model",
            )

    def stepped(self) -> bool:
        """One token behind the cache of one row, and behind a copy of that cache."""
        begun, cache = _read(self.model, lambda: self.model.plain(self.ids[:1, : self.long], use_cache=True))
        kept = copy.deepcopy(cache)
        steps = [self._behind(one, self.ids[:1, self.long : self.long + 1]) for one in (cache, kept)]
        expected = self.truth.part(0, slice(self.long, self.long + 1))
        return _same(begun, self.truth.part(0, slice(0, self.long))) and all(_same(step, expected) for step in steps)

    def together(self) -> bool:
        """Two rows of equal length. Keeps their cache, and the other row's truth."""
        self.other, _ = _read(self.model, lambda: self.model.plain(self.ids[1:], use_cache=False))
        begun, self.cache = _read(self.model, lambda: self.model.plain(self.ids[:, : self.long], use_cache=True))
        until = slice(0, self.long)
        return _same(begun.part(0, until), self.truth.part(0, until)) and _same(
            begun.part(1, until), self.other.part(0, until)
        )

    def bridge(self) -> bool:
        """TransformerLens' forward of the whole text."""
        found, _ = _read(self.model, lambda: self.model.bridge(self.ids[:1]), "bridge")
        return _same(found, self.truth)

    def left(self) -> bool:
        """A long and a short row, filled up in front, and one more token of each."""
        gap = self.long - self.short
        row = self.ids[0].tolist()
        ids = torch.tensor([row[: self.long], [row[-1]] * gap + row[: self.short]], device=self.ids.device)
        mask = torch.ones_like(ids)
        mask[1, :gap] = 0
        places = (mask.cumsum(1) - 1).clamp_min(0)
        begun, cache = _read(
            self.model,
            lambda: self.model.plain(ids, attention_mask=mask, position_ids=places, use_cache=True),
        )
        ends = torch.tensor([[self.long], [self.short]], device=ids.device)
        mask = torch.cat([mask, torch.ones_like(ends)], dim=1)
        step = self._behind(cache, self.ids[0][ends], attention_mask=mask, position_ids=ends)
        return (
            _same(begun.part(0, slice(0, self.long)), self.truth.part(0, slice(0, self.long)))
            and _same(begun.part(1, slice(gap, None)), self.truth.part(0, slice(0, self.short)))
            and all(
                _same(step.part(row, slice(0, 1)), self.truth.part(0, slice(end, end + 1)))
                for row, end in enumerate((self.long, self.short))
            )
        )

    def copied(self) -> bool:
        """Each row of a cache twice."""
        cache = copy.deepcopy(self.cache)
        cache.batch_repeat_interleave(2)
        return self._next(cache, [0, 0, 1, 1])

    def dropped(self) -> bool:
        """The second row of a cache alone."""
        cache = copy.deepcopy(self.cache)
        cache.batch_select_indices(torch.tensor([1], device=self.ids.device))
        return self._next(cache, [1])

    def pieces(self) -> bool:
        """Several tokens at once behind the cache."""
        found = self._behind(copy.deepcopy(self.cache), self.ids[:, self.long :])
        where = slice(self.long, None)
        return _same(found.part(0, slice(None)), self.truth.part(0, where)) and _same(
            found.part(1, slice(None)), self.other.part(0, where)
        )

    def right(self) -> bool:
        """A long and a short row, filled up behind."""
        ids, mask = self._filled(0)
        body = self.model.plain.base_model
        found, _ = _read(self.model, lambda: body(ids, attention_mask=mask, use_cache=False))
        return self._rows_hold(found, 0)

    def shared(self) -> bool:
        """The same behind a beginning that was read once."""
        body, start = self.model.plain.base_model, self.beginning
        _, cache = _read(self.model, lambda: body(self.ids[:1, :start], use_cache=True))
        cache = copy.deepcopy(cache)
        cache.batch_repeat_interleave(2)
        ids, mask = self._filled(start)
        mask = torch.cat([mask.new_ones(2, start), mask], dim=1)
        found, _ = _read(self.model, lambda: body(ids, attention_mask=mask, past_key_values=cache, use_cache=True))
        return self._rows_hold(found, start)

    def _filled(self, start: int) -> tuple[Tensor, Tensor]:
        ids = self.ids[:1, start : self.long].repeat(2, 1)
        ids[1, self.short - start :] = ids[1, self.short - start - 1]
        mask = torch.ones_like(ids)
        mask[1, self.short - start :] = 0
        return ids, mask

    def _rows_hold(self, found: _Read, start: int) -> bool:
        bare = _Read(torch.empty(1, 0), found.layers)
        return all(
            _same(bare.part(row, slice(0, end - start)), self.truth.part(0, slice(start, end)))
            for row, end in enumerate((self.long, self.short))
        )

    def _behind(self, cache: Any, ids: Tensor, **extra: Tensor) -> _Read:
        found, _ = _read(self.model, lambda: self.model.plain(ids, past_key_values=cache, use_cache=True, **extra))
        return found

    def _next(self, cache: Any, rows: list[int]) -> bool:
        """The next token of these rows."""
        found = self._behind(cache, self.ids[rows, self.long : self.long + 1])
        where = slice(self.long, self.long + 1)
        return all(
            _same(found.part(place, slice(0, 1)), (self.truth, self.other)[row].part(0, where))
            for place, row in enumerate(rows)
        )
