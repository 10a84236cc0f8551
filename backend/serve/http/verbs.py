"""Routes that wait for their result: one for each verb that is not long."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from backend.serve.client import Client, fetched, has_ended
from backend.serve.http.jobs import job_views
from backend.serve.http.results import Arrays, written
from backend.types import verbs
from backend.verbs.table import VERBS, VerbRow

Turn = Annotated[
    str | None,
    Query(min_length=1, max_length=100, description="whose turn it is, as in /v1/jobs; by default the connection's"),
]


def add_verbs(app: FastAPI, client: Client) -> None:
    """Put the routes on `app`."""
    for row in VERBS.values():
        if not row.is_long:
            app.add_api_route(
                f"/v1/{row.name}",
                _answering(client, row),
                methods=["POST"],
                name=row.name,
                response_model=row.result,
                description=f"{row.says}; comes back when it is done.",
            )


def _answering(client: Client, row: VerbRow[Any, Any]) -> Callable[..., Awaitable[Response]]:
    """A route that submits, waits, and returns the result; if the caller disconnects, the run is stopped.

    Without a `session` each connection takes its own turn: behind one address there may be a whole class.
    """

    async def answer(body: verbs.Request, request: Request, arrays: Arrays = "lists", session: Turn = None) -> Response:
        asker = request.client
        turn = session or (f"http {asker.host} {asker.port}" if asker is not None else "http")
        job = await run_in_threadpool(client.jobs.submit, row.name, body, turn)
        async for view in job_views(request, client.jobs, job, 1.0):
            last = view
            if not has_ended(view) and await request.is_disconnected():
                await run_in_threadpool(client.jobs.stop, job)
        result = await run_in_threadpool(fetched, client.results, last)
        return Response(await run_in_threadpool(written, result, arrays), media_type="application/json")

    # FastAPI reads the body's type here.
    answer.__annotations__["body"] = row.request
    return answer
