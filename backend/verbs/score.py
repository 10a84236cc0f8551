"""The verb score: a probe on questions that it was not made from.

Owns which questions are the probe's own. What is computed, and how it goes on where it stopped, is
`backend.identify.elsewhere`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.identify.elsewhere import scoring
from backend.identify.questions.questions import wording_key
from backend.probes import scorings
from backend.probes.scoring import scorer
from backend.probes.standing import questions_of_items
from backend.types.scoring import ScoreRequest, Scoring
from backend.watch import Watch

if TYPE_CHECKING:
    from backend.engine import Engine


def run(engine: Engine, request: ScoreRequest, watch: Watch) -> Scoring:
    """The scoring, resumed where it stopped. Raises as `scorer` and `elsewhere.score` do."""
    named = scorer(request.probe, engine.info)
    own = questions_of_items(named.probe, named.folder)
    trained_on = None if own is None else frozenset(wording_key(question.text) for question in own)
    return scoring.score(engine.model, named, trained_on, request, scorings.folder(), watch)
