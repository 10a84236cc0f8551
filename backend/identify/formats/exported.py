"""A finished run in the authors' layout: their code reads from it the features that the run was fitted on.

Owns the check of each item. Their code searches an answer by the texts of its tokens alone: their first occurrence
after the question, in the answered turn as the model's template writes it. Where the run read another place, or the
tokens before it differ, the item is left out and counted, because their code would compute other features. Features
over the answer are the run's own; those over the other tokens are computed again, because theirs include the tokens
that close the answered turn, and the run's do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backend.errors import BadInput, BadPrompt, StoreError
from backend.forward import templating
from backend.forward.pooling import RegionText
from backend.identify.answers.responses import asked_with_suffix
from backend.identify.features import exact
from backend.identify.features.extract import read_features_of_run, text_of_item
from backend.identify.formats import thunlp
from backend.layout import Layout
from backend.models.loaded import LoadedModel
from backend.probes import library
from backend.runs import runs
from backend.runs.folder import RunFolder
from backend.runs.runs import Begun
from backend.types.identify import Item, Question
from backend.watch import SILENT, Watch

TRAIN, TEST = "train", "test"


@dataclass(frozen=True)
class Finished:
    """A finished run: its fitted items with their features over the answer, and which were held out."""

    begun: Begun
    items: tuple[Item, ...]
    answer: np.ndarray
    held_out: tuple[bool, ...]
    questions: Mapping[str, Question]


@dataclass(frozen=True)
class Written:
    """How many items were written for fitting and as held out; how many were not, and why."""

    train: int
    test: int
    elsewhere: int
    """Items with the same tokens at an earlier place, where their code would read."""
    otherwise: int
    """Items whose answered turn has other tokens than the run read, or in which their code finds no answer."""
    pooling: str
    has_template: bool

    @property
    def items(self) -> int:
        """All items that were written."""
        return self.train + self.test

    @property
    def sentence(self) -> str:
        """All counts in words."""
        text = f"{self.items:,} items with their features, {self.train:,} to fit on and {self.test:,} held out"
        lost = {
            "whose answer occurs earlier in the response too, where the authors' code would read it": self.elsewhere,
            "which the model's template writes with other tokens once they are answered": self.otherwise,
        }
        reasons = ", ".join(f"{count:,} {words}" for words, count in lost.items() if count)
        text += f"; left out: {reasons}" if reasons else ""
        text += "; their extract_activations.py gives these figures back with --method max" if self._is_max else ""
        if not self.has_template:
            text += "; the model has no chat template, so only their classifier reads them, not extract_activations.py"
        return text

    @property
    def _is_max(self) -> bool:
        return self.pooling == "max"


def read_finished(name: str) -> Finished:
    """The run, with all that the export needs before its model is loaded.

    Raises Unknown, StoreError where a file is missing, BadInput where the authors' layout cannot hold its features.
    """
    begun, of_run = runs.begun(name)
    folder = library.folder_of(name)
    items, answer, _ = read_features_of_run(RunFolder(folder).features())
    try:
        table = library.read_items(folder, {"question": object, "response": object, "held_out": bool})
    except FileNotFoundError as error:
        raise StoreError(f"The run {name} is not finished", "it has no items yet", "resume it") from error
    _refuse_unwritable(begun, name)
    rows = table.itertuples(index=False)
    is_held_out = {(question, response): bool(held_out) for question, response, held_out in rows}
    places = [place for place, item in enumerate(items) if (item.question, item.response) in is_held_out]
    chosen = tuple(items[place] for place in places)
    questions = {question.id: question for question in of_run}
    return Finished(
        begun, chosen, answer[places], tuple(is_held_out[item.question, item.response] for item in chosen), questions
    )


def _refuse_unwritable(begun: Begun, name: str) -> None:
    what = f"{name} cannot be written for the authors' code"
    if begun.plan.rule.position != "answer":
        why = "it was read at other positions too, and their code reads at the answer's own tokens alone"
        if begun.plan.rule.position == "predicting":
            why = "it was read where each token of the answer is predicted, and theirs reads at the tokens themselves"
        raise BadInput(what, why, "make it with --position answer")
    layout = _layout(name)
    if not layout.is_dense:
        raise BadInput(what, "its layers have experts, and theirs is one array of layers", "export it as json")
    if len(set(widths := layout.layer_widths)) > 1:
        raise BadInput(what, f"its layers have {min(widths):,} to {max(widths):,} neurons, and theirs is one array",
                       "export it as json")  # fmt: skip


def _layout(name: str) -> Layout:
    probe = library.read(name)
    return probe.model.layout if probe.model is not None else Layout.dense(())


def write(model: LoadedModel, run: Finished, folder: Path, watch: Watch = SILENT) -> Written:
    """Write the run's items to `folder`. Raises BadInput where none can be written, BadSettings, Stopped."""
    with templating.at(run.begun.moment or templating.now()):
        return _write_items(model, run, folder, watch)


def _write_items(model: LoadedModel, run: Finished, folder: Path, watch: Watch) -> Written:
    texts: dict[int, RegionText] = {}
    tokens: dict[int, tuple[str, ...]] = {}
    lost = {"elsewhere": 0, "otherwise": 0}
    for place, item in enumerate(run.items):
        own_text = text_of_item(model, item, run.questions, run.begun.plan.sampling, run.begun.plan.rule)
        tokens[place] = exact.spelled_each(model, [own_text.ids[token] for token in own_text.regions[0]])
        their_text = _text_of_authors(model, run, item, tokens[place])
        end = own_text.regions[0][-1] + 1
        if their_text is None or their_text.ids[:end] != own_text.ids[:end]:
            lost["otherwise"] += 1
        elif their_text.regions[0] != own_text.regions[0]:
            lost["elsewhere"] += 1
        else:
            texts[place] = their_text
    if not texts:
        raise BadInput(
            "No item can be written for the authors' code",
            f"of {len(run.items):,}, it would read {lost['elsewhere']:,} at another place, and the model's template "
            f"writes {lost['otherwise']:,} with other tokens once they are answered",
            "export the probe as json or npz",
        )
    pooling = run.begun.plan.rule.pooling
    _, other = exact.features_of_texts(model, list(texts.values()), 2, watch, pooling)
    parts = _split_parts(model, run, texts, tokens, other)
    thunlp.write(folder, parts)
    has_template = bool(model.tokenizer.chat_template)
    return Written(len(parts[TRAIN]), len(parts[TEST]), **lost, pooling=pooling, has_template=has_template)


def _text_of_authors(model: LoadedModel, run: Finished, item: Item, answer: Sequence[str]) -> RegionText | None:
    """An item as the authors' code reads it; None where it finds no answer."""
    try:
        return exact.region_text(model, exact.conversation(model, _prompt(run, item), item.response), answer)
    except (BadPrompt, ValueError):
        return None


def _prompt(run: Finished, item: Item) -> str:
    return asked_with_suffix(run.questions[item.question], run.begun.plan.sampling).prompt


def _split_parts(
    model: LoadedModel,
    run: Finished,
    texts: Mapping[int, RegionText],
    tokens: Mapping[int, tuple[str, ...]],
    other: np.ndarray,
) -> dict[str, list[thunlp.Exported]]:
    ids = thunlp.file_ids([run.items[place].question for place in texts])
    parts: dict[str, list[thunlp.Exported]] = {TRAIN: [], TEST: []}
    for id, (place, _), other_features in zip(ids, texts.items(), other, strict=True):
        item = run.items[place]
        answered_turn = exact.conversation(model, _prompt(run, item), item.response)
        response = exact.spelled_each(model, answered_turn.ids[answered_turn.start :])
        tokenised = thunlp.Tokenised(id, _prompt(run, item), item.response, response, tokens[place])
        shape = (model.info.n_layers, -1)
        answer_features = run.answer[place].reshape(shape)
        exported = thunlp.Exported(tokenised, item.side, answer_features, other_features.reshape(shape))
        parts[TEST if run.held_out[place] else TRAIN].append(exported)
    return parts
