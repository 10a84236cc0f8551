"""Runs on disk: what a run was begun with, the folder of its answers, and what people decided in it.

Owns the folder of a run up to its artefact, which is `backend.probes.library`'s: the lock that keeps a second run out,
the plan, the questions, a person's verdicts and marks, and beginning with the answers of another run.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from pydantic import Field

from backend.errors import BadSettings, StoreError, Unknown
from backend.forward import templating
from backend.identify.questions.questions import asked_by, widened, with_known_ids
from backend.probes import library
from backend.probes.library import folder_of
from backend.runs import archive, changed
from backend.runs.folder import RunFolder
from backend.runs.records import append_record, read_records, reason, write_text
from backend.types import Frozen
from backend.types.identify import Question, Verdict
from backend.types.plan import Plan, QuestionSource
from backend.types.results import ModelInfo
from cache import atomic
from cache.errors import remedy
from cache.files import Taken, content, own_folder, signature, turn
from cache.journal import Journal


@dataclass(frozen=True)
class Begun:
    """What a run was begun with."""

    plan: Plan
    fingerprint: str
    model: str
    command: str
    question_count: int
    """The number of its questions."""
    prompt_hash: str = ""
    """The hash of the prompt that a question becomes; '' where an older version did not keep it."""
    moment: datetime | None = None
    """The time that chat templates which write the date see as now, at every stage and whenever the run is resumed."""


class Overruled(Frozen):
    """A record of a person's verdict on an answer."""

    question: str
    response: str
    verdict: Verdict


class Marking(Frozen):
    """A record of the characters of an answer that a person marked; none where `start` is `end`."""

    question: str
    response: str
    start: int = Field(ge=0)
    end: int = Field(ge=0)


_ANEW = "begin the run anew, under another name"
_REMOVE = "remove that line: what a person decided there is lost"


@contextmanager
def working(folder: Path, wait: float = 0.5) -> Iterator[None]:
    """Hold the lock of the run in `folder`; waits `wait` seconds for a program that works on it or tests the lock.

    Raises StoreError where another program works on it, or the folder cannot be made.
    """
    with ExitStack() as locks:
        try:
            own_folder(folder)
            locks.enter_context(turn(RunFolder(folder).lock, wait))
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


def branch(
    source: str, name: str, plan: Plan, info: ModelInfo, new_questions: Sequence[Question] = ()
) -> tuple[Question, ...]:
    """Begin the run `name` with the answers of `source`, unless it has begun; returns the questions that it asks.

    These are the questions of `source`, or others (`new_questions`, or shipped ones by the plan) of which `source` has
    answered some.

    Raises Unknown, StoreError; BadSettings where the plan or the model differs in what answers depend on, or the folder
    holds a probe that no run made.
    """
    source_begun, source_questions = begun(source)
    folder = folder_of(name)
    own_questions: tuple[Question, ...] | None = source_questions
    if new_questions or source_begun.plan.source != plan.source:
        wanted = tuple(new_questions) or asked_by(plan.source)
        own_questions = widened(
            source_questions, source_begun.plan.source, wanted, plan.source, plan.seed
        ) or with_known_ids(source_questions, wanted)
    changed.refuse(name, source_begun, plan, info, same_questions=own_questions is not None, source=source)
    if read_begun(folder) is None:
        library.refuse_foreign(folder)
        with working(folder):
            if read_begun(folder) is None:
                archive.copy(folder_of(source), folder)
    assert own_questions is not None, "else the questions changed"
    return own_questions


def questions_to_ask(folder: Path, plan: Plan, new_questions: Sequence[Question]) -> tuple[Question, ...]:
    """The questions of the run in `folder` when it is now asked for `new_questions`: those that it asked stay, and
    others can be added.

    Raises BadSettings where some that it asked are missing, StoreError.
    """
    if read_begun(folder) is None:
        return tuple(new_questions)
    begun_with, asked_questions = _begun_at(folder)
    widened_questions = widened(asked_questions, begun_with.plan.source, new_questions, plan.source, plan.seed)
    if widened_questions is None:
        raise BadSettings(
            f"The run {folder.name} asks {len(asked_questions):,} questions that are not all among these",
            "a run can get more questions, but its answers are never thrown away",
            f"ask all of its questions and more, or start a run of another name with the answers of {folder.name}",
        )
    return widened_questions


def begin(
    folder: Path, plan: Plan, questions: Sequence[Question], info: ModelInfo, command: str, prompt_hash: str = ""
) -> str:
    """Write the plan and the questions, after checking that the folder's answers were made from the same.

    The filter, the probe and the checks may change from one call to the next, and questions and samples can be added;
    the questions that were asked, how answers are drawn and the model may not change.

    Args:
        prompt_hash: of the prompt that a question becomes (`responses.prompt_hash`).

    Returns the command that the run was begun with. Raises BadSettings where something changed that may not, or the
    folder holds a probe that no run made.
    """
    library.refuse_foreign(folder)
    lines = "".join(question.model_dump_json() + "\n" for question in questions)
    questions_path = RunFolder(folder).questions
    earlier = read_begun(folder)
    if earlier is not None:
        changed.refuse(
            folder.name,
            earlier,
            plan,
            info,
            same_questions=_asks_all(questions_path, earlier, questions),
            prompt_hash=prompt_hash,
        )
    write_text(questions_path, lines)
    command = command if earlier is None else earlier.command
    record = {
        "plan": plan.model_dump(mode="json"), "fingerprint": info.fingerprint, "model": info.name,
        "command": command, "asked": len(questions),
        "put": prompt_hash or (earlier.prompt_hash if earlier is not None else ""),
        "moment": moment(folder).isoformat(),
    }  # fmt: skip
    write_text(RunFolder(folder).plan, json.dumps(record, indent=1))
    return command


def moment(folder: Path) -> datetime:
    """When the run in `folder` was begun; the present time where none is begun. Raises StoreError."""
    earlier = read_begun(folder)
    return templating.now() if earlier is None or earlier.moment is None else earlier.moment


def _asks_all(path: Path, begun_with: Begun, questions: Sequence[Question]) -> bool:
    """Whether every question in the file `path` is among `questions` with the same id and text, and none is lost."""
    texts = {question.id: question.text for question in questions}
    try:
        lines = [Question.model_validate_json(line) for line in path.read_bytes().split(b"\n") if line]
    except (OSError, ValueError):
        return False
    return len(lines) == begun_with.question_count and all(
        texts.get(question.id) == question.text for question in lines
    )


def begun(name: str) -> tuple[Begun, tuple[Question, ...]]:
    """What the run `name` was begun with, and its questions.

    Raises StoreError; Unknown where there is no such run, also where a probe of that name was not made by a run.
    """
    return _begun_at(opened(name), name)


def _begun_at(folder: Path, name: str = "") -> tuple[Begun, tuple[Question, ...]]:
    begun_with = read_begun(folder)
    if begun_with is None and library.holds_foreign(folder):
        why = "the probe of that name was imported from a file or fitted on one, so it has no answers"
        raise Unknown(f"There is no run {folder.name!r}", why, "name a run, or start one")
    if begun_with is None:
        raise Unknown(f"There is no run {name[:40]!r}", f"{folder} holds no plan", "see hneurons identify list")
    journal = Journal(RunFolder(folder).questions)
    asked_questions = read_records(journal, Question, _ANEW)
    if len(asked_questions) != begun_with.question_count:
        raise StoreError(
            f"{journal.name} is not complete",
            f"it holds {len(asked_questions):,} of {begun_with.question_count:,} questions",
            _ANEW,
        )
    return begun_with, tuple(asked_questions)


def questions(folder: Path, source: QuestionSource) -> tuple[Question, ...]:
    """The questions of the run in `folder`, where it was begun with the same source of questions; else none."""
    begun_with = read_begun(folder)
    return begun(folder.name)[1] if begun_with is not None and begun_with.plan.source == source else ()


def delete(name: str) -> None:
    """Delete the run or probe of that name with all its answers.

    Its folder is renamed first, so that deleting is atomic: an interruption never leaves a part of a run.
    Raises Unknown, BadInput, BadSettings for what ships, StoreError where it is at work or cannot be deleted.
    """
    refuse_undeletable(name)
    folder = folder_of(name)
    try:
        with working(folder):
            set_aside = atomic.aside(folder)
        shutil.rmtree(set_aside)
    except OSError as error:
        raise StoreError(f"{name} cannot be deleted", reason(error), remedy(error)) from error


def refuse_undeletable(name: str) -> None:
    """Raises Unknown where there is no run or probe of that name, BadInput for a bad name, BadSettings for a run that
    must not be deleted."""
    folder = folder_of(name)
    if (library.runs_dir() / name).is_symlink():
        raise BadSettings(f"{name} cannot be deleted", "its folder is a link", "remove the link by hand")
    if (library.SHIPPED / name).exists():
        raise BadSettings(f"{name} cannot be deleted", "it comes with the program", "delete one of your own")
    if not any(path.exists() for path in (RunFolder(folder).plan, RunFolder(folder).probe)):
        raise Unknown(f"There is no run or probe {name[:40]!r}", f"{folder} holds none", "see hneurons identify list")


def read_begun(folder: Path, cached: bool = False) -> Begun | None:
    """What the run in `folder` was begun with; None where there is none. Raises StoreError.

    Args:
        cached: read once for each state of the file, for a list that is shown every second.
    """
    if not cached:
        return _read_plan(folder)
    try:
        return _known_plan(folder, signature(RunFolder(folder).plan))
    except FileNotFoundError:
        return None


@lru_cache(maxsize=1024)
def _known_plan(folder: Path, state: tuple[int, int, int]) -> Begun | None:
    return _read_plan(folder)


def _read_plan(folder: Path) -> Begun | None:
    try:
        record = json.loads(content(RunFolder(folder).plan))
        # A lone surrogate in it cannot be encoded, and would break every list that names the run.
        json.dumps(record, ensure_ascii=False).encode()
        plan = Plan.model_validate(record["plan"])
        return Begun(
            plan,
            str(record["fingerprint"]),
            str(record["model"]),
            str(record["command"]),
            int(record["asked"]),
            str(record.get("put", "")),
            datetime.fromisoformat(record["moment"]) if "moment" in record else None,
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise StoreError(
            f"{RunFolder(folder).plan} cannot be read", reason(error), "correct it there, or begin the run anew"
        ) from error


def overrules(folder: Path) -> dict[tuple[str, str], Verdict]:
    """(question, response) -> a person's verdict; a later one replaces an earlier one. Raises StoreError."""
    decisions = read_records(Journal(RunFolder(folder).overrules), Overruled, _REMOVE)
    return {(decision.question, decision.response): decision.verdict for decision in decisions}


def overrule(folder: Path, question: str, response: str, verdict: Verdict) -> None:
    """Keep a person's verdict on an answer. Raises StoreError where the folder cannot be written."""
    append_record(
        Journal(RunFolder(folder).overrules), Overruled(question=question, response=response, verdict=verdict)
    )


def marked(folder: Path) -> dict[tuple[str, str], tuple[int, int]]:
    """(question, response) -> start and end of the characters that a person marked as the answer; a later mark replaces
    an earlier one. Raises StoreError.
    """
    marks: dict[tuple[str, str], tuple[int, int]] = {}
    for marking in read_records(Journal(RunFolder(folder).marked), Marking, _REMOVE):
        key = (marking.question, marking.response)
        marks.pop(key, None)
        if marking.end > marking.start:
            marks[key] = (marking.start, marking.end)
    return marks


def mark(folder: Path, question: str, response: str, start: int, end: int) -> None:
    """Keep which characters of an answer a person marked. Where `start` is `end` the mark is removed, and the rules
    decide again.

    Raises StoreError where the folder cannot be written.
    """
    marking = Marking(question=question, response=response, start=start, end=end)
    append_record(Journal(RunFolder(folder).marked), marking)
