"""Checks, when a model is loaded, which ways of running it give the same results, on a few tokens.

Owns `Proof`. The reference is a single row, read whole by Transformers' own forward pass. Every other way that the
verbs use (TransformerLens' forward pass, one token after a cache, rows of unequal length in one batch, rows that are
removed or copied) is compared with it, in logits and in every layer's z and h. A way that differs is not used: a slower
one is used instead. If there is none, the model is rejected. Nothing is assumed from the name of a family. What is
right for a few tokens may be wrong for longer texts: for these, TransformerLens' forward pass is checked again
(`backend.models.readings.tree_of`).
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
from backend.models.readings import TOKENS, Reading, Tolerance, allowed, gap, read_forward

if TYPE_CHECKING:
    from backend.models.loaded import LoadedModel

log = logging.getLogger(__name__)

SHORTER, STEPS, BEGINNING = 5, 3, 5
"""Difference in length of the two rows; number of tokens read after the cache; length of the shared beginning."""
TEXT = "What is the capital of Egypt? The capital of Egypt is Cairo, a city of twenty million people on the Nile."


@dataclass(frozen=True)
class Proof:
    """Which ways of running a model give the same as a single row, read whole by Transformers' own forward pass."""

    bridge: bool = True
    """TransformerLens' forward pass."""
    left: bool = True
    """Rows of unequal length with padding on the left, then one more token of each."""
    right: bool = True
    """Rows of unequal length with padding on the right."""
    copied: bool = True
    """A cache whose rows are repeated."""
    dropped: bool = True
    """A cache that keeps some of its rows."""
    pieces: bool = True
    """Several tokens at once after a cache."""
    joined: bool = True
    """A row whose cache is joined to that of others."""
    shared: bool = True
    """Rows of unequal length after a shared beginning that was read once."""
    whole: bool = True
    """Every layer reads every position of a prompt, even if only the last logits are requested."""
    seam: int | None = None
    """Number of tokens beyond which the whole batch is read with other rotary factors (longrope)."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What is done in a slower way for this model, in words."""
        notes = {
            "TransformerLens' forward gives other figures than Transformers' own, which is used": self.bridge,
            "prompts of unequal length are answered one by one": self.left,
            "texts of unequal length are read one by one": self.right,
        }
        return tuple(note for note, holds in notes.items() if not holds)


def seam(config: Any) -> int | None:
    """The length at which a configuration's rotary embedding changes its factors for the whole batch, or None."""
    rotary = getattr(config, "rope_parameters", None) or {}
    kinds = [rotary, *(part for part in rotary.values() if isinstance(part, dict))]
    seams = [part.get("original_max_position_embeddings") for part in kinds if part.get("rope_type") == "longrope"]
    return min((int(length) for length in seams if length), default=None)


def prove(model: LoadedModel) -> Proof:
    """Try every way on a few tokens: a dozen forward passes of at most four rows.

    Raises UnsupportedModel if z times the output directions is not h, or if one token after the cache gives other
    results than the whole text; NotFinite if weights or activations hold NaN or infinity.
    """
    turn = seam(model.plain.config)
    ids = _trial_texts(model, max(8, min(TOKENS, model.info.context, turn or TOKENS)))
    with torch.inference_mode():
        try:
            truth = _true_reading(model, ids)
        except (HNeuronsError, torch.OutOfMemoryError, MemoryError):
            raise
        except Exception as error:  # the model's own forward pass may raise any error
            log.info("%s: its own forward fails", model.info.name, exc_info=True)
            raise UnsupportedModel(
                f"{model.info.name} cannot be run",
                f"Transformers' own forward fails at a text of {len(ids[0])} tokens",
                "check its configuration against its weights, or choose another model",
            ) from error
        ways = _Ways(model, ids, truth)
        ways.require(ways.stepped, "one token read behind the cache")
        ways.require(ways.together, "a row of a batch")
        moved = ways.holds(ways.moved)
        known = dict.fromkeys(("copied", "dropped"), True) if moved else {}
        tried = {name: known.get(name) or ways.holds(getattr(ways, name)) for name in _OPTIONAL}
    return Proof(**tried, whole=ways.whole, seam=turn)


_OPTIONAL = ("bridge", "left", "right", "copied", "dropped", "pieces", "joined", "shared")


def _true_reading(model: LoadedModel, ids: Int[Tensor, "row pos"]) -> Reading:
    """The reading of the first row alone; checks that z times the output directions, plus the bias, is h."""
    truth, _ = read_forward(model, lambda: model.plain(ids[:1], use_cache=False))
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


def _trial_texts(model: LoadedModel, length: int) -> Int[Tensor, "row pos"]:
    """Two texts of ordinary tokens, of equal length."""
    table = model.plain.get_input_embeddings().get_parameter("weight").shape[0]
    token_ids = [token for token in model.tokenizer(TEXT)["input_ids"] if token < table]
    token_ids += [(17 + 29 * place) % table for place in range(length)]
    chosen = token_ids[:length]
    return torch.tensor([chosen, [chosen[0], *chosen[:0:-1]]], device=model.device)


class _Ways:
    """Every way except the reference, each as the verbs use it. A method returns whether its way gives `truth`."""

    def __init__(self, model: LoadedModel, ids: Int[Tensor, "row pos"], truth: Reading) -> None:
        self.model, self.ids, self.truth = model, ids, truth
        self.long = ids.shape[1] - STEPS
        self.short = max(1, self.long - SHORTER)
        self.beginning = min(BEGINNING, self.short - 1)
        self.tolerance = Tolerance(model, ids, truth)
        self._same = self.tolerance.same
        self.uncached, self.whole = False, True
        self.cache: Any = None

    def holds(self, way: Callable[[], bool]) -> bool:
        """Whether a way works and gives `truth`. Raises only errors that are not caused by the way itself."""
        try:
            holds = way()
        except (HNeuronsError, torch.OutOfMemoryError, MemoryError):
            raise
        except Exception:  # a family may raise any error for what it does not support
            log.info("%s: %s fails", self.model.info.name, way.__name__, exc_info=True)
            self.tolerance.difference = "Transformers' own forward fails there"
            holds = False
        if not holds:
            log.info("%s: not %s (%s)", self.model.info.name, way.__name__, self.tolerance.difference)
        return holds

    def require(self, way: Callable[[], bool], what: str) -> None:
        """Raises UnsupportedModel if `way` fails; for ways that no other can replace."""
        if self.holds(way):
            return
        narrow = "" if self.model.info.dtype == "float32" else "open it in float32, "
        locked = "" if self.uncached else "install the versions of requirements.lock, "
        raise UnsupportedModel(
            f"{self.model.info.name} cannot be used here",
            f"{what} does not give what the whole text gives ({self.tolerance.difference})",
            f"{narrow}{locked}or choose another model".removeprefix("or "),
        )

    def stepped(self) -> bool:
        """One token after the cache of one row, and after a copy of that cache."""
        begun, cache = self._read_prompts(self.ids[:1, : self.long])
        if cache is None:
            self.uncached = True
            self.tolerance.difference = f"Transformers' {type(self.model.plain).__name__} keeps no cache"
            return False
        copied_cache = copy.deepcopy(cache)
        steps = [
            self._read_behind_cache(tried_cache, self.ids[:1, self.long : self.long + 1])
            for tried_cache in (cache, copied_cache)
        ]
        expected = self.truth.part(0, slice(self.long, self.long + 1))
        return self._is_prompt(begun, 0, self.long) and all(self._same(step, expected) for step in steps)

    def together(self) -> bool:
        """The row in a batch with another of equal length. Stores their cache in `cache`."""
        self.both = self.ids.flip(0)
        begun, self.cache = self._read_prompts(self.both[:, : self.long])
        return self._is_prompt(begun, 1, self.long)

    def bridge(self) -> bool:
        """TransformerLens' forward pass over the whole text."""
        reading, _ = read_forward(self.model, lambda: self.model.bridge(self.ids[:1]), "bridge")
        return self._same(reading, self.truth)

    def left(self) -> bool:
        """A long and a short row with padding on the left, and one more token of each."""
        before = self.long - self.short
        row = self.ids[0].tolist()
        ids = torch.tensor([row[: self.long], [row[-1]] * before + row[: self.short]], device=self.ids.device)
        mask = torch.ones_like(ids)
        mask[1, :before] = 0
        places = (mask.cumsum(1) - 1).clamp_min(0)
        begun, cache = self._read_prompts(ids, attention_mask=mask, position_ids=places)
        ends = torch.tensor([[self.long], [self.short]], device=ids.device)
        mask = torch.cat([mask, torch.ones_like(ends)], dim=1)
        step = self._read_behind_cache(cache, self.ids[0][ends], attention_mask=mask, position_ids=ends)
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
        return self._gives_next_token(cache, [0, 0, 1, 1])

    def dropped(self) -> bool:
        """The second row of a cache alone."""
        cache = copy.deepcopy(self.cache)
        cache.batch_select_indices(torch.tensor([1], device=self.ids.device))
        return self._gives_next_token(cache, [1])

    def moved(self) -> bool:
        """`copied` and `dropped` together: each row twice, then all but the first. If this is right, both are."""
        cache = copy.deepcopy(self.cache)
        cache.batch_repeat_interleave(2)
        cache.batch_select_indices(torch.tensor([1, 2, 3], device=self.ids.device))
        return self._gives_next_token(cache, [0, 1, 1])

    def pieces(self) -> bool:
        """Several tokens at once after the cache."""
        reading = self._read_behind_cache(copy.deepcopy(self.cache), self.both[:, self.long :])
        return self._same(reading.part(1, slice(None)), self.truth.part(0, slice(self.long, None)))

    def joined(self) -> bool:
        """A short row that was read alone, joined to the cache of the long ones; then the next token of each."""
        _, short = self._read_prompts(self.ids[:1, : self.short])
        if not (caches.is_plain(self.cache) and caches.is_plain(short)):
            self.tolerance.difference = "its cache holds more than keys and values by position"
            return False
        cache = caches.join(self.cache, short, self.long, self.short)
        mask = torch.ones(3, self.long + 1, dtype=torch.long, device=self.ids.device)
        mask[2, : self.long - self.short] = 0
        ends = torch.tensor([[self.long], [self.long], [self.short]], device=self.ids.device)
        next_tokens = torch.stack([self.both[0][self.long], self.ids[0][self.long], self.ids[0][self.short]])[:, None]
        reading = self._read_behind_cache(cache, next_tokens, attention_mask=mask, position_ids=ends)
        return all(
            self._same(reading.part(row, slice(0, 1)), self.truth.part(0, slice(end, end + 1)))
            for row, end in ((1, self.long), (2, self.short))
        )

    def right(self) -> bool:
        """A long and a short row with padding on the right."""
        ids, mask = self._padded_rows(0)
        body = self.model.plain.base_model
        reading, _ = read_forward(self.model, lambda: body(ids, attention_mask=mask, use_cache=False))
        return self._rows_hold(reading, 0)

    def shared(self) -> bool:
        """As `right`, after a beginning that was read once."""
        body, start = self.model.plain.base_model, self.beginning
        _, cache = read_forward(self.model, lambda: body(self.ids[:1, :start], use_cache=True))
        cache = copy.deepcopy(cache)
        cache.batch_repeat_interleave(2)
        ids, mask = self._padded_rows(start)
        mask = torch.cat([mask.new_ones(2, start), mask], dim=1)
        reading, _ = read_forward(
            self.model, lambda: body(ids, attention_mask=mask, past_key_values=cache, use_cache=True)
        )
        return self._rows_hold(reading, start)

    def _padded_rows(self, start: int) -> tuple[Tensor, Tensor]:
        ids = self.ids[:1, start : self.long].repeat(2, 1)
        ids[1, self.short - start :] = ids[1, self.short - start - 1]
        mask = torch.ones_like(ids)
        mask[1, self.short - start :] = 0
        return ids, mask

    def _rows_hold(self, reading: Reading, start: int) -> bool:
        bare = Reading(torch.empty(1, 0), reading.layers)
        return all(
            self._same(bare.part(row, slice(0, end - start)), self.truth.part(0, slice(start, end)))
            for row, end in enumerate((self.long, self.short))
        )

    def _read_prompts(self, ids: Tensor, **extra: Tensor) -> tuple[Reading, Any]:
        """Read prompts as the verbs do: only the last logits are computed, and the cache gets room for more tokens."""
        begun, cache = read_forward(
            self.model, lambda: self.model.plain(ids, use_cache=True, logits_to_keep=1, **extra)
        )
        caches.make_room(cache)
        return begun, cache

    def _is_prompt(self, reading: Reading, row: int, length: int) -> bool:
        """Whether the last `length` positions of a row equal the first positions of `truth`.

        If only the last logits are requested, some layers of some families (Gemma 4) read the last position alone.
        """
        wanted = self.truth.part(0, slice(0, length))
        seen = [min(length, z.shape[1]) for z, _ in reading.layers]
        self.whole = self.whole and min(seen) == length
        ours = [(z[row : row + 1, -n:], h[row : row + 1, -n:]) for n, (z, h) in zip(seen, reading.layers, strict=True)]
        theirs = [(z[:, -n:], h[:, -n:]) for n, (z, h) in zip(seen, wanted.layers, strict=True)]
        return self._same(Reading(reading.logits[row : row + 1, -1:], ours), Reading(wanted.logits[:, -1:], theirs))

    def _read_behind_cache(self, cache: Any, ids: Tensor, **extra: Tensor) -> Reading:
        reading, _ = read_forward(
            self.model, lambda: self.model.plain(ids, past_key_values=cache, use_cache=True, **extra)
        )
        return reading

    def _gives_next_token(self, cache: Any, rows: list[int]) -> bool:
        """Whether the next token is right in those of `rows` that are 1, the first text."""
        reading = self._read_behind_cache(cache, self.both[rows, self.long : self.long + 1])
        expected = self.truth.part(0, slice(self.long, self.long + 1))
        return all(self._same(reading.part(place, slice(0, 1)), expected) for place, row in enumerate(rows) if row == 1)
