"""Base classes of the requests and results of all verbs, and the type of a verb's name.

With these bases, a type checker rejects anything else where a request or a result is expected. The verbs, with their
types of request and result, are in one table (`backend.verbs.table`).
"""

from __future__ import annotations

from typing import TypeAlias

from backend.types.base import Frozen, Strict

Verb: TypeAlias = str
"""The name of a row of the table of verbs."""


class Request(Strict):
    """The request of a verb: frozen, so that its hash is store key, link and provenance."""


class Result(Frozen):
    """The result of a verb."""
