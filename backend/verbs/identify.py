"""The verb identify: a probe from questions, in a folder from which a later call can resume.

Owns where the questions of a run come from. The stages are `backend.identify.pipeline`'s, their folder `backend.runs`'.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.identify import pipeline
from backend.identify.questions.questions import asked_by
from backend.runs import runs
from backend.types import IdentifyRequest, Probe
from backend.watch import Watch

if TYPE_CHECKING:
    from backend.engine import Engine


def run(engine: Engine, request: IdentifyRequest, watch: Watch) -> Probe:
    """The probe of a new or resumed run. Raises as `backend.identify.pipeline.run` does."""
    plan, questions = request.plan, request.questions
    folder = runs.opened(request.name)
    if request.answers_of is not None:
        questions = runs.branch(request.answers_of, request.name, plan, engine.info, questions)
    questions = questions or runs.questions(folder, plan.source) or asked_by(plan.source)
    return pipeline.run(engine.model, plan, questions, folder, request.name, request.command, watch)
