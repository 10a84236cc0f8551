"""Probes and runs as pages see them: which there are, how far a run is, and what its answers were judged.

Owns the reading of a run's folder for people. Refuses to compute: a run is a job of the verb identify. Imports no
torch.
"""

from __future__ import annotations

import gzip
import logging
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from backend.errors import BadInput, HNeuronsError, StoreError, Unknown
from backend.identify.answers import llm
from backend.identify.answers.items import span_of
from backend.identify.answers.judge import verdict
from backend.identify.formats import probes as probe_files
from backend.identify.formats import questions as question_files
from backend.probes import library
from backend.runs import queued, status
from backend.runs import runs as folders
from backend.runs.folder import PACKED, RunFolder, begun_in, packed
from backend.runs.records import by_question, reason
from backend.types.identify import Greedy, Question, ReadQuestions, Samples, Verdict, WordRule
from backend.types.names import run_name
from backend.types.plan import AnswerView, Plan, RunView
from backend.types.probe import Probe, Said
from backend.types.results import ModelInfo
from cache.errors import remedy
from cache.files import TURN, content, signature, written
from cache.journal import Journal

log = logging.getLogger(__name__)


def runs(jobs: Mapping[str, str]) -> tuple[RunView, ...]:
    """Every run, the last written first. `jobs` are those at work: name -> job."""
    own, shipped = ({path.name: path for path in begun_in(root)} for root in (library.runs_dir(), library.SHIPPED))
    found = []
    for name, folder in {**shipped, **own}.items():
        if name.startswith("."):
            # What is left of one whose deleting was broken off.
            continue
        try:
            run_name(name)
            if name in own and name in shipped:
                # A copy of what shipped with an earlier version is no run of its own.
                folders.opened(name)
            found.append(_seen(folder, jobs.get(name), name in shipped))
        except FileNotFoundError:
            # Deleted since it was listed.
            continue
        except (HNeuronsError, OSError, ValueError) as error:
            # One damaged folder must not hide the others; resuming it by its name says what is wrong.
            log.warning("the run %s is left out of the list: %s", name, error)
    known = {run.name for run in found} | set(jobs)
    found += [_unbegun(path, one) for path, one in queued.left() if one.request.name not in known]
    return tuple(sorted(found, key=lambda run: -run.changed))


def _seen(folder: Path, job: str | None, ships: bool) -> RunView:
    """The run in `folder`. Raises FileNotFoundError where there is none, StoreError, ValueError where it is damaged."""
    begun = folders.begun_in(folder, known=True)
    if begun is None:
        raise FileNotFoundError(folder)
    outlook, short = status.expected(folder)
    samples = RunFolder(folder).samples
    return RunView(
        name=folder.name,
        model=begun.model,
        fingerprint=begun.fingerprint,
        questions=begun.asked,
        sampled=min(begun.asked, _lines(packed(samples) if folder.parent == library.SHIPPED else samples)),
        done=_done(folder, begun.plan),
        changed=max(map(written, folder.iterdir())),
        job=job,
        plan=begun.plan,
        error=status.failure(folder) if job is None else None,
        waits=job is None and status.broken_off(folder),
        outlook=outlook,
        short=short,
        speed=status.speed(folder),
        ships=ships,
    )


def _unbegun(path: Path, one: queued.Queued) -> RunView:
    """A run that was asked for and has written nothing yet."""
    return RunView(
        name=one.request.name,
        model=one.model,
        fingerprint=one.fingerprint,
        questions=len(one.request.questions),
        sampled=0,
        done=False,
        changed=written(path),
        plan=one.request.plan,
        waits=one.tries < queued.TRIES,
    )


def _done(folder: Path, plan: Plan) -> bool:
    """Whether the run has the probe of its plan: after a change of plan the old one lies there until it is made again.

    One that ships has it beside the code, where its answers were unpacked here.
    """
    own, shipped = RunFolder(folder).probe, RunFolder(library.SHIPPED / folder.name).probe
    path = own if own.exists() else shipped
    try:
        return _plan_of(path, signature(path)) == plan
    except FileNotFoundError:
        return False


@lru_cache(maxsize=1024)
def _plan_of(path: Path, state: tuple[int, int, int]) -> Plan | None:
    """The plan that a probe was made from; read once for each state of the file. None where it cannot be read."""
    try:
        return library.read_file(path).plan
    except HNeuronsError:
        return None


def _lines(path: Path) -> int:
    """Lines of a journal; counted once for each state of the file, since a page asks every second."""
    try:
        return _counted(path, signature(path))
    except FileNotFoundError:
        return 0


@lru_cache(maxsize=1024)
def _counted(path: Path, state: tuple[int, int, int]) -> int:
    payload = content(path)
    return (gzip.decompress(payload) if path.suffix == PACKED else payload).count(b"\n")


def answers(name: str, limit: int = 200, offset: int = 0) -> tuple[AnswerView, ...]:
    """What the drawn questions of a run were answered, each text once with its count and verdict, the greedy first.

    `limit` questions at most, the first `offset` left out. Raises Unknown, StoreError.
    """
    begun, questions = folders.begun(name)
    folder = library.folder_of(name)
    decided = _decisions(folder, begun.plan)
    # Only what is shown is made into answers: a run may hold a hundred times as many.
    drawn = by_question(Journal(RunFolder(folder).samples), Samples)
    greedy = by_question(Journal(RunFolder(folder).greedy), Greedy)
    found: list[AnswerView] = []
    for question in [one for one in questions if one.id in drawn][offset : offset + limit]:
        counts = Counter(one.text for one in drawn[question.id]().answers)
        first = greedy[question.id]().answer.text if question.id in greedy else None
        texts = dict.fromkeys(([first] if first is not None else []) + [text for text, _ in counts.most_common()])
        found += [_view(question, text, counts[text], text == first, decided) for text in texts]
    return tuple(found)


@dataclass(frozen=True)
class _Decisions:
    """What a person and an LLM said of answers, by (question, response); the words that answer, and which of them
    a person marked."""

    person: Mapping[llm.Pair, Verdict]
    judge: Mapping[llm.Pair, Verdict]
    decides: bool
    words: Mapping[llm.Pair, tuple[int, int]]
    rule: WordRule
    marked: frozenset[llm.Pair]


def _decisions(folder: Path, plan: Plan) -> _Decisions:
    judge = plan.judge
    said = llm.said(judge, folder) if judge is not None else {}
    worded = llm.said_words(judge, folder) if judge is not None and judge.words else {}
    decides = judge is not None and judge.decides
    marked = folders.marked(folder)
    return _Decisions(folders.overrules(folder), said, decides, {**worded, **marked}, plan.words, frozenset(marked))


def _view(question: Question, text: str, count: int, greedy: bool, decided: _Decisions) -> AnswerView:
    pair = (question.id, text)
    person, judge, rules = decided.person.get(pair), decided.judge.get(pair), verdict(text, question)
    counts = person or (judge if decided.decides else None) or rules
    # No words are looked for in an uncertain answer; those that a person marked are shown as they were marked.
    unread = counts == "uncertain" and pair not in decided.marked
    span = None if unread else span_of(counts, text, question, decided.words, decided.rule)
    return AnswerView(
        question=question.id,
        text=question.text,
        answers=question.answers,
        relation=question.relation,
        response=text,
        count=count,
        greedy=greedy,
        verdict=counts,
        rules=rules,
        judge=judge,
        overruled=person is not None,
        words="" if span is None else text[span.start : span.end],
        marked=pair in decided.marked,
    )


def overrule(name: str, question: str, response: str, decided: Verdict) -> None:
    """Keep a person's verdict; the run takes it when it is made again. Raises Unknown, BadInput, StoreError."""
    _refuse_other(name, question)
    folders.overrule(library.folder_of(name), question, response, decided)


def mark(name: str, question: str, response: str, words: str) -> None:
    """Keep which words of an answer a person marked; none leaves it to the rules.

    Raises Unknown, BadInput, StoreError.
    """
    _refuse_other(name, question)
    span = _standing(words.strip(), response) if words.strip() else (0, 0)
    if span is None:
        raise BadInput(
            f"{words[:60]!r} does not stand in the answer", "words are marked, not written", "copy them out of it"
        )
    folders.mark(library.folder_of(name), question, response, *span)


def _standing(words: str, response: str) -> tuple[int, int] | None:
    """As whole words first; a person may mark a part of one too, in any case."""
    part = re.search(re.escape(words), response, re.IGNORECASE)
    return llm.standing(words, response) or (part.span() if part else None)


def _refuse_other(name: str, question: str) -> None:
    _, questions = folders.begun(name)
    if question not in {one.id for one in questions}:
        raise BadInput(f"{question[:60]!r} is no question of {name}", "its questions are fixed", "name one of them")


def stop(name: str) -> bool:
    """Stop the run of that name, which is no job of this program: one that waits for its model does not go on by itself
    any more, and one that another program works on is asked to end. Whether it was either.

    Raises Unknown, BadInput, StoreError where another program has it and does not heed.
    """
    folder = library.folder_of(name)
    try:
        if queued.leave(name):
            return True
        if queued.is_kept(name):
            why, instead = "that program has it in its queue", "stop it there, or name its service: --backend URL"
            raise StoreError(f"The run {name} waits in another program", why, instead)
        if folders.begun_in(folder) is None:
            if RunFolder(library.SHIPPED / name).plan.exists():
                return False
            raise Unknown(f"There is no run {name[:40]!r}", f"{folder} holds no plan", "see hneurons identify list")
        waited = status.broken_off(folder)
        if status.leave(folder):
            return waited
        heeded = status.stop(folder)
    except OSError as error:
        raise StoreError(f"The run {name} cannot be stopped", reason(error), remedy(error)) from error
    if not heeded:
        why = f"another program has its folder open and has not stopped within {status.PATIENCE:g} seconds"
        raise StoreError(f"The run {name} is being worked on", why, "try again, or stop it where it was begun")
    return True


def delete(name: str, jobs: Mapping[str, str]) -> None:
    """Delete the run or probe of that name with all its answers. `jobs` are those at work: name -> job.

    Raises Unknown, BadSettings for what ships, StoreError where it is at work or cannot be deleted.
    """
    if name in jobs:
        raise StoreError(f"The run {name} is at work", "a job writes in its folder", "stop it first")
    folders.delete(name)


def parse(payload: bytes, file: str, limit: int | None = None, seed: int = 0) -> ReadQuestions:
    """The questions of a person's file, at most `limit` of them, drawn by `seed`, and what is left out.

    Raises BadInput.
    """
    return question_files.read(payload, file, question_files.ALL.model_copy(update={"limit": limit}), seed)


def take(
    files: Mapping[str, bytes],
    name: str,
    info: ModelInfo | None,
    force: bool,
    loading: str = "",
    said: Said | None = None,
) -> Probe:
    """Keep a probe from the files of others under `name`.

    Args:
        info: the model that it is for; None where none is loaded.
        loading: the model that is being loaded, if one is: until then it is not known whose neurons a list names.
        said: of a model that is not here, its name and shape: the probe is kept as that model's.
    Raises BadInput, BadSettings.
    """
    folder = library.folder_of(name)
    probe = probe_files.read(dict(files), name, info, said or Said())
    if said is not None and said.name:
        probe = library.meant(probe, said, force)
    elif info is not None:
        probe = library.checked(probe, info, force)
    elif loading and probe.model is None:
        raise BadInput(
            f"{probe.imported[:60]} cannot be taken yet",
            f"a file of this kind is for the model that is loaded, and {loading} is still loading",
            "take it when the model is ready",
        )
    library.refuse_taken(folder)
    with folders.working(folder, wait=TURN):
        library.refuse_taken(folder)
        library.write(folder, probe, {})
    return probe
