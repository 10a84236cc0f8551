"""A verb of one module, as a new one is made: its request, its result and its function. No part of the program."""

from __future__ import annotations

from pydantic import Field

from backend.types import Request, Result, StageEvent
from backend.watch import Watch, check


class EchoRequest(Request):
    """Say a text again."""

    text: str = Field(min_length=1, max_length=40, description="what to say again")
    times: int = Field(default=1, ge=1, le=9, description="how often")


class Echo(Result):
    """A text, said again."""

    request: EchoRequest
    said: str


def run(engine: object, request: EchoRequest, watch: Watch) -> Echo:
    """The text as often as it was asked for. Raises Stopped."""
    check(watch)
    watch.emit(StageEvent(stage="listening"))
    return Echo(request=request, said=" ".join([request.text] * request.times))
