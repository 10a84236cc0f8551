"""Probes and runs as pages see them: which there are, how far a run is, and what its answers were judged.

Owns the reading of a run's folder for people. Refuses to compute: a run is a job of the verb identify. Imports no
torch.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from backend.errors import BadInput, HNeuronsError
from backend.identify import library
from backend.identify.formats import probes as probe_files
from backend.identify.formats import questions as question_files
from backend.identify.judge import verdict
from backend.types.identify import Greedy, Question, Samples, Verdict
from backend.types.plan import AnswerView, RunView
from backend.types.probe import Probe
from backend.types.results import ModelInfo
from cache.journal import Journal

log = logging.getLogger(__name__)


def runs(jobs: Mapping[str, str]) -> tuple[RunView, ...]:
    """Every run, the last written first. `jobs` are those at work: name -> job."""
    found = []
    for path in library.runs_dir().glob(f"*/{library.PLAN}"):
        folder = path.parent
        try:
            begun = library.begun_in(folder)
        except HNeuronsError as error:
            # One damaged folder must not hide the others; resuming it by its name says what is wrong.
            log.warning("a run is left out of the list: %s", error)
            continue
        if begun is None:
            continue
        written = [file.stat().st_mtime for file in folder.glob("*") if file.is_file()]
        found.append(
            RunView(
                name=folder.name,
                model=begun.model,
                fingerprint=begun.fingerprint,
                questions=begun.asked,
                sampled=_lines(folder / "samples.jsonl"),
                done=(folder / library.PROBE).exists(),
                changed=max(written),
                job=jobs.get(folder.name),
                plan=begun.plan,
            )
        )
    return tuple(sorted(found, key=lambda run: -run.changed))


def _lines(path: Path) -> int:
    """Lines of a journal; counted once for each state of the file, since a page asks every second."""
    try:
        held = path.stat()
    except FileNotFoundError:
        return 0
    return _counted(path, held.st_mtime_ns, held.st_size)


@lru_cache(maxsize=256)
def _counted(path: Path, changed: int, size: int) -> int:
    return path.read_bytes().count(b"\n")


def answers(name: str, limit: int = 200) -> tuple[AnswerView, ...]:
    """What the drawn questions of a run were answered, each text once with its count and verdict, the greedy first.

    `limit` questions at most. Raises Unknown.
    """
    _, questions = library.begun(name)
    folder = library.folder_of(name)
    decided = library.overrules(folder)
    drawn = {found.question: found for found in map(Samples.model_validate, Journal(folder / "samples.jsonl").read())}
    greedy = {found.question: found for found in map(Greedy.model_validate, Journal(folder / "greedy.jsonl").read())}
    found: list[AnswerView] = []
    for question in [one for one in questions if one.id in drawn][:limit]:
        counts = Counter(one.text for one in drawn[question.id].answers)
        first = greedy[question.id].answer.text if question.id in greedy else None
        texts = dict.fromkeys(([first] if first is not None else []) + [text for text, _ in counts.most_common()])
        found += [_view(question, text, counts[text], text == first, decided) for text in texts]
    return tuple(found)


def _view(
    question: Question, text: str, count: int, greedy: bool, decided: Mapping[tuple[str, str], Verdict]
) -> AnswerView:
    person = decided.get((question.id, text))
    return AnswerView(
        question=question.id,
        text=question.text,
        answers=question.answers,
        relation=question.relation,
        response=text,
        count=count,
        greedy=greedy,
        verdict=person or verdict(text, question),
        overruled=person is not None,
    )


def overrule(name: str, question: str, response: str, decided: Verdict) -> None:
    """Keep a person's verdict; the run takes it when it is made again. Raises Unknown, BadInput."""
    _, questions = library.begun(name)
    if question not in {one.id for one in questions}:
        raise BadInput(f"{question[:60]!r} is no question of {name}", "its questions are fixed", "name one of them")
    library.overrule(library.folder_of(name), question, response, decided)


def parse(payload: bytes, file: str) -> tuple[Question, ...]:
    """The questions of a person's file. Raises BadInput."""
    return question_files.read(payload, file)


def take(files: Mapping[str, bytes], name: str, info: ModelInfo | None, force: bool) -> Probe:
    """Keep a probe from the files of others under `name`. Raises BadInput, BadSettings."""
    probe = probe_files.read(dict(files), name, info)
    if info is not None:
        named = probe.model is not None and not probe.imported
        probe = library.checked(probe, info, force) if named else probe.model_copy(update={"model": info})
        probe.all.check(info.widths)
    folder = library.folder_of(name)
    with library.working(folder):
        library.refuse_taken(folder)
        library.write(folder, probe, {})
    return probe
