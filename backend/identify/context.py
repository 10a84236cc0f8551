"""What every stage of a run needs: the model, the plan, the questions and the folder.

Owns the small functions that all stages use on them: a verdict, a study, a key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from backend.identify.answers.items import Marked, Overrules
from backend.identify.answers.judge import rule_verdict
from backend.identify.evaluation.effects import Switch, answers_under_switches
from backend.identify.evaluation.effects import answers_key as switched_key
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
"""Versions that fits depend on besides their data."""


@dataclass(frozen=True)
class RunContext:
    """What the stages of a run work with. `overrules` and `marked` are decisions of a person or an LLM."""

    model: LoadedModel
    plan: Plan
    questions: Mapping[str, Question]
    folder: Path
    overrules: Overrules = field(default_factory=dict)
    marked: Marked = field(default_factory=dict)
    watch: Watch = SILENT

    def say(self, stage: str) -> None:
        """Emit the name of the stage that begins."""
        self.watch.emit(StageEvent(stage=stage))

    def verdict(self, question: str, text: str) -> Verdict:
        """A person's or the deciding LLM's verdict where there is one, else that of the rules."""
        return self.overrules.get((question, text)) or rule_verdict(text, self.questions[question])

    @property
    def _basis(self) -> str:
        return figures(self.model.info.basis)

    def journal(self, stage: str, *of: str) -> Journal:
        """The journal of a stage: one file for each plan, questions, model, versions of libraries, and `of`."""
        key = digest([self._basis, _SOLVERS, self.plan, *of], self.questions.values())[:16]
        return Journal(RunFolder(self.folder).stage(stage, key))

    def features(self, items: Sequence[Item], rule: RegionRule, variant: str = "") -> Features:
        """CETT of these items, computed or read from the folder of features; `variant`: what differs from the plan."""
        return extract(
            self.model,
            items,
            self.questions,
            self.plan.sampling,
            rule,
            RunFolder(self.folder).features(variant),
            self.watch,
        )

    def answers_under(self, questions: Sequence[Question], switches: Sequence[Switch], stage: str) -> list[Samples]:
        """Greedy answers, untouched and under each switch."""
        key = switched_key(questions, switches, self.plan.sampling, self._basis)
        journal = Journal(RunFolder(self.folder).stage(stage, key))
        return answers_under_switches(self.model, questions, switches, self.plan.sampling, journal, self.watch)


@dataclass(frozen=True)
class Pool:
    """Items with their features, in the same order, and the ids of the questions that are held out."""

    items: tuple[Item, ...]
    features: Features
    held_out: frozenset[str]

    def study(self, context: RunContext, items: Sequence[Item], training: Training | None = None) -> Study:
        """These items, split. Raises BadInput where a part is too small."""
        row_of_item = {(item.question, item.response): number for number, item in enumerate(self.items)}
        rows = [row_of_item[item.question, item.response] for item in items]
        plan = context.plan if training is None else context.plan.model_copy(update={"training": training})
        return study(items, rows, self.features, context.questions, self.held_out, plan)
