"""What a page or the command line may ask of an engine, wherever it runs.

Owns the protocols of `Client` and its facets, `connect`, and the one loop that waits for a job. Every call returns at
once: work is submitted as a job and followed with `view`; results are looked up by key. `local` runs the engine in this
process, `remote` calls the HTTP service: each has one module per facet. Importing this module imports no torch.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Protocol

from backend.errors import HNeuronsError, Stopped, StoreError
from backend.types import JobView, ModelStatus, Request, Result, Verb
from backend.types.identify import ReadQuestions, Verdict
from backend.types.models import ModelChoice, StoredResult
from backend.types.plan import AnswerView, RunView
from backend.types.probe import Probe, ProbeSummary
from backend.types.scoring import Scoring


class Jobs(Protocol):
    """Requests that are queued, running or recently ended."""

    def submit(self, verb: Verb, request: Request, session: str) -> str:
        """Queue a request of browser session `session`; the job's id. A stored result makes a finished job.

        Requests wait while the model loads. Sessions take turns, so none can block the others. Raises Unknown if there
        is no such verb, BadSettings if the request is of another verb.
        """
        ...

    def view(self, job: str, after: int = 0, wait: float = 0.0) -> JobView:
        """The job and its events from number `after`; waits up to `wait` seconds for something new."""
        ...

    def stop(self, job: str) -> None:
        """Stop a job: a queued one leaves the queue, a running one ends within one token."""
        ...


class Models(Protocol):
    """The loaded model, and the models that can be loaded."""

    def status(self) -> ModelStatus:
        """The loaded model, or the progress of loading it."""
        ...

    def list(self) -> tuple[ModelChoice, ...]:
        """The registry's rows with what each needs and whether it fits this machine."""
        ...

    def load(
        self,
        name: str,
        device: str | None = None,
        dtype: str | None = None,
        *,
        session: str = "",
        confirm: bool = False,
        gone: Collection[str] = (),
    ) -> None:
        """Begin to change to a model (a table row, hub name, directory or GGUF file); watch `status`.

        The loaded model answers until the new one is known to open, and is loaded again if opening fails after all.
        Raises UnknownModel, ModelTooLarge and similar errors if that is known at once; Busy if sessions other than
        `session`, or a long run, use the model, unless `confirm` says to make them wait. Sessions in `gone`, whose
        browser is closed, do not count.
        """
        ...

    def cancel(self) -> None:
        """Cancel the change of model in progress; the earlier model answers again. Raises Unknown if there is none."""
        ...


class Results(Protocol):
    """Stored results."""

    def get(self, key: str) -> Result | None:
        """The stored result under `key`, or None. Raises BadSettings if `key` is malformed."""
        ...

    def list(self, limit: int = 50) -> tuple[StoredResult, ...]:
        """The stored results, newest first."""
        ...

    def example(self, verb: Verb) -> Result:
        """The finished example that ships for `verb`: computed by this engine, stored with its request.

        Raises Unknown.
        """
        ...


class Probes(Protocol):
    """The probes on this machine."""

    def list(self) -> tuple[ProbeSummary, ...]:
        """The probes on this machine: the person's own and those that ship."""
        ...

    def read(self, name: str) -> Probe:
        """A probe with its report card. Raises Unknown."""
        ...

    def scorings(self, name: str) -> tuple[Scoring, ...]:
        """How the probe did on questions that it was not made from, the worst first. Raises Unknown."""
        ...

    def add(self, files: Mapping[str, bytes], name: str, force: bool = False, model: str | None = None) -> Probe:
        """Import a probe from files of other programs and keep it under `name`. It is for the loaded model, or for
        `model`, of which only name and shape are read.

        Raises BadInput, UnknownModel, ModelUnreadable, UnsupportedModel."""
        ...


class Runs(Protocol):
    """Runs of the verb identify, each in its folder, and question files to start one from."""

    def list(self) -> tuple[RunView, ...]:
        """Runs of the verb identify, the last written first; those queued or running have a job."""
        ...

    def answers(self, name: str, limit: int = 200, offset: int = 0) -> tuple[AnswerView, ...]:
        """The answers to the questions of a run and how each was judged: `limit` questions, after the first `offset`.
        Raises Unknown."""
        ...

    def overrule(self, name: str, question: str, response: str, verdict: Verdict) -> None:
        """Keep a person's verdict on an answer of a run; it takes effect when the run is repeated."""
        ...

    def mark_words(self, name: str, question: str, response: str, words: str) -> None:
        """Keep which words of a response a person marked as the answer; empty `words` remove the mark, and the rules
        decide again. Raises BadInput."""
        ...

    def stop(self, name: str) -> bool:
        """Stop a run. A running one ends within one token; one that waits for its model will not resume by itself.

        Returns whether it was running or waiting; any other run is left as it is. Raises Unknown, or StoreError if
        another program has the run and does not stop it."""
        ...

    def delete(self, name: str) -> None:
        """Delete a run or probe with all its answers. Raises Unknown, BadSettings for what ships, StoreError."""
        ...

    def read_questions(self, payload: bytes, file: str, limit: int | None = None, seed: int = 0) -> ReadQuestions:
        """The questions of a person's file, at most `limit` of them, drawn by `seed`, and which rows are left out.

        Raises BadInput."""
        ...


class Links(Protocol):
    """Page views that are too long to fit in an address."""

    def keep(self, params: Mapping[str, str]) -> str:
        """Keep the parameters of a link that is too long for an address; returns the key to look them up with.

        Raises BadInput if they are too long to keep, StoreError if nothing can be written."""
        ...

    def kept(self, key: str) -> Mapping[str, str] | None:
        """The parameters kept under `key`, or None. Raises BadSettings if `key` is malformed."""
        ...


class Client(Protocol):
    """One engine, as a page or command uses it. Every method raises backend.errors.HNeuronsError only."""

    @property
    def jobs(self) -> Jobs:
        """Requests that are queued, running or recently ended."""
        ...

    @property
    def models(self) -> Models:
        """The loaded model, and the models that can be loaded."""
        ...

    @property
    def results(self) -> Results:
        """Stored results."""
        ...

    @property
    def probes(self) -> Probes:
        """The probes on this machine."""
        ...

    @property
    def runs(self) -> Runs:
        """Runs of the verb identify, each in its folder, and question files to start one from."""
        ...

    @property
    def links(self) -> Links:
        """Page views that are too long to fit in an address."""
        ...

    def close(self) -> None:
        """Stop all work and free the model."""
        ...


class Watched(Protocol):
    """What `views` needs: the jobs of a client, or its worker."""

    def view(self, job: str, after: int = 0, wait: float = 0.0) -> JobView:
        """See `Jobs.view`."""
        ...


def has_ended(view: JobView) -> bool:
    """Whether nothing more will happen to the job."""
    return view.state not in ("queued", "running")


def views(jobs: Watched, job: str, wait: float, after: int = 0) -> Iterator[JobView]:
    """The job as it is now, then again whenever there is something new or `wait` seconds have passed. The last view is
    of the ended job. Together the views hold each event from number `after` on exactly once."""
    view = jobs.view(job, after)
    yield view
    while not has_ended(view):
        view = jobs.view(job, view.next, wait)
        yield view


def fetched(results: Results, view: JobView) -> Result:
    """The result of an ended job. Raises the job's own error, or StoreError if the result is no longer stored."""
    if view.error is not None or view.key is None:
        raise HNeuronsError.from_json(view.error) if view.error else Stopped()
    result = results.get(view.key)
    if result is None:
        raise StoreError("The result is gone", "it was dropped from the store right after the run", "run it again")
    return result


@lru_cache(maxsize=4)
def connect(address: str | None = None) -> Client:
    """The client for this process: HTTP if `address` or HNEURONS_BACKEND names a service, else local."""
    url = address or os.environ.get("HNEURONS_BACKEND", "").strip()
    if url:
        from backend.serve.remote.client import HttpClient

        return HttpClient(url)
    from backend.serve.local.client import LocalClient

    return LocalClient.start(ahead=True)
