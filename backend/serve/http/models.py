"""Routes for the models: the loaded one, the registry, and changing to another. Each calls the client."""

from __future__ import annotations

from fastapi import FastAPI
from pydantic import BaseModel, Field, StrictBool

from backend.serve import client
from backend.serve.http.bodies import Body
from backend.serve.http.jobs import Session
from backend.types import ModelChoice, ModelStatus


class Load(Body):
    """A model to change to: a row of the registry, hub name, directory or GGUF file.

    session: who asks; their own questions need no confirmation.
    confirm: change even if others use the model.
    gone: sessions whose browser is closed, which do not count.
    """

    name: str = Field(min_length=1, max_length=500)
    device: str | None = Field(default=None, max_length=50)
    dtype: str | None = Field(default=None, max_length=50)
    session: str = Field(default="", max_length=100)
    confirm: StrictBool = False
    gone: tuple[Session, ...] = Field(default=(), max_length=1_000)


class Models(BaseModel):
    """The registry's rows."""

    models: tuple[ModelChoice, ...]


def add_models(app: FastAPI, facet: client.Models) -> None:
    """Put the routes on `app`."""

    @app.get("/v1/status")
    def status() -> ModelStatus:
        """The loaded model, or the progress of loading it."""
        return facet.status()

    @app.get("/v1/models")
    def models() -> Models:
        """The registry with what each model needs and whether it fits the service's machine."""
        return Models(models=facet.list())

    @app.post("/v1/models/load", status_code=202)
    def load(body: Load) -> ModelStatus:
        """Begin to change to a model; watch /v1/status. The loaded model answers until the new one is known to open,
        and is loaded again if opening fails. Status 409 if others use the model: send `confirm` then."""
        facet.load(body.name, body.device, body.dtype, session=body.session, confirm=body.confirm, gone=body.gone)
        return facet.status()

    @app.delete("/v1/models/load")
    def cancel() -> ModelStatus:
        """Cancel the change of model in progress; the earlier model answers again."""
        facet.cancel()
        return facet.status()
