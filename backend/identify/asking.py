"""Of the questions in a person's file, those that a plan asks.

Owns that a plan's source means the same for a file as for the shipped facts: its kinds of questions, at most so many
of each, at most so many in all. Refuses to read the file (`backend.identify.formats.questions`).
"""

from __future__ import annotations

from collections.abc import Sequence

from backend.errors import BadInput
from backend.identify.questions import drawn, thinned
from backend.types.identify import Question
from backend.types.plan import Source


def asked_of(questions: Sequence[Question], source: Source, seed: int) -> tuple[Question, ...]:
    """The questions of a file that `source` asks, in their order; `seed` draws where there are more.

    Raises BadInput for a relation that the file does not have.
    """
    known = sorted({question.relation for question in questions} - {""})
    for name in source.relations:
        if name not in known:
            raise BadInput(
                f"{name[:60]!r} is no relation of {source.file[:60]}",
                f"its relations are {', '.join(known)[:200]}" if known else "its questions have none",
                "name one of them" if known else "leave --relations out",
            )
    kept = [question for question in questions if not source.relations or question.relation in source.relations]
    if source.per_relation is not None:
        kept = thinned(kept, source.per_relation, seed)
    return drawn(kept, source.limit, seed)
