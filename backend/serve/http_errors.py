"""How the HTTP service says no: one shape for every error, and a bound on what it reads.

Owns the error body, the handlers that write it and the limit on a request's body. Knows no route.
"""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.errors import HNeuronsError
from backend.serve.failures import explain, parts, refusal

log = logging.getLogger(__name__)


class ErrorParts(BaseModel):
    """What is wrong, why, and what to do instead; `code` is stable."""

    code: str
    what: str
    why: str
    instead: str


class ErrorBody(BaseModel):
    """Body of every answer that is no success."""

    error: ErrorParts


ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorBody, "description": words}
    for code, words in (
        (400, "the body is not readable"),
        (404, "no such thing"),
        (405, "no such method"),
        (409, "the run was stopped"),
        (413, "the body is too long"),
        (422, "the request cannot be honoured"),
        (500, "a failure"),
        (503, "not now"),
    )
}


def error_response(error: HNeuronsError, status: int | None = None) -> JSONResponse:
    """`error` in the one shape, under its own status unless told otherwise."""
    return JSONResponse({"error": parts(error)}, status or error.http_status)


def add_error_handlers(app: FastAPI) -> None:
    """Every way to fail ends in `error_response`."""

    @app.exception_handler(HNeuronsError)
    def expected(request: Request, error: HNeuronsError) -> JSONResponse:
        return error_response(error)

    @app.exception_handler(RequestValidationError)
    def refused(request: Request, error: RequestValidationError) -> JSONResponse:
        return error_response(refusal(error.errors()))

    @app.exception_handler(HTTPException)
    def no_route(request: Request, error: HTTPException) -> JSONResponse:
        told = HNeuronsError(f"{request.method} {request.url.path}"[:200], str(error.detail), "see /docs for the routes")
        answer = error_response(told, error.status_code)
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s failed.", request.method, request.url.path, exc_info=error)
        return error_response(explain(error))


class BodyLimit:
    """Middleware: a request body beyond `limit` bytes is refused before it is read whole."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting what it reads."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._limit:
            await self._refuse(scope, receive, send)
            return
        started, read = False, 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._limit:
                raise _TooLong
            return message

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, counted, noted)
        except _TooLong:
            if started:
                raise
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        why = f"at most {self._limit / 1024**2:g} MB are read"
        told = HNeuronsError("The request is too long", why, "shorten the text or the set")
        await error_response(told, 413)(scope, receive, send)


class _TooLong(BaseException):
    """Not an Exception: nothing between the reader and the limit may take it for its own."""
