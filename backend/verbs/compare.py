"""The verb compare: one prompt under several interventions, all rows of one batch.

Owns how a `Comparison` comes about. Two passes over one batch under one set of hooks: all rows answer, then
all rows read the baseline's own answer, on a copy of the cache that the prompt left. The second pass gives
the divergence and the change of CETT at the same tokens in every row.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from backend.forward import prompting
from backend.forward.cett import PeakSink, not_finite
from backend.forward.controls import plan
from backend.forward.generation import Answer, Decoded, decode
from backend.forward.interventions import Live, prove, scaled
from backend.forward.prompting import Encoded
from backend.models.hooks import observe
from backend.models.loaded import LoadedModel
from backend.statistics.intervals import mean_interval
from backend.text.diff import first_split, tokens_changed, word_diff
from backend.types import (
    Candidate,
    CompareRequest,
    Comparison,
    PromptEvent,
    Row,
    RowPlan,
    Split,
    StageEvent,
    Touched,
)
from backend.verbs.explore import answer_tokens, blamed, teller
from backend.watch import Watch, check

CHUNK = 32
"""Positions of the baseline's answer read at once: bounds the logits held, not the result."""
CANDIDATES = 10
END = -1
"""Stands for the end token where two answers are compared: which end token it was does not matter."""


def compare(model: LoadedModel, request: CompareRequest, watch: Watch) -> Comparison:
    """Answer under every arm and measure what moved.

    Raises BadPrompt, BadNeurons, InterventionUnused, ZeroOutput, NotFinite, Stopped.
    """
    plans = plan(request, model.info.widths)
    prompt = prompting.encode(model, request, room=request.decoding.max_new_tokens)
    told = prompting.token_infos(model, prompt.ids, prompt.roles)
    watch.emit(PromptEvent(tokens=told, rows=plans))
    before, along = PeakSink(model.w_norms), PeakSink(model.w_norms)
    with (
        blamed(model, prompt.ids),
        scaled(model, plans, request.positions) as live,
        torch.inference_mode(),
    ):
        decoded = _answer_all(model, request, prompt, plans, live, before, watch)
        touched = prove(live, plans)
        watch.emit(StageEvent(stage="reading the baseline's answer in every row"))
        forced = _read_baseline(model, decoded, live, along, watch)
    moved = _moved(before, along)
    rows = tuple(
        _row(model, place, plans[place], decoded, touched[place], forced, moved) for place in range(len(plans))
    )
    return Comparison(request=request, model=model.info, prompt_tokens=told, rows=rows)


def _answer_all(
    model: LoadedModel,
    request: CompareRequest,
    prompt: Encoded,
    plans: tuple[RowPlan, ...],
    live: Live,
    sink: PeakSink,
    watch: Watch,
) -> Decoded:
    """Decode every row; `sink` sees the prompt only, and is asked at once whether it is finite."""
    with ExitStack() as reading:
        reading.enter_context(observe(model, sink))

        def read() -> None:
            reading.close()
            sink.norms.check()

        return decode(
            model,
            [prompt.ids] * len(plans),
            request.decoding,
            live=live,
            watch=watch,
            on_token=teller(model, watch),
            on_prompt=read,
            keep_cache=True,
        )


@dataclass
class Forced:
    """All rows along the baseline's answer.

    kl [row place]: D(baseline || row) in nats where answer token `place` is predicted, and one place more.
    splits: row -> (place, baseline's distribution there, row's distribution there).
    """

    kl: Float[Tensor, "row place"]
    splits: dict[int, tuple[int, Tensor, Tensor]] = field(default_factory=dict)


def sequence(answer: Answer) -> list[int]:
    """An answer's tokens, with `END` behind them where the model ended it."""
    return answer.ids + ([END] if answer.finish == "end" else [])


def _read_baseline(model: LoadedModel, decoded: Decoded, live: Live, sink: PeakSink, watch: Watch) -> Forced:
    """Teacher-forced: every row reads the baseline's answer behind its own reading of the prompt."""
    baseline = decoded.answers[0]
    rows = len(decoded.answers)
    places = {row: first_split(sequence(baseline), sequence(answer)) for row, answer in enumerate(decoded.answers)}
    live.rows, live.phase, live.padding, live.done = list(range(rows)), "answer", None, set()
    forced = Forced(torch.zeros(rows, 0))
    logits = decoded.first_logits[:, None]
    _note(forced, logits, 0, places)
    chunk = CHUNK if model.proof.pieces else 1
    with observe(model, sink):
        for start in range(0, len(baseline.ids), chunk):
            check(watch)
            piece = torch.tensor([baseline.ids[start : start + chunk]] * rows, device=model.device)
            logits = model.plain(piece, past_key_values=decoded.cache, use_cache=True).logits.float()
            _note(forced, logits, start + 1, places)
    sink.norms.check()
    bad = (~forced.kl.isfinite()).nonzero()
    if len(bad):
        row, place = bad[0].tolist()
        raise not_finite(f"row {row}'s logits that predict token {place} of the baseline's answer are NaN or infinite")
    return forced


def _note(forced: Forced, logits: Float[Tensor, "row pos vocab"], start: int, places: dict[int, int | None]) -> None:
    """Divergence at these places, and both distributions where a row parts here."""
    log_probs = logits.log_softmax(-1)
    base = log_probs[:1]
    kl = (base.exp() * (base - log_probs).clamp(-1e4, 1e4)).sum(-1).clamp_min(0).cpu()
    forced.kl = torch.cat([forced.kl, kl], dim=1)
    for row, place in places.items():
        if place is not None and start <= place < start + logits.shape[1]:
            here = log_probs[:, place - start].exp()
            forced.splits[row] = (place, here[0], here[row])


def _moved(before: PeakSink, along: PeakSink) -> tuple[np.ndarray, np.ndarray]:
    """(sums, maxima) [layer row pos] minus the baseline's, over prompt and baseline's answer."""
    told = []
    for prompt, answer in zip(before.stacked(), along.stacked() if along.sums else (None, None), strict=True):
        whole = prompt if answer is None else torch.cat([prompt, answer], dim=2)
        told.append((whole - whole[:, :1]).numpy())
    return told[0], told[1]


def _row(
    model: LoadedModel,
    place: int,
    row: RowPlan,
    decoded: Decoded,
    touched: Touched,
    forced: Forced,
    moved: tuple[np.ndarray, np.ndarray],
) -> Row:
    baseline, answer = decoded.answers[0], decoded.answers[place]
    spoken = len(baseline.ids) + (baseline.finish == "end")
    kl = forced.kl[place, :spoken].numpy()
    return Row(
        arm=row.arm,
        alpha=row.alpha,
        plan=row,
        text=answer.text,
        token_ids=tuple(answer.ids),
        tokens=answer_tokens(model, answer),
        finish=answer.finish or "length",
        touched=touched,
        diff=word_diff(baseline.text, answer.text),
        tokens_changed=tokens_changed(baseline.ids, answer.ids),
        split=_split(model, forced.splits.get(place), baseline),
        kl=kl,
        kl_mean=float(kl.mean()),
        kl_interval=mean_interval(kl),
        delta_max=moved[1][:, place],
        delta_sum=moved[0][:, place],
    )


def _split(model: LoadedModel, found: tuple[int, Tensor, Tensor] | None, baseline: Answer) -> Split | None:
    if found is None:
        return None
    place, base, row = found
    top = base.topk(CANDIDATES).indices
    before = baseline.ids[:place]
    return Split(
        position=place,
        before=prompting.decode(model, before),
        baseline=_candidates(model, before, base, top),
        row=_candidates(model, before, row, row.topk(CANDIDATES).indices),
        row_at_baseline=_candidates(model, before, row, top),
    )


def _candidates(model: LoadedModel, before: Sequence[int], chances: Tensor, tokens: Tensor) -> tuple[Candidate, ...]:
    """What may come next behind these tokens of the answer; a character that they begin is shown once it is whole."""
    told: list[Candidate] = []
    for token, chance in zip(tokens.tolist(), chances[tokens].tolist(), strict=True):
        shown = prompting.completing(model, before, token)
        told.append(Candidate(id=token, shown=shown, probability=min(chance, 1.0)))
    return tuple(told)
