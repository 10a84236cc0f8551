"""Runs on a tiny model that end in a probe: questions whose answers the model happens to give, for half of them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from backend.forward.prompting import encode
from backend.forward.rows.generation import decode
from backend.identify.answers.responses import asked_with_suffix
from backend.models.loaded import LoadedModel
from backend.text.verdict import normalise
from backend.types import Event, StageEvent
from backend.types.identify import Consistency, Question, Sampling
from backend.types.plan import Checks, Plan, Screening, Training
from backend.watch import Silent

SAMPLING = Sampling(samples=3, temperature=0.02, max_new_tokens=6, suffix="")
PLAN = Plan(
    sampling=SAMPLING,
    screening=Screening(),
    filter=Consistency(right=2, wrong=2, greedy=True, uncertain=1),
    training=Training(cs=(10.0, 1000.0, 30_000.0), folds=2),
    checks=Checks(
        random_sets=2, refits=2, permutations=20, bootstraps=3, twins=1, alphas=(0.0, 2.0), answers=6, kept=4
    ),
)


def questions(model: LoadedModel, count: int = 48) -> tuple[Question, ...]:
    """Questions of three relations; the model is right on half of each, by giving its own words as the answer."""
    bare = [
        Question(id=f"q{n}", text=f"Item {n}, what?", answers=("none",), relation=f"r{n % 3}", entity=f"e{n}")
        for n in range(count)
    ]
    prompts = [encode(model, asked_with_suffix(question, SAMPLING), SAMPLING.max_new_tokens).ids for question in bare]
    told = [answer.text for answer in decode(model, prompts, SAMPLING.greedy)]
    return tuple(
        question.model_copy(update={"answers": (text,)}) if (n // 3) % 2 and normalise(text) else question
        for n, (question, text) in enumerate(zip(bare, told, strict=True))
    )


def whole(probe_file: Path) -> str:
    """A probe's file without the moment it was made."""
    return "\n".join(line for line in probe_file.read_text("utf-8").split("\n") if '"made"' not in line)


class Told(Silent):
    """Keeps the stages that a run tells."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    def emit(self, event: Event) -> None:
        if isinstance(event, StageEvent):
            self.stages.append(event.stage)


class KillAt(Silent):
    """SIGKILL at the stage of that number."""

    def __init__(self, left: int) -> None:
        self.left = left

    def emit(self, event: Event) -> None:
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
