"""The verb explore: the inside of one answer.

Owns how an `Exploration` is computed. Generated answers are captured while they are decoded; given answers are read in
one pass through the bridge, if that was shown to give the same values. Both reduce CETT with the same code. Loading and
storing are done elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import numpy as np
import torch

from backend.forward import prompting
from backend.forward.capture import Summaries
from backend.forward.cett import count_over, not_finite, population
from backend.forward.finite import blamed
from backend.forward.recorder import Recorder, Seen, Trace
from backend.forward.reference import Usual
from backend.forward.row import Row, Running
from backend.forward.rows.batch import Batch
from backend.forward.rows.choosing import prompt_token_scores
from backend.forward.rows.works import Ask, Work, alone
from backend.forward.whole import whole_text
from backend.models.hooks import observe
from backend.models.loaded import LoadedModel
from backend.models.readings import tree_of
from backend.types import Exploration, ExploreRequest, Finish, PromptEvent, StageEvent, TokenInfo
from backend.types.score import Score
from backend.verbs.scored import Followed, followed, teller
from backend.watch import Watch, check

if TYPE_CHECKING:
    from backend.engine import Engine


def run(engine: Engine, request: ExploreRequest, watch: Watch) -> Exploration:
    """Explore one answer. Raises as `exploring` does."""
    return explore(engine.model, request, engine.usual(watch), watch)


def together(engine: Engine, request: ExploreRequest, watch: Watch) -> Callable[[Batch], Work[Exploration]] | None:
    """The work that generates an answer beside others; None for a given answer, which needs the model for itself."""
    if request.answer is not None:
        return None
    usual = engine.usual(watch)
    return lambda batch: exploring(batch, request, usual, watch)


def explore(model: LoadedModel, request: ExploreRequest, usual: Usual, watch: Watch) -> Exploration:
    """Generate or read the answer and reduce CETT at every layer and token, in its own batch.

    Raises as `exploring` does.
    """
    with Batch(model) as batch:
        return alone(batch, exploring(batch, request, usual, watch), watch)


def exploring(batch: Batch, request: ExploreRequest, usual: Usual, watch: Watch) -> Work[Exploration]:
    """Generate or read the answer and reduce CETT at every layer and token; rows of other requests may run in the
    batch.

    Raises BadPrompt, BadNeurons, ZeroOutput, NotFinite, Stopped.
    """
    model = batch.model
    model.info.layout.check(request.neurons)
    capture, follow = summaries(model, request, usual), followed(model, request.probe)
    if request.answer is None:
        captured = yield from _generate_answer(model, request, capture, follow, watch)
    else:
        captured = _read_given_answer(model, request, capture, follow, watch)
    return _assemble(model, request, usual, captured)


@dataclass(frozen=True)
class _CapturedText:
    """A text with what was captured of it."""

    trace: Trace
    tokens: tuple[TokenInfo, ...]
    answer: str
    finish: Finish
    score: Score | None


def summaries(model: LoadedModel, request: ExploreRequest, usual: Usual) -> Summaries:
    """What is kept of each token of an exploration; equal settings share one object, so that rows can share it."""
    key = (request.threshold, request.top, request.neurons, id(usual))
    known: WeakValueDictionary[object, Summaries] = model.extras.setdefault("summaries", WeakValueDictionary())
    shared = known.get(key)
    if shared is None:
        devices = [norm.device for norm in model.w_norms]
        means = zip(usual.floored(model.info.layout), devices, strict=True)
        chosen = model.info.layout.by_layer(request.neurons).items()
        shared = known[key] = Summaries(
            request.threshold,
            min(request.top, *model.info.widths),
            usual=[mean.to(device) for mean, device in means],
            chosen={layer: torch.tensor(indices, device=devices[layer]) for layer, indices in chosen},
            basis=usual,
        )
    return shared


def _generate_answer(
    model: LoadedModel, request: ExploreRequest, capture: Summaries, follow: Followed | None, watch: Watch
) -> Work[_CapturedText]:
    prompt = prompting.encode(model, request, room=request.decoding.max_new_tokens)
    watch.emit(PromptEvent(tokens=prompting.token_infos(model, prompt.ids, prompt.roles)))
    row = Row(
        prompt.ids,
        request.decoding,
        capture=capture,
        followed=None if follow is None else follow.capture,
        prompt_scores=True,
    )
    (answer,) = yield Ask([row], teller(model, watch, follow))
    assert answer.trace is not None, "the row was captured"
    prompt_infos = prompting.token_infos(
        model, prompt.ids, prompt.roles, answer.prompt_log_probs, answer.prompt_entropies
    )
    answer_infos = answer_tokens(model, answer)
    with blamed(model, prompt.ids + tuple(answer.ids)):
        answer.trace.check()
    score = None
    if follow is not None and answer.follow is not None:
        score = follow.score(request, answer.text, answer_infos, answer.follow.chosen(), len(prompt))
    return _CapturedText(answer.trace, prompt_infos + answer_infos, answer.text, answer.finish or "length", score)


def answer_tokens(model: LoadedModel, answer: Running) -> tuple[TokenInfo, ...]:
    """The tokens of a decoded answer."""
    roles = prompting.as_role("answer", len(answer.ids))
    return prompting.token_infos(model, answer.ids, roles, answer.log_probs, answer.entropies)


def _read_given_answer(
    model: LoadedModel, request: ExploreRequest, capture: Summaries, follow: Followed | None, watch: Watch
) -> _CapturedText:
    """Read prompt and given answer in one pass."""
    prompt = prompting.encode(model, request)
    whole = prompt + prompting.encode_answer(model, request, prompt, request.answer or "")
    check(watch)
    watch.emit(StageEvent(stage="reading the given answer"))
    captures = [capture] if follow is None else [capture, follow.capture]
    recorders = [Recorder(kind, model.w_norms) for kind in captures]
    trace, *rest = (recorder.trace() for recorder in recorders)
    tree = tree_of(model, whole.ids)
    with torch.inference_mode(), ExitStack() as stack:
        for recorder, own in zip(recorders, [trace, *rest], strict=True):
            stack.enter_context(observe(model, recorder, tree))
            recorder.begin([Seen(own, 0, len(whole), slice(len(prompt), None))], len(whole), model.device)
        logits = whole_text(model, whole.ids, tree)
        for recorder in recorders:
            recorder.end()
    with blamed(model, whole.ids):
        trace.check()
    bad = (~logits.isfinite().any(-1) | logits.isnan().any(-1)).nonzero()
    if len(bad):
        raise not_finite(f"the logits behind token {int(bad[0])} (the first is 0) are NaN or infinite")
    check(watch)
    log_probs, entropies = prompt_token_scores(logits, whole.ids)
    tokens = prompting.token_infos(model, whole.ids, whole.roles, log_probs, entropies)
    answer, score = request.answer or "", None
    if follow is not None:
        score = follow.score(request, answer, tokens[len(prompt) :], rest[0].chosen(), len(prompt))
    return _CapturedText(trace, tokens, answer, "given", score)


def _assemble(model: LoadedModel, request: ExploreRequest, usual: Usual, captured: _CapturedText) -> Exploration:
    trace = captured.trace

    def array_of(name: str) -> np.ndarray:
        return trace.field(name).numpy()

    cett_sum, top10, top_index = array_of("sum"), array_of("top10"), array_of("top_index")
    mu, sigma = population(trace.field("mean"), trace.field("square"), model.info.widths, request.threshold)
    over = array_of("over")
    if trace.recorder.capture.holds:
        limit = mu + request.threshold.k * sigma
        counts = [count_over(values, limit[layer]) for layer, values in enumerate(trace.layers("values"))]
        over = torch.stack(counts).numpy()
    means = _answer_means(model, trace)
    trace.close()
    return Exploration(
        request=request,
        model=model.info,
        tokens=captured.tokens,
        answer=captured.answer,
        finish=captured.finish,
        usual_tokens=usual.tokens,
        cett_sum=cett_sum,
        cett_max=array_of("max"),
        top10=top10,
        concentration=top10 / cett_sum,
        over=over,
        mu=mu.numpy(),
        sigma=sigma.numpy(),
        top_index=top_index,
        top_cett=array_of("top_cett"),
        top_act=array_of("top_act"),
        top_usual=np.stack([usual.mean[layer][top_index[layer]] for layer in range(model.info.n_layers)]),
        usual_max=array_of("usual_ratio")[..., 0],
        usual_index=array_of("usual_index"),
        usual_cett=array_of("usual_cett"),
        usual_ratio=array_of("usual_ratio"),
        answer_mean=means,
        answer_ratio=means / usual_floor(model, usual),
        set_cett=torch.cat(trace.layers("set_cett"), dim=1).numpy(),
        set_act=torch.cat(trace.layers("set_act"), dim=1).numpy(),
        score=captured.score,
    )


def _answer_means(model: LoadedModel, trace: Trace) -> np.ndarray:
    """Mean CETT [layer neuron] over the answer's tokens; all NaN if there is no answer."""
    means = np.full((model.info.n_layers, max(model.info.widths)), np.nan, np.float32)
    if trace.answer_count:
        for layer, total in trace.answer_sums().items():
            means[layer, : len(total)] = (total / trace.answer_count).cpu().numpy()
    return means


def usual_floor(model: LoadedModel, usual: Usual) -> np.ndarray:
    """[layer neuron] what a ratio to the reference mean divides by; NaN beyond the width of a narrower layer."""
    floor = np.full((model.info.n_layers, max(model.info.widths)), np.nan, np.float32)
    for layer, mean in enumerate(usual.floored(model.info.layout)):
        floor[layer, : len(mean)] = mean.numpy()
    return floor
