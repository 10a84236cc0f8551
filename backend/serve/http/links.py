"""Routes for links that are too long for an address. Each calls the client."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Path
from pydantic import BaseModel, Field

from backend.errors import Unknown
from backend.serve.client import Links
from backend.serve.http.bodies import Body
from backend.types.base import KEY


class Link(Body):
    """The parameters of a link that is too long for an address."""

    params: dict[str, str] = Field(max_length=100)


class LinkKept(BaseModel):
    """The key of the link, for GET /v1/links/{key}."""

    key: str


def add_links(app: FastAPI, links: Links) -> None:
    """Put the routes on `app`."""

    @app.post("/v1/links", status_code=201)
    def keep_link(body: Link) -> LinkKept:
        """Keep a link that is too long for an address. The same link has the same key."""
        return LinkKept(key=links.keep(body.params))

    @app.get("/v1/links/{key}")
    def kept_link(
        key: Annotated[str, Path(description="the key of a kept link", json_schema_extra={"pattern": KEY})],
    ) -> Link:
        """The parameters of a kept link."""
        params = links.kept(key)
        if params is None:
            raise Unknown("This link is not here", f"nothing is kept under {key[:12]}", "open a link made here")
        return Link(params=dict(params))
