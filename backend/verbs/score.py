"""The verb score: a probe on questions that it was not made from.

Owns where scorings are kept, so that the same request goes on where it stopped. The figures are
`backend.identify.elsewhere`'s.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from backend.identify.elsewhere import scoring
from backend.identify.questions.questions import comparison_key
from backend.probes.scoring import scorer
from backend.probes.standing import questions_of_items
from backend.types.scoring import ScoreRequest, Scoring
from backend.watch import Watch
from cache.paths import home

if TYPE_CHECKING:
    from backend.engine import Engine


def scores() -> Path:
    """The folder of all scorings."""
    return home() / "scores"


def run(engine: Engine, request: ScoreRequest, watch: Watch) -> Scoring:
    """The scoring, resumed where it stopped. Raises as `scorer` and `elsewhere.score` do."""
    named = scorer(request.probe, engine.info)
    own = questions_of_items(named.probe, named.folder)
    trained_on = None if own is None else frozenset(comparison_key(question.text) for question in own)
    return scoring.score(engine.model, named, trained_on, request, scores(), watch)
