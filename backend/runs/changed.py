"""What a run was begun with and may not change, because its answers depend on it: how they are drawn, the model, the
prompt that a question becomes, and the questions.

Owns the comparison and the sentences of its refusal, also before a model is loaded, when nothing is known of one.
Does not read a run's folder (`backend.runs.runs` does).
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
    begun: Begun,
    plan: Plan,
    info: ModelInfo | None,
    *,
    same_questions: bool = True,
    prompt_hash: str = "",
    source: str | None = None,
) -> None:
    """Raises BadSettings where the run `name` cannot use the answers of a run that was begun as `begun`.

    Args:
        info: the loaded model; None where none is loaded yet.
        prompt_hash: of the prompt that a question becomes; '' where it is not known.
        source: the run that has the answers, where `name` is to begin with those of another run.
    """
    changed = _differences(begun, plan, info, same_questions, prompt_hash)
    if changed and source is not None:
        raise BadSettings(
            f"{name} cannot start from the answers of {source}",
            f"these answers depend on what has changed: {changed}",
            f"keep that as in {source}, or start without its answers",
        )
    if changed:
        raise BadSettings(
            f"The run {name} was started with other settings",
            f"its answers depend on what has changed: {changed}",
            f"give the new run another name, or resume {name} as it was started",
        )


def _differences(begun: Begun, plan: Plan, info: ModelInfo | None, same_questions: bool, prompt_hash: str) -> str:
    """What differs from `begun` among all that answers depend on; '' where nothing does.

    A larger number of samples is no difference: each sample depends on its own number.
    """
    sampling = begun.plan.sampling.model_copy(update={"samples": plan.sampling.samples})
    unchanged = {
        "the model": info is None or begun.fingerprint == info.fingerprint,
        "how answers are drawn": sampling == plan.sampling,
        "how a question is put to the model": not (prompt_hash and begun.prompt_hash)
        or prompt_hash == begun.prompt_hash,
        "the questions": same_questions,
    }
    return " and ".join(what for what, same in unchanged.items() if not same)
