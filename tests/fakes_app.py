"""A client with canned, typed results: what pages are tested and tried with, instead of an engine.

Owns `FakeClient` and the shapes it answers with. Every figure is drawn from a seeded generator and
means nothing; the text says so where a person could see it. Nothing in the program imports it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from math import log
from typing import Any

import numpy as np

from backend.errors import BackendUnavailable, BadInput, HNeuronsError, StoreError, Unknown
from backend.neurons import NeuronId, NeuronSet
from backend.probes.library import summary
from backend.types import (
    Candidate,
    CompareRequest,
    Comparison,
    Decoding,
    DiffPart,
    Event,
    Exploration,
    ExploreRequest,
    IdentifyRequest,
    JobView,
    Lens,
    LensRequest,
    Logit,
    ModelChoice,
    ModelInfo,
    ModelStatus,
    NeuronCard,
    NeuronRequest,
    Probe,
    PromptEvent,
    Pushed,
    Request,
    Result,
    Role,
    Row,
    RowPlan,
    Split,
    StageEvent,
    StoredResult,
    TokenEvent,
    TokenInfo,
    Touched,
    Verb,
    result_key,
)
from backend.types.identify import Question, ReadQuestions, Verdict
from backend.types.names import ProbeRef
from backend.types.plan import AnswerView, RunView
from backend.types.probe import ProbeSummary
from backend.types.score import Score
from backend.types.scoring import Scoring
from tests import fakes_probe

LAYERS, WIDTH = 30, 1536
INFO = ModelInfo(
    name="Fake-135M-Instruct", family="llama", fingerprint="f" * 64, n_layers=LAYERS, widths=(WIDTH,) * LAYERS,
    d_model=576, n_vocab=49152, parameters=134_515_008, context=8192, dtype="float32", device="cpu",
    versions={"torch": "0"},
)  # fmt: skip
SHORT = Decoding(max_new_tokens=12)
"""The length of the finished examples' answers."""
ANSWER = "The CEO of Nortel is Elon Musk."


def pieces(text: str) -> list[str]:
    """Text in word-like tokens, each space with the word behind it."""
    found: list[str] = []
    for character in text:
        if found and character != " " and not (character in ".?!,<>|" or found[-1][-1:] in ".?!,<>|"):
            found[-1] += character
        else:
            found.append(character)
    return found


def token(text: str, role: Role, rng: np.random.Generator) -> TokenInfo:
    """One token with an invented probability."""
    shown = text.replace(" ", "·").replace("\n", "⏎")
    return TokenInfo(
        id=int(rng.integers(49152)), text=text, shown=shown, role=role,
        log_prob=log(float(rng.uniform(0.05, 0.99))), entropy=float(rng.uniform(0, 4)),
    )  # fmt: skip


def tokens_of(request: ExploreRequest | CompareRequest, answer: str, template: bool = True) -> tuple[TokenInfo, ...]:
    """Template, prompt and answer tokens."""
    rng = np.random.default_rng(3)
    before: Sequence[str] = ("<|im_start|>", "user", "\n") if request.chat and template else ()
    after: Sequence[str] = ("<|im_end|>", "\n", "<|im_start|>", "assistant", "\n") if request.chat and template else ()
    return (
        *(token(text, "template", rng) for text in before),
        *(token(text, "prompt", rng) for text in pieces(request.prompt)),
        *(token(text, "template", rng) for text in after),
        *(token(text, "answer", rng) for text in pieces(answer)),
    )


def exploration(request: ExploreRequest, answer: str = ANSWER, info: ModelInfo = INFO) -> Exploration:
    """An exploration with one bright cell, layer 17 at the answer's sixth token or its last."""
    answer = answer if request.answer is None else request.answer
    tokens = tokens_of(request, answer)
    layers, places, top = info.n_layers, len(tokens), request.top
    rng = np.random.default_rng(7)
    top_cett = np.sort(rng.gamma(14, 0.004, (layers, places, top)), axis=2)[:, :, ::-1].astype(np.float32).copy()
    start = next((i for i, one in enumerate(tokens) if one.role == "answer"), 0)
    bright = min(start + 5, places - 1)
    top_cett[min(17, layers - 1), bright, :3] = (0.36, 0.19, 0.14)
    top_index = np.argsort(rng.random((layers, places, info.widths[0])), axis=2)[:, :, :top].astype(np.int32)
    top_index[min(17, layers - 1), bright, 0] = min(412, info.widths[0] - 1)
    usual = rng.gamma(4, 0.006, (layers, places, top)).astype(np.float32)
    ratio = np.sort(top_cett / usual, axis=2)[:, :, ::-1].copy()
    cett_sum = rng.gamma(40, 0.05, (layers, places)).astype(np.float32) + 1
    top10 = top_cett.sum(2)
    mean = rng.gamma(2, 0.004, (layers, info.widths[0])).astype(np.float32)
    return Exploration(
        request=request, model=info, tokens=tokens, answer=answer, finish="given" if request.answer else "end",
        usual_tokens=4000, cett_sum=cett_sum, cett_max=top_cett[:, :, 0], top10=top10, concentration=top10 / cett_sum,
        over=rng.integers(0, 12, (layers, places)), mu=np.full((layers, places), 0.01, np.float32),
        sigma=np.full((layers, places), 0.02, np.float32), top_index=top_index, top_cett=top_cett,
        top_act=rng.normal(0, 1, top_cett.shape).astype(np.float32), top_usual=usual, usual_max=ratio[:, :, 0],
        usual_index=top_index, usual_cett=top_cett, usual_ratio=ratio, answer_mean=mean, answer_ratio=mean / 0.006,
        set_cett=rng.gamma(2, 0.02, (places, len(request.neurons))).astype(np.float32),
        set_act=np.zeros((places, len(request.neurons)), np.float32),
    )  # fmt: skip


def card(request: NeuronRequest, info: ModelInfo = INFO) -> NeuronCard:
    """A neuron's card with invented figures."""
    rng = np.random.default_rng(request.neuron.index)
    words = ["·Musk", "·Tesla", "·Elon", "·CEO", "·founder", "·bankrupt", "·former", "·unknown", "·defunct", "·no"]
    rng.shuffle(words)
    up = tuple(Logit(id=i, shown=w, logit=0.9 - 0.07 * i) for i, w in enumerate(words[: request.top]))
    down = tuple(Logit(id=i, shown=w, logit=-0.5 + 0.04 * i) for i, w in enumerate(words[::-1][: request.top]))
    edges = np.concatenate([[0.0], np.geomspace(1e-4, 1.0, 25)]).astype(np.float32)
    counts = (4000 * np.exp(-np.arange(26) / 6) / 6).astype(np.int32)
    tokens = tokens_of(request.text, request.text.answer or ANSWER) if request.text else ()
    return NeuronCard(
        request=request, model=info, neuron=request.neuron, promotes=up, suppresses=down, out_norm=1.2,
        usual_tokens=4000, usual_mean=0.006, usual_max=0.12, usual_counts=counts, usual_edges=edges, tokens=tokens,
        cett=rng.gamma(2, 0.02, len(tokens)).astype(np.float32) if tokens else None,
        act=rng.normal(0, 1, len(tokens)).astype(np.float32) if tokens else None,
    )  # fmt: skip


def lens(request: LensRequest, info: ModelInfo = INFO) -> Lens:
    """What each neuron's card says it pushes."""
    cards = [card(NeuronRequest(neuron=neuron, top=request.top), info) for neuron in request.neurons]
    found = tuple(Pushed(neuron=one.neuron, promotes=one.promotes, suppresses=one.suppresses) for one in cards)
    return Lens(request=request, model=info, pushed=found)


def row(request: CompareRequest, plan: RowPlan, answer: str, split: bool) -> Row:
    """A row of a comparison; a split one leaves the baseline at its sixth token."""
    prompt = tokens_of(request, "")
    rng = np.random.default_rng(11)
    tokens = tuple(token(text, "answer", rng) for text in pieces(answer))
    base = pieces(ANSWER)
    ten = tuple(Candidate(id=i, shown=w, probability=0.3 / (i + 1)) for i, w in enumerate(["·Elon", "·not", "·a"]))
    shape = (LAYERS, len(prompt) + len(base))
    delta = np.zeros(shape, np.float32)
    if split:
        delta[17:, -3] = rng.normal(0, 0.1, LAYERS - 17)
    return Row(
        arm=plan.arm, alpha=plan.alpha, plan=plan, text=answer, token_ids=tuple(t.id for t in tokens), tokens=tokens,
        finish="end", tokens_changed=len(tokens) - 5 if split else 0,
        touched=Touched(neurons=len(plan.neurons), tokens=42 if plan.neurons else 0, changed=40 if plan.neurons else 0),
        diff=(DiffPart(text="The CEO of Nortel is", same=True), DiffPart(text=answer[20:], same=not split)),
        split=Split(
            position=5, before="The CEO of Nortel is", baseline=ten, row=ten[::-1], row_at_baseline=ten[::-1]
        ) if split else None,
        kl=np.full(len(base), 0.02 if split else 0.0, np.float32), kl_mean=0.02 if split else 0.0,
        kl_interval=(0.01, 0.03) if split else (0.0, 0.0), delta_max=delta, delta_sum=delta,
    )  # fmt: skip


def comparison(request: CompareRequest) -> Comparison:
    """Baseline, one row for each alpha, one random twin of the first."""
    plans = [RowPlan(arm="baseline", alpha=1.0, neurons=NeuronSet())]
    if request.neurons:
        plans += [RowPlan(arm="chosen", alpha=alpha, neurons=request.neurons) for alpha in request.alphas]
    if request.own:
        alphas = tuple(own.alpha for own in request.own)
        plans.append(
            RowPlan(arm="own", alpha=None, neurons=NeuronSet(tuple(o.neuron for o in request.own)), alphas=alphas)
        )
    if request.controls and len(plans) > 1:
        twins = NeuronSet(tuple(NeuronId(n.layer, (n.index + 7) % WIDTH) for n in plans[1].neurons))
        plans.append(RowPlan(arm="control", alpha=plans[1].alpha, neurons=twins, control="layer", control_of=1, seed=0))
    answers = {"baseline": ANSWER, "chosen": "The CEO of Nortel is not known to me.", "control": ANSWER}
    rows = tuple(
        row(request, plan, answers.get(plan.arm, "The CEO of Nortel is a person."), plan.arm in ("chosen", "own"))
        for plan in plans
    )
    return Comparison(request=request, model=INFO, prompt_tokens=tokens_of(request, ""), rows=rows)


INVENTED: dict[Verb, Callable[[Any], Result]] = {
    "explore": exploration,
    "compare": comparison,
    "neuron": card,
    "lens": lens,
    "identify": lambda request: fakes_probe.probe(request.name, INFO),
    "score": lambda request: fakes_probe.scoring(request, fakes_probe.probe(request.probe.name, INFO), INFO),
}


@dataclass
class FakeJob:
    """A job that shows one more event each time it is looked at, `pace` seconds apart."""

    verb: Verb
    request: Request
    events: list[Event]
    begun: float = field(default_factory=time.monotonic)
    stopped: bool = False


@dataclass
class FakeClient:
    """Answers at once with canned results; a failure can be put in for the next submit, view or example."""

    pace: float = 0.0
    state: str = "ready"
    refuse: HNeuronsError | None = None
    break_with: HNeuronsError | None = None
    no_example: bool = False
    info: ModelInfo = INFO
    submitted: list[tuple[str, Request, str]] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    begun: dict[str, FakeJob] = field(default_factory=dict)
    kept: dict[str, Result] = field(default_factory=dict)
    shelf: dict[str, Probe] = field(default_factory=lambda: {"shipped": fakes_probe.probe("shipped", INFO)})
    scorings: list[Scoring] = field(default_factory=list)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    score: Score = fakes_probe.score()
    """What every answer is scored, where a probe is named."""
    kept_links: dict[str, dict[str, str]] = field(default_factory=dict)
    meant: str | None = None
    """The model that the last probe from a file was said to be for."""

    def __post_init__(self) -> None:
        """A test that needs another facet puts it in the place of one of these."""
        self.jobs, self.models, self.results = FakeJobs(self), FakeModels(self), FakeResults(self)
        self.probes, self.runs, self.links = FakeProbes(self), FakeRuns(self), FakeLinks(self)

    def close(self) -> None:
        self.begun.clear()

    def scored(self, result: Result) -> Result:
        """The result with a score of each answer, where its request names a probe."""
        if not isinstance(result, Exploration | Comparison) or result.request.probe is None:
            return result
        named = result.request.probe
        base = self.score.model_copy(update={"probe": named, "forced": bool(self.shelf[named.name].forced)})

        def of(count: int) -> Score | None:
            along = tuple(float(point) for point in np.linspace(-1, 2, count))
            return base.model_copy(update={"along": along}) if count else None

        if isinstance(result, Exploration):
            return result.model_copy(update={"score": of(len(result.tokens) - result.answer_start)})
        rows = tuple(row.model_copy(update={"score": of(len(row.tokens))}) for row in result.rows)
        return result.model_copy(update={"rows": rows})


@dataclass
class FakeJobs:
    """See `backend.serve.client.Jobs`."""

    fake: FakeClient

    def submit(self, verb: Verb, request: Request, session: str) -> str:
        if self.fake.refuse is not None:
            raise self.fake.refuse
        self.fake.submitted.append((verb, request, session))
        job = f"job-{len(self.fake.submitted)}"
        self.fake.begun[job] = FakeJob(verb, request, _events(request))
        return job

    def view(self, job: str, after: int = 0, wait: float = 0.0) -> JobView:
        if job not in self.fake.begun:
            raise BackendUnavailable("The run is not known", "the program was started anew", "press Run again")
        held = self.fake.begun[job]
        if held.stopped:
            return JobView(id=job, verb=held.verb, state="stopped", position=0, next=after)
        if self.fake.break_with is not None:
            return JobView(
                id=job, verb=held.verb, state="failed", position=0, next=after, error=self.fake.break_with.to_json()
            )
        age = time.monotonic() - held.begun
        due = len(held.events) if self.fake.pace == 0 else min(len(held.events), int(age / self.fake.pace))
        done = due == len(held.events) and self.fake.state == "ready"
        key = result_key(held.request, INFO.fingerprint)
        if done:
            result = self.fake.kept.setdefault(key, self.fake.scored(INVENTED[held.verb](held.request)))
            if isinstance(result, Scoring) and result not in self.fake.scorings:
                self.fake.scorings.append(result)
        return JobView(
            id=job, verb=held.verb, position=0, state="done" if done else ("running" if due else "queued"),
            events=tuple(held.events[after:due]), next=max(after, due), key=key if done else None,
        )  # fmt: skip

    def stop(self, job: str) -> None:
        self.fake.stopped.append(job)
        if job in self.fake.begun:
            self.fake.begun[job].stopped = True


@dataclass
class FakeModels:
    """See `backend.serve.client.Models`."""

    fake: FakeClient

    def status(self) -> ModelStatus:
        if self.fake.state == "ready":
            return ModelStatus(state="ready", name=self.fake.info.name, info=self.fake.info)
        return ModelStatus(state="loading", name=INFO.name, stage="converting weights", fraction=0.4)

    def list(self) -> tuple[ModelChoice, ...]:
        return (
            ModelChoice(
                name="Fake-135M-Instruct", repo="fake/Fake-135M", source="here", licence="Apache-2.0", family="llama",
                layers=LAYERS, neurons=WIDTH, parameters=INFO.parameters, context=8192, gated=False, note="canned",
                needs=900_000_000, fits=True, here=True,
            ),
            ModelChoice(
                name="Fake-70B", repo="fake/Fake-70B", source="hub", licence="other", family="llama", layers=80,
                neurons=28672, parameters=70_000_000_000, context=131072, gated=True, note="canned",
                needs=150_000_000_000, fits=False, here=False,
            ),
        )  # fmt: skip

    def load(
        self,
        name: str,
        device: str | None = None,
        dtype: str | None = None,
        *,
        session: str = "",
        confirm: bool = False,
        gone: Collection[str] = (),
    ) -> None:
        if self.fake.refuse is not None:
            raise self.fake.refuse
        self.fake.state = "loading"

    def cancel(self) -> None:
        self.fake.state = "ready"


@dataclass
class FakeResults:
    """See `backend.serve.client.Results`."""

    fake: FakeClient

    def get(self, key: str) -> Result | None:
        return self.fake.kept.get(key)

    def list(self, limit: int = 50) -> tuple[StoredResult, ...]:
        return ()

    def example(self, verb: Verb) -> Result:
        if self.fake.no_example:
            raise StoreError(f"There is no finished example for {verb}", "it is not installed", "run your own question")
        prompt = "Who is the CEO of Nortel?"
        if verb == "compare":
            neurons = NeuronSet.of("L17:N412", "L17:N1033", "L17:N98")
            switched = CompareRequest(prompt=prompt, neurons=neurons, decoding=SHORT, probe=self._shipped())
            return self.fake.scored(comparison(switched))
        asked = ExploreRequest(prompt=prompt, decoding=SHORT, probe=self._shipped())
        if verb == "neuron":
            text = asked.reading(exploration(asked).answer)
            return card(NeuronRequest(neuron=NeuronId(17, 412), text=text))
        return self.fake.scored(exploration(asked))

    def _shipped(self) -> ProbeRef | None:
        digest = next((one.digest for one in self.fake.probes.list() if one.name == "shipped"), None)
        return None if digest is None else ProbeRef(name="shipped", digest=digest)


@dataclass
class FakeProbes:
    """See `backend.serve.client.Probes`."""

    fake: FakeClient

    def list(self) -> tuple[ProbeSummary, ...]:
        """Each with what its content is known by, as a file has."""
        told = ((one, sha256(one.model_dump_json().encode()).hexdigest()) for one in self.fake.shelf.values())
        return tuple(summary(one, one.name == "shipped").model_copy(update={"digest": digest}) for one, digest in told)

    def read(self, name: str) -> Probe:
        if name not in self.fake.shelf:
            raise Unknown(f"There is no probe {name!r}", "it was removed", "choose another")
        return self.fake.shelf[name]

    def scorings(self, name: str) -> tuple[Scoring, ...]:
        return tuple(one for one in self.fake.scorings if one.probe == name)

    def add(self, files: Mapping[str, bytes], name: str, force: bool = False, model: str | None = None) -> Probe:
        self.fake.meant = model
        made = fakes_probe.probe(name, INFO).model_copy(update={"report": None, "imported": next(iter(files))})
        self.fake.shelf[name] = made
        return made


@dataclass
class FakeRuns:
    """See `backend.serve.client.Runs`."""

    fake: FakeClient

    def list(self) -> tuple[RunView, ...]:
        found = []
        for id, job in self.fake.begun.items():
            if isinstance(job.request, IdentifyRequest):
                over = job.stopped or self.fake.jobs.view(id).state in ("done", "failed")
                found.append(
                    RunView(
                        name=job.request.name, model=INFO.name, fingerprint=INFO.fingerprint, questions=9000,
                        sampled=120, done=over and not job.stopped, changed=1.7e9, job=None if over else id,
                        plan=job.request.plan,
                    )
                )  # fmt: skip
        return tuple(found)

    def answers(self, name: str, limit: int = 200, offset: int = 0) -> tuple[AnswerView, ...]:
        return tuple(
            AnswerView(
                question=f"q{n}", text=f"Who is <i>number {n}</i>?", answers=("A", "B"), relation="r",
                response=f"It is *{n}*", count=4, greedy=True, verdict=self.fake.verdicts.get(f"q{n}", "wrong"),
                rules="wrong", judge="uncertain" if n else None, overruled=f"q{n}" in self.fake.verdicts,
                words=self.fake.words.get(f"q{n}", f"*{n}*"), marked=f"q{n}" in self.fake.words,
            )
            for n in range(offset, min(3, offset + limit))
        )  # fmt: skip

    def overrule(self, name: str, question: str, response: str, verdict: Verdict) -> None:
        self.fake.verdicts[question] = verdict

    def mark_words(self, name: str, question: str, response: str, words: str) -> None:
        if words not in response:
            raise BadInput(f"{words!r} is not in the answer", "only words of the answer can be marked", "copy them")
        self.fake.words[question] = words

    def stop(self, name: str) -> bool:
        its = [job for job in self.fake.begun.values() if getattr(job.request, "name", "") == name]
        for job in its:
            job.stopped = True
        return bool(its)

    def delete(self, name: str) -> None:
        if name == "shipped":
            raise BadInput(f"{name} cannot be deleted", "it comes with the program", "delete one of your own")
        self.fake.shelf.pop(name, None)
        self.fake.begun = {id: job for id, job in self.fake.begun.items() if getattr(job.request, "name", "") != name}

    def read_questions(self, payload: bytes, file: str, limit: int | None = None, seed: int = 0) -> ReadQuestions:
        if b"question" not in payload:
            raise BadInput(f"{file} has no column of questions", "its columns are a, b", "name them so")
        rows, empty = payload.count(b"\n"), payload.count(b"\n,")
        asked = [
            Question(id=f"q{n}", text="Who wrote <b>Emma</b>?", answers=("Jane Austen",))
            for n in range(min(rows - empty, limit or 10**9))
        ]
        return ReadQuestions(questions=tuple(asked), rows=rows, incomplete=empty)


@dataclass
class FakeLinks:
    """See `backend.serve.client.Links`."""

    fake: FakeClient

    def keep(self, params: Mapping[str, str]) -> str:
        key = sha256(json.dumps(dict(params), sort_keys=True).encode()).hexdigest()
        self.fake.kept_links[key] = dict(params)
        return key

    def kept(self, key: str) -> Mapping[str, str] | None:
        return self.fake.kept_links.get(key)


def _events(request: Request) -> list[Event]:
    if isinstance(request, IdentifyRequest):
        return [StageEvent(stage="drawing answers: 12 of 300, 4 min left", fraction=0.04)]
    if not isinstance(request, ExploreRequest | CompareRequest):
        return [StageEvent(stage="reading the neuron")]
    answer = tuple(one for one in tokens_of(request, ANSWER) if one.role == "answer")
    plans = tuple(one.plan for one in comparison(request).rows) if isinstance(request, CompareRequest) else ()
    events: list[Event] = [
        StageEvent(stage="reading the prompt", fraction=0.1),
        PromptEvent(tokens=tokens_of(request, ""), rows=plans),
    ]
    for index, one in enumerate(answer):
        text = "".join(t.text for t in answer[: index + 1])
        for number in range(max(1, len(plans))):
            events.append(TokenEvent(row=number, index=index, token=one, text=text))
    return events
