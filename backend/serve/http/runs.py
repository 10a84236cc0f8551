"""Routes for the runs that make probes, and for question files. Each calls the client."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Query
from pydantic import BaseModel, Field, StrictInt

from backend.serve import client
from backend.serve.http.bodies import Body
from backend.serve.http.probes import Files, Name
from backend.types.identify import ReadQuestions, Verdict
from backend.types.plan import AnswerView, RunView


class Runs(BaseModel):
    """Runs, the last written first."""

    runs: tuple[RunView, ...]


class Answers(BaseModel):
    """The answers to the questions of a run."""

    answers: tuple[AnswerView, ...]


class Stopped(BaseModel):
    """The run that was stopped. `was_going`: whether it was running or waiting for its model."""

    stopped: str
    was_going: bool


class Deleted(BaseModel):
    """The run or probe that was deleted."""

    deleted: str


class Overrule(Body):
    """A person's verdict on an answer."""

    question: str = Field(max_length=2_000)
    response: str = Field(max_length=20_000)
    verdict: Verdict


class Mark(Body):
    """The words of a response that a person marked as the answer; empty `words` leave the choice to the rules."""

    question: str = Field(max_length=2_000)
    response: str = Field(max_length=20_000)
    words: str = Field(max_length=20_000)


class QuestionFile(Body):
    """A file of questions: CSV, TSV, JSON, JSON lines or Parquet. `limit`: at most so many, drawn by `seed`."""

    files: Annotated[Files, Field(max_length=1)]
    limit: StrictInt | None = Field(default=None, ge=1)
    seed: StrictInt = Field(default=0, ge=0, lt=2**31)


def add_runs(app: FastAPI, facet: client.Runs) -> None:
    """Put the routes on `app`."""

    @app.get("/v1/runs")
    def runs() -> Runs:
        """Runs in their folders; those queued or running have a job, to be watched at /v1/jobs."""
        return Runs(runs=facet.list())

    @app.get("/v1/runs/{name}/answers")
    def answers(
        name: Name,
        limit: Annotated[int, Query(ge=1, le=5_000, description="questions looked at together")] = 200,
        offset: Annotated[int, Query(ge=0, description="questions left out before them")] = 0,
    ) -> Answers:
        """The answers to the questions of a run, and how each was judged, a part at a time."""
        return Answers(answers=facet.answers(name, limit, offset))

    @app.post("/v1/runs/{name}/stop")
    def stop(name: Name) -> Stopped:
        """Stop a run. A running one ends within one token; one that waits for its model will not resume by itself.
        Its answers stay, and it can be resumed later."""
        return Stopped(stopped=name, was_going=facet.stop(name))

    @app.delete("/v1/runs/{name}")
    def delete(name: Name) -> Deleted:
        """Delete a run or probe with all its answers; what ships stays."""
        facet.delete(name)
        return Deleted(deleted=name)

    @app.post("/v1/runs/{name}/overrules", status_code=201)
    def overrule(name: Name, body: Overrule) -> Overrule:
        """Keep a person's verdict; it takes effect when the run is repeated."""
        facet.overrule(name, body.question, body.response, body.verdict)
        return body

    @app.post("/v1/runs/{name}/marks", status_code=201)
    def mark(name: Name, body: Mark) -> Mark:
        """Keep which words are the answer; they take effect when the run is repeated."""
        facet.mark_words(name, body.question, body.response, body.words)
        return body

    @app.post("/v1/questions")
    def questions(body: QuestionFile) -> ReadQuestions:
        """The questions of a file, and which of its rows are left out and why."""
        file, payload = next(iter(body.files.items()))
        return facet.read_questions(payload, file, body.limit, body.seed)
