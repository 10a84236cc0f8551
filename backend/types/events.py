"""Events of a running request, and the state of a job and of the model as callers see them.

Every event is frozen; its number is its index.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from backend.types.base import Frozen
from backend.types.results import ModelInfo, RowPlan, TokenInfo


class StageEvent(Frozen):
    """A stage of the work has begun or advanced; `fraction` is 0..1, or None if unknown."""

    type: Literal["stage"] = "stage"
    stage: str
    fraction: float | None = None


class PromptEvent(Frozen):
    """The prompt as the model sees it, before the first token is chosen, and the rows of the batch."""

    type: Literal["prompt"] = "prompt"
    tokens: tuple[TokenInfo, ...]
    rows: tuple[RowPlan, ...] = ()


class TokenEvent(Frozen):
    """Row `row` has one more token; `text` is that row's whole answer so far.

    score: log-odds of "wrong" by the request's probe over the answer so far: with this token, if the probe reads the
        position that predicts a token, else up to the token before. None if the row is not scored while it answers.
    """

    type: Literal["token"] = "token"
    row: int
    index: int
    token: TokenInfo
    text: str
    score: float | None = Field(default=None, exclude_if=lambda score: score is None)


class NoteEvent(Frozen):
    """Something that a person should know during a long run; it stays visible when the stage changes."""

    type: Literal["note"] = "note"
    text: str


Event = Annotated[StageEvent | NoteEvent | PromptEvent | TokenEvent, Field(discriminator="type")]

JobState = Literal["queued", "running", "done", "failed", "stopped"]


class JobView(Frozen):
    """A job as its owner sees it. `events` are those from number `after` on; request the following ones with `next`.

    `position` is the number of jobs that run before this one: 0 when it is running or done. `key` is that of the
    stored result when done; `cached` says that it came from the store. `numbers` are the numbers of `events`.
    `waits_for` is the model for which an interrupted run waits: the run is resumed when that model is loaded.
    """

    id: str
    verb: str
    state: JobState
    position: int
    events: tuple[Event, ...] = ()
    numbers: tuple[int, ...] = ()
    next: int = 0
    key: str | None = None
    cached: bool = False
    error: dict[str, Any] | None = None
    waits_for: str | None = None


class ModelChange(Frozen):
    """The change to another model that is in progress, or the last one if it failed or was cancelled.

    checking: the loaded model still answers; waiting: for earlier questions to finish; loading: no model is loaded.
    failed, cancelled: `error` says why. `fraction` is 0..1 of the stage, or None if unknown.
    """

    name: str
    state: Literal["checking", "waiting", "loading", "failed", "cancelled"]
    stage: str | None = None
    fraction: float | None = None
    error: dict[str, Any] | None = None


class ModelOrder(Frozen):
    """A model as it was requested: the same request loads the same model again."""

    name: str
    device: str | None = None
    dtype: str | None = None


class ModelStatus(Frozen):
    """The engine's model: none yet, loading, ready, or failed with the error's parts.

    change: a change to another model that is in progress, or why the last one failed. `state` stays `ready` while the
        other model is being checked.
    previous: the model that was loaded before this one.
    paused: names of the long runs that wait until their model is loaded again; the verb for a run without a name.
    """

    state: Literal["none", "loading", "ready", "failed"]
    name: str | None = None
    stage: str | None = None
    fraction: float | None = None
    info: ModelInfo | None = None
    error: dict[str, Any] | None = None
    queued: int = 0
    memory: dict[str, int] | None = None
    """Bytes: weights, kv_cache, capture, total (estimated before loading), free (now)."""
    change: ModelChange | None = None
    previous: ModelOrder | None = None
    paused: tuple[str, ...] = ()
