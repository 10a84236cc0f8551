"""Runs on disk: what a run was begun with, its answers' folder, and what people decided in it.

Owns the folder of a run from its beginning to its artefact, which is `backend.identify.library`'s: the lock that keeps
a second run out, the plan, the questions, verdicts and marks of a person, and beginning from the answers of another.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from backend.errors import BadSettings, StoreError, Unknown
from backend.identify import archive, library
from backend.identify.archive import PLAN, QUESTIONS
from backend.identify.library import folder_of, write_text
from backend.identify.records import keep, reason, records
from backend.types import Frozen
from backend.types.identify import Question, Verdict
from backend.types.plan import Plan, Source
from backend.types.results import ModelInfo
from cache.errors import remedy
from cache.files import Taken, own_folder, turn
from cache.journal import Journal


@dataclass(frozen=True)
class Begun:
    """What a run was begun with."""

    plan: Plan
    fingerprint: str
    model: str
    command: str
    asked: int
    """Its questions."""


class Overruled(Frozen):
    """A person's verdict on an answer, as it is kept."""

    question: str
    response: str
    verdict: Verdict


class Marking(Frozen):
    """The characters of an answer that a person marked, as they are kept; none where `start` is `end`."""

    question: str
    response: str
    start: int = Field(ge=0)
    end: int = Field(ge=0)


LOCK = ".lock"
_ANEW = "begin the run anew, under another name"
_REMOVE = "remove that line: what a person decided there is lost"


@contextmanager
def working(folder: Path, wait: float = 0.0) -> Iterator[None]:
    """Be the only run in `folder`; waits `wait` seconds for another one to end.

    Raises StoreError where another one is there, or the folder cannot be made.
    """
    with ExitStack() as held:
        try:
            own_folder(folder)
            held.enter_context(turn(folder / LOCK, wait))
        except Taken as error:
            raise StoreError(
                f"The run {folder.name} is being worked on",
                "another program has its folder open",
                "wait for it, or give this run another name",
            ) from error
        except OSError as error:
            raise StoreError(f"{folder} cannot be written", reason(error), remedy(error)) from error
        yield


def opened(name: str) -> Path:
    """The folder of the run `name`; one that ships is unpacked there on first use. Raises BadInput, StoreError."""
    folder = folder_of(name)
    if not library.holds_foreign(folder):
        archive.unpack(library.SHIPPED / folder.name, folder)
    return folder


def branch(source: str, name: str, plan: Plan, info: ModelInfo) -> tuple[Question, ...]:
    """Let the run `name` begin with the answers of `source`, unless it has begun; the questions that they answer.

    Raises Unknown, StoreError, BadSettings where its plan or model is another in what answers hang on, or the folder
    holds a probe that no run made.
    """
    held, questions = begun(source)
    folder = folder_of(name)
    changed = _changed(held, plan, info, held.plan.source == plan.source)
    if changed:
        raise BadSettings(
            f"{name} cannot begin from {source}",
            f"{changed} changed, and its answers cannot be used",
            "leave them as they are there, or begin from nothing",
        )
    if begun_in(folder) is None:
        library.refuse_foreign(folder)
        with working(folder):
            if begun_in(folder) is None:
                archive.copy(folder_of(source), folder)
    return questions


def _changed(held: Begun, plan: Plan, info: ModelInfo, same_questions: bool) -> str:
    """What of all that answers hang on is another than `held` was begun with; '' where nothing is."""
    told = {
        "the model": held.fingerprint == info.fingerprint,
        "how answers are drawn": held.plan.sampling == plan.sampling,
        "the questions": same_questions,
    }
    return " and ".join(what for what, same in told.items() if not same)


def begin(folder: Path, plan: Plan, questions: Sequence[Question], info: ModelInfo, command: str) -> str:
    """Write what the run is made from, or see that it is what the folder's answers were made from.

    The filter, the probe and the checks may change from one call to the next; questions, sampling and model may not.

    Returns the command that the run was begun with. Raises BadSettings where something else changed, or the folder
    holds a probe that no run made.
    """
    library.refuse_foreign(folder)
    asked = "".join(question.model_dump_json() + "\n" for question in questions)
    path = folder / QUESTIONS
    held = begun_in(folder)
    if held is not None:
        same = path.exists() and path.read_bytes() == asked.encode()
        changed = _changed(held, plan, info, same)
        if changed:
            raise BadSettings(
                f"The run {folder.name} was begun otherwise",
                f"{changed} changed, and its answers cannot be used",
                "give this run another name, or resume that one",
            )
    write_text(path, asked)
    command = command if held is None else held.command
    record = {
        "plan": plan.model_dump(mode="json"), "fingerprint": info.fingerprint, "model": info.name,
        "command": command, "asked": len(questions),
    }  # fmt: skip
    write_text(folder / PLAN, json.dumps(record, indent=1))
    return command


def begun(name: str) -> tuple[Begun, tuple[Question, ...]]:
    """What the run `name` was begun with, and its questions. Raises Unknown where there is none, StoreError."""
    folder = opened(name)
    held = begun_in(folder)
    if held is None:
        raise Unknown(f"There is no run {name[:40]!r}", f"{folder} holds no plan", "see hneurons identify list")
    journal = Journal(folder / QUESTIONS)
    found = records(journal, Question, _ANEW)
    if len(found) != held.asked:
        raise StoreError(f"{journal.name} is not whole", f"it holds {len(found):,} of {held.asked:,} questions", _ANEW)
    return held, tuple(found)


def questions(folder: Path, source: Source) -> tuple[Question, ...]:
    """The questions of the run in `folder`, where it was begun from the same source; none where it was not."""
    held = begun_in(folder)
    return begun(folder.name)[1] if held is not None and held.plan.source == source else ()


def begun_in(folder: Path) -> Begun | None:
    """What the run in `folder` was begun with; None where there is none. Raises StoreError."""
    try:
        record = json.loads((folder / PLAN).read_text("utf-8"))
        plan = Plan.model_validate(record["plan"])
        return Begun(
            plan, str(record["fingerprint"]), str(record["model"]), str(record["command"]), int(record["asked"])
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{folder / PLAN} cannot be read", reason(error), "correct it there, or begin the run anew"
        ) from error


def overrules(folder: Path) -> dict[tuple[str, str], Verdict]:
    """What a person decided of single answers; a later word stands above an earlier one. Raises StoreError."""
    told = records(Journal(folder / "overrules.jsonl"), Overruled, _REMOVE)
    return {(one.question, one.response): one.verdict for one in told}


def overrule(folder: Path, question: str, response: str, verdict: Verdict) -> None:
    """Keep a person's verdict on an answer. Raises StoreError where the folder cannot be written."""
    keep(Journal(folder / "overrules.jsonl"), Overruled(question=question, response=response, verdict=verdict))


def marked(folder: Path) -> dict[tuple[str, str], tuple[int, int]]:
    """The words that a person marked as the answer, as characters; a later mark stands above an earlier one.

    Raises StoreError.
    """
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for one in records(Journal(folder / "marked.jsonl"), Marking, _REMOVE):
        key = (one.question, one.response)
        found.pop(key, None)
        if one.end > one.start:
            found[key] = (one.start, one.end)
    return found


def mark(folder: Path, question: str, response: str, start: int, end: int) -> None:
    """Keep which characters of an answer a person marked; none (`start` is `end`) leaves it to the rules again.

    Raises StoreError where the folder cannot be written.
    """
    marking = Marking(question=question, response=response, start=start, end=end)
    keep(Journal(folder / "marked.jsonl"), marking)
