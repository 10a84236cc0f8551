"""What a page or the command line may ask of an engine, wherever it runs.

Owns the protocols of `Client` and its facets, `connect`, and the one loop that waits for a job. A client answers at
once: work is submitted as a job and looked at with `view`; results are looked up by key. `local` runs the engine in
this process, `remote` speaks to the HTTP service: each has a module a facet. Importing this module imports no torch.
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


class Jobs(Protocol):
    """What was asked and is not answered yet, or was just now."""

    def submit(self, verb: Verb, request: Request, session: str) -> str:
        """Queue a request of browser session `session`; the job's id. A stored result makes a finished job.

        Requests wait while the model loads. Fair: sessions take turns. Raises Unknown for no verb, BadSettings for the
        request of another one.
        """
        ...

    def view(self, job: str, after: int = 0, wait: float = 0.0) -> JobView:
        """The job and its events from number `after`; waits up to `wait` seconds for something new."""
        ...

    def stop(self, job: str) -> None:
        """Stop a job: a queued one leaves the queue, a running one ends within one token."""
        ...


class Models(Protocol):
    """What is loaded, and what can be."""

    def status(self) -> ModelStatus:
        """The loaded model, or how far its loading is."""
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

        The loaded model answers until the new one is known to open, and comes back where it does not open after all.
        Raises UnknownModel, ModelTooLarge and the like where that is known at once; Busy where sessions other than
        `session` or a long run are at work, unless `confirm` says that they are to wait; sessions that are known to be
        `gone`, their browser closed, are not.
        """
        ...

    def cancel(self) -> None:
        """Call off the change of model that is under way; the model before it answers. Raises Unknown."""
        ...


class Results(Protocol):
    """What was answered."""

    def get(self, key: str) -> Result | None:
        """The stored result under `key`, or None. Raises BadSettings for what is no key."""
        ...

    def list(self, limit: int = 50) -> tuple[StoredResult, ...]:
        """What is in the store, newest first."""
        ...

    def example(self, verb: Verb) -> Result:
        """The finished example that ships for `verb`: computed by this engine, stored with its request.

        Raises Unknown.
        """
        ...


class Probes(Protocol):
    """The probes that are here."""

    def list(self) -> tuple[ProbeSummary, ...]:
        """The probes that are here: a person's own, and those that ship."""
        ...

    def read(self, name: str) -> Probe:
        """A probe with its report card. Raises Unknown."""
        ...

    def add(self, files: Mapping[str, bytes], name: str, force: bool = False, model: str | None = None) -> Probe:
        """Keep a probe from the files of others under `name`: for the loaded model, or for `model`, of which only
        name and shape are looked at.

        Raises BadInput, UnknownModel, ModelUnreadable, UnsupportedModel."""
        ...


class Runs(Protocol):
    """Runs of the verb identify in their folders, and the questions that one may begin with."""

    def list(self) -> tuple[RunView, ...]:
        """Runs of the verb identify in their folders, the last written first; those at work with their job."""
        ...

    def answers(self, name: str, limit: int = 200, offset: int = 0) -> tuple[AnswerView, ...]:
        """What the questions of a run were answered and how each answer was judged: of `limit` questions, the first
        `offset` left out. Raises Unknown."""
        ...

    def overrule(self, name: str, question: str, response: str, verdict: Verdict) -> None:
        """Keep a person's verdict on an answer of a run; it counts when the run is made again."""
        ...

    def mark_words(self, name: str, question: str, response: str, words: str) -> None:
        """Keep which words of an answer are the answer, by a person; none leaves it to the rules. Raises BadInput."""
        ...

    def stop(self, name: str) -> bool:
        """Stop a run: one that works ends within one token, one that waits for its model does not go on by itself.
        Whether it did either; else it stays as it is. Raises Unknown, StoreError where another program has it and does
        not heed."""
        ...

    def delete(self, name: str) -> None:
        """Delete a run or probe with all its answers. Raises Unknown, BadSettings for what ships, StoreError."""
        ...

    def read_questions(self, payload: bytes, file: str, limit: int | None = None, seed: int = 0) -> ReadQuestions:
        """The questions of a person's file, at most `limit` of them, drawn by `seed`, and what is left out.

        Raises BadInput."""
        ...


class Links(Protocol):
    """Views that are too long for an address."""

    def keep(self, params: Mapping[str, str]) -> str:
        """Keep the parameters of a link that is too long for an address; the key to ask for them with.

        Raises BadInput where they are too long to keep, StoreError where nothing can be kept."""
        ...

    def kept(self, key: str) -> Mapping[str, str] | None:
        """The parameters kept under `key`, or None. Raises BadSettings for what is no key."""
        ...


class Client(Protocol):
    """One engine, seen from a door. Every method raises backend.errors.HNeuronsError only."""

    @property
    def jobs(self) -> Jobs:
        """What was asked and is not answered yet, or was just now."""
        ...

    @property
    def models(self) -> Models:
        """What is loaded, and what can be."""
        ...

    @property
    def results(self) -> Results:
        """What was answered."""
        ...

    @property
    def probes(self) -> Probes:
        """The probes that are here."""
        ...

    @property
    def runs(self) -> Runs:
        """Runs of the verb identify in their folders, and the questions that one may begin with."""
        ...

    @property
    def links(self) -> Links:
        """Views that are too long for an address."""
        ...

    def close(self) -> None:
        """Stop all work and free the model."""
        ...


class Watched(Protocol):
    """Where jobs can be looked at: the jobs of a client, or its worker."""

    def view(self, job: str, after: int = 0, wait: float = 0.0) -> JobView:
        """See `Jobs.view`."""
        ...


def has_ended(view: JobView) -> bool:
    """Whether nothing more will happen to the job."""
    return view.state not in ("queued", "running")


def views(jobs: Watched, job: str, wait: float, after: int = 0) -> Iterator[JobView]:
    """The job as it is now, then again whenever there is something new or `wait` seconds have passed; the last view is
    that of its end. Together they hold each event from number `after` on, once."""
    view = jobs.view(job, after)
    yield view
    while not has_ended(view):
        view = jobs.view(job, view.next, wait)
        yield view


def fetched(results: Results, view: JobView) -> Result:
    """The result of a job that has ended. Raises the job's own error; StoreError where its result is gone already."""
    if view.error is not None or view.key is None:
        raise HNeuronsError.from_json(view.error) if view.error else Stopped()
    result = results.get(view.key)
    if result is None:
        raise StoreError("The result is gone", "it was dropped from the store right after the run", "run it again")
    return result


@lru_cache(maxsize=4)
def connect(address: str | None = None) -> Client:
    """The client for this process: HTTP where `address` or HNEURONS_BACKEND names a service, else local."""
    url = address or os.environ.get("HNEURONS_BACKEND", "").strip()
    if url:
        from backend.serve.remote.client import HttpClient

        return HttpClient(url)
    from backend.serve.local.client import LocalClient

    return LocalClient.start(ahead=True)
