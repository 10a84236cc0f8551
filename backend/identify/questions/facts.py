"""The facts that ship, from which questions are worded.

Owns their file and its reading. NOTICE has the attribution; `tools.facts` makes the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from backend.bundled import FACTS


@dataclass(frozen=True)
class Fact:
    """`subject` has `relation` to each of `objects`, any of which answers the question."""

    relation: str
    subject: str
    objects: tuple[str, ...]
    source: str

    def row(self) -> dict[str, Any]:
        """The fact as a row of the file."""
        return {"relation": self.relation, "subject": self.subject, "objects": self.objects, "source": self.source}


@cache
def shipped() -> tuple[Fact, ...]:
    """Every fact that ships, in the order of the file."""
    rows = (json.loads(line) for line in FACTS.read_text("utf-8").split("\n") if line)
    return tuple(Fact(row["relation"], row["subject"], tuple(row["objects"]), row["source"]) for row in rows)


def facts_of(relations: Iterable[str]) -> tuple[Fact, ...]:
    """The facts of these relations."""
    wanted = set(relations)
    return tuple(fact for fact in shipped() if fact.relation in wanted)
