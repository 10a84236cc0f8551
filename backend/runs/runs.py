"""Runs on disk: what a run was begun with, its answers' folder, and what people decided in it.

Owns the folder of a run from its beginning to its artefact, which is `backend.probes.library`'s: the lock that keeps
a second run out, the plan, the questions, verdicts and marks of a person, and beginning from the answers of another.
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
from backend.identify.questions.questions import asked_by, matched, widened
from backend.probes import library
from backend.probes.library import folder_of
from backend.runs import archive, changed
from backend.runs.folder import RunFolder
from backend.runs.records import keep, reason, records, write_text
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
    asked: int
    """Its questions."""
    put: str = ""
    """The hash of how a question is put to the model; '' where an older version did not keep it."""
    moment: datetime | None = None
    """What templates that write the date take for now, at every stage and each time the run goes on."""


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


_ANEW = "begin the run anew, under another name"
_REMOVE = "remove that line: what a person decided there is lost"


@contextmanager
def working(folder: Path, wait: float = 0.5) -> Iterator[None]:
    """Be the only run in `folder`; waits `wait` seconds for another one to end, or for a look at whether one is there.

    Raises StoreError where another one is there, or the folder cannot be made.
    """
    with ExitStack() as held:
        try:
            own_folder(folder)
            held.enter_context(turn(RunFolder(folder).lock, wait))
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


def branch(source: str, name: str, plan: Plan, info: ModelInfo, given: Sequence[Question] = ()) -> tuple[Question, ...]:
    """Let the run `name` begin with the answers of `source`, unless it has begun; the questions that it asks.

    These are those of `source`, or others (`given`, or shipped ones by the plan) of which it has answered some.

    Raises Unknown, StoreError, BadSettings where its plan or model is another in what answers hang on, or the folder
    holds a probe that no run made.
    """
    held, questions = begun(source)
    folder = folder_of(name)
    found: tuple[Question, ...] | None = questions
    if given or held.plan.source != plan.source:
        wanted = tuple(given) or asked_by(plan.source)
        found = widened(questions, held.plan.source, wanted, plan.source, plan.seed) or matched(questions, wanted)
    changed.refuse(name, held, plan, info, same_questions=found is not None, source=source)
    if begun_in(folder) is None:
        library.refuse_foreign(folder)
        with working(folder):
            if begun_in(folder) is None:
                archive.copy(folder_of(source), folder)
    assert found is not None, "else the questions changed"
    return found


def joined(folder: Path, plan: Plan, given: Sequence[Question]) -> tuple[Question, ...]:
    """The questions of the run in `folder` when it is now asked for `given`: what it asked stays, and more can come.

    Raises BadSettings where fewer or other ones are asked for, StoreError.
    """
    if begun_in(folder) is None:
        return tuple(given)
    before, held = _begun_at(folder)
    found = widened(held, before.plan.source, given, plan.source, plan.seed)
    if found is None:
        raise BadSettings(
            f"The run {folder.name} asks {len(held):,} questions that are not all among these",
            "its questions can become more, and its answers are never thrown away",
            "ask all of them and more, or give this run another name and begin it with the answers of that one",
        )
    return found


def begin(folder: Path, plan: Plan, questions: Sequence[Question], info: ModelInfo, command: str, put: str = "") -> str:
    """Write what the run is made from, or see that it is what the folder's answers were made from.

    The filter, the probe and the checks may change from one call to the next, and questions and samples become more;
    what was asked, how answers are drawn and the model may not change.

    Args:
        put: the hash of how a question is put to the model (`responses.put`).

    Returns the command that the run was begun with. Raises BadSettings where something else changed, or the folder
    holds a probe that no run made.
    """
    library.refuse_foreign(folder)
    asked = "".join(question.model_dump_json() + "\n" for question in questions)
    path = RunFolder(folder).questions
    held = begun_in(folder)
    if held is not None:
        changed.refuse(folder.name, held, plan, info, same_questions=_asks_all(path, held, questions), put=put)
    write_text(path, asked)
    command = command if held is None else held.command
    record = {
        "plan": plan.model_dump(mode="json"), "fingerprint": info.fingerprint, "model": info.name,
        "command": command, "asked": len(questions), "put": put or (held.put if held is not None else ""),
        "moment": moment(folder).isoformat(),
    }  # fmt: skip
    write_text(RunFolder(folder).plan, json.dumps(record, indent=1))
    return command


def moment(folder: Path) -> datetime:
    """What the run in `folder` takes for now: when it was begun, or where nothing is begun, now. Raises StoreError."""
    held = begun_in(folder)
    return templating.now() if held is None or held.moment is None else held.moment


def _asks_all(path: Path, held: Begun, questions: Sequence[Question]) -> bool:
    """Whether every question in `path` is among these under its id, and the file is as it was written."""
    texts = {question.id: question.text for question in questions}
    try:
        lines = [Question.model_validate_json(line) for line in path.read_bytes().split(b"\n") if line]
    except (OSError, ValueError):
        return False
    return len(lines) == held.asked and all(texts.get(one.id) == one.text for one in lines)


def begun(name: str) -> tuple[Begun, tuple[Question, ...]]:
    """What the run `name` was begun with, and its questions. Raises Unknown where there is none, also where a probe
    of that name was made by no run, StoreError."""
    return _begun_at(opened(name), name)


def _begun_at(folder: Path, name: str = "") -> tuple[Begun, tuple[Question, ...]]:
    held = begun_in(folder)
    if held is None and library.holds_foreign(folder):
        why = "the probe of that name is from a file of others or was fitted on one, and brings no answers"
        raise Unknown(f"There is no run {folder.name!r}", why, "name a run, or begin one")
    if held is None:
        raise Unknown(f"There is no run {name[:40]!r}", f"{folder} holds no plan", "see hneurons identify list")
    journal = Journal(RunFolder(folder).questions)
    found = records(journal, Question, _ANEW)
    if len(found) != held.asked:
        raise StoreError(f"{journal.name} is not whole", f"it holds {len(found):,} of {held.asked:,} questions", _ANEW)
    return held, tuple(found)


def questions(folder: Path, source: QuestionSource) -> tuple[Question, ...]:
    """The questions of the run in `folder`, where it was begun from the same source; none where it was not."""
    held = begun_in(folder)
    return begun(folder.name)[1] if held is not None and held.plan.source == source else ()


def delete(name: str) -> None:
    """Delete the run or probe of that name with all its answers.

    Its folder gets another name first, so that it is gone at once and whole, whatever ends the deleting.
    Raises Unknown, BadInput, BadSettings for what ships, StoreError where it is at work or cannot be deleted.
    """
    refuse_kept(name)
    folder = folder_of(name)
    try:
        with working(folder):
            gone = atomic.aside(folder)
        shutil.rmtree(gone)
    except OSError as error:
        raise StoreError(f"{name} cannot be deleted", reason(error), remedy(error)) from error


def refuse_kept(name: str) -> None:
    """Raises Unknown where there is no run or probe of that name, BadInput, BadSettings for one that is not deleted."""
    folder = folder_of(name)
    if (library.runs_dir() / name).is_symlink():
        raise BadSettings(f"{name} cannot be deleted", "its folder is a link", "remove the link by hand")
    if (library.SHIPPED / name).exists():
        raise BadSettings(f"{name} cannot be deleted", "it ships with the program", "delete one of your own")
    if not any(held.exists() for held in (RunFolder(folder).plan, RunFolder(folder).probe)):
        raise Unknown(f"There is no run or probe {name[:40]!r}", f"{folder} holds none", "see hneurons identify list")


def begun_in(folder: Path, known: bool = False) -> Begun | None:
    """What the run in `folder` was begun with; None where there is none. Raises StoreError.

    Args:
        known: read once for each state of the file, for a list that is asked for every second.
    """
    if not known:
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
        # Half a character would fail every list that the run is told in.
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
    """What a person decided of single answers; a later word stands above an earlier one. Raises StoreError."""
    told = records(Journal(RunFolder(folder).overrules), Overruled, _REMOVE)
    return {(one.question, one.response): one.verdict for one in told}


def overrule(folder: Path, question: str, response: str, verdict: Verdict) -> None:
    """Keep a person's verdict on an answer. Raises StoreError where the folder cannot be written."""
    keep(Journal(RunFolder(folder).overrules), Overruled(question=question, response=response, verdict=verdict))


def marked(folder: Path) -> dict[tuple[str, str], tuple[int, int]]:
    """The words that a person marked as the answer, as characters; a later mark stands above an earlier one.

    Raises StoreError.
    """
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for one in records(Journal(RunFolder(folder).marked), Marking, _REMOVE):
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
    keep(Journal(RunFolder(folder).marked), marking)
