"""The HTTP service: one route per method of `Client`, and one route per verb that waits for its result.

Owns routes, status codes and the limit on a body. It adds no behaviour: every route calls the client that the service
was made with. All errors have one shape, {"error": {"code", "what", "why", "instead"}}. There are no users and no
login: it is meant for this machine or a trusted network, and web pages of other origins may not read it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool

from backend.serve.client import Client
from backend.serve.hosts import Hosts, TrustedHosts, trusted
from backend.serve.http.bodies import Bodies, JsonOnly, StrictRoute
from backend.serve.http.docs import add_docs
from backend.serve.http.errors import ERRORS, add_error_handlers, error_response, not_json
from backend.serve.http.jobs import add_jobs
from backend.serve.http.links import add_links
from backend.serve.http.models import add_models
from backend.serve.http.probes import add_probes
from backend.serve.http.results import add_results
from backend.serve.http.runs import add_runs
from backend.serve.http.verbs import add_verbs

THREADS, WAITING = 100, 600
"""Most calls that are answered, and most that wait, at the same time. A long poll or a stream holds a thread while
nothing is new, and must not block calls that can be answered at once."""


def create_app(client: Client, hosts: Hosts | None = None) -> FastAPI:
    """The service in front of `client`, which is closed when the service ends.

    It answers to the names in `hosts`, by default those of this machine and of HNEURONS_HOSTS.
    """

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
    add_models(app, client.models)
    add_jobs(app, client.jobs)
    add_results(app, client.results)
    add_probes(app, client.probes)
    add_runs(app, client.runs)
    add_links(app, client.links)
    add_verbs(app, client)
    add_docs(app)
    return app
