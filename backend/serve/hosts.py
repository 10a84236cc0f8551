"""Which host names our servers answer to, and which web pages may call them: the same for the page and the service.

Owns the list of trusted hosts and the middleware that enforces it for HTTP and websockets. A web page of another origin
must neither read nor start anything here: not by pointing its own name at this machine (DNS rebinding: the Host header
is then that name), and not by requests that browsers send without asking (the Origin and Sec-Fetch-Site headers show
these). Programs send neither of the two headers. This is no login: any program that reaches the address may use it.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.errors import BadSettings, HNeuronsError, NotAllowed

VARIABLE = "HNEURONS_HOSTS"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
_EVERYWHERE = ("", "0.0.0.0", "::")
_HOST = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9_](?:[a-z0-9_.-]{0,252}))(?::([0-9]{0,5}))?", re.ASCII)
_SAFE = ("GET", "HEAD", "OPTIONS")

Refuse = Callable[[HNeuronsError, int], Response]


@dataclass(frozen=True)
class Hosts:
    """The names that a server answers to.

    names: lower case, without a port; `*.school.edu` stands for every name under school.edu, `*` for any name.
    chosen: the names in HNEURONS_HOSTS; a web page under one of these may send requests too.
    everywhere: the server listens at every address of this machine. Then each address is trusted for connections that
        came in at it, and so is the machine's own name.
    """

    names: frozenset[str] = frozenset(LOOPBACK)
    chosen: frozenset[str] = frozenset()
    everywhere: bool = False

    def trusts(self, name: str, arrived: str | None = None) -> bool:
        """Whether `name` is trusted; `arrived` is the address of this machine at which the connection came in."""
        if _is_among(name, self.names | self.chosen):
            return True
        return self.everywhere and (name in _own_names() or (_is_address(name) and name == _address(arrived or "")))


def trusted(bound: str | None = None) -> Hosts:
    """The hosts to trust: loopback names, what `bound` (where the server listens) says, and HNEURONS_HOSTS.

    Raises BadSettings if HNEURONS_HOSTS names something that is no host.
    """
    chosen = frozenset(_host_of_setting(word) for word in os.environ.get(VARIABLE, "").split(",") if word.strip())
    everywhere = bound is not None and bound.strip() in _EVERYWHERE
    own = () if bound is None or everywhere else (_address(bound.strip().strip("[]").lower()),)
    return Hosts(frozenset((*LOOPBACK, *own)), chosen, everywhere)


def host_name(header: str) -> str | None:
    """The host of a Host header, in lower case and without its port; None if the header is malformed."""
    match = _HOST.fullmatch(header.strip().lower())
    if match is None or (match[2] and int(match[2]) > 65535):
        return None
    return _address(match[1].strip("[]").rstrip("."))


class TrustedHosts:
    """Middleware that passes on requests under a trusted name and not from a foreign web page. It must run first.

    Args:
        refuse: makes the response to a refused request, from the error and a status.
    """

    def __init__(self, app: ASGIApp, hosts: Hosts, refuse: Refuse | None = None) -> None:
        self._app, self._hosts, self._refuse = app, hosts, refuse or _plain_refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer with the reason for refusing it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        problem = _refusal(scope, self._hosts)
        if problem is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            # Before it is accepted: the server answers with status 403.
            await send({"type": "websocket.close", "code": 1008, "reason": "not allowed"})
        else:
            await self._refuse(*problem)(scope, receive, send)


def _refusal(scope: Scope, hosts: Hosts) -> tuple[HNeuronsError, int] | None:
    headers = Headers(scope=scope)
    written = headers.getlist("host")
    name = host_name(written[0]) if len(written) == 1 else None
    # In absolute form a request would name a host in its first line too.
    if name is None or not scope["path"].startswith("/"):
        why = "it needs one Host header and, in its first line, a path alone"
        return NotAllowed("It is not clear which host the request is for", why, "send it as browsers do"), 400
    if not hosts.trusts(name, (scope.get("server") or (None,))[0]):
        return _untrusted_name(name), 403
    return _foreign_page(scope, headers, hosts)


def _untrusted_name(name: str) -> NotAllowed:
    return NotAllowed(
        f"This server does not answer to the name {name[:80]}",
        "a foreign web page could reach it under a name of its own",
        f"open it as localhost, or let {VARIABLE} name the hosts that it is to answer to: {VARIABLE}={name[:80]}",
    )


def _foreign_page(scope: Scope, headers: Headers, hosts: Hosts) -> tuple[HNeuronsError, int] | None:
    """The error and status if another web page made the browser send this request, else None."""
    changes = scope["type"] == "websocket" or scope["method"] not in _SAFE
    origin = ", ".join(headers.getlist("origin")) if "origin" in headers else None
    if origin is not None and _is_own_origin(origin, headers["host"], hosts):
        return None
    if origin is not None and changes:
        return _foreign_origin(origin), 403
    # Only in a window of its own: in a frame, a foreign page could make a person press buttons that they do not see.
    alone = headers.get("sec-fetch-dest", "document") == "document"
    opened = not changes and headers.get("sec-fetch-mode") == "navigate" and alone
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none") and not opened:
        return _foreign_origin(origin or "another site"), 403
    return None


def _foreign_origin(origin: str) -> NotAllowed:
    return NotAllowed(
        "A web page of another origin may not use this server",
        f"the request comes from {origin[:80]}",
        f"use a program, or the page of this server; {VARIABLE} names further hosts whose pages may",
    )


def _is_own_origin(origin: str, host: str, hosts: Hosts) -> bool:
    """Whether a page of `origin` is ours: it has the host and port that the request names, or a chosen host."""
    try:
        parts = urlsplit(origin.lower())
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return False
    if _is_among(_address(parts.hostname), hosts.chosen):
        return True
    default_port = 443 if parts.scheme == "https" else 80
    asked_host = _HOST.fullmatch(host.strip().lower())
    assert asked_host is not None, "checked by _refusal"
    return (_address(parts.hostname), port or default_port) == (host_name(host), int(asked_host[2] or default_port))


def _is_among(name: str, names: Iterable[str]) -> bool:
    return any(each in ("*", name) or (each.startswith("*.") and name.endswith(each[1:])) for each in names)


def _address(name: str) -> str:
    """`name`; an IP address in its normal spelling."""
    try:
        address = ipaddress.ip_address(name.split("%")[0])
    except ValueError:
        return name
    # A socket that listens at :: reports IPv4 addresses as IPv4-mapped IPv6 addresses.
    return str(getattr(address, "ipv4_mapped", None) or address)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _own_names() -> tuple[str, ...]:
    name = socket.gethostname().lower().rstrip(".")
    return (name, f"{name}.local") if name else ()


def _host_of_setting(word: str) -> str:
    """One host of HNEURONS_HOSTS, in normal spelling. Raises BadSettings."""
    word = word.strip().lower()
    plain = word.removeprefix("*.")
    name = "*" if word == "*" else host_name(f"[{plain}]" if plain.count(":") > 1 and "[" not in plain else plain)
    if name is None or "/" in word:
        raise BadSettings(
            f"{VARIABLE} names {word[:60]!r}",
            "that is no host",
            f"write {VARIABLE}=teacher-pc,192.168.1.20,*.school.edu",
        )
    return f"*.{name}" if word.startswith("*.") else name


def _plain_refusal(error: HNeuronsError, status: int) -> Response:
    return PlainTextResponse(f"{error.sentence}\n", status, headers={"Connection": "close"})
