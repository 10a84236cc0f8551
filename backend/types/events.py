"""What a run says while it runs, and how a caller sees a job. Every event is frozen and numbered by its place."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from backend.types.base import Frozen
from backend.types.results import ModelInfo, RowPlan, TokenInfo


class StageEvent(Frozen):
    """A stage of the work has begun or moved on; `fraction` 0..1 where it can be known."""

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

    score: log-odds of "wrong" by the request's probe over the answer as far as it was read: with this token, where the
        probe reads what predicts a token, else up to the one before. None where the row is not scored while it answers.
    """

    type: Literal["token"] = "token"
    row: int
    index: int
    token: TokenInfo
    text: str
    score: float | None = Field(default=None, exclude_if=lambda score: score is None)


class NoteEvent(Frozen):
    """Something that a person should know while a long run goes on; it stays when the stage moves on."""

    type: Literal["note"] = "note"
    text: str


Event = Annotated[StageEvent | NoteEvent | PromptEvent | TokenEvent, Field(discriminator="type")]

JobState = Literal["queued", "running", "done", "failed", "stopped"]


class JobView(Frozen):
    """A job as its owner sees it. `events` are those from number `after` on; ask next with `next`.

    `position` counts the jobs that run before this one: 0 when it is running or done. `key` names the
    stored result when done; `cached` says that it came from the store. `numbers` are those of the events, in their
    order. `waits_for` names the model for which an interrupted run waits: it goes on by itself once that is loaded.
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
    """The change to another model that is under way, or the last one that came to nothing.

    checking: the loaded model still answers; waiting: for the questions asked before; loading: nothing is loaded.
    failed, cancelled: why, in `error`. `fraction` is 0..1 of the stage where it can be known.
    """

    name: str
    state: Literal["checking", "waiting", "loading", "failed", "cancelled"]
    stage: str | None = None
    fraction: float | None = None
    error: dict[str, Any] | None = None


class ModelOrder(Frozen):
    """A model as somebody asked for it: what to ask for again to have the very same."""

    name: str
    device: str | None = None
    dtype: str | None = None


class ModelStatus(Frozen):
    """The engine's model: none yet, loading, ready, or failed with the error's parts.

    change: another model that is on its way, or why the last one is not here. The `state` is `ready` while it is
        only checked.
    previous: the model that was loaded before this one.
    paused: names of the long runs that wait until their model is loaded again; of one without a name, its verb.
    """

    state: Literal["none", "loading", "ready", "failed"]
    name: str | None = None
    stage: str | None = None
    fraction: float | None = None
    info: ModelInfo | None = None
    error: dict[str, Any] | None = None
    queued: int = 0
    memory: dict[str, int] | None = None
    """Bytes: weights, kv_cache, capture, total (worked out before loading), free (now)."""
    change: ModelChange | None = None
    previous: ModelOrder | None = None
    paused: tuple[str, ...] = ()
