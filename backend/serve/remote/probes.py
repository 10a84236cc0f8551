"""The probes on the service's machine."""

from __future__ import annotations

from collections.abc import Mapping

from backend.serve.remote.connection import Connection, name_word, packed
from backend.types.probe import Probe, ProbeSummary
from backend.types.scoring import Scoring


class HttpProbes:
    """See `backend.serve.client.Probes`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self) -> tuple[ProbeSummary, ...]:
        """The probes on the service's machine."""
        rows = self._connection.call("GET", "/v1/probes")["probes"]
        return tuple(self._connection.validated(ProbeSummary, row) for row in rows)

    def read(self, name: str) -> Probe:
        """A probe with its report card."""
        return self._connection.value(Probe, "GET", f"/v1/probes/{name_word(name)}")

    def scorings(self, name: str) -> tuple[Scoring, ...]:
        """How the probe did on questions that it was not made from."""
        rows = self._connection.call("GET", f"/v1/probes/{name_word(name)}/scorings")["scorings"]
        return tuple(self._connection.validated(Scoring, row) for row in rows)

    def add(self, files: Mapping[str, bytes], name: str, force: bool = False, model: str | None = None) -> Probe:
        """Import a probe from files of other programs, for the service's model or for the named one."""
        body = packed(files) | {"force": force} | ({} if model is None else {"model": model})
        return self._connection.value(Probe, "POST", f"/v1/probes/{name_word(name)}", body)
