"""Ways to the engine for tests, and what every door's errors have in common."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from backend.serve.client import Client, has_ended, views
from backend.serve.http import wire
from backend.serve.http.app import create_app
from backend.serve.local.client import LocalClient
from backend.serve.opening import Answering, ModelSpec, Progress
from backend.serve.worker import Worker
from backend.types import JobView, ModelChoice
from cache.store import Store

PATIENCE = 15.0

CHOICE = ModelChoice(
    name="fake-model",
    repo="nobody/fake-model",
    source="hub",
    licence="Apache-2.0",
    family="fake",
    layers=3,
    neurons=16,
    parameters=1000,
    context=4096,
    gated=False,
    note="",
    needs=4000,
    fits=True,
    here=True,
)


def accept(spec: ModelSpec, freed: int, on: str) -> None:
    """A check that refuses nothing."""


def ready_to_open(spec: ModelSpec, progress: Progress, freed: int, on: str) -> None:
    """A model that needs no preparation."""


def no_memory(engine: Answering) -> None:
    """A fake has no size."""


@contextmanager
def local(
    engine: Answering, store: Store | None = None, examples: Path = Path("nowhere"), **others: Answering
) -> Iterator[LocalClient]:
    """A LocalClient on `engine`, its model loaded or loading; `others` are the models that have names of their own."""
    client = LocalClient(
        lambda spec, progress: others.get(spec.name or "", engine),
        store,
        choices=lambda: (CHOICE,),
        check=accept,
        prepare=ready_to_open,
        memory=no_memory,
        examples=examples,
    )
    client.models.load("fake-model")
    try:
        yield client
    finally:
        client.close()


@contextmanager
def served(client: Client) -> Iterator[str]:
    """The address of an HTTP service in front of `client`, on a free port of this machine."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(wire.config(create_app(client), log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    until = time.monotonic() + PATIENCE
    while not server.started:
        assert time.monotonic() < until and thread.is_alive(), "the service did not start"
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE)


def ended(source: Client | Worker, job: str, patience: float = PATIENCE) -> JobView:
    """The job once it has ended, with all events that are kept."""
    until = time.monotonic() + patience
    jobs = source if isinstance(source, Worker) else source.jobs
    for view in views(jobs, job, 0.5):
        assert has_ended(view) or time.monotonic() < until, f"the job is still {view.state}"
    return jobs.view(job)


def told(view: JobView) -> dict[str, Any]:
    """The parts of the error of a job that has one."""
    assert view.error is not None, f"the job is {view.state} without an error"
    return view.error


def result_of(source: Client | Worker, view: JobView) -> Any:
    """The result of a finished job; of its type by the verb."""
    assert view.key is not None, f"the job is {view.state}: {view.error}"
    result = source.result(view.key) if isinstance(source, Worker) else source.results.get(view.key)
    assert result is not None, "the result of a finished job is there"
    return result


def assert_error_shape(body: object, code: str | None = None) -> None:
    """The one form of an error: a code and three parts, each of them said."""
    assert isinstance(body, dict) and set(body) == {"error"}, body
    error = body["error"]
    assert isinstance(error, dict) and set(error) == {"code", "what", "why", "instead"}, error
    assert all(isinstance(part, str) and part.strip() for part in error.values()), error
    assert not any(part.endswith(".") for part in error.values()), "the sentence brings its own full stop"
    assert code is None or error["code"] == code, error
