"""Our style in the head of the page: there from the first draw.

Owns the middleware that writes it into the HTML that Streamlit serves. What the page itself writes (`st.html`) is drawn
by a script that a browser fetches after those of buttons and fields, so that these would stand in Streamlit's own
colours meanwhile. Refuses to know the theme that a person chose in the menu: the page does, and its style, which comes
later, stands above this one.
"""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import style

_END = b"</head>"
_WHOLE = (b"accept-encoding", b"if-none-match", b"if-modified-since", b"range")
"""Headers that ask for less than the page as it is: pressed, only if it is new, or a part."""


def css() -> bytes:
    """The style of the light theme, and above it that of the dark one where the browser asks for dark pages."""
    dark = f"@media (prefers-color-scheme: dark) {{\n{style.rules(style.DARK)}\n}}"
    return f"<style>\n{style.rules(style.LIGHT)}\n{dark}\n</style>".encode()


class Style:
    """Middleware: puts `css` into the head of every HTML page that passes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app, self._css = app, css()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; where a browser asks for a page, its answer comes with our style."""
        asks = scope["type"] == "http" and scope["method"] == "GET"
        if not asks or "text/html" not in Headers(scope=scope).get("accept", ""):
            await self._app(scope, receive, send)
            return
        asked = [(name, value) for name, value in scope["headers"] if name not in _WHOLE]
        start: Message | None = None
        body = b""

        async def styled(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start" and _is_page(message):
                start = message
            elif message["type"] == "http.response.body" and start is not None:
                body += message.get("body", b"")
                if not message.get("more_body"):
                    await _send(start, body.replace(_END, self._css + _END, 1), send)
            else:
                await send(message)

        await self._app({**scope, "headers": asked}, receive, styled)


def _is_page(start: Message) -> bool:
    return start["status"] == 200 and Headers(raw=start["headers"]).get("content-type", "").startswith("text/html")


async def _send(start: Message, body: bytes, send: Send) -> None:
    headers = MutableHeaders(raw=list(start["headers"]))
    # They are those of the file as it lies on disk.
    for name in ("etag", "last-modified", "accept-ranges"):
        del headers[name]
    headers["content-length"] = str(len(body))
    await send({**start, "headers": headers.raw})
    await send({"type": "http.response.body", "body": body})
