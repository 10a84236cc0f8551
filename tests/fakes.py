"""An engine without a model: deterministic, quick, streaming, honest about Stop.

Its figures mean nothing; their shapes and the rules between them are those of the real engine.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from backend.errors import Stopped
from backend.neurons import NeuronId, NeuronSet
from backend.probes import scorings
from backend.probes.scoring import scorer
from backend.runs.folder import ScoringFolder
from backend.types import (
    Arm,
    Candidate,
    CettFile,
    CettRequest,
    CompareRequest,
    Comparison,
    DiffPart,
    Exploration,
    ExploreRequest,
    IdentifyRequest,
    Lens,
    LensRequest,
    Logit,
    ModelInfo,
    NeuronCard,
    NeuronRequest,
    Probe,
    PromptEvent,
    Pushed,
    Request,
    Result,
    Row,
    RowPlan,
    Split,
    StageEvent,
    TokenEvent,
    TokenInfo,
    Touched,
    Verb,
    result_key,
)
from backend.types.probe import ProbeNeuron
from backend.types.score import Score
from backend.types.scoring import ScoreRequest, Scoring
from backend.verbs import table
from backend.watch import SILENT, Watch, between
from cache.files import own_folder
from cache.store import Store
from tests import fakes_probe

LAYERS, WIDTH = 3, 16
PROMPT = ("<|user|>", "Who", " asks", "?")

MAX_BATCHES = 6
"""Batches of a fake run of the verb identify."""
MAX_ANSWER = 64
"""Longest answer of the fake, whatever is asked for."""

INFO = ModelInfo(
    name="fake-model",
    family="fake",
    fingerprint="f" * 64,
    n_layers=LAYERS,
    widths=(WIDTH,) * LAYERS,
    d_model=4,
    n_vocab=100,
    parameters=1000,
    context=4096,
    dtype="float32",
    device="cpu",
    versions={"fake": "1"},
)


class FakeEngine:
    """Answers every verb: those whose real work needs a model with invented figures, any other by its own function.

    Args:
        info: the model it claims to have loaded.
        store: where results go; by default a dictionary of this engine.
        on_token: called before each token of the answer with its index; may block or raise.

    Attributes:
        computed: requests that were really run, in order.
    """

    def __init__(
        self, info: ModelInfo = INFO, store: Store | None = None, on_token: Callable[[int], None] | None = None
    ) -> None:
        self.info, self.store, self.on_token = info, store, on_token
        self.kept: dict[str, Result] = {}
        self.computed: list[Request] = []
        self._invented: dict[Verb, Callable[[Any, Watch], Result]] = {
            "explore": self._explore, "compare": self._compare, "neuron": self._neuron, "lens": self._lens,
            "identify": self._identify, "score": self._scoring,
        }  # fmt: skip

    @property
    def prompts(self) -> list[str]:
        """The prompts of what was computed, in order."""
        return [request.prompt for request in self.computed if isinstance(request, ExploreRequest | CompareRequest)]

    def key(self, request: Request) -> str:
        return result_key(request, self.info.basis)

    def lookup(self, verb: Verb, request: Request) -> Result | None:
        row = table.row(verb)
        if row.is_long:
            return None
        key = self.key(request)
        if self.store is None:
            return self.kept.get(key)
        payload = self.store.get(key)
        return None if payload is None else row.result.model_validate_json(payload)

    has_room = True

    def begin(self, verb: Verb, request: Request, watch: Watch) -> None:
        """Everything is run by itself."""

    def step(self) -> None:
        """Nothing runs together."""

    def leave(self) -> None:
        """Nothing runs together."""

    def run(self, verb: Verb, request: Request, watch: Watch = SILENT) -> Result:
        self.computed.append(request)
        row = table.row(verb)
        invented = self._invented.get(verb)
        result: Result = row.code().run(self, request, watch) if invented is None else invented(request, watch)
        if row.is_long:
            return result
        self.kept[self.key(request)] = result
        if self.store is not None:
            meta = {"request": request.model_dump(mode="json"), "model": self.info.name}
            self.store.put(self.key(request), result.to_bytes(), verb, meta)
        return result

    def cett(self, request: CettRequest, out: Path, watch: Watch = SILENT) -> CettFile:
        words = tuple(request.text.split())
        shape = (self.info.n_layers, len(words), max(self.info.widths))
        np.save(out, np.zeros(shape, np.float32))
        sidecar = out.with_suffix(".json")
        told = CettFile(
            path=str(out),
            sidecar=str(sidecar),
            shape=shape,
            token_ids=tuple(range(len(words))),
            tokens=words,
            model=self.info,
        )
        sidecar.write_text(json.dumps(told.model_dump(mode="json")))
        return told

    def _explore(self, request: ExploreRequest, watch: Watch) -> Exploration:
        self.info.layout.check(request.neurons)
        prompt = prompt_tokens()
        watch.emit(StageEvent(stage="reading the prompt", fraction=0.0))
        watch.emit(PromptEvent(tokens=prompt))
        if request.answer is None:
            answer = self._decode(request.decoding.max_new_tokens, 1, watch)
        else:
            answer = tuple(token(index, word, "answer") for index, word in enumerate(request.answer.split()))
        made = exploration(request, prompt + answer, self.info)
        return made.model_copy(update={"score": self._score(request, made.answer, answer)})

    def _score(
        self, request: ExploreRequest | CompareRequest, answer: str, tokens: tuple[TokenInfo, ...]
    ) -> Score | None:
        """By the probe that is named, of CETT that is made from the answer's length."""
        if request.probe is None:
            return None
        made = scorer(request.probe, self.info)
        cett = np.random.default_rng(len(tokens)).gamma(2, 0.02, (len(tokens), len(made.neurons)))
        return made.score(request, answer, tokens, cett)

    def _compare(self, request: CompareRequest, watch: Watch) -> Comparison:
        plans = row_plans(request)
        watch.emit(PromptEvent(tokens=prompt_tokens(), rows=plans))
        answer = self._decode(request.decoding.max_new_tokens, len(plans), watch)
        rows = tuple(row(plan, answer, number) for number, plan in enumerate(plans))
        rows = tuple(one.model_copy(update={"score": self._score(request, one.text, one.tokens)}) for one in rows)
        return Comparison(request=request, model=self.info, prompt_tokens=prompt_tokens(), rows=rows)

    def _neuron(self, request: NeuronRequest, watch: Watch) -> NeuronCard:
        self.info.layout.check([request.neuron])
        promotes, suppresses = logits(request.top)
        return NeuronCard(
            request=request,
            model=self.info,
            neuron=request.neuron,
            promotes=promotes,
            suppresses=suppresses,
            out_norm=1.5,
            usual_tokens=10,
            usual_mean=0.01,
            usual_max=0.3,
            usual_counts=np.array([8, 2], np.int32),
            usual_edges=np.array([0.0, 0.1, 0.3], np.float32),
        )

    def _lens(self, request: LensRequest, watch: Watch) -> Lens:
        self.info.layout.check(request.neurons)
        promotes, suppresses = logits(request.top)
        pushed = tuple(Pushed(neuron=one, promotes=promotes, suppresses=suppresses) for one in request.neurons)
        return Lens(request=request, model=self.info, pushed=pushed)

    def _identify(self, request: IdentifyRequest, watch: Watch) -> Probe:
        for batch in range(MAX_BATCHES):
            between(watch)
            watch.emit(StageEvent(stage=f"drawing answers: {batch}", fraction=batch / MAX_BATCHES))
            if self.on_token is not None:
                self.on_token(batch)
        return probe(request.name, self.info)

    def _scoring(self, request: ScoreRequest, watch: Watch) -> Scoring:
        made = scorer(request.probe, self.info)
        for batch in range(MAX_BATCHES):
            between(watch)
            watch.emit(StageEvent(stage=f"answering greedily: {batch}", fraction=batch / MAX_BATCHES))
            if self.on_token is not None:
                self.on_token(batch)
        found = fakes_probe.scoring(request, made.probe, self.info)
        folder = ScoringFolder(own_folder(scorings.folder() / result_key(request, self.info.basis)[:16]))
        folder.result.write_text(found.model_dump_json())
        return found

    def _decode(self, count: int, rows: int, watch: Watch) -> tuple[TokenInfo, ...]:
        answer: list[TokenInfo] = []
        for index in range(min(count, MAX_ANSWER)):
            if watch.stopped():
                raise Stopped
            if self.on_token is not None:
                self.on_token(index)
            answer.append(token(index, f" w{index}", "answer"))
            text = "".join(each.text for each in answer)
            for place in range(rows):
                watch.emit(TokenEvent(row=place, index=index, token=answer[-1], text=text))
        return tuple(answer)


def probe(name: str, info: ModelInfo = INFO) -> Probe:
    """Two H-neurons and one negative weight, without a report."""
    weights = (("L0:N1", 2.0), ("L1:N3", 1.0), ("L2:N5", -1.5))
    neurons = tuple(ProbeNeuron(neuron=NeuronId.parse(word), weight=weight) for word, weight in weights)
    return Probe(name=name, model=info, c=1.0, intercept=-0.5, neurons=neurons)


def token(number: int, text: str, role: str) -> TokenInfo:
    """A token with a log-probability and entropy, in nats, made from its number."""
    return TokenInfo.model_validate(
        {
            "id": number,
            "text": text,
            "shown": text.replace(" ", "\N{OPEN BOX}"),
            "role": role,
            "log_prob": -0.1 * (number % 7) - 0.05,
            "entropy": 0.3 * (number % 5),
        }
    )


def logits(top: int) -> tuple[tuple[Logit, ...], tuple[Logit, ...]]:
    """Tokens raised, and the same lowered."""
    up = tuple(Logit(id=i, shown=f"t{i}", logit=1.0 - 0.1 * i) for i in range(top))
    return up, tuple(one.model_copy(update={"logit": -one.logit}) for one in up)


def prompt_tokens() -> tuple[TokenInfo, ...]:
    """A short prompt with one token of a template."""
    return tuple(token(i, word, "template" if i == 0 else "prompt") for i, word in enumerate(PROMPT))


def figures(seed: str, *shape: int) -> np.ndarray:
    """Numbers in 0..1 that depend on `seed` alone."""
    return np.random.default_rng(zlib.crc32(seed.encode())).random(shape).astype(np.float32)


def exploration(request: ExploreRequest, tokens: tuple[TokenInfo, ...], info: ModelInfo = INFO) -> Exploration:
    """An Exploration of `tokens` with made-up CETT values whose summaries agree with each other."""
    pos, widest = len(tokens), max(info.widths)
    top = min(request.top, min(info.widths))
    values = figures(request.prompt, info.n_layers, pos, widest)
    order = np.argsort(-values, axis=-1)[..., :top].astype(np.int32)
    largest = np.take_along_axis(values, order, -1)
    usual = np.full_like(largest, 0.25)
    ten = np.sort(values, axis=-1)[..., -10:].sum(-1)
    mu, sigma = values.mean(-1), values.std(-1)
    start = next((i for i, each in enumerate(tokens) if each.role == "answer"), pos)
    answer = values[:, start:].mean(1) if start < pos else np.full((info.n_layers, widest), np.nan, np.float32)
    places = [info.layout.offset_of(neuron) for neuron in request.neurons]
    chosen = [values[layer, :, offset] for layer, offset in places]
    set_cett = np.stack(chosen, -1) if chosen else np.zeros((pos, 0), np.float32)
    return Exploration(
        request=request,
        model=info,
        tokens=tokens,
        answer="".join(each.text for each in tokens[start:]),
        finish="length" if request.answer is None else "given",
        usual_tokens=100,
        cett_sum=values.sum(-1),
        cett_max=values.max(-1),
        top10=ten,
        concentration=ten / values.sum(-1),
        over=(values > (mu + request.threshold.k * sigma)[..., None]).sum(-1).astype(np.int32),
        mu=mu,
        sigma=sigma,
        top_index=order,
        top_cett=largest,
        top_act=largest * 2 - 1,
        top_usual=usual,
        usual_max=(largest / usual).max(-1),
        usual_index=order,
        usual_cett=largest,
        usual_ratio=largest / usual,
        answer_mean=answer,
        answer_ratio=answer / 0.25,
        set_cett=set_cett,
        set_act=set_cett * 2 - 1,
    )


def row_plans(request: CompareRequest) -> tuple[RowPlan, ...]:
    """The rows in the order that `CompareRequest` tells."""
    plans = [RowPlan(arm="baseline", alpha=1.0, neurons=NeuronSet())]
    if request.neurons:
        plans += [RowPlan(arm="chosen", alpha=alpha, neurons=request.neurons) for alpha in request.alphas]
    if request.own:
        own = sorted(request.own, key=lambda each: each.neuron)
        neurons = NeuronSet(tuple(each.neuron for each in own))
        plans.append(RowPlan(arm="own", alpha=None, neurons=neurons, alphas=tuple(each.alpha for each in own)))
    for kind in request.control_kinds:
        for arm in request.control_arms if len(plans) > 1 else ():
            for twin in range(request.controls):
                seed = request.control_seed + twin
                shared = {"arm": "control", "control": kind, "control_of": 1 + arm, "seed": seed}
                plans.append(plans[1 + arm].model_copy(update=shared))
    return tuple(plans)


def row(plan: RowPlan, answer: tuple[TokenInfo, ...], number: int) -> Row:
    """A row whose last token differs from the baseline's, unless it is the baseline."""
    arm: Arm = plan.arm
    tokens = answer
    split = None
    if arm != "baseline":
        tokens = (*answer[:-1], token(number, f" other{number}", "answer"))
        candidates = tuple(Candidate(id=i, shown=f"t{i}", probability=0.5 / (i + 1)) for i in range(10))
        before = "".join(each.text for each in answer[:-1])
        split = Split(
            position=len(answer) - 1, before=before, baseline=candidates, row=candidates, row_at_baseline=candidates
        )
    text = "".join(each.text for each in tokens)
    count = len(plan.neurons)
    return Row(
        arm=arm,
        alpha=plan.alpha,
        plan=plan,
        text=text,
        token_ids=tuple(each.id for each in tokens),
        tokens=tokens,
        finish="length",
        touched=Touched(neurons=count, tokens=len(answer) if count else 0, changed=count * len(answer)),
        diff=(DiffPart(text=text, same=arm == "baseline"),),
        tokens_changed=0 if arm == "baseline" else 1,
        split=split,
        kl=np.full(len(answer), 0.0 if arm == "baseline" else 0.25, np.float32),
        kl_mean=0.0 if arm == "baseline" else 0.25,
        kl_interval=None if arm == "baseline" else (0.2, 0.3),
        delta_max=figures(f"max{number}", LAYERS, len(PROMPT) + len(answer)) * 0.1,
        delta_sum=figures(f"sum{number}", LAYERS, len(PROMPT) + len(answer)),
    )
