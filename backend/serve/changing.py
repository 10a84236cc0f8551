"""Changing the model: checked beside the work, settled, opened; and the model before it back where that fails.

Owns the loaded engine, the change that is under way and the words that are said of both. It decides nothing about
jobs: the worker says when a change may open its model, and is told when one came to nothing.

A change is *checked* while the loaded model goes on answering; *settled*, it waits for the jobs that were meant for
that model; then it is opened. Two models never share the memory.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from backend.errors import Busy, HNeuronsError, Stopped, Unknown
from backend.models.registry import DEFAULT
from backend.serve.jobs import Job, told
from backend.serve.opening import Answering, ModelSpec, Opener, Progress, free_memory
from backend.types import ModelChange, ModelInfo, ModelOrder, ModelStatus

State = Literal["checking", "waiting", "loading", "failed", "cancelled"]
"""As in `backend.types.ModelChange`."""
Check = Callable[[ModelSpec, Progress], None]
RECENT = 300.0
"""Seconds for which a session that looked at an answer counts as at work."""


@dataclass(eq=False)
class Change:
    """One change of model. Once it is `over`, its opener is stopped at the next stage.

    session: whose it is, where that is known. before: jobs numbered below were submitted before it was settled.
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
        """What is to be opened, as it was asked for."""
        return self.spec.name or DEFAULT

    @property
    def over(self) -> bool:
        """Whether it came to nothing."""
        return self.error is not None

    def end(self, state: State, error: dict[str, Any]) -> None:
        """It comes to nothing, for that reason."""
        self.state, self.error, self.stage, self.fraction = state, error, None, None

    def view(self) -> ModelChange:
        """As it is told."""
        return ModelChange(name=self.name, state=self.state, stage=self.stage, fraction=self.fraction, error=self.error)


class Models:
    """The loaded model, and the change to another that is under way. Whoever calls holds the lock of `changed`, but
    for `open` and `let_go`, which the worker's thread calls without it.

    Args:
        opener: makes the engine of a model.
        check: raises where a model is known not to open; without one a change is settled at once.
        changed: whose lock guards everything here; told of each change.
        settle: called when a change is settled, with the loaded model, which will go; gives the number of jobs so far.
        missed: called when a settled change came to nothing, with what is told to those who waited for its model.
    """

    def __init__(
        self,
        opener: Opener,
        check: Check | None,
        changed: threading.Condition,
        settle: Callable[[ModelInfo | None], int],
        missed: Callable[[Change, dict[str, str]], None],
    ) -> None:
        self.engine: Answering | None = None
        self._opener, self._check, self._changed = opener, check, changed
        self._settle_jobs, self._tell = settle, missed
        self._change: Change | None = None
        self._missed: Change | None = None
        self._good: ModelSpec | None = None
        self._previous: ModelSpec | None = None
        self._opening = self._closed = False
        self._status = ModelStatus(state="none")

    @property
    def settled(self) -> Change | None:
        """The change that waits for its turn: later jobs are for its model."""
        return self._change if self._change is not None and self._change.state == "waiting" else None

    @property
    def failure(self) -> dict[str, Any] | None:
        """Why no model is here nor on its way."""
        return self._status.error if self._status.state == "failed" else None

    def view(self) -> ModelStatus:
        """The loaded model, or how far its loading is, and what is on its way or did not come."""
        told = self._change or self._missed
        before = self._previous if self._previous is not None and self._previous.name else None
        previous = (
            None if before is None else ModelOrder(name=before.name or "", device=before.device, dtype=before.dtype)
        )
        return self._status.model_copy(update={"change": None if told is None else told.view(), "previous": previous})

    def asked_by_other(self, session: str) -> str | None:
        """The model that another session is loading."""
        change = self._change
        return change.name if change is not None and change.session not in ("", session) else None

    def change(self, spec: ModelSpec, session: str = "") -> None:
        """Begin to change to the model of `spec`; one that is under way comes to nothing."""
        change = Change(spec, session)
        self._give_up("cancelled", replaced, change.name)
        self._change, self._missed = change, None
        if self.engine is None or self._check is None:
            self._settle(change)
        else:
            threading.Thread(
                target=self._checked, args=(self._check, change), name="hneurons-check", daemon=True
            ).start()

    def cancel(self) -> None:
        """Call off the change that is under way. Raises Unknown where there is none."""
        if self._change is None:
            raise Unknown("No model is being loaded", "nothing is on its way", "choose one to load")
        self._give_up("cancelled", cancelled)

    def close(self) -> None:
        """Let nothing more be opened."""
        self._closed = True
        if self._change is not None:
            self._change.end("cancelled", cancelled(self._change))
        self._change = None

    def let_go(self) -> None:
        """Let the loaded model go."""
        with self._changed:
            self.engine, self._status = None, ModelStatus(state="none")
        free_memory()

    def open(self, change: Change) -> None:
        """Let the loaded model go and open that of `change`; where it does not come, the one before it once more."""
        with self._changed:
            held, self.engine, self._opening = self.engine is not None, None, True
        if held:
            free_memory()
        if not self._came(change.spec, change):
            with self._changed:
                again = None if self._closed or self.settled is not None else self._good
            if again is not None:
                free_memory()
                self._came(again, None)
        with self._changed:
            self._opening = False
            self._changed.notify_all()

    def _came(self, spec: ModelSpec, change: Change | None) -> bool:
        """Open a model: that of `change`, or again the one before it. Whether it is there."""
        name = spec.name or DEFAULT
        with self._changed:
            if change is None or not change.over:
                self._status = ModelStatus(state="loading", name=name, stage="starting")
        error: dict[str, Any] | None = None
        try:
            engine = self._opener(spec, lambda stage, fraction: self._advance(change, stage, fraction))
        except Exception as problem:
            error = told(problem, f"Loading {name}").error
        with self._changed:
            if error is None and (change is None or not change.over):
                self._arrived(spec, engine)
                return True
            if change is not None and not change.over:
                self._give_up("failed", lambda _: error or {})
            if self.settled is None and (change is None or self._good is None):
                self._status = ModelStatus(state="failed", name=name, error=error or (change.error if change else None))
            self._changed.notify_all()
        return False

    def _arrived(self, spec: ModelSpec, engine: Answering) -> None:
        if self._change is not None and self._change.spec is spec:
            self._change = None
            self._previous = self._good if self._good != spec else self._previous
        self.engine, self._good, self._status = engine, spec, _ready(engine.info)
        self._changed.notify_all()

    def _advance(self, change: Change | None, stage: str, fraction: float | None) -> None:
        """An opener came so far. Raises Stopped where its model is no longer wanted."""
        with self._changed:
            if self._closed or (change.over if change is not None else self.settled is not None):
                raise Stopped
            if change is not None:
                change.stage, change.fraction = stage, fraction
            if change is None or change.state == "loading":
                self._status = self._status.model_copy(update={"stage": stage, "fraction": fraction})

    def _checked(self, check: Check, change: Change) -> None:
        """Look whether the model opens, as far as that can be seen beside the one that is loaded."""
        error: dict[str, Any] | None = None
        try:
            check(change.spec, lambda stage, fraction: self._advance(change, stage, fraction))
        except Exception as problem:
            error = told(problem, f"Checking {change.name}").error
        with self._changed:
            if self._closed or change.over:
                return
            if error is not None:
                self._give_up("failed", lambda _: error or {})
            else:
                self._settle(change)

    def _settle(self, change: Change) -> None:
        """From now on jobs are for the new model."""
        change.state, change.stage, change.fraction = "waiting", None, None
        change.before = self._settle_jobs(self.engine.info if self.engine is not None else None)
        self._status = ModelStatus(state="loading", name=change.name, stage="waiting")
        self._changed.notify_all()

    def _give_up(self, state: State, why: Callable[..., dict[str, Any]], *words: str) -> None:
        """The change under way, if there is one, comes to nothing: who waits for its model is told."""
        change = self._change
        if change is None:
            return
        before, self._change, self._missed = change.state, None, change
        change.end(state, why(change, *words))
        if before != "checking":
            self._tell(change, unanswered(change, others=self._good is not None or state == "cancelled"))
            if self.engine is not None:
                self._status = _ready(self.engine.info)
            elif before == "loading":
                self._status = self._status.model_copy(update={"stage": "cancelling"})
            elif not self._opening:
                self._status = ModelStatus(state="failed", name=change.name, error=change.error)
        self._changed.notify_all()


def _ready(info: ModelInfo) -> ModelStatus:
    return ModelStatus(state="ready", name=info.name, info=info)


def cancelled(change: Change) -> dict[str, str]:
    """Why a change that a person called off came to nothing."""
    return Stopped(
        f"Loading {change.name} was cancelled", "Cancel was pressed", "load it again if you want it"
    ).to_json()


def replaced(change: Change, by: str) -> dict[str, str]:
    """Why a change that a later one took the place of came to nothing."""
    return Stopped(
        f"Loading {change.name} was cancelled", f"{by} was asked for instead", "load it again later"
    ).to_json()


def unanswered(change: Change, others: bool) -> dict[str, str]:
    """What is told to those whose questions waited for a model that then did not come; another may, if `others`."""
    why = HNeuronsError.from_json(change.error or {})
    because = f"{why.what[:1].lower()}{why.what[1:]} ({why.why})"
    instead = "ask again, and the model that is loaded then answers" if others else why.instead
    return type(why)(f"{change.name} did not answer this", because, instead).to_json()


def ask(spec: ModelSpec, session: str, models: Models, jobs: Sequence[Job], recent: set[str]) -> None:
    """Let pass a change of model that takes nothing from anybody.

    Args:
        spec: the model to come; `session` asks for it.
        jobs: what runs or waits. recent: sessions that used the model just now.
    Raises Busy, which says who is at work.
    """
    loaded, found = models.view().name or "The model", []
    waiting = sum(not job.is_long and (not session or job.session != session) for job in jobs)
    long = [job for job in jobs if job.is_long]
    trained = dict.fromkeys(job.run_name for job in long if job.run_name is not None)
    others_long = dict.fromkeys(job.verb for job in long if job.run_name is None)
    others = len(recent - {session}) if session else 0
    if waiting:
        found.append(f"{_counted(waiting, 'question')} of others {'runs or waits' if waiting == 1 else 'run or wait'}")
    elif others:
        found.append(f"{_counted(others, 'other session')} used it in the last {RECENT / 60:.0f} minutes")
    for kind, names in (("training run", trained), ("long run", others_long)):
        if names:
            found.append(f"the {kind} {', '.join(names)} is at work and would wait until {loaded} is loaded again")
    if other := models.asked_by_other(session):
        found.append(f"{other} is being loaded for somebody else")
    if found:
        wanted = f"confirm that {spec.name or DEFAULT} is to be loaded all the same, or wait"
        raise Busy(f"{loaded} is in use", ", and ".join(found), wanted)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
