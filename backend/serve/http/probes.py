"""Routes for probes. Each calls the client."""

from __future__ import annotations

import base64
from typing import Annotated

from fastapi import FastAPI, Path
from pydantic import Base64Encoder, BaseModel, EncodedBytes, Field, StrictBool

from backend.serve import client
from backend.serve.http.bodies import Body
from backend.types.probe import Probe, ProbeSummary
from backend.types.scoring import Scoring

Name = Annotated[str, Path(max_length=64, description="the name of a probe or run")]


class _Base64(Base64Encoder):
    """pydantic's own encoder drops characters that are not base64, and so may decode another file."""

    @classmethod
    def decode(cls, data: bytes) -> bytes:
        """The bytes that base64 text in one or several lines stands for. Raises ValueError."""
        try:
            return base64.b64decode(b"".join(data.split()), validate=True)
        except ValueError as error:
            raise ValueError(
                "a file is not written as base64: it has other characters, or is cut short; encode the file's bytes"
            ) from error


Files = Annotated[dict[str, Annotated[bytes, EncodedBytes(encoder=_Base64)]], Field(min_length=1, max_length=2)]
"""File name -> its bytes, as base64."""


class Probes(BaseModel):
    """The probes on this machine."""

    probes: tuple[ProbeSummary, ...]


class Scorings(BaseModel):
    """How a probe did on questions that it was not made from."""

    scorings: tuple[Scoring, ...]


class ProbeFiles(Body):
    """A probe in files of other programs. With `force` a probe of another model is accepted, and marked. `model`
    names the model that it is for, if that is not the loaded one: only its shape is read, it is not loaded."""

    files: Files
    force: StrictBool = False
    model: str | None = Field(None, min_length=1, max_length=300)


def add_probes(app: FastAPI, facet: client.Probes) -> None:
    """Put the routes on `app`."""

    @app.get("/v1/probes")
    def probes() -> Probes:
        """The probes on this machine."""
        return Probes(probes=facet.list())

    @app.get("/v1/probes/{name}")
    def probe(name: Name) -> Probe:
        """A probe with its report card."""
        return facet.read(name)

    @app.get("/v1/probes/{name}/scorings")
    def scorings(name: Name) -> Scorings:
        """How the probe did on questions that it was not made from, the worst first."""
        return Scorings(scorings=facet.scorings(name))

    @app.post("/v1/probes/{name}", status_code=201)
    def import_probe(name: Name, body: ProbeFiles) -> Probe:
        """Import a probe from files of other programs, for the loaded model or the named one."""
        return facet.add(body.files, name, body.force, body.model)
