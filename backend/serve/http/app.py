"""The HTTP service: `Client`, one route a method, and one route a verb that waits for its result.

Owns routes, status codes and the bound on a body. Refuses behaviour: every route hands on to the client it
was made with. All errors have one shape, {"error": {"code", "what", "why", "instead"}}. It knows no user: it is
meant for this machine or a network that one trusts, and pages of other origins get no leave to read it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import FastAPI, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field, StrictBool

from backend.errors import Unknown
from backend.serve.client import Client, fetched, has_ended, views
from backend.serve.hosts import Hosts, TrustedHosts, trusted
from backend.serve.http.bodies import Bodies, Body, JsonOnly, StrictRoute
from backend.serve.http.docs import add_docs
from backend.serve.http.errors import ERRORS, add_error_handlers, error_response, not_json
from backend.serve.http.probes import add_probes
from backend.types import COMPACT, Frozen, JobView, ModelChoice, ModelStatus, Result, StoredResult
from backend.types.refusal import validated
from backend.verbs import table
from backend.verbs.table import VERBS, VerbName, VerbRow

log = logging.getLogger(__name__)

MAX_WAIT = 30.0
THREADS, WAITING = 100, 600
"""Most calls that are answered, and that wait, at the same time: a long poll and a stream hold a thread while nothing
is new, and must not hold up those that can be answered at once."""

Arrays = Annotated[
    Literal["lists", "base64"], Query(description="how arrays are written; base64 is little-endian and compact")
]
JobId = Annotated[str, Path(max_length=100)]
Session = Annotated[str, Field(min_length=1, max_length=100)]
Turn = Annotated[
    str | None,
    Query(min_length=1, max_length=100, description="whose turn it is, as in /v1/jobs; by default the connection's"),
]


class Load(Body):
    """A model to change to: a row of the table, hub name, directory or GGUF file.

    session: who asks, so that their own questions need no leave. confirm: also where others are at work.
    """

    name: str = Field(min_length=1, max_length=500)
    device: str | None = Field(default=None, max_length=50)
    dtype: str | None = Field(default=None, max_length=50)
    session: str = Field(default="", max_length=100)
    confirm: StrictBool = False


class Submission(Body):
    """A request for the queue. `request` is that of the verb; runs of one `session` are done in order."""

    verb: VerbName
    request: dict[str, Any]
    session: Session


class JobStarted(BaseModel):
    """The id to ask for with GET /v1/jobs/{id}."""

    id: str


class Models(BaseModel):
    """The registry's rows."""

    models: tuple[ModelChoice, ...]


class Results(BaseModel):
    """What is in the store, newest first."""

    results: tuple[StoredResult, ...]


class Link(BaseModel):
    """The parameters of a link that is too long for an address."""

    params: dict[str, str] = Field(max_length=100)


class LinkKept(BaseModel):
    """The key to ask for with GET /v1/links/{key}."""

    key: str


def create_app(client: Client, hosts: Hosts | None = None) -> FastAPI:
    """The service in front of `client`, which is closed when the service ends; asked under the names of `hosts`, by
    default those of this machine alone and of HNEURONS_HOSTS."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        yield
        await run_in_threadpool(client.close)

    app = FastAPI(
        title="H-Neuron Explorer", version="1", lifespan=lifespan, responses=ERRORS, docs_url=None, redoc_url=None
    )
    app.state.waiting = CapacityLimiter(WAITING)
    app.router.route_class = StrictRoute
    app.add_middleware(Bodies)
    app.add_middleware(JsonOnly, refuse=not_json)
    app.add_middleware(TrustedHosts, hosts=hosts or trusted(), refuse=error_response)
    add_error_handlers(app)
    _add_models(app, client)
    _add_jobs(app, client)
    _add_results(app, client)
    add_probes(app, client)
    _add_links(app, client)
    _add_verbs(app, client)
    add_docs(app)
    return app


def _add_models(app: FastAPI, client: Client) -> None:
    @app.get("/v1/status")
    def status() -> ModelStatus:
        """The loaded model, or how far its loading is."""
        return client.status()

    @app.get("/v1/models")
    def models() -> Models:
        """The registry with what each model needs and whether it fits the service's machine."""
        return Models(models=client.models())

    @app.post("/v1/models/load", status_code=202)
    def load(body: Load) -> ModelStatus:
        """Begin to change to a model; watch /v1/status. The loaded one answers until this one is known to open, and
        comes back where it does not open after all. Status 409 where others are at work: send `confirm` then."""
        client.load(body.name, body.device, body.dtype, session=body.session, confirm=body.confirm)
        return client.status()

    @app.delete("/v1/models/load")
    def cancel() -> ModelStatus:
        """Call off the change of model that is under way; the model before it answers."""
        client.cancel_load()
        return client.status()


def _add_jobs(app: FastAPI, client: Client) -> None:
    @app.post("/v1/jobs", status_code=202)
    def submit(body: Submission) -> JobStarted:
        """Queue a request. Sessions take turns."""
        asked = validated(table.row(body.verb).request, body.request)
        return JobStarted(id=client.submit(body.verb, asked, body.session))

    @app.get("/v1/jobs/{id}")
    async def view(
        id: JobId,
        request: Request,
        after: Annotated[int, Query(ge=0)] = 0,
        wait: Annotated[float, Query(ge=0, le=MAX_WAIT)] = 0.0,
    ) -> JobView:
        """The job and its events from number `after`; waits up to `wait` seconds for something new."""
        limiter = request.app.state.waiting if wait else None
        return await anyio.to_thread.run_sync(client.view, id, after, wait, limiter=limiter)

    @app.get("/v1/jobs/{id}/events", response_class=StreamingResponse)
    async def events(id: JobId, request: Request, after: Annotated[int, Query(ge=0)] = 0) -> StreamingResponse:
        """The job as server-sent events: stage, prompt, token, and `end` with the job's last view. Who comes back
        with the Last-Event-ID that it saw hears what came after that."""
        last = request.headers.get("last-event-id", "")
        known = int(last) if last.isascii() and last.isdigit() and len(last) < 16 else after
        seen = views(client, id, 5.0, known)
        first = await _next(request, seen)
        assert first is not None, "a job that is not known is refused"
        return StreamingResponse(
            _stream(request, first, seen), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    @app.delete("/v1/jobs/{id}")
    def stop(id: JobId) -> JobView:
        """Stop a job: a queued one leaves the queue, a running one ends within one token."""
        client.stop(id)
        return client.view(id)


def _add_results(app: FastAPI, client: Client) -> None:
    @app.get("/v1/results")
    def results(limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> Results:
        """What is in the store, newest first."""
        return Results(results=client.results(limit))

    @app.get("/v1/results/{key}")
    def result(
        key: Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="the `key` of a finished job")],
        arrays: Arrays = "lists",
    ) -> Response:
        """{"verb": ..., "result": ...} of one stored result."""
        found = client.result(key)
        if found is None:
            raise Unknown("This result is not here", f"nothing is stored under {key[:12]}", "run the request again")
        return _with_verb(found, arrays)

    @app.get("/v1/examples/{verb}")
    def example(verb: VerbName, arrays: Arrays = "lists") -> Response:
        """{"verb": ..., "result": ...} of the finished example that ships."""
        return _with_verb(client.example(verb), arrays)


def _add_links(app: FastAPI, client: Client) -> None:
    @app.post("/v1/links", status_code=201)
    def keep_link(body: Link) -> LinkKept:
        """Keep a link that is too long for an address. The same link has the same key."""
        return LinkKept(key=client.keep_link(body.params))

    @app.get("/v1/links/{key}")
    def kept_link(key: Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="the key of a kept link")]) -> Link:
        """The parameters of a kept link."""
        found = client.kept_link(key)
        if found is None:
            raise Unknown("This link is not here", f"nothing is kept under {key[:12]}", "open a link made here")
        return Link(params=dict(found))


def _add_verbs(app: FastAPI, client: Client) -> None:
    """A route that waits for its result, for each verb that is done in a while."""
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
    """Submit, wait, and give the result back; a caller who hangs up stops the run.

    Without a `session` each connection has its own turn: behind one address there may be a whole class.
    """

    async def answer(body: Frozen, request: Request, arrays: Arrays = "lists", session: Turn = None) -> Response:
        asker = request.client
        turn = session or (f"http {asker.host} {asker.port}" if asker is not None else "http")
        job = await run_in_threadpool(client.submit, row.name, body, turn)
        seen = views(client, job, 1.0)
        while (view := await _next(request, seen)) is not None:
            last = view
            if not has_ended(view) and await request.is_disconnected():
                await run_in_threadpool(client.stop, job)
        result = await run_in_threadpool(fetched, client, last)
        return Response(await run_in_threadpool(_written, result, arrays), media_type="application/json")

    # FastAPI reads the body's type here.
    answer.__annotations__["body"] = row.request
    return answer


async def _next(request: Request, seen: Iterator[JobView]) -> JobView | None:
    """The next view of a job, None behind its last; who waits does so beside those who can be answered at once."""
    return await anyio.to_thread.run_sync(lambda: next(seen, None), limiter=request.app.state.waiting)


async def _stream(request: Request, view: JobView, seen: Iterator[JobView]) -> AsyncIterator[str]:
    """Server-sent events from `view` on. Each one's id is the number to go on from after a break."""
    later: JobView | None = view
    while later is not None:
        view = later
        for number, event in zip(view.numbers, view.events, strict=True):
            yield f"event: {event.type}\nid: {number + 1}\ndata: {event.model_dump_json()}\n\n"
        if not has_ended(view) and not view.events:
            yield f": {view.state}, {view.position} before\n\n"
        later = await _next(request, seen)
    last = view.model_copy(update={"events": (), "numbers": ()})
    yield f"event: end\nid: {view.next}\ndata: {last.model_dump_json()}\n\n"


def _with_verb(result: Result, arrays: str) -> Response:
    verb = table.row_answering(result).name
    return Response(f'{{"verb":{json.dumps(verb)},"result":{_written(result, arrays)}}}', media_type="application/json")


def _written(result: Result, arrays: str) -> str:
    return result.model_dump_json(context=COMPACT if arrays == "base64" else None)
