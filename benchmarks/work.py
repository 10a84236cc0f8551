"""The timed pieces of work: each a pair of functions, ours and the peer's, over the same input."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from backend.engine import Engine
from backend.forward import prompting
from backend.forward.capture import Summaries
from backend.forward.pooling import BATCH, RegionText, region_means
from backend.forward.reference import Usual, sentences
from backend.forward.rows.generation import decode
from backend.models.loaded import LoadedModel
from backend.neurons import NeuronSet
from backend.types import Asked, CompareRequest, Decoding, ExploreRequest, RowPlan, Threshold
from backend.verbs.table import COMPARE, EXPLORE
from benchmarks.peers import official_means, plain_batches, transformers_generate
from cache.store import Store

TOKENS, STEPS = 40, 20
NEURONS = NeuronSet.of("L17:N98", "L17:N412", "L17:N1033", "L21:N256")
PROMPT = "Who is the CEO of Nortel?"


@dataclass(frozen=True)
class Work:
    """One row of the table: `ours` against `peer`; `aim` is the bound on ours / peer, or peer / ours if `faster`."""

    name: str
    against: str
    aim: float
    faster: bool
    ours: Callable[[], object]
    peer: Callable[[], object]


def question_texts(model: LoadedModel, count: int = 64) -> list[RegionText]:
    """`count` question-and-answer texts of 58 to 100 tokens with their template: regions answer and the rest."""
    lines = sentences()
    texts: list[RegionText] = []
    for place in range(10 * count):
        question = f"{lines[place % len(lines)]} {lines[(7 * place + 3) % len(lines)]} What happens next, and why?"
        asked = Asked(prompt=question)
        prompt = prompting.encode(model, asked)
        answer = lines[(11 * place + 5) % len(lines)][: 20 + place % 40]
        whole = prompt + prompting.encode_answer(model, asked, prompt, answer)
        if 58 <= len(whole) <= 100:
            texts.append(RegionText(whole.ids, (tuple(range(len(prompt), len(whole))), tuple(range(len(prompt))))))
        if len(texts) == count:
            break
    return texts


def capture(model: LoadedModel, usual: Usual) -> Summaries:
    """What Explore keeps of each token."""
    return Summaries(Threshold(), 10, usual=usual.floored(model.info.layout))


def plans(rows: int) -> tuple[RowPlan, ...]:
    """A baseline, one random-like twin, and alphas spread over [0, 3] for the others."""
    alphas = [0.0, 2.0, *(3.0 * step / 13 for step in range(1, 12))]
    made = [RowPlan(arm="baseline", alpha=1.0, neurons=NeuronSet())]
    made += [RowPlan(arm="chosen", alpha=alpha, neurons=NEURONS) for alpha in alphas[: max(rows - 2, 0)]]
    twin = NeuronSet.of("L17:N5", "L17:N600", "L17:N900", "L21:N7")
    return (*made, RowPlan(arm="control", alpha=0.0, neurons=twin))[:rows]


def decode_rows(model: LoadedModel, usual: Usual, ids: tuple[int, ...], rows: int) -> object:
    """`rows` rows of exactly TOKENS tokens under their interventions, every layer and token reduced."""
    return decode(
        model,
        [ids] * rows,
        Decoding(max_new_tokens=TOKENS),
        plans=plans(rows),
        capture=capture(model, usual),
        ignore_ends=True,
    )


def table(model: LoadedModel, usual: Usual) -> list[Work]:
    """The rows of the table that compare two times."""
    texts = question_texts(model)
    ids = prompting.encode(model, Asked(prompt=PROMPT)).ids

    def generate() -> None:
        transformers_generate(model, ids, 1, TOKENS)

    works = [
        Work("CETT of 64 question-answer texts, regional means", "the official extractor's way", 4, True,
             lambda: region_means(model, texts), lambda: official_means(model, texts)),
        Work("the same", "plain batched forward passes without output head", 1.08, False,
             lambda: region_means(model, texts), lambda: plain_batches(model, texts, BATCH)),
    ]  # fmt: skip
    for rows, aim in ((1, 0.65), (4, 0.85), (13, 1.2)):
        name = f"{TOKENS} tokens decoded, capture on, {rows} row{'s' if rows > 1 else ''}"
        works.append(
            Work(
                name, "generate, one row, no hooks", aim, False, partial(decode_rows, model, usual, ids, rows), generate
            )
        )
    limit = Work("20 tokens of 1 row, the forwards alone", "all weights read as often", 1.5, False,
                 partial(tokens_alone, model, ids[0]), partial(weights_read, model))  # fmt: skip
    return [*works, limit]


@torch.inference_mode()
def tokens_alone(model: LoadedModel, token: int) -> None:
    """`STEPS` forward passes of one token each, without hooks."""
    ids, cache = torch.tensor([[token]]), None
    for _ in range(STEPS):
        cache = model.plain(ids, past_key_values=cache, use_cache=True).past_key_values


@torch.inference_mode()
def weights_read(model: LoadedModel) -> None:
    """All weights summed `STEPS` times: the speed of memory."""
    for _ in range(STEPS):
        for weight in model.plain.parameters():
            weight.sum()


def whole_compare(model: LoadedModel) -> Callable[[], object]:
    """The verb compare with the same four rows, second pass, divergences and differences included."""
    request = CompareRequest(
        prompt=PROMPT, neurons=NEURONS, alphas=(0.0, 2.0), decoding=Decoding(max_new_tokens=TOKENS)
    )
    return lambda: Engine(model).ask(COMPARE, request)


def repeated_request(model: LoadedModel) -> tuple[Callable[[], object], tempfile.TemporaryDirectory[str]]:
    """An explore request that is already stored. The returned folder must live as long as the function is used."""
    folder = tempfile.TemporaryDirectory()
    engine = Engine(model, Store(Path(folder.name)))
    request = ExploreRequest(prompt=PROMPT)
    engine.ask(EXPLORE, request)
    return lambda: engine.ask(EXPLORE, request), folder


def peak_memory(tokens: int = 512) -> float:
    """GB by which the peak while exploring `tokens` tokens exceeds the memory of the process with its model before."""
    code = f"from benchmarks.work import report_peak; report_peak({tokens})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout.strip().splitlines()[-1])


def report_peak(tokens: int) -> None:
    """In its own process: load, warm up on one word, explore, and write the rise of memory to stdout. Linux."""
    from backend.models.loading import load

    model = load("SmolLM2-135M-Instruct")
    engine = Engine(model)
    engine.usual()
    text = " ".join(sentences()) * 2
    cut = str(model.tokenizer.decode(model.tokenizer(text)["input_ids"][: tokens - 40]))
    engine.ask(EXPLORE, ExploreRequest(prompt="Hello", decoding=Decoding(max_new_tokens=1)))
    token_counts: list[int] = []

    def explore() -> None:
        exploration = engine.ask(EXPLORE, ExploreRequest(prompt=cut, decoding=Decoding(max_new_tokens=1)))
        token_counts.append(len(exploration.tokens))

    rise = rise_of(explore)
    if abs(token_counts[0] - tokens) > 16:
        raise AssertionError(f"{token_counts[0]} tokens were explored, not about {tokens}")
    sys.stdout.write(f"{rise}\n")


def rise_of(work: Callable[[], object]) -> float:
    """GB by which the peak memory of this process during `work` exceeds its memory before. Linux."""
    # An earlier peak may have been higher: this resets the peak to the present memory.
    Path("/proc/self/clear_refs").write_text("5")
    before = _memory("VmRSS")
    work()
    return (_memory("VmHWM") - before) / 1e9


def _memory(name: str) -> int:
    """Bytes of this process under `name` in /proc/self/status."""
    lines = Path("/proc/self/status").read_text().split("\n")
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
