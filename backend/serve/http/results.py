"""Routes for stored results and the shipped examples, and how a result is written. Each calls the client."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from fastapi import FastAPI, Path, Query, Response
from pydantic import BaseModel

from backend.errors import Unknown
from backend.serve import client
from backend.types import COMPACT, Result, StoredResult
from backend.types.base import KEY
from backend.verbs import table
from backend.verbs.table import VerbName

Arrays = Annotated[
    Literal["lists", "base64"], Query(description="how arrays are written; base64 is little-endian and compact")
]


class Results(BaseModel):
    """The stored results, newest first."""

    results: tuple[StoredResult, ...]


def add_results(app: FastAPI, facet: client.Results) -> None:
    """Put the routes on `app`."""

    @app.get("/v1/results")
    def results(limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> Results:
        """The stored results, newest first."""
        return Results(results=facet.list(limit))

    @app.get("/v1/results/{key}")
    def result(
        key: Annotated[str, Path(description="the `key` of a finished job", json_schema_extra={"pattern": KEY})],
        arrays: Arrays = "lists",
    ) -> Response:
        """{"verb": ..., "result": ...} of one stored result."""
        stored = facet.get(key)
        if stored is None:
            raise Unknown("This result is not here", f"nothing is stored under {key[:12]}", "run the request again")
        return _with_verb(stored, arrays)

    @app.get("/v1/examples/{verb}")
    def example(verb: VerbName, arrays: Arrays = "lists") -> Response:
        """{"verb": ..., "result": ...} of the shipped example."""
        return _with_verb(facet.example(verb), arrays)


def _with_verb(result: Result, arrays: str) -> Response:
    verb = table.row_answering(result).name
    return Response(f'{{"verb":{json.dumps(verb)},"result":{written(result, arrays)}}}', media_type="application/json")


def written(result: Result, arrays: str) -> str:
    """A result as JSON; `arrays` as in `Arrays`."""
    return result.model_dump_json(context=COMPACT if arrays == "base64" else None)
