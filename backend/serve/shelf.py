"""Probes and runs as pages show them: the list of runs, the progress of each, and how its answers were judged.

Owns reading a run's folder for people. Computes nothing: a run is a job of the verb identify. Imports no torch.
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
from backend.identify.answers.judge import rule_verdict
from backend.identify.formats import probes as probe_files
from backend.identify.formats import questions as question_files
from backend.probes import library
from backend.runs import queued, status
from backend.runs import runs as folders
from backend.runs.folder import PACKED, RunFolder, packed_path, run_folders_in
from backend.runs.records import reason, records_by_question
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
    """Every run, the last written first. `jobs`: name -> job of the runs that are queued or running."""
    own, shipped = (
        {path.name: path for path in run_folders_in(root)} for root in (library.runs_dir(), library.SHIPPED)
    )
    views = []
    for name, folder in {**shipped, **own}.items():
        if name.startswith("."):
            # Left over from a deletion that was interrupted.
            continue
        try:
            run_name(name)
            if name in own and name in shipped:
                # A copy of a shipped run of an earlier version is not the person's own run.
                folders.opened(name)
            views.append(_run_view(folder, jobs.get(name), name in shipped))
        except FileNotFoundError:
            # Deleted since it was listed.
            continue
        except (HNeuronsError, OSError, ValueError) as error:
            # One damaged folder must not hide the others; resuming the run by name reports the problem.
            log.warning("the run %s is left out of the list: %s", name, error)
    known = {run.name for run in views} | set(jobs)
    views += [
        _queued_view(path, queued_run) for path, queued_run in queued.orphaned() if queued_run.request.name not in known
    ]
    return tuple(sorted(views, key=lambda run: -run.changed))


def _run_view(folder: Path, job: str | None, ships: bool) -> RunView:
    """The run in `folder`. Raises FileNotFoundError if there is none, StoreError or ValueError if it is damaged."""
    begun = folders.read_begun(folder, cached=True)
    if begun is None:
        raise FileNotFoundError(folder)
    outlook, short = status.read_outlook(folder)
    samples = RunFolder(folder).samples
    return RunView(
        name=folder.name,
        model=begun.model,
        fingerprint=begun.fingerprint,
        questions=begun.question_count,
        sampled=min(
            begun.question_count, _line_count(packed_path(samples) if folder.parent == library.SHIPPED else samples)
        ),
        done=_has_probe_of_plan(folder, begun.plan),
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


def _queued_view(path: Path, queued_run: queued.Queued) -> RunView:
    """A run that was submitted and has written nothing yet."""
    return RunView(
        name=queued_run.request.name,
        model=queued_run.model,
        fingerprint=queued_run.fingerprint,
        questions=len(queued_run.request.questions),
        sampled=0,
        done=False,
        changed=written(path),
        plan=queued_run.request.plan,
        waits=queued_run.tries < queued.TRIES,
    )


def _has_probe_of_plan(folder: Path, plan: Plan) -> bool:
    """Whether the run has the probe of its plan. After a change of plan the old probe stays until it is made again.

    A shipped run has its probe beside the code, even if its answers were unpacked here.
    """
    own, shipped = RunFolder(folder).probe, RunFolder(library.SHIPPED / folder.name).probe
    path = own if own.exists() else shipped
    try:
        return _plan_of(path, signature(path)) == plan
    except FileNotFoundError:
        return False


@lru_cache(maxsize=1024)
def _plan_of(path: Path, state: tuple[int, int, int]) -> Plan | None:
    """The plan that a probe was made from, None if it cannot be read. Cached for each `state` of the file."""
    try:
        return library.read_file(path).plan
    except HNeuronsError:
        return None


def _line_count(path: Path) -> int:
    """Lines of a journal, 0 if there is none. Cached for each state of the file, since a page asks every second."""
    try:
        return _counted_lines(path, signature(path))
    except FileNotFoundError:
        return 0


@lru_cache(maxsize=1024)
def _counted_lines(path: Path, state: tuple[int, int, int]) -> int:
    payload = content(path)
    return (gzip.decompress(payload) if path.suffix == PACKED else payload).count(b"\n")


def answers(name: str, limit: int = 200, offset: int = 0) -> tuple[AnswerView, ...]:
    """The answers to the sampled questions of a run, each distinct text once with its count and verdict, the greedy one
    first.

    At most `limit` questions, after the first `offset`. Raises Unknown, StoreError.
    """
    begun, questions = folders.begun(name)
    folder = library.folder_of(name)
    decided = _decisions(folder, begun.plan)
    # Only the answers that are shown are parsed: a run may hold a hundred times as many.
    drawn = records_by_question(Journal(RunFolder(folder).samples), Samples)
    greedy = records_by_question(Journal(RunFolder(folder).greedy), Greedy)
    views: list[AnswerView] = []
    for question in [asked for asked in questions if asked.id in drawn][offset : offset + limit]:
        counts = Counter(answer.text for answer in drawn[question.id]().answers)
        first = greedy[question.id]().answer.text if question.id in greedy else None
        texts = dict.fromkeys(([first] if first is not None else []) + [text for text, _ in counts.most_common()])
        views += [_answer_view(question, text, counts[text], text == first, decided) for text in texts]
    return tuple(views)


@dataclass(frozen=True)
class _Decisions:
    """Verdicts of a person and of an LLM judge, by (question, response), and the answering words of each response.

    decides: the LLM's verdict counts. words: (start, end) in the response; `marked`: those that a person marked.
    """

    person: Mapping[llm.Pair, Verdict]
    judge: Mapping[llm.Pair, Verdict]
    decides: bool
    words: Mapping[llm.Pair, tuple[int, int]]
    rule: WordRule
    marked: frozenset[llm.Pair]


def _decisions(folder: Path, plan: Plan) -> _Decisions:
    judge = plan.judge
    judged = llm.verdicts_so_far(judge, folder) if judge is not None else {}
    judged_words = llm.words_so_far(judge, folder) if judge is not None and judge.words else {}
    decides = judge is not None and judge.decides
    marked = folders.marked(folder)
    return _Decisions(
        folders.overrules(folder), judged, decides, {**judged_words, **marked}, plan.words, frozenset(marked)
    )


def _answer_view(question: Question, text: str, count: int, greedy: bool, decided: _Decisions) -> AnswerView:
    pair = (question.id, text)
    person, judge, rules = decided.person.get(pair), decided.judge.get(pair), rule_verdict(text, question)
    counts = person or (judge if decided.decides else None) or rules
    # Uncertain answers have no answering words, unless a person marked some.
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
    """Keep a person's verdict; the run uses it when it is repeated. Raises Unknown, BadInput, StoreError."""
    _refuse_foreign_question(name, question)
    folders.overrule(library.folder_of(name), question, response, decided)


def mark(name: str, question: str, response: str, words: str) -> None:
    """Keep which words of an answer a person marked; empty `words` leave the choice to the rules.

    Raises Unknown, BadInput, StoreError.
    """
    _refuse_foreign_question(name, question)
    span = _place_of(words.strip(), response) if words.strip() else (0, 0)
    if span is None:
        raise BadInput(
            f"{words[:60]!r} is not in the answer", "only words of the answer can be marked", "copy words from it"
        )
    folders.mark(library.folder_of(name), question, response, *span)


def _place_of(words: str, response: str) -> tuple[int, int] | None:
    """(start, end) of `words` in `response`: as whole words if possible, else as part of a word, in any case."""
    part = re.search(re.escape(words), response, re.IGNORECASE)
    return llm.find_copied(words, response) or (part.span() if part else None)


def _refuse_foreign_question(name: str, question: str) -> None:
    _, questions = folders.begun(name)
    if question not in {asked.id for asked in questions}:
        raise BadInput(f"{question[:60]!r} is no question of {name}", "its questions are fixed", "name one of them")


def stop(name: str) -> bool:
    """Stop a run that is not a job of this program: one that waits for its model will not resume by itself, and one
    that another program is computing is asked to end. Returns whether it was either.

    Raises Unknown, BadInput, or StoreError if another program has the run and does not stop it.
    """
    folder = library.folder_of(name)
    try:
        if queued.cancel_resume(name):
            return True
        if queued.is_kept(name):
            why, instead = "that program has it in its queue", "stop it there, or name its service: --backend URL"
            raise StoreError(f"The run {name} waits in another program", why, instead)
        if folders.read_begun(folder) is None:
            if RunFolder(library.SHIPPED / name).plan.exists():
                return False
            raise Unknown(f"There is no run {name[:40]!r}", f"{folder} holds no plan", "see hneurons identify list")
        waited = status.broken_off(folder)
        if status.cancel_resume(folder):
            return waited
        has_stopped = status.ask_to_stop(folder)
    except OSError as error:
        raise StoreError(f"The run {name} cannot be stopped", reason(error), remedy(error)) from error
    if not has_stopped:
        why = f"another program has its folder open and has not stopped within {status.PATIENCE:g} seconds"
        raise StoreError(f"The run {name} is being worked on", why, "try again, or stop it where it was started")
    return True


def delete(name: str, jobs: Mapping[str, str]) -> None:
    """Delete a run or probe with all its answers. `jobs`: name -> job of the runs that are queued or running.

    Raises Unknown, BadSettings for what ships, StoreError if it is running or cannot be deleted.
    """
    if name in jobs:
        raise StoreError(f"The run {name} is running", "a job writes in its folder", "stop it first")
    folders.delete(name)


def read_questions(payload: bytes, file: str, limit: int | None = None, seed: int = 0) -> ReadQuestions:
    """The questions of a person's file, at most `limit` of them, drawn by `seed`, and which rows are left out.

    Raises BadInput.
    """
    return question_files.read(payload, file, question_files.ALL.model_copy(update={"limit": limit}), seed)


def add_probe(
    files: Mapping[str, bytes],
    name: str,
    info: ModelInfo | None,
    force: bool,
    loading: str = "",
    absent: Said | None = None,
) -> Probe:
    """Import a probe from files of other programs and keep it under `name`.

    Args:
        info: the model that it is for; None if none is loaded.
        loading: the model that is being loaded, if any. Until it is loaded, a list of neurons cannot be assigned to a
            model.
        absent: name and shape of a model that is not opened: the probe is kept as that model's.
    Raises BadInput, BadSettings.
    """
    folder = library.folder_of(name)
    probe = probe_files.read(dict(files), name, info, absent or Said())
    if absent is not None and absent.name:
        probe = library.checked_by_claim(probe, absent, force)
    elif info is not None:
        probe = library.checked(probe, info, force)
    elif loading and probe.model is None:
        raise BadInput(
            f"{probe.imported[:60]} cannot be imported yet",
            f"a file of this kind is for the loaded model, and {loading} is still loading",
            "import it when the model is ready",
        )
    library.refuse_taken(folder)
    with folders.working(folder, wait=TURN):
        library.refuse_taken(folder)
        library.write(folder, probe, {})
    return probe
