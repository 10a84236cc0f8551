"""What a run was begun with and may not change, since its answers hang on it: how they are drawn, from which model, how
a question is put, and the questions.

Owns the comparison and the sentences of its refusal, also before a model is loaded, where nothing is known of one.
Refuses to read a run's folder (`backend.runs.runs`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.errors import BadSettings
from backend.types.plan import Plan
from backend.types.results import ModelInfo

if TYPE_CHECKING:
    from backend.runs.runs import Begun


def refuse(
    name: str,
    held: Begun,
    plan: Plan,
    info: ModelInfo | None,
    *,
    same_questions: bool = True,
    put: str = "",
    source: str | None = None,
) -> None:
    """Raises BadSettings where the run `name` cannot use the answers of what was begun as `held`.

    Args:
        info: the loaded model; None where none is loaded yet.
        put: the hash of how a question is put to the model; '' where that is not known.
        source: the run whose answers they are, where `name` is to begin with those of another.
    """
    changed = _changed(held, plan, info, same_questions, put)
    if changed and source is not None:
        raise BadSettings(
            f"{name} cannot begin from {source}",
            f"{changed} changed, and its answers cannot be used",
            "leave them as they are there, or begin from nothing",
        )
    if changed:
        raise BadSettings(
            f"The run {name} was begun otherwise",
            f"{changed} changed, and its answers cannot be used",
            "give this run another name, or resume that one",
        )


def _changed(held: Begun, plan: Plan, info: ModelInfo | None, same_questions: bool, put: str) -> str:
    """What of all that answers hang on is another than `held` was begun with; '' where nothing is.

    More samples are no other ones: each hangs on its number.
    """
    drawn = held.plan.sampling.model_copy(update={"samples": plan.sampling.samples})
    told = {
        "the model": info is None or held.fingerprint == info.fingerprint,
        "how answers are drawn": drawn == plan.sampling,
        "how a question is put to the model": not (put and held.put) or put == held.put,
        "the questions": same_questions,
    }
    return " and ".join(what for what, same in told.items() if not same)
