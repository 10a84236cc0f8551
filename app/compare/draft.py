"""The draft of a comparison: what the switches and the columns beside them are in it, and the request that it makes.

Owns the translation between switches (one alpha a neuron) with columns and the draft's `alphas` and `own`, and from
the draft to a `CompareRequest`. Pure: no Streamlit, and nothing is run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.compare.view import SETTINGS
from app.shared.view import Shared
from backend.errors import BadNeurons, BadSettings
from backend.neurons import NeuronId, NeuronSet
from backend.types import MAX_ROWS, CompareRequest, CompareSettings, OwnAlpha

NONE = NeuronSet()


def switches(draft: CompareSettings, chosen: NeuronSet) -> dict[NeuronId, float]:
    """What each chosen neuron is set to; one that `own` does not name is suppressed."""
    alphas = {own.neuron: own.alpha for own in draft.own}
    main = draft.alphas[0] if draft.alphas and not draft.own else 0.0
    return {neuron: alphas.get(neuron, main) for neuron in chosen}


def columns(draft: CompareSettings) -> tuple[float, ...]:
    """The alphas of the columns beside the switches; one may be that of the switches too."""
    return draft.alphas if draft.own else draft.alphas[1:]


def fields(alphas: Mapping[NeuronId, float], beside: Sequence[float]) -> dict[str, Any]:
    """The draft's `alphas` and `own` for switches that are set so, with such columns: `switches` and `columns` back."""
    values = set(alphas.values()) or {0.0}
    if len(values) == 1:
        return {"alphas": (*values, *beside), "own": ()}
    return {"alphas": tuple(beside), "own": tuple(OwnAlpha(neuron=pushed, alpha=alphas[pushed]) for pushed in alphas)}


def own_once(draft: CompareSettings) -> tuple[CompareSettings, list[str]]:
    """The draft without alphas of neurons that have two in it, and those neurons: their switches stay suppressed."""
    alphas: dict[NeuronId, set[float]] = {}
    for pair in draft.own:
        alphas.setdefault(pair.neuron, set()).add(pair.alpha)
    own = tuple(pair for pair in draft.own if len(alphas[pair.neuron]) == 1)
    # Where no neuron has an alpha of its own, the first of `alphas` is that of the switches.
    settings = {"own": own, "alphas": draft.alphas if own or not draft.own else (0.0, *draft.alphas)}
    return draft.model_copy(update=settings), [str(neuron) for neuron, several in alphas.items() if len(several) > 1]


def of_request(request: CompareRequest) -> tuple[NeuronSet, CompareSettings]:
    """The neurons and the draft that make this request."""
    chosen = NeuronSet(tuple(own.neuron for own in request.own)) or request.neurons
    return chosen, CompareSettings.model_validate({name: getattr(request, name) for name in SETTINGS})


def request(shared: Shared, draft: CompareSettings, against: NeuronSet = NONE) -> CompareRequest:
    """The request that the draft stands for. Neurons at Normal are left out: nothing is done to them.

    Neurons that share one alpha make a row of `alphas`, mixed ones a row of `own`. Every row has its twins; where
    a batch has no room for so many, the row of the switches and the further arm have them, or the first of them alone.

    Args:
        shared: the question and the chosen neurons.
        draft: the settings.
        against: a further arm, at the alpha of the switches.

    Raises BadNeurons where no neuron is chosen, BadSettings where every switch is set to Normal,
    pydantic.ValidationError where the prompt or a number is refused.
    """
    alphas = switches(draft, shared.neurons)
    if not alphas:
        raise BadNeurons(
            "No neuron is chosen", "there is nothing to switch", "tick neurons on Explore, or add some with Add neurons"
        )
    moved = {neuron: alpha for neuron, alpha in alphas.items() if alpha != 1.0}
    if not moved:
        raise BadSettings(
            "Every switch is set to Normal", "the answer would be the baseline's", "set one to Suppress or Amplify"
        )
    values = set(moved.values())
    is_single = len(values) == 1
    main = tuple(values) if is_single else ()
    rows = (*main, *(alpha for alpha in columns(draft) if alpha not in main))
    arm = 0 if is_single else len(rows)
    return CompareRequest.model_validate(
        dict(draft)
        | {
            "prompt": shared.prompt or "",
            "chat": shared.chat,
            "system": shared.system,
            "decoding": shared.decoding,
            "neurons": NeuronSet(tuple(moved)) if rows else NONE,
            "alphas": rows,
            "own": () if is_single else tuple(OwnAlpha(neuron=neuron, alpha=moved[neuron]) for neuron in sorted(moved)),
            "against": against,
            "against_alpha": main[0] if main else 0.0,
            "control_arms": _with_twins(arm, len(rows) + (not is_single), bool(against), draft),
        }
    )


def _with_twins(main: int, switched: int, against: bool, draft: CompareSettings) -> tuple[int, ...]:
    """Which rows have twins, the switches' own first: all of them, as far as a batch has room for that.

    Args:
        main: the row of the switches themselves.
        switched: rows of the switched neurons; behind them the row of the further arm, if there is one.
        against: whether there is one.
        draft: how many twins each row has.
    """
    arms = (main, *(arm for arm in range(switched + against) if arm != main))
    each = draft.controls * len(draft.control_kinds)
    both = (main, switched) if against else (main,)
    fits = (some for some in (arms, both) if 1 + len(arms) + len(some) * each <= MAX_ROWS)
    return next(fits, (main,))
