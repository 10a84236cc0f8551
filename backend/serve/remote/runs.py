"""The runs in the service's folders."""

from __future__ import annotations

from backend.serve.remote.connection import Connection, name_word, packed
from backend.types.identify import ReadQuestions, Verdict
from backend.types.plan import AnswerView, RunView


class HttpRuns:
    """See `backend.serve.client.Runs`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self) -> tuple[RunView, ...]:
        """Runs in the service's folders; those queued or running have a job."""
        rows = self._connection.call("GET", "/v1/runs")["runs"]
        return tuple(self._connection.validated(RunView, row) for row in rows)

    def answers(self, name: str, limit: int = 200, offset: int = 0) -> tuple[AnswerView, ...]:
        """The answers to the questions of a run, and how each was judged."""
        part = {"limit": limit, "offset": offset}
        rows = self._connection.call("GET", f"/v1/runs/{name_word(name)}/answers", params=part)["answers"]
        return tuple(self._connection.validated(AnswerView, row) for row in rows)

    def overrule(self, name: str, question: str, response: str, verdict: Verdict) -> None:
        """Keep a person's verdict on an answer of a run."""
        body = {"question": question, "response": response, "verdict": verdict}
        self._connection.call("POST", f"/v1/runs/{name_word(name)}/overrules", body)

    def mark_words(self, name: str, question: str, response: str, words: str) -> None:
        """Keep which words of a response a person marked as the answer."""
        body = {"question": question, "response": response, "words": words}
        self._connection.call("POST", f"/v1/runs/{name_word(name)}/marks", body)

    def stop(self, name: str) -> bool:
        """Stop a run of the service, running or waiting for its model."""
        return bool(self._connection.call("POST", f"/v1/runs/{name_word(name)}/stop")["was_going"])

    def delete(self, name: str) -> None:
        """Delete a run or probe of the service with all its answers."""
        self._connection.call("DELETE", f"/v1/runs/{name_word(name)}")

    def read_questions(self, payload: bytes, file: str, limit: int | None = None, seed: int = 0) -> ReadQuestions:
        """The questions of a person's file, read by the service, at most `limit` of them, drawn by `seed`."""
        body = packed({file: payload}) | {"limit": limit, "seed": seed}
        return self._connection.value(ReadQuestions, "POST", "/v1/questions", body)
