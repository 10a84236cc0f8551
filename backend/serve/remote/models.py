"""The models of the service's machine."""

from __future__ import annotations

from collections.abc import Collection

from backend.serve.remote.connection import Connection
from backend.types import ModelChoice, ModelStatus


class HttpModels:
    """See `backend.serve.client.Models`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def status(self) -> ModelStatus:
        """The loaded model, or the progress of loading it."""
        return self._connection.value(ModelStatus, "GET", "/v1/status")

    def list(self) -> tuple[ModelChoice, ...]:
        """The registry's rows on the service's machine."""
        rows = self._connection.call("GET", "/v1/models")["models"]
        return tuple(self._connection.validated(ModelChoice, row) for row in rows)

    def load(
        self,
        name: str,
        device: str | None = None,
        dtype: str | None = None,
        *,
        session: str = "",
        confirm: bool = False,
        gone: Collection[str] = (),
    ) -> None:
        """Begin to change the model of the service; watch `status`."""
        body = {
            "name": name, "device": device, "dtype": dtype, "session": session, "confirm": confirm, "gone": list(gone),
        }  # fmt: skip
        self._connection.call("POST", "/v1/models/load", body)

    def cancel(self) -> None:
        """Cancel the change of model in progress."""
        self._connection.call("DELETE", "/v1/models/load")
