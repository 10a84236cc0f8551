"""The client that runs the engine in this process.

Owns the worker and the store it reads results from. The first call returns at once: the heavy
packages are imported by the worker's thread while the model loads. Refuses behaviour of its own: what
a verb does is the engine's, what a model needs is `backend.models`'.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import ValidationError

from backend.errors import HNeuronsError, StoreError, Unknown
from backend.identify import library
from backend.serve import opening, shelf
from backend.serve.failures import explain
from backend.serve.opening import Answering, ModelSpec, Opener
from backend.serve.worker import Worker
from backend.types import (
    RESULTS,
    IdentifyRequest,
    JobView,
    ModelChoice,
    ModelInfo,
    ModelStatus,
    Request,
    Result,
    StoredResult,
    Verb,
)
from backend.types.identify import ReadQuestions, Verdict
from backend.types.plan import AnswerView, RunView
from backend.types.probe import Probe, ProbeSummary
from cache.errors import StoreProblem
from cache.record import Entry
from cache.store import Store

log = logging.getLogger(__name__)

EXAMPLES = Path(__file__).resolve().parents[1] / "bundled" / "examples"


class LocalClient:
    """One engine and its store, for everybody in this process. See `backend.serve.client.Client`.

    Args:
        opener: makes the engine of a model, in the worker's thread.
        store: where results are read from; None keeps only the last few, in memory.
        choices: the rows of the registry.
        check: refuses at once a model that is known not to open; told how many bytes the loaded one gives back.
        memory: the bytes that an engine's model needs and those free.
        examples: folder of the finished examples.
        abandoned_after: seconds after which a running job that nobody views is stopped.
    """

    def __init__(
        self,
        opener: Opener,
        store: Store | None,
        *,
        choices: Callable[[], tuple[ModelChoice, ...]] = opening.choices,
        check: Callable[[ModelSpec, int], None] = opening.check,
        memory: Callable[[Answering], dict[str, int] | None] = opening.reckon,
        examples: Path = EXAMPLES,
        abandoned_after: float = 60.0,
    ) -> None:
        self._store, self._choices, self._check, self._examples = store, choices, check, examples
        self._worker = Worker(opener, memory=memory, abandoned_after=abandoned_after, ready=self._go_on)

    @classmethod
    def start(
        cls,
        model: str | None = None,
        device: str | None = None,
        dtype: str | None = None,
        *,
        keep: bool = True,
        ahead: bool = False,
    ) -> LocalClient:
        """A client whose model (by default HNEURONS_MODEL, else the one that ships) has begun to load.

        With `keep` false no result is read from disk or written there. `ahead` as in `opening.open_engine`.
        """
        store = opening.result_store() if keep else None
        client = cls(lambda spec, progress: opening.open_engine(spec, store, progress, ahead=ahead), store)
        client._worker.load(ModelSpec(model or opening.default_model(), device, dtype))
        return client

    def status(self) -> ModelStatus:
        """The loaded model, or how far its loading is."""
        return self._worker.status()

    def models(self) -> tuple[ModelChoice, ...]:
        """The registry's rows with what each needs and whether it fits this machine."""
        return self._choices()

    def load(self, name: str, device: str | None = None, dtype: str | None = None) -> None:
        """Begin to load a model; watch `status`. What is known not to open is refused and changes nothing."""
        spec = ModelSpec(name, device, dtype)
        loaded = self.status().memory or {}
        self._check(spec, loaded.get("weights", 0))
        self._worker.load(spec)

    def _go_on(self, info: ModelInfo) -> None:
        """Take up the runs of this model that were broken off by a load or the end of the program."""
        try:
            for run in shelf.runs(self._worker.long_runs()):
                if run.waits and run.fingerprint == info.fingerprint:
                    log.info("The run %s goes on.", run.name)
                    request = IdentifyRequest(name=run.name, plan=run.plan)
                    self._worker.submit("identify", request, f"run {run.name}")
        except (HNeuronsError, OSError) as error:
            log.warning("runs that were broken off do not go on: %s", error)

    def submit(self, verb: Verb, request: Request, session: str) -> str:
        """Queue a request of `session`; the job's id."""
        return self._worker.submit(verb, request, session)

    def view(self, job: str, after: int = 0, wait: float = 0.0) -> JobView:
        """The job and its events from number `after`; waits up to `wait` seconds for something new."""
        return self._worker.view(job, after, wait)

    def stop(self, job: str) -> None:
        """Stop a job, queued or running."""
        self._worker.stop(job)

    def result(self, key: str) -> Result | None:
        """The result under `key`, of this run of the program or stored by an earlier one; None where there is none.

        Raises BadInput for a malformed key, StoreError where the store cannot be read.
        """
        recent = self._worker.result(key)
        if recent is not None or self._store is None:
            return recent
        try:
            entry = self._store.entry(key)
            payload = self._store.get(key) if entry is not None and entry.kind in RESULTS else None
        except StoreProblem as error:
            raise explain(error) from error
        return None if entry is None or payload is None else _read(entry.kind, payload)

    def results(self, limit: int = 50) -> tuple[StoredResult, ...]:
        """What is in the store, newest first."""
        if self._store is None:
            return ()
        try:
            found = [entry for entry in self._store.entries() if entry.kind in RESULTS]
        except StoreProblem as error:
            raise explain(error) from error
        return tuple(_listed(entry) for entry in found[:limit])

    def example(self, verb: Verb) -> Result:
        """The finished example that ships for `verb`. Raises Unknown where there is none."""
        path = self._examples / f"{verb}.json"
        try:
            payload = path.read_bytes()
        except OSError as error:
            raise Unknown(
                f"There is no finished example for {verb}", f"{path.name} is not installed", "run your own question"
            ) from error
        result = _read(verb, payload)
        if result is None:
            raise StoreError(
                f"The example for {verb} cannot be read", f"{path.name} is of another version", "install again"
            )
        return result

    def probes(self) -> tuple[ProbeSummary, ...]:
        """The probes that are here."""
        return library.listed()

    def probe(self, name: str) -> Probe:
        """A probe with its report card."""
        return library.read(name)

    def runs(self) -> tuple[RunView, ...]:
        """Runs in their folders, those at work with their job."""
        return shelf.runs(self._worker.long_runs())

    def run_answers(self, name: str, limit: int = 200, offset: int = 0) -> tuple[AnswerView, ...]:
        """What the questions of a run were answered, and how each answer was judged."""
        return shelf.answers(name, limit, offset)

    def overrule(self, name: str, question: str, response: str, verdict: Verdict) -> None:
        """Keep a person's verdict on an answer of a run."""
        shelf.overrule(name, question, response, verdict)

    def mark_words(self, name: str, question: str, response: str, words: str) -> None:
        """Keep which words of an answer are the answer, by a person."""
        shelf.mark(name, question, response, words)

    def delete(self, name: str) -> None:
        """Delete a run or probe with all its answers."""
        shelf.delete(name, self._worker.long_runs())

    def read_questions(self, payload: bytes, file: str, limit: int | None = None, seed: int = 0) -> ReadQuestions:
        """The questions of a person's file, at most `limit` of them, drawn by `seed`, and what is left out."""
        return shelf.parse(payload, file, limit, seed)

    def import_probe(self, files: Mapping[str, bytes], name: str, force: bool = False) -> Probe:
        """Keep a probe from the files of others, for the loaded model where there is one."""
        now = self.status()
        return shelf.take(files, name, now.info, force, now.name or "" if now.state == "loading" else "")

    def close(self) -> None:
        """Stop all work and free the model."""
        self._worker.close()


def _read(verb: str, payload: bytes) -> Result | None:
    """The result that these bytes are, or None where they are of another version."""
    try:
        return RESULTS[verb].model_validate_json(payload)
    except ValidationError as error:
        log.warning("A stored %s result cannot be read: %s", verb, error.errors()[0]["msg"])
        return None


def _listed(entry: Entry) -> StoredResult:
    meta = entry.meta
    return StoredResult(
        key=entry.key,
        verb=entry.kind,
        created=entry.created,
        size=entry.size,
        request=meta.get("request", {}),
        model=str(meta.get("model", "")),
        label=meta.get("label"),
    )
