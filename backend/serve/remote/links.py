"""The long links that the service keeps."""

from __future__ import annotations

from collections.abc import Mapping

from backend.errors import Unknown
from backend.serve.remote.connection import Connection
from backend.types.base import checked_key


class HttpLinks:
    """See `backend.serve.client.Links`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def keep(self, params: Mapping[str, str]) -> str:
        """Keep the parameters of a link that is too long for an address at the service; returns their key."""
        return str(self._connection.call("POST", "/v1/links", {"params": dict(params)})["key"])

    def kept(self, key: str) -> Mapping[str, str] | None:
        """The parameters that the service keeps under `key`, or None."""
        path = f"/v1/links/{checked_key(key)}"
        try:
            body = self._connection.call("GET", path)
        except Unknown:
            return None
        return {str(name): str(value) for name, value in body["params"].items()}
