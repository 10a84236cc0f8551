"""How the HTTP service reports errors: one shape for all.

Owns the error body and the handlers that write it. Knows no route.
"""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from backend.errors import BadInput, HNeuronsError
from backend.serve.failures import explain
from backend.types.refusal import refusal

log = logging.getLogger(__name__)


class ErrorParts(BaseModel):
    """What is wrong, why, and what to do instead; `code` is stable."""

    code: str
    what: str
    why: str
    instead: str


class ErrorBody(BaseModel):
    """Body of every response that is not a success."""

    error: ErrorParts


ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorBody, "description": words}
    for code, words in (
        (400, "the request is not readable"),
        (403, "asked under a foreign name, or by a foreign web page"),
        (404, "no such thing"),
        (405, "no such method"),
        (408, "the body came too slowly"),
        (409, "the run was stopped, or others are at work"),
        (413, "the body is too long"),
        (415, "the body is not JSON, or it is packed"),
        (422, "the request cannot be honoured"),
        (500, "a failure"),
        (503, "not now"),
    )
}


_WORDS = {
    400: ("The body cannot be read", "send one JSON object, each name in it once"),
    404: ("There is no such route", "see /docs for those that there are"),
    405: ("The route does not take this method", "see /docs for those that it takes"),
    408: ("The request took too long", "send it again, in one go"),
    413: ("The request is too long", "shorten the text, the set or the file, or split it"),
    503: ("The service is busy", "send it again in a minute"),
}


def error_response(error: HNeuronsError, status: int | None = None) -> JSONResponse:
    """`error` as a response, with its own status unless `status` is given."""
    return JSONResponse({"error": error.to_json()}, status or error.http_status)


def add_error_handlers(app: FastAPI) -> None:
    """Turn every kind of failure into an `error_response`."""

    @app.exception_handler(HNeuronsError)
    def expected(request: Request, error: HNeuronsError) -> JSONResponse:
        return error_response(error)

    @app.exception_handler(RequestValidationError)
    def refused(request: Request, error: RequestValidationError) -> JSONResponse:
        return error_response(refusal(error.errors()))

    @app.exception_handler(HTTPException)
    def no_route(request: Request, error: HTTPException) -> JSONResponse:
        what, instead = _WORDS.get(error.status_code, _WORDS[404])
        explained = HNeuronsError(what, f"{request.method} {request.url.path[:200]}: {error.detail}", instead)
        answer = error_response(explained, error.status_code)
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s failed.", request.method, request.url.path, exc_info=error)
        return error_response(explain(error))


def not_json(kind: str, packed: str = "") -> JSONResponse:
    """The refusal of a body that is not JSON (`kind` is its declared type), or that is compressed (`packed` is the
    encoding)."""
    if packed:
        error = BadInput("The body is packed", f"it says that it is {packed[:40]!r}", "send it as it is")
        return error_response(error, 415)
    why = f"it says that it is {kind[:60]!r}" if kind else "it does not say what it is"
    return error_response(BadInput("The body is not said to be JSON", why, "send Content-Type: application/json"), 415)
