"""The connections of the service and of the page: how long one may keep us waiting, and how many there may be.

Owns the settings of the server under the service, and the same limits for the page's own server, which Streamlit
configures. What a body may contain is `backend.serve.http.bodies`' task, responses are `backend.serve.http.app`'s.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import h11
import uvicorn
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 20.0
"""From the connection, or the first byte of a further request, to the end of the head."""
REST_SECONDS = 10.0
"""Time for the remainder of a body after the response was sent."""
MAX_CONNECTIONS = 1_000
IDLE_SECONDS = 20.0
"""Longest pause of a body."""
SLOWEST = 16 * 1024
"""Minimum bytes per second of a body, after the first `IDLE_SECONDS`."""


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that closes a connection which keeps it waiting too long. Uvicorn alone waits for ever."""

    head_seconds, rest_seconds = HEAD_SECONDS, REST_SECONDS
    _deadline: asyncio.TimerHandle | None = None

    # Uvicorn itself narrows the type of asyncio's protocol in this way.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
        self._give_up_after(self.head_seconds)

    def data_received(self, data: bytes) -> None:
        """A complete head stops the clock; the beginning of a further one starts it."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._give_up_after(self.head_seconds)
        elif self.conn.our_state is not h11.DONE:
            self._wait_on()

    def on_response_complete(self) -> None:
        """Discard what still arrives of the body, for a limited time."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self._give_up_after(self.rest_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._wait_on()
        super().connection_lost(exc)

    def _give_up_after(self, seconds: float) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(seconds, self.transport.abort)

    def _wait_on(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def config(app: ASGIApp, **settings: Any) -> uvicorn.Config:
    """The server's settings: `settings` are uvicorn's own."""
    return uvicorn.Config(app, http=PatientProtocol, ws="none", **settings)


class Patience:
    """Middleware with the same limits for a server that another program configures, as Streamlit configures the page's.

    uvicorn reads the class of its connections from its settings when it opens the port. That is after the application's
    lifespan has started: until then the class can be set. Other servers limit heads themselves.

    Args:
        idle: seconds that a body may pause.
    """

    def __init__(self, app: ASGIApp, idle: float = IDLE_SECONDS) -> None:
        self._app, self._idle = app, idle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, watching the time while its body arrives."""
        if scope["type"] == "lifespan":
            server = getattr(getattr(receive, "__self__", None), "config", None)
            if isinstance(server, uvicorn.Config):
                server.http_protocol_class = PatientProtocol
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, read, over = time.monotonic(), 0, False

        async def bounded() -> Message:
            nonlocal read, over
            if over:
                return await receive()
            message = await in_time(receive, self._idle, read, begun)
            read, over = read + len(message.get("body", b"")), not message.get("more_body", False)
            return message

        await self._app(scope, bounded, send)


async def in_time(receive: Receive, idle: float, read: int, begun: float) -> Message:
    """The next part of a body of which `read` bytes came since `begun`. Raises HTTPException (408) if it is late."""
    left = min(idle, idle + read / SLOWEST - (time.monotonic() - begun))
    try:
        return await asyncio.wait_for(receive(), max(left, 0.0))
    except TimeoutError as error:
        words = "the rest of the body did not come in time"
        raise HTTPException(408, words, headers={"Connection": "close"}) from error
