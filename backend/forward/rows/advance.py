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
    chosen = choose(logits, [running.row.decoding for running in rows], [running.generator for running in rows])
    scored = [place for place, running in enumerate(rows) if running.row.scores and running.finish is None]
    log_probs, entropies = _scores(logits, chosen, scored)
    for place, token in enumerate(chosen.tolist()):
        running = rows[place]
        if running.left:
            continue
        if running.finish is not None:
            running.left = True
        elif not fine[place]:
            running.error, running.left = _wild(model, running), True
        else:
            _note(model, running, token, log_probs.get(place), entropies.get(place))
    return chosen


def _note(model: LoadedModel, running: Running, token: int, log_prob: float | None, entropy: float | None) -> None:
    row = running.row
    shown = row.scores or bool(row.decoding.stop)
    if token in model.ends and not row.ignore_ends:
        running.finish, running.left = "end", True
    else:
        running.ids.append(token)
        if log_prob is not None and entropy is not None:
            running.log_probs.append(log_prob)
            running.entropies.append(entropy)
        stopped = False
        if shown:
            running.text, stopped = cut(to_text(model, running.ids), row.decoding.stop)
        if stopped:
            running.finish = "stop_text"
        elif len(running.ids) == row.decoding.max_new_tokens:
            running.finish = "length"
        running.left = running.finish is not None and not row.watched("answer")
        running.told(running)
    if running.finish is not None and not shown:
        running.text = to_text(model, running.ids)


def _wild(model: LoadedModel, running: Running) -> NotFinite:
    """Why a row's next token cannot be chosen; the first layer is named where that can be seen."""
    ids = [*running.row.ids, *running.ids]
    if not running.row.plan.neurons:
        try:
            refuse_text(model, ids)
        except NotFinite as error:
            return error
    return not_finite(
        f"the logits behind token {len(ids) - 1} of row {running.row.place} (the first is 0) are NaN or infinite"
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
    places = [text.find(stop) for stop in stops if stop and stop in text]
    return (text[: min(places)], True) if places else (text, False)
