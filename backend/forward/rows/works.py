"""Work of several people on one batch.

Owns `Work`, a verb that hands rows over and goes on when they are answered, and `Shared`, which runs any number of them
together: rows of all join one batch as soon as there is room, and each work goes on by itself when its own are done.
Refuses queues, people and transport: what may run is the worker's to say (`backend.serve.worker`).
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch

from backend.errors import Stopped
from backend.forward.row import Row, Running, Told, nobody
from backend.forward.rows.batch import Batch
from backend.forward.rows.budget import Budget
from backend.forward.rows.generation import finish
from backend.models.loaded import LoadedModel
from backend.watch import Watch

Found = TypeVar("Found")


@dataclass(frozen=True)
class Ask:
    """Rows that a work wants answered. told: called with a row after each of its tokens. begun: with rows whose prompts
    have been read."""

    rows: Sequence[Row]
    told: Told = nobody
    begun: Callable[[list[Running]], None] = lambda runnings: None


Work = Generator[Ask, list[Running], Found]
"""A verb: yields what it wants answered, is sent the answered rows, and returns its result."""


def alone(batch: Batch, work: Work[Found], watch: Watch) -> Found:
    """The result of a work that has a batch for itself. Raises what it raises, Stopped between two tokens."""
    try:
        ask = next(work)
        while True:
            try:
                answered = finish(batch, ask.rows, watch, ask.told, ask.begun)
            except Exception as error:
                ask = work.throw(error)
            else:
                ask = work.send(answered)
    except StopIteration as done:
        result: Found = done.value
        return result
    finally:
        work.close()


@dataclass(eq=False)
class Piece:
    """A work that runs beside others. Once `done`, it has its `result` or its `error`."""

    work: Work[Any]
    stopped: Callable[[], bool]
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    ask: Ask | None = None
    waiting: list[Row] = field(default_factory=list)
    answered: list[Running] = field(default_factory=list)
    done: bool = False
    result: Any = None
    error: Exception | None = None


class Shared:
    """Works of one model that run together. Hooks are on while there is one; not safe for two threads at once."""

    def __init__(self, model: LoadedModel) -> None:
        self.model = model
        self.pieces: list[Piece] = []
        self._batch: Batch | None = None

    @property
    def has_room(self) -> bool:
        """Whether every row that was handed over runs: a further work would not have to wait behind them."""
        return not any(piece.waiting for piece in self.pieces)

    def begin(self, work: Callable[[Batch], Work[Any]], stopped: Callable[[], bool]) -> Piece:
        """Let a work begin beside the others; it may be done at once. `stopped` is asked between two tokens."""
        batch = self._open()
        piece = Piece(work(batch), stopped)
        self.pieces.append(piece)
        self._go_on(piece, lambda: next(piece.work))
        return piece

    def step(self) -> list[Piece]:
        """Let rows that wait join, or read one more token of every row: the works that are done with it.

        Raises what a forward raises (no memory): then no work here can go on, see `close`.
        """
        before = list(self.pieces)
        for piece in before:
            if piece.stopped():
                self._fail(piece, Stopped())
        if self.pieces:
            batch = self._open()
            if not self._admit(batch):
                batch.step()
            for piece in list(self.pieces):
                self._look_at(piece)
        if not self.pieces:
            self.close()
        return [piece for piece in before if piece.done]

    def close(self) -> list[Piece]:
        """Take the hooks off; the works that had not ended are let go of and given back."""
        left, self.pieces = self.pieces, []
        for piece in left:
            piece.context.run(piece.work.close)
        if self._batch is not None:
            self._batch.__exit__(None, None, None)
            self._batch = None
        return left

    def _open(self) -> Batch:
        if self._batch is None:
            self._batch = Batch(self.model).__enter__()
        return self._batch

    def _admit(self, batch: Batch) -> bool:
        """Let rows join while there is room, those of who came first in front; whether any did."""
        if self.has_room:
            return False
        budget, joined = Budget(self.model), False
        for piece in list(self.pieces):
            count = budget.admit(batch.rows, piece.waiting) if piece.waiting else 0
            if not count or piece.ask is None:
                continue
            rows, piece.waiting = piece.waiting[:count], piece.waiting[count:]
            try:
                added = piece.context.run(batch.add, rows, piece.ask.told)
                piece.answered += added
                piece.context.run(piece.ask.begun, added)
            except (MemoryError, torch.OutOfMemoryError):
                raise
            except Exception as error:
                self._fail(piece, error)
            joined = True
        return joined

    def _look_at(self, piece: Piece) -> None:
        error = next((running.error for running in piece.answered if running.error is not None), None)
        if error is not None:
            self._fail(piece, error)
        elif not piece.waiting and all(running.left for running in piece.answered):
            self._go_on(piece, lambda: piece.work.send(piece.answered))

    def _fail(self, piece: Piece, error: Exception) -> None:
        """Tell a work what happened to its rows; what it asks for then, or how it ends, is its own."""
        for running in piece.answered:
            if not running.left and self._batch is not None:
                self._batch.drop(running)
        self._go_on(piece, lambda: piece.work.throw(error))

    def _go_on(self, piece: Piece, resume: Callable[[], Ask]) -> None:
        """Resume a work, until it waits for rows or ends."""
        try:
            piece.ask = piece.context.run(resume)
        except StopIteration as done:
            piece.result = done.value
        except (MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            piece.error = error
        else:
            piece.waiting, piece.answered = list(piece.ask.rows), []
            return
        piece.done = True
        if piece in self.pieces:
            self.pieces.remove(piece)
