"""What every verb's request and result are, where it does not matter which verb it is.

Owns the base of each, so that what is no request cannot stand where one is wanted, and the name of a verb. Which verbs
there are, and what each is asked with and answers, stands in one table (`backend.verbs.table`).
"""

from __future__ import annotations

from typing import TypeAlias

from backend.types.base import Frozen, Strict

Verb: TypeAlias = str
"""The name of a row of the table of verbs."""


class Request(Strict):
    """What a verb is asked with: frozen, so that its hash is key, link and provenance."""


class Result(Frozen):
    """What a verb answers."""
