"""Every selection in every window, on the answers of one run: the fit, and its own part on questions left out.

Owns which items are fitted and scored. A selection's C is chosen as a run chooses it, on the training part alone; only
those with at most `MOST` per mille of H-neurons are allowed. What is measured with groups of questions left out is over
all items of the run, each by a fit on training items of other groups and other entities.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import get_args

import numpy as np
from jaxtyping import Float, Int

from backend.errors import BadInput
from backend.identify.answers.items import Answered, choose_items
from backend.identify.evaluation.carried import PARTS, carried_over, parts_of
from backend.identify.features.extract import extract
from backend.identify.features.study import split, study
from backend.identify.fit.choice import Items, trained_fit
from backend.identify.fit.solver import Fit, h_neurons
from backend.identify.questions.templates import KIND_OF
from backend.models.loaded import LoadedModel
from backend.probes import library
from backend.runs import runs
from backend.runs.folder import RunFolder
from backend.runs.records import read_records
from backend.statistics.intervals import estimate
from backend.statistics.scores import auroc
from backend.types.base import digest
from backend.types.identify import Greedy, Item, Position, Question, RegionRule, Samples
from backend.types.plan import SELECTIONS, Plan, Training
from cache import atomic
from cache.journal import Journal
from tools.selections import elsewhere
from tools.selections.elsewhere import File
from tools.selections.measured import MOST, Candidate, Comparison
from tools.telling import say

WINDOWS: tuple[Position, ...] = get_args(Position)


@dataclass(frozen=True)
class Kept:
    """The kept answers of a run with their questions, and which of them are held out."""

    plan: Plan
    items: list[Item]
    questions: Mapping[str, Question]
    held_out: frozenset[str]

    def names(self, of: Callable[[Question], str]) -> np.ndarray:
        """Something of each item's question, [item]."""
        return np.array([of(self.questions[item.question]) for item in self.items])


@dataclass(frozen=True)
class Window:
    """All items in one window: those of the fits first, then those held out; entities are numbered together."""

    train: Items
    test: Items
    groups: Mapping[str, tuple[Int[np.ndarray, " train"], Int[np.ndarray, " item"]]]
    """By "relations" and "kinds": the group of each training item, and of each item."""

    @property
    def every(self) -> Items:
        """Training and held-out items together."""
        parts = self.train, self.test
        return replace(
            self.train, other=None, about=None,
            **{name: np.concatenate([getattr(part, name) for part in parts])
               for name in ("answer", "labels", "entities", "folds")},
        )  # fmt: skip


def compare(model: LoadedModel, run: str, files: Sequence[Path], work: Path) -> Comparison:
    """Measure everything; `work` holds what a second call need not do again.

    Args:
        run: the one whose answers are fitted. files: questions of other kinds.
    """
    kept = kept_answers(run)
    others = []
    for path in files:
        say(f"asking the questions of {path.name}")
        others.append(elsewhere.answered(model, path, kept.plan, list(kept.questions.values()), work))
    candidates = []
    for name in WINDOWS:
        say(f"reading answers, window {name}")
        window = read_window(model, kept, name, work)
        read = [(file, elsewhere.read(model, file, kept.plan, name, work)) for file in others]
        for selection in SELECTIONS:
            say(f"window {name}, {selection}")
            measure = partial(candidate, model, window, read, name, selection)
            candidates.append(_kept(work / f"{_key(kept, others, name, selection)}.json", measure))
    return Comparison(
        model=model.info.name,
        neurons=model.info.layout.size,
        answers_of=run,
        items=len(kept.items),
        held_out=len(kept.held_out),
        kinds=dict(Counter(kept.names(kind_of).tolist())),
        files={file.name: file.counts for file in others},
        candidates=tuple(candidates),
    )


def kept_answers(name: str) -> Kept:
    """The items of a run by its own filter, and which of them it holds out."""
    run = RunFolder(library.folder_of(name))
    begun, asked = runs.begun(name)
    plan, questions = begun.plan, {question.id: question for question in asked}
    samples = {record.question: record for record in read_records(Journal(run.samples), Samples)}
    greedy = {record.question: record for record in read_records(Journal(run.greedy), Greedy)}
    # In the order of the questions, as the run itself takes them: the draw of the items hangs on it.
    answered = [Answered(question, greedy[question.id], samples.get(question.id)) for question in asked]
    items, _ = choose_items(answered, plan.filter, plan.seed, words=plan.words)
    _, held_out = split(items, questions, plan)
    return Kept(plan, items, questions, held_out)


def kind_of(question: Question) -> str:
    """The kind of a shipped question; of any other its relation."""
    return KIND_OF.get(question.relation, question.relation)


def read_window(model: LoadedModel, kept: Kept, name: Position, work: Path) -> Window:
    """CETT of every item in one window."""
    plan = kept.plan.model_copy(update={"rule": RegionRule(position=name), "training": Training(labels="3-vs-1")})
    features = extract(model, kept.items, kept.questions, plan.sampling, plan.rule, work / f"features-{name}")
    parts = study(kept.items, range(len(kept.items)), features, kept.questions, kept.held_out, plan)
    is_out = np.array([item.question in kept.held_out for item in kept.items])
    groups = {}
    for key, names in (
        ("relations", kept.names(lambda question: question.relation)),
        ("kinds", kept.names(kind_of)),
    ):
        number = parts_of(names, PARTS if key == "relations" else len(np.unique(names)))
        groups[key] = number[~is_out], np.concatenate([number[~is_out], number[is_out]])
    return Window(parts.train.seen, parts.test.seen, groups)


def candidate(
    model: LoadedModel,
    window: Window,
    read: Sequence[tuple[File, Float[np.ndarray, "item neuron"]]],
    name: Position,
    selection: str,
) -> Candidate:
    """One selection in one window."""
    training = Training.model_validate(SELECTIONS[selection] | {"most": MOST})
    about = Candidate(window=name, selection=selection)
    try:
        fit = trained_fit(window.train, training)
        own = {
            key: carried_over(window.train, window.every, groups, training, fit.c)
            for key, groups in window.groups.items()
        }
    except BadInput as error:
        return about.model_copy(update={"note": error.what[0].lower() + error.what[1:]})
    chosen, layout = h_neurons(fit), model.info.layout
    return about.model_copy(
        update={
            **own,
            "c": fit.c,
            "positive": len(chosen),
            "negative": int((fit.weights < 0).sum()),
            **_held_out(window.test, fit),
            "neurons": tuple(str(neuron) for neuron in layout.neurons(chosen)),
            "elsewhere": {file.name: elsewhere.measured(file, cett, fit, layout) for file, cett in read},
        }
    )


def _held_out(test: Items, fit: Fit) -> dict[str, object]:
    return {
        "probe": estimate(auroc, test.labels, fit.logits(test.answer), test.entities),
        "own": estimate(auroc, test.labels, fit.part(test.answer, 1), test.entities),
    }


def _key(kept: Kept, others: Sequence[File], window: str, selection: str) -> str:
    """A name for a candidate of these answers."""
    items = chain(kept.items, *(file.items for file in others))
    settings = Training.model_validate(SELECTIONS[selection] | {"most": MOST})
    return f"{window}-{selection}-{digest([settings], items)[:12]}"


def _kept(path: Path, measure: Callable[[], Candidate]) -> Candidate:
    """A candidate that was measured before, or is now."""
    if not path.exists():
        atomic.export(path, measure().model_dump_json(indent=1).encode())
    return Candidate.model_validate_json(path.read_bytes())
