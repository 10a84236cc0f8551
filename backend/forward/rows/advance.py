"""What the logits of a forward make of its rows: each one's next token, its figures, whether it is done.

Owns the ends of an answer (end token, stop text, length) and the refusal of logits that are no numbers, row by row: a
row that is given up harms none beside it. Refuses forwards and caches.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from backend.errors import NotFinite
from backend.forward.cett import not_finite
from backend.forward.finite import refuse_text
from backend.forward.prompting import decode as to_text
from backend.forward.row import Running
from backend.forward.rows.choosing import choose, scores
from backend.models.loaded import LoadedModel


def advance(model: LoadedModel, rows: Sequence[Running], logits: Float[Tensor, "row vocab"]) -> Int[Tensor, " row"]:
    """Choose and note each row's next token; rows that are done are marked so. No hook may act meanwhile.

    A row that has ended, but whose last token is captured, is done once that has been read: now.
    """
    finite = logits.amax(-1).isfinite()
    fine = finite.tolist()
    if not all(fine):
        logits = torch.where(finite[:, None], logits, 0.0)
    chosen = choose(logits, [one.row.decoding for one in rows], [one.generator for one in rows])
    scored = [place for place, one in enumerate(rows) if one.row.scores and one.finish is None]
    log_probs, entropies = _scores(logits, chosen, scored)
    for place, token in enumerate(chosen.tolist()):
        one = rows[place]
        if one.left:
            continue
        if one.finish is not None:
            one.left = True
        elif not fine[place]:
            one.error, one.left = _wild(model, one), True
        else:
            _note(model, one, token, log_probs.get(place), entropies.get(place))
    return chosen


def _note(model: LoadedModel, one: Running, token: int, log_prob: float | None, entropy: float | None) -> None:
    row = one.row
    shown = row.scores or bool(row.decoding.stop)
    if token in model.ends and not row.ignore_ends:
        one.finish, one.left = "end", True
    else:
        one.ids.append(token)
        if log_prob is not None and entropy is not None:
            one.log_probs.append(log_prob)
            one.entropies.append(entropy)
        stopped = False
        if shown:
            one.text, stopped = cut(to_text(model, one.ids), row.decoding.stop)
        if stopped:
            one.finish = "stop_text"
        elif len(one.ids) == row.decoding.max_new_tokens:
            one.finish = "length"
        one.left = one.finish is not None and not row.watched("answer")
        one.told(one)
    if one.finish is not None and not shown:
        one.text = to_text(model, one.ids)


def _wild(model: LoadedModel, one: Running) -> NotFinite:
    """Why a row's next token cannot be chosen; the first layer is named where that can be seen."""
    ids = [*one.row.ids, *one.ids]
    if not one.row.plan.neurons:
        try:
            refuse_text(model, ids)
        except NotFinite as error:
            return error
    return not_finite(
        f"the logits behind token {len(ids) - 1} of row {one.row.place} (the first is 0) are NaN or infinite"
    )


def _scores(
    logits: Float[Tensor, "row vocab"], chosen: Int[Tensor, " row"], places: list[int]
) -> tuple[dict[int, float], dict[int, float]]:
    """Place -> log-probability of the chosen token, and entropy."""
    if not places:
        return {}, {}
    if len(places) < len(logits):
        index = torch.tensor(places, device=logits.device)
        logits, chosen = logits[index], chosen[index]
    log_probs, entropies = (value.tolist() for value in scores(logits, chosen))
    return dict(zip(places, log_probs, strict=True)), dict(zip(places, entropies, strict=True))


def cut(text: str, stops: Sequence[str]) -> tuple[str, bool]:
    """`text` up to the first stop text in it, and whether there was one."""
    found = [text.find(stop) for stop in stops if stop and stop in text]
    return (text[: min(found)], True) if found else (text, False)
