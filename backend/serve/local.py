"""The client that runs the engine in this process.

Owns the worker and the store it reads results from. The first call returns at once: the heavy packages are imported
by the worker's thread while the model loads, and what reads runs (`shelf`) when a run is asked for. Refuses behaviour
of its own: what a verb does is the engine's, what a model needs is `backend.models`'.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from backend.bundled import EXAMPLES
from backend.errors import HNeuronsError, NotAllowed, StoreError, Unknown
from backend.probes import library
from backend.runs import queued
from backend.runs.queued import Queued
from backend.serve import long_links, opening
from backend.serve.failures import explain
from backend.serve.jobs import Job
from backend.serve.opening import Answering, ModelSpec, Opener, Progress
from backend.serve.worker import Worker
from backend.types import (
    Asked,
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
from backend.types.refusal import read_stored
from backend.types.standing import Standing
from backend.verbs import table
from backend.verbs.table import IDENTIFY, VERBS
from cache.errors import StoreProblem
from cache.record import Entry
from cache.store import Store

log = logging.getLogger(__name__)


class LocalClient:
    """One engine and its store, for everybody in this process. See `backend.serve.client.Client`.

    Args:
        opener: makes the engine of a model, in the worker's thread.
        store: where results are read from; None keeps only the last few, in memory.
        choices: the rows of the registry.
        check: refuses at once a model that is known not to open; told how many bytes the loaded one gives back, where.
        prepare: does so with all that can be seen without giving the loaded one back; may take long.
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
        check: Callable[[ModelSpec, int, str], None] = opening.check,
        prepare: Callable[[ModelSpec, Progress, int, str], None] = opening.prepare,
        memory: Callable[[Answering], dict[str, int] | None] = opening.reckon,
        examples: Path = EXAMPLES,
        abandoned_after: float = 60.0,
    ) -> None:
        self._store, self._choices, self._check, self._examples = store, choices, check, examples
        self._links = None if store is None else long_links.store_beside(store)
        self._queue = queued.Queue()
        self._worker = Worker(
            opener,
            check=lambda spec, progress: prepare(spec, progress, *self._given_back()),
            memory=memory,
            abandoned_after=abandoned_after,
            ready=self._go_on,
        )

    @classmethod
    def start(
        cls, model: str | None = None, device: str | None = None, dtype: str | None = None, *,
        keep: bool = True, ahead: bool = False,
    ) -> LocalClient:  # fmt: skip
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

    def load(
        self,
        name: str,
        device: str | None = None,
        dtype: str | None = None,
        *,
        session: str = "",
        confirm: bool = False,
    ) -> None:
        """Begin to change to a model; watch `status`. What is known not to open is refused and changes nothing.

        Raises Busy where sessions other than `session` or a long run are at work, unless it is to be (`confirm`).
        """
        spec = ModelSpec(name, device, dtype)
        self._check(spec, *self._given_back())
        self._worker.load(spec, session=session, confirmed=confirm)

    def cancel_load(self) -> None:
        """Call off the change of model that is under way; the model before it answers."""
        self._worker.cancel_load()

    def _given_back(self) -> tuple[int, str]:
        """Bytes that the loaded model gives back when it goes, and the device that has them then."""
        now = self.status()
        return (now.memory or {}).get("weights", 0), now.info.device if now.info is not None else ""

    def _go_on(self, info: ModelInfo) -> None:
        """Take up the runs of this model that were broken off by a load or the end of the program, or were never
        begun."""
        from backend.serve import shelf

        try:
            waiting = [one for _, one in queued.left()]
            for run in shelf.runs(self._worker.long_runs()):
                if (
                    run.waits
                    and run.fingerprint == info.fingerprint
                    and run.name not in {w.request.name for w in waiting}
                ):
                    log.info("The run %s goes on.", run.name)
                    request = IdentifyRequest(name=run.name, plan=run.plan)
                    self._enqueue(Queued(request=request, model=info.name, fingerprint=info.fingerprint))
            for one in waiting:
                if one.is_for(info) and one.tries < queued.TRIES and one.request.name not in self._worker.long_runs():
                    self._enqueue(one.model_copy(update={"tries": one.tries + 1}))
        # It runs in the worker's thread, which must outlive whatever lies on the disk.
        except Exception as error:
            log.warning("runs that were broken off do not go on: %s", error, exc_info=True)

    def submit(self, verb: Verb, request: Request, session: str) -> str:
        """Queue a request of `session`; the job's id."""
        if not isinstance(request, IdentifyRequest):
            return self._worker.submit(verb, request, session)
        held = queued.waiting(request.name)
        if held is not None and not request.questions and held.request.plan.source == request.plan.source:
            # Its questions are where it waited, until it has a folder.
            request = request.model_copy(update={"questions": held.request.questions})
        now = self.status()
        info = now.info if now.change is None or now.change.state == "checking" else None
        model = info.name if info is not None else now.name or ""
        job = self._enqueue(
            Queued(request=request, model=model, fingerprint=info.fingerprint if info is not None else ""), session
        )
        assert job is not None, "without a session of its own it is left to whoever keeps it"
        return job

    def _enqueue(self, one: Queued, session: str = "") -> str | None:
        """Queue a run, kept until it has begun; the job's id. Without a `session` one that another program keeps is
        left to that."""
        name = one.request.name
        is_ours = self._queue.keep(one)
        if not is_ours and not session:
            return None

        def ended(job: Job) -> None:
            # At the end of the program it waits on: nobody took it back.
            if is_ours and (job.left or job.state != "stopped"):
                self._queue.drop(name)

        try:
            return self._worker.submit(IDENTIFY.name, one.request, session or f"run {name}", ended)
        except HNeuronsError:
            if is_ours:
                self._queue.drop(name)
            raise

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
            payload = self._store.get(key) if entry is not None and entry.kind in VERBS else None
        except StoreProblem as error:
            raise explain(error) from error
        return None if entry is None or payload is None else read_stored(VERBS[entry.kind].result, payload)

    def results(self, limit: int = 50) -> tuple[StoredResult, ...]:
        """What is in the store, newest first."""
        if self._store is None:
            return ()
        try:
            found = [entry for entry in self._store.entries() if entry.kind in VERBS]
        except StoreProblem as error:
            raise explain(error) from error
        return tuple(_listed(entry) for entry in found[:limit])

    def example(self, verb: Verb) -> Result:
        """The finished example that ships for `verb`. Raises Unknown where there is none."""
        row = table.row(verb)
        path = self._examples / f"{row.name}.json"
        try:
            payload = path.read_bytes()
        except OSError as error:
            raise Unknown(
                f"There is no finished example for {verb}", f"{path.name} is not installed", "run your own question"
            ) from error
        result = read_stored(row.result, payload)
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

    def standing(self, probe: str, asked: Asked, answer: str) -> Standing:
        """What the probe's score of this answer can be held to."""
        # scikit-learn takes seconds to import, and a list of probes needs none of it.
        from backend.probes.standing import standing

        return standing(probe, asked, answer)

    def runs(self) -> tuple[RunView, ...]:
        """Runs in their folders, those at work with their job."""
        from backend.serve import shelf

        return shelf.runs(self._worker.long_runs())

    def run_answers(self, name: str, limit: int = 200, offset: int = 0) -> tuple[AnswerView, ...]:
        """What the questions of a run were answered, and how each answer was judged."""
        from backend.serve import shelf

        return shelf.answers(name, limit, offset)

    def overrule(self, name: str, question: str, response: str, verdict: Verdict) -> None:
        """Keep a person's verdict on an answer of a run."""
        from backend.serve import shelf

        shelf.overrule(name, question, response, verdict)

    def mark_words(self, name: str, question: str, response: str, words: str) -> None:
        """Keep which words of an answer are the answer, by a person."""
        from backend.serve import shelf

        shelf.mark(name, question, response, words)

    def delete(self, name: str) -> None:
        """Delete a run or probe with all its answers."""
        from backend.serve import shelf

        waited = queued.waiting(name) is not None
        try:
            shelf.delete(name, self._worker.long_runs())
        except Unknown:
            if not waited:
                raise
        queued.begun(name)

    def read_questions(self, payload: bytes, file: str, limit: int | None = None, seed: int = 0) -> ReadQuestions:
        """The questions of a person's file, at most `limit` of them, drawn by `seed`, and what is left out."""
        from backend.serve import shelf

        return shelf.parse(payload, file, limit, seed)

    def import_probe(
        self, files: Mapping[str, bytes], name: str, force: bool = False, model: str | None = None
    ) -> Probe:
        """Keep a probe from the files of others, for the loaded model where there is one, or for the one named."""
        now = self.status()
        from backend.serve import shelf

        if model is not None and model != now.name:
            return shelf.take(files, name, None, force, said=opening.shape_of(model))
        return shelf.take(files, name, now.info, force, now.name or "" if now.state == "loading" else "")

    def keep_link(self, params: Mapping[str, str]) -> str:
        """Keep the parameters of a link that is too long for an address; their key."""
        if self._links is None:
            raise NotAllowed(
                "The link cannot be kept", "nothing is written to disk here", "choose fewer neurons for a shorter one"
            )
        return long_links.keep(self._links, params)

    def kept_link(self, key: str) -> Mapping[str, str] | None:
        """The parameters kept under `key`, or None."""
        return None if self._links is None else long_links.read(self._links, key)

    def close(self) -> None:
        """Stop all work and free the model."""
        self._worker.close()
        self._queue.close()


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
