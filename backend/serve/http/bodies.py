"""Checks on a request before its route runs: the length and pace of its body, that the body is one JSON value, and that
its address has no parameter that the route does not read.

Owns the limits on what is read of a request. A limit follows what the types of the route allow; a limit on the sum over
all requests in progress keeps many large ones from filling the memory. Knows no route's meaning.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Set
from typing import Any

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict
from starlette.datastructures import Headers, QueryParams
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.errors import BadSettings
from backend.serve.http.wire import IDLE_SECONDS, in_time
from backend.types.identify import MAX_QUESTIONS, MAX_TEXT

MAX_BODY = 2 * 1024**2
"""Default limit of a body, in bytes: enough for any question, comparison or set of neurons."""
MAX_LARGE = MAX_QUESTIONS * (MAX_TEXT + 600)
"""Limit for routes that take questions or files: the most questions a run may have, each of the greatest length."""
LARGE = re.compile(r"/v1/(jobs|questions|probes/[^/]+)")
MAX_TOGETHER = 4 * MAX_LARGE
"""Limit of all bodies held at the same time, in bytes."""
_IN_THREAD = 256 * 1024
"""Bodies longer than this are parsed in a thread, so that the event loop can serve others meanwhile."""
_JSON = re.compile(r"application/(?:json|[\w.+-]+\+json)\s*(?:;.*)?", re.IGNORECASE | re.DOTALL)


class Body(BaseModel):
    """Base of the bodies of routes: an unknown field is an error."""

    model_config = ConfigDict(extra="forbid")


class Bodies:
    """Middleware that enforces the limits. A request that exceeds one is refused with an error body of the service.

    Args:
        idle: seconds that a body may pause.
        together: limit of all bodies at the same time, in bytes.
    """

    def __init__(self, app: ASGIApp, idle: float = IDLE_SECONDS, together: int = MAX_TOGETHER) -> None:
        self._app, self._idle, self._together = app, idle, together
        self._bytes_held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting the bytes of its body and watching the time."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit, begun, read, over = limit_of(scope["path"]), time.monotonic(), 0, False
        declared = Headers(scope=scope).get("content-length", "0")

        async def bounded() -> Message:
            nonlocal read, over
            if over:
                return await receive()
            if declared.isdigit() and len(declared) < 20 and int(declared) > limit:
                raise _too_long(limit)
            message = await in_time(receive, self._idle, read, begun)
            length = len(message.get("body", b""))
            read, self._bytes_held = read + length, self._bytes_held + length
            over = not message.get("more_body", False)
            if read > limit:
                raise _too_long(limit)
            if self._bytes_held > self._together:
                raise HTTPException(503, "too many long requests come in at the same time")
            return message

        try:
            await self._app(scope, bounded, send)
        finally:
            self._bytes_held -= read


class JsonOnly:
    """Middleware that passes on a body only if its header says that it is JSON.

    A form on a foreign web page cannot send that header.
    """

    def __init__(self, app: ASGIApp, refuse: Callable[..., Response]) -> None:
        self._app, self._refuse = app, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on requests with JSON or without a body."""
        if scope["type"] == "http" and scope["method"] in ("POST", "PUT", "PATCH"):
            headers = Headers(scope=scope)
            kind = headers.get("content-type", "")
            empty = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
            if not empty and not _JSON.fullmatch(kind.strip()):
                await self._refuse(kind)(scope, receive, send)
                return
            if (packed := headers.get("content-encoding", "identity").strip().lower()) not in ("", "identity"):
                await self._refuse(kind, packed)(scope, receive, send)
                return
        await self._app(scope, receive, send)


class StrictRoute(APIRoute):
    """A route that reads its body with `parsed` and refuses unknown parameters in its address."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        """The handler, given requests that parse JSON strictly and have only known parameters."""
        handler = super().get_route_handler()
        known = {parameter.alias for parameter in self.dependant.query_params}

        async def strict(request: Request) -> Response:
            _refuse_unread(request.query_params, known)
            return await handler(_StrictRequest(request.scope, request.receive))

        return strict


class _StrictRequest(Request):
    async def json(self) -> Any:
        body = await self.body()
        return await run_in_threadpool(parsed, body) if len(body) > _IN_THREAD else parsed(body)


def _refuse_unread(given: QueryParams, known: Set[str]) -> None:
    """Raises BadSettings for a parameter that the route does not know, or that is given twice."""
    for name, times in Counter(name for name, _ in given.multi_items()).items():
        if name not in known:
            raise BadSettings(
                f"{name[:40]!r} is no parameter of this route",
                "what is not understood is not ignored",
                f"give one of {', '.join(sorted(known))}" if known else "leave it out",
            )
        if times > 1:
            raise BadSettings(
                f"{name!r} stands in the address {times} times", "which one counts is not clear", "give it once"
            )


def limit_of(path: str) -> int:
    """The most bytes that a body for `path` may have."""
    return MAX_LARGE if LARGE.fullmatch(path) else MAX_BODY


def parsed(body: bytes) -> Any:
    """The JSON value of these bytes.

    Raises JSONDecodeError if they are not JSON, HTTPException (400) if parsers could read them differently.
    """
    try:
        return json.loads(body, object_pairs_hook=_unique_names)
    except UnicodeDecodeError as error:
        raise HTTPException(400, "it is no UTF-8") from error
    except RecursionError as error:
        raise HTTPException(400, "its lists and objects are nested too deeply") from error
    except json.JSONDecodeError:
        raise
    except ValueError as error:
        raise HTTPException(400, "a number in it has too many digits") from error


def _unique_names(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise HTTPException(400, f"{twice[:40]!r} stands in it twice, and which one counts is not clear")
    return fields


def _too_long(limit: int) -> HTTPException:
    return HTTPException(413, f"at most {limit / 1024**2:.3g} MB are read here")
