"""What every stage of a run stands on: the model, the plan, the questions and the folder.

Owns nothing but their being together, and the small things that all stages ask: a verdict, a study, a key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from backend.identify.answers.items import Marked, Overrules
from backend.identify.answers.judge import verdict
from backend.identify.evaluation.effects import Arm, answers
from backend.identify.evaluation.effects import key as switched_key
from backend.identify.features.extract import Features, extract
from backend.identify.features.study import Study, study
from backend.models.loaded import LoadedModel
from backend.runs.folder import RunFolder
from backend.types import StageEvent, figures
from backend.types.base import digest
from backend.types.identify import Item, Question, RegionRule, Samples, Verdict
from backend.types.plan import Plan, Training
from backend.watch import SILENT, Watch
from cache.journal import Journal

_SOLVERS = " ".join(f"{name} {version(name)}" for name in ("numpy", "scikit-learn", "skglm"))
"""What fits hang on besides what they are fitted to."""


@dataclass(frozen=True)
class Ground:
    """A run's surroundings. `overrules` and `marked` are what a person or another model decided."""

    model: LoadedModel
    plan: Plan
    questions: Mapping[str, Question]
    folder: Path
    overrules: Overrules = field(default_factory=dict)
    marked: Marked = field(default_factory=dict)
    watch: Watch = SILENT

    def say(self, stage: str) -> None:
        """A stage begins."""
        self.watch.emit(StageEvent(stage=stage))

    def verdict(self, question: str, text: str) -> Verdict:
        """A person's or the deciding model's verdict where there is one, else that of the rules."""
        return self.overrules.get((question, text)) or verdict(text, self.questions[question])

    @property
    def _basis(self) -> str:
        return figures(self.model.info.basis)

    def journal(self, stage: str, *of: str) -> Journal:
        """The journal of a stage; another one where the plan, a question, the model, a library or `of` differ."""
        key = digest([self._basis, _SOLVERS, self.plan, *of], self.questions.values())[:16]
        return Journal(RunFolder(self.folder).stage(stage, key))

    def features(self, items: Sequence[Item], rule: RegionRule, of: str = "") -> Features:
        """CETT of these items, read or found in the folder of features; `of`: what is otherwise than in the plan."""
        return extract(
            self.model, items, self.questions, self.plan.sampling, rule, RunFolder(self.folder).features(of), self.watch
        )

    def switched(self, questions: Sequence[Question], arms: Sequence[Arm], stage: str) -> list[Samples]:
        """Greedy answers, untouched and under each arm."""
        key = switched_key(questions, arms, self.plan.sampling, self._basis)
        journal = Journal(RunFolder(self.folder).stage(stage, key))
        return answers(self.model, questions, arms, self.plan.sampling, journal, self.watch)


@dataclass(frozen=True)
class Pool:
    """Items whose features lie together, in their order, and the questions that are held out."""

    items: tuple[Item, ...]
    features: Features
    held: frozenset[str]

    def study(self, ground: Ground, items: Sequence[Item], training: Training | None = None) -> Study:
        """These items, split. Raises BadInput where a part is too small."""
        place = {(item.question, item.response): number for number, item in enumerate(self.items)}
        rows = [place[item.question, item.response] for item in items]
        plan = ground.plan if training is None else ground.plan.model_copy(update={"training": training})
        return study(items, rows, self.features, ground.questions, self.held, plan)
