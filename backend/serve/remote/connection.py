"""The HTTP connection to a service.

Owns how a call is sent, and how its response becomes a typed value or an error. Knows no route.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from backend.errors import BackendUnavailable, BadSettings, HNeuronsError, Unknown
from backend.types.refusal import first_problem

T = TypeVar("T", bound=BaseModel)

LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class Connection:
    """The connection to the service at `address` (http://host:port).

    Args:
        address: where `hneurons serve` listens.
        timeout: seconds for connecting or a response, in addition to the `wait` of a call.
        transport: replaces the network, for tests.

    Raises BadSettings if `address` is no http(s) address.
    """

    def __init__(self, address: str, timeout: float, transport: httpx.BaseTransport | None) -> None:
        host = _host(address)
        if host is None:
            raise BadSettings(
                f"{address[:80]!r} is not the address of a service",
                "it is written http://host:port",
                "write it like http://127.0.0.1:8600, or name none (--backend, HNEURONS_BACKEND) to compute here",
            )
        self.address, self._timeout = address.rstrip("/"), timeout
        # A proxy cannot reach services on this machine's loopback address.
        self._http = httpx.Client(transport=transport, timeout=timeout, trust_env=host not in LOOPBACK)

    def close(self) -> None:
        """Close it. The service and its model stay as they are."""
        self._http.close()

    def value(
        self, kind: type[T], method: str, path: str, body: Any = None, *, wait: float = 0.0, params: Any = None
    ) -> T:
        """The response to a call as a value of `kind`. Raises as `call` and `validated` do."""
        return self.validated(kind, self.call(method, path, body, wait=wait, params=params))

    def validated(self, kind: type[T], data: Any) -> T:
        """`data` as a value of `kind`. Raises BackendUnavailable if it is not one."""
        try:
            return kind.model_validate(data)
        except ValidationError as error:
            raise self.unintelligible(f"{kind.__name__}: {first_problem(error)}") from error

    def call(self, method: str, path: str, body: Any = None, *, wait: float = 0.0, params: Any = None) -> Any:
        """The JSON that the service responds with; it has `wait` seconds more than the timeout.

        Raises the service's own error, or BackendUnavailable if there is no response or not one of our service.
        """
        # Escaped to ASCII, so that a lone surrogate reaches the service, which refuses it with a clear message.
        content = None if body is None else json.dumps(body).encode("ascii")
        try:
            answer = self._http.request(
                method,
                self.address + path,
                content=content,
                headers={"Content-Type": "application/json"} if content else None,
                params=params,
                timeout=self._timeout + wait,
            )
        # httpx raises a RuntimeError if the client is closed.
        except (httpx.HTTPError, RuntimeError) as error:
            raise BackendUnavailable(
                f"The engine at {self.address} does not answer",
                str(error) or type(error).__name__,
                "start it there with `hneurons serve`, or name none (--backend, HNEURONS_BACKEND) to compute here",
            ) from error
        return self._body(answer)

    def _body(self, answer: httpx.Response) -> Any:
        try:
            body = answer.json()
        except ValueError as error:
            raise self.unintelligible(f"status {answer.status_code} without JSON") from error
        if answer.is_success:
            return body
        parts = body.get("error") if isinstance(body, dict) else None
        if not isinstance(parts, dict):
            raise self.unintelligible(f"status {answer.status_code}")
        raise HNeuronsError.from_json(parts)

    def unintelligible(self, why: str) -> BackendUnavailable:
        """The error for a response that is not from our service."""
        return BackendUnavailable(
            f"What answers at {self.address} is not understood", why, "start the same version of `hneurons serve` there"
        )


def word(text: str) -> str:
    """`text`, escaped as one segment of a path."""
    return quote(text, safe="", errors="replace")


def name_word(name: str) -> str:
    """The name of a probe or run as one segment of a path. Raises Unknown if it could not be a name (and would be
    another route)."""
    if "/" in name or "\\" in name or name.strip(".") == "":
        raise Unknown(f"There is no probe {name[:40]!r}", "it is no name", "choose one of the list")
    return word(name)


def packed(files: Mapping[str, bytes]) -> dict[str, Any]:
    """Files as they are sent in a body: name -> base64 of the content."""
    return {"files": {name: base64.b64encode(payload).decode("ascii") for name, payload in files.items()}}


def _host(address: str) -> str | None:
    """The host that an http(s) address names, or None if it is no such address."""
    try:
        url = httpx.URL(address)
    except (httpx.InvalidURL, ValueError):
        return None
    is_address = url.scheme in ("http", "https") and (url.port is None or 0 < url.port < 65536)
    return url.host or None if is_address else None
