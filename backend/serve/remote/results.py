"""The results that the service keeps."""

from __future__ import annotations

from typing import Any

from backend.errors import Unknown
from backend.serve.remote.connection import Connection, word
from backend.types import Result, StoredResult, Verb
from backend.types.base import checked_key
from backend.verbs import table
from backend.verbs.table import VERBS


class HttpResults:
    """See `backend.serve.client.Results`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, key: str) -> Result | None:
        """The stored result under `key`, or None."""
        path = f"/v1/results/{checked_key(key)}"
        try:
            return self._result(self._connection.call("GET", path, params={"arrays": "base64"}))
        except Unknown:
            return None

    def list(self, limit: int = 50) -> tuple[StoredResult, ...]:
        """The results stored at the service, newest first."""
        rows = self._connection.call("GET", "/v1/results", params={"limit": limit})["results"]
        return tuple(self._connection.validated(StoredResult, row) for row in rows)

    def example(self, verb: Verb) -> Result:
        """The shipped example of `verb`."""
        path = f"/v1/examples/{word(table.row(verb).name)}"
        return self._result(self._connection.call("GET", path, params={"arrays": "base64"}))

    def _result(self, body: Any) -> Result:
        row = VERBS.get(str(body.get("verb")))
        if row is None:
            raise self._connection.unintelligible(f"it sent a result of the verb {body.get('verb')!r}")
        result: Result = self._connection.validated(row.result, body["result"])
        return result
