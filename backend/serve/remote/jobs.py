"""The jobs of the service."""

from __future__ import annotations

from backend.serve.remote.connection import Connection, word
from backend.types import JobView, Request, Verb
from backend.verbs import table

MAX_WAIT = 30.0
"""Longest long poll, in seconds, that the service accepts."""


class HttpJobs:
    """See `backend.serve.client.Jobs`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def submit(self, verb: Verb, request: Request, session: str) -> str:
        """Queue a request of `session` and return the job's id."""
        # JSON has lost the request's type and might be valid for another verb.
        table.row_taking(verb, request)
        body = {"verb": verb, "request": request.model_dump(mode="json"), "session": session}
        return str(self._connection.call("POST", "/v1/jobs", body)["id"])

    def view(self, job: str, after: int = 0, wait: float = 0.0) -> JobView:
        """The job and its events from number `after`; waits up to `wait` seconds for something new."""
        wait = min(wait, MAX_WAIT)
        params = {"after": after, "wait": wait}
        return self._connection.value(JobView, "GET", f"/v1/jobs/{word(job)}", params=params, wait=wait)

    def stop(self, job: str) -> None:
        """Stop a job, queued or running."""
        self._connection.call("DELETE", f"/v1/jobs/{word(job)}")
