"""Changing the loaded model: check the new one, settle the change, open it; reopen the earlier model if that fails.

Owns the loaded engine, the change in progress, and how both are described to people. It decides nothing about jobs:
the worker says when a change may open its model, and is called back when a settled change fails.

A change is *checked* while the loaded model keeps answering. Once *settled*, it waits until the jobs submitted for that
model are done; then its model is opened. Two models are never in memory at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from backend.errors import Busy, HNeuronsError, Stopped, Unknown
from backend.models.registry import DEFAULT
from backend.serve.jobs import Job, logged_outcome
from backend.serve.opening import Answering, ModelSpec, Opener, Progress, free_memory
from backend.types import ModelChange, ModelInfo, ModelOrder, ModelStatus

State = Literal["checking", "waiting", "loading", "failed", "cancelled"]
"""As in `backend.types.ModelChange`."""
Check = Callable[[ModelSpec, Progress], None]
RECENT = 300.0
"""Seconds for which a session that looked at an answer counts as at work."""


@dataclass(eq=False)
class Change:
    """One change of model. Once it has failed or been cancelled (`over`), its opener is stopped at the next stage.

    session: who asked for it, if known. before: jobs with a lower number were submitted before it was settled.
    """

    spec: ModelSpec
    session: str = ""
    state: State = "checking"
    stage: str | None = None
    fraction: float | None = None
    before: int = 0
    error: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """The model to open, by the name it was asked for with."""
        return self.spec.name or DEFAULT

    @property
    def over(self) -> bool:
        """Whether it failed or was cancelled."""
        return self.error is not None

    def end(self, state: State, error: dict[str, Any]) -> None:
        """Mark it failed or cancelled, with the reason."""
        self.state, self.error, self.stage, self.fraction = state, error, None, None

    def view(self) -> ModelChange:
        """The change as clients see it."""
        return ModelChange(name=self.name, state=self.state, stage=self.stage, fraction=self.fraction, error=self.error)


class ModelSlot:
    """The loaded model, and the change to another one in progress. The caller holds the lock of `changed`, except for
    `open` and `let_go`, which the worker's thread calls without it.

    Args:
        opener: makes the engine of a model.
        check: raises if a model is known not to open; without it a change is settled at once.
        changed: its lock guards everything here; it is notified of each change.
        settle: called when a change is settled, with the loaded model, which will be dropped; returns the number of
            jobs submitted so far.
        fail_waiting: called when a settled change fails, with the error for the jobs that waited for its model.
    """

    def __init__(
        self,
        opener: Opener,
        check: Check | None,
        changed: threading.Condition,
        settle: Callable[[ModelInfo | None], int],
        fail_waiting: Callable[[Change, dict[str, str]], None],
    ) -> None:
        self.engine: Answering | None = None
        self._opener, self._check, self._changed = opener, check, changed
        self._settle_jobs, self._fail_waiting = settle, fail_waiting
        self._change: Change | None = None
        self._last_failed: Change | None = None
        self._good: ModelSpec | None = None
        self._previous: ModelSpec | None = None
        self._opening = self._closed = False
        self._status = ModelStatus(state="none")

    @property
    def settled(self) -> Change | None:
        """The change that waits to be opened: jobs submitted from now on are for its model."""
        return self._change if self._change is not None and self._change.state == "waiting" else None

    @property
    def failure(self) -> dict[str, Any] | None:
        """The error, if no model is loaded and none is being loaded."""
        return self._status.error if self._status.state == "failed" else None

    def view(self) -> ModelStatus:
        """The loaded model or the progress of loading it, and the change in progress or the last one that failed."""
        shown_change = self._change or self._last_failed
        earlier = self._previous if self._previous is not None and self._previous.name else None
        previous = (
            None if earlier is None else ModelOrder(name=earlier.name or "", device=earlier.device, dtype=earlier.dtype)
        )
        return self._status.model_copy(
            update={"change": None if shown_change is None else shown_change.view(), "previous": previous}
        )

    def asked_by_other(self, session: str) -> str | None:
        """The name of the model that another session is loading, or None."""
        change = self._change
        return change.name if change is not None and change.session not in ("", session) else None

    def change(self, spec: ModelSpec, session: str = "") -> None:
        """Begin to change to the model of `spec`; a change in progress is cancelled."""
        change = Change(spec, session)
        self._give_up("cancelled", replaced_error, change.name)
        self._change, self._last_failed = change, None
        if self.engine is None or self._check is None:
            self._settle(change)
        else:
            threading.Thread(
                target=self._run_check, args=(self._check, change), name="hneurons-check", daemon=True
            ).start()

    def cancel(self) -> None:
        """Cancel the change in progress. Raises Unknown if there is none."""
        if self._change is None:
            raise Unknown("No model is being loaded", "there is nothing to cancel", "choose one to load")
        self._give_up("cancelled", cancelled_error)

    def close(self) -> None:
        """Open nothing any more."""
        self._closed = True
        if self._change is not None:
            self._change.end("cancelled", cancelled_error(self._change))
        self._change = None

    def let_go(self) -> None:
        """Drop the loaded model."""
        with self._changed:
            self.engine, self._status = None, ModelStatus(state="none")
        free_memory()

    def open(self, change: Change) -> None:
        """Drop the loaded model and open that of `change`; if that fails, open the earlier model again."""
        with self._changed:
            had_engine, self.engine, self._opening = self.engine is not None, None, True
        if had_engine:
            free_memory()
        if not self._try_to_open(change.spec, change):
            with self._changed:
                earlier_spec = None if self._closed or self.settled is not None else self._good
            if earlier_spec is not None:
                free_memory()
                self._try_to_open(earlier_spec, None)
        with self._changed:
            self._opening = False
            self._changed.notify_all()

    def _try_to_open(self, spec: ModelSpec, change: Change | None) -> bool:
        """Open a model: that of `change`, or with None the earlier one again. Returns whether it is loaded now."""
        name = spec.name or DEFAULT
        with self._changed:
            if change is None or not change.over:
                self._status = ModelStatus(state="loading", name=name, stage="starting")
        error: dict[str, Any] | None = None
        try:
            engine = self._opener(spec, lambda stage, fraction: self._advance(change, stage, fraction))
        except Exception as problem:
            error = logged_outcome(problem, f"Loading {name}").error
        with self._changed:
            if error is None and (change is None or not change.over):
                self._take_engine(spec, engine)
                return True
            if change is not None and not change.over:
                self._give_up("failed", lambda _: error or {})
            if self.settled is None and (change is None or self._good is None):
                self._status = ModelStatus(state="failed", name=name, error=error or (change.error if change else None))
            self._changed.notify_all()
        return False

    def _take_engine(self, spec: ModelSpec, engine: Answering) -> None:
        if self._change is not None and self._change.spec is spec:
            self._change = None
            self._previous = self._good if self._good != spec else self._previous
        self.engine, self._good, self._status = engine, spec, _ready(engine.info)
        self._changed.notify_all()

    def _advance(self, change: Change | None, stage: str, fraction: float | None) -> None:
        """Note an opener's progress. Raises Stopped if its model is no longer wanted."""
        with self._changed:
            if self._closed or (change.over if change is not None else self.settled is not None):
                raise Stopped
            if change is not None:
                change.stage, change.fraction = stage, fraction
            if change is None or change.state == "loading":
                self._status = self._status.model_copy(update={"stage": stage, "fraction": fraction})

    def _run_check(self, check: Check, change: Change) -> None:
        """Check whether the model will open, as far as possible while another one is loaded."""
        error: dict[str, Any] | None = None
        try:
            check(change.spec, lambda stage, fraction: self._advance(change, stage, fraction))
        except Exception as problem:
            error = logged_outcome(problem, f"Checking {change.name}").error
        with self._changed:
            if self._closed or change.over:
                return
            if error is not None:
                self._give_up("failed", lambda _: error or {})
            else:
                self._settle(change)

    def _settle(self, change: Change) -> None:
        """Settle the change: jobs submitted from now on are for the new model."""
        change.state, change.stage, change.fraction = "waiting", None, None
        change.before = self._settle_jobs(self.engine.info if self.engine is not None else None)
        self._status = ModelStatus(state="loading", name=change.name, stage="waiting")
        self._changed.notify_all()

    def _give_up(self, state: State, why: Callable[..., dict[str, Any]], *words: str) -> None:
        """End the change in progress, if any, and fail the jobs that wait for its model."""
        change = self._change
        if change is None:
            return
        before, self._change, self._last_failed = change.state, None, change
        change.end(state, why(change, *words))
        if before != "checking":
            self._fail_waiting(
                change, unanswered_error(change, another_may_answer=self._good is not None or state == "cancelled")
            )
            if self.engine is not None:
                self._status = _ready(self.engine.info)
            elif before == "loading":
                self._status = self._status.model_copy(update={"stage": "cancelling"})
            elif not self._opening:
                self._status = ModelStatus(state="failed", name=change.name, error=change.error)
        self._changed.notify_all()


def _ready(info: ModelInfo) -> ModelStatus:
    return ModelStatus(state="ready", name=info.name, info=info)


def cancelled_error(change: Change) -> dict[str, str]:
    """The error of a change that a person cancelled."""
    return Stopped(
        f"Loading {change.name} was cancelled", "Cancel was pressed", "load it again if you want it"
    ).to_json()


def replaced_error(change: Change, by: str) -> dict[str, str]:
    """The error of a change that a later one replaced."""
    return Stopped(
        f"Loading {change.name} was cancelled", f"{by} was asked for instead", "load it again later"
    ).to_json()


def unanswered_error(change: Change, another_may_answer: bool) -> dict[str, str]:
    """The error of a job whose model was not loaded after all; `another_may_answer`: asking again may succeed."""
    why = HNeuronsError.from_json(change.error or {})
    because = f"{why.what[:1].lower()}{why.what[1:]} ({why.why})"
    instead = "ask again: the loaded model then answers" if another_may_answer else why.instead
    return type(why)(f"{change.name} did not answer this", because, instead).to_json()


def refuse_if_in_use(spec: ModelSpec, session: str, models: ModelSlot, jobs: Sequence[Job], recent: set[str]) -> None:
    """Refuse a change of model that would disturb others.

    Args:
        spec: the new model; `session` asks for it.
        jobs: those that run or wait. recent: sessions that used the model in the last `RECENT` seconds.
    Raises Busy, naming what would be disturbed.
    """
    loaded, reasons = models.view().name or "The model", []
    waiting = sum(not job.is_long and (not session or job.session != session) for job in jobs)
    long_jobs = [job for job in jobs if job.is_long]
    training_runs = dict.fromkeys(job.run_name for job in long_jobs if job.run_name is not None)
    other_long_runs = dict.fromkeys(job.verb for job in long_jobs if job.run_name is None)
    recent_others = len(recent - {session}) if session else 0
    if waiting:
        reasons.append(
            f"{_counted(waiting, 'question')} of others {'runs or waits' if waiting == 1 else 'run or wait'}"
        )
    elif recent_others:
        reasons.append(f"{_counted(recent_others, 'other session')} used it in the last {RECENT / 60:.0f} minutes")
    for kind, run_names in (("training run", training_runs), ("long run", other_long_runs)):
        if run_names:
            reasons.append(
                f"the {kind} {', '.join(run_names)} is running and would wait until {loaded} is loaded again"
            )
    if awaited_model := models.asked_by_other(session):
        reasons.append(f"{awaited_model} is being loaded for somebody else")
    if reasons:
        wanted = f"confirm to load {spec.name or DEFAULT} anyway, or wait"
        raise Busy(f"{loaded} is in use", ", and ".join(reasons), wanted)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
