"""From a request to its result, for one command.

Owns the choice of client with the options that make it, the waiting and what is said meanwhile on standard error.
Refuses to print results.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from rich.console import Console

from backend.cli import options
from backend.cli.output import plain, printable, quiet_stdout, stderr_console
from backend.errors import BackendUnavailable, BadSettings, HNeuronsError
from backend.serve.client import Client, fetched, views
from backend.types import (
    Event,
    JobView,
    ModelInfo,
    ModelStatus,
    NoteEvent,
    PromptEvent,
    Request,
    Result,
    StageEvent,
    TokenEvent,
    Verb,
)

SESSION = "command line"
WAIT = 0.5


@dataclass(frozen=True)
class Door:
    """The options that say where a command computes: which model, how, and whether here or at a service."""

    model: options.Model = None
    device: options.Device = None
    dtype: options.Dtype = None
    backend: options.Backend = None
    keep: options.Keep = True


@contextmanager
def opened(door: Door) -> Iterator[Client]:
    """The client of `door`, closed afterwards. Its model may still be loading."""
    client = _connect(door)
    try:
        yield client
    finally:
        client.close()


def answer(verb: Verb, asked: Callable[[Client], Request], door: Door) -> Result:
    """The result of the request that `asked` makes, given the client. Ctrl+C stops the run.

    Raises HNeuronsError: the run's own failure, or that of its model.
    """
    with quiet_stdout(), opened(door) as client:
        job = client.jobs.submit(verb, asked(client), SESSION)
        try:
            view = _follow(client, job)
        except KeyboardInterrupt:
            client.jobs.stop(job)
            raise
        result = fetched(client.results, view)
        if door.backend is not None:
            _tell_notes(client)
        return result


def loaded(client: Client) -> ModelInfo:
    """The client's model, once it is loaded. Raises HNeuronsError where it cannot be."""
    teller = Teller(stderr_console())
    while (status := client.models.status()).info is None:
        if status.state not in ("loading", "ready"):
            raise HNeuronsError.from_json(status.error or {})
        teller.waiting(status, 0)
        time.sleep(WAIT)
    return status.info


def _connect(door: Door) -> Client:
    if door.backend is None:
        from backend.serve.local.client import LocalClient

        return LocalClient.start(door.model, door.device, door.dtype, keep=door.keep)
    from backend.serve.remote.client import HttpClient

    if door.model or door.device or door.dtype or not door.keep:
        raise BadSettings(
            "--model, --device, --dtype and --no-store do not go with --backend",
            "the service has its own model and store, which others share",
            "leave them out, or leave --backend out to compute here",
        )
    return HttpClient(door.backend)


def _tell_notes(client: Client) -> None:
    """What is to be known of a service's model; one that is loaded here has its notes in the log."""
    # The answer has come: a service that goes away behind it takes nothing with it.
    with suppress(BackendUnavailable):
        if (info := client.models.status().info) is not None:
            for note in info.notes:
                stderr_console().print(plain(f"{info.name}: {note}"))


def _follow(client: Client, job: str) -> JobView:
    """Wait for the end of a job, telling what goes on."""
    teller = Teller(stderr_console())
    for view in views(client.jobs, job, WAIT):
        for event in view.events:
            teller.event(event)
        if view.state == "queued":
            teller.waiting(client.models.status(), view.position)
    teller.end()
    return view


class Teller:
    """Says each stage once on standard error, and a single answer's tokens as they come where a person looks."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = ""
        self._rows = 1
        self._streams = sys.stderr.isatty()
        self._open_line = False

    def event(self, event: Event) -> None:
        """What a run says."""
        if isinstance(event, StageEvent):
            self.say(event.stage)
        elif isinstance(event, NoteEvent):
            self.say(event.text)
        elif isinstance(event, PromptEvent):
            self._rows = max(1, len(event.rows))
        elif isinstance(event, TokenEvent) and self._streams and self._rows == 1:
            sys.stderr.write(printable(event.token.text))
            sys.stderr.flush()
            self._open_line = True

    def waiting(self, status: ModelStatus, position: int) -> None:
        """What a run waits for."""
        if status.state == "loading":
            self.say(f"{status.name or 'the model'}: {status.stage or 'loading'}")
        elif position:
            self.say(f"{position} before this one")

    def say(self, words: str) -> None:
        """A line, unless it is the last one again."""
        if words != self._last:
            self.end()
            self._console.print(plain(words), style="dim")
            self._last = words

    def end(self) -> None:
        """Finish a line of tokens."""
        if self._open_line:
            sys.stderr.write("\n")
        self._open_line = False


class Listening:
    """The watch of a run in this thread: it tells, and Ctrl+C ends the command itself."""

    def __init__(self, teller: Teller) -> None:
        self._teller = teller

    def emit(self, event: Event) -> None:
        """Tell it."""
        self._teller.event(event)

    def stopped(self) -> bool:
        """Never."""
        return False

    def rest(self) -> None:
        """Nobody waits."""

    def goes_on(self) -> bool:
        """The command can be given again."""
        return False
