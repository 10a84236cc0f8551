"""The connections of the HTTP service: how long one may keep the service waiting, and how many there may be.

Owns the settings of the server under the service. Bodies are `backend.serve.bodies`'s, what is answered is
`backend.serve.http`'s.
"""

from __future__ import annotations

import asyncio
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 20.0
"""From the connection, or the first byte of a further request, to the end of the head."""
REST_SECONDS = 10.0
"""For the rest of a body that was answered before it had come."""
MAX_CONNECTIONS = 1_000


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that gives up on a connection which keeps it waiting. Uvicorn alone waits for ever."""

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
        """A head that is complete stops the clock; a further one that has begun starts it."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._give_up_after(self.head_seconds)
        elif self.conn.our_state is not h11.DONE:
            self._wait_on()

    def on_response_complete(self) -> None:
        """What still comes of the body is thrown away, for a while."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self._give_up_after(self.rest_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
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
