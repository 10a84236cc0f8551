"""What a model's ways of being run have in common, found out on a few tokens when it is loaded.

Owns `Proof`: a row alone, read whole by Transformers' own forward, is the truth, and every other way that the verbs
take (TransformerLens' forward, one token behind a cache, rows of unequal length in one batch, rows that leave or are
copied) is held to it, in logits and in every layer's z and h. A way that differs is not taken: there is a slower one.
Where there is none the model is refused. Nothing is assumed of a family by its name. What holds on a few tokens need
not hold far behind them: there TransformerLens' forward is looked at again (`backend.models.readings.tree_of`).
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Int
from torch import Tensor

from backend.errors import HNeuronsError, UnsupportedModel
from backend.forward.cett import check_norms, not_finite, out_norm
from backend.forward.rows import caches
from backend.models.readings import TOKENS, Read, Tolerance, allowed, gap, read

if TYPE_CHECKING:
    from backend.models.loaded import LoadedModel

log = logging.getLogger(__name__)

SHORTER, STEPS, BEGINNING = 5, 3, 5
"""By how much the other row is shorter; tokens left for behind the cache; tokens read once for both rows."""
TEXT = "What is the capital of Egypt? The capital of Egypt is Cairo, a city of twenty million people on the Nile."


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
    joined: bool = True
    """A row that joins others behind their cache."""
    shared: bool = True
    """Rows of unequal length behind one beginning that was read once for all."""
    whole: bool = True
    """Every layer reads every position of a prompt, also where only the last logits are asked for."""
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
            log.info("%s: its own forward fails", model.info.name, exc_info=True)
            raise UnsupportedModel(
                f"{model.info.name} cannot be run",
                f"Transformers' own forward fails at a text of {len(ids[0])} tokens",
                "check its configuration against its weights, or choose another model",
            ) from error
        ways = _Ways(model, ids, truth)
        ways.must(ways.stepped, "one token read behind the cache")
        ways.must(ways.together, "a row of a batch")
        moved = ways.holds(ways.moved)
        known = dict.fromkeys(("copied", "dropped"), True) if moved else {}
        tried = {name: known.get(name) or ways.holds(getattr(ways, name)) for name in _OPTIONAL}
    return Proof(**tried, whole=ways.whole, seam=turn)


_OPTIONAL = ("bridge", "left", "right", "copied", "dropped", "pieces", "joined", "shared")


def _truth(model: LoadedModel, ids: Int[Tensor, "row pos"]) -> Read:
    """The first row alone, whole; its z and h are proven to be neurons and the output that they make up."""
    truth, _ = read(model, lambda: model.plain(ids[:1], use_cache=False))
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
        if not fits or gap(made, h) > allowed(h.dtype):
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


class _Ways:
    """Every way but the first, each as the verbs take it. A method tells whether its way gives the truth."""

    def __init__(self, model: LoadedModel, ids: Int[Tensor, "row pos"], truth: Read) -> None:
        self.model, self.ids, self.truth = model, ids, truth
        self.long = ids.shape[1] - STEPS
        self.short = max(1, self.long - SHORTER)
        self.beginning = min(BEGINNING, self.short - 1)
        self.tolerance = Tolerance(model, ids, truth)
        self._same = self.tolerance.same
        self.uncached, self.whole = False, True
        self.cache: Any = None

    def holds(self, way: Callable[[], bool]) -> bool:
        """Whether a way works and gives the truth. Raises only what is no fault of the way."""
        try:
            holds = way()
        except (HNeuronsError, torch.OutOfMemoryError, MemoryError):
            raise
        except Exception:  # what a family cannot do it says with any error
            log.info("%s: %s fails", self.model.info.name, way.__name__, exc_info=True)
            self.tolerance.said = "Transformers' own forward fails there"
            holds = False
        if not holds:
            log.info("%s: not %s (%s)", self.model.info.name, way.__name__, self.tolerance.said)
        return holds

    def must(self, way: Callable[[], bool], what: str) -> None:
        """Raises UnsupportedModel where a way that has no other in its place does not hold."""
        if self.holds(way):
            return
        narrow = "" if self.model.info.dtype == "float32" else "open it in float32, "
        locked = "" if self.uncached else "install the versions of requirements.lock, "
        raise UnsupportedModel(
            f"{self.model.info.name} cannot be used here",
            f"{what} does not give what the whole text gives ({self.tolerance.said})",
            f"{narrow}{locked}or choose another model".removeprefix("or "),
        )

    def stepped(self) -> bool:
        """One token behind the cache of one row, and behind a copy of that cache."""
        begun, cache = self._begun(self.ids[:1, : self.long])
        if cache is None:
            self.uncached = True
            self.tolerance.said = f"Transformers' {type(self.model.plain).__name__} keeps no cache"
            return False
        kept = copy.deepcopy(cache)
        steps = [self._behind(one, self.ids[:1, self.long : self.long + 1]) for one in (cache, kept)]
        expected = self.truth.part(0, slice(self.long, self.long + 1))
        return self._is_prompt(begun, 0, self.long) and all(self._same(step, expected) for step in steps)

    def together(self) -> bool:
        """The row beside and behind another of equal length. Keeps their cache."""
        self.both = self.ids.flip(0)
        begun, self.cache = self._begun(self.both[:, : self.long])
        return self._is_prompt(begun, 1, self.long)

    def bridge(self) -> bool:
        """TransformerLens' forward of the whole text."""
        found, _ = read(self.model, lambda: self.model.bridge(self.ids[:1]), "bridge")
        return self._same(found, self.truth)

    def left(self) -> bool:
        """A long and a short row, filled up in front, and one more token of each."""
        before = self.long - self.short
        row = self.ids[0].tolist()
        ids = torch.tensor([row[: self.long], [row[-1]] * before + row[: self.short]], device=self.ids.device)
        mask = torch.ones_like(ids)
        mask[1, :before] = 0
        places = (mask.cumsum(1) - 1).clamp_min(0)
        begun, cache = self._begun(ids, attention_mask=mask, position_ids=places)
        ends = torch.tensor([[self.long], [self.short]], device=ids.device)
        mask = torch.cat([mask, torch.ones_like(ends)], dim=1)
        step = self._behind(cache, self.ids[0][ends], attention_mask=mask, position_ids=ends)
        return (
            self._is_prompt(begun, 0, self.long)
            and self._is_prompt(begun, 1, self.short)
            and all(
                self._same(step.part(row, slice(0, 1)), self.truth.part(0, slice(end, end + 1)))
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

    def moved(self) -> bool:
        """`copied` and `dropped` in one: each row twice, then all but the first. Where this holds, both do."""
        cache = copy.deepcopy(self.cache)
        cache.batch_repeat_interleave(2)
        cache.batch_select_indices(torch.tensor([1, 2, 3], device=self.ids.device))
        return self._next(cache, [0, 1, 1])

    def pieces(self) -> bool:
        """Several tokens at once behind the cache."""
        found = self._behind(copy.deepcopy(self.cache), self.both[:, self.long :])
        return self._same(found.part(1, slice(None)), self.truth.part(0, slice(self.long, None)))

    def joined(self) -> bool:
        """A short row that was read alone, beside the long ones behind their cache, then the next token of each."""
        _, short = self._begun(self.ids[:1, : self.short])
        if not (caches.is_plain(self.cache) and caches.is_plain(short)):
            self.tolerance.said = "its cache holds more than keys and values by position"
            return False
        cache = caches.join(self.cache, short, self.long, self.short)
        mask = torch.ones(3, self.long + 1, dtype=torch.long, device=self.ids.device)
        mask[2, : self.long - self.short] = 0
        ends = torch.tensor([[self.long], [self.long], [self.short]], device=self.ids.device)
        next_ = torch.stack([self.both[0][self.long], self.ids[0][self.long], self.ids[0][self.short]])[:, None]
        found = self._behind(cache, next_, attention_mask=mask, position_ids=ends)
        return all(
            self._same(found.part(row, slice(0, 1)), self.truth.part(0, slice(end, end + 1)))
            for row, end in ((1, self.long), (2, self.short))
        )

    def right(self) -> bool:
        """A long and a short row, filled up behind."""
        ids, mask = self._filled(0)
        body = self.model.plain.base_model
        found, _ = read(self.model, lambda: body(ids, attention_mask=mask, use_cache=False))
        return self._rows_hold(found, 0)

    def shared(self) -> bool:
        """The same behind a beginning that was read once."""
        body, start = self.model.plain.base_model, self.beginning
        _, cache = read(self.model, lambda: body(self.ids[:1, :start], use_cache=True))
        cache = copy.deepcopy(cache)
        cache.batch_repeat_interleave(2)
        ids, mask = self._filled(start)
        mask = torch.cat([mask.new_ones(2, start), mask], dim=1)
        found, _ = read(self.model, lambda: body(ids, attention_mask=mask, past_key_values=cache, use_cache=True))
        return self._rows_hold(found, start)

    def _filled(self, start: int) -> tuple[Tensor, Tensor]:
        ids = self.ids[:1, start : self.long].repeat(2, 1)
        ids[1, self.short - start :] = ids[1, self.short - start - 1]
        mask = torch.ones_like(ids)
        mask[1, self.short - start :] = 0
        return ids, mask

    def _rows_hold(self, found: Read, start: int) -> bool:
        bare = Read(torch.empty(1, 0), found.layers)
        return all(
            self._same(bare.part(row, slice(0, end - start)), self.truth.part(0, slice(start, end)))
            for row, end in enumerate((self.long, self.short))
        )

    def _begun(self, ids: Tensor, **extra: Tensor) -> tuple[Read, Any]:
        """Prompts as they are read: of their logits only the last are made, and their cache has room behind it."""
        begun, cache = read(self.model, lambda: self.model.plain(ids, use_cache=True, logits_to_keep=1, **extra))
        caches.make_room(cache)
        return begun, cache

    def _is_prompt(self, found: Read, row: int, length: int) -> bool:
        """Whether the last `length` positions of a row are the first of the truth.

        Where only the last logits are asked for, some families (Gemma 4) read the last position alone in some layers.
        """
        wanted = self.truth.part(0, slice(0, length))
        seen = [min(length, z.shape[1]) for z, _ in found.layers]
        self.whole = self.whole and min(seen) == length
        ours = [(z[row : row + 1, -n:], h[row : row + 1, -n:]) for n, (z, h) in zip(seen, found.layers, strict=True)]
        theirs = [(z[:, -n:], h[:, -n:]) for n, (z, h) in zip(seen, wanted.layers, strict=True)]
        return self._same(Read(found.logits[row : row + 1, -1:], ours), Read(wanted.logits[:, -1:], theirs))

    def _behind(self, cache: Any, ids: Tensor, **extra: Tensor) -> Read:
        found, _ = read(self.model, lambda: self.model.plain(ids, past_key_values=cache, use_cache=True, **extra))
        return found

    def _next(self, cache: Any, rows: list[int]) -> bool:
        """The next token of these rows; of those that are the first text again."""
        found = self._behind(cache, self.both[rows, self.long : self.long + 1])
        expected = self.truth.part(0, slice(self.long, self.long + 1))
        return all(self._same(found.part(place, slice(0, 1)), expected) for place, row in enumerate(rows) if row == 1)
