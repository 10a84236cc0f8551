"""Routes for jobs: submit, view, stream and stop. Each calls the client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import anyio.to_thread
from fastapi import FastAPI, Path, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from backend.serve.client import Jobs, has_ended, views
from backend.serve.http.bodies import Body
from backend.types import JobView
from backend.types.refusal import validated
from backend.verbs import table
from backend.verbs.table import VerbName

MAX_WAIT = 30.0
JobId = Annotated[str, Path(max_length=100)]
Session = Annotated[str, Field(min_length=1, max_length=100)]


class Submission(Body):
    """A request for the queue. `request` is that of the verb; requests of one `session` run in order."""

    verb: VerbName
    request: dict[str, Any]
    session: Session


class JobStarted(BaseModel):
    """The id of the job, for GET /v1/jobs/{id}."""

    id: str


def add_jobs(app: FastAPI, jobs: Jobs) -> None:
    """Put the routes on `app`."""

    @app.post("/v1/jobs", status_code=202)
    def submit(body: Submission) -> JobStarted:
        """Queue a request. Sessions take turns."""
        asked = validated(table.row(body.verb).request, body.request)
        return JobStarted(id=jobs.submit(body.verb, asked, body.session))

    @app.get("/v1/jobs/{id}")
    async def view(
        id: JobId,
        request: Request,
        after: Annotated[int, Query(ge=0)] = 0,
        wait: Annotated[float, Query(ge=0, le=MAX_WAIT)] = 0.0,
    ) -> JobView:
        """The job and its events from number `after`; waits up to `wait` seconds for something new."""
        limiter = request.app.state.waiting if wait else None
        return await anyio.to_thread.run_sync(jobs.view, id, after, wait, limiter=limiter)

    @app.get("/v1/jobs/{id}/events", response_class=StreamingResponse)
    async def events(id: JobId, request: Request, after: Annotated[int, Query(ge=0)] = 0) -> StreamingResponse:
        """The job as server-sent events: stage, prompt, token, and `end` with the job's last view. A client that
        reconnects with the Last-Event-ID it saw gets the events after that."""
        last = request.headers.get("last-event-id", "")
        known = int(last) if last.isascii() and last.isdigit() and len(last) < 16 else after
        seen = job_views(request, jobs, id, 5.0, known)
        # An unknown job is refused before the stream begins.
        first = await anext(seen)
        return StreamingResponse(
            _stream(first, seen), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    @app.delete("/v1/jobs/{id}")
    def stop(id: JobId) -> JobView:
        """Stop a job: a queued one leaves the queue, a running one ends within one token."""
        jobs.stop(id)
        return jobs.view(id)


async def job_views(request: Request, jobs: Jobs, job: str, wait: float, after: int = 0) -> AsyncIterator[JobView]:
    """The views of `backend.serve.client.views`.

    The first is answered at once, without waiting behind long polls; the later ones wait in a thread pool of their own.
    """
    seen = views(jobs, job, wait, after)
    view = await anyio.to_thread.run_sync(next, seen)
    yield view
    while not has_ended(view):
        view = await anyio.to_thread.run_sync(next, seen, limiter=request.app.state.waiting)
        yield view


async def _stream(view: JobView, seen: AsyncIterator[JobView]) -> AsyncIterator[str]:
    """Server-sent events from `view` on. The id of each is the event number to continue from after a break."""
    later: JobView | None = view
    while later is not None:
        view = later
        for number, event in zip(view.numbers, view.events, strict=True):
            yield f"event: {event.type}\nid: {number + 1}\ndata: {event.model_dump_json()}\n\n"
        if not has_ended(view) and not view.events:
            yield f": {view.state}, {view.position} before\n\n"
        later = await anext(seen, None)
    last = view.model_copy(update={"events": (), "numbers": ()})
    yield f"event: end\nid: {view.next}\ndata: {last.model_dump_json()}\n\n"
