"""Probes and runs on disk: the artefact's files, where they lie, and which there are.

Owns the folders `identify/NAME` of the data folder and the probes that ship. One JSON of schema `Probe` is the
artefact; `neurons.parquet` (a row a neuron) and `items.parquet` (a row an item) lie beside it. Nothing here runs code
from a file.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from filelock import FileLock, Timeout
from pydantic import ValidationError

from backend.errors import BadInput, BadSettings, StoreError, Unknown
from backend.identify import archive
from backend.types.identify import Question, Verdict
from backend.types.plan import Plan, Source
from backend.types.probe import Probe, ProbeSummary
from backend.types.results import ModelInfo
from cache.errors import PathEscapes
from cache.journal import Journal
from cache.paths import home, inside

log = logging.getLogger(__name__)

SHIPPED = Path(__file__).resolve().parents[1] / "bundled" / "probes"
PROBE, PLAN = "probe.json", archive.PLAN


def runs_dir() -> Path:
    """The folder of all runs."""
    return home() / "identify"


def folder_of(name: str) -> Path:
    """The folder of the run `name`. Raises BadInput for a name that is no folder's."""
    try:
        return inside(runs_dir(), name)
    except PathEscapes as error:
        raise BadInput(
            f"{name[:40]!r} cannot be a run's name", "it is a folder's name", "use letters, digits, - and _"
        ) from error


def opened(name: str) -> Path:
    """The folder of the run `name`; one that ships is unpacked there on first use. Raises BadInput, StoreError."""
    folder = folder_of(name)
    archive.unpack(SHIPPED / folder.name, folder)
    return folder


def branch(source: str, name: str, plan: Plan, info: ModelInfo) -> tuple[Question, ...]:
    """Let the run `name` begin with the answers of `source`, unless it has begun; the questions that they answer.

    Raises Unknown, StoreError, BadSettings where its plan or model is another in what answers hang on.
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
        with working(folder):
            archive.copy(folder_of(source), folder)
    return questions


@dataclass(frozen=True)
class Begun:
    """What a run was begun with."""

    plan: Plan
    fingerprint: str
    model: str
    command: str
    asked: int
    """Its questions."""


@contextmanager
def working(folder: Path) -> Iterator[None]:
    """Be the only run in `folder`. Raises StoreError where another one is, or the folder cannot be made."""
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise StoreError(
            f"The run {folder.name} is being worked on",
            "another program has its folder open",
            "wait for it, or give this run another name",
        ) from error
    except OSError as error:
        raise StoreError(
            f"{folder} cannot be written", error.strerror or str(error), "choose another folder"
        ) from error
    try:
        yield
    finally:
        lock.release()


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

    Returns the command that the run was begun with. Raises BadSettings where something else changed.
    """
    asked = "".join(question.model_dump_json() + "\n" for question in questions)
    path = folder / "questions.jsonl"
    held = begun_in(folder)
    if held is not None:
        same = path.exists() and path.read_text("utf-8") == asked
        changed = _changed(held, plan, info, same)
        if changed:
            raise BadSettings(
                f"The run {folder.name} was begun otherwise",
                f"{changed} changed, and its answers cannot be used",
                "give this run another name, or resume that one",
            )
    _write(path, asked)
    command = command if held is None else held.command
    record = {
        "plan": plan.model_dump(mode="json"), "fingerprint": info.fingerprint, "model": info.name,
        "command": command, "asked": len(questions),
    }  # fmt: skip
    _write(folder / PLAN, json.dumps(record, indent=1))
    return command


def begun(name: str) -> tuple[Begun, tuple[Question, ...]]:
    """What the run `name` was begun with, and its questions. Raises Unknown where there is none, StoreError."""
    folder = opened(name)
    held = begun_in(folder)
    if held is None:
        raise Unknown(f"There is no run {name[:40]!r}", f"{folder} holds no plan", "see hneurons identify list")
    try:
        lines = (folder / "questions.jsonl").read_text("utf-8").split("\n")
        return held, tuple(Question.model_validate_json(line) for line in lines if line)
    except (OSError, ValidationError) as error:
        raise StoreError(f"The questions of {name} cannot be read", str(error)[:200], "begin it anew") from error


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
        raise StoreError(f"{folder.name}/{PLAN} cannot be read", str(error)[:200], "begin the run anew") from error


def overrules(folder: Path) -> dict[tuple[str, str], Verdict]:
    """What a person decided of single answers; a later word stands above an earlier one."""
    return {
        (record["question"], record["response"]): record["verdict"]
        for record in Journal(folder / "overrules.jsonl").read()
    }


def overrule(folder: Path, question: str, response: str, verdict: Verdict) -> None:
    """Keep a person's verdict on an answer."""
    journal = Journal(folder / "overrules.jsonl")
    with journal.writing():
        journal.append([{"question": question, "response": response, "verdict": verdict}])


def marked(folder: Path) -> dict[tuple[str, str], tuple[int, int]]:
    """The words that a person marked as the answer, as characters; a later mark stands above an earlier one."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for record in Journal(folder / "marked.jsonl").read():
        key = (record["question"], record["response"])
        found.pop(key, None)
        if record["end"] > record["start"]:
            found[key] = (record["start"], record["end"])
    return found


def mark(folder: Path, question: str, response: str, start: int, end: int) -> None:
    """Keep which characters of an answer a person marked; none (`start` is `end`) leaves it to the rules again."""
    journal = Journal(folder / "marked.jsonl")
    with journal.writing():
        journal.append([{"question": question, "response": response, "start": start, "end": end}])


def refuse_taken(folder: Path) -> None:
    """Raises BadSettings where a run or a probe is in the folder: nothing is overwritten."""
    if any((folder / name).exists() for name in (PROBE, PLAN)):
        raise BadSettings(f"The name {folder.name} is taken", "a probe of that name is here", "choose another name")


def write(folder: Path, probe: Probe, tables: Mapping[str, pd.DataFrame]) -> None:
    """The artefact, each file whole or not at all, the JSON last. Raises StoreError."""
    try:
        for name, table in tables.items():
            part = folder / f"{name}.parquet.part"
            table.to_parquet(part, index=False)
            os.replace(part, folder / f"{name}.parquet")
        _write(folder / PROBE, probe.model_dump_json(indent=1))
    except OSError as error:
        raise StoreError(
            f"The probe {probe.name} cannot be written", error.strerror or str(error), "free some space and resume"
        ) from error


def _write(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(text, "utf-8")
        os.replace(part, path)
    except OSError as error:
        raise StoreError(
            f"{path.name} cannot be written", error.strerror or str(error), "free some space and resume"
        ) from error


def read(name: str) -> Probe:
    """The probe of that name: a person's own, else one that ships. Raises Unknown, StoreError."""
    for folder in (folder_of(name), SHIPPED / folder_of(name).name):
        if (folder / PROBE).is_file():
            return read_file(folder / PROBE)
    known = ", ".join(found.name for found in listed()) or "none"
    raise Unknown(f"There is no probe {name[:40]!r}", f"there are: {known}", "train one, or import a file")


def read_file(path: Path) -> Probe:
    """The artefact in `path`. Raises StoreError."""
    try:
        return Probe.model_validate_json(path.read_bytes())
    except OSError as error:
        raise StoreError(f"{path.name} cannot be read", error.strerror or str(error), "look at its rights") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise StoreError(f"{path.name} is no probe of this program", f"{where}: {first['msg']}", "import it") from error


def listed() -> tuple[ProbeSummary, ...]:
    """Every probe that can be read: own ones, the newest first, then those that ship under other names."""
    found: dict[str, ProbeSummary] = {}
    for root, ships in ((runs_dir(), False), (SHIPPED, True)):
        for path in sorted(root.glob(f"*/{PROBE}"), key=_written, reverse=True):
            try:
                probe = read_file(path)
            except StoreError as error:
                # One damaged file must not hide the others; asked for by its name it says what is wrong.
                log.warning("a probe is left out of the list: %s", error)
                continue
            found.setdefault(path.parent.name, summary(probe, ships))
    return tuple(found.values())


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def summary(probe: Probe, ships: bool = False) -> ProbeSummary:
    """A probe's line in a list."""
    return ProbeSummary(
        name=probe.name,
        model=probe.model.name if probe.model else "",
        fingerprint=probe.model.fingerprint if probe.model else "",
        positive=len(probe.of_sign(1)),
        negative=len(probe.of_sign(-1)),
        auroc=probe.report.scores.auroc if probe.report else None,
        made=probe.made,
        ships=ships,
        imported=probe.imported,
    )


def checked(probe: Probe, info: ModelInfo, force: bool = False) -> Probe:
    """The probe, where it was made on this model; with `force`, marked as put on another one.

    Raises BadInput where it was not, or names a neuron that the model does not have.
    """
    probe.all.check(info.widths)
    if probe.model is not None and probe.model.fingerprint == info.fingerprint:
        return probe
    if not force:
        made = probe.model.name if probe.model else "a model that its file does not name"
        if made == info.name:
            made = f"a {made} with other weights"
        raise BadInput(
            f"The probe {probe.name} was made for another model",
            f"it belongs to {made}, and {info.name} is loaded",
            "open that model, or force it by name",
        )
    return probe.model_copy(update={"forced": info.name})
