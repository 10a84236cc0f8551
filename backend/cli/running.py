"""From a request to its result, for one command.

Owns the choice of client with its options, waiting, and the messages meanwhile on standard error. Results are printed
elsewhere.
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
from backend.types.numbers import counted

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
    """The result of the request that `asked` makes from the client. Ctrl+C stops the run.

    Raises HNeuronsError: the failure of the run or of loading its model.
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
    """The model of the client, once it is loaded. Raises HNeuronsError if loading fails."""
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
            "--model, --device, --dtype and --no-store do not go together with --backend",
            "the service has its own model and store, which others share",
            "leave them out, or leave --backend out to compute here",
        )
    return HttpClient(door.backend)


def _tell_notes(client: Client) -> None:
    """Show the notes on a service's model; those of a model loaded here are in the log."""
    # The result has arrived: a service that ends now must not spoil it.
    with suppress(BackendUnavailable):
        if (info := client.models.status().info) is not None:
            for note in info.notes:
                stderr_console().print(plain(f"{info.name}: {note}"))


def _follow(client: Client, job: str) -> JobView:
    """Wait for the end of a job, showing its events."""
    teller = Teller(stderr_console())
    for view in views(client.jobs, job, WAIT):
        for event in view.events:
            teller.event(event)
        if view.state == "queued":
            teller.waiting(client.models.status(), view.position)
    teller.end()
    return view


class Teller:
    """Shows each stage once on standard error, and at a terminal the tokens of a single answer as they come."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = ""
        self._rows = 1
        self._streams = sys.stderr.isatty()
        self._open_line = False

    def event(self, event: Event) -> None:
        """Show an event of a run."""
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
        """Show what a run waits for."""
        if status.state == "loading":
            self.say(f"{status.name or 'the model'}: {status.stage or 'loading'}")
        elif position:
            self.say(f"waiting: {counted(position, 'run')} before this one")

    def say(self, words: str) -> None:
        """Write a line, unless it is the same as the last one."""
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
    """The watch of a run in this thread: it shows events, and Ctrl+C ends the command itself."""

    def __init__(self, teller: Teller) -> None:
        self._teller = teller

    def emit(self, event: Event) -> None:
        """Show it."""
        self._teller.event(event)

    def stopped(self) -> bool:
        """Never."""
        return False

    def rest(self) -> None:
        """Nothing to do: no other job waits."""

    def goes_on(self) -> bool:
        """The command can be given again."""
        return False
