"""Routes for probes and the runs that make them. Owns nothing else: every route hands on to the client."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Path, Query
from pydantic import Base64Bytes, BaseModel, Field, StrictBool, StrictInt

from backend.serve.client import Client
from backend.serve.http.bodies import Body
from backend.types.identify import ReadQuestions, Verdict
from backend.types.plan import AnswerView, RunView
from backend.types.probe import Probe, ProbeSummary
from backend.types.requests import MAX_PROMPT_CHARACTERS, Asked, Text
from backend.types.standing import Standing

Name = Annotated[str, Path(max_length=64, description="the name of a probe or run")]
Files = Annotated[dict[str, Base64Bytes], Field(min_length=1, max_length=2)]
"""File name -> its bytes, as base64."""


class Probes(BaseModel):
    """The probes that are here."""

    probes: tuple[ProbeSummary, ...]


class Runs(BaseModel):
    """Runs, the last written first."""

    runs: tuple[RunView, ...]


class Answers(BaseModel):
    """What the questions of a run were answered."""

    answers: tuple[AnswerView, ...]


class Deleted(BaseModel):
    """The run or probe that is no more."""

    deleted: str


class Overrule(Body):
    """A person's verdict on an answer."""

    question: str = Field(max_length=2_000)
    response: str = Field(max_length=20_000)
    verdict: Verdict


class Mark(Body):
    """The words of an answer that are the answer, by a person; none leaves it to the rules."""

    question: str = Field(max_length=2_000)
    response: str = Field(max_length=20_000)
    words: str = Field(max_length=20_000)


class QuestionFile(Body):
    """A file of questions: CSV, TSV, JSON, JSON lines or Parquet. With `limit` at most so many, drawn by `seed`."""

    files: Annotated[Files, Field(max_length=1)]
    limit: StrictInt | None = Field(default=None, ge=1)
    seed: StrictInt = Field(default=0, ge=0, lt=2**31)


class AnsweredQuestion(Asked):
    """A question with the answer whose score is to be held to the probe's own."""

    answer: Text = Field(max_length=MAX_PROMPT_CHARACTERS)


class ProbeFiles(Body):
    """A probe in the files of others. With `force` one of another model is taken, and marked. `model` names the one
    that it is for, where that is not the one loaded: its shape is looked at, it is not loaded."""

    files: Files
    force: StrictBool = False
    model: str | None = Field(None, min_length=1, max_length=300)


def add_probes(app: FastAPI, client: Client) -> None:
    """Put the routes on `app`."""
    _add_shelf(app, client)
    _add_runs(app, client)

    @app.post("/v1/questions")
    def questions(body: QuestionFile) -> ReadQuestions:
        """The questions of a file, and which of its rows are left out and why."""
        file, payload = next(iter(body.files.items()))
        return client.read_questions(payload, file, body.limit, body.seed)


def _add_shelf(app: FastAPI, client: Client) -> None:
    @app.get("/v1/probes")
    def probes() -> Probes:
        """The probes that are here."""
        return Probes(probes=client.probes())

    @app.get("/v1/probes/{name}")
    def probe(name: Name) -> Probe:
        """A probe with its report card."""
        return client.probe(name)

    @app.post("/v1/probes/{name}", status_code=201)
    def import_probe(name: Name, body: ProbeFiles) -> Probe:
        """Keep a probe from the files of others, for the loaded model."""
        return client.import_probe(body.files, name, body.force, body.model)

    @app.post("/v1/probes/{name}/standing")
    def standing(name: Name, body: AnsweredQuestion) -> Standing:
        """The share of held-out answers with a given score that were wrong, and how far the question lies from the
        probe's own."""
        return client.standing(name, Asked(prompt=body.prompt, chat=body.chat, system=body.system), body.answer)


def _add_runs(app: FastAPI, client: Client) -> None:
    @app.get("/v1/runs")
    def runs() -> Runs:
        """Runs in their folders; those at work have a job, to be watched at /v1/jobs."""
        return Runs(runs=client.runs())

    @app.get("/v1/runs/{name}/answers")
    def answers(
        name: Name,
        limit: Annotated[int, Query(ge=1, le=5_000, description="questions looked at together")] = 200,
        offset: Annotated[int, Query(ge=0, description="questions left out before them")] = 0,
    ) -> Answers:
        """What the questions of a run were answered, and how each answer was judged, a part at a time."""
        return Answers(answers=client.run_answers(name, limit, offset))

    @app.delete("/v1/runs/{name}")
    def delete(name: Name) -> Deleted:
        """Delete a run or probe with all its answers; what ships stays."""
        client.delete(name)
        return Deleted(deleted=name)

    @app.post("/v1/runs/{name}/overrules", status_code=201)
    def overrule(name: Name, body: Overrule) -> Overrule:
        """Keep a person's verdict; it counts when the run is made again."""
        client.overrule(name, body.question, body.response, body.verdict)
        return body

    @app.post("/v1/runs/{name}/marks", status_code=201)
    def mark(name: Name, body: Mark) -> Mark:
        """Keep which words answer; it counts when the run is made again."""
        client.mark_words(name, body.question, body.response, body.words)
        return body
