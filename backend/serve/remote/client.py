"""The client that calls the HTTP service of another process or machine.

Owns the connection, which its facets share: each turns its calls into HTTP requests, and the responses into typed
results and errors. The same call returns the same value as that of `backend.serve.local`. It does not compute, cache or
retry.
"""

from __future__ import annotations

import httpx

from backend.serve.remote.connection import Connection
from backend.serve.remote.jobs import HttpJobs
from backend.serve.remote.links import HttpLinks
from backend.serve.remote.models import HttpModels
from backend.serve.remote.probes import HttpProbes
from backend.serve.remote.results import HttpResults
from backend.serve.remote.runs import HttpRuns


class HttpClient:
    """The engine behind the service at `address`. See `backend.serve.client.Client`, and `Connection` for the
    arguments."""

    def __init__(self, address: str, timeout: float = 30.0, transport: httpx.BaseTransport | None = None) -> None:
        self._connection = Connection(address, timeout, transport)
        self.models = HttpModels(self._connection)
        self.jobs = HttpJobs(self._connection)
        self.results = HttpResults(self._connection)
        self.probes = HttpProbes(self._connection)
        self.runs = HttpRuns(self._connection)
        self.links = HttpLinks(self._connection)

    def close(self) -> None:
        """Close the connections. The service and its model stay as they are."""
        self._connection.close()
