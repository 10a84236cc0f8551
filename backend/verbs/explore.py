"""The verb explore: one answer, seen inside.

Owns how an `Exploration` comes about: generated answers are captured while they are decoded, given answers in one pass
through the bridge, where that was proven to give the same; both reduce with the same sink. Refuses loading and storing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from backend.errors import NotFinite
from backend.forward import prompting
from backend.forward.cett import Norms, Summary, SummarySink, count_over, divided, not_finite, out_norm, population
from backend.forward.finite import refuse_text
from backend.forward.generation import Answer, decode, prompt_token_scores
from backend.forward.prompting import Encoded
from backend.forward.reference import Usual
from backend.models.hooks import Tree, observe
from backend.models.loaded import LoadedModel
from backend.models.readings import tree_of
from backend.types import Exploration, ExploreRequest, Finish, PromptEvent, StageEvent, TokenEvent, TokenInfo
from backend.watch import Watch, check


def explore(model: LoadedModel, request: ExploreRequest, usual: Usual, watch: Watch) -> Exploration:
    """Generate or read the answer and reduce CETT at every layer and token.

    Raises BadPrompt, BadNeurons, ZeroOutput, NotFinite, Stopped.
    """
    model.info.layout.check(request.neurons)
    sink = SummarySink(
        model.w_norms,
        request.threshold,
        min(request.top, *model.info.widths),
        usual=[mean.to(model.device) for mean in usual.floored(model.info.layout)],
        chosen=model.info.layout.by_layer(request.neurons),
    )
    if request.answer is None:
        tokens, answer, finish = _generate(model, request, sink, watch)
    else:
        tokens, answer, finish = _read(model, request, sink, watch)
    return _assemble(model, request, usual, sink, tokens, answer, finish)


def _generate(
    model: LoadedModel, request: ExploreRequest, sink: SummarySink, watch: Watch
) -> tuple[tuple[TokenInfo, ...], str, Finish]:
    prompt = prompting.encode(model, request, room=request.decoding.max_new_tokens)
    watch.emit(PromptEvent(tokens=prompting.token_infos(model, prompt.ids, prompt.roles)))
    with observe(model, sink):
        decoded = decode(
            model,
            [prompt.ids],
            request.decoding,
            sink=sink,
            watch=watch,
            on_token=teller(model, watch),
            prompt_scores=True,
        )
    answer = decoded.answers[0]
    tokens = prompting.token_infos(
        model, prompt.ids, prompt.roles, decoded.prompt_log_probs[0], decoded.prompt_entropies[0]
    ) + answer_tokens(model, answer)
    return tokens, answer.text, answer.finish or "length"


def teller(model: LoadedModel, watch: Watch) -> Callable[[int, Answer], None]:
    """What tells `watch` of each new token."""

    def tell(row: int, answer: Answer) -> None:
        token = prompting.newest_token(model, answer.ids, answer.log_probs[-1], answer.entropies[-1])
        watch.emit(TokenEvent(row=row, index=len(answer.ids) - 1, token=token, text=answer.text))

    return tell


def answer_tokens(model: LoadedModel, answer: Answer) -> tuple[TokenInfo, ...]:
    """The tokens of a decoded answer."""
    roles = prompting.as_role("answer", len(answer.ids))
    return prompting.token_infos(model, answer.ids, roles, answer.log_probs, answer.entropies)


def _read(
    model: LoadedModel, request: ExploreRequest, sink: SummarySink, watch: Watch
) -> tuple[tuple[TokenInfo, ...], str, Finish]:
    """One pass over prompt and given answer."""
    prompt = prompting.encode(model, request)
    whole = prompt + prompting.encode_answer(model, request, prompt, request.answer or "")
    check(watch)
    watch.emit(StageEvent(stage="reading the given answer"))
    sink.answer = slice(len(prompt), None)
    tree = tree_of(model, whole.ids)
    with torch.inference_mode(), observe(model, sink, tree):
        logits = whole_text(model, whole.ids, tree)
    with blamed(model, whole.ids):
        _ = sink.parts
    bad = (~logits.isfinite().any(-1) | logits.isnan().any(-1)).nonzero()
    if len(bad):
        raise not_finite(f"the logits behind token {int(bad[0])} (the first is 0) are NaN or infinite")
    check(watch)
    log_probs, entropies = prompt_token_scores(logits, whole.ids)
    return prompting.token_infos(model, whole.ids, whole.roles, log_probs, entropies), request.answer or "", "given"


@contextmanager
def blamed(model: LoadedModel, ids: Sequence[int]) -> Iterator[None]:
    """Within the block, a refusal of what is not finite names the token of `ids` that it comes from. No hook is on."""
    try:
        yield
    except NotFinite:
        refuse_text(model, ids)
        raise


def whole_text(model: LoadedModel, ids: Sequence[int], tree: Tree) -> Float[Tensor, "pos vocab"]:
    """Logits of a finished text, read once in this tree."""
    batch = torch.tensor([list(ids)], device=model.device)
    if tree == "bridge":
        logits: Tensor = model.bridge(batch)[0]
        return logits
    return cast("Tensor", model.plain(batch, use_cache=False).logits[0])


def _assemble(
    model: LoadedModel,
    request: ExploreRequest,
    usual: Usual,
    sink: SummarySink,
    tokens: tuple[TokenInfo, ...],
    answer: str,
    finish: Finish,
) -> Exploration:
    def stacked(name: str) -> np.ndarray:
        return _stack(sink, lambda part: getattr(part, name))

    cett_sum, top10 = stacked("sum"), stacked("top10")
    mu, sigma = population(
        torch.from_numpy(stacked("mean")), torch.from_numpy(stacked("square")), model.info.widths, request.threshold
    )
    over = stacked("over")
    if sink.hold:
        limit = mu + request.threshold.k * sigma
        counts = [count_over(torch.cat(sink.held[layer], dim=1)[0], limit[layer]) for layer in sorted(sink.held)]
        over = torch.stack(counts).numpy()
    means = _answer_means(model, sink)
    top_index = stacked("top_index")
    floored = usual_floor(model, usual)
    return Exploration(
        request=request,
        model=model.info,
        tokens=tokens,
        answer=answer,
        finish=finish,
        usual_tokens=usual.tokens,
        cett_sum=cett_sum,
        cett_max=stacked("max"),
        top10=top10,
        concentration=top10 / cett_sum,
        over=over,
        mu=mu.numpy(),
        sigma=sigma.numpy(),
        top_index=top_index,
        top_cett=stacked("top_cett"),
        top_act=stacked("top_act"),
        top_usual=np.stack([usual.mean[layer][top_index[layer]] for layer in range(model.info.n_layers)]),
        usual_max=stacked("usual_ratio")[..., 0],
        usual_index=stacked("usual_index"),
        usual_cett=stacked("usual_cett"),
        usual_ratio=stacked("usual_ratio"),
        answer_mean=means,
        answer_ratio=means / floored,
        set_cett=_set_columns(sink, "set_cett", len(tokens)),
        set_act=_set_columns(sink, "set_act", len(tokens)),
    )


def _stack(sink: SummarySink, pick: Callable[[Summary], Tensor]) -> np.ndarray:
    """[layer pos ...] of the only row, from the parts of all forwards."""
    layers = [torch.cat([pick(part).cpu() for part in sink.parts[layer]], dim=1)[0] for layer in sorted(sink.parts)]
    return torch.stack(layers).numpy()


def _set_columns(sink: SummarySink, name: str, tokens: int) -> np.ndarray:
    """[pos set] in the order of the neuron set: by layer, and within one by offset."""
    columns: Sequence[Tensor] = [
        torch.cat([getattr(part, name).cpu() for part in sink.parts[layer]], dim=1)[0] for layer in sorted(sink.chosen)
    ]
    return torch.cat(list(columns), dim=1).numpy() if columns else np.zeros((tokens, 0), np.float32)


def _answer_means(model: LoadedModel, sink: SummarySink) -> np.ndarray:
    """[layer neuron] mean CETT over the answer's tokens; NaN throughout where there is no answer."""
    means = np.full((model.info.n_layers, max(model.info.widths)), np.nan, np.float32)
    for layer, total in sink.answer_sum.items():
        means[layer, : total.shape[1]] = (total[0] / sink.answer_count).cpu().numpy()
    return means


def usual_floor(model: LoadedModel, usual: Usual) -> np.ndarray:
    """[layer neuron] what a ratio "against usual" divides by; NaN beyond a narrow layer."""
    floor = np.full((model.info.n_layers, max(model.info.widths)), np.nan, np.float32)
    for layer, mean in enumerate(usual.floored(model.info.layout)):
        floor[layer, : len(mean)] = mean.numpy()
    return floor


def full_array(model: LoadedModel, encoded: Encoded, into: np.ndarray) -> None:
    """CETT of every neuron at every token, written layer by layer into [layer pos neuron].

    Raises ZeroOutput, NotFinite: then what was written is of no use.
    """
    norms = Norms()

    def keep(layer: int, z: Tensor, h: Tensor) -> None:
        norm = out_norm(h)
        norms.add(layer, norm)
        values = divided(z, model.w_norms[layer], norm)[0]
        into[layer, :, : values.shape[1]] = values.cpu().numpy()

    tree = tree_of(model, encoded.ids)
    with torch.inference_mode(), observe(model, keep, tree):
        whole_text(model, encoded.ids, tree)
    with blamed(model, encoded.ids):
        norms.check()
