"""The runs of this process in their folders. How a run is read is `backend.serve.shelf`'s."""

from __future__ import annotations

from backend.errors import Unknown
from backend.runs import queued
from backend.serve.worker import Worker
from backend.types.identify import ReadQuestions, Verdict
from backend.types.plan import AnswerView, RunView


class LocalRuns:
    """See `backend.serve.client.Runs`."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def list(self) -> tuple[RunView, ...]:
        """Runs in their folders; those queued or running have a job."""
        from backend.serve import shelf

        return shelf.runs(self._worker.long_runs())

    def answers(self, name: str, limit: int = 200, offset: int = 0) -> tuple[AnswerView, ...]:
        """The answers to the questions of a run, and how each was judged."""
        from backend.serve import shelf

        return shelf.answers(name, limit, offset)

    def overrule(self, name: str, question: str, response: str, verdict: Verdict) -> None:
        """Keep a person's verdict on an answer of a run."""
        from backend.serve import shelf

        shelf.overrule(name, question, response, verdict)

    def mark_words(self, name: str, question: str, response: str, words: str) -> None:
        """Keep which words of a response a person marked as the answer."""
        from backend.serve import shelf

        shelf.mark(name, question, response, words)

    def stop(self, name: str) -> bool:
        """Stop a run, whether it is a job here, another program computes it, or it waits for its model."""
        from backend.serve import shelf

        was_going = name in self._worker.long_runs() or shelf.stop(name)
        # It may have been queued meanwhile, because its model was loaded.
        if (job := self._worker.long_runs().get(name)) is not None:
            self._worker.stop(job)
        return was_going or job is not None

    def delete(self, name: str) -> None:
        """Delete a run or probe with all its answers."""
        from backend.serve import shelf

        waited = queued.waiting(name) is not None
        try:
            shelf.delete(name, self._worker.long_runs())
        except Unknown:
            if not waited:
                raise
        queued.forget(name)

    def read_questions(self, payload: bytes, file: str, limit: int | None = None, seed: int = 0) -> ReadQuestions:
        """The questions of a person's file, at most `limit` of them, drawn by `seed`, and which rows are left out."""
        from backend.serve import shelf

        return shelf.read_questions(payload, file, limit, seed)
