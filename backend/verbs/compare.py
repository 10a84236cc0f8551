"""The verb compare: one prompt under several interventions, all rows in one batch.

Owns how a `Comparison` is computed, in two passes over one batch with the same hooks. First all rows answer; then all
rows read the baseline's answer, on a copy of the cache after the prompt. The second pass gives the divergence and the
change of CETT at the same tokens in every row.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from backend.forward import prompting
from backend.forward.capture import Peaks
from backend.forward.cett import not_finite
from backend.forward.controls import plan
from backend.forward.finite import blamed
from backend.forward.recorder import Trace
from backend.forward.row import Row as Asked
from backend.forward.row import Running, prove
from backend.forward.rows.batch import Batch
from backend.forward.rows.works import Ask, Work, alone
from backend.models.loaded import LoadedModel
from backend.statistics.intervals import mean_interval
from backend.text.diff import first_split, tokens_changed, word_diff
from backend.types import (
    Candidate,
    CompareRequest,
    Comparison,
    Decoding,
    PromptEvent,
    Row,
    RowPlan,
    Split,
    StageEvent,
    Touched,
)
from backend.types.score import Score
from backend.verbs.explore import answer_tokens
from backend.verbs.scored import Followed, followed, teller
from backend.watch import Watch, check

if TYPE_CHECKING:
    from backend.engine import Engine

CHUNK, LOGITS = 32, 1 << 28
"""Most positions of the baseline's answer, and most bytes of their logits in all rows, that are read at once. Limits
memory; the result is the same."""
CANDIDATES = 10
END = -1
"""Stands for any end token when two answers are compared."""


def run(engine: Engine, request: CompareRequest, watch: Watch) -> Comparison:
    """One prompt under several interventions. Raises as `comparing` does."""
    return compare(engine.model, request, watch)


def together(engine: Engine, request: CompareRequest, watch: Watch) -> Callable[[Batch], Work[Comparison]]:
    """The work that answers under every arm, beside other requests."""
    return lambda batch: comparing(batch, request, watch)


def compare(model: LoadedModel, request: CompareRequest, watch: Watch) -> Comparison:
    """Answer under every arm and measure the differences, in its own batch. Raises as `comparing` does."""
    with Batch(model) as batch:
        return alone(batch, comparing(batch, request, watch), watch)


def comparing(batch: Batch, request: CompareRequest, watch: Watch) -> Work[Comparison]:
    """Answer under every arm and measure the differences; rows of other requests may run in the same batch.

    Raises BadPrompt, BadNeurons, InterventionUnused, ZeroOutput, NotFinite, Stopped.
    """
    model = batch.model
    plans, follow = plan(request, model.info.layout), followed(model, request.probe)
    prompt = prompting.encode(model, request, room=request.decoding.max_new_tokens)
    prompt_tokens = prompting.token_infos(model, prompt.ids, prompt.roles)
    watch.emit(PromptEvent(tokens=prompt_tokens, rows=plans))
    peaks = Peaks()
    rows = [
        Asked(
            prompt.ids,
            request.decoding,
            place,
            plan=row,
            positions=request.positions,
            capture=peaks,
            captured="prompt",
            followed=None if follow is None or place else follow.capture,
            keep=True,
        )
        for place, row in enumerate(plans)
    ]
    with blamed(model, prompt.ids):
        answers = yield Ask(rows, teller(model, watch, follow), _check_prompts_finite)
        touched = tuple(answer.touched for answer in answers)
        prove(plans, touched, request.positions)
        watch.emit(StageEvent(stage="reading the baseline's answer in every row"))
        forced = _read_baseline(batch, answers, watch)
        scores = {} if follow is None else (yield from _scores(batch, request, follow, answers, watch))
    deltas = _deltas([_trace(answer) for answer in answers], forced.traces)
    result_rows = tuple(
        _result_row(model, place, plans[place], answers, touched[place], forced, deltas).model_copy(
            update={"score": scores.get(tuple(answers[place].ids))}
        )
        for place in range(len(plans))
    )
    return Comparison(request=request, model=model.info, prompt_tokens=prompt_tokens, rows=result_rows)


def _check_prompts_finite(begun: Sequence[Running]) -> None:
    """Called when the prompts have been read. Raises NotFinite if any value is not finite."""
    for answer in begun:
        _trace(answer).check()


def _trace(answer: Running) -> Trace:
    assert answer.trace is not None, "every row is captured"
    return answer.trace


@dataclass
class Forced:
    """All rows reading the baseline's answer.

    kl [row place]: D(baseline || row) in nats where answer token `place` is predicted, and one place more for the end.
    splits: row -> (place, baseline's distribution there, row's distribution there).
    traces: row -> what was captured of it; empty if the answer has no tokens.
    """

    kl: Float[Tensor, "row place"]
    splits: dict[int, tuple[int, Tensor, Tensor]] = field(default_factory=dict)
    traces: dict[int, Trace] = field(default_factory=dict)


def sequence(answer: Running) -> list[int]:
    """The tokens of an answer, followed by `END` if the model ended it."""
    return answer.ids + ([END] if answer.finish == "end" else [])


def _read_baseline(batch: Batch, answers: Sequence[Running], watch: Watch) -> Forced:
    """Teacher-forced: every row reads the baseline's answer after its own reading of the prompt."""
    baseline = answers[0]
    places = {row: first_split(sequence(baseline), sequence(answer)) for row, answer in enumerate(answers)}
    forced = Forced(torch.full((len(answers), len(baseline.ids) + 1), torch.nan))
    peaks = Peaks()
    first = [answer.first_logits for answer in answers if answer.first_logits is not None]
    _note_divergence(forced, torch.stack(first)[:, None], first[0][None], 0, places)
    base = first[0][None]
    for reading in batch.read(answers, [baseline.ids] * len(answers), _positions_at_once(batch, len(answers)), peaks):
        check(watch)
        rows = [running.row.place for running in reading.rows]
        if 0 in rows:
            base = reading.logits[rows.index(0)]
        _note_divergence(forced, reading.logits, base, reading.start + 1, places, rows)
        forced.traces.update((running.row.place, _trace(running)) for running in reading.rows)
    for trace in forced.traces.values():
        trace.check()
    bad = (~forced.kl.isfinite()).nonzero()
    if len(bad):
        row, place = bad[0].tolist()
        raise not_finite(f"row {row}'s logits that predict token {place} of the baseline's answer are NaN or infinite")
    return forced


def _scores(
    batch: Batch, request: CompareRequest, follow: Followed, answers: Sequence[Running], watch: Watch
) -> Generator[Ask, list[Running], dict[tuple[int, ...], Score | None]]:
    """The tokens of each answer -> its score, all read by the model without interventions.

    Each different answer is one row of a batch. It follows the baseline's prompt, or its own copy of the prompt if the
    model's cache cannot be copied. The baseline's own answer was followed while it was generated.
    """
    baseline, texts = answers[0], {tuple(answer.ids): answer for answer in answers}
    assert baseline.follow is not None, "the baseline is followed"
    scores = {tuple(baseline.ids): _score(batch, request, follow, baseline, baseline.follow.chosen())}
    unscored = [ids for ids in texts if ids and ids not in scores]
    if not unscored:
        return scores
    watch.emit(StageEvent(stage="reading every answer for its score"))
    prompt, read = baseline.row.ids, list[Running]()
    before = baseline.follow.chosen()[: len(prompt)]
    if batch.model.proof.copied and batch.model.proof.dropped:
        for reading in batch.read(
            [baseline] * len(unscored), unscored, _positions_at_once(batch, len(unscored)), follow.capture
        ):
            check(watch)
            read = reading.rows
    else:
        before = before[:0]
        one_more = Decoding(max_new_tokens=1)
        read = yield Ask(
            [Asked((*prompt, *ids), one_more, capture=follow.capture, captured="prompt") for ids in unscored]
        )
    for ids, running in zip(unscored, read, strict=True):
        _trace(running).check()
        scores[ids] = _score(batch, request, follow, texts[ids], torch.cat([before, _trace(running).chosen()]))
    return scores


def _score(
    batch: Batch, request: CompareRequest, follow: Followed, answer: Running, cett: Float[Tensor, "pos set"]
) -> Score | None:
    """The score of one answer, from CETT over prompt and answer."""
    return follow.score(request, answer.text, answer_tokens(batch.model, answer), cett, len(answer.row.ids))


def _positions_at_once(batch: Batch, rows: int) -> int:
    """Positions of the baseline's answer to read at once, so that their logits stay within `LOGITS` bytes."""
    model = batch.model
    return max(1, min(CHUNK, LOGITS // (rows * model.info.n_vocab * model.plain.dtype.itemsize)))


def _note_divergence(
    forced: Forced,
    logits: Float[Tensor, "row pos vocab"],
    base: Float[Tensor, "pos vocab"],
    start: int,
    places: dict[int, int | None],
    rows: Sequence[int] | None = None,
) -> None:
    """Note KL at these places, and both distributions where a row first differs. Row by row, since logits are large."""
    base_log_probs = base.float().log_softmax(-1)
    base_probs = base_log_probs.exp()
    for number, row in enumerate(rows if rows is not None else range(len(logits))):
        log_probs = base_log_probs if row == 0 else logits[number].float().log_softmax(-1)
        kl = (base_probs * (base_log_probs - log_probs).clamp(-1e4, 1e4)).sum(-1).clamp_min(0)
        forced.kl[row, start : start + len(kl)] = kl.cpu()
        place = places.get(row)
        if place is not None and start <= place < start + len(kl):
            forced.splits[row] = (place, base_probs[place - start], log_probs[place - start].exp())


def _deltas(before: Sequence[Trace], along: dict[int, Trace]) -> tuple[np.ndarray, np.ndarray]:
    """(sums, maxima) [layer row pos] minus the baseline's, over the prompt and the baseline's answer."""
    deltas = []
    for name in ("sum", "max"):
        rows = [
            torch.cat([trace.field(name), along[row].field(name)], dim=1) if row in along else trace.field(name)
            for row, trace in enumerate(before)
        ]
        whole = torch.stack(rows, dim=1)
        deltas.append((whole - whole[:, :1]).numpy())
    return deltas[0], deltas[1]


def _result_row(
    model: LoadedModel,
    place: int,
    row: RowPlan,
    answers: Sequence[Running],
    touched: Touched,
    forced: Forced,
    moved: tuple[np.ndarray, np.ndarray],
) -> Row:
    baseline, answer = answers[0], answers[place]
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


def _split(model: LoadedModel, split: tuple[int, Tensor, Tensor] | None, baseline: Running) -> Split | None:
    if split is None:
        return None
    place, base, row = split
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
    """What may come next after these tokens of the answer; an incomplete character is shown completed."""
    candidates: list[Candidate] = []
    for token, chance in zip(tokens.tolist(), chances[tokens].tolist(), strict=True):
        shown = prompting.completing(model, before, token)
        candidates.append(Candidate(id=token, shown=shown, probability=min(chance, 1.0)))
    return tuple(candidates)
