"""A hand-made `Comparison` for any request: what a fake engine answers. Its figures mean nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from app.compare import draft
from app.compare.switches import BESIDE
from app.shared.view import Shared
from app.views import updated
from backend.neurons import NeuronId, NeuronSet
from backend.types import (
    Candidate,
    CompareRequest,
    CompareSettings,
    Comparison,
    Decoding,
    DiffPart,
    ModelInfo,
    Row,
    RowPlan,
    Split,
    TokenInfo,
    Touched,
)

LAYERS, WIDTH = 6, 64
MODEL = ModelInfo(
    name="Tiny", family="llama", fingerprint="f" * 64, n_layers=LAYERS, widths=(WIDTH,) * LAYERS, d_model=8,
    n_vocab=100, parameters=1000, context=256, dtype="float32", device="cpu", versions={},
)  # fmt: skip
BASE = ("The", " CEO", " of", " Nortel", " is", " Elon", " Musk", ".")
PICKED = ("The", " CEO", " of", " Nortel", " is", " not", " known", ".")


def compose(
    prompt: str,
    switches: Mapping[NeuronId, float],
    settings: CompareSettings | None = None,
    *,
    beside: Sequence[str] = (),
    others: Sequence[float] = (),
    against: NeuronSet = draft.NONE,
    decoding: Decoding | None = None,
) -> CompareRequest:
    """The request of switches that are set so, as the page comes to it: by way of the draft."""
    shared = Shared(neurons=NeuronSet(tuple(switches)), decoding=decoding or Decoding())
    columns = (*(alpha for name, alpha in BESIDE.items() if name in beside), *others)
    drafted = updated(settings or CompareSettings(), draft.fields(switches, columns))
    return draft.request(updated(shared, {"prompt": prompt}), drafted, against)


def tokens(words: tuple[str, ...], role: str = "answer") -> tuple[TokenInfo, ...]:
    """Tokens from words, with their spaces visible."""
    return tuple(
        TokenInfo.model_validate(
            {"id": sum(map(ord, word)), "text": word, "shown": word.replace(" ", "·"), "role": role}
        )
        for word in words
    )


def plans(request: CompareRequest) -> tuple[RowPlan, ...]:
    """The rows that the engine would make of `request`, in its order."""
    found = [RowPlan(arm="baseline", alpha=1.0, neurons=NeuronSet())]
    if request.neurons:
        found += [RowPlan(arm="chosen", alpha=alpha, neurons=request.neurons) for alpha in request.alphas]
    if request.own:
        own = sorted(request.own, key=lambda one: one.neuron)
        found.append(
            RowPlan(
                arm="own", alpha=None, neurons=NeuronSet(tuple(one.neuron for one in own)),
                alphas=tuple(one.alpha for one in own),
            )
        )  # fmt: skip
    if request.against:
        found.append(RowPlan(arm="against", alpha=request.against_alpha, neurons=request.against))
    for kind in request.control_kinds:
        for arm in request.control_arms:
            for draw in range(request.controls):
                of = found[1 + arm]
                twin = NeuronSet(tuple(NeuronId(n.layer, (n.index + 7 + draw) % WIDTH) for n in of.neurons))
                found.append(
                    RowPlan(
                        arm="control", alpha=of.alpha, neurons=twin, alphas=of.alphas, control=kind,
                        control_of=1 + arm, seed=request.control_seed + draw,
                    )
                )  # fmt: skip
    return tuple(found)


def split() -> Split:
    """At the sixth answer token: baseline wants Elon, the row wants not, which the baseline's ten lack."""
    ten = ("·Elon", "·a", "·the", "·John", "·Mike", "·Tim", "·Jeff", "·an", "·one", "·<b>")
    chances = (0.34, 0.11, 0.10, 0.06, 0.05, 0.04, 0.03, 0.02, 0.015, 0.01)
    ours = tuple(Candidate(id=i, shown=t, probability=p) for i, (t, p) in enumerate(zip(ten, chances, strict=True)))
    at = tuple(Candidate(id=i, shown=t, probability=p / 3) for i, (t, p) in enumerate(zip(ten, chances, strict=True)))
    row = (Candidate(id=90, shown="·not", probability=0.24), Candidate(id=0, shown="·Elon", probability=0.113))
    return Split(position=5, before="The CEO of Nortel is", baseline=ours, row=row, row_at_baseline=at)


def row(plan: RowPlan, pos: int, words: tuple[str, ...], place: int) -> Row:
    """One row; a row whose words are the baseline's has no split and no difference."""
    moved = words != BASE
    rng = np.random.default_rng(place)
    delta = np.zeros((LAYERS, pos), dtype=np.float32)
    first = min((n.layer for n in plan.neurons), default=LAYERS)
    delta[first:] = rng.normal(0, 0.1, size=delta[first:].shape)
    text = "".join(words)
    diff = (DiffPart(text="The CEO of Nortel is", same=True), DiffPart(text=text[20:], same=False))
    return Row(
        arm=plan.arm, alpha=plan.alpha, plan=plan, text=text, token_ids=tuple(t.id for t in tokens(words)),
        tokens=tokens(words), finish="end",
        touched=Touched(neurons=len(plan.neurons), tokens=20 if plan.neurons else 0, changed=60 if plan.neurons else 0),
        diff=diff if moved else (DiffPart(text=text, same=True),), tokens_changed=3 if moved else 0,
        split=split() if moved else None,
        kl=np.full(len(BASE), 0.02 if plan.neurons else 0.0, dtype=np.float32),
        kl_mean=0.02 * place if plan.neurons else 0.0,
        kl_interval=(0.012 * place, 0.03 * place) if plan.neurons else None,
        delta_max=delta, delta_sum=delta * 3,
    )  # fmt: skip


def comparison(request: CompareRequest, picked: tuple[str, ...] = PICKED, twin: tuple[str, ...] = BASE) -> Comparison:
    """The answer to `request`: picked rows say `picked`, twins say `twin`, the baseline invents a CEO."""
    prompt = (*tokens(("<|im_start|>", "user"), "template"), *tokens(("Who", " is", " the", " CEO", "?"), "prompt"))
    words = {"baseline": BASE, "control": twin}
    pos = len(prompt) + len(BASE)
    rows = tuple(row(plan, pos, words.get(plan.arm, picked), i) for i, plan in enumerate(plans(request)))
    return Comparison(request=request, model=MODEL, prompt_tokens=prompt, rows=rows)


def asked(**changes: object) -> CompareRequest:
    """A request on three neurons, off, with one layer-matched twin; `changes` replace its fields."""
    base: dict[str, object] = {"prompt": "Who is the CEO of Nortel?", "neurons": "L3:N5,L3:N40,L4:N7", "alphas": (0.0,)}
    return CompareRequest.model_validate(base | changes)
